"""Interactive localisation: groups, the released loops, models that listen and that do not."""

from typing import Any

import numpy as np
import pytest
from made_models import Deaf, Follower, make_model, make_pairs

from hearsight.clips.clip import UnreadableClip
from hearsight.errors import HearsightError
from hearsight.scoring.box_scores import MapScores
from hearsight.scoring.interactive import group_key, groups_of, interactive_row, worst_of_each
from hearsight.scoring.protocol_registry import evaluate_protocol


def test_groups_are_all_before_the_last_token() -> None:
    assert group_key("accordion_9_violin_3_accordion") == "accordion_9_violin_3"
    assert group_key("images/dog_cat_1.jpg") == "dog_cat"
    assert group_key("zpWuikVorYg_000032") == "zpWuikVorYg"
    assert group_key("alone") == ""
    groups = groups_of(["a_0", "b_0", "a_1", "c", "d", "b_1_0"])
    assert {key: places.tolist() for key, places in groups.items()} == {"a": [0, 2]}


def released(ciou: np.ndarray, groups: dict[str, Any]) -> tuple[float, float]:
    """iIoU@0.5 and iAUC, threshold by threshold and group by group."""
    rates = []
    for i in range(21):
        lowest = []
        for places in groups.values():
            pair = ciou[places].copy()
            reached = pair >= 0.05 * i
            lowest.append(float(min(reached)))
        rates.append(np.mean(lowest))
    half = np.mean([min(ciou[places] >= 0.5) for places in groups.values()])
    return float(half), float(np.trapezoid(rates, [0.05 * i for i in range(21)]))


def test_numbers_are_those_of_the_released_loops() -> None:
    generator = np.random.default_rng(0)
    ids = [f"scene {place // 2}_{place % 2}" for place in range(40)]
    ciou, adaptive = np.round(generator.random((2, 40)), 2)
    scores = MapScores(ciou=ciou, adaptive=adaptive, pointing=np.zeros(40))
    groups = groups_of(ids)
    row = interactive_row("model", "interactive", scores, groups)
    for prefix, values in (("", ciou), ("adaptive ", adaptive)):
        half, under = released(values, groups)
        assert row[f"{prefix}iIoU@0.5"] == pytest.approx(half, abs=1e-5)
        assert row[f"{prefix}iAUC"] == pytest.approx(under, abs=1e-5)
    assert (worst_of_each(ciou, groups) <= ciou[::2]).all()


def test_a_model_that_listens_finds_both_and_a_deaf_one_does_not() -> None:
    clips = make_pairs(4)
    listening = evaluate_protocol(make_model(Follower), clips, "interactive").rows[0]
    assert (listening["clips"], listening["groups"]) == (8, 4)
    assert listening["adaptive cIoU@0.5"] == listening["adaptive iIoU@0.5"] == 1
    found = evaluate_protocol(make_model(Deaf), clips, "interactive")
    assert found.rows[0]["adaptive cIoU@0.5"] == 0.5
    assert found.rows[0]["adaptive iIoU@0.5"] == 0
    assert found.rows[-1]["name"] == "ceiling"
    assert found.rows[-1]["adaptive iIoU@0.5"] == 1
    assert found.clips[1]["group"] == "scene 0"


def test_a_clip_that_lost_its_partner_is_named() -> None:
    clips = make_pairs(3)
    clips.clips[3] = UnreadableClip("scene 1_1", "its frame is damaged")
    found = evaluate_protocol(make_model(Follower), clips, "interactive")
    assert found.rows[0]["groups"] == 2
    assert "1 clip stands alone and is in no group: scene 1_0." in found.notes


def test_clips_without_partners_are_refused() -> None:
    clips = make_pairs(2)
    clips.clips, clips.ids = clips.clips[::2], clips.ids[::2]
    with pytest.raises(HearsightError, match="No two clips share a frame: 'scene 0_0'"):
        evaluate_protocol(make_model(Follower), clips, "interactive")
