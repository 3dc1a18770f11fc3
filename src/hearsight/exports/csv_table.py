"""CSV: a row per moment, with the box in four columns, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterable, Iterator

from hearsight.files.tables import DIGITS, rounded
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

COLUMNS = ("time", "frame", "frame_rate", "x0", "y0", "x1", "y1", "confidence", "share")


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """A head and a row for each moment; without a source the columns of the box are empty."""
    yield _line(COLUMNS)
    for moment in moments:
        row = rounded(moment.to_dict(), DIGITS)
        row |= dict(zip(("x0", "y0", "x1", "y1"), moment.box or (), strict=False))
        yield _line([row.get(column) for column in COLUMNS])


def _line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
