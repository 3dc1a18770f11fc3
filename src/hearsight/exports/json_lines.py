"""JSON lines: an object per moment, as `hearsight localise` prints them."""

import json
from collections.abc import Iterable, Iterator

from hearsight.files.tables import DIGITS, Row, rounded
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo


def json_line(moment: Moment) -> str:
    """The fields of a moment as JSON, numbers to `DIGITS` digits after the point."""
    return json.dumps(rounded(moment.to_dict(), DIGITS))


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """A line for each row."""
    return (f"{json.dumps(rounded(row, DIGITS))}\n" for row in rows)


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """A line for each moment; the film's facts are in the moments."""
    return lines(moment.to_dict() for moment in moments)
