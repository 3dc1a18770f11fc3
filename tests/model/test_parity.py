"""Our networks, contrast and step give the numbers of the released SSL-TIE code.

Weights, frames and spectrograms are made again by the rules of the reference data. What follows
from gradients is computed in double precision, though the released numbers are of single precision:
the differences are then those of the released numbers alone, and the same on every machine.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_numbers import array, read_numbers
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_model
from hearsight.checkpoints.import_weights import import_weights, released_names
from hearsight.model.augmentation import WarpDraw
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.response import matched, response
from hearsight.objectives.trimap_contrast import TrimapContrast
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.step import losses

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
def forward() -> Any:
    return read_numbers("ssl_tie_forward")


@cache
def released_model() -> dict[str, Tensor]:
    """The 257 tensors of the released model."""
    known, tensors = read_numbers("ssl_tie_forward"), {}
    entries = zip(known["state_keys"], known["state_shapes"], strict=True)
    for seed, (key, shape) in enumerate(entries):
        tensors[key] = torch.as_tensor(weight(seed, key, tuple(shape)))
    sums = [float(value.double().sum()) for value in tensors.values()]
    np.testing.assert_allclose(sums, array(known["state_sums"]), rtol=1e-6, atol=1e-3)
    return tensors


@pytest.fixture
def encoders() -> Encoders:
    encoders, released = Encoders(Encoder()), released_model()
    names = {name: released[released_names(name)[0][0]] for name in encoders.state_dict()}
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
    forward: Any,
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
        return array(forward[f"{mode}_{precision}_{name}"])

    close(own, expected("A"), tolerance)
    close(torch.sigmoid((own - 0.65) / 0.03), expected("Pos"), 30 * tolerance)
    close(torch.sigmoid((0.4 - own) / 0.03), expected("Neg"), 30 * tolerance)
    logits = RELEASED.logits(responses)
    np.testing.assert_allclose(
        logits, expected("logits"), rtol=1e-5 if kind.itemsize == 4 else 1e-9
    )
    assert RELEASED(responses).item() == pytest.approx(expected("loss").item(), rel=1e-4)
    if mode == "train":
        buffers = dict(encoders.named_buffers())
        official = {released_names(name)[0][0]: value for name, value in buffers.items()}
        for key, norm in zip(forward["train_running_keys"], expected("running_norm"), strict=True):
            if not key.startswith("norm3"):  # not reached by the forward pass
                assert official[key].norm().item() == pytest.approx(norm, rel=1e-5)
        for key in ("imgnet.bn1.running_mean", "audnet.bn1.running_var"):
            np.testing.assert_allclose(official[key], expected(key), rtol=1e-5, atol=1e-6)


def test_imported_weights_give_the_released_maps(
    forward: Any, frames: Tensor, spectrograms: Tensor, tmp_path: Path
) -> None:
    file, target = tmp_path / "model.pth.tar", tmp_path / "model.safetensors"
    model = {f"module.{key}": value for key, value in released_model().items()}
    torch.save({"epoch": 80, "state_dict": model}, file)
    import_weights(file, target)
    encoders, recipe, _ = load_model(target)
    assert recipe == load_recipe("ssl_tie")
    with torch.no_grad():
        own = matched(encoders(frames, spectrograms))
    close(own, array(forward["eval_f32_A"]), 1e-5)


def cases(*quick: str) -> pytest.MarkDecorator:
    """Every reference case, all but the named ones among the slow tests."""
    names = ("s05_flip", "s10_noflip", "s05_noflip", "s10_flip")
    marks = {name: () if name in quick else (pytest.mark.slow,) for name in names}
    return pytest.mark.parametrize("case", [pytest.param(n, marks=m) for n, m in marks.items()])


def released_move(known: dict[str, Any]) -> WarpDraw:
    """The move of a reference case."""
    return WarpDraw(
        degrees=torch.tensor(known["angles"]),
        zooms=torch.full((4,), float(known["scale"])),
        mirrored=torch.full((4,), known["flip"]),
        resize=float(known["scale"]),
    )


def released_recipe() -> Recipe:
    recipe = load_recipe("ssl_tie")
    recipe.contrast = RELEASED
    return recipe


@cases("s05_flip", "s10_noflip")
def test_the_maps_of_both_branches(
    case: str, encoders: Encoders, frames: Tensor, spectrograms: Tensor
) -> None:
    known = read_numbers("ssl_tie_two_branches")[case]
    move = released_move(known)
    with torch.no_grad():
        sounds = encoders.train().embed_sounds(spectrograms)
        plain = response(encoders.embed_frames(frames), sounds)
        moved = response(encoders.embed_frames(move(frames)), sounds)
    close(matched(plain), array(known["heatmap"]), 1e-5)
    close(matched(moved), array(known["heatmap_ts"]), 1e-4)
    close(move(matched(plain)[:, None], 224)[:, 0], array(known["ts_heatmap"]), 1e-4)


@pytest.mark.parametrize("steps", [1, pytest.param(3, marks=pytest.mark.slow)])
@cases("s05_flip")
def test_gradients_of_both_branches_and_steps_of_adam(
    case: str, steps: int, encoders: Encoders, frames: Tensor, spectrograms: Tensor
) -> None:
    known, recipe = read_numbers("ssl_tie_two_branches")[case], released_recipe()
    encoders, move = encoders.double().train(), released_move(known)
    optimiser = torch.optim.Adam(
        encoders.parameters(), recipe.learning_rate, recipe.betas, weight_decay=recipe.weight_decay
    )
    for step, (whole, plain, moved, equivariance) in enumerate(known["adam_traj"][:steps]):
        terms = losses(recipe, encoders, [frames.double()], spectrograms.double(), move)
        loss = terms["contrast"] + terms["equivariance"]
        found = [loss.item(), terms["contrast"].item(), terms["equivariance"].item()]
        expected = [whole, (plain + moved) / 2, equivariance]
        assert found == pytest.approx(expected, rel=1e-3 if step else 1e-5)
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            same_gradients(encoders, known)
        optimiser.step()


def same_gradients(encoders: Encoders, known: dict[str, Any]) -> None:
    """The norm of every gradient to 3e-3 of itself.

    Single precision, in which the released numbers were computed, allows no more: of the first
    layers' gradients it changes up to a hundredth.
    """
    gradients = {released_names(name)[0][0]: p.grad for name, p in encoders.named_parameters()}
    names = read_numbers("ssl_tie_two_branches")["param_names"]
    used = {name: n for name, n in zip(names, known["grad_norm"], strict=True) if n is not None}
    assert used.keys() == gradients.keys()
    gaps = [abs(gradients[name].norm().item() / norm - 1) for name, norm in used.items()]
    assert max(gaps) < 3e-3
    assert np.median(gaps) < 2e-4
    total = torch.stack([gradient.norm() for gradient in gradients.values()]).norm().item()
    assert total == pytest.approx(known["grad_total_norm"], rel=3e-4)
    for name in ("imgnet.bn1.weight", "audnet.bn1.weight", "imgnet.layer4.1.bn2.bias"):
        whole = torch.from_numpy(array(known[f"grad:{name}"]))
        assert (gradients[name] - whole).norm() < 2e-2 * whole.norm()
