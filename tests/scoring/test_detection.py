"""Detection: the released loops, the full areas, known answers, silent clips end to end."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import Follower, make_model, make_pairs

from hearsight.clips.clip import Box, Clips, UnreadableClip
from hearsight.errors import HearsightError
from hearsight.scoring import detection
from hearsight.scoring.detection import (
    Detections,
    average_precision,
    detection_row,
    highest_f1,
    localisation_accuracy,
    precision_recall,
    released_average_precision,
)
from hearsight.scoring.protocol_registry import evaluate_protocol


def draw(seed: int, count: int) -> Detections:
    generator = np.random.default_rng(seed)
    sounding = generator.random(count) < 0.6
    return Detections(
        sounding=sounding,
        ciou=np.round(generator.random(count) * sounding, 2),
        confidence=np.round(generator.random(count), 2).astype(np.float32),  # some are equal
    )


def counted(found: Detections, threshold: float, *, strict: bool = False) -> tuple[float, float]:
    """Precision and recall clip by clip."""
    right = wrong = missed = 0
    for sounding, ciou, sure in zip(found.sounding, found.ciou, found.confidence, strict=True):
        if sure >= threshold:
            right += int(sounding and ciou >= 0.5)
            wrong += int(not (sounding and ciou >= 0.5))
            missed += int(strict and sounding and ciou < 0.5)
        else:
            missed += int(sounding)
    precision = right / (right + wrong) if right + wrong else 1.0
    return precision, right / (right + missed) if right + missed else 1.0


def area(points: Sequence[tuple[float, float]], first: float | None) -> float:
    """Highest later precision times the step of recall; without `first` from the first point on."""
    total, before = 0.0, first
    for place, (_, recall) in enumerate(points):
        if before is None:
            before = recall
            continue
        start = place if first is not None else place - 1
        total += max(precision for precision, _ in points[start:]) * (recall - before)
        before = recall
    return total


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_curves_are_those_of_loops(seed: int, count: int) -> None:
    found = draw(seed, count)
    levels = np.sort(found.confidence)
    for strict in (False, True):
        precision, recall = precision_recall(found, levels, misplaced_is_missed=strict)
        wanted = [counted(found, level, strict=strict) for level in levels]
        assert np.allclose(np.stack([precision, recall], 1), wanted)
        full = [counted(found, level, strict=strict) for level in levels[::-1]]
        measured = average_precision(found, misplaced_is_missed=strict)
        assert measured == pytest.approx(area(full, 0.0))
    few = [counted(found, level) for level in levels[:-1][::-1]]
    assert released_average_precision(found) == pytest.approx(area(few, None))
    f1 = [
        2 * p * r / (p + r) if p + r else 0.0
        for p, r in (counted(found, level) for level in levels[:: max(1, count // 10)])
    ]
    assert highest_f1(found) == pytest.approx(max(f1))


def test_the_released_stride_is_a_two_hundredth() -> None:
    found = draw(3, 650)
    points = [counted(found, level) for level in np.sort(found.confidence)[:-1][::-3]]
    assert released_average_precision(found) == pytest.approx(area(points, None))
    steps = np.sort(found.confidence)[::65]
    assert len(steps) == 10
    assert highest_f1(found) == pytest.approx(
        max(2 * p * r / (p + r) for p, r in (counted(found, level) for level in steps) if p + r)
    )


def perfect(count: int) -> Detections:
    sounding = np.arange(2 * count) < count
    confidence = np.where(sounding, 1, 0) + np.arange(2 * count) / 1e4
    return Detections(sounding=sounding, ciou=sounding.astype(float), confidence=confidence)


def test_perfect_answers_lose_the_first_segment_as_released() -> None:
    found = perfect(10)
    assert average_precision(found) == average_precision(found, misplaced_is_missed=True) == 1
    assert released_average_precision(found) == pytest.approx(0.8)  # 2 of 10 come before
    assert highest_f1(found) == 1
    assert localisation_accuracy(found) == 1


def test_a_wrong_place_is_missed_in_the_strict_reading_only() -> None:
    found = Detections(
        sounding=np.ones(4, np.bool_),
        ciou=np.array([1.0, 0.0, 0.0, 0.0]),
        confidence=np.array([4.0, 3.0, 2.0, 1.0]),
    )
    precision, recall = precision_recall(found, np.array([1.0]))
    assert (precision, recall) == (0.25, 1)
    _, strict = precision_recall(found, np.array([1.0]), misplaced_is_missed=True)
    assert strict == 0.25
    assert average_precision(found, misplaced_is_missed=True) == 0.25
    # precisions 1, 1/2, 1/3, 1/4 at recalls 1/4, 1/3, 1/2, 1: clips found at the wrong place are
    # wrong, but not missed
    steps = [(1, 4), (1, 12), (1, 6), (1, 2)]
    area = sum(Fraction(*step) / (rank + 1) for rank, step in enumerate(steps))
    assert area == Fraction(17, 36)  # 0.4722
    assert average_precision(found) == pytest.approx(float(area), abs=1e-12)


def test_exactly_one_half_is_right_in_the_statistics_but_not_above() -> None:
    found = Detections(
        sounding=np.ones(2, np.bool_), ciou=np.array([0.5, 0.75]), confidence=np.zeros(2)
    )
    assert localisation_accuracy(found) == 1
    assert localisation_accuracy(found, above=True) == 0.5
    nothing = found.chosen(np.zeros(2, np.bool_))
    assert localisation_accuracy(nothing) is None
    assert (highest_f1(nothing), released_average_precision(nothing)) == (0, 0)


def test_sizes_are_those_of_the_truth() -> None:
    found = Detections(
        sounding=np.array([True, True, True, False]),
        ciou=np.array([1.0, 0.0, 1.0, 0.0]),
        confidence=np.array([3.0, 2.0, 1.0, 0.0]),
    )
    row = detection_row("model", "slavc-extended", found, np.array([1023.0, 1024.0, 20736.0, 0.0]))
    assert (row["LocAcc small"], row["LocAcc medium"], row["LocAcc huge"]) == (1, 0, 1)
    assert row["LocAcc large"] is None
    assert row["LocAcc"] == pytest.approx(2 / 3, abs=1e-5)
    assert (row["clips"], row["sounding"]) == (4, 3)


def test_a_model_that_is_dark_in_silence_detects() -> None:
    clips = make_pairs(6)
    for place in (1, 5, 9):
        clips.change(place, sound=np.zeros(8_000, np.int16), boxes=(), id=f"silent {place}")
    clips.clips[3] = UnreadableClip("torn", "its frame is damaged")
    clips.ids[3] = "torn"
    found = evaluate_protocol(make_model(Follower), clips, "slavc-extended")
    model: Any = found.rows[0]
    assert [row["name"] for row in found.rows][1:] == [
        "blind: centred disc",
        "blind: whole image",
        "blind: mean truth",
        "ceiling",
    ]
    assert (model["clips"], model["sounding"]) == (11, 8)
    assert model["AP full"] == model["max F1"] == model["LocAcc"] == 1
    assert model["AP released"] == pytest.approx(1 - 2 / 8)
    assert (found.rows[-1]["AP full"], found.rows[-1]["AP released"]) == (1, 0.75)
    assert found.rows[1]["AP released"] == 0  # equally sure of everything
    assert any("3 clips show no source: silent 1" in note for note in found.notes)
    assert any("torn" in note for note in found.notes)
    silent = [clip["confidence"] for clip in found.clips if not clip["sounding"]]
    assert max(silent) < 1e-6


def test_clips_of_one_kind_are_refused_before_a_map_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(clips: Clips, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        return clips[index].label, clips[index].boxes

    monkeypatch.setattr(type(make_pairs(1)), "annotation", told, raising=False)
    with monkeypatch.context() as patched:
        patched.setattr(detection, "score_clips", lambda *_, **__: pytest.fail("it was computed"))
        for clips, words in (
            (make_pairs(2), "Every clip has a visible source"),
            (make_pairs(1).change(0, boxes=()).change(1, boxes=()), "No clip has a visible source"),
        ):
            with pytest.raises(HearsightError, match=words):
                evaluate_protocol(make_model(Follower), clips, "slavc-extended")
    torn = make_pairs(6).change(1, boxes=())
    torn.clips[3], torn.ids[3] = UnreadableClip("torn", "its frame is damaged"), "torn"
    assert evaluate_protocol(make_model(Follower), torn, "slavc-extended").rows[0]["clips"] == 11


def test_clips_of_one_kind_are_refused() -> None:
    with pytest.raises(HearsightError, match="Every clip has a visible source"):
        evaluate_protocol(make_model(Follower), make_pairs(2), "slavc-relative-extended")
    clips = make_pairs(1).change(0, boxes=()).change(1, boxes=())
    with pytest.raises(HearsightError, match="No clip has a visible source"):
        evaluate_protocol(make_model(Follower), clips, "slavc-extended:flickr")
