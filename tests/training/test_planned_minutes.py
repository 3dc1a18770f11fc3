"""Epochs follow the speed while training, by a clock of the test that only steps advance."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_runs import QUIET, few_scenes, tiny_recipe

from hearsight.checkpoints.checkpoint import LAST, load_checkpoint
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.scenes import Scenes
from hearsight.training import pace, run, trainer
from hearsight.training.run import Run
from hearsight.training.run_folder import TrainingOptions, read_log
from hearsight.training.time_budget import remaining_epochs
from hearsight.training.trainer import train

STEPS = 3  # in an epoch


class Clock:
    """Steps take `slow` seconds after `busy_from` of them, before that 10."""

    def __init__(self, busy_from: int = 10**6, slow: float = 30.0) -> None:
        self.now, self.busy_from, self.slow, self.done = 100.0, busy_from, slow, 0

    def monotonic(self) -> float:
        return self.now

    def advance(self, stage: str, done: int, total: int | None) -> None:
        if stage == "training" and done > self.done:  # it is told at the start of an epoch, too
            self.now += self.slow if done > self.busy_from else 10.0
            self.done = done


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return few_scenes()


@pytest.fixture
def recipe() -> Recipe:
    return replace(tiny_recipe(), epochs=6, decay=True)


def timed(clock: Clock, monkeypatch: pytest.MonkeyPatch, minutes: float) -> TrainingOptions:
    for module in (trainer, run, pace):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return replace(QUIET, progress=clock.advance, planned_minutes=minutes)


def test_epochs_that_still_fit_as_known() -> None:
    assert remaining_epochs(95.0, 30.0, 9) == 3
    assert remaining_epochs(95.0, 30.0, 2) == 2
    assert remaining_epochs(-5.0, 30.0, 9) == 0
    assert remaining_epochs(95.0, 0.0, 9) == 9


@pytest.mark.parametrize(
    ("clock", "minutes", "epochs"),
    [
        (Clock(), 60.0, 6),  # all fit
        (Clock(), 2.0, 4),  # 30 s each
        (Clock(busy_from=2 * STEPS), 4.5, 4),  # two of 30 s, then of 90 s: 240 s of 270
        (Clock(busy_from=0, slow=100.0), 2.0, 1),
    ],
)
def test_the_rate_falls_to_its_end_in_the_epochs_that_fit(
    clock: Clock,
    minutes: float,
    epochs: int,
    recipe: Recipe,
    scenes: Scenes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = train(recipe, scenes, tmp_path / "run", options=timed(clock, monkeypatch, minutes))
    assert result.finished
    assert result.steps == epochs * STEPS
    assert load_checkpoint(tmp_path / "run" / LAST).recipe.epochs == epochs
    rates = [one["learning_rate"] for one in read_log(tmp_path / "run") if one["kind"] == "train"]
    assert rates[0] == recipe.learning_rate
    if epochs > 1:
        assert rates[-1] < 0.1 * recipe.learning_rate
    assert recipe.epochs == 6


def test_a_finished_run_stays_as_it_is_and_an_interrupted_one_keeps_its_plan(
    recipe: Recipe, scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = timed(Clock(), monkeypatch, 2.0)
    stopped = train(recipe, scenes, tmp_path / "run", options=replace(options, minutes=1.4))
    assert not stopped.finished
    assert load_checkpoint(tmp_path / "run" / LAST).recipe.epochs == 4
    again = replace(options, resume=True)
    Run(recipe, scenes, tmp_path / "run", again).kept.close()
    first = train(recipe, scenes, tmp_path / "run", options=again)
    second = train(recipe, scenes, tmp_path / "run", options=again)
    assert first.finished
    assert first.steps == second.steps > stopped.steps


def test_an_epoch_in_which_features_were_computed_says_nothing_of_the_next(
    recipe: Recipe, scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = timed(Clock(), monkeypatch, 2.0)
    run = Run(replace(recipe, fresh_epochs=1), scenes, tmp_path / "run", options)
    run.kept.close()
    run.encoders.caches = {"frames": lambda inputs: inputs}
    run.position.epoch = 1
    run.replan(100.0)
    assert run.recipe.epochs == 6
    run.position.epoch = 2
    run.replan(60.0)
    assert run.recipe.epochs == 4
