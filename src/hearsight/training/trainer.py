"""The training loop: a recipe is trained on clips, log and checkpoints go into a run folder.

All random numbers follow from (seed, step), the order of clips from (seed, epoch). A run that was
killed and resumed therefore ends with the weights of an uninterrupted one: on a CPU, bit for bit,
for the same number of threads.
"""

import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from hearsight.checkpoints.checkpoint import BEST, LAST, Model
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.clips.selection import ChosenClips, spread_evenly
from hearsight.errors import HearsightError, refuse_name
from hearsight.localising.painted_clips import paint_clip
from hearsight.progress import renamed
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.evaluation import evaluate
from hearsight.training.batches import Batch
from hearsight.training.pace import SAMPLE
from hearsight.training.run import FEATURES, Run
from hearsight.training.run_folder import TrainingOptions, TrainingResult, clips_digest

LOGGER = logging.getLogger(__name__)
PAINTED, PAINTED_SIDE = 8, 224  # validation clips that trackers show, pixels of their longer side


def train(
    recipe: Recipe,
    clips: Clips,
    folder: Path | str,
    *,
    validation: Clips | None = None,
    options: TrainingOptions | None = None,
) -> TrainingResult:
    """Train a recipe on clips; write the run into `folder`.

    Args:
        recipe: the method.
        clips: training clips. One that cannot be read is skipped and named in the result.
        folder: the run folder; it must be new unless `options.resume`.
        validation: clips with boxes, scored every `recipe.validate_every` epochs.
        options: device, time limit, progress.

    Raises:
        HearsightError: a name in place of a recipe, clips or a start, a folder that holds another
            run or is written to by another process, fewer clips than a batch, too few readable
            clips, NaN or infinity in the loss or the weights, validation clips for a recipe without
            epochs.
            A run that fails before its first checkpoint leaves nothing behind.
    """
    options = options or TrainingOptions()
    refuse_name("recipe", recipe, "load_recipe")
    refuse_name("clips", clips, "open_clips")
    refuse_name("validation", validation, "open_clips")
    refuse_name("start", options.start, "load_start")
    if validation is not None and recipe.epochs == 0:
        raise HearsightError(f"'{recipe.name}' is not trained, so it cannot be validated.")
    folder = Path(folder)
    run = Run(recipe, clips, folder, options, validates=validation is not None)
    try:
        run.measure(validation)
        finished = train_epochs(run, validation)
        if validation is not None and not finished and run.validated != run.position.step:
            validate(run, validation)  # within an epoch: the minutes ran out
            run.report(run.pace.mean_loss(), ended=True)
        save_final(run)
        if finished and run.accelerator.is_main_process:
            shutil.rmtree(folder / FEATURES, ignore_errors=True)
    except BaseException:
        if not run.saved:
            run.log.discard()
        raise
    finally:
        run.kept.close()
    run.accelerator.wait_for_everyone()
    return TrainingResult(
        folder=folder,
        steps=run.position.step,
        seconds=time.monotonic() - run.begun,
        curriculum_seconds=run.curriculum_seconds,
        unreadable=run.unreadable,
        main=run.accelerator.is_main_process,
        finished=finished,
        best=run.position.best if run.position.best >= 0 else None,
        shortened=run.shortened,
    )


def train_epochs(run: Run, validation: Clips | None) -> bool:
    """Train to the last epoch; False if the minutes ran out before."""
    recipe, position = run.recipe, run.position
    while position.epoch < recipe.epochs:
        begin, rest = time.monotonic(), len(run.batches) - position.batch
        if position.batch == 0:
            if run.pace.steps and run.out_of_time(run.pace.search):
                return False
            run.find_partners()
            if position.epoch and run.computed_features():  # this epoch may read them
                run.pace.forget_steps()
        finished = train_epoch(run)
        run.nan_guard.check_weights(position.step)
        if not finished:
            return False
        position.epoch, position.batch = position.epoch + 1, 0
        run.replan((time.monotonic() - begin) * len(run.batches) / max(1, rest))
        last = position.epoch == recipe.epochs
        if validation is not None and (position.epoch % recipe.validate_every == 0 or last):
            validate(run, validation)
        run.report(run.pace.mean_loss(), ended=True)
        if not last:
            run.save(LAST)
    return True


def save_final(run: Run) -> None:
    """Write the last checkpoint with its threshold; also as the best if none was validated."""
    try:
        threshold = run.choose_threshold()
    except BaseException:  # an interrupt here must not cost the last epoch
        run.save(LAST)
        raise
    run.save(LAST, threshold)
    if run.position.best < 0 and not run.options.guarded:
        run.save(BEST, threshold)


def train_epoch(run: Run) -> bool:
    """Train to the end of the epoch; False if the minutes ran out before."""
    run.encoders.train()
    position, options = run.position, run.options
    total = run.recipe.epochs * len(run.batches)
    window, clips_seen = time.monotonic(), 0
    run.pace.begin_epoch()
    finished = True
    begun = (position.batch, position.step)
    options.progress("training", position.epoch * len(run.batches) + position.batch, total)
    run.report_first_step()
    batches = run.batches.epoch(position.epoch, first=position.batch, partners=position.partners)
    for loaded in batches:
        run.record_unreadable(loaded.unreadable)
        batch = run.cut_to_smallest(loaded if isinstance(loaded, Batch) else None)
        position.batch += 1
        if batch is None:
            continue
        terms = run.train_step(batch)
        position.step += 1
        joined = len(batch) * run.accelerator.num_processes
        clips_seen += joined
        loss = torch.stack(list(terms.values())).sum()
        run.pace.add_step(loss, joined)
        done = position.epoch * len(run.batches) + position.batch
        options.progress("training", done, total)
        if run.pace.due():
            run.report(loss.item(), ended=False)
        if position.step % options.log_every == 0:
            run.nan_guard.check_loss()
            now = time.monotonic()
            log_step(run, terms, clips_seen / (now - window))
            window, clips_seen = now, 0
        if run.is_save_due() and done < total:  # else `save_final` does
            run.nan_guard.check_weights(position.step)
            run.save(LAST)
        if run.out_of_time():
            finished = position.batch == len(run.batches)
            break
    run.pace.end_epoch()
    if position.batch > begun[0] and position.step == begun[1]:
        name, why = next(iter(run.unreadable.items()), ("", "another process could not read its"))
        few = "a clip" if run.recipe.least_clips == 1 else "enough clips"
        raise HearsightError(f"No batch holds {few} that can be read; of clip '{name}', {why}.")
    return finished


def log_step(run: Run, terms: Mapping[str, Tensor], samples_per_second: float) -> None:
    """Write the terms of the last step, their sum, its learning rate and the speed into the log."""
    numbers = {name: term.item() for name, term in terms.items()}
    run.log.write(
        "train",
        step=run.position.step,
        epoch=run.position.epoch,
        **numbers,
        loss=sum(numbers.values()),
        learning_rate=run.rate,
        samples_per_second=samples_per_second,
    )


def fewer(run: Run, validation: Clips) -> Clips | None:
    """The validation clips for which the minutes leave time; None where they change nothing.

    A score on fewer clips is not compared with one on all: where there is such a score, its
    weights stay the best.
    """
    pace, count = run.pace, len(validation)
    if pace.left() < 2 * (pace.validation + pace.threshold) and count > 2 * SAMPLE:
        run.measure_closing(validation)  # anew: the machine may be slower than it was
    fits = pace.affordable(count, pace.validation + pace.threshold)
    if fits == count:
        return validation
    if run.position.judge is not None and run.position.best >= 0:
        run.options.notice(
            "The last weights are not validated, for which `minutes` leaves no time: "
            f"{run.folder / BEST} holds the best ones that are."
        )
        return None
    run.shorten("validation", "The last weights are validated on", fits, count)
    return ChosenClips(validation, spread_evenly(count, fits))


def validate(run: Run, validation: Clips) -> None:
    """Score the validation clips; save the weights if their score is the best on these clips.

    Where the minutes leave no time for all clips they are fewer.
    """
    run.validated = run.position.step
    if run.accelerator.is_main_process:
        chosen = validation if run.options.minutes is None else fewer(run, validation)
        if chosen is not None:
            score_clips(run, chosen, len(validation))
    run.accelerator.wait_for_everyone()


def score_clips(run: Run, validation: Clips, whole: int) -> None:
    """Score clips of the validation, which has `whole`, in the main process."""
    run.choose_prototypes()
    begin = time.monotonic()
    evaluation = evaluate(
        Model(run.encoders, run.recipe),
        validation,
        run.options.protocol,
        device=run.accelerator.device,
        progress=renamed(run.options.progress, before="validation, "),
    )
    run.pace.validation = (time.monotonic() - begin) * whole / len(validation)
    run.score = score = evaluation.success_rate
    judge = f"{run.options.protocol}:{clips_digest(validation)}"
    if run.position.judge != judge:  # scores on other clips or protocols are not comparable
        run.position.judge, run.position.best = judge, -1.0
    run.log.write(
        "validation",
        step=run.position.step,
        epoch=run.position.epoch,
        **evaluation.numbers(),
    )
    LOGGER.info("epoch %d: %s %.4f", run.position.epoch, run.options.protocol, score)
    if score > run.position.best:
        run.position.best = score
        run.save(BEST, run.choose_threshold())
    if run.log.trackers:
        run.log.show(run.position.step, paint_some(run, validation))


def paint_some(run: Run, validation: Clips) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
    """Painted frames of a few validation clips, the same ones each time."""
    painted = {}
    for index in spread_evenly(len(validation), PAINTED):
        with suppress(UnreadableClip):
            clip = validation[index]
            painted[clip.id] = paint_clip(run.encoders, run.recipe, clip, PAINTED_SIDE)
    return painted
