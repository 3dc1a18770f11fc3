"""Runs as small as they get: a recipe, scenes to learn from, and what tells runs apart."""

from pathlib import Path

import pytest
import torch

from hearsight.checkpoints.checkpoint import LAST, load_checkpoint
from hearsight.model.encoders import Encoder
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.training.run_folder import TrainingOptions

QUIET = TrainingOptions(device="cpu", workers=0, log_every=1)
FEW = 12  # scenes


def tiny_recipe() -> Recipe:
    """Every part of SSL-TIE, for 32 pixels and batches of 4."""
    recipe = load_recipe("ssl_tie:small")
    recipe.encoder = Encoder(
        widths=(4, 8), blocks=(1, 1), strides=(1, 2), sound_strides=(2, 2), stem_kernel=3
    )
    recipe.frame_size, recipe.batch_size, recipe.epochs = 32, 4, 3
    recipe.channels_last = False
    return recipe


def few_scenes() -> Scenes:
    return Scenes(load_pack("toys", split="train", classes=4), FEW, size=40, endless=True)


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(run / LAST).weights


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def hurry_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demos of as little of everything as shows the same."""
    monkeypatch.setattr("hearsight.studies.demo_plan.EPOCH", 2)
    monkeypatch.setattr("hearsight.studies.demo_plan.fit_epochs", lambda *_: 1)
    monkeypatch.setattr("hearsight.studies.demo_plan.HELD_OUT", 24)
    monkeypatch.setattr("hearsight.studies.demo.SECONDS", 3)
