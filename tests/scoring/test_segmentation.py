"""Masks: IoU and F by their definitions, empty masks, composed scenes end to end."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import Follower, make_model, make_pairs

from hearsight.clips.truth import PIXELS, SIDE, TruthMask, mask_truth
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.scoring.protocol_registry import evaluate_protocol
from hearsight.scoring.protocols import load_protocol
from hearsight.scoring.segmentation import (
    LEVELS,
    MaskScores,
    best_mask,
    f_scores,
    marked_f_score,
    mask_iou,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_are_their_definitions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    inside = generator.random((6, 6)) < 0.4
    inside[0, 0] = True
    values = np.round(generator.random((6, 6)), 2)
    values[-1, -1] = 1
    truth = TruthMask.of(inside)
    marks = values > 0.5
    shared = sum(m and t for m, t in zip(marks.flat, inside.flat, strict=True))
    joined = sum(m or t for m, t in zip(marks.flat, inside.flat, strict=True))
    assert mask_iou(marks, truth) == shared / joined
    found = f_scores(values, truth)
    assert len(found) == 255
    for place in range(0, 255, 17):
        assert found[place] == pytest.approx(released_f(values, inside, LEVELS[place]))
    assert marked_f_score(marks, truth) == pytest.approx(released_f(marks.astype(float), inside, 1))


def released_f(values: np.ndarray, inside: np.ndarray, level: float) -> float:
    marked = (values >= level).astype(float)
    right = (marked * inside).sum()
    precision, recall = right / (marked.sum() + 1e-20), right / (inside.sum() + 1e-20)
    with np.errstate(invalid="ignore"):
        f = 1.3 * precision * recall / (0.3 * precision + recall)
    return 0.0 if np.isnan(f) else float(f)


def test_an_empty_mask_wants_a_dark_map() -> None:
    nothing = TruthMask.of(np.zeros((4, 4), np.bool_))
    marks = np.zeros((4, 4), np.bool_)
    assert mask_iou(marks, nothing) == 1
    marks[:2] = True
    assert mask_iou(marks, nothing) == 0.5
    assert best_mask(nothing, PIXELS // 2) == 0.5
    row = MaskScores(load_protocol("ssl-align-others"))
    empty = TruthMask.of(np.zeros((SIDE, SIDE), np.bool_))
    row.add(np.zeros((SIDE, SIDE), np.float32), empty)
    assert (row.row("model")["F"], row.row("model")["F marked"]) == (None, None)


def test_the_highest_f_is_that_of_the_mean_over_clips() -> None:
    row = MaskScores(load_protocol("ssl-align-others"))
    inside = np.zeros((SIDE, SIDE), np.bool_)
    inside[:56] = True
    truth = TruthMask.of(inside)
    sharp, blurred = (np.zeros((SIDE, SIDE), np.float32) for _ in range(2))
    sharp[:56], blurred[:56], blurred[56:112] = 1, 1, 0.5
    row.add(sharp, truth)
    row.add(blurred, truth)
    assert row.row("model")["F"] == 1  # both, at any level above 0.5
    blurred[56:112] = 1
    row.add(blurred, truth)
    # at every level the third clip has precision 1/2 and recall 1
    third = 1.3 * 0.5 / (0.3 * 0.5 + 1)
    assert row.row("model")["F"] == pytest.approx((1 + 1 + third) / 3, abs=1e-5)


def test_masks_come_to_the_canvas_by_the_middles_of_its_pixels() -> None:
    generator = np.random.default_rng(0)
    mask = generator.random((SIDE, SIDE)) < 0.5
    assert np.array_equal(mask_truth(mask).inside, mask)
    small = generator.random((112, 56)) < 0.5
    assert np.array_equal(mask_truth(small).inside, small.repeat(2, 0).repeat(4, 1))
    assert mask_truth(np.ones((300, 500), np.bool_)).pixels == PIXELS


def test_a_model_that_sees_the_source_cuts_it_out() -> None:
    found = evaluate_protocol(make_model(Follower), make_pairs(3), "masks")
    model: Any = found.rows[0]
    assert model["adaptive mIoU"] > 0.85
    assert model["F"] > 0.85
    assert model["adaptive mIoU"] <= found.rows[-1]["adaptive mIoU"]
    assert [row["name"] for row in found.rows[1:]] == [
        "blind: centred disc",
        "blind: mean truth",
        "ceiling",
    ]


def test_composed_scenes_and_a_mask_without_a_pixel() -> None:
    toys = open_clips("toys", split="val", size=64, count=3, classes=4)
    assert evaluate_protocol(make_model(Follower), toys, "masks").rows[0]["clips"] == 3
    clips = make_pairs(2).change(1, mask=np.zeros((64, 64), np.bool_))
    found = evaluate_protocol(make_model(Follower), clips, "masks")
    assert "1 clip without a masked pixel" in found.notes[0]


def test_boxes_are_no_masks() -> None:
    clips = make_pairs(2).change(2, mask=None)
    with pytest.raises(HearsightError, match="Clip 'scene 1_0' has no mask"):
        evaluate_protocol(make_model(Follower), clips, "masks")
