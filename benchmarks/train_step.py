"""One training step of `ssl_tie` on a CPU: ours against the plain two-forward form.

    python benchmarks/train_step.py [--batch 8] [--rounds 2]

Ours: `hearsight.training.step.losses`, which embeds the sounds once for plain and warped frames.
Plain: both branches run the frame network AND the sound network, as the released loop does; the
losses, the warp, the equivariance, the gradients and the Adam step are the same. Both get the same
frames and spectrograms, already prepared on the device, so the step alone is compared.

Half of all draws shrink the warped frames, so each round measures one draw that does and one that
does not. One thread, processor time, the sides in turns; the fastest round of each draw counts.

Checked before anything is timed, from the same weights with batch norm in train mode: the losses
are equal within 1e-6, relative, and `encoder.sound_momentum` 0.19 leaves in the sound network
the running statistics that the plain form reaches by two updates at 0.1. "laid out channels
last" is ours with `channels_last=true`: the same step, other kernels, other rounding.
Prints one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from hearsight.model.augmentation import WarpDraw
from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.model.response import matched
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.step import losses

Inputs = tuple[Tensor, Tensor]  # frames "b 3 side side", spectrograms "b 1 bins times"
Loss = Callable[[Recipe, Encoders, Inputs, WarpDraw], Tensor]
TARGET, TOLERANCE = 1.8, 1e-6


def ours(recipe: Recipe, encoders: Encoders, inputs: Inputs, move: WarpDraw) -> Tensor:
    """The loss with the sounds embedded once."""
    return torch.stack(list(losses(recipe, encoders, [inputs[0]], inputs[1], move).values())).sum()


def plain(recipe: Recipe, encoders: Encoders, inputs: Inputs, move: WarpDraw) -> Tensor:
    """The loss with two whole forward passes."""
    frames, spectrograms = inputs
    responses = encoders(frames, spectrograms)
    moved = encoders(move(frames), spectrograms)
    contrast = 0.5 * (recipe.contrast(responses) + recipe.contrast(moved))
    followed = move(matched(responses)[:, None], recipe.frame_size)[:, 0]
    return contrast + recipe.equivariance * (matched(moved) - followed).square().mean()


class Side:
    """One way of taking the step, with its own copy of the weights."""

    def __init__(self, recipe: Recipe, encoders: Encoders, loss: Loss) -> None:
        self.recipe, self.loss = recipe, loss
        self.encoders = place(
            encoders, torch.device("cpu"), channels_last=recipe.channels_last
        ).train()
        self.optimiser = torch.optim.Adam(
            self.encoders.parameters(),
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )

    def step(self, inputs: Inputs, move: WarpDraw) -> float:
        """Take one step; processor seconds it took."""
        begin = time.process_time()
        self.loss(self.recipe, self.encoders, inputs, move).backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return time.process_time() - begin


def make_inputs(recipe: Recipe, batch: int) -> tuple[Inputs, dict[str, WarpDraw]]:
    """Frames and spectrograms of made-up content, and two draws of the warp."""
    assert recipe.warp is not None
    generator = torch.Generator().manual_seed(recipe.seed)
    frames = torch.randn(batch, 3, recipe.frame_size, recipe.frame_size, generator=generator)
    sounds = torch.randint(-9000, 9000, (batch, 48_000), generator=generator).short()
    moves = {}
    while len(moves) < 2:
        move = recipe.warp.draw(batch, generator)
        moves["whole frames" if move.resize == 1 else "shrunk frames"] = move
    return (frames, recipe.spectrogram(sounds)), moves


def largest_gap(first: Encoders, second: Encoders) -> float:
    """How far the running statistics of two sound networks differ at most, relative."""
    pairs = zip(first.sounds.buffers(), second.sounds.buffers(), strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def make_sides(batch: int) -> tuple[dict[str, Side], Recipe]:
    """The plain form, ours, and ours with the other layout; all from the same weights."""
    recipe = load_recipe("ssl_tie")
    twice, once, laid_out = deepcopy(recipe), deepcopy(recipe), deepcopy(recipe)
    once.encoder.sound_momentum = laid_out.encoder.sound_momentum = 0.19
    twice.channels_last = once.channels_last = False
    laid_out.channels_last = True
    sides = {}
    for name, changed, loss in (
        ("plain", twice, plain),
        ("ours", once, ours),
        ("ours, laid out channels last", laid_out, ours),
    ):
        torch.manual_seed(recipe.seed)
        changed.batch_size = batch
        sides[name] = Side(changed, Encoders(changed.encoder), loss)
    return sides, recipe


def check(sides: dict[str, Side], inputs: Inputs, move: WarpDraw) -> dict[str, float]:
    """Compare the first losses and what they leave in the sound networks."""
    with torch.no_grad():
        found = {
            name: side.loss(side.recipe, side.encoders, inputs, move).item()
            for name, side in sides.items()
        }
    gaps = {name: abs(loss / found["plain"] - 1) for name, loss in found.items()}
    assert gaps["ours"] <= TOLERANCE, found
    statistics = largest_gap(sides["ours"].encoders, sides["plain"].encoders)
    assert statistics <= 1e-5, statistics
    return {
        "loss, plain": found["plain"],
        "relative difference of the loss": gaps["ours"],
        "the same, channels last": gaps["ours, laid out channels last"],
        "relative difference of running statistics, 0.19 once against 0.1 twice": statistics,
    }


def main() -> None:
    """Check, time all sides in turns, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sides, recipe = make_sides(arguments.batch)
    inputs, moves = make_inputs(recipe, arguments.batch)
    report: dict[str, object] = {"batch": arguments.batch}
    report |= check(sides, inputs, moves["shrunk frames"])
    best = {side: dict.fromkeys(moves, float("inf")) for side in sides}
    for _ in range(arguments.rounds):
        for draw, move in moves.items():
            for name, side in sides.items():
                best[name][draw] = min(best[name][draw], side.step(inputs, move))
    means = {name: sum(times.values()) / len(times) for name, times in best.items()}
    for name, mean in means.items():
        report[f"{name}, s per step"] = round(mean, 2)
    for name in list(sides)[1:]:
        for draw in moves:
            ratio = best["plain"][draw] / best[name][draw]
            report[f"ratio, {name}, {draw}"] = round(ratio, 2)
        report[f"ratio, {name}"] = round(means["plain"] / means[name], 2)
    report["target"] = TARGET
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
