"""Moments and films for the tests of exports."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hearsight.exports.intervals import frame_at
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

Box = tuple[int, int, int, int]
BOXES: tuple[Box | None, ...] = (
    *((10, 20, 110, 220), (20, 20, 110, 220), None, None, (300, 0, 640, 360)),
    *(None, (1, 2, 3, 4), (1, 2, 3, 5), None, (0, 0, 640, 360)),
)
FILM = MediaInfo(
    path=Path("concert.mp4"),
    duration=10.0,
    width=640,
    height=360,
    frame_rate=Fraction(25),
    sound_rate=48_000,
    channels=2,
)
NTSC = replace(FILM, frame_rate=Fraction(30_000, 1001))
PICTURE = MediaInfo(path=Path("street.jpg"), duration=0.0, width=640, height=360)
HOSTILE = 'a "b" <i>\'&amp; \udcff --> é\u2028\x01\n\n1\n00:01.000 --> 00:02.000\nx.mp4'


def moment(time: float, box: Box | None, film: MediaInfo = FILM, confidence: float = 0.5) -> Moment:
    """A moment at a time, on the frame that a constant rate shows then."""
    assert film.frame_rate is not None
    return Moment(
        time=time,
        box=box,
        confidence=confidence if box else 0.0,
        share=0.25 if box else 0.0,
        frame=frame_at(time, film.frame_rate),
        frame_rate=film.frame_rate,
    )


def moments(
    film: MediaInfo = FILM, *, every: float = 1.0, boxes: Sequence[Box | None] = BOXES
) -> list[Moment]:
    """A moment every so many seconds, each of another confidence."""
    return [
        moment(every * place, box, film, round(0.3 + 0.07 * place, 3))
        for place, box in enumerate(boxes)
    ]
