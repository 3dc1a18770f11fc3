"""Other ways to compute the same training: layout, bf16, activation checkpointing, compilation.

In double precision the same numbers come out. In single precision the first loss does; then Adam
makes a learning rate of every gradient, also of those that rounding alone gives their sign.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_runs import QUIET, few_scenes, same, tiny_recipe, weights_of
from made_steps import exact_training
from torch import Tensor

from hearsight.checkpoints.checkpoint import LAST, load_checkpoint
from hearsight.errors import HearsightError
from hearsight.model.activation_checkpointing import recomputed
from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import to_json
from hearsight.training.run_folder import read_log
from hearsight.training.step import checkpoint_activations
from hearsight.training.trainer import train

Trained = Callable[[Recipe], tuple[list[float], dict[str, Tensor], Encoders]]


@pytest.fixture
def recipe() -> Recipe:
    """Two steps; on a CPU the other layout needs widths of 8."""
    recipe = replace(tiny_recipe(), batch_size=6, epochs=1)
    recipe.encoder = replace(recipe.encoder, widths=(8, 8))
    return recipe


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Train; the loss of every step, the weights, and the encoders that were trained."""
    used: list[Encoders] = []

    def noted(encoders: Encoders, device: torch.device, *, channels_last: bool) -> Encoders:
        used.append(encoders)
        return place(encoders, device, channels_last=channels_last)

    def run(recipe: Recipe) -> tuple[list[float], dict[str, Tensor], Encoders]:
        folder = tmp_path / f"run {len(used)}"
        monkeypatch.setattr("hearsight.training.run.place", noted)
        train(recipe, few_scenes(), folder, options=QUIET)
        return [entry["loss"] for entry in read_log(folder)], weights_of(folder), used[-1]

    return run


def apart(one: dict[str, Tensor], other: dict[str, Tensor], recipe: Recipe) -> float:
    """How far two trainings ended from each other, as a share of how far the first one went."""
    torch.manual_seed(recipe.seed)
    start = Encoders(recipe.encoder).state_dict()
    learned = [name for name in start if "running" not in name and start[name].is_floating_point()]

    def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> Tensor:
        return torch.stack([(a[name] - b[name]).square().sum() for name in learned]).sum().sqrt()

    return float(distance(one, other) / distance(one, start))


Exact = tuple[list[float], dict[str, Tensor]]


def same_but_for_rounding(found: Exact, expected: Exact) -> None:
    """Losses and weights of trainings in double precision."""
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    for name, value in expected[1].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-10, atol=1e-10, msg=name)


def nearly_the_same(losses: list[float], expected: list[float]) -> None:
    """Losses of trainings in single precision, by two ways to compute them."""
    assert losses[0] == pytest.approx(expected[0], rel=1e-4)
    assert losses == pytest.approx(expected, rel=1e-2)


def test_the_layout_in_memory_changes_rounding_alone(recipe: Recipe, trained: Trained) -> None:
    other = replace(recipe, channels_last=True)
    same_but_for_rounding(exact_training(other), exact_training(recipe))
    losses, _, _ = trained(recipe)
    others, _, used = trained(other)
    stem = used.frames.stem.weight
    assert stem.is_contiguous(memory_format=torch.channels_last)
    assert not stem.is_contiguous()
    nearly_the_same(others, losses)


def test_half_precision_learns_nearly_the_same(
    recipe: Recipe, trained: Trained, tmp_path: Path
) -> None:
    losses, weights, _ = trained(recipe)
    others, moved, _ = trained(replace(recipe, precision="bf16"))
    assert others != losses
    assert others == pytest.approx(losses, rel=0.02)
    assert all(value.isfinite().all() for value in moved.values())
    assert apart(weights, moved, recipe) < 0.6
    assert all(moved[name].dtype == value.dtype for name, value in weights.items())
    state = load_checkpoint(tmp_path / "run 1" / LAST).state
    assert state
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}


def test_what_is_no_number_stops_half_precision_too(recipe: Recipe, tmp_path: Path) -> None:
    broken = replace(recipe, precision="bf16", learning_rate=1e30, epochs=3)
    with pytest.raises(HearsightError, match=r"not a number|not numbers"):
        train(broken, few_scenes(), tmp_path / "run", options=QUIET)


@pytest.mark.parametrize(
    ("able", "told"),
    [
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": True}, False),
        ({"architecture": "aarch64"}, False),  # not measured
    ],
)
def test_bf16_that_a_cpu_computes_slowly_is_said(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, able: object, told: bool
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: able)
    said: list[str] = []
    options = replace(QUIET, notice=said.append)
    train(replace(recipe, precision="bf16"), few_scenes(), tmp_path / "bf16", options=options)
    assert [("no AMX" in sentence) for sentence in said] == [True] * told
    said.clear()
    train(recipe, few_scenes(), tmp_path / "fp32", options=options)
    assert said == []


@pytest.mark.parametrize("trunk", ["resnet", "resnet50"])
@pytest.mark.parametrize("layout", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_activations_computed_again_are_the_same_to_the_last_bit(
    recipe: Recipe, trained: Trained, trunk: str, layout: bool, precision: str
) -> None:
    """Losses, weights and running statistics, which a second update would change."""
    recipe = replace(recipe, channels_last=layout, precision=precision)
    if trunk == "resnet50":
        four = {"widths": (8, 8, 8, 8), "blocks": (1, 1, 1, 1), "strides": (1, 2, 1, 1)}
        encoder = {**four, "sound_strides": (2, 2, 1, 1), "frame_trunk": trunk, "projection": 8}
        recipe.encoder = replace(recipe.encoder, **encoder)
    losses, weights, _ = trained(recipe)
    others, same_weights, _ = trained(replace(recipe, activation_checkpointing=True))
    assert others == losses
    assert same(weights, same_weights)
    assert any("running" in name for name in weights)


def test_fewer_activations_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What gradients hold on to, be it saved by autograd or to begin a recomputation with."""
    recipe = load_recipe("ssl_tie:small")
    held: dict[int, Tensor] = {}

    def note(value: Tensor) -> Tensor:
        held[value.data_ptr()] = value
        return value

    def noted(function: Callable[[Tensor], Tensor], values: Tensor, *, active: bool) -> Tensor:
        return recomputed(function, note(values) if active else values, active=active)

    monkeypatch.setattr("hearsight.model.resnet.recomputed", noted)

    def kept(checkpointing: bool) -> int:
        held.clear()
        encoders = Encoders(recipe.encoder)
        if checkpointing:
            checkpoint_activations(encoders)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            encoders.embed_frames(torch.randn(4, 3, 96, 96))
        weights = {weight.data_ptr() for weight in encoders.state_dict().values()}
        return sum(value.nbytes for at, value in held.items() if at not in weights)

    assert kept(True) < 0.5 * kept(False)


def test_compiled_networks_choose_themselves_what_to_keep(recipe: Recipe) -> None:
    with pytest.raises(HearsightError, match="compile and activation_checkpointing exclude"):
        replace(recipe, compile=True, activation_checkpointing=True)


COMPILED = """
import json, sys
from pathlib import Path
import torch
from made_runs import QUIET, few_scenes
from made_steps import exact_training
from hearsight.recipes.serialisation import from_json
from hearsight.training.trainer import train
recipe = from_json(json.loads(sys.argv[1]))
torch.save(exact_training(recipe, compiled=True), "exact.pt")
train(recipe, few_scenes(), Path("compiled"), options=QUIET)
stats = torch._dynamo.utils.counters["stats"]
Path("graphs").write_text(str(stats["unique_graphs"]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_networks_learn_the_same(recipe: Recipe, trained: Trained, tmp_path: Path) -> None:
    """In a process of its own: what checks shapes in tests cannot be compiled.

    Compilers of C++ take nearly all of the time, and one stage has every kind of layer.
    """
    one_stage = {"widths": (8,), "blocks": (1,), "strides": (1,), "sound_strides": (2,)}
    recipe = replace(recipe, encoder=replace(recipe.encoder, **one_stage))
    losses, _, _ = trained(recipe)
    subprocess.run(
        [sys.executable, "-c", COMPILED, json.dumps(to_json(replace(recipe, compile=True)))],
        check=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "made"),
        },
    )
    assert any((tmp_path / "made").rglob("*.so"))  # networks were compiled
    assert (tmp_path / "graphs").read_text() == "4"  # two networks in two precisions, training only
    found = torch.load(tmp_path / "exact.pt", weights_only=True)
    same_but_for_rounding(found, exact_training(recipe))
    nearly_the_same([entry["loss"] for entry in read_log(tmp_path / "compiled")], losses)
