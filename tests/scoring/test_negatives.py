"""Negative sounds: thresholds, shares and areas by definition; who listens and who does not."""

from itertools import pairwise

import numpy as np
import pytest
from made_models import Deaf, Follower, MadeClips, make_model, make_pairs, noise

from hearsight.clips.clip import UnreadableClip
from hearsight.errors import HearsightError
from hearsight.scoring.negatives import (
    area_under_shares,
    harmonic_mean,
    marked_share,
    negative_row,
    universal_thresholds,
)
from hearsight.scoring.protocol_registry import evaluate_protocol


def test_thresholds_of_known_maxima() -> None:
    maxima = np.arange(1, 101) / 100
    found = universal_thresholds(np.random.default_rng(0).permutation(maxima))
    assert found == pytest.approx({"max": 1.0, "90 %": 0.9, "Q3": 0.7525})
    assert universal_thresholds(np.array([0.3])) == {"max": 0.3, "90 %": 0.3, "Q3": 0.3}


def test_shares_are_of_pixels_above() -> None:
    values = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    assert marked_share(values, 0.25) == 0.5
    assert marked_share(values, 0.4) == 0
    assert marked_share(values, -1.0) == 1


def test_the_area_is_that_of_its_loop() -> None:
    shares = np.round(np.random.default_rng(1).random(30), 2)
    rates = [sum(s <= 0.05 * i for s in shares) / 30 for i in range(21)]
    wanted = sum((a + b) / 2 * 0.05 for a, b in pairwise(rates))
    assert area_under_shares(shares) == pytest.approx(wanted, abs=1e-12)
    assert area_under_shares(np.zeros(3)) == pytest.approx(1)
    assert area_under_shares(np.ones(3)) == pytest.approx(0.025)


def test_the_harmonic_mean_of_a_mean_iou_and_darkness() -> None:
    shares = {"silence": np.zeros(2), "noise": np.array([0.5, 0.7]), "other clip": np.full(4, 0.3)}
    row = negative_row("model", "negatives", 0.25, np.array([0.2, 0.6]), shares)
    assert row["threshold"] == "0.2500"
    assert (row["mean IoU"], row["pIA noise"]) == pytest.approx((0.4, 0.6))
    dark = 100 * (1 + 0.4 + 0.7) / 3
    assert row["F_LOC"] == pytest.approx(2 * 40 * dark / (40 + dark) / 100, abs=1e-5)
    assert harmonic_mean(0.0, 0.0) == 0


def of_four_classes() -> MadeClips:
    """Pairs; those of every other scene have classes of their own."""
    clips = make_pairs(4)
    for place in (2, 3, 6, 7):
        clips.change(place, label=f"{clips[place].label} too")
    return clips


def test_a_model_that_listens_is_dark_in_silence() -> None:
    clips = of_four_classes()
    listening = evaluate_protocol(make_model(Follower), clips, "negatives", draws=2)
    names = [row["name"] for row in listening.rows]
    assert names[:3] == ["model, threshold max", "model, threshold 90 %", "model, threshold Q3"]
    assert names[3:] == ["blind: centred disc", "blind: nothing marked", "ceiling"]
    for row in listening.rows[:3]:
        assert row["clips"] == 8
        assert row["pIA silence"] == 0
    deaf = evaluate_protocol(make_model(Deaf), clips, "negatives", draws=2)
    for row in deaf.rows[:3]:  # the same map whatever is heard
        assert row["pIA silence"] == row["pIA noise"] == row["pIA other clip"]
    assert listening.rows[3]["pIA noise"] == pytest.approx(0.5, abs=1e-4)
    assert listening.rows[5]["F_LOC"] == 1
    assert len(listening.clips) == 3 * 8
    assert {"threshold", "ciou", "pia_other_clip"} <= set(listening.clips[0])


def test_draws_follow_their_seed_and_unreadable_clips_are_named() -> None:
    clips = of_four_classes()
    clips.clips[2] = UnreadableClip("scene 1_0", "its frame is damaged")
    first, again = (
        evaluate_protocol(make_model(Follower), clips, "negatives", draws=1) for _ in range(2)
    )
    assert first.rows == again.rows
    assert "scene 1_0" in first.notes[-1]


def test_the_other_sound_is_of_no_class_in_the_frame() -> None:
    with pytest.raises(HearsightError, match="No clip of another class than that of 'scene 0_0'"):
        evaluate_protocol(make_model(Follower), make_pairs(1), "negatives")
    one_class = make_pairs(3)
    for place in range(6):
        one_class.change(place, label="red", id=f"clip {place}")
    one_class.ids = [clip.id for clip in one_class.clips]
    with pytest.raises(HearsightError, match="clips of two classes"):
        evaluate_protocol(make_model(Follower), one_class, "negatives")
    for place in range(6):  # classes are not known: any other clip will do
        one_class.change(place, label=None, sound=noise(900, place))
    assert (
        evaluate_protocol(make_model(Follower), one_class, "negatives", draws=1).rows[0]["clips"]
        == 6
    )
