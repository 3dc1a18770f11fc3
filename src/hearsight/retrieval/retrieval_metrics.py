"""How good a ranking is by class: accuracy and precision at k, and what chance would give.

Letters: `q` queries, `k` places of their rankings. A hit is a place whose item has the query's
class. A place that nobody stands at, because fewer items are left than asked for, is no hit.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64


def accuracy_at(hits: Bool[np.ndarray, "q places"], k: int) -> Float64[np.ndarray, " q"]:
    """A@k: 1 where some of the first k places is a hit, else 0."""
    return np.asarray(hits[:, :k].any(1), np.float64)


def precision_at(hits: Bool[np.ndarray, "q places"], k: int) -> Float64[np.ndarray, " q"]:
    """P@k: hits among the first k places over k, also where fewer than k places are taken."""
    return np.asarray(hits[:, :k].sum(1) / k)


def chance_accuracy_at(
    relevant: Int64[np.ndarray, " q"], available: Int64[np.ndarray, " q"], k: int
) -> Float64[np.ndarray, " q"]:
    """What A@k is on average over all orders of the `available` items, `relevant` of them hits.

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
    """What P@k is on average over all orders of the `available` items, `relevant` of them hits."""
    return np.asarray(relevant / np.maximum(available, 1) * np.minimum(available, k) / k)


def best_accuracy(relevant: Int64[np.ndarray, " q"]) -> Float64[np.ndarray, " q"]:
    """The highest A@k of any order, whatever k: 0 where no item has the query's class."""
    return np.asarray(relevant > 0, np.float64)


def best_precision_at(relevant: Int64[np.ndarray, " q"], k: int) -> Float64[np.ndarray, " q"]:
    """The highest P@k of any order: all hits first."""
    return np.asarray(np.minimum(relevant, k) / k)


def class_mean(values: Float64[np.ndarray, " q"], classes: Int64[np.ndarray, " q"]) -> float:
    """The mean over classes of the mean over each class's queries; at least one query.

    classes: a number from 0 for each query; numbers that no query has do not count.
    """
    counts = np.bincount(classes)
    sums = np.bincount(classes, weights=values)
    return float((sums[counts > 0] / counts[counts > 0]).mean())
