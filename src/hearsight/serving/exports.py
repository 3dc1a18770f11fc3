"""The moments of a result in the formats of other tools."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hearsight.serving.result_files import read_moment

WRITERS = "hearsight.exports"
DIGITS = 3  # after the point, as the command prints


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """A format as it is offered."""

    name: str
    ending: str
    purpose: str  # what holds it or reads it, in a few words
    media_type: str
    video: bool  # for videos alone


JSON_LINES = ExportFormat(
    name="jsonl",
    ending=".jsonl",
    purpose="one JSON object per moment",
    media_type="application/jsonl",
    video=False,
)


def export_formats(kind: str) -> list[ExportFormat]:
    """The formats for a `video` or a `picture`."""
    if find_spec(WRITERS) is None:
        return [JSON_LINES]
    known = import_module(f"{WRITERS}.export").FORMATS.values()
    return [
        ExportFormat(
            name=one.name,
            ending=one.ending,
            purpose=one.purpose,
            media_type=one.media_type,
            video=one.video,
        )
        for one in known
        if kind == "video" or not one.video
    ]


def export_moments(form: str, facts: Mapping[str, Any], held: Mapping[str, Any]) -> str:
    """The text of a result's moments in a format of that name.

    facts: of the result. held: its moments.

    Raises:
        HearsightError: this result cannot be written in that format.
    """
    if find_spec(WRITERS) is None:
        return "".join(f"{json.dumps(_rounded(one))}\n" for one in held["moments"])
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
    writers: Any = import_module(f"{WRITERS}.export")
    return "".join(writers.export_pieces(form, moments, film, every=facts["every"]))


def _rounded(moment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in moment.items()
    }
