"""Object maps: a torchvision ResNet-18 read, its last stage in size, mixed in from end to end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_models import Follower, make_model, make_pairs
from made_networks import resnet_18
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, max_pool2d, relu

from hearsight.errors import HearsightError
from hearsight.scoring.object_guidance import ObjectGuide, load_guide, object_maps
from hearsight.scoring.protocol_registry import evaluate_protocol
from hearsight.scoring.protocols import load_protocol
from hearsight.scoring.score_table import tabulate


def plain_forward(weights: dict[str, Tensor], frames: Tensor) -> Tensor:
    """The last stage of a ResNet-18, layer by layer."""

    def norm(values: Tensor, name: str) -> Tensor:
        parts = [weights[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return batch_norm(values, *parts)

    values = relu(norm(conv2d(frames, weights["conv1.weight"], stride=2, padding=3), "bn1"))
    values = max_pool2d(values, 3, 2, 1)
    for layer in range(1, 5):
        for block in range(2):
            name = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            first = conv2d(values, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
            second = conv2d(
                relu(norm(first, f"{name}.bn1")), weights[f"{name}.conv2.weight"], padding=1
            )
            if f"{name}.downsample.0.weight" in weights:
                values = conv2d(values, weights[f"{name}.downsample.0.weight"], stride=stride)
                values = norm(values, f"{name}.downsample.1")
            values = relu(norm(second, f"{name}.bn2") + values)
    return values


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet_18(), path)
    return path


def test_the_map_is_the_mean_size_of_the_last_stage(file: Path) -> None:
    guide = load_guide(file)
    frames = torch.randn(2, 3, 224, 224)
    maps = object_maps(guide.network, frames)
    assert maps.shape == (2, 7, 7)
    with torch.no_grad():
        wanted = plain_forward(resnet_18(), frames).abs().mean(1)
    assert torch.allclose(maps, wanted, atol=1e-4)
    assert (maps >= 0).all()


def test_evaluation_shows_the_mixture_and_its_parts(file: Path) -> None:
    clips = make_pairs(2)
    alone = evaluate_protocol(make_model(Follower), clips, "ez-vsl")
    model = make_model(Follower)
    model.guide = load_guide(file)
    found = evaluate_protocol(model, clips, "ez-vsl")
    names = [row["name"] for row in found.rows]
    assert names[:2] == ["model", "model without objects"]
    assert names[-2:] == ["blind: objects alone", "ceiling"]
    assert {k: v for k, v in found.rows[1].items() if k != "name"} == {
        k: v for k, v in alone.rows[0].items() if k != "name"
    }
    for share, row in ((1.0, 1), (0.0, -2)):
        model.guide = load_guide(file, share)
        mixed = evaluate_protocol(model, clips, "ez-vsl").rows[0]
        assert mixed["adaptive AUC"] == pytest.approx(found.rows[row]["adaptive AUC"], abs=0.02)
    assert load_protocol("slavc").share == 0.9


def test_object_maps_alone_have_one_row_however_many_models_there_are(file: Path) -> None:
    clips, found = make_pairs(2), []
    for name in ("first", "second"):
        model = replace(make_model(Follower), name=name, guide=load_guide(file))
        found.append(evaluate_protocol(model, clips, "ez-vsl"))
    names = [row["name"] for row in tabulate(found, draws=20).rows]
    assert names[:4] == ["first", "first without objects", "second", "second without objects"]
    assert [name for name in names if "objects alone" in name] == ["blind: objects alone"]


def test_other_protocols_mix_or_refuse(file: Path) -> None:
    clips = make_pairs(2)
    model = make_model(Follower)
    model.guide = load_guide(file, 0.4)
    for name in ("interactive", "masks"):
        assert (
            evaluate_protocol(model, clips, name).rows
            != evaluate_protocol(make_model(Follower), clips, name).rows
        )
    for name in ("negatives", "duets"):
        with pytest.raises(HearsightError, match=f"'{name}' scores responses alone"):
            evaluate_protocol(model, clips, name)


def test_files_that_are_no_such_network(tmp_path: Path, file: Path) -> None:
    with pytest.raises(HearsightError, match=r"There is no file .*nowhere"):
        load_guide(tmp_path / "nowhere.pth")
    weights = resnet_18()
    weights["layer4.1.conv2.weight"] = torch.zeros(512, 512, 1, 1)
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(HearsightError, match=r"does not fit the frame .*: layer4\.1\.conv2"):
        load_guide(tmp_path / "other.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "small.pth")
    with pytest.raises(HearsightError, match="the file holds nothing"):
        load_guide(tmp_path / "small.pth")
    with pytest.raises(HearsightError, match=r"must lie in 0..1: 1.5"):
        ObjectGuide(network=load_guide(file).network, share=1.5)
