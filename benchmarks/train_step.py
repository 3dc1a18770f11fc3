"""One training step of `ssl_tie` on a CPU: ours against the plain two-forward form.

    python benchmarks/train_step.py [--batch 8] [--rounds 5]
    python benchmarks/train_step.py --floor      what the convolutions alone take
    python benchmarks/train_step.py --memory     peak memory of each form

Ours: `hearsight.training.step.losses`, which embeds the sounds once for plain and warped frames.
Plain: both branches run the frame network AND the sound network, in fp32 and the default layout,
as the released loop does; the losses, the warp, the equivariance, the gradients and the Adam step
are the same. All get the same frames and spectrograms, already prepared on the device, so the step
alone is compared. Ours is taken as the recipe is, with `channels_last=true`, with `precision=bf16`
on top of that, and the last two with `activation_checkpointing=true` as well.

Half of all draws shrink the warped frames, so each round takes one step with a draw that does and
one with a draw that does not. One thread, the sides in turns; a ratio is the median over rounds of
plain's seconds over ours in the same round, by processor time and by the clock.

Checked before anything is timed, from the same weights with batch norm in train mode: the losses
of plain and ours are equal within 1e-6, relative, and `encoder.sound_momentum` 0.19 leaves in the
sound network the running statistics that the plain form reaches by two updates at 0.1; with
activation checkpointing the loss is the same to the last bit. The other layout and bf16 are other
kernels with other rounding, whose differences are printed.

--floor: seconds that one step spends in convolutions and their gradients, the operations that torch
counts for them, and those per second of one product of 2048 x 2048 matrices in fp32.
--memory: each form takes a step in a process of its own. Peaks are those of the whole process,
torch included: as it is, where the C library keeps much of what was freed, and with every tensor
given back to the system at once, which is what is in use at the same time (glibc alone).
Prints one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from hearsight.model.augmentation import WarpDraw
from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.model.response import matched
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.step import checkpoint_activations, losses

Inputs = tuple[Tensor, Tensor]  # frames "b 3 side side", spectrograms "b 1 bins times"
Loss = Callable[[Recipe, Encoders, Inputs, WarpDraw], Tensor]
TOLERANCE = 1e-6
TARGETS = {"ours": 2.2, "ours, channels last": 2.2, "ours, channels last, bf16": 3.0}


def ours(recipe: Recipe, encoders: Encoders, inputs: Inputs, move: WarpDraw) -> Tensor:
    """The loss with the sounds embedded once."""
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        terms = losses(recipe, encoders, [inputs[0]], inputs[1], move)
    return torch.stack(list(terms.values())).sum()


def plain(recipe: Recipe, encoders: Encoders, inputs: Inputs, move: WarpDraw) -> Tensor:
    """The loss with two whole forward passes."""
    frames, spectrograms = inputs
    responses = encoders(frames, spectrograms)
    moved = encoders(move(frames), spectrograms)
    contrast = 0.5 * (recipe.contrast(responses) + recipe.contrast(moved))
    followed = move(matched(responses)[:, None], recipe.frame_size)[:, 0]
    return contrast + recipe.equivariance * (matched(moved) - followed).square().mean()


FORMS: dict[str, tuple[Loss, dict[str, object]]] = {
    "plain": (plain, {}),
    "ours": (ours, {}),
    "ours, channels last": (ours, {"channels_last": True}),
    "ours, channels last, checkpointing": (
        ours,
        {"channels_last": True, "activation_checkpointing": True},
    ),
    "ours, channels last, bf16": (ours, {"channels_last": True, "precision": "bf16"}),
    "ours, channels last, bf16, checkpointing": (
        ours,
        {"channels_last": True, "precision": "bf16", "activation_checkpointing": True},
    ),
}


class Side:
    """One way of taking the step, with its own copy of the weights."""

    def __init__(self, name: str, batch: int) -> None:
        self.loss, changes = FORMS[name]
        self.recipe = recipe = load_recipe("ssl_tie")
        recipe.batch_size, recipe.channels_last = batch, False
        for field, value in changes.items():
            setattr(recipe, field, value)
        if self.loss is ours:
            recipe.encoder.sound_momentum = 0.19
        torch.manual_seed(recipe.seed)
        self.encoders = place(
            Encoders(recipe.encoder), torch.device("cpu"), channels_last=recipe.channels_last
        ).train()
        if recipe.activation_checkpointing:
            checkpoint_activations(self.encoders)
        self.optimiser = torch.optim.Adam(
            self.encoders.parameters(),
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )

        for weights in self.encoders.parameters():  # so that Adam makes its moments now
            weights.grad = torch.zeros_like(weights)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def step(self, inputs: Inputs, move: WarpDraw) -> tuple[float, float]:
        """Take one step; seconds it took, of the processor and by the clock."""
        begin, clock = time.process_time(), time.perf_counter()
        self.loss(self.recipe, self.encoders, inputs, move).backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return time.process_time() - begin, time.perf_counter() - clock


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


def check(sides: dict[str, Side], inputs: Inputs, move: WarpDraw) -> dict[str, float]:
    """Compare the first losses and what they leave in the sound networks.

    Gradients are on, without which nothing is computed again, and go back once, so that it is.
    """
    found = {}
    for name, side in sides.items():
        before = deepcopy(side.encoders.state_dict())
        loss = side.loss(side.recipe, side.encoders, inputs, move)
        loss.backward()
        found[name] = loss.item()
        side.optimiser.zero_grad(set_to_none=True)
        if name not in ("plain", "ours"):
            side.encoders.load_state_dict(before)
    gaps = {name: abs(loss / found["plain"] - 1) for name, loss in found.items()}
    assert gaps["ours"] <= TOLERANCE, found
    for name, loss in found.items():
        assert loss == found[name.removesuffix(", checkpointing")], found
    statistics_gap = largest_gap(sides["ours"].encoders, sides["plain"].encoders)
    assert statistics_gap <= 1e-5, statistics_gap
    report = {"loss, plain": found["plain"]}
    report |= {f"relative difference of the loss, {n}": gap for n, gap in gaps.items() if gap}
    report["the same of running statistics, 0.19 once against 0.1 twice"] = statistics_gap
    return report


def speed(batch: int, rounds: int) -> dict[str, object]:
    """Check, then time all forms in turns."""
    sides = {name: Side(name, batch) for name in FORMS}
    inputs, moves = make_inputs(sides["plain"].recipe, batch)
    report: dict[str, object] = {"batch": batch, "rounds": rounds}
    report |= check(sides, inputs, moves["shrunk frames"])
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for at in range(rounds):
        for name, side in sides.items():
            pairs = [side.step(inputs, move) for move in moves.values()]
            taken[name].append((sum(p for p, _ in pairs) / 2, sum(c for _, c in pairs) / 2))
            print(f"round {at + 1}, {name}: {taken[name][-1]}", file=sys.stderr, flush=True)
    for name, seconds in taken.items():
        report[f"{name}, s per step"] = round(statistics.median(p for p, _ in seconds), 2)
    for name in list(sides)[1:]:
        for at, kind in enumerate(("processor", "clock")):
            ratios = [p[at] / o[at] for p, o in zip(taken["plain"], taken[name], strict=True)]
            middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
            report[f"ratio, {name}, {kind}"] = f"{middle:.2f} ({least:.2f} to {most:.2f})"
    report["targets"] = TARGETS
    return report


def floor(batch: int, rounds: int) -> dict[str, object]:
    """What the convolutions of a step take, and how fast they are."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = float("inf")
    for _ in range(5 * rounds):
        begin = time.process_time()
        a @ b
        best = min(best, time.process_time() - begin)
    report: dict[str, object] = {"matrix product, 10^9/s": round(2 * 2048**3 / best / 1e9, 1)}
    for name in ("plain", "ours", "ours, channels last", "ours, channels last, bf16"):
        side = Side(name, batch)
        inputs, moves = make_inputs(side.recipe, batch)
        work, inside, whole = 0.0, 0.0, 0.0
        for move in moves.values():
            with FlopCounterMode(display=False) as counter:
                side.step(inputs, move)
            work += counter.get_total_flops() / 2
            times = []
            for _ in range(rounds):
                with profile(activities=[ProfilerActivity.CPU]) as found:
                    side.step(inputs, move)
                events = found.key_averages()
                spent = sum(e.self_cpu_time_total for e in events if "conv" in e.key)
                times.append((spent / 1e6, sum(e.self_cpu_time_total for e in events) / 1e6))
            inside, whole = inside + min(times)[0] / 2, whole + min(times)[1] / 2
        report |= {
            f"{name}, 10^12 operations": round(work / 1e12, 3),
            f"{name}, s in convolutions": round(inside, 2),
            f"{name}, s in all": round(whole, 2),
            f"{name}, 10^9/s in convolutions": round(work / inside / 1e9, 1),
        }
    return report


def peak(name: str, batch: int) -> None:
    """Take a step with whole frames and print the peak of this process, MiB."""
    side = Side(name, batch)
    inputs, moves = make_inputs(side.recipe, batch)
    side.step(inputs, moves["whole frames"])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def memory(batch: int) -> dict[str, object]:
    """The peaks of all forms, and their ratios to plain's."""
    report: dict[str, object] = {"batch": batch}
    for kind, more in (("process", {}), ("in use", {"MALLOC_MMAP_THRESHOLD_": "131072"})):
        found = {}
        for name in FORMS:
            command = [sys.executable, __file__, "--batch", str(batch), "--peak", name]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env={**os.environ, **more}
            )
            found[name] = int(done.stdout)
            ratio = found[name] / found["plain"]
            report[f"{kind}, {name}"] = f"{found[name]} MiB, {ratio:.2f}"
    return report


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", choices=list(FORMS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        peak(arguments.peak, arguments.batch)
        return
    if arguments.memory:
        report = memory(arguments.batch)
    elif arguments.floor:
        report = floor(arguments.batch, arguments.rounds)
    else:
        report = speed(arguments.batch, arguments.rounds)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
