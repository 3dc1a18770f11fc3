"""What the worker processes do for the server, by name: arguments and results are plain data.

torch and the media libraries are imported by the task that needs them.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError
from hearsight.files.output import write_bytes
from hearsight.progress import Progress, no_notice, of_stage
from hearsight.serving.result_files import (
    FACTS,
    MAPS,
    MOMENTS,
    PICTURE,
    PLAYABLE,
    SOUND,
    read_moment,
    write_result,
)
from hearsight.serving.searching import SEARCHES
from hearsight.serving.state import State
from hearsight.serving.texts import TEXTS

LEVELS = 2000  # of the loudness of a whole film, at most
FINEST = 0.05  # seconds that a level stands for at least


@contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Name a file in what it raises as its owner does, not by where it lies here."""
    try:
        yield
    except HearsightError as error:
        raise HearsightError(str(error).replace(f"'{path}'", f"'{name}'")) from error


def warm(state: State, progress: Progress) -> None:
    """Load the model, so that the next task need not wait for it."""
    state.model  # noqa: B018


def localise_film(
    state: State, progress: Progress, *, film: str, name: str, folder: str, every: float
) -> None:
    """Localise a film; its result is written into `folder`, a copy that browsers play if need be.

    name: of the film, in what is said about it. every: seconds between two moments.

    Raises:
        HearsightError: as `localise_video`, or the result cannot be written.
    """
    from hearsight.localising.localise import threshold_of
    from hearsight.media.picture import is_picture
    from hearsight.media.read import probe
    from hearsight.pages.playable import is_playable

    path = Path(film)
    with called(path, name):
        if is_picture(path):
            raise HearsightError(f"'{name}' is a picture: add the sound that it is seen with.")
        moments = list(state.model.localise_video(path, every=every, maps=True, progress=progress))
        info = probe(path)
        facts = {
            "kind": "video",
            "duration": info.duration,
            "size": [info.height, info.width],
            "frame_rate": None if info.frame_rate is None else str(info.frame_rate),
            "every": every,
            "threshold": threshold_of(state.model.facts),
            "model": state.settings.model or state.model.recipe.name,
        }
        write_result(Path(folder), facts, moments, levels_of(path, info.duration))
        if not is_playable(path):
            make_playable(state, progress, film=film, name=name, folder=folder)


def make_playable(state: State, progress: Progress, *, film: str, name: str, folder: str) -> None:
    """Write a copy of a film that browsers play.

    Raises:
        HearsightError: the film cannot be read.
    """
    from hearsight.pages.playable import copy_playable

    with called(Path(film), name):
        copy_playable(Path(film), Path(folder) / PLAYABLE, progress=progress)


def localise_picture(
    state: State,
    progress: Progress,
    *,
    picture: str,
    picture_name: str,
    sound: str,
    sound_name: str,
    folder: str,
) -> None:
    """Localise a sound in a picture; the result is written into `folder`.

    Raises:
        HearsightError: as `localise_image`, or the result cannot be written.
    """
    from hearsight.clips.clip import encode_picture
    from hearsight.localising.localise import threshold_of
    from hearsight.localising.painting import LONGEST_SIDE
    from hearsight.media.picture import read_picture, squeezed
    from hearsight.media.read import probe
    from hearsight.pages.playable import is_playable_sound, make_sound_clip

    target, heard = Path(folder), Path(sound)
    with called(Path(picture), picture_name), called(heard, sound_name):
        progress("localising", 0, 1)
        moment = state.model.localise_image(picture, sound, maps=True)
        pixels = read_picture(picture)
        shown = squeezed(pixels, LONGEST_SIDE[".jpg"])
        write_bytes(target / PICTURE, encode_picture(shown))
        duration = probe(heard).duration
        if not is_playable_sound(heard):
            write_bytes(target / SOUND, make_sound_clip(heard, 0.0, duration))
        facts = {
            "kind": "picture",
            "duration": duration,
            "size": list(pixels.shape[:2]),
            "frame_rate": None,
            "every": duration,
            "threshold": threshold_of(state.model.facts),
            "model": state.settings.model or state.model.recipe.name,
        }
        write_result(target, facts, [moment], levels_of(heard, duration))
        progress("localising", 1, 1)


def levels_of(path: Path, duration: float) -> dict[str, Any]:
    """The loudness of a file over time: `step` in seconds, `values` in dBFS, null for nothing."""
    from math import isfinite

    from hearsight.media.read import stream_sound
    from hearsight.media.samples import RATE
    from hearsight.media.sound_windows import levels

    step = max(FINEST, duration / LEVELS)
    values = levels(stream_sound(path, rate=RATE), step)
    return {"step": step, "values": [round(one, 1) if isfinite(one) else None for one in values]}


def paint(
    state: State, progress: Progress, *, film: str, name: str, folder: str, style: str, target: str
) -> None:
    """Write a film painted by the result in `folder`, nothing computed again.

    Raises:
        HearsightError: the film cannot be read, or the painted one not be written.
    """
    import numpy as np

    from hearsight.localising.localise import paint_film
    from hearsight.localising.moments import MomentHeatmap, VideoPainter, check_style
    from hearsight.localising.moments import paint as paint_picture
    from hearsight.localising.painting import save_picture
    from hearsight.media.picture import read_picture
    from hearsight.media.read import probe

    check_style(style)
    result = Path(folder)
    facts = json.loads((result / FACTS).read_text("utf-8"))
    held = json.loads((result / MOMENTS).read_text("utf-8"))
    count = len(held["moments"])
    maps = np.frombuffer((result / MAPS).read_bytes(), np.uint8).reshape(count, *held["grid"])
    localised = [
        MomentHeatmap(moment=read_moment(one), heatmap=heatmap)
        for one, heatmap in zip(held["moments"], maps, strict=True)
    ]
    with called(Path(film), name):
        if facts["kind"] == "picture":
            save_picture(paint_picture(read_picture(film), localised[0], style), Path(target))
            return
        painter = VideoPainter(
            style=style,
            threshold=facts["threshold"],
            duration=facts["duration"],
            localised=localised,
        )
        told = of_stage(progress, "painting")
        paint_film(probe(film), painter, Path(target), told, veil=painter.veiler, notice=no_notice)


def export(state: State, progress: Progress, *, form: str, facts: Any, held: Any) -> str:
    """The text of a result's moments in another tool's format.

    Raises:
        HearsightError: this result cannot be written so.
    """
    from hearsight.serving.exports import export_moments

    return export_moments(form, facts, held)


def basket(state: State, progress: Progress, *, form: str, rows: list[dict[str, Any]]) -> str:
    """The text of a basket of moments, as `jsonl` or `csv`."""
    from hearsight.serving.exports import export_basket

    return export_basket(form, rows)


def index(state: State, progress: Progress, *, folder: str, name: str) -> str:
    """Add what is new below a folder to the library; in a sentence, what came of it.

    A new library is made with the model that localises films; an old one keeps its own.

    Raises:
        HearsightError: as `index_videos`.
    """
    import torch

    from hearsight.library.indexing import index_videos
    from hearsight.library.lance_table import MomentTable

    torch.set_num_threads(state.settings.threads)
    library = state.settings.library or ""
    with called(Path(folder), name):
        summary = index_videos(
            library,
            [folder],
            model=state.settings.model if MomentTable.open(library) is None else None,
            device=state.settings.device,
            progress=progress,
            notice=no_notice,
        )
    new = summary.added + summary.changed + summary.copied
    said: str = TEXTS["jobs"]["indexed"].format(new=new, moments=summary.moments)
    if summary.unreadable:
        said += TEXTS["jobs"]["unreadable"].format(count=len(summary.unreadable))
    return said


TASKS: dict[str, Callable[..., Any]] = SEARCHES | {
    one.__name__: one
    for one in (warm, localise_film, make_playable, localise_picture, paint, export, basket, index)
}
"""Every task by its name; each takes the worker's state and a `Progress` first."""
