"""The formats that moments are written in: their names and endings, without their writers."""

from dataclasses import dataclass
from pathlib import Path

from hearsight.errors import HearsightError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One of the formats that moments are written in."""

    name: str
    ending: str  # of a file's name that tells the format
    purpose: str  # what it holds or what reads it, in a few words
    media_type: str  # as a server names it
    video: bool = True  # needs the times or frames of a video, so a picture has none


FORMATS = {
    one.name: one
    for one in (
        Format(
            name="jsonl",
            ending=".jsonl",
            purpose="a JSON object per moment, as on stdout",
            media_type="application/jsonl",
            video=False,
        ),
        Format(
            name="csv",
            ending=".csv",
            purpose="a row per moment",
            media_type="text/csv",
            video=False,
        ),
        Format(
            name="webvtt",
            ending=".vtt",
            purpose="metadata track for a page: box and confidence as JSON",
            media_type="text/vtt",
        ),
        Format(
            name="webvtt-chapters",
            ending=".chapters.vtt",
            purpose="a chapter for each stretch with a source",
            media_type="text/vtt",
        ),
        Format(
            name="cvat",
            ending=".xml",
            purpose="CVAT for video 1.1: a track of boxes",
            media_type="application/xml",
        ),
        Format(
            name="label-studio",
            ending=".labelstudio.json",
            purpose="Label Studio: a video task with its track",
            media_type="application/json",
        ),
        Format(
            name="coco",
            ending=".coco.json",
            purpose="COCO: an image per moment, its box",
            media_type="application/json",
            video=False,
        ),
        Format(
            name="audacity",
            ending=".txt",
            purpose="Audacity: a label for each stretch with a source",
            media_type="text/plain",
        ),
        Format(
            name="fcpxml",
            ending=".fcpxml",
            purpose="Final Cut Pro, Resolve: markers of the stretches",
            media_type="application/xml",
        ),
        Format(
            name="edl",
            ending=".edl",
            purpose="CMX 3600 edit decision list: locators of the stretches",
            media_type="text/plain",
        ),
    )
}
"""The formats by their names."""


def known_format(name: str) -> Format:
    """The format of a name; raises HearsightError if there is none."""
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise HearsightError(
            f"There is no export format '{name}', only {known}.{nearest(name, FORMATS)}"
        )
    return FORMATS[name]


def format_of(path: Path) -> Format:
    """The format that a file's ending tells: of several endings the longest.

    Raises:
        HearsightError: it tells none.
    """
    name = path.name.lower()
    found = [one for one in FORMATS.values() if name.endswith(one.ending)]
    if not found:
        endings = ", ".join(one.ending for one in FORMATS.values())
        raise HearsightError(f"'{path}' must end in one of {endings}, or its format be named.")
    return max(found, key=lambda one: len(one.ending))
