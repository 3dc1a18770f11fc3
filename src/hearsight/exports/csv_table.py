"""CSV: a row per moment, with the box in four columns, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from hearsight.files.tables import DIGITS, Row, rounded
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

BOX = ("x0", "y0", "x1", "y1")
COLUMNS = ("time", "frame", "frame_rate", *BOX, "confidence", "share")


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """A head and a row for each moment; without a source the columns of the box are empty."""
    return lines(COLUMNS, (rounded(moment.to_dict(), DIGITS) for moment in moments))


def lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """A head, and a line for each row; its `box` fills the columns `BOX`."""
    yield _line(columns)
    for row in rows:
        edges = dict(zip(BOX, row.get("box") or (), strict=False))
        yield _line([{**row, **edges}.get(column) for column in columns])


def _line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
