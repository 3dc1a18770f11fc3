"""Audacity labels: a line for each stretch with a source, of start, end (seconds) and text.

Source: Audacity manual, "Importing and Exporting Labels", standard format.
"""

from collections.abc import Iterable, Iterator

from hearsight.exports.intervals import stretches
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """Columns between tabs; seconds to the microsecond, as Audacity writes them."""
    for stretch in stretches(moments, film, every):
        yield f"{stretch.start:.6f}\t{stretch.end:.6f}\t{stretch.label}\n"
