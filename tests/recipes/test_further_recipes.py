"""The compared methods that do not contrast scores: settings, small forms, several processes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from made_processes import in_two_processes
from torch import Tensor

from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoder, Encoders
from hearsight.objectives.attention import AttendedTriplet
from hearsight.objectives.classification import SoundClassification
from hearsight.objectives.clustering import ClusterContrast, PseudoLabelContrast
from hearsight.objectives.siamese import SiamesePrediction
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.training.batches import Batch, LoadedClip, collate
from hearsight.training.step import Step, draw, losses

METHODS = ("sspl", "attention10k", "attention10k:supervised", "dmc", "coarse_to_fine", "vgg_h")
LABELS = ("circle", "cross", "star")


def small_name(name: str) -> str:
    return name.replace(":", ":small_") if ":" in name else f"{name}:small"


def tiny(name: str) -> Recipe:
    """A small recipe on networks of nothing."""
    recipe = load_recipe(small_name(name))
    recipe.encoder = replace(
        recipe.encoder, widths=(8, 16), blocks=(1, 1), strides=(2, 2), sound_strides=(2, 2)
    )
    recipe.encoder.classes = len(LABELS) if name == "vgg_h" else 0
    recipe.labels, recipe.frame_size = LABELS, 64
    return recipe


# Settings


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("sspl", SiamesePrediction()),
        ("attention10k", AttendedTriplet(supervision=0.0)),
        ("attention10k:supervised", AttendedTriplet(supervision=1.0)),
        ("dmc", ClusterContrast(clusters=2, rounds=4, sharpness=30.0, distance=5.0)),
        ("coarse_to_fine", PseudoLabelContrast(clusters=7, distance=1.4)),
        ("vgg_h", SoundClassification()),
    ],
)
def test_each_method_has_its_objective(name: str, contrast: object) -> None:
    assert load_recipe(name).contrast == contrast


def test_the_released_settings() -> None:
    sspl, attention10k, dmc = (load_recipe(name) for name in ("sspl", "attention10k", "dmc"))
    assert (sspl.views, sspl.batch_size, sspl.epochs, sspl.learning_rate) == (2, 256, 100, 5e-4)
    assert sspl.encoder == Encoder(predictor=512)
    assert (attention10k.frame_size, attention10k.batch_size, attention10k.epochs) == (320, 30, 10)
    assert (attention10k.learning_rate, attention10k.weight_decay) == (1e-4, 0.0)
    assert attention10k.encoder == Encoder()
    assert (dmc.batch_size, dmc.epochs, dmc.learning_rate, dmc.seed) == (32, 100, 1e-4, 10)
    assert dmc.encoder == Encoder(projection=512)
    assert load_recipe("vgg_h").spectrogram.shape == (257, 1004)


def test_attention10k_sees_a_grid_of_20_by_20() -> None:
    encoders = Encoders(replace(load_recipe("attention10k").encoder, widths=(2, 2, 2, 4)))
    assert encoders.embed_frames(torch.zeros(1, 3, 320, 320)).shape == (1, 4, 20, 20)


@pytest.mark.parametrize("name", METHODS)
def test_small_is_the_same_objective_on_small_networks(name: str) -> None:
    full, recipe = load_recipe(name), load_recipe(small_name(name))
    if isinstance(recipe.contrast, AttendedTriplet | ClusterContrast):
        assert recipe.contrast.others == "all"
        recipe.contrast.others = "next"
    assert recipe.contrast == full.contrast
    assert (recipe.appearance, recipe.views) == (full.appearance, full.views)
    for field in ("projection", "predictor"):
        kept = getattr(full.encoder, field) is not None
        assert (getattr(recipe.encoder, field) is not None) == kept
    bins, times = recipe.spectrogram.shape
    assert Encoders(recipe.encoder).embed_sounds(torch.zeros(1, 1, bins, times)).shape == (1, 128)


@pytest.mark.parametrize("name", ["sspl", "dmc", "coarse_to_fine", "vgg_h"])
def test_a_margin_is_refused_in_one_sentence(name: str) -> None:
    recipe = load_recipe(name)
    with pytest.raises(HearsightError, match=r"^\w+ has no margin: [^.]*(\.\w[^.]*)?\.$"):
        assign(recipe, "contrast.margin=-0.2")
    assert recipe == load_recipe(name)


# Training


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Eight scenes of toys, with boxes and classes."""
    scenes = open_clips("toys", size=64, count=8, silent=(0, 0), classes=3)
    items = [
        LoadedClip(
            id=clip.id,
            frame=clip.frame,
            sound=clip.sound,
            partner=None,
            label=clip.label,
            boxes=clip.boxes,
        )
        for clip in (scenes[index] for index in range(8))
    ]
    found = collate(items, 3.0, mixing=False)
    assert found is not None
    return replace(found, labels=tuple(LABELS[i % 3] for i in range(8)))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_its_clips(name: str, batch: Batch) -> None:
    torch.manual_seed(0)
    recipe = tiny(name)
    step = Step(recipe, Encoders(recipe.encoder))
    optimiser = torch.optim.Adam(step.parameters(), 3e-3)
    history = []
    for _ in range(12):
        loss = step(batch, draw(recipe, 8, 0, torch.Generator().manual_seed(0)))["contrast"]
        optimiser.zero_grad()
        loss.backward()
        for weight, values in step.named_parameters():
            unused = name == "vgg_h" and not weight.startswith(
                ("encoders.sounds", "encoders.classifier")
            )
            assert (values.grad is None) == unused, weight
            assert unused or bool(values.grad.isfinite().all()), weight  # type: ignore[union-attr]
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < history[0] - 0.01, history


@pytest.mark.parametrize("name", ["sspl", "attention10k:supervised", "dmc", "coarse_to_fine"])
def test_equivariance_can_be_added(name: str, batch: Batch) -> None:
    recipe = assign(assign(tiny(name), "warp=Warp"), "equivariance=1")
    terms = Step(recipe, Encoders(recipe.encoder))(batch, draw(recipe, 8, 0, torch.Generator()))
    assert terms.keys() == {"contrast", "equivariance"}
    assert all(bool(term.isfinite()) for term in terms.values())


# Two processes and one


def exact_step(name: str, rank: int, processes: int) -> dict[str, Tensor]:
    """Loss, gradients and running statistics of one process's part, in double precision."""
    torch.manual_seed(0)
    recipe, count = tiny(name), 6 // processes
    encoders = Encoders(recipe.encoder).double()
    own = slice(rank * count, (rank + 1) * count)
    generator = torch.Generator().manual_seed(3)
    looks = torch.randn(2, 6, 3, 32, 32, generator=generator).double()
    heard = torch.randn(6, 1, 24, 40, generator=generator).double()
    frames = [look[own] for look in looks[: recipe.views]]
    terms = losses(recipe, encoders, frames, heard[own], None)
    terms["contrast"].backward()
    found = {name: term.detach() for name, term in terms.items()}
    found |= {n: p.grad for n, p in encoders.named_parameters() if p.grad is not None}
    return found | dict(encoders.named_buffers())


TOGETHER = ("sspl", "attention10k", "dmc", "coarse_to_fine")


def one_of_two(rank: int, folder: str) -> None:
    found = [exact_step(name, rank, 2) for name in TOGETHER]
    for values in found:
        for value in values.values():
            dist.all_reduce(value)
            value /= 2
    if rank == 0:
        torch.save(found, f"{folder}/found.pt")


def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    in_two_processes(one_of_two, str(tmp_path), folder=tmp_path)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for name, values in zip(TOGETHER, found, strict=True):
        expected = exact_step(name, 0, 1)
        assert values.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(
                values[key], value, rtol=1e-8, atol=1e-10, msg=f"{name} {key}"
            )
