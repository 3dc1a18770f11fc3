"""Boxes as annotation tools keep a track: key frames, the box interpolated from one to the next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from hearsight.exports.intervals import Lasting, frame_number, lasting, rate_of
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFrame:
    """A frame at which the box is given, or from which on there is none."""

    frame: int  # counted as frames are shown, from 0
    time: float  # seconds
    box: tuple[int, int, int, int]  # pixels [x0, y0, x1, y1]; outside: the last one that was seen
    confidence: float
    outside: bool  # there is no source from here on


def key_frames(
    moments: Iterable[Moment], film: MediaInfo, every: float | None = None
) -> Iterator[KeyFrame]:
    """A key frame for each moment with a source, and one where its source ends.

    A source ends at a moment without one, or where its moment ends and no other follows there. A
    box that lasts until the film's end is left open. Where moments lie closer than frames, or the
    sound goes on when the picture has ended, the first of a frame counts for all of them.

    Raises:
        HearsightError: moments are not in order of time, or the film's rate is not known.
    """
    rate = rate_of(film)
    seen: KeyFrame | None = None
    shown: Lasting | None = None  # the last moment on the frame before
    for part in lasting(moments, film, every):
        moment, number = part.moment, frame_number(part.moment, film)
        if shown is not None and number == frame_number(shown.moment, film):
            shown = part
            continue
        if seen is not None and shown is not None and not shown.joins(film):
            end = _end_of(seen, shown.end, rate)
            if end.frame < number:
                yield end
                seen = None
        if moment.box is not None:
            seen = KeyFrame(
                frame=number,
                time=moment.time,
                box=moment.box,
                confidence=moment.confidence,
                outside=False,
            )
            yield seen
        elif seen is not None:
            yield replace(seen, frame=number, time=moment.time, outside=True)
            seen = None
        shown = part
    if seen is not None and shown is not None and not shown.joins(film):
        yield _end_of(seen, shown.end, rate)


def _end_of(seen: KeyFrame, time: float, rate: Fraction) -> KeyFrame:
    """The frame from which on there is none, of a box that is seen until a time."""
    frames = max(1, round((time - seen.time) * rate))
    return replace(seen, frame=seen.frame + frames, time=time, outside=True)


def frame_count(film: MediaInfo) -> int:
    """Frames of a film by its duration and rate, at least 1: near where the rate varies."""
    return max(1, round(film.duration * rate_of(film)))
