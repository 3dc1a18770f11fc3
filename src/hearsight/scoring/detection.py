"""Whether a map is sure only where something sounds: precision, recall, average precision, F1.

Scored on clips of which some show no source of what is heard: silent ones, and ones with the sound
of another clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from hearsight.clips.clip import Box, Clips
from hearsight.clips.truth import SIZES, rasterise, size_class
from hearsight.errors import HearsightError
from hearsight.files.tables import Row, rounded
from hearsight.scoring.inference import Inference, evaluation_mode, score_clips
from hearsight.scoring.map_scores import MapScores, blind_scores, confidences
from hearsight.scoring.metrics import area_under_curve
from hearsight.scoring.protocols import Protocol
from hearsight.scoring.results import EvaluatedClips, Results, name_ids

STEPS = 200  # about so many thresholds make a released average precision
F1_STEPS = 10  # and one more than so many a highest F1


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What was answered for `n` clips.

    sounding: whether the clip shows what sounds. ciou: how well the map marks it, 0 to 1.
    confidence: how sure the map is that something sounds.
    """

    sounding: Bool[np.ndarray, " n"]
    ciou: Float64[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]

    def chosen(self, which: Bool[np.ndarray, " n"]) -> "Detections":
        """Some of the clips."""
        return Detections(
            sounding=self.sounding[which],
            ciou=self.ciou[which],
            confidence=self.confidence[which],
        )


def precision_recall(
    found: Detections,
    thresholds: Float[np.ndarray, " t"],
    *,
    least: float = 0.5,
    misplaced_is_missed: bool = False,
) -> tuple[Float64[np.ndarray, " t"], Float64[np.ndarray, " t"]]:
    """Precision and recall of the answers that are at least as sure as each threshold.

    An answer is right where the clip shows what sounds and cIoU is at least `least`; else it is
    wrong. A sounding clip without an answer is missed. Each is 1 where nothing is to be divided.

    misplaced_is_missed: an answer at the wrong place is wrong and its source missed too, as is
    usual in detection; the released code counts no such source as missed.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """

    def at_least(which: Bool[np.ndarray, " n"]) -> Float64[np.ndarray, " t"]:
        ordered = np.sort(found.confidence[which])
        counts: Float64[np.ndarray, " t"] = np.subtract(
            len(ordered), np.searchsorted(ordered, thresholds), dtype=np.float64
        )
        return counts

    placed = found.ciou >= least
    right = at_least(found.sounding & placed)
    wrong = at_least(~(found.sounding & placed))
    missed = found.sounding.sum() - right
    if not misplaced_is_missed:
        missed = missed - at_least(found.sounding & ~placed)
    return _share(right, right + wrong), _share(right, right + missed)


def _share(
    part: Float64[np.ndarray, " t"], whole: Float64[np.ndarray, " t"]
) -> Float64[np.ndarray, " t"]:
    shares: Float64[np.ndarray, " t"] = np.ones_like(part)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def released_average_precision(found: Detections, *, least: float = 0.5) -> float:
    """The area under precision over recall as it was released, without its first segment.

    Thresholds are every max(1, n // 200)-th confidence from the second highest down; precisions
    are raised to the highest at a greater recall; what lies before the recall at the first
    threshold is left out.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    stride = max(1, len(found.ciou) // STEPS)
    thresholds = np.sort(found.confidence)[:-1][::-stride]
    precision, recall = precision_recall(found, thresholds, least=least)
    return float(np.sum(_highest_after(precision)[:-1] * np.diff(recall)))


def average_precision(
    found: Detections, *, least: float = 0.5, misplaced_is_missed: bool = False
) -> float:
    """The whole area: every confidence is a threshold, and recall begins at 0.

    Differs from the released code: see `released_average_precision`.
    """
    thresholds = np.sort(found.confidence)[::-1]
    precision, recall = precision_recall(
        found, thresholds, least=least, misplaced_is_missed=misplaced_is_missed
    )
    return float(np.sum(_highest_after(precision) * np.diff(recall, prepend=0.0)))


def _highest_after(precision: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, " t"]:
    """The highest precision from each threshold on."""
    highest: Float64[np.ndarray, " t"] = np.maximum.accumulate(precision[::-1])[::-1]
    return highest


def highest_f1(found: Detections, *, least: float = 0.5) -> float:
    """The highest harmonic mean of precision and recall at about 11 thresholds.

    These are every max(1, n // 10)-th of the sorted confidences, from the lowest on.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    thresholds = np.sort(found.confidence)[:: max(1, len(found.ciou) // F1_STEPS)]
    precision, recall = precision_recall(found, thresholds, least=least)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return float(f1.max(initial=0.0))


def accuracy(found: Detections, *, least: float = 0.5, above: bool = False) -> float | None:
    """Share of sounding clips whose cIoU is at least (or `above`) `least`; None if none sounds.

    The released code prints the former in its statistics and the latter while it runs.
    """
    ciou = found.ciou[found.sounding]
    if not len(ciou):
        return None
    return float(np.mean(ciou > least if above else ciou >= least))


def detection_row(
    name: str, protocol: str, found: Detections, sizes: Float64[np.ndarray, " n"]
) -> dict[str, Any]:
    """One row of the table. sizes: pixels of each truth, by weight."""
    seen = found.sounding
    row = {
        "name": name,
        "protocol": protocol,
        "clips": len(seen),
        "sounding": int(seen.sum()),
        "AP released": released_average_precision(found),
        "AP full": average_precision(found),
        "AP strict": average_precision(found, misplaced_is_missed=True),
        "max F1": highest_f1(found),
        "LocAcc": accuracy(found),
        "LocAcc >": accuracy(found, above=True),
        "AUC": area_under_curve(found.ciou[seen]) if seen.any() else None,
    }
    classes = np.array([size_class(pixels) for pixels in sizes])
    for size in SIZES:
        row[f"LocAcc {size}"] = accuracy(found.chosen(seen & (classes == size)))
    return rounded(row)


def evaluate_detection(model: Inference, clips: Clips, protocol: Protocol) -> Results:
    """Score a model on clips of which some have an empty list of boxes.

    A clip sounds if it has boxes, whether or not these cover a pixel. Confidence is the mean of
    the highest quarter of the map before it is brought to its own range.

    Raises:
        HearsightError: no clip without a source or none with one, or as `evaluate`.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    evaluated, parts = EvaluatedClips(), list[tuple[MapScores, Float[np.ndarray, " b"]]]()
    with evaluation_mode(model.encoders):
        for batch in score_clips(model, clips, protocol, evaluated):
            parts.append((batch.scores, confidences(batch.maps, protocol, batch.objects)))
    found = Detections(
        sounding=np.array([bool(own) for own in evaluated.boxes]),
        ciou=np.concatenate([scores.ciou for scores, _ in parts]),
        confidence=np.concatenate([sure for _, sure in parts]),
    )
    _check_both(found)
    silent = [id for id, own in zip(evaluated.ids, evaluated.boxes, strict=True) if not own]
    return evaluated.results(
        protocol,
        detection_rows(model.name, found, evaluated.boxes, protocol),
        evaluated.lines(
            protocol,
            sounding=found.sounding.tolist(),
            ciou=found.ciou.tolist(),
            confidence=found.confidence.tolist(),
        ),
        notes=name_ids("clips show no source", silent),
    )


def detection_rows(
    name: str, found: Detections, boxes: Sequence[Sequence[Box]], protocol: Protocol
) -> list[Row]:
    """The model, blind maps that are equally sure of every clip, and the ceiling."""
    sizes = np.array([rasterise(own, protocol.truth).weight for own in boxes], np.float64)
    alike = np.zeros(len(sizes))
    rows: list[Row] = [detection_row(name, protocol.name, found, sizes)]
    for blind, scores in blind_scores(boxes, protocol).items():
        sure = _ideal(found.sounding, scores.ciou) if blind == "ceiling" else alike
        answers = Detections(sounding=found.sounding, ciou=scores.ciou, confidence=sure)
        rows.append(detection_row(blind, protocol.name, answers, sizes))
    return rows


def _ideal(
    sounding: Bool[np.ndarray, " n"], ciou: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Confidences that rank what is right first and silence last, no two of them alike."""
    ranks = np.empty(len(ciou), np.float64)
    ranks[np.lexsort((ciou, sounding))] = np.arange(len(ciou))
    return ranks


def _check_both(found: Detections) -> None:
    """Refuse clips that are all of one kind."""
    if found.sounding.all():
        raise HearsightError(
            "Every clip shows what sounds, so there is nothing to be told apart: add clips without "
            "a source, such as offscreen:toys, or FOLDER@LIST with a list of video, audio, label."
        )
    if not found.sounding.any():
        raise HearsightError(
            "No clip shows what sounds, so there is nothing to be told apart: add annotated clips."
        )
