"""Segmentation: mIoU and F-score of maps against exact masks instead of boxes."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from hearsight.clips.clip import Clips
from hearsight.clips.truth import PIXELS, TruthMask
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name
from hearsight.scoring.box_scores import centred_disc, mean_truth, prepared_maps
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.metrics import best_possible, mean_of, order_statistics
from hearsight.scoring.protocols import HALF, Protocol, adaptive_rank, mark, normalise
from hearsight.scoring.results import (
    BLIND_DISC,
    BLIND_MEAN,
    CEILING,
    EvaluatedClips,
    Records,
    Results,
)

LEVELS = np.linspace(0, 1 - 1e-10, 255)  # thresholds of the F-score
UNMASKED = "without a masked pixel, scored by the share of pixels that are not marked"
BETA_SQUARED = 0.3  # of the F-score: precision counts more than recall

Levels = Float64[np.ndarray, " levels"]
"""F-scores of a frame at each of `LEVELS`."""


def mask_iou(marks: Bool[np.ndarray, "h w"], truth: TruthMask) -> float:
    """Intersection over union; of an empty truth, the share of pixels that are not marked.

    Source: Zhou et al., Audio-visual segmentation, ECCV 2022, as released.
    """
    if not truth.pixels:
        return 1 - float(np.mean(marks))
    shared = int(np.count_nonzero(marks & truth.inside))
    return shared / (truth.pixels + int(np.count_nonzero(marks)) - shared)


def f_scores(values: Float[np.ndarray, "h w"], truth: TruthMask) -> Levels:
    """F-score of the pixels at or above each of 255 levels; 0 where precision and recall are 0.

    Args:
        values: of the map, 0 to 1.
        truth: not empty.

    Source: Zhou et al., ECCV 2022, as released: beta squared is 0.3, levels from 0 to 1.
    """
    reached = np.searchsorted(LEVELS, values, side="right")  # levels at or below each pixel
    marked = _from_each_level(reached.ravel())
    right = _from_each_level(reached[truth.inside])
    # F = (1 + b) P R / (b P + R), with P = right / marked and R = right / pixels
    return (1 + BETA_SQUARED) * right / (BETA_SQUARED * truth.pixels + marked)


def highest_f(levels: Iterable[Levels | None]) -> float | None:
    """The highest of the mean over frames at 255 levels; None where no frame has an F."""
    known = [one for one in levels if one is not None]
    return float(np.mean(known, axis=0).max()) if known else None


def _from_each_level(reached: Int64[np.ndarray, " pixels"]) -> Float64[np.ndarray, " levels"]:
    """How many pixels reach each of `LEVELS`, from how many levels each pixel reaches."""
    counts = np.bincount(reached, minlength=len(LEVELS) + 1)
    from_above: Float64[np.ndarray, " levels"] = counts[::-1].cumsum()[::-1][1:].astype(float)
    return from_above


def marked_f_score(marks: Bool[np.ndarray, "h w"], truth: TruthMask) -> float:
    """F-score of the marked pixels; 0 where none is. The truth must not be empty."""
    right = int(np.count_nonzero(marks & truth.inside))
    marked = int(np.count_nonzero(marks))
    return (1 + BETA_SQUARED) * right / (BETA_SQUARED * truth.pixels + marked)


class MaskScores:
    """Scores against masks, gathered clip by clip."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.median: list[float] = []
        self.adaptive: list[float] = []
        self.marked_f: list[float | None] = []  # None for an empty truth: F is not defined
        self.levels: list[Levels | None] = []

    def add(self, values: Float32[np.ndarray, "side side"], truth: TruthMask) -> None:
        """Score one normalised map."""
        median, adaptive = order_statistics(values.reshape(-1), (HALF, adaptive_rank(truth)))
        threshold = median if self.protocol.fixed is None else self.protocol.fixed
        marks = mark(values, threshold, self.protocol)
        self.median.append(mask_iou(marks, truth))
        self.adaptive.append(mask_iou(values > adaptive, truth))
        self.marked_f.append(marked_f_score(marks, truth) if truth.pixels else None)
        self.levels.append(f_scores(values, truth) if truth.pixels else None)

    def row(self, name: str) -> dict[str, Any]:
        """One row of the table.

        "F" is the highest of the data set's mean at 255 levels, "F marked" the mean at the
        protocol's threshold; clips without a source are left out of both.

        Source: Park et al., Can CLIP help sound source localization?, WACV 2024 (F); Senocak et
        al., ICCV 2023 (F marked); both as released.
        Differs from the released code of Zhou et al., ECCV 2022, where F is the highest of each
        batch and so depends on the batches.
        """
        return rounded(
            {
                "name": name,
                "protocol": self.protocol.name,
                "clips": len(self.median),
                "mIoU": float(np.mean(self.median)),
                "adaptive mIoU": float(np.mean(self.adaptive)),
                "F": highest_f(self.levels),
                "F marked": mean_of(self.marked_f),
            }
        )

    def records(self) -> Records:
        """What the columns of `row` are computed from, clip by clip."""
        none = [None] * len(LEVELS)
        return {
            "mIoU": self.median,
            "adaptive mIoU": self.adaptive,
            "F levels": [none if one is None else one.round(5).tolist() for one in self.levels],
            "F marked": self.marked_f,
        }


def evaluate_segmentation(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips with exact masks.

    Raises:
        HearsightError: a clip without a mask, or as `evaluate`.
    """
    evaluated, found, truths = EvaluatedClips(), MaskScores(protocol), list[TruthMask]()
    with source.running():
        for batch in source.clip_maps(clips, protocol, evaluated, needs="masks"):
            own = [item.mask() for item in batch.items]
            prepared = prepared_maps(batch.maps, batch.protocol, batch.objects)
            for values, truth in zip(prepared, own, strict=True):
                found.add(values, truth)
            truths += own
    every = {source.name: found, **blind_masks(truths, protocol)}
    empty = [id for id, truth in zip(evaluated.ids, truths, strict=True) if not truth.pixels]
    return evaluated.results(
        protocol,
        [*(one.row(name) for name, one in every.items()), best_masks(truths, protocol)],
        evaluated.lines(protocol, iou=found.median, adaptive_iou=found.adaptive),
        notes=count_and_name(empty, f"clip {UNMASKED}", f"clips {UNMASKED}"),
        records={name: one.records() for name, one in every.items()},
    )


def blind_masks(truths: list[TruthMask], protocol: Protocol) -> dict[str, MaskScores]:
    """The scores of the blind rows, by name."""
    found = {}
    maps = {
        BLIND_DISC: centred_disc(),
        BLIND_MEAN: mean_truth(truths),
    }
    for name, one in maps.items():
        values, row = one.copy(), MaskScores(protocol)
        normalise(values, protocol)
        for truth in truths:
            row.add(values, truth)
        found[name] = row
    return found


def best_masks(truths: list[TruthMask], protocol: Protocol) -> Mapping[str, Any]:
    """The row of the ceiling."""
    best = [best_mask(truth, protocol.marked) for truth in truths]
    adaptive = [best_mask(truth, PIXELS - 1 - adaptive_rank(truth)) for truth in truths]
    return rounded(
        {
            "name": CEILING,
            "protocol": protocol.name,
            "clips": len(truths),
            "mIoU": float(np.mean(best)),
            "adaptive mIoU": float(np.mean(adaptive)),
            "F": 1.0 if any(truth.pixels for truth in truths) else None,
            "F marked": None,
        }
    )


def best_mask(truth: TruthMask, marked: int) -> float:
    """The highest `mask_iou` of any marking of exactly `marked` pixels."""
    return best_possible(truth, marked) if truth.pixels else 1 - marked / PIXELS
