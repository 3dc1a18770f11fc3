"""Controls in the place of a trunk of sounds: statistics as loops, and one that hears nothing."""

import pytest
import torch

from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.model.sound_controls import Deafness, SpectrogramStatistics
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.serialisation import assign


def test_statistics_are_mean_and_deviation_of_each_band() -> None:
    spectrograms = torch.rand(2, 1, 96, 7, generator=torch.Generator().manual_seed(3))
    found = SpectrogramStatistics()(spectrograms)
    assert found.shape == (2, 192, 1, 1)
    for sound in range(2):
        for band in range(96):
            values = spectrograms[sound, 0, band].tolist()
            mean = sum(values) / 7
            deviation = (sum((value - mean) ** 2 for value in values) / 7) ** 0.5
            assert found[sound, band, 0, 0] == pytest.approx(mean, abs=1e-6)
            assert found[sound, 96 + band, 0, 0] == pytest.approx(deviation, abs=1e-6)


def test_statistics_know_neither_order_nor_direction_of_time() -> None:
    spectrograms = torch.rand(3, 1, 96, 11, generator=torch.Generator().manual_seed(4))
    trunk, order = SpectrogramStatistics(), torch.randperm(11)
    shuffled = trunk(spectrograms[..., order])
    assert torch.allclose(trunk(spectrograms), shuffled, atol=1e-6)


def test_an_object_map_is_the_same_for_every_sound() -> None:
    recipe = load_recipe("composed:object_map")
    encoders = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(1)).eval()
    generator = torch.Generator().manual_seed(2)
    pcm = torch.randint(-9000, 9000, (4, 48_000), generator=generator, dtype=torch.int16)
    frames = torch.rand(2, 3, 96, 96, generator=generator)
    with torch.inference_mode():
        maps = encoders(frames, recipe.spectrogram(pcm))
    assert maps.shape == (2, 4, 6, 6)
    assert torch.equal(maps, maps[:, :1].expand_as(maps))
    assert not torch.allclose(maps[0], maps[1], atol=1e-3)


def test_controls_have_no_weights_and_nothing_to_free() -> None:
    for trunk in (SpectrogramStatistics(), Deafness()):
        assert not list(trunk.state_dict())
    recipe = assign(load_recipe("composed:statistics"), "encoder.free_blocks=2")
    trained = [
        name for name, one in Encoders(recipe.encoder).named_parameters() if one.requires_grad
    ]
    assert {name.split(".")[0] for name in trained} == {
        "frames",
        "frame_projection",
        "sound_projection",
    }


def test_a_control_hears_the_spectrogram_of_the_network_that_it_replaces() -> None:
    with pytest.raises(HearsightError, match="aisfx, statistics, deaf and SoundEffectSpectrogram"):
        assign(load_recipe("ssl_tie:small"), "encoder.sound_trunk=deaf", "encoder.projection=8")
