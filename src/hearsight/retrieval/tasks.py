"""The tasks of the retrieval benchmark: queries, galleries, and what counts as a hit.

Every clip is a query once; the gallery is all clips. A hit is another clip of the query's class
(or any clip of it, where the query's own pair stays in the gallery).

Letters: `n` clips, `k` places of a ranking. A place that is empty, because fewer than k clips are
left, is no hit.

Source: SSL-TIE, Liu et al., ACM MM 2022, Tables 5 and 6, for the tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hearsight.clips.lists import clip_names
from hearsight.errors import HearsightError, nearest
from hearsight.model.nearest import rank
from hearsight.retrieval.embeddings import ClipEmbeddings

KS = (1, 5, 10)  # of A@k and P@k
TASKS = ("sound-sound", "sound-image", "image-sound")
OwnPair = Literal["left out", "in gallery"]  # where the query's own pair is


def check_task(task: str) -> str:
    """The task of that name; raises HearsightError if there is none."""
    if task not in TASKS:
        raise HearsightError(
            f"There is no task '{task}': it may be {', '.join(TASKS)}.{nearest(task, TASKS)}"
        )
    return task


def own_pair_rules(task: str) -> tuple[OwnPair, ...]:
    """The rules for the query's own pair under which a task is scored.

    Among sounds the query itself is always left out. Across sound and image the released code of
    SSL-Align (Senocak et al., ICCV 2023) leaves the own pair in the gallery, where finding it is a
    hit.
    """
    return ("left out",) if task == "sound-sound" else ("in gallery", "left out")


def video_of(id: str, source: str) -> str:
    """The video that a clip is of: YouTube's or Flickr's in ids of these, else the source.

    Ids of any form that `clip_names` reads: `ID_000030`, `ID_30000_40000`, `ID_30`, `ID.mp4`,
    `VIDEO@12`. The source of a composed scene is its cut-out and its recording. A clip of another
    id without a source is the only one of its video.
    """
    (name,) = clip_names([id])
    if name.kind != "other":
        return name.video
    return source or (f"clip {id}" if name.start is None else name.video)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalTask:
    """A task on some clips, the same for every method."""

    name: str  # one of `TASKS`
    ids: tuple[str, ...]
    classes: tuple[str, ...]  # in alphabetical order
    labels: Int64[np.ndarray, " n"]  # of each clip, an index of `classes`
    videos: Int64[np.ndarray, " n"]  # the same number for clips of the same video
    drop_same_video: bool  # whether clips of the query's own video are left out

    def available(self, own: OwnPair) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """The number of clips of its class, and of all clips, in the gallery of each query."""
        count = len(self.ids)
        alike = np.bincount(self.labels)[self.labels]
        if not self.drop_same_video:
            lost = np.int64(own == "left out")
            return alike - lost, np.full(count, count) - lost
        pairs = self.videos * len(self.classes) + self.labels
        _, which, twins = np.unique(pairs, return_inverse=True, return_counts=True)
        back = np.int64(own == "in gallery")
        return alike - twins[which] + back, count - np.bincount(self.videos)[self.videos] + back

    def find(
        self,
        queries: Float[Tensor, "n c"],
        gallery: Float[Tensor, "n c"],
        own: OwnPair,
        k: int = max(KS),
        device: torch.device | str = "cpu",
    ) -> tuple[Float[Tensor, "n k"], Int64[Tensor, "n k"]]:
        """Scores and indices of the k nearest clips of each query, as `rank` gives them."""
        itself = torch.arange(len(self.ids), device=device)
        videos = torch.from_numpy(self.videos).to(device) if self.drop_same_video else None
        kept = own == "in gallery"
        scores, indices = rank(
            queries.to(device),
            gallery.to(device),
            k,
            exclude=None if kept else itself,
            allow=itself if kept else None,
            groups_of_queries=videos,
            groups_of_gallery=videos,
        )
        return scores.cpu(), indices.cpu()

    def hits(self, indices: Int64[Tensor, "n k"]) -> Bool[np.ndarray, "n k"]:
        """The places of each ranking that hold a clip of the query's class."""
        found = indices.numpy()
        return np.asarray((self.labels[found] == self.labels[:, None]) & (found >= 0))


def labelled_rows(embedded: ClipEmbeddings) -> list[int]:
    """The indices of the embedded clips that have a class label.

    Raises:
        HearsightError: fewer than two have one.
    """
    rows = [row for row, label in enumerate(embedded.labels) if label is not None]
    if len(rows) < 2:
        named = f"only '{embedded.ids[rows[0]]}' has" if rows else "none has"
        raise HearsightError(
            f"Of the {len(embedded.ids)} clips {named} a class label: retrieval is scored by class "
            "and needs at least two that have one."
        )
    return rows


def make_task(
    embedded: ClipEmbeddings, rows: Sequence[int], name: str, *, drop_same_video: bool
) -> RetrievalTask:
    """A task on some of the embedded clips, all of them labelled.

    Raises:
        HearsightError: no such task.
    """
    known = [str(embedded.labels[row]) for row in rows]
    classes, labels = np.unique(np.array(known), return_inverse=True)
    videos = [video_of(embedded.ids[row], embedded.sources[row]) for row in rows]
    return RetrievalTask(
        name=check_task(name),
        ids=tuple(embedded.ids[row] for row in rows),
        classes=tuple(map(str, classes)),
        labels=labels.astype(np.int64),
        videos=np.unique(np.array(videos), return_inverse=True)[1].astype(np.int64),
        drop_same_video=drop_same_video,
    )
