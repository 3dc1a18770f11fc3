"""A contact sheet of retrieval: some queries, each beside its nearest clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.localising.painting import TRUTH, box, gallery, save_picture
from hearsight.retrieval.tasks import RetrievalTask

SHOWN = 5  # nearest clips of each query
QUERIES = 8
Pixels = UInt8[np.ndarray, "height width 3"]


def chosen_queries(task: RetrievalTask) -> list[int]:
    """The first clip of each class, or of `QUERIES` evenly spaced classes: not hand-picked."""
    firsts = [int(np.flatnonzero(task.labels == one)[0]) for one in np.unique(task.labels)]
    if len(firsts) <= QUERIES:
        return firsts
    return [firsts[at] for at in np.linspace(0, len(firsts) - 1, QUERIES).round().astype(int)]


def save_retrieval_sheet(
    task: RetrievalTask,
    scores: Float[Tensor, "n k"],
    indices: Int64[Tensor, "n k"],
    clips: Clips,
    places: Sequence[int],
    path: Path,
) -> None:
    """Write one row per query: the query, then its nearest clips, best first, with class and id.

    Clips of the query's class have a turquoise frame. A sound is shown by the frame of its clip.

    Args:
        task: the clips that are query and gallery.
        scores: cosines of the nearest clips.
        indices: the nearest clips, as `RetrievalTask.find` returns them; -1 for none.
        clips: where the frames are read.
        places: index in `clips` of each clip of the task.
        path: the picture to write.

    Raises:
        HearsightError: the picture cannot be written.
    """
    query_kind, gallery_kind = task.name.split("-")
    pictures: list[Pixels] = []
    captions: list[str] = []

    def add(clip: int, caption: str, hit: bool) -> None:
        pixels = _frame(clips, places[clip])
        if hit:
            height, width = pixels.shape[:2]
            pixels = box(pixels, (0, 0, width, height), colour=TRUTH)
        pictures.append(pixels)
        captions.append(caption)

    for query in chosen_queries(task):
        label = task.classes[task.labels[query]]
        add(query, f"{query_kind} of: {label}\n{task.ids[query]}", hit=False)
        for place in range(SHOWN):
            item = int(indices[query, place])
            if item < 0:  # the gallery has fewer clips
                pictures.append(_blank())
                captions.append("")
                continue
            name = task.classes[task.labels[item]]
            caption = f"{gallery_kind} {place + 1}: {name} {float(scores[query, place]):.2f}"
            add(item, f"{caption}\n{task.ids[item]}", hit=name == label)
    save_picture(gallery(pictures, captions, columns=1 + SHOWN, side=200), path)


def _frame(clips: Clips, place: int) -> Pixels:
    """The frame of a clip; plain grey if it cannot be read."""
    try:
        return clips[place].frame
    except UnreadableClip:
        return _blank()


def _blank() -> Pixels:
    return np.full((64, 64, 3), 232, np.uint8)
