"""Losses of the same training in fp32 and in bf16, against the spread of seeds.

    python benchmarks/precision.py [--steps 60] [--seeds 4,5,6]

`ssl_tie:small` on toys, as `hearsight train` runs it. For each seed all forms begin with the same
weights and see the same clips and draws, so they differ by rounding alone: bf16, and as a measure
of what rounding alone does, fp32 in the other layout in memory. The curves are cut into windows of
ten steps, whose mean losses are compared. Prints one JSON object; fails if bf16 moves the mean
curve of the seeds in any window by more than the seeds are apart in fp32.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.training.run_folder import TrainingOptions, read_log
from hearsight.training.trainer import train

WINDOW = 10  # steps


def curve(recipe: Recipe, steps: int, folder: Path) -> tuple[np.ndarray, float]:
    """Mean losses of the windows of a training, and its processor seconds per step."""
    epochs, scenes = recipe.epochs, steps * recipe.batch_size // recipe.epochs
    clips = Scenes(load_pack("toys", split="train"), scenes, size=112, endless=True)
    begin = time.process_time()
    options = TrainingOptions(device="cpu", workers=0, log_every=1)
    found = train(recipe, clips, folder, options=options)
    seconds = time.process_time() - begin
    losses = [entry["loss"] for entry in read_log(folder) if entry["kind"] == "train"]
    assert len(losses) == found.steps == epochs * (scenes // recipe.batch_size)
    whole = len(losses) // WINDOW * WINDOW
    return np.asarray(losses[:whole]).reshape(-1, WINDOW).mean(1), seconds / found.steps


FORMS: dict[str, dict[str, object]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "fp32, other layout": {"channels_last": False},
}


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", default="4,5,6")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[tuple[np.ndarray, float]]] = {name: [] for name in FORMS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in map(int, arguments.seeds.split(",")):
            for name, changes in FORMS.items():
                recipe = replace(load_recipe("ssl_tie:small"), seed=seed, epochs=2, **changes)
                found[name].append(curve(recipe, arguments.steps, Path(folder) / f"{name} {seed}"))
    curves = {name: np.stack([one for one, _ in runs]) for name, runs in found.items()}
    full, half = curves["fp32"], curves["bf16"]
    lowest, highest, moved = full.min(0), full.max(0), half.mean(0)
    report: dict[str, object] = {"fp32, highest less lowest seed": rounded(highest - lowest)}
    for name, each in curves.items():
        report[f"{name}, mean over seeds"] = rounded(each.mean(0))
        report[f"{name}, processor seconds per step"] = round(min(s for _, s in found[name]), 3)
    for name in list(FORMS)[1:]:
        report[f"{name} less fp32, mean over seeds"] = rounded(curves[name].mean(0) - full.mean(0))
        gaps = np.abs(curves[name] - full).max(0)
        report[f"{name} less fp32 of the same seed, largest"] = rounded(gaps)
    within = (lowest <= moved) & (moved <= highest)
    report["windows in which the mean of bf16 lies between fp32's seeds"] = int(within.sum())
    print(json.dumps(report, indent=1))
    shift = np.abs(moved - full.mean(0))
    assert (shift <= highest - lowest).all(), "bf16 moves the curve by more than seeds do"


def rounded(values: np.ndarray) -> list[float]:
    """For people to read."""
    return [round(float(value), 4) for value in values]


if __name__ == "__main__":
    main()
