"""Features of frozen trunks on disk: computed once, the same again, another trunk's apart."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.model.sound_controls import Deafness, SpectrogramStatistics
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.serialisation import assign
from hearsight.training.feature_cache import FeatureCache, feature_caches


class Counting(nn.Conv2d):
    """A convolution that counts the inputs that it saw."""

    seen = 0

    def forward(self, values: Tensor) -> Tensor:
        self.seen += len(values)
        return super().forward(values)


def make_trunk(seed: int = 0) -> Counting:
    torch.manual_seed(seed)
    return Counting(3, 5, 3)


INPUTS = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(2))


def test_each_input_is_computed_once_and_is_the_same_again(tmp_path: Path) -> None:
    trunk = make_trunk()
    cache = FeatureCache(trunk, tmp_path)
    first = cache(INPUTS[:3])
    assert trunk.seen == 3
    assert torch.equal(cache(INPUTS.flip(0))[1:], first.flip(0))
    assert trunk.seen == 4
    assert torch.equal(first, make_trunk()(INPUTS[:3]).half().float())
    assert torch.equal(FeatureCache(make_trunk(), tmp_path)(INPUTS[:3]), first)


def test_another_trunk_has_other_features(tmp_path: Path) -> None:
    one, other = FeatureCache(make_trunk(), tmp_path), FeatureCache(make_trunk(1), tmp_path)
    assert not torch.equal(one(INPUTS), other(INPUTS))
    assert torch.equal(one(INPUTS), FeatureCache(make_trunk(), tmp_path)(INPUTS))


def test_trunks_without_weights_are_told_apart_by_their_kind(tmp_path: Path) -> None:
    spectrograms = torch.rand(2, 1, 96, 5, generator=torch.Generator().manual_seed(3))
    for trunk in (SpectrogramStatistics(), Deafness()):
        found = FeatureCache(trunk, tmp_path)(spectrograms)
        assert torch.equal(found, trunk(spectrograms).half().float())


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_what_a_crash_has_cut_short_is_computed_anew(tmp_path: Path, share: float) -> None:
    trunk = make_trunk()
    cache = FeatureCache(trunk, tmp_path)
    whole = cache(INPUTS)
    file = sorted(tmp_path.rglob("*.npy"))[0]
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert torch.equal(cache(INPUTS), whole)
    assert trunk.seen == len(INPUTS) + 1
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(HearsightError, match="cannot be written to"):
        FeatureCache(make_trunk(), tmp_path / "taken")(INPUTS)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ([], {"frames", "sounds"}),
        (["encoder.free_blocks=1"], set()),
        (["mask=SpectrogramMask"], {"frames"}),
        (["warp=Warp"], {"sounds"}),
    ],
)
def test_only_what_repeats_is_kept(changes: list[str], kept: set[str], tmp_path: Path) -> None:
    recipe = assign(load_recipe("ssl_tie:pretrained_a"), *changes)
    encoders = Encoders(recipe.encoder)
    assert feature_caches(recipe, encoders, tmp_path).keys() == kept


def test_a_network_from_scratch_keeps_nothing(tmp_path: Path) -> None:
    recipe = load_recipe("ssl_tie:small_a")
    assert not feature_caches(recipe, Encoders(recipe.encoder), tmp_path)
