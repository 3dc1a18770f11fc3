"""The confidence threshold, chosen without labels."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.checkpoints.checkpoint import LAST, load_checkpoint
from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.model.encoders import Encoders
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.serialisation import assign
from hearsight.scenes.scenes import open_scenes
from hearsight.training.confidence_threshold import MIN_RECALL, best_threshold, choose_threshold
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.trainer import train


def balanced_accuracy(high: list[float], low: list[float], cut: float) -> float:
    above = sum(value >= cut for value in high) / len(high)
    below = sum(value < cut for value in low) / len(low)
    return (above + below) / 2


@settings(max_examples=60, deadline=None)
@given(
    high=st.lists(st.integers(-50, 50), min_size=1, max_size=12),
    low=st.lists(st.integers(-50, 50), min_size=1, max_size=12),
)
def test_no_cut_that_keeps_as_many_parts_better(high: list[int], low: list[int]) -> None:
    ours = best_threshold(np.array(high, np.float64), np.array(low, np.float64))
    values = sorted({*high, *low})
    cuts = [values[0], *((one + other) / 2 for one, other in pairwise(values))]
    kept = [cut for cut in cuts if sum(value >= cut for value in high) >= MIN_RECALL * len(high)]
    best = max(balanced_accuracy(high, low, cut) for cut in kept)
    assert ours in kept
    assert balanced_accuracy(high, low, ours) == pytest.approx(best)


def test_responses_that_tell_nothing_apart_still_show_sources() -> None:
    alike = np.linspace(0, 1, 1001)
    assert (alike >= best_threshold(alike, alike)).mean() >= MIN_RECALL
    worse = best_threshold(alike, alike + 0.5)  # others' sounds peak higher than their own
    assert (alike >= worse).mean() >= MIN_RECALL


def test_parted_samples_are_cut_half_way() -> None:
    assert best_threshold(np.array([0.7, 0.9]), np.array([0.1, 0.3])) == 0.5


class Colours:
    """Frames of one of three colours with one of three pitches; the last cannot be read."""

    def __init__(self, count: int = 10) -> None:
        self.ids = [f"clip{i}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.ids)

    def sound(self, index: int) -> np.ndarray:
        return self[index].sound

    def __getitem__(self, index: int) -> DecodedClip:
        if index == 9:
            raise UnreadableClip("clip9", "broken")
        frame = np.zeros((100, 120, 3), np.uint8)
        frame[..., index % 3] = 255
        return DecodedClip(
            id=self.ids[index], frame=frame, sound=np.full(8000, index % 3, np.int16)
        )


class Knowing(Encoders):
    """Responds 0.8 where colour and sound belong together, else 0.2."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, frames: torch.Tensor, spectrograms: torch.Tensor) -> torch.Tensor:
        colour = frames.mean((2, 3)).argmax(1)
        pitch = spectrograms[:, 0, 0, 0].long()
        return torch.where(colour[:, None] == pitch[None], 0.8, 0.2)[..., None, None].expand(
            -1, -1, 2, 2
        )


class FirstSample(MelSpectrogram):
    """A front end that passes on the first sample."""

    def __call__(self, pcm: torch.Tensor) -> torch.Tensor:
        return pcm[:, None, :1, None].float()


def test_the_threshold_parts_own_sounds_from_others_and_restores_the_mode() -> None:
    recipe = load_recipe("ssl_tie:small")
    recipe.spectrogram = FirstSample(seconds=1.0)
    model = Knowing().train()
    found = choose_threshold(model, recipe, Colours(), device=torch.device("cpu"))
    assert found == pytest.approx(0.5)
    assert model.training


class Stopping(Colours):
    """Clips whose reading is interrupted."""

    def __getitem__(self, index: int) -> DecodedClip:
        raise KeyboardInterrupt


def test_an_interrupt_leaves_the_encoders_in_the_mode_that_they_had() -> None:
    recipe = load_recipe("ssl_tie:small")
    model = Knowing().train()
    with pytest.raises(KeyboardInterrupt):
        choose_threshold(model, recipe, Stopping(), device=torch.device("cpu"))
    assert model.training


def test_a_lone_clip_gives_no_threshold() -> None:
    recipe = load_recipe("ssl_tie:small")
    clips = Colours(1)
    encoders = Encoders(recipe.encoder)
    assert choose_threshold(encoders, recipe, clips, device=torch.device("cpu")) is None


def test_the_threshold_is_the_same_whoever_loads_the_clips(tmp_path: Path) -> None:
    recipe = load_recipe("ssl_tie:small")
    for change in ("epochs=2", "batch_size=8", "encoder.widths=[8,8,8,8]", "frame_size=48"):
        assign(recipe, change)
    found = []
    for workers in (0, 1):  # with 0 the clips of this process go through the epochs, with 1 a copy
        clips = open_scenes("toys", size=56, count=8, classes=4, endless=True)
        options = TrainingOptions(workers=workers, device="cpu")
        train(recipe, clips, tmp_path / f"{workers}", options=options)
        found.append(load_checkpoint(tmp_path / f"{workers}" / LAST).facts["threshold"])
    assert found[0] == found[1]
