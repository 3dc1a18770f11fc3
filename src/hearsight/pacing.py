"""How much training fits into a given time on this machine."""

import time
from itertools import count

import numpy as np
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from hearsight.batches import Batch, Batches
from hearsight.clips import Clips
from hearsight.curriculum import partners
from hearsight.encoders import Encoders
from hearsight.recipe import Recipe
from hearsight.runs import Options, on_cpu, place
from hearsight.step import Step, draw


def fit_epochs(recipe: Recipe, clips: Clips, minutes: float, options: Options) -> int:
    """Measure a few steps: how many epochs of this recipe fit into `minutes` here?

    At least 1. The measured weights are thrown away.
    """
    batches = Batches(clips, recipe, workers=options.workers)
    accelerator = Accelerator(
        mixed_precision="bf16" if recipe.precision == "bf16" else "no", cpu=on_cpu(options.device)
    )
    encoders = place(Encoders(recipe.encoder), recipe, accelerator.device)
    step = accelerator.prepare(Step(recipe, encoders))
    warm, timed, begin = 3, 12, 0.0
    everyone = np.arange(len(clips)) if recipe.mixing else None
    endless = (batch for epoch in count() for batch in batches.epoch(epoch, partners=everyone))
    for done, batch in enumerate(endless):
        if done in (warm, warm + timed) and accelerator.device.type == "cuda":
            torch.cuda.synchronize()  # steps are handed over, not awaited
        if done == warm:
            begin = time.monotonic()
        if done == warm + timed:
            break
        if isinstance(batch, Batch):
            draws = draw(recipe, len(batch), 0, torch.Generator().manual_seed(done))
            terms = step(batch.to(accelerator.device), draws.to(accelerator.device))
            accelerator.backward(torch.stack(list(terms.values())).sum())
        options.progress("measuring the speed", done + 1, warm + timed)
    per_step = (time.monotonic() - begin) / timed
    begin = time.monotonic()
    if recipe.mixing:
        partners(recipe, encoders, clips, epoch=0, accelerator=accelerator, workers=options.workers)
    per_epoch = per_step * len(batches) + time.monotonic() - begin
    return max(1, int(60 * minutes / per_epoch))
