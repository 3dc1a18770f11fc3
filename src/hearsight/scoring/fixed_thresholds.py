"""Fixed thresholds: maps cut at each of 19, a row for each, and the best of them on these clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from hearsight.clips.clip import Box, Clips
from hearsight.clips.truth import rasterise
from hearsight.files.tables import rounded
from hearsight.scoring.box_scores import centred_disc, mean_truth, prepared_maps
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.metrics import (
    area_under_curve,
    best_possible,
    ciou,
    success_areas,
    success_rate,
    whole_image_ciou,
)
from hearsight.scoring.protocols import Protocol, mark
from hearsight.scoring.results import (
    BLIND_DISC,
    BLIND_IMAGE,
    BLIND_MEAN,
    CEILING,
    SELECTED,
    EvaluatedClips,
    Records,
    Results,
)

LEVELS = tuple(round(0.05 * number, 2) for number in range(1, 20))
ON_TEST = "on test"  # how the threshold of a row was selected

Cious = Float64[np.ndarray, "n 19"]


def cious_at_levels(
    values: Float32[np.ndarray, "side side"], boxes: Sequence[Box], protocol: Protocol
) -> list[float]:
    """The cIoU of a map, 0 to 1, cut at each of `LEVELS`."""
    truth = rasterise(boxes, protocol.truth)
    return [ciou(mark(values, level, protocol), truth) for level in LEVELS]


def best_level(found: Cious) -> int:
    """Which of `LEVELS` has the highest AUC on these clips; the lowest of several.

    Source: ACL, Park et al., WACV 2024, as released: `best_AUC` of the evaluation on VGG-SS.
    """
    return int(np.argmax([area_under_curve(one) for one in found.T]))


def evaluate_fixed_thresholds(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips with boxes at each of `LEVELS`.

    The first row has the threshold whose AUC on these very clips is highest; those of blind maps
    have theirs, so that the selection is as free for them.

    Raises:
        HearsightError: as `evaluate`.

    Source: ACL, Park et al., Can CLIP help sound source localization?, WACV 2024, as released.
    Differs from the released code: a clip whose truth is empty and whose map marks nothing has
    cIoU 0; there it is NaN, and AUC less by 1/40 of such clips' share.
    """
    evaluated, cut = EvaluatedClips(), list[list[float]]()
    with source.running():
        for batch in source.clip_maps(clips, protocol, evaluated):
            prepared = prepared_maps(batch.maps, batch.protocol, batch.objects)
            cut += [
                cious_at_levels(values, item.boxes, protocol)
                for item, values in zip(batch.items, prepared, strict=True)
            ]
    found = np.array(cut, np.float64)
    best = best_level(found)
    rows = [_row(source.name, protocol.name, found, best, ON_TEST)]
    records = {source.name: _records(found[:, best])}
    for place, level in enumerate(LEVELS):
        title = f"{source.name} at {level:.2f}"
        rows.append(_row(title, protocol.name, found, place, None))
        records[title] = _records(found[:, place])
    for title, one in _blind(evaluated.boxes, protocol).items():
        own = best_level(one)
        rows.append(_row(title, protocol.name, one, own, ON_TEST))
        records[title] = _records(one[:, own])
    return evaluated.results(
        protocol,
        [rounded(row) for row in rows],
        evaluated.lines(
            protocol, threshold=[LEVELS[best]] * len(cut), ciou=found[:, best].tolist()
        ),
        notes=[
            f"the threshold {LEVELS[best]:.2f} of '{source.name}' was selected on the clips that "
            "are scored, so its first row is too high for a test"
        ],
        records=records,
    )


def _row(
    name: str, protocol: str, found: Cious, place: int, selected: str | None
) -> dict[str, Any]:
    own = found[:, place]
    return {
        "name": name,
        "protocol": protocol,
        "clips": len(own),
        "threshold": f"{LEVELS[place]:.2f}",
        SELECTED: selected,
        "cIoU@0.5": success_rate(own),
        "AUC": area_under_curve(own),
    }


def _records(own: Float64[np.ndarray, " n"]) -> Records:
    return {"cIoU@0.5": (own >= 0.5).tolist(), "AUC": success_areas(own).tolist()}


def _blind(boxes: Sequence[Sequence[Box]], protocol: Protocol) -> dict[str, Cious]:
    """Of blind maps, and of the truths themselves as maps, which are the ceiling."""
    truths = [rasterise(own, protocol.truth) for own in boxes]
    maps = {BLIND_DISC: centred_disc(), BLIND_MEAN: mean_truth(truths)}
    found = {
        name: np.array([cious_at_levels(values, own, protocol) for own in boxes])
        for name, values in maps.items()
    }
    whole = [whole_image_ciou(truth) for truth in truths]
    ideal = [best_possible(truth, truth.pixels) for truth in truths]
    found[BLIND_IMAGE] = np.repeat(np.array(whole)[:, None], len(LEVELS), 1)
    found[CEILING] = np.repeat(np.array(ideal)[:, None], len(LEVELS), 1)
    return found
