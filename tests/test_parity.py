"""Our networks, contrast and step give the numbers of the released SSL-TIE code.

Weights, frames and spectrograms are made again by the rules of the reference data.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hearsight.checkpoint import import_weights, load_encoders, official_name
from hearsight.encoders import Encoder, Encoders
from hearsight.objectives.contrast import TrimapContrast
from hearsight.recipe import load_recipe
from hearsight.response import matched

RELEASED = TrimapContrast(multiply_true_pairs=True)


def normal(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def weight(seed: int, key: str, shape: tuple[int, ...]) -> Any:
    """The value of one tensor of the released model."""
    if key.endswith("num_batches_tracked"):
        return np.int64(0)
    if key.endswith(("running_mean", "running_var")):
        return np.full(shape, float(key.endswith("var")), dtype=np.float32)
    if len(shape) == 4:
        return normal(seed, shape) * np.float32(np.sqrt(2 / (shape[0] * shape[2] * shape[3])))
    if len(shape) == 2:
        return normal(seed, shape) * np.float32(0.01)
    if key.endswith("weight"):
        return 1 + np.float32(0.1) * normal(seed, shape)
    return np.float32(0.1) * normal(seed, shape)


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def avenet(shared: Callable[[str], Path]) -> Any:
    return np.load(shared("reference/avenet.npz"))


@pytest.fixture
def released(avenet: Any) -> dict[str, Tensor]:
    """The 257 tensors of the released model."""
    tensors = {}
    shapes = [tuple(json.loads(f"[{s.strip('(),')}]")) for s in avenet["state_shapes"].tolist()]
    for seed, (key, shape) in enumerate(zip(avenet["state_keys"].tolist(), shapes, strict=True)):
        tensors[key] = torch.as_tensor(weight(seed, key, shape))
    sums = [float(value.double().sum()) for value in tensors.values()]
    np.testing.assert_allclose(sums, avenet["state_sums"], rtol=1e-6, atol=1e-3)
    return tensors


@pytest.fixture
def encoders(released: dict[str, Tensor]) -> Encoders:
    encoders = Encoders(Encoder())
    names = {name: released[official_name(name)] for name in encoders.state_dict()}
    encoders.load_state_dict(names)
    return encoders


@pytest.fixture
def frames() -> Tensor:
    return torch.from_numpy(normal(1000, (4, 3, 14, 14)).repeat(16, axis=2).repeat(16, axis=3))


@pytest.fixture
def spectrograms() -> Tensor:
    blocks = normal(1001, (4, 1, 26, 67)).repeat(10, 2).repeat(10, 3)[:, :, :257, :670]
    return torch.from_numpy(np.ascontiguousarray(blocks) * np.float32(20) - np.float32(30))


def close(found: Tensor, expected: Any, tolerance: float) -> float:
    gap = float((found.detach().double() - torch.as_tensor(expected).double()).abs().max())
    assert gap <= tolerance, f"{gap} > {tolerance}"
    return gap


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-5), ("f64", 1e-10)])
def test_one_forward_pass(
    mode: str,
    precision: str,
    tolerance: float,
    avenet: Any,
    encoders: Encoders,
    frames: Tensor,
    spectrograms: Tensor,
) -> None:
    kind = torch.float32 if precision == "f32" else torch.float64
    encoders = encoders.to(kind).train(mode == "train")
    with torch.no_grad():
        responses = encoders(frames.to(kind), spectrograms.to(kind))
    own = matched(responses)

    def expected(name: str) -> Any:
        return avenet[f"{mode}_{precision}_{name}"]

    close(own, expected("A")[:, 0], tolerance)
    close(torch.sigmoid((own - 0.65) / 0.03), expected("Pos")[:, 0], 30 * tolerance)
    close(torch.sigmoid((0.4 - own) / 0.03), 1 - (1 - expected("Neg")[:, 0]), 30 * tolerance)
    logits = RELEASED.logits(responses)
    np.testing.assert_allclose(
        logits, expected("logits"), rtol=1e-5 if kind.itemsize == 4 else 1e-9
    )
    assert RELEASED(responses).item() == pytest.approx(expected("loss").item(), rel=1e-4)
    if mode == "train":
        buffers = dict(encoders.named_buffers())
        official = {official_name(name): value for name, value in buffers.items()}
        for key, norm in zip(
            expected("running_keys").tolist(), expected("running_norm"), strict=True
        ):
            if not key.startswith("norm3"):  # not reached by the forward pass
                assert official[key].norm().item() == pytest.approx(norm, rel=1e-5)
        for key in ("imgnet.bn1.running_mean", "audnet.bn1.running_var"):
            np.testing.assert_allclose(official[key], expected(key), rtol=1e-5, atol=1e-6)


def test_imported_weights_give_the_released_maps(
    released: dict[str, Tensor], avenet: Any, frames: Tensor, spectrograms: Tensor, tmp_path: Path
) -> None:
    file, target = tmp_path / "model.pth.tar", tmp_path / "model.safetensors"
    model = {f"module.{key}": value for key, value in released.items()}
    torch.save({"epoch": 80, "state_dict": model}, file)
    import_weights(file, target)
    encoders, recipe, _ = load_encoders(target)
    assert recipe == load_recipe("ssl_tie")
    with torch.no_grad():
        own = matched(encoders(frames, spectrograms))
    close(own, avenet["eval_f32_A"][:, 0], 1e-5)
