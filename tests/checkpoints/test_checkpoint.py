"""Weights and recipe in one file: whole or not at all, and never code."""

import errno
import json
import math
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_checkpoint, load_model, save_checkpoint
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoder, Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import to_json


@pytest.fixture
def recipe() -> Recipe:
    recipe = load_recipe("ssl_tie:small")
    recipe.encoder = Encoder(widths=(4, 8), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2))
    return recipe


@pytest.fixture
def saved(recipe: Recipe, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    state = {"step": torch.tensor(7), "moment.a": torch.randn(3)}
    save_checkpoint(path, Encoders(recipe.encoder), recipe, facts={"clips": 5}, state=state)
    return path


def test_a_checkpoint_comes_back_as_it_was(recipe: Recipe, tmp_path: Path) -> None:
    path, encoders = tmp_path / "model.safetensors", Encoders(recipe.encoder)
    encoders.embed_sounds(torch.randn(2, 1, 40, 40))
    state = {"moment": torch.randn(3), "step": torch.tensor(7)}
    save_checkpoint(path, encoders, recipe, facts={"clips": 5}, state=state)
    found = load_checkpoint(path)
    assert (found.recipe, found.facts) == (recipe, {"clips": 5})
    assert found.weights.keys() == encoders.state_dict().keys()
    for name, value in encoders.state_dict().items():
        assert torch.equal(found.weights[name], value)
    assert found.state is not None
    assert found.state["step"].item() == 7
    assert torch.equal(found.state["moment"], state["moment"])
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_weights_are_read_when_only_they_are_wanted(saved: Path) -> None:
    assert load_checkpoint(saved, with_state=False).state is None


def test_loaded_encoders_give_the_same_maps(recipe: Recipe, tmp_path: Path) -> None:
    encoders = Encoders(recipe.encoder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_checkpoint(tmp_path / "m.safetensors", encoders, recipe)
    loaded, same, facts = load_model(tmp_path / "m.safetensors")
    frames, sounds = torch.randn(2, 3, 32, 32), torch.randn(2, 1, 40, 40)
    torch.testing.assert_close(loaded(frames, sounds), encoders.eval()(frames, sounds))
    assert (same, facts) == (recipe, {})
    assert not loaded.training


def test_half_precision_halves_the_file_and_is_read_as_single(
    recipe: Recipe, tmp_path: Path
) -> None:
    recipe.encoder = Encoder(widths=(16, 64), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2))
    encoders = Encoders(recipe.encoder).eval()
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_checkpoint(whole, encoders, recipe)
    save_checkpoint(half, encoders, recipe, half=True)
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    frames, spectrograms = torch.randn(1, 3, 40, 40), torch.randn(1, 1, 40, 40)
    with torch.inference_mode():
        again = load_model(half).encoders(frames, spectrograms)
        assert again.dtype == torch.float32
        assert torch.allclose(again, encoders(frames, spectrograms), atol=1e-2)
    for name, value in load_checkpoint(half).weights.items():
        assert torch.equal(value, encoders.state_dict()[name].half().float()), name


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no checkpoint .*gone\.safetensors"):
        load_model(tmp_path / "gone.safetensors")
    with pytest.raises(HearsightError, match="'ssl_tie:smal' is neither a checkpoint file nor"):
        load_model("ssl_tie:smal")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(HearsightError, match=r"model\.safetensors is not a checkpoint, or is cut"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", [b"hello, I am text", os.urandom(4096), b"\xff" * 64])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(HearsightError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "m.safetensors")


def test_tensors_without_a_recipe_are_refused(tmp_path: Path) -> None:
    save_file({"weights/a": torch.zeros(2)}, tmp_path / "m.safetensors")
    with pytest.raises(HearsightError, match="holds tensors but no recipe"):
        load_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize("text", ["{", "[]", '{"speed": 1}'])
def test_a_recipe_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    metadata = {"recipe": text, "facts": "{}"}
    save_file({"weights/a": torch.zeros(2)}, tmp_path / "m.safetensors", metadata)
    with pytest.raises(HearsightError, match=r"recipe in .*m\.safetensors cannot be read"):
        load_checkpoint(tmp_path / "m.safetensors")


POSITION: dict[str, object] = {"epoch": 1, "batch": 0, "step": 3, "best": -1.0, "judge": None}
LEAK: dict[str, object] = {"role": "test", "test": "kept", "clips_in_both": 0, "videos_in_both": 0}


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"threshold": 0},
        {"threshold": 0.31, "selected_on_test": True, "leak_check": [], "position": POSITION},
        {"leak_check": [LEAK | {"comparable": True}], "position": POSITION | {"judge": "lvs:0"}},
        {"position": {"epoch": 1, "batch": 0, "step": 3, "best": 0.5}},  # without a judge
        {"clips": 5, "own": [None, {"threshold": "high"}]},
    ],
)
def test_sound_facts_come_back_whatever_else_they_tell(
    recipe: Recipe, tmp_path: Path, facts: dict[str, object]
) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, Encoders(recipe.encoder), recipe, facts=facts)
    assert load_model(path)[2] == facts


DAMAGED: dict[str, list[object]] = {
    "threshold": [None, "abc", True, [0.3], math.nan, math.inf, 10**400],
    "selected_on_test": [[1], 1, "no", None],
    "threads": [None, "two", True, 0, -1, 1.5, [2]],
    "leak_check": [5, None, {}, [5], [{}], *([LEAK | {name: None}] for name in LEAK)],
    "position": [
        5,
        None,
        [],
        {},
        {"nope": 1},
        {"epoch": "x"},
        POSITION | {"nope": 1},
        POSITION | {"partners": [1]},
        POSITION | {"epoch": -1},
        POSITION | {"batch": 0.5},
        POSITION | {"step": True},
        POSITION | {"step": 2**63},
        POSITION | {"best": "high"},
        POSITION | {"best": math.nan},
        POSITION | {"judge": 5},
    ],
}


@pytest.mark.parametrize(
    ("name", "told"),
    [(name, told) for name, all_told in DAMAGED.items() for told in all_told],
    ids=lambda told: str(told)[:20],
)
def test_a_fact_of_another_kind_is_refused_by_name(
    recipe: Recipe, tmp_path: Path, name: str, told: object
) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, Encoders(recipe.encoder), recipe, facts={name: told})
    with pytest.raises(HearsightError, match=rf"^The fact '{name}' in .*m\.safetensors must be "):
        load_model(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[]", "are no JSON object"), ("5", "are no JSON object"), ("{", "cannot be read")],
)
def test_facts_that_are_no_object_are_refused(
    recipe: Recipe, saved: Path, text: str, said: str
) -> None:
    metadata = {"recipe": json.dumps(to_json(recipe)), "facts": text}
    save_file(load_file(saved), saved, metadata)
    with pytest.raises(HearsightError, match=rf"^The facts in .*model\.safetensors {said}"):
        load_model(saved)


def resaved(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors of a checkpoint behind its back."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)


def test_weights_of_another_recipe_are_refused(saved: Path) -> None:
    name = "weights/frames.stages.0.0.first.weight"
    resaved(saved, lambda tensors: tensors.update({name: torch.zeros(4, 5, 3, 3)}))
    with pytest.raises(HearsightError, match=r"frames\.stages\.0\.0\.first\.weight .* \(4, 5, 3"):
        load_checkpoint(saved)
    resaved(saved, lambda tensors: tensors.pop(name))
    with pytest.raises(HearsightError, match=r"lacks frames\.stages\.0\.0\.first\.weight"):
        load_checkpoint(saved)
    resaved(saved, lambda tensors: tensors.update({name: torch.zeros(4, 4, 3, 3)}))
    load_checkpoint(saved)
    resaved(saved, lambda tensors: tensors.update({"weights/extra": torch.zeros(1)}))
    with pytest.raises(HearsightError, match="holds extra, which its recipe has not"):
        load_checkpoint(saved)


def test_a_folder_that_does_not_exist_is_named(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"Cannot write .*model\.safetensors: No such file"):
        save_checkpoint(tmp_path / "no" / "model.safetensors", Encoders(recipe.encoder), recipe)


def test_a_folder_cannot_be_overwritten(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(HearsightError, match=r"Cannot write .*: Is a directory"):
        save_checkpoint(tmp_path / "model.safetensors", Encoders(recipe.encoder), recipe)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission")]
)
def test_what_the_system_refuses_is_said(
    number: int, says: str, recipe: Recipe, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(HearsightError, match=rf"Cannot write .*model\.safetensors: {says}"):
        save_checkpoint(saved, Encoders(recipe.encoder), recipe)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_disk_that_fills_up_keeps_the_old_file(recipe: Recipe, saved: Path) -> None:
    """The system refuses to let any file grow past 20 kB: writing fails half-way, for real."""
    before = saved.read_bytes()
    assert len(before) > 20_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(HearsightError, match=r"Cannot write .*model\.safetensors"):
            save_checkpoint(saved, Encoders(recipe.encoder), recipe)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(saved: Path) -> None:
    """A process saves over and over until it is killed; what stands there can always be read."""
    script = textwrap.dedent(
        f"""
        from hearsight.checkpoints.checkpoint import load_model, save_checkpoint
        encoders, recipe, _ = load_model({str(saved)!r})
        print("ready", flush=True)
        for count in range(1_000_000):
            save_checkpoint({str(saved)!r}, encoders, recipe, facts={{"count": count}})
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        for _ in range(15):
            load_checkpoint(saved)
        writer.kill()
    load_checkpoint(saved)
