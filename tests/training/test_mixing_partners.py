"""Mixing partners: alike sounds find each other, and embedding changes no encoder."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.batches import NO_PARTNER
from hearsight.training.mixing_partners import embed_sounds, find_mixing_partners


class Tones:
    """Clips that sound a pitch each; one of them cannot be read."""

    def __init__(self, pitches: list[float], unreadable: int | None = None) -> None:
        self.ids = [f"tone{i}" for i in range(len(pitches))]
        self.pitches, self.unreadable = pitches, unreadable

    def __len__(self) -> int:
        return len(self.ids)

    def sound(self, index: int) -> np.ndarray:
        if index == self.unreadable:
            raise UnreadableClip(self.ids[index], "its sound is empty")
        time = np.arange(48_000) / 16_000
        return (9000 * np.sin(2 * np.pi * self.pitches[index] * time)).astype(np.int16)

    def __getitem__(self, index: int) -> DecodedClip:
        raise AssertionError("only sounds are needed")


@pytest.fixture
def small() -> Recipe:
    return load_recipe("ssl_tie:small")


def test_alike_sounds_become_partners_and_unreadable_ones_none(small: Recipe) -> None:
    torch.manual_seed(0)
    encoders = Encoders(small.encoder).eval()
    tones = Tones([300.0, 2500.0, 305.0, 2480.0, 900.0], unreadable=4)
    found = find_mixing_partners(
        small, encoders, tones, epoch=0, accelerator=Accelerator(cpu=True), workers=0
    )
    assert found.tolist() == [2, 3, 0, 1, NO_PARTNER]


def test_sounds_without_a_finite_embedding_have_no_partner(small: Recipe) -> None:
    encoders = Encoders(small.encoder)
    torch.nn.init.constant_(encoders.sounds.stem.weight, torch.nan)
    found = find_mixing_partners(
        small,
        encoders,
        Tones([300.0, 2500.0]),
        epoch=0,
        accelerator=Accelerator(cpu=True),
        workers=0,
    )
    assert found.tolist() == [NO_PARTNER, NO_PARTNER]


def test_embedding_leaves_the_encoders_as_they_were(small: Recipe) -> None:
    torch.manual_seed(0)
    encoders = Encoders(small.encoder).train()
    before = {name: value.clone() for name, value in encoders.state_dict().items()}
    embeddings, indices = embed_sounds(
        small,
        encoders,
        Tones([300.0, 2500.0, 305.0]),
        epoch=0,
        wanted=[0, 2],
        device=torch.device("cpu"),
        workers=0,
    )
    assert encoders.training
    assert indices.tolist() == [0, 2]
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert all(torch.equal(before[name], value) for name, value in encoders.state_dict().items())


def test_an_interrupt_leaves_the_encoders_in_the_mode_that_they_had(small: Recipe) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    encoders = Encoders(small.encoder).train()
    with pytest.raises(KeyboardInterrupt):
        embed_sounds(
            small,
            encoders,
            Tones([300.0, 2500.0]),
            epoch=0,
            wanted=[0, 1],
            device=torch.device("cpu"),
            workers=0,
            advance=interrupt,
        )
    assert encoders.training
