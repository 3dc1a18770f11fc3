"""Epochs in a time budget, by a clock of the test: steps and the search for partners count."""

from collections.abc import Callable

import numpy as np
import pytest

from hearsight.errors import HearsightError
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.scenes.scenes import Scenes, open_scenes
from hearsight.training import time_budget
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.time_budget import fit_epochs

STEP, SEARCH = 2.0, 40.0  # seconds by that clock: of a step, of a search for mixing partners
CLIPS, BATCH = 13, 4  # three batches in an epoch


class Clock:
    def __init__(self) -> None:
        self.now, self.steps = 100.0, 0

    def monotonic(self) -> float:
        return self.now

    def advance(self, stage: str, done: int, total: int | None) -> None:
        assert (stage, done, total) == ("measuring the speed", self.steps + 1, 15)
        self.steps, self.now = done, self.now + STEP


def small(name: str) -> Recipe:
    recipe = load_recipe(name)
    for change in (f"batch_size={BATCH}", "encoder.widths=[8,8,8,8]", "frame_size=48"):
        assign(recipe, change)
    return recipe


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return open_scenes("toys", size=56, count=CLIPS, classes=4)


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch, scenes: Scenes) -> Callable[[Recipe, float], int]:
    """The epochs of a recipe that fit into minutes."""
    clock = Clock()

    def search(*_: object, **__: object) -> np.ndarray:
        clock.now += SEARCH
        return np.zeros(CLIPS, np.int64)

    monkeypatch.setattr(time_budget, "time", clock)
    monkeypatch.setattr(time_budget, "find_mixing_partners", search)

    def measure(recipe: Recipe, minutes: float) -> int:
        clock.steps = 0
        options = TrainingOptions(device="cpu", workers=0, progress=clock.advance)
        return fit_epochs(recipe, scenes, minutes, options)

    return measure


def test_as_many_epochs_as_steps_fit(epochs: Callable[[Recipe, float], int]) -> None:
    recipe = small("ez_vsl:small")
    assert recipe.mixing is None
    epoch = 3 * STEP  # the thirteenth clip fills no batch
    assert epochs(recipe, 10 * epoch / 60) == 10
    assert epochs(recipe, 10.9 * epoch / 60) == 10
    assert epochs(recipe, 0.001) == 1  # at least one


def test_the_search_for_partners_counts_once_an_epoch(
    epochs: Callable[[Recipe, float], int],
) -> None:
    recipe = small("ssl_tie:small")
    assert recipe.mixing is not None
    assert epochs(recipe, 5 * (3 * STEP + SEARCH) / 60) == 5


def test_fewer_clips_than_a_batch_are_refused(epochs: Callable[[Recipe, float], int]) -> None:
    recipe = small("ez_vsl:small")
    recipe.batch_size = CLIPS + 1
    with pytest.raises(HearsightError, match="fewer than one batch"):
        epochs(recipe, 1.0)
