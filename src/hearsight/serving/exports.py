"""The moments of a result in the formats of other tools."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from hearsight.exports.formats import FORMATS, Format
from hearsight.serving.result_files import read_moment

BASKET = ("file", "time", "score", "confidence", "level")  # of a moment in a basket, and its box


def export_formats(kind: str) -> list[Format]:
    """The formats for a `video` or a `picture`."""
    return [one for one in FORMATS.values() if kind == "video" or not one.video]


def export_moments(form: str, facts: Mapping[str, Any], held: Mapping[str, Any]) -> str:
    """The text of a result's moments in a format of that name.

    facts: of the result. held: its moments.

    Raises:
        HearsightError: this result cannot be written in that format.
    """
    from hearsight.exports.export import export_pieces
    from hearsight.media.read import MediaInfo

    height, width = facts["size"]
    rate = facts["frame_rate"]
    film = MediaInfo(
        path=Path(facts["name"]),
        duration=facts["duration"],
        width=width,
        height=height,
        frame_rate=None if rate is None else Fraction(rate),
    )
    moments = map(read_moment, held["moments"])
    return "".join(export_pieces(form, moments, film, every=facts["every"]))


def export_basket(form: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Moments of many files as `jsonl` or `csv`; their boxes are in shares of the frame's sides."""
    from hearsight.exports import csv_table, json_lines

    if form == "jsonl":
        return "".join(json_lines.lines(rows))
    return "".join(csv_table.lines([*BASKET, *csv_table.BOX], rows))
