"""How long moments last, which of them make one stretch, and on which frames they lie."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from hearsight.errors import HearsightError
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

LABEL = "sound source"  # the name of what is found, where a format wants one
TOUCHING = 1e-6  # seconds between two moments that follow each other without a gap
ROUNDING = Fraction(1, 1000)  # of a frame, by which a time may lie before the frame it means


class Lasting(NamedTuple):
    """A moment, when it ends, and the moment after it."""

    moment: Moment
    end: float  # seconds
    following: Moment | None

    def joins(self, film: MediaInfo) -> bool:
        """Whether it lasts until the next moment, or the last one until the film's end."""
        after = film.duration if self.following is None else self.following.time
        return after <= self.end + TOUCHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Moments with a source that follow each other without a gap."""

    start: float  # seconds
    end: float
    best: Moment  # of the highest confidence

    @property
    def label(self) -> str:
        """Its highest confidence, and the box there."""
        assert self.best.box is not None
        box = " ".join(map(str, self.best.box))
        return f"{LABEL} {self.best.confidence:.2f}, box {box}"


def lasting(
    moments: Iterable[Moment], film: MediaInfo, every: float | None = None
) -> Iterator[Lasting]:
    """Each moment with its end: the next moment, `every` seconds later, or the film's end.

    The first of these counts. Without `every` a moment lasts until the next one.

    Raises:
        HearsightError: the moments are not in order of time.
    """
    before: Moment | None = None
    for moment in moments:
        if before is not None:
            if moment.time < before.time:
                raise HearsightError(
                    "Moments are exported in order of time, not"
                    f" {moment.time:g} s after {before.time:g} s."
                )
            yield Lasting(before, _end(before, moment.time, every), moment)
        before = moment
    if before is not None:
        yield Lasting(before, _end(before, film.duration, every), None)


def _end(moment: Moment, after: float, every: float | None) -> float:
    end = after if every is None else min(after, moment.time + every)
    return max(end, moment.time)


def stretches(
    moments: Iterable[Moment], film: MediaInfo, every: float | None = None
) -> Iterator[Stretch]:
    """The stretches of a film in which there is a source; arguments and errors as `lasting`."""
    start: float | None = None
    best: Moment | None = None
    for moment, end, following in lasting(moments, film, every):
        if moment.box is None:
            continue
        start = moment.time if start is None else start
        if best is None or moment.confidence > best.confidence:
            best = moment
        gap = following is None or following.box is None or following.time > end + TOUCHING
        if gap:
            yield Stretch(start=start, end=end, best=best)
            start = best = None


def rate_of(film: MediaInfo) -> Fraction:
    """Frames per second of a film; the mean where it varies.

    Raises:
        HearsightError: none is known, as of a picture.
    """
    if not film.frame_rate:
        raise HearsightError(f"'{film.path}' has no frame rate, which this format needs.")
    return film.frame_rate


def frame_at(time: float, rate: Fraction) -> int:
    """The number of the frame shown at a time (seconds), counted from 0 at a constant rate."""
    return max(0, math.floor(Fraction(time) * rate + ROUNDING))


def frame_number(moment: Moment, film: MediaInfo) -> int:
    """The moment's own frame number, else that of its time at the film's rate."""
    return frame_at(moment.time, rate_of(film)) if moment.frame is None else moment.frame


def one_per_frame(moments: Iterable[Moment], film: MediaInfo) -> Iterator[Moment]:
    """The first moment of each frame: where moments lie closer than frames, some share one."""
    last = -1
    for moment in moments:
        number = frame_number(moment, film)
        if number != last:
            yield moment
        last = number
