"""Two sources at once: pixel AP by definition, its swapped reading, thresholds of each map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import Deaf, Follower, make_model, make_pairs

from hearsight.clips.clip import UnreadableClip
from hearsight.clips.truth import TruthMask
from hearsight.errors import HearsightError
from hearsight.scoring.duets import (
    SourceScores,
    above_share_of_peak,
    duet_row,
    pixel_average_precision,
    silent_area,
    swapped_average_precision,
)
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
    assert above_share_of_peak(values, 0.5).tolist() == [[True, False], [False, False]]
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
    with pytest.raises(HearsightError, match="No two clips share a frame"):
        evaluate_protocol(make_model(Follower), clips, "duets")
