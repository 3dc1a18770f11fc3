"""The compared methods that contrast: their settings, their small forms, several processes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from made_embedded import Objective, made
from made_processes import in_two_processes
from torch import Tensor

from hearsight.datasets.open import open_clips
from hearsight.model.augmentation import Appearance
from hearsight.model.distributed import gather
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.response import response
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.false_negatives import FalseNegativeContrast
from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.objectives.momentum_contrast import MomentumContrast
from hearsight.objectives.trimap_contrast import TrimapContrast
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.training.batches import Batch, LoadedClip, collate
from hearsight.training.step import Step, draw

LIKE_LVS = ("lvs", "hps", "av_object")
LIKE_EZ_VSL = ("ez_vsl", "margin_nce", "fnac", "slavc")
METHODS = LIKE_LVS + LIKE_EZ_VSL


def loss_of(recipe: Recipe, embedded: EmbeddedBatch) -> float:
    if isinstance(recipe.contrast, TrimapContrast):
        return recipe.contrast(embedded.responses, embedded.first).item()
    contrast: Objective = recipe.contrast  # type: ignore[assignment]
    return contrast(embedded).item()


# Settings


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("lvs", TrimapContrast()),
        ("hps", HardPositiveContrast(neighbours=1)),
        ("av_object", MaxContrast(temperature=0.07, directions="frames")),
        ("ez_vsl", MaxContrast(temperature=0.03)),
        ("margin_nce", MaxContrast(temperature=0.07, margin=-0.2)),
        ("fnac", FalseNegativeContrast(temperature=0.03, weight=100.0, warm_up=5, foreground=0.6)),
        ("slavc", MomentumContrast(temperature=0.03)),
    ],
)
def test_each_method_has_its_objective(name: str, contrast: object) -> None:
    assert load_recipe(name).contrast == contrast


def test_the_networks_of_lvs_and_its_heirs() -> None:
    for name in (*LIKE_LVS, "random"):
        assert load_recipe(name).encoder == Encoder()
    for name in LIKE_LVS:
        recipe = load_recipe(name)
        assert recipe.spectrogram.shape == (257, 671)
        assert recipe.appearance is None


def test_the_networks_of_ez_vsl_and_its_heirs() -> None:
    for name in LIKE_EZ_VSL:
        recipe = load_recipe(name)
        assert recipe.spectrogram.shape == (257, 200)
        assert recipe.encoder.strides == recipe.encoder.sound_strides == (1, 2, 2, 2)
        assert recipe.encoder.projection == 512
        assert (recipe.learning_rate, recipe.betas) == (1e-4, (0.9, 0.999))
        heads, ema = (2, 0.999) if name == "slavc" else (1, 0.0)
        assert (recipe.encoder.heads, recipe.encoder.ema) == (heads, ema)
        settings = (256, 30, 1e-4) if name == "fnac" else (128, 20, 0.0)
        assert (recipe.batch_size, recipe.epochs, recipe.weight_decay) == settings


def test_ez_vsl_sees_a_grid_of_7_by_7() -> None:
    encoders = Encoders(replace(load_recipe("ez_vsl").encoder, widths=(4, 4, 4, 8)))
    assert encoders.embed_frames(torch.zeros(1, 3, 224, 224)).shape == (1, 512, 7, 7)
    assert encoders.embed_sounds(torch.zeros(1, 1, 257, 200)).shape == (1, 512)


def test_frames_of_ez_vsl_are_cropped_and_mirrored_alone() -> None:
    appearance = load_recipe("ez_vsl").appearance
    assert isinstance(appearance, Appearance)
    look = appearance.draw(200, torch.Generator().manual_seed(0))
    assert not torch.stack([look.coloured, look.greyed, look.deviations > 0]).any()
    boxes = look.boxes(torch.tensor([[246, 246]] * 200))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert torch.equal(sides[:, 0], sides[:, 1])
    assert sides.min() >= 224
    assert sides.max() <= 246


@pytest.mark.parametrize("name", METHODS)
def test_small_is_the_same_objective_on_small_networks(name: str) -> None:
    full, recipe = load_recipe(name), load_recipe(f"{name}:small")
    if name == "fnac":  # its gaps shrink with the batch
        assert isinstance(recipe.contrast, FalseNegativeContrast)
        assert recipe.contrast.weight == 100 * recipe.batch_size / full.batch_size
        recipe.contrast.weight = 100.0
    if not isinstance(recipe.contrast, MomentumContrast):  # `ssl_tie.shrink`
        assert recipe.contrast.softness == 0.1
        recipe.contrast.softness = full.contrast.softness
    assert recipe.contrast == full.contrast
    assert recipe.appearance == full.appearance
    encoder = recipe.encoder
    heads = 2 if name == "slavc" else 1
    encoders = Encoders(encoder)
    assert encoders.embed_frames(torch.zeros(1, 3, 96, 96)).shape == (1, 128 * heads, 6, 6)
    assert (encoder.projection is None) == (name in LIKE_LVS)
    assert (encoder.ema > 0) == (name == "slavc")


# Changes


@pytest.mark.parametrize("name", METHODS)
def test_a_margin_can_be_added(name: str) -> None:
    embedded = made(heads=2, epoch=9)
    strict, eased = load_recipe(name), load_recipe(name)
    margin = strict.contrast.margin - 0.2  # type: ignore[union-attr]
    assert assign(eased, f"contrast.margin={margin}") is eased
    assert loss_of(eased, embedded) < loss_of(strict, embedded)


# Training


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Eight scenes of toys."""
    scenes = open_clips("toys", size=64, count=8, silent=(0, 0))
    items = [
        LoadedClip(id=clip.id, frame=clip.frame, sound=clip.sound, partner=None)
        for clip in (scenes[index] for index in range(8))
    ]
    found = collate(items, 3.0, mixing=False)
    assert found is not None
    return found


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_its_clips(name: str, batch: Batch) -> None:
    torch.manual_seed(0)
    recipe = load_recipe(f"{name}:small")
    recipe.encoder = replace(
        recipe.encoder, widths=(8, 16), blocks=(1, 1), strides=(2, 2), sound_strides=(2, 2)
    )
    recipe.frame_size, recipe.appearance = 64, None
    step = Step(recipe, Encoders(recipe.encoder))
    learned = [weights for weights in step.parameters() if weights.requires_grad]
    optimiser = torch.optim.Adam(learned, 3e-3)
    history = []
    for _ in range(12):
        loss = step(batch, draw(recipe, 8, 9, torch.Generator()))["contrast"]
        optimiser.zero_grad()
        loss.backward()
        assert all(weights.grad is not None for weights in learned)
        assert all(bool(weights.grad.isfinite().all()) for weights in learned)  # type: ignore[union-attr]
        optimiser.step()
        step.encoders.update_ema()
        history.append(loss.item())
    assert history[-1] < history[0] - 0.1, history


# Two processes and one


OBJECTIVES: tuple[Objective, ...] = (
    MaxContrast(margin=-0.2),
    MaxContrast(directions="frames"),
    FalseNegativeContrast(warm_up=0),
    MomentumContrast(margin=-0.2),
    HardPositiveContrast(neighbours=2),
)


def part(whole: EmbeddedBatch, rank: int, processes: int) -> tuple[EmbeddedBatch, list[Tensor]]:
    """What one process sees of the whole, and the embeddings of all, with gradients."""
    grids, sounds = (x.detach().clone().requires_grad_() for x in (whole.grids, whole.sounds))
    count = len(grids) // processes
    own = slice(rank * count, (rank + 1) * count)
    assert whole.ema_grids is not None
    heard = gather(sounds[own]).flatten(0, 1)
    seen = replace(
        whole,
        grids=grids[own],
        sounds=heard,
        responses=response(grids[own], heard, 2),
        first=own.start,
        ema_grids=whole.ema_grids[own],
    )
    return seen, [grids, sounds]


def results(rank: int, processes: int) -> list[list[Tensor]]:
    """Of each objective the loss and its gradients, those of one process's part."""
    found = []
    for objective in OBJECTIVES:
        seen, leaves = part(made(frames=6, sounds=6, heads=2), rank, processes)
        loss = objective(seen)
        found.append([loss.detach(), *torch.autograd.grad(loss, leaves)])
    return found


def one_of_two(rank: int, folder: str) -> None:
    found = results(rank, 2)
    for values in found:
        for value in values:
            dist.all_reduce(value)
            value /= 2
    if rank == 0:
        torch.save(found, f"{folder}/found.pt")


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    """The mean of their losses and gradients is that of the joined batch."""
    in_two_processes(one_of_two, str(tmp_path), folder=tmp_path)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for shared, alone in zip(found, results(0, 1), strict=True):
        for one, other in zip(shared, alone, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
