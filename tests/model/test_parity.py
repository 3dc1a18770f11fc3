"""Our networks, contrast and step give the numbers of the released SSL-TIE code.

Weights, frames and spectrograms are made again by the rules of the reference data.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
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
def avenet(shared: Callable[[str], Path]) -> Any:
    return np.load(shared("reference/avenet.npz"))


@cache
def released_model(reference: Path) -> dict[str, Tensor]:
    """The 257 tensors of the released model."""
    avenet, tensors = np.load(reference), {}
    shapes = [tuple(json.loads(f"[{s.strip('(),')}]")) for s in avenet["state_shapes"].tolist()]
    for seed, (key, shape) in enumerate(zip(avenet["state_keys"].tolist(), shapes, strict=True)):
        tensors[key] = torch.as_tensor(weight(seed, key, shape))
    sums = [float(value.double().sum()) for value in tensors.values()]
    np.testing.assert_allclose(sums, avenet["state_sums"], rtol=1e-6, atol=1e-3)
    return tensors


@pytest.fixture
def released(shared: Callable[[str], Path]) -> dict[str, Tensor]:
    return released_model(shared("reference/avenet.npz"))


@pytest.fixture
def encoders(released: dict[str, Tensor]) -> Encoders:
    encoders = Encoders(Encoder())
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
    close(torch.sigmoid((0.4 - own) / 0.03), expected("Neg")[:, 0], 30 * tolerance)
    logits = RELEASED.logits(responses)
    np.testing.assert_allclose(
        logits, expected("logits"), rtol=1e-5 if kind.itemsize == 4 else 1e-9
    )
    assert RELEASED(responses).item() == pytest.approx(expected("loss").item(), rel=1e-4)
    if mode == "train":
        buffers = dict(encoders.named_buffers())
        official = {released_names(name)[0][0]: value for name, value in buffers.items()}
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
    encoders, recipe, _ = load_model(target)
    assert recipe == load_recipe("ssl_tie")
    with torch.no_grad():
        own = matched(encoders(frames, spectrograms))
    close(own, avenet["eval_f32_A"][:, 0], 1e-5)


LOSSES = ("loss", "loss_cl", "loss_cl_ts", "loss_ts")


def cases(*quick: str) -> pytest.MarkDecorator:
    """Every reference case, all but the named ones among the slow tests."""
    names = ("s05_flip", "s10_noflip", "s05_noflip", "s10_flip")
    marks = {name: () if name in quick else (pytest.mark.slow,) for name in names}
    return pytest.mark.parametrize("case", [pytest.param(n, marks=m) for n, m in marks.items()])


def released_move(two_branch: Any, case: str) -> WarpDraw:
    """The move of a reference case."""
    scale = float(two_branch[f"{case}_scale"])
    return WarpDraw(
        degrees=torch.from_numpy(two_branch[f"{case}_angles"]),
        zooms=torch.full((4,), scale),
        mirrored=torch.full((4,), bool(two_branch[f"{case}_flip"])),
        resize=scale,
    )


@pytest.fixture
def two_branch(shared: Callable[[str], Path]) -> Any:
    return np.load(shared("reference/two_branch.npz"))


def released_recipe() -> Recipe:
    recipe = load_recipe("ssl_tie")
    recipe.contrast = RELEASED
    return recipe


@cases("s10_noflip")
def test_both_branches_and_their_gradients(
    case: str, two_branch: Any, encoders: Encoders, frames: Tensor, spectrograms: Tensor
) -> None:
    """Losses to 1e-4 of themselves, the norm of every gradient to 3e-3 of itself.

    Single precision allows no more: of the first layers' gradients it changes up to a hundredth,
    as the same step in double precision shows.
    """
    move = released_move(two_branch, case)
    terms = losses(released_recipe(), encoders.train(), [frames], spectrograms, move)
    expected = {name: two_branch[f"{case}_{name}"].item() for name in LOSSES}
    contrast = (expected["loss_cl"] + expected["loss_cl_ts"]) / 2
    assert terms["contrast"].item() == pytest.approx(contrast, rel=1e-4)
    assert terms["equivariance"].item() == pytest.approx(expected["loss_ts"], rel=1e-4)
    loss = terms["contrast"] + terms["equivariance"]
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-4)
    loss.backward()
    gradients = {released_names(name)[0][0]: p.grad for name, p in encoders.named_parameters()}
    names, norms = two_branch["param_names"].tolist(), two_branch[f"{case}_grad_norm"].tolist()
    used = {name: norm for name, norm in zip(names, norms, strict=True) if not np.isnan(norm)}
    assert used.keys() == gradients.keys()
    gaps = [abs(gradients[name].norm().item() / norm - 1) for name, norm in used.items()]
    assert max(gaps) < 3e-3
    assert np.median(gaps) < 2e-4
    total = torch.stack([g.norm() for g in gradients.values()]).norm().item()
    assert total == pytest.approx(two_branch[f"{case}_grad_total_norm"].item(), rel=3e-4)
    for name in ("imgnet.bn1.weight", "audnet.bn1.weight", "imgnet.layer4.1.bn2.bias"):
        whole = torch.from_numpy(two_branch[f"{case}_grad:{name}"])
        assert (gradients[name] - whole).norm() < 2e-2 * whole.norm()


@cases("s05_flip", "s10_noflip")
def test_the_maps_of_both_branches(
    case: str, two_branch: Any, encoders: Encoders, frames: Tensor, spectrograms: Tensor
) -> None:
    move = released_move(two_branch, case)
    with torch.no_grad():
        sounds = encoders.train().embed_sounds(spectrograms)
        plain = response(encoders.embed_frames(frames), sounds)
        moved = response(encoders.embed_frames(move(frames)), sounds)
    close(matched(plain), two_branch[f"{case}_heatmap"][:, 0], 1e-5)
    close(matched(moved), two_branch[f"{case}_heatmap_ts"][:, 0], 1e-4)
    close(move(matched(plain)[:, None], 224), two_branch[f"{case}_ts_heatmap"], 1e-4)


@cases("s05_flip")
def test_three_steps_of_adam(
    case: str, two_branch: Any, encoders: Encoders, frames: Tensor, spectrograms: Tensor
) -> None:
    recipe, move = released_recipe(), released_move(two_branch, case)
    encoders.train()
    optimiser = torch.optim.Adam(
        encoders.parameters(), recipe.learning_rate, recipe.betas, weight_decay=recipe.weight_decay
    )
    for expected in two_branch[f"{case}_adam_traj"]:
        terms = losses(recipe, encoders, [frames], spectrograms, move)
        loss = terms["contrast"] + terms["equivariance"]
        found = [loss.item(), terms["contrast"].item(), terms["equivariance"].item()]
        both = [expected[0], (expected[1] + expected[2]) / 2, expected[3]]
        assert found == pytest.approx(both, rel=1e-3)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
