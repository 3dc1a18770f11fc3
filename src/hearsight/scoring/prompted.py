"""Prompted segmentation: all maps of a set in one range, average precision and IoU by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from hearsight.clips.clip import Clips
from hearsight.clips.truth import PIXELS, SIDE, TruthMask
from hearsight.errors import HearsightError
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name
from hearsight.scoring.box_scores import centred_disc, mean_truth
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.duets import pixel_average_precision
from hearsight.scoring.metrics import mean_of
from hearsight.scoring.protocols import Protocol, upsample
from hearsight.scoring.results import (
    BLIND_DISC,
    BLIND_MEAN,
    CEILING,
    EvaluatedClips,
    Records,
    Results,
)

STEPS = 20  # thresholds, from the lowest to the highest value of a class

Pooled = Float32[np.ndarray, "n side side"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """The scores of all clips of one class.

    precision: average precision over their pixels; None where no pixel is of the class. marked,
    right: pixels above each threshold, and those of them that are of the class, of each clip.
    wanted: pixels of the class, of each clip.
    """

    precision: float | None
    marked: Int64[np.ndarray, "n steps"]
    right: Int64[np.ndarray, "n steps"]
    wanted: Int64[np.ndarray, " n"]

    def best_iou(self) -> float:
        """The highest IoU over the thresholds, of the pixels of all clips together."""
        union = self.marked.sum(0) + self.wanted.sum() - self.right.sum(0)
        return float((self.right.sum(0) / np.maximum(union, 1)).max())


def score_class(maps: Pooled, inside: Bool[np.ndarray, "n side side"]) -> ClassScores:
    """Score the maps of one class.

    Source: DenseAV, Hamilton et al., CVPR 2024, as released: 20 thresholds from the lowest to the
    highest value of the class's pixels, of which those above are marked.
    """
    steps = np.linspace(maps.min(), maps.max(), STEPS, dtype=np.float32)
    marked = np.empty((len(maps), STEPS), np.int64)
    right = np.empty_like(marked)
    for place, (values, within) in enumerate(zip(maps, inside, strict=True)):
        below = np.searchsorted(steps, values, side="left")  # steps below each pixel
        marked[place] = _above(below.ravel())
        right[place] = _above(below[within])
    return ClassScores(
        precision=pixel_average_precision(inside.reshape(-1, SIDE), maps.reshape(-1, SIDE))
        if inside.any()
        else None,
        marked=marked,
        right=right,
        wanted=inside.sum((1, 2)),
    )


def _above(below: Int64[np.ndarray, " pixels"]) -> Int64[np.ndarray, " steps"]:
    """How many pixels are above each step."""
    counts = np.bincount(below, minlength=STEPS + 1)
    above: Int64[np.ndarray, " steps"] = counts[::-1].cumsum()[::-1][1:]
    return above


def evaluate_prompted(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips with labels and exact masks, class by class.

    Raises:
        HearsightError: a clip without a mask, no clip with a label, or as `evaluate`.

    Source: DenseAV, Hamilton et al., Separating the "chirp" from the "chat", CVPR 2024, as
    released (sound- and speech-prompted ADE20K).
    Differs from the released code: truths are scored at 224 x 224 pixels, and a class of which no
    pixel is shown is left out of the mean precision, which is NaN there.
    """
    evaluated = EvaluatedClips()
    maps, truths = list[Float32[np.ndarray, "h w"]](), list[TruthMask]()
    with source.running():
        for batch in source.clip_maps(clips, protocol, evaluated, needs="masks"):
            maps += [one.copy() for one in batch.maps]
            truths += [item.mask() for item in batch.items]
    classes: dict[str, list[int]] = {}
    for place, label in enumerate(evaluated.labels):
        if label is not None:
            classes.setdefault(label, []).append(place)
    if not classes:
        raise HearsightError(
            f"None of the {len(maps):,} clips has a label, but '{protocol.name}' scores by class."
        )
    bare = [id for id, label in zip(evaluated.ids, evaluated.labels, strict=True) if label is None]
    every = _every_map(source.name, maps, truths)
    scored = {
        name: {
            label: score_class(
                np.stack([_on_canvas(own[place], protocol) for place in places]),
                np.stack([truths[place].inside for place in places]),
            )
            for label, places in classes.items()
        }
        for name, own in every.items()
    }
    hidden = [label for label, one in scored[source.name].items() if one.precision is None]
    places = [place for own in classes.values() for place in own]
    return evaluated.results(
        protocol,
        [prompted_row(name, protocol.name, own) for name, own in scored.items()],
        evaluated.lines(protocol, masked=[truth.pixels / PIXELS for truth in truths]),
        notes=[
            *count_and_name(
                bare,
                "clip has no label and is not scored",
                "clips have no label and are not scored",
            ),
            *count_and_name(
                hidden,
                "class shows no pixel and has no precision",
                "classes show no pixel and have no precision",
            ),
        ],
        units=[evaluated.ids[place] for place in places],
        records={name: prompted_records(list(own.values())) for name, own in scored.items()},
    )


def one_range(maps: Sequence[Float32[np.ndarray, "h w"]]) -> list[Float32[np.ndarray, "h w"]]:
    """All maps, moved and scaled together so that the lowest value is 0 and the highest 1."""
    low = min(one.min() for one in maps)
    high = max((one - low).max() for one in maps)
    return [(one - low) / (high or np.float32(1)) for one in maps]


def _every_map(
    name: str, maps: Sequence[Float32[np.ndarray, "h w"]], truths: Sequence[TruthMask]
) -> dict[str, Sequence[Float32[np.ndarray, "h w"]]]:
    """The maps of each row: of the source, blind ones, and the truths themselves."""
    disc, mean = centred_disc(), mean_truth(truths)
    return {
        name: one_range(maps),
        BLIND_DISC: [disc] * len(maps),
        BLIND_MEAN: [mean] * len(maps),
        CEILING: [truth.inside.astype(np.float32) for truth in truths],
    }


def _on_canvas(
    one: Float32[np.ndarray, "h w"], protocol: Protocol
) -> Float32[np.ndarray, "side side"]:
    return one if one.shape == (SIDE, SIDE) else upsample(one, protocol.upsampling)


def prompted_row(name: str, protocol: str, classes: Mapping[str, ClassScores]) -> dict[str, Any]:
    """One row of the table: means over classes."""
    scores = list(classes.values())
    return rounded(
        {
            "name": name,
            "protocol": protocol,
            "clips": sum(len(one.wanted) for one in scores),
            "classes": len(scores),
            "best IoU": float(np.mean([one.best_iou() for one in scores])),
            "mAP": mean_of(one.precision for one in scores),
        }
    )


def prompted_records(classes: Sequence[ClassScores]) -> Records:
    """What "best IoU" is computed from, clip by clip; precision over pooled pixels is no sum."""
    return {
        "class": [number for number, one in enumerate(classes) for _ in one.wanted],
        "marked steps": np.concatenate([one.marked for one in classes]).tolist(),
        "right steps": np.concatenate([one.right for one in classes]).tolist(),
        "wanted": np.concatenate([one.wanted for one in classes]).tolist(),
    }
