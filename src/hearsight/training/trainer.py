"""The training loop: a recipe is trained on clips, log and checkpoints go into a run folder.

All random numbers follow from (seed, step), the order of clips from (seed, epoch). A run that was
killed and resumed therefore ends with the weights of an uninterrupted one: on a CPU, bit for bit,
for the same number of threads.
"""

import logging
import math
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.checkpoints.checkpoint import BEST, LAST, Checkpoint, Model, save_checkpoint
from hearsight.checkpoints.import_weights import load_trunk
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.errors import HearsightError, needs
from hearsight.files.locks import sole_writer
from hearsight.model.device import on_cpu, place
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.evaluation import evaluate
from hearsight.training.batches import Batch, Batches, label_names
from hearsight.training.confidence_threshold import choose_threshold
from hearsight.training.mixing_partners import find_mixing_partners
from hearsight.training.nan_guard import NanGuard, all_finite
from hearsight.training.run_folder import (
    Log,
    TrainingOptions,
    TrainingPosition,
    TrainingResult,
    carry_facts,
    check_unchanged,
    clips_digest,
    find_previous,
    folder_state,
    load_optimiser,
    optimiser_state,
    step_seed,
    thread_warnings,
)
from hearsight.training.step import Step, draw

with needs("train", "Training"):
    from accelerate import Accelerator  # type: ignore[import-untyped]

LOGGER = logging.getLogger(__name__)


class Run:
    """The state of one training run: encoders, optimiser, position, batches, log."""

    def __init__(
        self, recipe: Recipe, clips: Clips, folder: Path, options: TrainingOptions
    ) -> None:
        if recipe.needs_labels and not recipe.labels:
            names = label_names(clips)
            encoder = replace(recipe.encoder, classes=len(names))
            recipe = replace(recipe, labels=names, encoder=encoder)
        self.recipe, self.clips, self.folder, self.options = recipe, clips, folder, options
        self.accelerator = Accelerator(
            mixed_precision="bf16" if recipe.precision == "bf16" else "no",
            cpu=on_cpu(options.device),
        )
        initial = torch.Generator().manual_seed(recipe.seed)
        self.encoders = Encoders(recipe.encoder, generator=initial)
        self.position = TrainingPosition()
        state = folder_state(folder)
        previous = find_previous(folder, recipe, clips, resume=options.resume)
        self.facts = carry_facts({} if previous is None else previous.facts, options.facts)
        if previous is not None:
            self.encoders.load_state_dict(previous.weights)
        elif recipe.encoder.weights is not None:
            load_trunk(self.encoders, recipe.encoder)
        if not recipe.teaches_frames:  # several processes wait for the gradient of every weight
            self.encoders.frames.requires_grad_(False)
        place(self.encoders, self.accelerator.device, channels_last=recipe.channels_last)
        self.optimiser = torch.optim.Adam(
            (weights for weights in self.encoders.parameters() if weights.requires_grad),
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        if previous is not None:
            self._restore(previous)
            if self.accelerator.is_main_process and self.accelerator.device.type == "cpu":
                for sentence in thread_warnings(folder, previous.facts, torch.get_num_threads()):
                    options.notice(sentence)
        step = Step(recipe, self.encoders)
        if recipe.compile:
            for trunk in self.encoders.children():
                trunk.compile()
        self.step, self.prepared = self.accelerator.prepare(step, self.optimiser)
        self.batches = Batches(
            clips,
            recipe,
            workers=options.workers,
            processes=self.accelerator.num_processes,
            rank=self.accelerator.process_index,
        )
        self.unreadable: dict[str, str] = {}
        self.curriculum_seconds = 0.0
        self.rate = 0.0  # of the last step
        self.saved = False  # whether this process has saved a checkpoint
        self.nan_guard = NanGuard(self.encoders, recipe, self.accelerator, folder / LAST)
        self.started = time.monotonic()
        with ExitStack() as kept:  # the folder is made last: a run that cannot begin leaves none
            if self.accelerator.is_main_process:
                kept.enter_context(sole_writer(folder))
                check_unchanged(folder, state)
            self.log = Log(
                folder,
                recipe,
                step=self.position.step,
                active=self.accelerator.is_main_process,
                fresh=not options.resume,
            )
            kept.callback(self.log.close)
            self.kept = kept.pop_all()

    def _restore(self, previous: Checkpoint) -> None:
        """Restore optimiser and position from a checkpoint."""
        if previous.state is None or "position" not in previous.facts:
            raise HearsightError(f"{self.folder / LAST} holds weights only: it cannot be resumed.")
        if not all_finite(previous.weights):
            raise HearsightError(f"{self.folder / LAST} holds weights that are NaN or infinite.")
        state = dict(previous.state)
        found = state.pop("partners", None)
        self.position = TrainingPosition(**previous.facts["position"])
        self.position.partners = None if found is None else found.numpy()
        load_optimiser(self.optimiser, dict(self.encoders.named_parameters()), state)

    def out_of_time(self) -> bool:
        """Whether the minutes of this run have passed, in any process."""
        if self.options.minutes is None:
            return False
        over = time.monotonic() - self.started > 60 * self.options.minutes
        flag = torch.tensor(float(over), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def choose_threshold(self) -> float | None:
        """The confidence threshold of the present weights; the main process alone computes it."""
        if not self.accelerator.is_main_process:
            return None
        return choose_threshold(
            self.encoders, self.recipe, self.clips, device=self.accelerator.device
        )

    def save(self, name: str, threshold: float | None = None) -> None:
        """Write a checkpoint, with the confidence threshold if one is given.

        `last` also holds the optimiser's state and the mixing partners, which resuming needs.
        """
        if not self.accelerator.is_main_process:
            return
        position = self.position
        facts = {
            **self.facts,
            "clips": clips_digest(self.clips),
            "threads": torch.get_num_threads(),
            **({} if threshold is None else {"threshold": threshold}),
            "position": {
                "epoch": position.epoch,
                "batch": position.batch,
                "step": position.step,
                "best": position.best,
                "judge": position.judge,
            },
        }
        state: dict[str, Tensor] | None = None
        if name == LAST:
            state = optimiser_state(self.optimiser, dict(self.encoders.named_parameters()))
            if position.partners is not None:
                state["partners"] = torch.from_numpy(position.partners)
        save_checkpoint(self.folder / name, self.encoders, self.recipe, facts=facts, state=state)
        LOGGER.info("step %d, epoch %d: wrote %s", position.step, position.epoch, name)
        self.saved = True

    def find_partners(self) -> None:
        """Find the mixing partners of the coming epoch, if the recipe mixes sounds in it."""
        mixing, position = self.recipe.mixing, self.position
        position.partners = None
        if mixing is None or mixing.strength(position.epoch, self.recipe.epochs)[1] <= 0:
            return
        begin, done = time.monotonic(), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.options.progress("embedding sounds", done, len(self.clips))

        position.partners = find_mixing_partners(
            self.recipe,
            self.encoders,
            self.clips,
            epoch=position.epoch,
            accelerator=self.accelerator,
            workers=self.options.workers,
            advance=advance,
        )
        self.curriculum_seconds += time.monotonic() - begin

    def record_unreadable(self, found: tuple[UnreadableClip, ...]) -> None:
        for error in found:
            LOGGER.warning("not trained on: clip %s, because %s", error.id, error.reason)
            self.unreadable.setdefault(error.id, error.reason)

    def cut_to_smallest(self, batch: Batch | None) -> Batch | None:
        """The batch cut to the smallest of all processes; None if that is below `least_clips`."""
        smallest, processes = 0 if batch is None else len(batch), self.accelerator.num_processes
        if processes > 1:
            count = torch.tensor([smallest], device=self.accelerator.device)
            smallest = int(self.accelerator.gather(count).min().item())
        if batch is None or not smallest or smallest * processes < self.recipe.least_clips:
            return None
        return batch.first(smallest) if smallest < len(batch) else batch

    def train_step(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Take one optimiser step; returns the named terms of the loss."""
        accelerator, position, recipe = self.accelerator, self.position, self.recipe
        generator = torch.Generator().manual_seed(step_seed(recipe.seed, position.step))
        count, rank = len(batch), accelerator.process_index
        draws = draw(recipe, count * accelerator.num_processes, position.epoch, generator)
        draws = draws.part(rank * count, (rank + 1) * count).to(accelerator.device)
        if recipe.encoder.dropout:
            seed = step_seed(recipe.seed, position.step) + rank
            self.encoders.generator = torch.Generator(accelerator.device).manual_seed(seed)
        self.rate = self.learning_rate()
        for group in self.prepared.param_groups:
            group["lr"] = self.rate
        terms: dict[str, Tensor] = self.step(batch.to(accelerator.device), draws)
        loss = torch.stack(list(terms.values())).sum()
        self.nan_guard.record(loss, batch, position.step + 1)
        accelerator.backward(loss)
        self.prepared.step()
        self.prepared.zero_grad(set_to_none=True)
        self.encoders.update_ema()
        return {name: term.detach() for name, term in terms.items()}

    def learning_rate(self) -> float:
        """The recipe's rate; with `decay` it falls to zero along half a cosine."""
        if not self.recipe.decay:
            return self.recipe.learning_rate
        done = self.position.step / max(1, self.recipe.epochs * len(self.batches))
        return self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


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
        HearsightError: a folder that holds another run or is written to by another process, fewer
            clips than a batch, too few readable clips, NaN or infinity in the loss or the weights,
            validation clips for a recipe without epochs.
            A run that fails before its first checkpoint leaves nothing behind.
    """
    if validation is not None and recipe.epochs == 0:
        raise HearsightError(f"'{recipe.name}' is not trained, so it cannot be validated.")
    folder = Path(folder)
    run = Run(recipe, clips, folder, options or TrainingOptions())
    recipe, position, finished = run.recipe, run.position, True
    try:
        while position.epoch < recipe.epochs and finished:
            if position.batch == 0:
                run.find_partners()
            finished = train_epoch(run)
            run.nan_guard.check_weights(position.step)
            if finished:
                position.epoch, position.batch = position.epoch + 1, 0
                if validation is not None and (
                    position.epoch % recipe.validate_every == 0 or position.epoch == recipe.epochs
                ):
                    validate(run, validation)
            if finished and position.epoch < recipe.epochs:
                run.save(LAST)
        save_final(run)
    except BaseException:
        if not run.saved:
            run.log.discard()
        raise
    finally:
        run.kept.close()
    run.accelerator.wait_for_everyone()
    return TrainingResult(
        folder=folder,
        steps=position.step,
        seconds=time.monotonic() - run.started,
        curriculum_seconds=run.curriculum_seconds,
        unreadable=run.unreadable,
        main=run.accelerator.is_main_process,
        finished=finished,
    )


def save_final(run: Run) -> None:
    """Write the last checkpoint with its threshold; also as the best if none was validated."""
    try:
        threshold = run.choose_threshold()
    except BaseException:  # an interrupt here must not cost the last epoch
        run.save(LAST)
        raise
    run.save(LAST, threshold)
    if run.position.best < 0:
        run.save(BEST, threshold)


def train_epoch(run: Run) -> bool:
    """Train to the end of the epoch; False if the minutes ran out before."""
    run.encoders.train()
    position, options = run.position, run.options
    total = run.recipe.epochs * len(run.batches)
    window, clips_seen = time.monotonic(), 0
    begun = (position.batch, position.step)
    batches = run.batches.epoch(position.epoch, first=position.batch, partners=position.partners)
    for loaded in batches:
        run.record_unreadable(loaded.unreadable)
        batch = run.cut_to_smallest(loaded if isinstance(loaded, Batch) else None)
        position.batch += 1
        if batch is None:
            continue
        terms = run.train_step(batch)
        position.step += 1
        clips_seen += len(batch) * run.accelerator.num_processes
        done = position.epoch * len(run.batches) + position.batch
        options.progress("training", done, total)
        if position.step % options.log_every == 0:
            run.nan_guard.check_loss()
            now = time.monotonic()
            run.log.write(
                "train",
                step=position.step,
                epoch=position.epoch,
                **{name: term.item() for name, term in terms.items()},
                loss=sum(term.item() for term in terms.values()),
                learning_rate=run.rate,
                samples_per_second=clips_seen / (now - window),
            )
            window, clips_seen = now, 0
        if position.step % options.save_every == 0 and done < total:  # else `save_final` does
            run.nan_guard.check_weights(position.step)
            run.save(LAST)
        if run.out_of_time():
            return False
    if position.batch > begun[0] and position.step == begun[1]:
        name, why = next(iter(run.unreadable.items()), ("", "another process could not read its"))
        few = "a clip" if run.recipe.least_clips == 1 else "enough clips"
        raise HearsightError(f"No batch holds {few} that can be read; of clip '{name}', {why}.")
    return True


def validate(run: Run, validation: Clips) -> None:
    """Score the validation clips; save the weights if their score is the best on these clips."""
    if run.accelerator.is_main_process:
        evaluation = evaluate(
            Model(run.encoders, run.recipe),
            validation,
            run.options.protocol,
            device=run.accelerator.device,
        )
        score = evaluation.success_rate
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
    run.accelerator.wait_for_everyone()
