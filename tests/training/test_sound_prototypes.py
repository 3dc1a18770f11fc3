"""Sound prototypes, chosen from the sounds that a model was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from hearsight.checkpoints.checkpoint import BEST, LAST, load_checkpoint
from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.scenes import open_scenes
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.sound_prototypes import choose_prototypes
from hearsight.training.trainer import train

CPU = torch.device("cpu")


class Tones:
    """Clips of four tones, in changing order; the fifth clip cannot be read."""

    def __init__(self, count: int) -> None:
        self.ids = [f"clip{i}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.ids)

    def sound(self, index: int) -> np.ndarray:
        if index == 4:
            raise UnreadableClip(self.ids[index], "it is torn")
        times = np.arange(48_000) / 16_000
        return (9_000 * np.sin(2 * np.pi * 300 * 2 ** ((index + index // 4) % 4) * times)).astype(
            np.int16
        )

    def __getitem__(self, index: int) -> DecodedClip:
        frame = np.zeros((64, 64, 3), np.uint8)
        return DecodedClip(id=self.ids[index], frame=frame, sound=self.sound(index))


def small(prototypes: int) -> Recipe:
    recipe = load_recipe("ssl_tie:small")
    encoder = replace(recipe.encoder, projection=16, hidden=8, heads=2, prototypes=prototypes)
    return replace(recipe, encoder=encoder)


def chosen(count: int, prototypes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The prototypes of so many tones, and the embeddings of the four; heads are unit vectors."""
    recipe = small(prototypes)
    encoders = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(1)).train()
    clips = Tones(count)
    choose_prototypes(encoders, recipe, clips, device=CPU)
    assert encoders.training
    assert encoders.sound_prototypes is not None
    with torch.no_grad():
        tones = torch.from_numpy(np.stack([clips.sound(i) for i in range(4)]))
        heard = encoders.eval().embed_sounds(recipe.spectrogram(tones))
    return encoders.sound_prototypes, torch.cat(
        [normalize(part, dim=1) for part in heard.chunk(2, 1)], 1
    )


def assert_each_is_held(prototypes: torch.Tensor, tones: torch.Tensor) -> None:
    """The prototype nearest to a tone lies nearer to it than to the other tones."""
    distances = torch.cdist(tones, prototypes)
    for tone, nearest in enumerate(distances.argmin(1).tolist()):
        assert distances[:, nearest].argmin().item() == tone
        apart = (tones - tones[tone]).norm(dim=1)
        assert distances[tone, nearest] < 0.1 * apart[apart > 0].min()


def test_of_four_sounds_heard_again_and_again_each_has_a_prototype() -> None:
    assert_each_is_held(*chosen(41, 11))


def test_fewer_sounds_than_prototypes_are_all_kept() -> None:
    prototypes, tones = chosen(4, 10)
    assert_each_is_held(prototypes, tones)
    for head in prototypes.chunk(2, 1):
        torch.testing.assert_close(head.norm(dim=1), torch.ones(10))


def test_the_last_is_that_of_silence() -> None:
    recipe = small(5)
    encoders = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(1)).eval()
    choose_prototypes(encoders, recipe, Tones(8), device=CPU)
    silence = torch.zeros(1, round(recipe.spectrogram.seconds * 16_000), dtype=torch.int16)
    with torch.no_grad():
        heard = encoders.embed_sounds(recipe.spectrogram(silence))
    assert encoders.sound_prototypes is not None
    for kept, head in zip(encoders.sound_prototypes.chunk(2, 1), heard.chunk(2, 1), strict=True):
        torch.testing.assert_close(kept[-1:], normalize(head, dim=1), rtol=0, atol=1e-5)


def test_a_recipe_without_prototypes_needs_no_sound() -> None:
    recipe = small(0)
    encoders = Encoders(recipe.encoder)
    choose_prototypes(encoders, recipe, Tones(5), device=CPU)
    assert encoders.sound_prototypes is None


def test_a_run_ends_with_prototypes_of_its_last_weights(tmp_path: Path) -> None:
    recipe = replace(small(6), epochs=1, batch_size=4)
    clips = open_scenes("toys", None, split="train", count=8, size=96, seed=1)
    options = TrainingOptions(device="cpu", workers=0)
    train(recipe, clips, tmp_path / "run", options=options)
    for name in (LAST, BEST):
        held = load_checkpoint(tmp_path / "run" / name, with_state=False)
        encoders = Encoders(held.recipe.encoder)
        encoders.load_state_dict(held.weights)
        kept = held.weights["sound_prototypes"].clone()
        choose_prototypes(encoders, held.recipe, clips, device=CPU)
        assert encoders.sound_prototypes is not None
        torch.testing.assert_close(encoders.sound_prototypes, kept, rtol=0, atol=1e-4)
        assert bool(kept.any())
