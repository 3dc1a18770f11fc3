"""`hearsight localise`: localises the sound of a video, or of a picture and a sound file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import DIGITS, Bars, note
from hearsight.commands.options import Device, Threads
from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError
from hearsight.files.tables import rounded


def localise(
    source: Annotated[Path, typer.Argument(help="A video, or a picture with --sound.")],
    sound: Annotated[Path | None, typer.Option(help="The sound of a picture.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Checkpoint, run folder, model folder or name.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the video or picture, painted.")
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
    force: Force = False,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Say where the sound of a video, or of a picture with a sound, comes from.

    Prints one JSON object per moment: time in seconds, box in pixels (x0, y0, x1, y1) or null,
    confidence, share of the frame; numbers to 3 digits after the point.

    Example: hearsight localise concert.mp4 -o painted.mp4
    """
    import torch

    from hearsight.localising.localise import localise_image, localise_video
    from hearsight.localising.moments import check_strip, check_style
    from hearsight.localising.painting import PICTURES
    from hearsight.media.write import SUFFIXES

    if style is not None:
        check_style(style)
    if strip is not None:
        check_strip(strip)
    for option, given in (("--style", style), ("--strip", strip)):
        if given is not None and output is None:
            raise HearsightError(f"{option} is for painting: name the file to write by -o.")
    for option, video_only in (("--every", every), ("--strip", strip)):
        if video_only is not None and sound is not None:
            raise HearsightError(f"{option} is for videos: a picture is one moment.")
    torch.set_num_threads(threads)
    sources = [source] if sound is None else [source, sound]
    with (
        writing((output, SUFFIXES if sound is None else PICTURES), force=force, sources=sources),
        Bars() as bars,
    ):
        moments = (
            localise_video(
                source,
                model=model,
                every=1.0 if every is None else every,
                overlay=output,
                style=style,
                strip=strip,
                threshold=threshold,
                device=device,
                progress=bars,
                notice=note,
            )
            if sound is None
            else [
                localise_image(
                    source,
                    sound,
                    model=model,
                    overlay=output,
                    style=style,
                    threshold=threshold,
                    device=device,
                )
            ]
        )
        for moment in moments:
            print(json.dumps(rounded(asdict(moment), DIGITS)), flush=True)
