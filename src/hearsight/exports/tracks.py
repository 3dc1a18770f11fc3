"""Boxes as annotation tools keep a track: key frames, the box interpolated from one to the next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hearsight.exports.intervals import frame_number, lasting, one_per_frame, rate_of
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
    box that lasts until the film's end is left open. Where moments lie closer than frames, the
    first of a frame counts.

    Raises:
        HearsightError: moments are not in order of time, or the film's rate is not known.
    """
    rate = rate_of(film)
    seen: KeyFrame | None = None
    for part in lasting(one_per_frame(moments, film), film, every):
        moment, following = part.moment, part.following
        number = frame_number(moment, film)
        if moment.box is None:
            if seen is not None:
                yield _end_of(seen, number, moment.time)
            seen = None
            continue
        seen = KeyFrame(
            frame=number,
            time=moment.time,
            box=moment.box,
            confidence=moment.confidence,
            outside=False,
        )
        yield seen
        last = number + max(1, round((part.end - moment.time) * rate))
        if not part.joins(film) and (following is None or last < frame_number(following, film)):
            yield _end_of(seen, last, part.end)
            seen = None


def _end_of(seen: KeyFrame, frame: int, time: float) -> KeyFrame:
    return KeyFrame(frame=frame, time=time, box=seen.box, confidence=seen.confidence, outside=True)


def frame_count(film: MediaInfo) -> int:
    """Frames of a film by its duration and rate, at least 1: near where the rate varies."""
    return max(1, round(film.duration * rate_of(film)))
