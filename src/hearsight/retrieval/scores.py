"""The scores of the retrieval benchmark: accuracy and precision at k, chance, the best, the table.

Letters: `n` clips, `q` queries, `k` places of a ranking.

Differs from SSL-TIE (Liu et al., ACM MM 2022, Tables 5 and 6): there P@1 (60.19) is higher than
A@10 (44.19), which cannot be with the definitions here, where A@1 = P@1 and A@k grows with k. So
no number here compares with its tables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from hearsight.files.tables import NARROW, rounded, text_table
from hearsight.files.text import counted
from hearsight.retrieval.tasks import KS, OwnPair, RetrievalTask

NAME = "mean over\nqueries, classes"  # header of the column with the names of the rows


# Accuracy and precision at k


def accuracy_at(hits: Bool[np.ndarray, "q places"], k: int) -> Float64[np.ndarray, " q"]:
    """A@k: 1 where at least one of the first k places is a hit, else 0."""
    return np.asarray(hits[:, :k].any(1), np.float64)


def precision_at(hits: Bool[np.ndarray, "q places"], k: int) -> Float64[np.ndarray, " q"]:
    """P@k: hits among the first k places over k, also where fewer than k places are filled."""
    return np.asarray(hits[:, :k].sum(1) / k)


def chance_accuracy_at(
    relevant: Int64[np.ndarray, " q"], available: Int64[np.ndarray, " q"], k: int
) -> Float64[np.ndarray, " q"]:
    """A@k averaged over all orders of the `available` clips, `relevant` of them hits.

    1 - C(available - relevant, k) / C(available, k).
    """
    missed = np.ones(len(relevant))
    for place in range(k):
        left = available - place
        others = np.maximum(left - relevant, 0)
        missed *= np.where(left > 0, others / np.maximum(left, 1), 1.0)
    return np.asarray(1 - missed)


def chance_precision_at(
    relevant: Int64[np.ndarray, " q"], available: Int64[np.ndarray, " q"], k: int
) -> Float64[np.ndarray, " q"]:
    """P@k averaged over all orders of the `available` clips, `relevant` of them hits."""
    return np.asarray(relevant / np.maximum(available, 1) * np.minimum(available, k) / k)


def best_accuracy(relevant: Int64[np.ndarray, " q"]) -> Float64[np.ndarray, " q"]:
    """The highest A@k of any order, for any k: 0 where no clip has the query's class."""
    return np.asarray(relevant > 0, np.float64)


def best_precision_at(relevant: Int64[np.ndarray, " q"], k: int) -> Float64[np.ndarray, " q"]:
    """The highest P@k of any order: all hits first."""
    return np.asarray(np.minimum(relevant, k) / k)


def class_mean(values: Float64[np.ndarray, " q"], classes: Int64[np.ndarray, " q"]) -> float:
    """The mean over classes of the mean over each class's queries; at least one query.

    classes: of each query, from 0 on; a class without a query does not count.
    """
    counts = np.bincount(classes)
    sums = np.bincount(classes, weights=values)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


# Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScore:
    """One row of the table; numbers are fractions from 0 to 1, one for each of `KS`."""

    name: str
    task: str
    own: OwnPair
    same_video: str  # "keep" or "drop"
    queries: int
    classes: int
    accuracy: tuple[float, ...]  # mean over queries
    precision: tuple[float, ...]
    class_accuracy: tuple[float, ...]  # mean over classes of the mean over each class's queries
    class_precision: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """The row of the table, rounded to five digits."""
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


Metric = Callable[[int], Float64[np.ndarray, " n"]]  # of every query, at a k


def _score(
    name: str, task: RetrievalTask, own: OwnPair, accuracy: Metric, precision: Metric
) -> RetrievalScore:
    def over_classes(values: Float64[np.ndarray, " n"]) -> float:
        return class_mean(values, task.labels)

    return RetrievalScore(
        name=name,
        task=task.name,
        own=own,
        same_video="drop" if task.drop_same_video else "keep",
        queries=len(task.ids),
        classes=len(task.classes),
        accuracy=tuple(float(accuracy(k).mean()) for k in KS),
        precision=tuple(float(precision(k).mean()) for k in KS),
        class_accuracy=tuple(over_classes(accuracy(k)) for k in KS),
        class_precision=tuple(over_classes(precision(k)) for k in KS),
    )


def score(
    name: str, task: RetrievalTask, own: OwnPair, indices: Int64[Tensor, "n k"]
) -> RetrievalScore:
    """The row of a method with these rankings, of at least `max(KS)` places each."""
    hits = task.hits(indices)
    return _score(name, task, own, lambda k: accuracy_at(hits, k), lambda k: precision_at(hits, k))


def chance_and_best(task: RetrievalTask, own: OwnPair) -> tuple[RetrievalScore, RetrievalScore]:
    """The rows of chance (the exact mean over all orders) and of the best possible order."""
    relevant, available = task.available(own)
    chance = _score(
        "chance",
        task,
        own,
        lambda k: chance_accuracy_at(relevant, available, k),
        lambda k: chance_precision_at(relevant, available, k),
    )
    best = _score(
        "best possible",
        task,
        own,
        lambda k: best_accuracy(relevant),
        lambda k: best_precision_at(relevant, k),
    )
    return chance, best


def table_text(scores: Sequence[RetrievalScore], *, width: int | None = NARROW) -> str:
    """The rows in percent: a table for each rule for the own pair, and an empty line below it.

    width: in characters; None for as much as it takes. A wider table is printed in parts.
    """
    tables = []
    for own in dict.fromkeys(one.own for one in scores):
        rows = [one for one in scores if one.own == own]
        first = rows[0]
        pair = "itself" if first.task == "sound-sound" else "its own pair"
        text = text_table(
            [_printed(one) for one in rows],
            left=(NAME,),
            title=f"{first.task}, {pair} {own}, clips of the same video: {first.same_video}; "
            f"{counted(first.queries, 'query', 'queries')} of "
            f"{counted(first.classes, 'class', 'classes')}",
            ruled=False,
            width=width,
        )
        tables.append("\n".join(line.rstrip() for line in text.splitlines()))
    return "\n".join(f"{table}\n" for table in tables)


def _printed(one: RetrievalScore) -> dict[str, str]:
    columns = [f"{over}\n{kind}@{k}" for over in ("", "class") for kind in "AP" for k in KS]
    numbers = (*one.accuracy, *one.precision, *one.class_accuracy, *one.class_precision)
    shown = {name: f"{100 * value:.1f}" for name, value in zip(columns, numbers, strict=True)}
    return {NAME: one.name, **shown}


def notes(task: RetrievalTask, unlabelled: int) -> list[str]:
    """Notes below the table, a line each: classes of one clip, and clips without a class."""
    lonely = int((np.bincount(task.labels)[task.labels] == 1).sum())
    lines = []
    if lonely:
        lines.append(
            f"{counted(lonely, 'clip is the only one', 'clips are the only ones')} of "
            f"{'its' if lonely == 1 else 'their'} class: left out of the gallery, "
            f"{'it' if lonely == 1 else 'they'} cannot be found, and "
            f"{'counts' if lonely == 1 else 'count'} as missed."
        )
    if unlabelled:
        label = "has no class label and is left out", "have no class label and are left out"
        lines.append(f"{counted(unlabelled, f'clip {label[0]}', f'clips {label[1]}')}.")
    return lines
