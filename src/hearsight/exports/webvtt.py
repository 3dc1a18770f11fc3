"""WebVTT: text tracks of a video in a page, of kind `metadata` or `chapters`.

A cue of the metadata track is a moment, its text the JSON of one line of `json_lines`: a script
reads it from the active cue and draws the box. A cue of the chapters is a stretch with a source.

Source: WebVTT, W3C Candidate Recommendation, 4.1 (files) and 4.2.1 (cue text).
"""

from collections.abc import Iterable, Iterator
from html import escape

from hearsight.exports.intervals import lasting, stretches
from hearsight.exports.json_lines import json_line
from hearsight.exports.names import name_of
from hearsight.files.text import one_line
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

SHORTEST = 1  # milliseconds; a cue has to end after it begins


def write_metadata(
    moments: Iterable[Moment], film: MediaInfo, every: float | None = None
) -> Iterator[str]:
    """A cue for each moment, those without a source too."""
    yield _head(film)
    for number, (moment, end, _) in enumerate(lasting(moments, film, every), start=1):
        yield _cue(number, moment.time, end, json_line(moment))


def write_chapters(
    moments: Iterable[Moment], film: MediaInfo, every: float | None = None
) -> Iterator[str]:
    """A cue for each stretch with a source."""
    yield _head(film)
    for number, stretch in enumerate(stretches(moments, film, every), start=1):
        yield _cue(number, stretch.start, stretch.end, escape(stretch.label, quote=False))


def _head(film: MediaInfo) -> str:
    """The first line, which names the film; an arrow would be taken for times."""
    return f"WEBVTT {one_line(name_of(film)).replace('-->', '--')}\n"


def _cue(number: int, start: float, end: float, text: str) -> str:
    begin = round(start * 1000)
    last = max(round(end * 1000), begin + SHORTEST)
    return f"\n{number}\n{_clock(begin)} --> {_clock(last)}\n{text}\n"


def _clock(milliseconds: int) -> str:
    """`HH:MM:SS.mmm`; more than two digits of hours where a film is so long."""
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}"
