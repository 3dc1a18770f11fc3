"""Writes moments in a format of another tool: to a file, whole or not at all, or to a stream."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from hearsight.errors import HearsightError, refuse_name
from hearsight.exports import (
    audacity,
    coco,
    csv_table,
    cvat,
    edl,
    fcpxml,
    json_lines,
    label_studio,
    webvtt,
)
from hearsight.exports.formats import FORMATS, Format, format_of, known_format
from hearsight.files.output import check_output, written_whole
from hearsight.localising.moments import Moment
from hearsight.media.in_memory import open_picture
from hearsight.media.picture import is_picture
from hearsight.media.read import MediaInfo, probe


@runtime_checkable
class ByteStream(Protocol):
    """What bytes are written to: a file that is open, a response, a buffer."""

    def write(self, data: bytes, /) -> object: ...


Writer: TypeAlias = Callable[[Iterable[Moment], MediaInfo, float | None], Iterator[str]]
"""Moments in order of time, the film, seconds that a moment lasts: the text, piece by piece."""


WRITERS: dict[str, Writer] = {
    "jsonl": json_lines.write,
    "csv": csv_table.write,
    "webvtt": webvtt.write_metadata,
    "webvtt-chapters": webvtt.write_chapters,
    "cvat": cvat.write,
    "label-studio": label_studio.write,
    "coco": coco.write,
    "audacity": audacity.write,
    "fcpxml": fcpxml.write,
    "edl": edl.write,
}
"""The writer of each of `FORMATS`."""


def write_export(
    target: Path | str | ByteStream,
    format: str | None,
    moments: Iterable[Moment],
    film: MediaInfo | Path | str,
    *,
    every: float | None = None,
) -> None:
    """Write moments of one film, or of one picture, in the format of another tool, as UTF-8.

    A file appears under its name only when it is whole; one that was there is written over. A
    moment is taken when it is written, so that memory does not grow with the film; the formats
    `coco` and `label-studio` are one JSON value, and hold all.

    Args:
        target: a file, or a stream to write bytes to, which stays open.
        format: a name of `FORMATS`; None: what the file's ending tells.
        moments: of one film, in order of time.
        film: what `media.read.probe` says of it, or its file.
        every: seconds that a moment lasts at most; by default until the next one, and the last one
            until the film's end.

    Raises:
        HearsightError: there is no such format, the ending tells none, a picture's moment in a
            format that is for videos, moments out of order, a film in their place, or a file that
            cannot be read or written.
    """
    refuse_name("moments", moments, "localise_video")
    if not isinstance(target, Path | str):
        if format is None:
            raise HearsightError(f"Name the format to write: {', '.join(FORMATS)}.")
        for piece in export_pieces(format, moments, film, every=every):
            target.write(piece.encode())
        return
    path = Path(target)
    format = format_of(path).name if format is None else format
    pieces = export_pieces(format, moments, film, every=every)
    check_output(path, (path.suffix.lower(),))
    with written_whole(path) as part, part.open("wb") as file:
        for piece in pieces:
            file.write(piece.encode())


def export_pieces(
    format: str,
    moments: Iterable[Moment],
    film: MediaInfo | Path | str,
    *,
    every: float | None = None,
) -> Iterator[str]:
    """The text that `write_export` writes, piece by piece; arguments and errors as there."""
    chosen = known_format(format)
    facts = film if isinstance(film, MediaInfo) else film_facts(film)
    check_film(chosen, facts)
    return WRITERS[format](moments, facts, every)


def check_film(format: Format, film: MediaInfo) -> None:
    """Raise HearsightError if a format is for videos and this is a picture."""
    if format.video and not film.frame_rate:
        raise HearsightError(
            f"The format {format.name} is for videos, and '{film.path}' has no frame rate."
        )


def film_facts(path: Path | str) -> MediaInfo:
    """What a writer has to know of a film or picture: its size, and a film's duration and rate.

    Raises:
        HearsightError: it cannot be read.
    """
    path = Path(path)
    if not is_picture(path):
        return probe(path)
    height, width, _ = open_picture(path).shape
    return MediaInfo(path=path, duration=0.0, width=width, height=height)
