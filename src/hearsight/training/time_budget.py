"""Measures how many epochs of a recipe fit into a time budget on this machine."""

import time
from itertools import count

import numpy as np
import torch

from hearsight.clips.clip import Clips
from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.training.accelerator import make_accelerator
from hearsight.training.batches import Batch, Batches
from hearsight.training.mixing_partners import find_mixing_partners
from hearsight.training.pace import MEASURING
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.step import Step, draw


def fit_epochs(recipe: Recipe, clips: Clips, minutes: float, options: TrainingOptions) -> int:
    """The number of epochs, at least 1, that fit into `minutes`: measured on a few steps."""
    return max(1, int(60 * minutes / epoch_seconds(recipe, clips, options)))


def remaining_epochs(seconds: float, per_epoch: float, most: int) -> int:
    """Epochs that still fit into `seconds` at `per_epoch` seconds each, from 0 to `most`."""
    return max(0, min(most, int(seconds / per_epoch))) if per_epoch > 0 else most


def epoch_seconds(
    recipe: Recipe, clips: Clips, options: TrainingOptions, *, warm: int = 3, timed: int = 12
) -> float:
    """Seconds of an epoch of new clips, measured on `timed` steps after `warm` other ones.

    The weights of these steps are discarded.
    """
    batches = Batches(clips, recipe, workers=options.workers)
    accelerator = make_accelerator(options.device)
    initial = torch.Generator().manual_seed(recipe.seed)
    encoders = place(
        Encoders(recipe.encoder, generator=initial),
        accelerator.device,
        channels_last=recipe.channels_last,
    )
    encoders.generator = torch.Generator(accelerator.device)  # of dropout and noise
    step = accelerator.prepare(Step(recipe, encoders))
    begin = 0.0
    everyone = np.arange(len(clips)) if recipe.mixing else None
    endless = (batch for epoch in count() for batch in batches.epoch(epoch, partners=everyone))
    for done, batch in enumerate(endless):
        if done in (warm, warm + timed) and accelerator.device.type == "cuda":
            torch.cuda.synchronize()  # kernels run asynchronously
        if done == warm:
            begin = time.monotonic()
        if done == warm + timed:
            break
        if isinstance(batch, Batch):
            draws = draw(recipe, len(batch), 0, torch.Generator().manual_seed(done))
            terms = step(batch.to(accelerator.device), draws.to(accelerator.device))
            accelerator.backward(torch.stack(list(terms.values())).sum())
        options.progress(MEASURING, done + 1, warm + timed)
    per_step = (time.monotonic() - begin) / timed
    begin = time.monotonic()
    if recipe.mixing:
        find_mixing_partners(
            recipe, encoders, clips, epoch=0, accelerator=accelerator, workers=options.workers
        )
    return per_step * len(batches) + time.monotonic() - begin
