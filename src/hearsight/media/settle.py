"""Which time stamps of a stream to trust: holes, clocks that begin anew, single wrong stamps."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

Thing = TypeVar("Thing")

ROUNDING = 0.002  # seconds; a smaller step between time stamps is rounding
JITTER = 0.05  # seconds; a step up to this counts only if it lasts unchanged
LASTING = 1.0  # seconds; a step that is taken back within this time was a wrong stamp
OVERLAP = 0.5  # seconds; a lasting step further back than this is a clock that begins anew
LONGEST_HOLE = 3600.0  # seconds; a lasting step further ahead than this is one too

UNSTATED = 1000  # packets without a stamp among which the first stated one is looked for


class Stamped(NamedTuple):
    """A packet or decoded block as its file states it, in ticks."""

    place: int | None  # None where the file states none
    length: int


class Settled(NamedTuple):
    """Where a packet or block lies on a clock that goes on."""

    place: int  # ticks
    restart: int  # ticks by which the stated clock stepped as it began anew here; 0 elsewhere


class Settler:
    """Trusts, repairs or shifts the stamps of consecutive packets of one stream.

    A step that the following packets take back within `LASTING` seconds is a wrong stamp: the
    packets go on where the last one ended. A step that lasts is a hole up to `LONGEST_HOLE`, or an
    overlap up to `OVERLAP`. A longer one is a clock that begins anew: what follows is shifted to
    where the last packet ended. Steps up to `JITTER` count only if they last unchanged, since many
    clocks are unsteady. One packet alone decides nothing, unless holes are usual.
    """

    def __init__(
        self,
        items: Iterable[Stamped],
        rate: float,
        *,
        rounding: float = ROUNDING,
        sparse: bool = False,
    ) -> None:
        """Settle packets or blocks in their order.

        Args:
            items: what the file states of them.
            rate: ticks per second.
            rounding: seconds up to which a step never counts.
            sparse: lengths are guesses and holes are usual, as of pictures: stamps that rise are
                trusted.
        """
        self._items = iter(items)
        self._ahead: deque[Stamped] = deque()
        self._rate = rate
        self._rounding = max(rounding * rate, 1.5)
        self._sparse = sparse
        self._shift = 0  # ticks that the stated clock has fallen behind by beginning anew
        # of the items ahead, how many are known to rise from the present one on, and their ticks
        self._risen, self._risen_ticks = 0, 0

    def __iter__(self) -> Iterator[Settled]:
        expected: int | None = None
        place = 0
        while (item := self._next()) is not None:
            restart = 0
            if expected is not None and self._goes_on(item, expected):  # as nearly all do
                place = expected
            elif expected is None:
                place = self._first(item)
            elif (rising := self._rising(item, place)) is not None:
                place = rising
            else:
                place, restart = self._following(item, expected)
            expected = place + item.length
            yield Settled(place, restart)

    def _goes_on(self, item: Stamped, expected: int) -> bool:
        """Whether an item of a stream without holes begins where the last one ended."""
        if self._sparse or item.place is None:
            return False
        return abs(item.place + self._shift - expected) <= self._rounding

    def _next(self) -> Stamped | None:
        if not self._ahead:
            return next(self._items, None)
        item = self._ahead.popleft()
        if self._risen:
            self._risen, self._risen_ticks = self._risen - 1, self._risen_ticks - item.length
        return item

    def _look(self, number: int) -> Stamped | None:
        """The item that follows in so many steps, 0 being the next."""
        self._ahead.extend(islice(self._items, max(0, number + 1 - len(self._ahead))))
        return self._ahead[number] if number < len(self._ahead) else None

    def _first(self, item: Stamped) -> int:
        """The place of the first: its own, unless the next two agree that it comes too late."""
        if item.place is None:
            return self._counted_back(item)
        second, third = self._look(0), self._look(1)
        if second is None or third is None or second.place is None or third.place is None:
            return item.place
        before = second.place - item.length
        if self._sparse and item.place <= second.place:
            return item.place
        agree = abs(third.place - second.place - second.length) <= self._rounding
        return before if agree and item.place > before + JITTER * self._rate else item.place

    def _counted_back(self, item: Stamped) -> int:
        """The place of the first where it states none: from the first that does; else 0."""
        passed = item.length
        for number in range(UNSTATED):
            following = self._look(number)
            if following is None:
                return 0
            if following.place is not None:
                return following.place - passed
            passed += following.length
        return 0

    def _rising(self, item: Stamped, last: int) -> int | None:
        """The own place of an item of a sparse stream, if it lies between its neighbours'."""
        if not self._sparse or item.place is None:
            return None
        place = item.place + self._shift
        if not self._rounding < place - last <= LONGEST_HOLE * self._rate:
            return None
        number, passed = self._risen, self._risen_ticks
        highest = self._ahead[number - 1].place if number else item.place
        rising = highest is not None
        while passed <= LASTING * self._rate or number < 2:
            following = self._look(number)
            if following is None:
                break
            if following.place is not None and following.place < item.place:
                return None
            passed += following.length
            number += 1
            rising = rising and following.place is not None and following.place >= (highest or 0)
            if rising:
                highest = following.place
                self._risen, self._risen_ticks = number, passed
        return place

    def _following(self, item: Stamped, expected: int) -> tuple[int, int]:
        """The place of a later one, and the step of a clock that begins anew with it."""
        if item.place is None:
            return expected, 0
        stated = item.place + self._shift
        step = stated - expected
        if abs(step) <= self._rounding or not self._lasts(item, step):
            return expected, 0
        if -OVERLAP * self._rate <= step <= LONGEST_HOLE * self._rate:
            return stated, 0
        self._shift -= step
        return expected, step

    def _lasts(self, item: Stamped, step: int) -> bool:
        """Whether the packets after a step stay on its new line."""
        assert item.place is not None
        small = abs(step) <= JITTER * self._rate
        near = self._rounding if small else min(JITTER * self._rate, abs(step) / 2)
        end, passed, number = item.place + item.length, item.length, 0
        while passed <= LASTING * self._rate or number < 2:
            following = self._look(number)
            if following is None:
                return number > 0 and not small
            if following.place is not None:
                if small and abs(following.place - end) > near:
                    return False
                if not small and abs(following.place - (end - step)) <= near:
                    return False
            end += following.length
            passed += following.length
            number += 1
        return True


def settled(
    things: Iterable[Thing],
    stated: Callable[[Thing], Stamped],
    rate: float,
    *,
    rounding: float = ROUNDING,
    sparse: bool = False,
) -> Iterator[tuple[Thing, Settled]]:
    """Each packet, frame or block with its settled place; arguments as of `Settler`."""
    kept: deque[Thing] = deque()
    stamps = _stamps(things, stated, kept)
    for each in Settler(stamps, rate, rounding=rounding, sparse=sparse):
        yield kept.popleft(), each


def _stamps(
    things: Iterable[Thing], stated: Callable[[Thing], Stamped], kept: deque[Thing]
) -> Iterator[Stamped]:
    """The stamps of things, each of which is kept until its place is settled."""
    for thing in things:
        kept.append(thing)
        yield stated(thing)
