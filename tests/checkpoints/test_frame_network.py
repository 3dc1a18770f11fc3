"""A frame network begins with the weights that others trained on ImageNet, or with a model's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_released import PlainResNet, fill
from safetensors.torch import save_file
from torch import Tensor

from hearsight.checkpoints.frame_network import (
    find_imagenet,
    load_imagenet,
    load_trunk,
    torchvision_name,
    transformers_name,
)
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoder, Encoders

SMALL = Encoder(widths=(8, 12, 16, 24), projection=16)
DEEP = Encoder(frame_trunk="resnet50", widths=(8, 12, 16, 24), projection=16)


def test_a_frame_network_starts_from_a_torchvision_file(tmp_path: Path) -> None:
    encoder = Encoder(widths=(8, 16), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2), ema=0.9)
    wanted = Encoders(encoder).frames.state_dict()
    theirs = {torchvision_name(name): value for name, value in wanted.items()}
    extra = {"fc.weight": torch.zeros(10, 16), "bn1.num_batches_tracked": torch.tensor(1)}
    torch.save({**theirs, **extra}, tmp_path / "resnet.pth")
    encoder.weights = str(tmp_path / "resnet.pth")
    encoders = Encoders(encoder)
    load_trunk(encoders, encoder)
    assert encoders.ema is not None
    for network in (encoders.frames, encoders.ema["frames"]):
        for name, value in network.state_dict().items():
            assert torch.equal(value, wanted[name])


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    encoder = Encoder(widths=(8,), blocks=(1,), strides=(1,), sound_strides=(1,))
    encoder.weights = str(tmp_path / "other.pth")
    torch.save({"conv1.weight": torch.zeros(4, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(HearsightError, match=r"other\.pth does not fit .* transformers: conv1"):
        load_trunk(Encoders(encoder), encoder)


def plain(encoder: Encoder) -> PlainResNet:
    """The frame network as torchvision defines it, with random weights."""
    deep = encoder.frame_trunk == "resnet50"
    blocks = (3, 4, 6, 3) if deep else encoder.blocks
    network = PlainResNet(blocks, widths=encoder.widths, strides=(1, 2, 2, 1), bottleneck=deep)
    fill(network)
    return network


def by_transformers(network: PlainResNet, prefix: str = "") -> dict[str, Tensor]:
    """Its weights by the names that transformers 5.24.0 gives them."""
    found = {}
    for name, value in network.state_dict().items():
        if name.startswith("fc."):
            found[f"classifier.1.{name[3:]}"] = value
            continue
        layer, rest = name.split(".", 1)
        if layer in ("conv1", "bn1"):
            kind = "convolution" if layer == "conv1" else "normalization"
            found[f"{prefix}embedder.embedder.{kind}.{rest}"] = value
            continue
        at, part, rest = rest.split(".", 2)
        if part == "downsample":
            number, rest = rest.split(".", 1)
            part = "shortcut." + ("convolution" if number == "0" else "normalization")
        else:
            kind = "convolution" if part.startswith("conv") else "normalization"
            part = f"layer.{int(part[-1]) - 1}.{kind}"
        stage = f"{prefix}encoder.stages.{int(layer[-1]) - 1}.layers.{at}"
        found[f"{stage}.{part}.{rest}"] = value
    return found


def with_resnet(network: PlainResNet) -> dict[str, Tensor]:
    return by_transformers(network, "resnet.")


@pytest.mark.parametrize("encoder", [SMALL, DEEP], ids=["18", "50"])
@pytest.mark.parametrize("names", [PlainResNet.state_dict, by_transformers, with_resnet])
def test_a_resnet_of_others_gives_its_own_features(
    tmp_path: Path, encoder: Encoder, names: Callable[[PlainResNet], dict[str, Tensor]]
) -> None:
    network, file = plain(encoder), tmp_path / "model.safetensors"
    save_file({name: value.contiguous() for name, value in names(network).items()}, file)
    encoders = Encoders(encoder).eval()
    encoder.weights = str(file)
    load_trunk(encoders, encoder)
    encoder.weights = None
    frames = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours, theirs = encoders.frames(frames), network(frames)
    assert ours.shape == (2, encoder.trunk_channels[0], 4, 4)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_resnets_have_the_sizes_of_the_paper() -> None:
    """25.6 and 11.7 million with a classifier of 1,000 (torchvision's tables)."""
    for encoder, total in (
        (Encoder(frame_trunk="resnet50", projection=8), 25_557_032),
        (Encoder(), 11_689_512),
    ):
        frames = Encoders(encoder, bare=True).frames
        head = 1000 * (encoder.trunk_channels[0] + 1)
        assert sum(value.numel() for value in frames.parameters()) + head == total


def test_a_deeper_network_is_not_taken_for_a_shallower_one(tmp_path: Path) -> None:
    """Every weight of a ResNet-18 has its name and shape in a ResNet-34."""
    deeper = PlainResNet((3, 4, 6, 3), widths=SMALL.widths)
    torch.save(deeper.state_dict(), tmp_path / "resnet34.pth")
    trunk = Encoders(SMALL).frames
    with pytest.raises(HearsightError, match=r"unexpected layer1\.2\..*"):
        load_imagenet(trunk, tmp_path / "resnet34.pth")  # type: ignore[arg-type]


def test_a_network_without_numbers_is_refused(tmp_path: Path) -> None:
    state = plain(SMALL).state_dict()
    state["bn1.running_var"][2] = torch.nan
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(HearsightError, match=r"bn1\.running_var in .* no numbers"):
        load_imagenet(Encoders(SMALL).frames, tmp_path / "a.pth")  # type: ignore[arg-type]


def test_a_folder_of_the_hub_is_told_from_a_model_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "resnet-18"
    folder.mkdir()
    assert find_imagenet(str(folder)) is None  # a run that is not there yet
    weights = folder / "pytorch_model.bin"
    torch.save(with_resnet(plain(SMALL)), weights)
    (folder / "config.json").write_text(json.dumps({"architectures": ["ResNetModel"]}))
    assert find_imagenet(str(folder)) == weights
    save_file(with_resnet(plain(SMALL)), folder / "model.safetensors")
    assert find_imagenet(str(folder)) == folder / "model.safetensors"
    (folder / "config.json").write_text(json.dumps({"library_name": "hearsight"}))
    assert find_imagenet(str(folder)) is None


def test_names_of_both_libraries_are_known() -> None:
    name = "stages.1.0.shortcut.1.bias"
    assert torchvision_name(name) == "layer2.0.downsample.1.bias"
    assert transformers_name(name) == "encoder.stages.1.layers.0.shortcut.normalization.bias"
    assert torchvision_name("stages.3.2.third_norm.weight") == "layer4.2.bn3.weight"
    assert transformers_name("stages.3.2.third.weight") == (
        "encoder.stages.3.layers.2.layer.2.convolution.weight"
    )


def test_a_resnet_50_needs_a_projection_and_its_stages() -> None:
    with pytest.raises(HearsightError, match="Frames have 2048 features and sounds 512"):
        Encoder(frame_trunk="resnet50")
    with pytest.raises(HearsightError, match=r"resnet50 has 4 stages, but encoder\.widths 2"):
        Encoder(
            frame_trunk="resnet50",
            projection=8,
            widths=(8, 8),
            blocks=(1, 1),
            strides=(1, 1),
            sound_strides=(1, 1),
        )
