"""Detection on extended test sets (SLAVC): average precision, max F1 and LocAcc.

An extended test set also has clips that show no source: silent ones, and frames with the sound of
another clip. A map should be confident on the others alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from hearsight.clips.clip import AnnotatedClips, Box, Clips, UnreadableClip
from hearsight.clips.truth import SIZES, rasterise, size_class
from hearsight.errors import HearsightError
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name, counted
from hearsight.scoring.box_scores import MapScores, blind_scores, confidences
from hearsight.scoring.clip_maps import MapBatch, MapSource, score_clips
from hearsight.scoring.metrics import area_under_curve, success_areas
from hearsight.scoring.protocols import Protocol
from hearsight.scoring.results import CEILING, EvaluatedClips, Records, Results, counted_alone

AP_THRESHOLDS = 200  # about as many make the released average precision
F1_THRESHOLDS = 10  # about one more than these make the highest F1


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Detections on `n` clips.

    sounding: whether the clip shows the source of its sound. ciou: of the map and the truth, 0 to
    1. confidence: that the clip shows a source.
    """

    sounding: Bool[np.ndarray, " n"]
    ciou: Float64[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]

    def chosen(self, which: Bool[np.ndarray, " n"]) -> "Detections":
        """The detections on some of the clips."""
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
    """Precision and recall of the detections whose confidence is at least each threshold.

    A detection is right where the clip is sounding and cIoU is at least `least`, else wrong. A
    sounding clip below the threshold is missed. A quotient of 0 and 0 is 1.

    misplaced_is_missed: a sounding clip detected with less cIoU counts as wrong and as missed, as
    is usual in detection; the released code counts it as wrong alone.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    localised = found.ciou >= least
    right = _at_least(found.confidence[found.sounding & localised], thresholds)
    wrong = _at_least(found.confidence[~(found.sounding & localised)], thresholds)
    missed = found.sounding.sum() - right
    if not misplaced_is_missed:
        misplaced = found.confidence[found.sounding & ~localised]
        missed = missed - _at_least(misplaced, thresholds)
    return _share(right, right + wrong), _share(right, right + missed)


def _at_least(
    confidence: Float[np.ndarray, " n"], thresholds: Float[np.ndarray, " t"]
) -> Float64[np.ndarray, " t"]:
    """How many of the clips have at least each confidence."""
    ordered = np.sort(confidence)
    counts: Float64[np.ndarray, " t"] = np.subtract(
        len(ordered), np.searchsorted(ordered, thresholds), dtype=np.float64
    )
    return counts


def _share(
    part: Float64[np.ndarray, " t"], whole: Float64[np.ndarray, " t"]
) -> Float64[np.ndarray, " t"]:
    shares: Float64[np.ndarray, " t"] = np.ones_like(part)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def released_average_precision(found: Detections, *, least: float = 0.5) -> float:
    """Average precision as released: the area under precision over recall but for its beginning.

    Thresholds are every max(1, n // 200)-th confidence from the second highest down; precisions
    are raised to the highest at a greater recall; the area up to the recall at the first threshold
    is left out.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    stride = max(1, len(found.ciou) // AP_THRESHOLDS)
    thresholds = np.sort(found.confidence)[:-1][::-stride]
    precision, recall = precision_recall(found, thresholds, least=least)
    return float(np.sum(_highest_after(precision)[:-1] * np.diff(recall)))


def average_precision(
    found: Detections, *, least: float = 0.5, misplaced_is_missed: bool = False
) -> float:
    """Average precision over the whole curve: all confidences are thresholds, from recall 0 on.

    Differs from the released code: see `released_average_precision`.
    """
    thresholds = np.sort(found.confidence)[::-1]
    precision, recall = precision_recall(
        found, thresholds, least=least, misplaced_is_missed=misplaced_is_missed
    )
    return float(np.sum(_highest_after(precision) * np.diff(recall, prepend=0.0)))


def _highest_after(precision: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, " t"]:
    """The highest precision at each threshold or a lower one."""
    highest: Float64[np.ndarray, " t"] = np.maximum.accumulate(precision[::-1])[::-1]
    return highest


def highest_f1(found: Detections) -> float:
    """The highest harmonic mean of precision and recall at about 11 thresholds.

    These are every max(1, n // 10)-th of the sorted confidences, from the lowest on.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    thresholds = np.sort(found.confidence)[:: max(1, len(found.ciou) // F1_THRESHOLDS)]
    precision, recall = precision_recall(found, thresholds)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return float(f1.max(initial=0.0))


def localisation_accuracy(found: Detections, *, above: bool = False) -> float | None:
    """LocAcc, the share of sounding clips whose cIoU is at least 0.5; None without such clips.

    above: count only cIoU above 0.5, as the released code does while it runs.
    """
    ciou = found.ciou[found.sounding]
    if not len(ciou):
        return None
    return float(np.mean(ciou > 0.5 if above else ciou >= 0.5))


def detection_row(
    name: str, protocol: str, found: Detections, sizes: Float64[np.ndarray, " n"]
) -> dict[str, Any]:
    """One row of the table. sizes: summed weights of each truth, in pixels."""
    seen, classes = found.sounding, size_classes(sizes)
    row = {
        "name": name,
        "protocol": protocol,
        "clips": len(seen),
        "sounding": int(seen.sum()),
        "AP released": released_average_precision(found),
        "AP full": average_precision(found),
        "AP strict": average_precision(found, misplaced_is_missed=True),
        "max F1": highest_f1(found),
        "LocAcc": localisation_accuracy(found),
        "LocAcc >": localisation_accuracy(found, above=True),
        "AUC": area_under_curve(found.ciou[seen]) if seen.any() else None,
    }
    for size in SIZES:
        row[f"LocAcc {size}"] = localisation_accuracy(found.chosen(seen & (classes == size)))
    return rounded(row)


def size_classes(sizes: Float64[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """The size class of each truth."""
    return np.array([size_class(pixels) for pixels in sizes])


def detection_records(found: Detections, sizes: Float64[np.ndarray, " n"]) -> Records:
    """What the columns of `detection_row` are computed from, clip by clip."""
    seen, classes = found.sounding, size_classes(sizes)
    localised = (found.ciou >= 0.5).astype(np.float64)
    return {
        "sounding": found.sounding.tolist(),
        "ciou": found.ciou.tolist(),
        "confidence": found.confidence.tolist(),
        "LocAcc": counted_alone(seen, localised),
        "LocAcc >": counted_alone(seen, (found.ciou > 0.5).astype(np.float64)),
        "AUC": counted_alone(seen, success_areas(found.ciou)),
        **{f"LocAcc {size}": counted_alone(seen & (classes == size), localised) for size in SIZES},
    }


def evaluate_detection(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips of which some have an empty list of boxes.

    A clip is sounding if it has boxes, whether or not these cover a pixel. See `confidences`.

    Raises:
        HearsightError: no clip without a source or none with one, or as `evaluate`.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    _check_told(clips)
    evaluated, parts = EvaluatedClips(), list[tuple[MapScores, Float[np.ndarray, " b"]]]()
    with source.running():
        for batch in score_clips(source, clips, protocol, evaluated, rated=True):
            parts.append((batch.scores, _confidences(batch)))
    found = Detections(
        sounding=np.array([bool(own) for own in evaluated.boxes]),
        ciou=np.concatenate([scores.ciou for scores, _ in parts]),
        confidence=np.concatenate([sure for _, sure in parts]),
    )
    _check_both(found, evaluated)
    silent = [id for id, own in zip(evaluated.ids, evaluated.boxes, strict=True) if not own]
    sizes = truth_sizes(evaluated.boxes, protocol)
    every = all_detections(source.name, found, evaluated.boxes, protocol)
    return evaluated.results(
        protocol,
        [detection_row(name, protocol.name, one, sizes) for name, one in every.items()],
        evaluated.lines(
            protocol,
            sounding=found.sounding.tolist(),
            ciou=found.ciou.tolist(),
            confidence=found.confidence.tolist(),
        ),
        notes=count_and_name(silent, "clip shows no source", "clips show no source"),
        records={name: detection_records(one, sizes) for name, one in every.items()},
    )


def _confidences(batch: MapBatch) -> Float[np.ndarray, " b"]:
    """What the maps' author gave, else what the maps tell."""
    if batch.confidences is not None:
        return batch.confidences
    return confidences(batch.maps, batch.protocol, batch.objects)


def truth_sizes(boxes: Sequence[Sequence[Box]], protocol: Protocol) -> Float64[np.ndarray, " n"]:
    """Summed weights of each truth, in pixels."""
    return np.array([rasterise(own, protocol.truth).weight for own in boxes], np.float64)


def all_detections(
    name: str, found: Detections, boxes: Sequence[Sequence[Box]], protocol: Protocol
) -> dict[str, Detections]:
    """Those of the model, of blind maps with the same confidence on all clips, of the ceiling."""
    alike, every = np.zeros(len(boxes)), {name: found}
    for blind, scores in blind_scores(boxes, protocol).items():
        ideal = blind == CEILING
        confidence = _ideal_confidences(found.sounding, scores.ciou) if ideal else alike
        every[blind] = Detections(sounding=found.sounding, ciou=scores.ciou, confidence=confidence)
    return every


def _ideal_confidences(
    sounding: Bool[np.ndarray, " n"], ciou: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Confidences without ties: sounding clips first, by their cIoU."""
    ranks = np.empty(len(ciou), np.float64)
    ranks[np.lexsort((ciou, sounding))] = np.arange(len(ciou))
    return ranks


def _check_both(found: Detections, evaluated: EvaluatedClips) -> None:
    """Refuse clips that are all sounding, or none of them."""
    if evaluated.skipped and (found.sounding.all() or not found.sounding.any()):
        skipped, kind = evaluated.skipped, "a" if found.sounding.all() else "no"
        raise HearsightError(
            f"Every one of the {counted(len(evaluated.ids), 'clip')} that can be scored has {kind} "
            "visible source, but detection needs clips with and clips without one: "
            f"{counted(len(skipped), 'clip was', 'clips were')} left out, the first, "
            f"'{skipped[0].id}', because {skipped[0].reason.rstrip('.')}."
        )
    _check_kinds(set(found.sounding.tolist()))


def _check_told(clips: Clips) -> None:
    """Refuse clips whose annotations tell already that they are all sounding, or none of them."""
    if not isinstance(clips, AnnotatedClips):
        return
    told = set[bool]()
    for index in range(len(clips)):
        with suppress(UnreadableClip):
            _, boxes = clips.annotation(index)
            if boxes is not None:
                told.add(bool(boxes))
        if len(told) == 2:
            return
    _check_kinds(told)


def _check_kinds(sounding: set[bool]) -> None:
    if sounding == {True}:
        raise HearsightError(
            "Every clip has a visible source, but detection needs clips with and clips without "
            "one: add offscreen:toys, or FOLDER@LIST with a list of video, audio, label."
        )
    if sounding == {False}:
        raise HearsightError(
            "No clip has a visible source, but detection needs clips with and clips without one: "
            "add annotated clips."
        )
