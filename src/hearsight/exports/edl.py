"""CMX 3600 edit decision list: the film as one event, a locator for each stretch with a source.

Timecode counts frames, the film's first one as 0. At 29.97 and 59.94 frames per second it drops
numbers, so that it keeps pace with the clock: its last separator is a semicolon, and FCM says so.
Times are those of the frames in which editors count; see `timecode_rate` for films of other rates.

Source: CMX 3600 as editors write it today, locators as Avid does; SMPTE ST 12-1 for timecode.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from hearsight.errors import HearsightError
from hearsight.exports.fcpxml import RATES, project_rate
from hearsight.exports.intervals import frame_at, stretches
from hearsight.exports.names import name_of
from hearsight.files.text import one_line
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

DROPS = {Fraction(30_000, 1001): 2, Fraction(60_000, 1001): 4}
"""Numbers that each minute drops, but each tenth, by frames per second."""

DAY = 24 * 3600  # seconds of timecode, after which it begins anew
BOTH = "B"  # pictures and sound
COLOUR = "YELLOW"  # of a locator; one of those that Avid knows


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """Title and frame code mode, one event with the film's name, its locators.

    Raises:
        HearsightError: when it is begun, of a film that lasts a day or longer.
    """
    rate, name = timecode_rate(film), one_line(name_of(film))
    last = max(1, frame_at(film.duration, rate))
    first, end = timecode(0, rate), timecode(last, rate)
    yield f"TITLE: {name}\nFCM: {'' if rate in DROPS else 'NON-'}DROP FRAME\n\n"
    yield f"001  {'AX':8} {BOTH:4}  {'C':4}     {first} {end} {first} {end}\n"
    yield f"* FROM CLIP NAME: {name}\n"
    for stretch in stretches(moments, film, every):
        begin, until = (timecode(frame_at(at, rate), rate) for at in (stretch.start, stretch.end))
        yield f"* LOC: {begin} {COLOUR:7} {stretch.label}, until {until}\n"


def timecode_rate(film: MediaInfo) -> Fraction:
    """Frames per second that timecode counts: the film's, or one that editors know, see `RATES`.

    A rate within 1 % of one of these becomes it. Of another rate it is the lowest one in which
    each of the film's frames has as many, such as 30 for 15, else 30.

    Raises:
        HearsightError: as of `rate_of`.
    """
    rate = project_rate(film)
    if rate in RATES:
        return rate
    return next((one for one in RATES if (one / rate).denominator == 1), Fraction(30))


def timecode(frames: int, rate: Fraction) -> str:
    """The timecode of a frame, counted from 0: drop-frame at the rates of `DROPS`.

    Raises:
        HearsightError: a day has no such frame.
    """
    base, drop = round(rate), DROPS.get(rate, 0)
    if drop:
        tens, rest = divmod(frames, 10 * (60 * base - drop) + drop)
        frames += drop * (9 * tens + max(0, rest - drop) // (60 * base - drop))
    seconds, frame = divmod(frames, base)
    if seconds >= DAY:
        raise HearsightError("Timecode counts to 24 hours, which this film exceeds.")
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{';' if drop else ':'}{frame:02}"
