"""Two sources at once: pixel AP by definition, its swapped reading, thresholds of each map."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import Deaf, Follower, make_model, make_pairs

from hearsight.clips.clip import UnreadableClip
from hearsight.clips.truth import TruthMask, joined
from hearsight.errors import HearsightError
from hearsight.scoring.duets import (
    SourceScores,
    above_share_of_peak,
    duet_row,
    marking_average_precision,
    match_sources,
    pixel_average_precision,
    score_duet,
    silent_area,
    swapped_average_precision,
)
from hearsight.scoring.inference import PreparedClip
from hearsight.scoring.protocol_registry import evaluate_protocol


def by_loops(right: np.ndarray, values: np.ndarray) -> float:
    """Sum over falling levels of the step of recall times precision."""
    total = before = 0.0
    for level in sorted(set(values.flat), reverse=True):
        entered = values >= level
        recall = (right & entered).sum() / right.sum()
        total += (recall - before) * (right & entered).sum() / entered.sum()
        before = recall
    return float(total)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pixel_average_precision_is_its_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    right = generator.random((5, 5)) < 0.4
    right[2, 2] = True
    values = np.round(generator.random((5, 5)), 1).astype(np.float32)
    assert pixel_average_precision(right, values) == pytest.approx(by_loops(right, values))
    truth = TruthMask.of(right)
    swapped = by_loops(values > 0.5, right.astype(float)) if (values > 0.5).any() else 0.0
    assert swapped_average_precision(values > 0.5, truth) == pytest.approx(swapped)
    half = TruthMask.of(right, right & (generator.random((5, 5)) < 0.5))  # weights of 0, 1/2, 1
    swapped = by_loops(values > 0.5, half.weights()) if (values > 0.5).any() else 0.0
    assert swapped_average_precision(values > 0.5, half) == pytest.approx(swapped)


def test_known_pixel_average_precision() -> None:
    right = np.array([[True, False], [True, False]])
    assert pixel_average_precision(right, np.array([[4, 1], [3, 2]], np.float32)) == 1
    ranked = np.array([[4, 3], [2, 1]], np.float32)
    assert pixel_average_precision(right, ranked) == pytest.approx((1 + 2 / 3) / 2)
    assert pixel_average_precision(right, np.zeros((2, 2), np.float32)) == 0.5
    assert pixel_average_precision(np.zeros((2, 2), np.bool_), ranked) == 0
    everything = np.ones((2, 2), np.bool_)  # the fault: whoever marks all is perfect
    assert swapped_average_precision(everything, TruthMask.of(right)) == 1


def test_a_threshold_of_each_map_s_own() -> None:
    values = np.array([[1.0, 0.19], [0.21, -0.5]], np.float32)
    assert above_share_of_peak(values).tolist() == [[True, False], [True, False]]
    assert silent_area(np.full((3, 3), 0.19, np.float32)) == 1
    assert silent_area(np.full((3, 3), 0.3, np.float32)) == 0


def source(of_peak: float, ciou: float) -> SourceScores:
    return SourceScores(
        clip="",
        label=None,
        ciou_of_peak=of_peak,
        ciou=ciou,
        iou_of_range=0.25,
        piap=0.5,
        piap_released=0.75,
        confidence=ciou,
        matched=of_peak,
        matched_cap=0.5,
        union=0.4,
        union_cap=0.125,
    )


def test_duets_count_by_the_mean_of_their_sources() -> None:
    duets = [[source(0.9, 0.3), source(0.1, 0.5)], [source(0.4, 0.31), source(0.2, 0.0)]]
    row = duet_row("model", "duets", duets, [0.5, 1.0])
    assert (row["CIoU@0.3"], row["CIoU@0.5"]) == (1, 0.5)
    assert (row["precision>0.3"], row["precision>0.5"]) == (0.5, 0)  # more than, not at least
    assert (row["PIAP released"], row["PIAP"], row["IoU at 0.3"]) == (0.75, 0.5, 0.25)
    assert row["NSA"] == 0.75
    rates = [np.mean([m >= 0.05 * i for m in (0.5, (0.4 + 0.2) / 2)]) for i in range(21)]
    assert row["AUC"] == pytest.approx(np.trapezoid(rates, dx=0.05), abs=1e-5)
    assert duet_row("model", "duets", duets, [])["NSA"] is None


def test_a_model_that_listens_finds_each_sound_apart() -> None:
    clips = make_pairs(3)
    found = evaluate_protocol(make_model(Follower), clips, "duets")
    mixed, apart, disc = found.rows
    assert [row["duets"] for row in found.rows] == [3, 3, 3]
    assert apart["CIoU@0.5"] == apart["precision>0.5"] == 1
    assert mixed["CIoU@0.5"] == 0  # one map for both
    assert mixed["precision>0.5"] == 0.5
    assert apart["PIAP"] > mixed["PIAP"]
    assert disc["name"] == "blind: centred disc"
    assert mixed["NSA"] is None  # both classes are in every duet
    assert len(found.clips) == 2 * 6
    deaf = evaluate_protocol(make_model(Deaf), clips, "duets").rows
    assert {k: v for k, v in deaf[0].items() if k != "name"} == {
        k: v for k, v in deaf[1].items() if k != "name"
    }


def test_a_sound_of_another_class_shows_whether_the_map_stays_dark() -> None:
    clips = make_pairs(2).change(2, label="blue").change(3, label="white")
    found = evaluate_protocol(make_model(Follower), clips, "duets")
    assert found.rows[0]["NSA"] == pytest.approx(1 - (24 / 64) ** 2, abs=0.05)


def test_what_is_no_duet_is_named_or_refused() -> None:
    clips = make_pairs(2)
    clips.clips[3] = UnreadableClip("scene 1_1", "its frame is damaged")
    assert "1 clip stands alone and is in no duet: scene 1_0." in (
        evaluate_protocol(make_model(Follower), clips, "duets").notes
    )
    clips.clips, clips.ids = clips.clips[::2], clips.ids[::2]
    with pytest.raises(HearsightError, match="No two clips are a duet"):
        evaluate_protocol(make_model(Follower), clips, "duets")


def average_precision(right: np.ndarray, marks: np.ndarray) -> float:
    """By its definition, of a marking; 0 without a right pixel, as scikit-learn has it."""
    return by_loops(right, marks.astype(float)) if right.any() else 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_average_precision_of_a_marking_is_that_of_two_levels(seed: int) -> None:
    generator = np.random.default_rng(seed)
    right, marks = generator.random((2, 6, 5)) < generator.random((2, 1, 1))
    found = marking_average_precision(marks, TruthMask.of(right))
    assert found == pytest.approx(average_precision(right, marks))


def released_matching(markings: list[list[np.ndarray]], truths: list[np.ndarray]) -> list[float]:
    """NoPrior's `test_step` as loops: each map takes the best truth, which is emptied."""
    left, found = [truth.astype(float) for truth in truths], []
    for each in markings:
        scores = [
            (marks * truth).sum() / (truth.sum() + (marks * (truth == 0)).sum())
            for marks, truth in zip(each, left, strict=True)
        ]
        best = int(np.argmax(scores))
        found.append(scores[best])
        left[best] = np.zeros_like(left[best])
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_maps_take_the_sources_that_are_left(seed: int) -> None:
    generator = np.random.default_rng(seed)
    markings = [[generator.random((6, 6)) < 0.5 for _ in range(2)] for _ in range(2)]
    for each in markings:
        each[0][0, 0] = each[1][0, 0] = True  # the released code divides by zero otherwise
    truths = [generator.random((6, 6)) < 0.3 for _ in range(2)]
    found = match_sources(markings, [TruthMask.of(truth) for truth in truths])
    assert [one for one, _ in found] == pytest.approx(released_matching(markings, truths))


def test_one_map_for_both_sources_is_matched_as_well_as_two() -> None:
    left = np.zeros((4, 4), np.bool_)
    left[:, :2] = True
    truths = [TruthMask.of(left), TruthMask.of(~left)]
    everything = np.ones((4, 4), np.bool_)
    assert match_sources([[left, left], [~left, ~left]], truths) == [(1, 1), (1, 1)]
    assert match_sources([[~left, ~left], [left, left]], truths) == [(1, 1), (1, 1)]  # swapped
    assert [one for one, _ in match_sources([[everything] * 2] * 2, truths)] == [0.5, 0.5]


def prepared(clip: str, box: tuple[float, float, float, float]) -> PreparedClip:
    return PreparedClip(
        id=clip,
        label=None,
        boxes=(box,),
        truth=None,
        frame=torch.zeros(3, 2, 2),
        sound=np.zeros(4, np.int16),
        seen=None,
    )


def test_both_sources_as_one_truth_ask_for_one_map() -> None:
    """NoPrior's rule on MUSIC-Duet: one map scores by how much of both sources it covers."""
    duet = [prepared("a_0", (0.0, 0.0, 0.25, 1.0)), prepared("a_1", (0.75, 0.0, 1.0, 1.0))]
    across = np.tile(np.abs(np.linspace(-1, 1, 224, dtype=np.float32)), (224, 1))
    found = score_duet(duet, [[across], [across]])
    # the two innermost columns of the truth have the median itself
    assert [one.union for one in found] == pytest.approx([110 / 112] * 2)
    assert [one.union_cap for one in found] == pytest.approx([110 / 112 + 2 / 112 * 0.5] * 2)
    assert max(one.ciou_of_peak for one in found) < 0.5
    # side by side each frame is cut at its own median
    apart = score_duet(duet, [[across, across], [across, across]])
    assert (apart[0].union, apart[0].matched) == pytest.approx((0.5, 0.5), abs=0.02)
    assert apart[0].ciou_of_peak < found[0].ciou_of_peak  # what lies in the other frame is wrong
    assert apart[0].piap < found[0].piap


def test_truths_side_by_side_keep_their_weights() -> None:
    left, right = np.eye(3, dtype=np.bool_), np.zeros((3, 3), np.bool_)
    found = joined([TruthMask.of(left), TruthMask.of(left | ~left, left)])
    assert (found.pixels, found.weight) == (12, 3 + 6)
    assert found.weights().tolist() == np.hstack([left, 0.5 + 0.5 * left]).tolist()
    assert joined([TruthMask.of(left), TruthMask.of(right)]).full is None
