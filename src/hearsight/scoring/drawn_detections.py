"""Average precision and the highest F1 of many draws of the same clips at once.

The same numbers as those of `detection` on the drawn clips, without sorting each draw: clips are
sorted once by confidence, and counts of a draw are summed along that order.

Letters: `draws`, `n` units with `members` clips each, `g` groups of equal confidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from hearsight.scoring.detection import AP_THRESHOLDS, F1_THRESHOLDS


@dataclass(frozen=True, kw_only=True)
class DrawnDetections:
    """How many clips of each draw have at least a confidence, from the highest one down.

    right: sounding with enough cIoU. misplaced: sounding with less. sounding: of the whole draw.
    """

    reached: Float32[np.ndarray, "draws g"]
    right: Float32[np.ndarray, "draws g"]
    misplaced: Float32[np.ndarray, "draws g"]
    sounding: Float32[np.ndarray, "draws 1"]

    @cached_property
    def precision(self) -> Float32[np.ndarray, "draws g"]:
        """At each confidence; 0 before the first clip of the draw, which is no threshold."""
        found = np.zeros_like(self.right)
        np.divide(self.right, self.reached, out=found, where=self.reached > 0)
        return found

    @cached_property
    def recall(self) -> Float32[np.ndarray, "draws g"]:
        """At each confidence; 1 where nothing could be found."""
        return self._recall(self.sounding - self.misplaced)

    @cached_property
    def strict_recall(self) -> Float32[np.ndarray, "draws g"]:
        """Recall if misplaced detections count as missed, too."""
        return self._recall(np.broadcast_to(self.sounding, self.right.shape))

    def _recall(self, whole: Float32[np.ndarray, "draws g"]) -> Float32[np.ndarray, "draws g"]:
        found = np.ones_like(self.right)
        np.divide(self.right, whole, out=found, where=whole > 0)
        return found

    def at_ranks(
        self, ranks: Int64[np.ndarray, " t"]
    ) -> tuple[Float32[np.ndarray, "draws t"], Float32[np.ndarray, "draws t"]]:
        """Precision and recall at the clip of each rank (0 is the highest) of every draw."""
        at = np.stack([np.searchsorted(one, ranks, side="right") for one in self.reached])
        precision = np.take_along_axis(self.precision, at, axis=1)
        return precision, np.take_along_axis(self.recall, at, axis=1)

    @property
    def clips(self) -> int:
        """How many are in each draw."""
        return int(self.reached[0, -1])


def drawn_detections(
    records: Mapping[str, Float64[np.ndarray, "n members"]],
    counts: Float64[np.ndarray, "draws n"],
    *,
    least: float,
) -> DrawnDetections:
    """The detections of every draw.

    Args:
        records: `sounding` (1 or 0), `ciou`, `confidence`.
        counts: how often each unit is drawn.
        least: cIoU of a right detection.
    """
    confidence = records["confidence"].ravel()
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    # counts of less than 2^24 are exact in 32 bits
    weights = np.take(counts.astype(np.float32), order // records["ciou"].shape[1], axis=1)
    sounding = records["sounding"].ravel()[order] > 0
    localised = records["ciou"].ravel()[order] >= least

    def summed(which: Bool[np.ndarray, " clips"]) -> Float32[np.ndarray, "draws g"]:
        sums: Float32[np.ndarray, "draws g"] = (weights * which).cumsum(axis=1)
        return sums if len(ends) == len(order) else sums[:, ends]

    return DrawnDetections(
        reached=summed(np.ones_like(sounding)),
        right=summed(sounding & localised),
        misplaced=summed(sounding & ~localised),
        sounding=weights @ sounding[:, None].astype(np.float32),
    )


def average_precisions(
    found: DrawnDetections, *, misplaced_is_missed: bool = False
) -> Float64[np.ndarray, " draws"]:
    """`detection.average_precision` of every draw."""
    recall = found.strict_recall if misplaced_is_missed else found.recall
    steps = np.diff(recall, prepend=np.float32(0))
    return np.asarray(np.einsum("dg,dg->d", _highest_after(found.precision), steps), np.float64)


def released_average_precisions(found: DrawnDetections) -> Float64[np.ndarray, " draws"]:
    """`detection.released_average_precision` of every draw."""
    total = found.clips
    precision, recall = found.at_ranks(np.arange(1, total, max(1, total // AP_THRESHOLDS)))
    areas = np.sum(_highest_after(precision)[:, :-1] * np.diff(recall), axis=1)
    return np.asarray(areas, np.float64)


def highest_f1s(found: DrawnDetections) -> Float64[np.ndarray, " draws"]:
    """`detection.highest_f1` of every draw."""
    total = found.clips
    precision, recall = found.at_ranks(np.arange(total - 1, -1, -max(1, total // F1_THRESHOLDS)))
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(f1.max(axis=1), np.float64)


def _highest_after(precision: Float32[np.ndarray, "draws t"]) -> Float32[np.ndarray, "draws t"]:
    """The highest precision at each threshold or a lower one."""
    highest: Float32[np.ndarray, "draws t"] = np.maximum.accumulate(precision[:, ::-1], axis=1)
    return highest[:, ::-1]
