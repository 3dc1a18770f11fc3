"""The retrieval sheet: a picture of some queries, each beside its nearest clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.localising.painting import TRUTH, box, gallery, save_picture
from hearsight.retrieval.benchmark import RetrievalTask

SHOWN = 5  # clips found, for each query
QUERIES = 8
Pixels = UInt8[np.ndarray, "height width 3"]


def chosen_queries(task: RetrievalTask, count: int = QUERIES) -> list[int]:
    """Queries of as many classes as there are, each class's first clip: nobody picks them."""
    firsts = [int(np.flatnonzero(task.labels == one)[0]) for one in np.unique(task.labels)]
    if len(firsts) <= count:
        return firsts
    return [firsts[at] for at in np.linspace(0, len(firsts) - 1, count).round().astype(int)]


def save_retrieval_sheet(
    task: RetrievalTask,
    scores: Float[Tensor, "n k"],
    indices: Int64[Tensor, "n k"],
    clips: Clips,
    places: Sequence[int],
    path: Path,
) -> None:
    """Draw a row for each of some queries: the query, then the clips it found, best first.

    Turquoise frames the clips of the query's class. Where sounds are asked or found, the frame of
    the same clip stands for the sound.

    Args:
        task: the task that was scored.
        scores: cosines of what was found.
        indices: of the clips found, as `RetrievalTask.find` gives them.
        clips: the source of the clips.
        places: index in the source of each clip of the task.
        path: the picture to write.

    Raises:
        HearsightError: the picture cannot be written.
    """
    asked, found = task.name.split("-")
    pictures: list[Pixels] = []
    captions: list[str] = []

    def add(clip: int, caption: str, right: bool) -> None:
        pixels = _frame(clips, places[clip])
        if right:
            height, width = pixels.shape[:2]
            pixels = box(pixels, (0, 0, width, height), colour=TRUTH)
        pictures.append(pixels)
        captions.append(caption)

    for query in chosen_queries(task):
        label = task.classes[task.labels[query]]
        add(query, f"{asked} of: {label}", right=False)
        for place in range(SHOWN):
            item = int(indices[query, place])
            if item < 0:  # fewer are left
                pictures.append(_blank())
                captions.append("")
                continue
            name = task.classes[task.labels[item]]
            caption = f"{found} {place + 1}: {name} {float(scores[query, place]):.2f}"
            add(item, caption, right=name == label)
    save_picture(gallery(pictures, captions, columns=1 + SHOWN, side=200), path)


def _frame(clips: Clips, place: int) -> Pixels:
    """The frame of a clip; grey if it cannot be read any more."""
    try:
        return clips[place].frame
    except UnreadableClip:
        return _blank()


def _blank() -> Pixels:
    return np.full((64, 64, 3), 232, np.uint8)
