"""Training that starts from a model: what is taken over, and resuming."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_runs import QUIET, few_scenes, same, tiny_recipe, weights_of

from hearsight.checkpoints.checkpoint import LAST, load_checkpoint, save_checkpoint
from hearsight.checkpoints.start import (
    START,
    adopt_projections,
    begin_from,
    check_network,
    load_start,
    other_network,
    read_start,
)
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign, to_json
from hearsight.scenes.scenes import Scenes
from hearsight.training.run_folder import RECIPE, read_log
from hearsight.training.trainer import train


def save(path: Path, recipe: Recipe, seed: int = 0) -> Encoders:
    """A checkpoint of random weights, running statistics included."""
    encoders = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(seed))
    for name, value in encoders.named_buffers():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 0.5)
            assert "running" in name
    if encoders.ema is not None:
        for value in encoders.ema.parameters():
            value.data.add_(torch.randn(value.shape) / 8)
    save_checkpoint(path, encoders, recipe)
    return encoders.eval()


def maps(encoders: Encoders) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 3, 32, 32, generator=generator)
    spectrograms = torch.randn(2, 1, 64, 134, generator=generator)
    with torch.no_grad():
        return encoders.eval()(frames, spectrograms)


@pytest.fixture
def tiny() -> Recipe:
    return tiny_recipe()


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return few_scenes()


@pytest.mark.parametrize("there", ["", "encoder.ema=0.9", "encoder.ema=0.9 encoder.ema_eval=true"])
@pytest.mark.parametrize(
    "here", ["", "encoder.ema=0.5 encoder.ema_eval=true", "encoder.predictor=8"]
)
def test_training_starts_with_the_maps_of_the_model(
    tiny: Recipe, tmp_path: Path, there: str, here: str
) -> None:
    """Whichever of the two computes with a momentum encoder."""
    before = save(tmp_path / "model.safetensors", assign(tiny_recipe(), *there.split()))
    recipe = assign(tiny, *here.split())
    fresh = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(9))
    own = {name: value.clone() for name, value in fresh.named_parameters() if "predictor" in name}
    begin_from(fresh, recipe, load_start(tmp_path / "model.safetensors"))
    if "ema_eval" not in here and there == "encoder.ema=0.9":
        assert before.ema is not None  # which the model does not compute with
    torch.testing.assert_close(maps(fresh), maps(before), rtol=0, atol=0)
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in own.items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("encoder.projection=8", "encoder.projection (8, there None)"),
        ("spectrogram.bins=32", "spectrogram.bins (32, there 64)"),
        ("spectrogram=LogSpectrogram", "spectrogram (LogSpectrogram, there MelSpectrogram)"),
        ("encoder.weights=resnet18.pth", "both give the weights of the frame encoder"),
    ],
)
def test_a_recipe_with_another_network_is_refused(
    tiny: Recipe, tmp_path: Path, changes: str, said: str
) -> None:
    save(tmp_path / "model.safetensors", tiny_recipe())
    start = load_start(tmp_path / "model.safetensors")
    with pytest.raises(HearsightError) as error:
        check_network(assign(tiny, changes), start)
    assert said in str(error.value)


def test_projections_take_the_shape_of_the_model(tiny: Recipe) -> None:
    heads = (
        "encoder.projection=8",
        "encoder.hidden=6",
        "encoder.heads=3",
        "encoder.linear_heads=1",
    )
    theirs = assign(tiny_recipe(), *heads)
    said = adopt_projections(tiny, theirs)
    assert (
        said
        == f"The projections of {tiny.name} take the shape of the model's, 3 heads of 8 channels."
    )
    assert tiny.encoder == theirs.encoder
    assert adopt_projections(tiny, theirs) is None  # nothing is left to change
    for changes in (["encoder.projection=8", "encoder.heads=2"], ["spectrogram.bins=32"]):
        other = assign(tiny_recipe(), *changes)  # heads of its own, or another input
        before = to_json(other)
        assert adopt_projections(other, theirs) is None
        assert to_json(other) == before


def test_what_does_not_change_the_network_may_differ(tiny: Recipe) -> None:
    other = assign(
        tiny_recipe(),
        *("encoder.dropout=0.5", "encoder.free_blocks=2", "encoder.momentum=0.3", "frame_size=64"),
        *("encoder.ema=0.9", "encoder.predictor=8", "contrast=MaxContrast", "epochs=1"),
    )
    assert other_network(other, tiny) == []


def test_a_run_that_starts_from_a_model_learns_from_there_and_tells_so(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    before = save(tmp_path / "model.safetensors", tiny)
    start = load_start(tmp_path / "model.safetensors")
    still = replace(tiny, learning_rate=1e-30, epochs=1)
    train(still, scenes, tmp_path / "run", options=replace(QUIET, start=start))
    held = load_checkpoint(tmp_path / "run" / LAST)
    for name, value in before.named_parameters():
        torch.testing.assert_close(held.weights[name], value.detach(), rtol=0, atol=1e-20)
    assert held.facts["start"] == read_start(tmp_path / "run") == start.fact
    assert start.fact["model"] == str(tmp_path / "model.safetensors")
    assert "position" in held.facts
    assert held.facts["position"]["step"] == 3


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    """With and without a checkpoint to go on from; the model need not be named again."""
    save(tmp_path / "model.safetensors", tiny)
    start = load_start(tmp_path / "model.safetensors")
    tiny.epochs = 2
    whole = train(tiny, scenes, tmp_path / "whole", options=replace(QUIET, start=start)).folder
    stopped = replace(QUIET, start=start, minutes=1e-9)
    train(tiny, scenes, tmp_path / "stopped", options=stopped)
    assert read_log(tmp_path / "stopped")[-1]["step"] == 1
    resumed = replace(QUIET, resume=True)
    train(tiny, scenes, tmp_path / "stopped", options=resumed)
    assert same(weights_of(whole), weights_of(tmp_path / "stopped"))
    # killed before its first checkpoint: only these files are there
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in (START, RECIPE, "log.jsonl"):
        (killed / name).write_bytes((whole / name).read_bytes())
    train(tiny, scenes, killed, options=resumed)
    assert same(weights_of(whole), weights_of(killed))
    assert load_checkpoint(killed / LAST).facts["start"] == start.fact


def test_a_run_is_not_resumed_from_another_model(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    for seed, name in enumerate(("one", "other")):
        save(tmp_path / f"{name}.safetensors", tiny, seed)
    one, other = (load_start(tmp_path / f"{name}.safetensors") for name in ("one", "other"))
    tiny.epochs = 1
    train(tiny, scenes, tmp_path / "run", options=replace(QUIET, start=one))
    train(tiny, scenes, tmp_path / "none", options=QUIET)
    again = replace(QUIET, resume=True, start=other)
    with pytest.raises(
        HearsightError, match=r"with other weights than those of .*other\.safetensors"
    ):
        train(tiny, scenes, tmp_path / "run", options=again)
    with pytest.raises(HearsightError, match="started from no model"):
        train(tiny, scenes, tmp_path / "none", options=again)
    # the file may have moved: its weights count
    moved = (tmp_path / "one.safetensors").rename(tmp_path / "moved.safetensors")
    train(tiny, scenes, tmp_path / "run", options=replace(again, start=load_start(moved)))


def test_a_run_that_cannot_begin_leaves_nothing(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    save(tmp_path / "model.safetensors", tiny)
    start = load_start(tmp_path / "model.safetensors")

    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    options = replace(QUIET, start=start, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, scenes, tmp_path / "run", options=options)
    assert not (tmp_path / "run").exists()
    wider = assign(tiny, "encoder.projection=8")
    with pytest.raises(HearsightError, match="another"):
        train(wider, scenes, tmp_path / "run", options=replace(QUIET, start=start))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"model": "x"}', b'{"model": 3, "digest": "x"}', b"\xff"]
)
def test_a_damaged_note_is_one_sentence(tmp_path: Path, text: bytes) -> None:
    (tmp_path / START).write_bytes(text)
    with pytest.raises(HearsightError, match=r"start\.json"):
        read_start(tmp_path)
