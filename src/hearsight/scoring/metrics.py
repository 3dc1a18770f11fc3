"""How well a map marks what sounds: pure functions of marked pixels and truths.

Letters: `n` clips, `h w` pixels of the canvas (224 x 224 in every protocol of the field).
A truth G gives every pixel a weight from 0 to 1; a marking M is a set of pixels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from hearsight.clips.truth import TruthMask

# of the success curve: cIoU 0, 0.05, ... 1 as floating point gives them, 0.15000000000000002 among
# them, as in the released code
DEMANDS = np.array([0.05 * i for i in range(21)])
STRIDE = 83  # every so manieth value is in the sample: even in both directions at 224 a row
MARGIN = 12  # places in the sorted sample by which its guess may be wrong


def ciou(
    marks: Bool[np.ndarray, "n h w"], truths: Float[np.ndarray, "n h w"]
) -> Float64[np.ndarray, " n"]:
    """Consensus intersection over union of markings and weighted truths, from 0 to 1.

    sum(M G) / (sum(G) + sum(M [G = 0])); 0 where both are empty.

    Source: Senocak et al., CVPR 2018 (consensus truth); every released evaluator of the field.
    """
    shared = np.where(marks, truths, 0).sum((1, 2), dtype=np.float64)
    joined = truths.sum((1, 2), dtype=np.float64) + (marks & (truths == 0)).sum((1, 2))
    scores: Float64[np.ndarray, " n"] = np.zeros_like(shared)
    np.divide(shared, joined, out=scores, where=joined > 0)
    return scores


def overlap(marks: Bool[np.ndarray, "h w"], truth: TruthMask) -> float:
    """`ciou` of one marking and one truth, counted instead of summed."""
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
    return area_over_demands(success_curve(scores))


def success_curve(scores: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " 21"]:
    """The success rate at each of `DEMANDS`."""
    return np.array([success_rate(scores, demand) for demand in DEMANDS])


def area_over_demands(rates: Float64[np.ndarray, " 21"]) -> float:
    """The area under a curve that is known at `DEMANDS`, by trapezoids."""
    return float(np.sum(np.diff(DEMANDS) * (rates[1:] + rates[:-1]) / 2))


def pointing(
    maps: Float[np.ndarray, "n h w"], truths: Float[np.ndarray, "n h w"]
) -> Bool[np.ndarray, " n"]:
    """Whether each map's highest pixel (the first of them in reading order) lies in its truth.

    Source: Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016.
    """
    peaks = maps.reshape(len(maps), -1).argmax(1)
    inside: Bool[np.ndarray, " n"] = (
        truths.reshape(len(truths), -1)[np.arange(len(maps)), peaks] > 0
    )
    return inside


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


def order_statistics(values: Float32[np.ndarray, " p"], places: Sequence[int]) -> list[float]:
    """What would stand at `places` (0-based) if the finite `values` were sorted.

    A sorted sample tells between which values each place lies; only those between are ordered.
    """
    sample = np.sort(values[::STRIDE])
    found = []
    for place in places:
        rank = place // STRIDE
        low = sample[rank - MARGIN] if rank >= MARGIN else -np.inf
        high = sample[rank + MARGIN] if rank + MARGIN < len(sample) else np.inf
        below = values < low
        near = values[(values <= high) ^ below]
        rest = place - int(np.count_nonzero(below))
        if not 0 <= rest < len(near):  # the sample was not like the whole
            near, rest = values.copy(), place
        near.partition(rest)
        found.append(float(near[rest]))
    return found
