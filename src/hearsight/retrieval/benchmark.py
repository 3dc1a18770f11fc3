"""The retrieval benchmark: sound to sound, sound to image, image to sound, scored by class.

Every clip is a query once; the gallery is all clips. What counts as a hit is another clip (or,
where the query's own pair stays in the gallery, any clip) of the query's class.

Source: SSL-TIE, Liu et al., ACM MM 2022, Tables 5 and 6, for the tasks.
Differs from the paper: there P@1 (60.19) is higher than A@10 (44.19), which cannot be with the
definitions here, where A@1 = P@1 and A@k grows with k. So no number here compares with its tables.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from hearsight.errors import HearsightError, nearest
from hearsight.files.tables import rounded, text_table
from hearsight.model.nearest import rank
from hearsight.retrieval.embeddings import ClipEmbeddings
from hearsight.retrieval.retrieval_metrics import (
    accuracy_at,
    best_accuracy,
    best_precision_at,
    chance_accuracy_at,
    chance_precision_at,
    class_mean,
    precision_at,
)

KS = (1, 5, 10)
TASKS = ("sound-sound", "sound-image", "image-sound")
Own = Literal["left out", "in gallery"]  # what becomes of the query's own pair
ENDINGS = (".csv",)  # of a file with the table
NAME = "mean over\nqueries, classes"  # header of the column with the names of the rows
VGGSOUND_ID = re.compile(r".{11}_\d{6}")


def check_task(task: str) -> str:
    """The task itself; raises HearsightError if there is no such one."""
    if task not in TASKS:
        raise HearsightError(
            f"There is no task '{task}': it may be {', '.join(TASKS)}.{nearest(task, TASKS)}"
        )
    return task


def readings(task: str) -> tuple[Own, ...]:
    """What may become of the query's own pair.

    A sound is never asked to find itself. Across sound and image the released code of SSL-Align
    (Senocak et al., ICCV 2023) leaves the own pair in the gallery, where finding it is a hit.
    """
    return ("left out",) if task == "sound-sound" else ("in gallery", "left out")


def video_of(id: str, source: str) -> str:
    """What clips of one video share: the YouTube id of VGGSound's ids, else the source.

    Of a composed scene the source is its cut-out and its recording. A clip without a source is
    alone.
    """
    return id[:11] if VGGSOUND_ID.fullmatch(id) else source or f"clip {id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What every method is asked: the same clips, by the same rules."""

    task: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]  # in alphabetical order
    labels: Int64[np.ndarray, " n"]  # of each clip, an index of `classes`
    videos: Int64[np.ndarray, " n"]  # of each clip; a number of its own where it is alone
    drop_same_video: bool  # whether clips of the query's own video are left out

    def available(self, own: Own) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """How many items of its class, and how many at all, stand before each query."""
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
        own: Own,
        k: int = max(KS),
        device: torch.device | str = "cpu",
    ) -> tuple[Float[Tensor, "n k"], Int64[Tensor, "n k"]]:
        """Scores and numbers of the k nearest clips of each query, as `rank` gives them."""
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
        """Which of the places hold a clip of the query's class."""
        found = indices.numpy()
        return np.asarray((self.labels[found] == self.labels[:, None]) & (found >= 0))


def labelled(embedded: ClipEmbeddings) -> list[int]:
    """The rows of the clips that have a class.

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


def ask(
    embedded: ClipEmbeddings, rows: Sequence[int], task: str, *, drop_same_video: bool
) -> Question:
    """The question about some rows, all of them labelled.

    Raises:
        HearsightError: no such task.
    """
    names = [str(embedded.labels[row]) for row in rows]
    classes, labels = np.unique(np.array(names), return_inverse=True)
    videos = [video_of(embedded.ids[row], embedded.sources[row]) for row in rows]
    return Question(
        task=check_task(task),
        ids=tuple(embedded.ids[row] for row in rows),
        classes=tuple(map(str, classes)),
        labels=labels.astype(np.int64),
        videos=np.unique(np.array(videos), return_inverse=True)[1].astype(np.int64),
        drop_same_video=drop_same_video,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScore:
    """One row of the table; numbers are fractions from 0 to 1, one for each of `KS`."""

    name: str
    task: str
    own: Own  # what became of the query's own pair
    same_video: str  # "keep" or "drop"
    queries: int
    classes: int
    accuracy: tuple[float, ...]  # mean over queries
    precision: tuple[float, ...]
    class_accuracy: tuple[float, ...]  # mean over classes of the mean over each class's queries
    class_precision: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """The row as JSON and csv have it, rounded to five digits."""
        cells: dict[str, Any] = {
            "name": self.name,
            "task": self.task,
            "own pair": self.own,
            "same video": self.same_video,
            "queries": self.queries,
            "classes": self.classes,
        }
        for over, accuracy, precision in (
            ("", self.accuracy, self.precision),
            ("class ", self.class_accuracy, self.class_precision),
        ):
            cells |= {f"{over}A@{k}": v for k, v in zip(KS, accuracy, strict=True)}
            cells |= {f"{over}P@{k}": v for k, v in zip(KS, precision, strict=True)}
        return rounded(cells)


Measure = Callable[[int], Float64[np.ndarray, " n"]]  # of every query, at a k


def _score(
    name: str, question: Question, own: Own, accuracy: Measure, precision: Measure
) -> RetrievalScore:
    def over_classes(values: Float64[np.ndarray, " n"]) -> float:
        return class_mean(values, question.labels)

    return RetrievalScore(
        name=name,
        task=question.task,
        own=own,
        same_video="drop" if question.drop_same_video else "keep",
        queries=len(question.ids),
        classes=len(question.classes),
        accuracy=tuple(float(accuracy(k).mean()) for k in KS),
        precision=tuple(float(precision(k).mean()) for k in KS),
        class_accuracy=tuple(over_classes(accuracy(k)) for k in KS),
        class_precision=tuple(over_classes(precision(k)) for k in KS),
    )


def score(name: str, question: Question, own: Own, indices: Int64[Tensor, "n k"]) -> RetrievalScore:
    """The row of a method that found these clips, at least `max(KS)` for each query."""
    hits = question.hits(indices)
    return _score(
        name, question, own, lambda k: accuracy_at(hits, k), lambda k: precision_at(hits, k)
    )


def references(question: Question, own: Own) -> tuple[RetrievalScore, RetrievalScore]:
    """The rows that need no model: what chance gives, exactly, and the best possible order."""
    relevant, available = question.available(own)
    chance = _score(
        "chance",
        question,
        own,
        lambda k: chance_accuracy_at(relevant, available, k),
        lambda k: chance_precision_at(relevant, available, k),
    )
    best = _score(
        "best possible",
        question,
        own,
        lambda k: best_accuracy(relevant),
        lambda k: best_precision_at(relevant, k),
    )
    return chance, best


def table_text(scores: Sequence[RetrievalScore], *, width: int = 120) -> str:
    """The rows in percent, one table for each treatment of the query's own pair."""
    tables = []
    for own in dict.fromkeys(one.own for one in scores):
        rows = [one for one in scores if one.own == own]
        first = rows[0]
        pair = "itself" if first.task == "sound-sound" else "its own pair"
        text = text_table(
            [_printed(one) for one in rows],
            left=(NAME,),
            title=f"{first.task}, {pair} {own}, clips of the same video: {first.same_video}; "
            f"{first.queries:,} queries of {first.classes} classes",
            ruled=False,
            width=width,
        )
        tables.append("\n".join(line.rstrip() for line in text.splitlines()))
    return "\n\n".join(tables)


def _printed(one: RetrievalScore) -> dict[str, str]:
    columns = [f"{over}\n{kind}@{k}" for over in ("", "class") for kind in "AP" for k in KS]
    numbers = (*one.accuracy, *one.precision, *one.class_accuracy, *one.class_precision)
    shown = {name: f"{100 * value:.1f}" for name, value in zip(columns, numbers, strict=True)}
    return {NAME: one.name, **shown}


def notes(question: Question, unlabelled: int) -> list[str]:
    """What the table must not keep silent about, one line each."""
    lonely = int((np.bincount(question.labels)[question.labels] == 1).sum())
    lines = []
    if lonely:
        lines.append(
            f"{lonely} clips are the only ones of their class: left out of the gallery, "
            "they cannot be found, and count as missed."
        )
    if unlabelled:
        lines.append(f"{unlabelled} clips have no class label and are left out.")
    return lines
