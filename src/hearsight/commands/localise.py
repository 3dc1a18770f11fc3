"""`hearsight localise`: localises the sound of a video, or of a picture and a sound file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.commands.console import Bars, note, tell
from hearsight.commands.options import Device, Threads
from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError
from hearsight.exports.formats import FORMATS, format_of, known_format
from hearsight.progress import Progress

if TYPE_CHECKING:
    from hearsight.localising.moments import Moment


def localise(
    source: Annotated[Path, typer.Argument(help="A video, or a picture with --sound.")],
    sound: Annotated[Path | None, typer.Option(help="The sound of a picture.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Checkpoint, run folder, model folder or name.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the video or picture, painted.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Seconds between two moments of a video; by default 1.")
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(help="How -o paints: `heat`, `contour` or `box`; by default `heat`."),
    ] = None,
    strip: Annotated[
        str | None,
        typer.Option(help="The timeline of -o: `none`, `thin` or `full`; by default `thin`."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Confidence below which there is no source.")
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write the moments for another tool, too; may be given several times. The ending"
            f" tells the format: {', '.join(one.ending for one in FORMATS.values())}."
        ),
    ] = None,
    export_format: Annotated[
        list[str] | None,
        typer.Option(
            help="The format of each --export, in the same order, whatever its ending:"
            f" {', '.join(FORMATS)}."
        ),
    ] = None,
    force: Force = False,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Say where the sound of a video, or of a picture with a sound, comes from.

    Prints one JSON object per moment: time in seconds, box in pixels (x0, y0, x1, y1) or null,
    confidence, share of the frame; numbers to 3 digits after the point; the number of the frame,
    from 0, and the video's frames per second.

    Example: hearsight localise concert.mp4 -o painted.mp4 --export boxes.xml --export notes.vtt
    """
    import torch

    from hearsight.exports.export import film_facts, write_export
    from hearsight.exports.json_lines import json_line
    from hearsight.localising.painting import PICTURES
    from hearsight.media.write import SUFFIXES

    _check(source, out, style=style, strip=strip, every=every, picture=sound is not None)
    exports = _exports(export or [], export_format or [], picture=sound is not None)
    torch.set_num_threads(threads)
    with (
        writing(
            (out, SUFFIXES if sound is None else PICTURES),
            *((path, ()) for path, _ in exports),
            force=force,
            sources=[source] if sound is None else [source, sound],
        ),
        Bars() as bars,
    ):
        found = []
        for moment in _moments(
            source,
            sound,
            every=every,
            model=model,
            overlay=out,
            style=style,
            strip=strip,
            threshold=threshold,
            device=device,
            progress=bars,
        ):
            print(json_line(moment), flush=True)
            found.append(moment)
        tell(without_source(found))
        if exports:
            film = film_facts(source.absolute())
        for path, format in exports:
            write_export(path, format, found, film, every=every or 1.0)


def _check(
    source: Path,
    out: Path | None,
    *,
    style: str | None,
    strip: str | None,
    every: float | None,
    picture: bool,
) -> None:
    """Refuse options that are wrong or unfit for what is localised, before any work.

    picture: whether a picture with a sound is localised, not a video.

    Raises:
        HearsightError: one is.
    """
    from hearsight.localising.localise import refuse_picture
    from hearsight.localising.moments import check_strip, check_style
    from hearsight.localising.painting import PICTURES

    if style is not None:
        check_style(style)
    if strip is not None:
        check_strip(strip)
    for option, given in (("--style", style), ("--strip", strip)):
        if given is not None and out is None:
            raise HearsightError(f"{option} is for painting: name the file to write by -o.")
    for option, video_only in (("--every", every), ("--strip", strip)):
        if video_only is not None and picture:
            raise HearsightError(f"{option} is for videos: a picture is one moment.")
    if not picture and out is not None and out.suffix.lower() in PICTURES:
        refuse_picture(source)


def _moments(
    source: Path,
    sound: Path | None,
    *,
    every: float | None,
    model: str | None,
    overlay: Path | None,
    style: str | None,
    strip: str | None,
    threshold: float | None,
    device: str | None,
    progress: Progress,
) -> "Iterable[Moment]":
    """The moments of a video as they are found, or the one of a picture with a sound."""
    from hearsight.localising.localise import localise_image, localise_video

    if sound is not None:
        return [
            localise_image(
                source,
                sound,
                model=model,
                overlay=overlay,
                style=style,
                threshold=threshold,
                device=device,
            )
        ]
    return localise_video(
        source,
        model=model,
        every=1.0 if every is None else every,
        overlay=overlay,
        style=style,
        strip=strip,
        threshold=threshold,
        device=device,
        progress=progress,
        notice=note,
    )


def without_source(moments: "Sequence[Moment]") -> list[str]:
    """A sentence where no moment has a source, so that nothing is painted either."""
    from hearsight.media.sound_windows import QUIET

    if not moments or any(one.box is not None for one in moments):
        return []
    where = f"any of the {len(moments):,} moments" if len(moments) > 1 else "this moment"
    said = f"No source was found at {where}: "
    heard = [one.confidence for one in moments if one.confidence != 0]  # silence has exactly 0
    if not heard:
        return [f"{said}the sound is silent (below {QUIET:g} dBFS)."]
    return [
        f"{said}the highest confidence is {max(heard):.3f}, below the threshold "
        "(--threshold sets another)."
    ]


def _exports(paths: list[Path], formats: list[str], *, picture: bool) -> list[tuple[Path, str]]:
    """Each file to export to and its format; HearsightError if one is not known or unfit."""
    if formats and len(formats) != len(paths):
        raise HearsightError(
            "Name one --export-format for each --export, in the same order, not"
            f" {len(formats)} for {len(paths)}."
        )
    chosen = [known_format(name) for name in formats] or [format_of(path) for path in paths]
    for path, format in zip(paths, chosen, strict=True):
        if picture and format.video:
            raise HearsightError(f"'{path}': the format {format.name} is for videos only.")
    return [(path, format.name) for path, format in zip(paths, chosen, strict=True)]
