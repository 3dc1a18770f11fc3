"""One training step: its terms, its draws, and the same step shared by several processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from made_processes import in_two_processes
from made_steps import clips, loss_of
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from hearsight.model.augmentation import Mixing, SpectrogramMask, Warp
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.response import matched, response
from hearsight.objectives.trimap_contrast import PaperContrast
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.batches import Batch
from hearsight.training.step import (
    Step,
    checkpoint_activations,
    draw,
    losses,
    prepare_frames,
    prepare_sounds,
)

TINY = Encoder(widths=(4, 8), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2))


def tiny(rung: str) -> Recipe:
    """A rung of the ablation on a network of nothing."""
    recipe = load_recipe(f"ssl_tie:small_{rung}")
    recipe.encoder, recipe.frame_size = TINY, 32
    return recipe


@pytest.mark.parametrize("rung", "abcdef")
def test_every_rung_trains(rung: str) -> None:
    recipe = tiny(rung)
    step = Step(recipe, Encoders(recipe.encoder))
    draws = draw(recipe, 6, 3, torch.Generator().manual_seed(0))
    terms = step(clips(6), draws)
    assert terms.keys() == ({"contrast", "equivariance"} if rung == "f" else {"contrast"})
    loss_of(terms).backward()
    for name, parameter in step.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_recipe_learns_its_clips() -> None:
    torch.manual_seed(0)
    recipe = tiny("a")
    step, batch = Step(recipe, Encoders(recipe.encoder)), clips(6)
    optimiser = torch.optim.Adam(step.parameters(), 1e-2)
    history = []
    for _ in range(15):
        terms = step(batch, draw(recipe, 6, 0, torch.Generator()))
        optimiser.zero_grad()
        loss_of(terms).backward()
        optimiser.step()
        history.append(terms["contrast"].item())
    assert history[-1] < history[0] - 0.3


def test_the_sound_is_heard_once_and_the_frame_seen_twice() -> None:
    recipe = tiny("f")
    encoders, calls = Encoders(recipe.encoder), []
    for name in ("frames", "sounds"):
        trunk = getattr(encoders, name)
        trunk.register_forward_hook(lambda *_, name=name: calls.append(name))
    Step(recipe, encoders)(clips(4), draw(recipe, 4, 0, torch.Generator()))
    assert sorted(calls) == ["frames", "frames", "sounds"]


def test_the_terms_are_their_definition() -> None:
    torch.manual_seed(0)
    recipe, encoders = tiny("f"), Encoders(TINY)
    recipe.equivariance = 3.0
    frames, spectrograms = torch.randn(4, 3, 32, 32), torch.randn(4, 1, 64, 50)
    assert recipe.warp is not None
    move = recipe.warp.draw(4, torch.Generator().manual_seed(0))
    terms = losses(recipe, encoders, [frames], spectrograms, move)
    sounds = encoders.embed_sounds(spectrograms)
    plain = response(encoders.embed_frames(frames), sounds)
    moved = response(encoders.embed_frames(move(frames)), sounds)
    contrast = (recipe.contrast(plain) + recipe.contrast(moved)) / 2
    torch.testing.assert_close(terms["contrast"], contrast)
    gap = move(matched(plain)[:, None], 32)[:, 0] - matched(moved)
    torch.testing.assert_close(terms["equivariance"], 3 * (gap**2).mean())


class Pointwise(Encoders):
    """Colour is the visual embedding, mean loudness per band the audible one."""

    def embed_frames(self, frames: Tensor) -> Tensor:
        return frames

    def embed_sounds(self, spectrograms: Tensor) -> Tensor:
        return spectrograms.mean(-1)[:, 0, :3]


def test_mirroring_costs_a_pointwise_model_nothing() -> None:
    recipe = tiny("f")
    recipe.warp = Warp(degrees=0.0, shrink=1.0, mirror=1.0)
    move = recipe.warp.draw(4, torch.Generator())
    frames, spectrograms = torch.rand(4, 3, 28, 28), torch.rand(4, 1, 8, 10)
    terms = losses(recipe, Pointwise(TINY), [frames], spectrograms, move)
    assert terms["equivariance"] < 1e-10


def test_sounds_are_mixed_as_waves_and_masked_as_power() -> None:
    recipe, batch = tiny("e"), clips(3)
    recipe.mixing, recipe.mask = Mixing(schedule="paper"), None
    draws = draw(recipe, 3, recipe.epochs - 1, torch.Generator())
    assert batch.partners is not None
    front = recipe.spectrogram
    mixed = 0.35 * front.waveforms(batch.sounds) + 0.65 * front.waveforms(batch.partners)
    torch.testing.assert_close(
        prepare_sounds(recipe, batch, draws), front.finish(front.power(mixed)), atol=1e-3, rtol=0
    )
    recipe.mixing, recipe.mask = None, SpectrogramMask(times=60, bins=20, probability=1.0)
    masked = prepare_sounds(recipe, batch, draw(recipe, 3, 0, torch.Generator()))
    silent = masked == -100
    assert silent.any()
    assert torch.equal(masked[~silent], front(batch.sounds)[~silent])


def test_without_partners_nothing_is_mixed() -> None:
    recipe, batch = tiny("e"), clips(3, partners=False)
    recipe.mask = None
    draws = draw(recipe, 3, recipe.epochs - 1, torch.Generator())
    assert torch.equal(prepare_sounds(recipe, batch, draws), recipe.spectrogram(batch.sounds))


def test_a_part_of_the_draws_does_to_its_clips_what_the_whole_does() -> None:
    recipe, batch = tiny("f"), clips(6)
    draws = draw(recipe, 6, 50, torch.Generator().manual_seed(0))
    part, whole = draws.part(2, 5), slice(2, 5)
    few = rows(batch, 2, 5)
    torch.testing.assert_close(
        prepare_frames(recipe, few, part.appearance),
        prepare_frames(recipe, batch, draws.appearance)[whole],
    )
    torch.testing.assert_close(
        prepare_sounds(recipe, few, part), prepare_sounds(recipe, batch, draws)[whole]
    )
    images = torch.rand(6, 3, 32, 32)
    torch.testing.assert_close(part.warp(images[whole]), draws.warp(images)[whole])


def test_the_same_generator_gives_the_same_step() -> None:
    recipe, encoders = tiny("f"), Encoders(TINY).eval()
    step, batch = Step(recipe, encoders), clips(4)
    one, same, other = (
        step(batch, draw(recipe, 4, 5, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert torch.equal(one["contrast"], same["contrast"])
    assert not torch.equal(one["contrast"], other["contrast"])


def test_half_precision_stays_close() -> None:
    torch.manual_seed(0)
    recipe = tiny("f")
    step, batch = Step(recipe, Encoders(TINY)), clips(4)
    draws = draw(recipe, 4, 0, torch.Generator())
    exact = step(batch, draws)
    with torch.autocast("cpu", torch.bfloat16):
        half = step(batch, draws)
    loss_of(half).backward()
    assert half["contrast"].dtype == torch.float32
    assert half["contrast"].item() == pytest.approx(exact["contrast"].item(), abs=0.1)


# Two processes and one


def rows(batch: Batch, start: int, stop: int) -> Batch:
    partners = None if batch.partners is None else batch.partners[start:stop]
    return Batch(
        ids=batch.ids[start:stop],
        frames=batch.frames[start:stop],
        sizes=batch.sizes[start:stop],
        sounds=batch.sounds[start:stop],
        partners=partners,
    )


def shared_recipe(contrast: str, form: Any) -> Recipe:
    recipe = tiny("f")
    recipe.warp = Warp(form=form)
    if contrast == "paper":
        recipe.contrast = PaperContrast()
    return recipe


def exact_step(recipe: Recipe, rank: int, processes: int) -> dict[str, Tensor]:
    """Terms, gradients and running statistics of one process's part, in double precision."""
    torch.manual_seed(0)
    encoders, count = Encoders(recipe.encoder), 6 // processes
    if recipe.activation_checkpointing:
        checkpoint_activations(encoders)
    own = slice(rank * count, (rank + 1) * count)
    draws = draw(recipe, 6, 20, torch.Generator().manual_seed(3))
    frames = prepare_frames(recipe, clips(6), draws.appearance)[own].double()
    spectrograms = prepare_sounds(recipe, clips(6), draws)[own].double()
    encoders, move = encoders.double(), draws.part(own.start, own.stop).warp
    terms = losses(recipe, encoders, [frames], spectrograms, move)
    loss_of(terms).backward()
    found = {name: term.detach() for name, term in terms.items()}
    found |= {n: p.grad for n, p in encoders.named_parameters() if p.grad is not None}
    return found | dict(encoders.named_buffers())


def shared_step(recipe: Recipe, rank: int, processes: int) -> dict[str, Tensor]:
    """The same in single precision through `Step`, as the trainer calls it."""
    torch.manual_seed(0)
    step: torch.nn.Module = Step(recipe, Encoders(recipe.encoder))
    encoders, count = step.encoders, 6 // processes
    if recipe.activation_checkpointing:
        checkpoint_activations(encoders)
    if processes > 1:
        step = DistributedDataParallel(step)
    draws = draw(recipe, 6, 20, torch.Generator().manual_seed(3))
    draws = draws.part(rank * count, (rank + 1) * count)
    terms = step(rows(clips(6), rank * count, (rank + 1) * count), draws)
    loss_of(terms).backward()
    found = {name: term.detach() for name, term in terms.items()}
    found |= {n: p.grad for n, p in encoders.named_parameters() if p.grad is not None}
    return found | dict(encoders.named_buffers())


def one_of_two(rank: int, recipes: list[Recipe], folder: str) -> None:
    results = []
    for recipe in recipes:
        exact, single = exact_step(recipe, rank, 2), shared_step(recipe, rank, 2)
        means = [*exact.values(), single["contrast"], single["equivariance"]]
        for value in means:  # of `single`, DistributedDataParallel has averaged the gradients
            dist.all_reduce(value)
            value /= 2
        results.append((exact, single))
    if rank == 0:
        torch.save(results, f"{folder}/results.pt")


def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    """Losses, every gradient and every running statistic are those of the joined batch.

    In single precision a decision of ReLU that rounding turns changes gradients by hundredths.
    """
    recipes = [
        shared_recipe("trimap", "released"),
        shared_recipe("trimap", "per_image"),
        shared_recipe("paper", "per_image"),
        replace(shared_recipe("trimap", "released"), activation_checkpointing=True),
    ]
    in_two_processes(one_of_two, recipes, str(tmp_path), folder=tmp_path)
    results = torch.load(tmp_path / "results.pt", weights_only=True)
    for recipe, (exact, single) in zip(recipes, results, strict=True):
        same_step(exact, exact_step(recipe, 0, 1), terms=1e-10, others=1e-10)
        same_step(single, shared_step(recipe, 0, 1), terms=1e-4, others=1e-2)


def same_step(
    found: dict[str, Tensor], expected: dict[str, Tensor], *, terms: float, others: float
) -> None:
    """Largest differences, as a share of the largest value if above 1, stay below a tolerance.

    terms: tolerance of the losses. others: of gradients and statistics.
    """
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        gap = (found[name] - value).abs().max().item() / max(1.0, value.abs().max().item())
        assert gap < (terms if name in ("contrast", "equivariance") else others), f"{name}: {gap}"
