"""Metrics of the field as pure functions of marked pixels and truths: cIoU, AUC, pointing game.

Letters: `n` clips, `h w` pixels of the canvas (224 x 224 in every protocol of the field).
A truth G gives every pixel a weight 0, 1/2 or 1; a marking M is a set of pixels.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from hearsight.clips.truth import TruthMask

# cIoU of the success curve: 0, 0.05, ... 1, each 0.05 * i in floating point (0.15000000000000002
# among them), as in the released code
THRESHOLDS = np.array([0.05 * i for i in range(21)])
STRIDE = 83  # of the sample; without a common factor with 224, so that it covers all columns
MARGIN = 12  # ranks in the sample by which its estimate of a rank may be wrong


def ciou(marks: Bool[np.ndarray, "h w"], truth: TruthMask) -> float:
    """Consensus intersection over union of a marking and a weighted truth, from 0 to 1.

    sum(M G) / (sum(G) + sum(M [G = 0])); 0 where both are empty.

    Source: Senocak et al., CVPR 2018 (consensus truth); every released evaluator of the field.
    """
    # counted, not summed: the weights are 0, 1/2 and 1
    marked = int(np.count_nonzero(marks))
    within = int(np.count_nonzero(marks & truth.inside))
    whole = within if truth.full is None else int(np.count_nonzero(marks & truth.full))
    joined = truth.weight + marked - within
    return (within + whole) / 2 / joined if joined else 0.0


def success_rate(scores: Float64[np.ndarray, " n"], least: float = 0.5) -> float:
    """Share of clips whose cIoU is at least `least`: with 0.5 the field's "cIoU"."""
    return float(np.mean(scores >= least))


def area_under_curve(scores: Float64[np.ndarray, " n"]) -> float:
    """AUC, the area under the success curve."""
    return area_over_thresholds(success_curve(scores))


def success_areas(scores: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """What each clip adds to AUC: the area under its own success curve; their mean is AUC."""
    return areas_of_each(scores[:, None] >= THRESHOLDS)


def areas_of_each(reached: Bool[np.ndarray, "n 21"]) -> Float64[np.ndarray, " n"]:
    """The area under each row, which says at which of `THRESHOLDS` a clip counts."""
    sums = reached[:, 1:].astype(np.float64) + reached[:, :-1]
    areas: Float64[np.ndarray, " n"] = sums @ np.diff(THRESHOLDS) / 2
    return areas


def success_curve(scores: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " 21"]:
    """The success rate at each of `THRESHOLDS`."""
    return np.array([success_rate(scores, threshold) for threshold in THRESHOLDS])


def area_over_thresholds(rates: Float64[np.ndarray, " 21"]) -> float:
    """The area under a curve that is known at `THRESHOLDS`, by trapezoids."""
    return float(np.sum(np.diff(THRESHOLDS) * (rates[1:] + rates[:-1]) / 2))


def pointing(values: Float[np.ndarray, "h w"], truth: TruthMask) -> bool:
    """Whether a map's highest pixel (the first in reading order) lies in the truth.

    Source: Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016.
    """
    return bool(truth.inside.flat[values.argmax()])


def best_possible(truth: TruthMask, marked: int) -> float:
    """The highest cIoU that any marking of exactly `marked` pixels reaches on a truth.

    The best marking takes pixels of full weight first, then half ones, then outside ones;
    for a truth of n pixels without half weights this is min(n, marked) / max(n, marked).
    """
    if not truth.pixels:
        return 0.0
    whole = int(2 * truth.weight) - truth.pixels
    shared = min(marked, whole) + min(max(marked - whole, 0), truth.pixels - whole) / 2
    return shared / (truth.weight + max(0, marked - truth.pixels))


def whole_image_ciou(truth: TruthMask) -> float:
    """The cIoU of a marking of every pixel, the blind row "whole image"."""
    return truth.weight / (truth.weight + truth.inside.size - truth.pixels)


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are there; None without any."""
    known = [one for one in values if one is not None]
    return float(np.mean(known)) if known else None


def order_statistics(values: Float32[np.ndarray, " p"], ranks: Sequence[int]) -> list[float]:
    """The elements at `ranks` (0-based) of the finite `values` in rising order.

    The values are not sorted: a sorted sample brackets each rank, and only the values inside the
    bracket are partitioned.
    """
    sample = np.sort(values[::STRIDE])
    found = []
    for rank in ranks:
        near_rank = rank // STRIDE
        low = sample[near_rank - MARGIN] if near_rank >= MARGIN else -np.inf
        high = sample[near_rank + MARGIN] if near_rank + MARGIN < len(sample) else np.inf
        below = values < low
        near = values[(values <= high) ^ below]
        rest = rank - int(np.count_nonzero(below))
        if not 0 <= rest < len(near):  # the bracket does not hold the rank
            near, rest = values.copy(), rank
        near.partition(rest)
        found.append(float(near[rest]))
    return found
