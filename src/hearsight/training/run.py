"""The state of one training run, and what each of its steps does to it."""

import logging
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.checkpoints.checkpoint import BEST, LAST, Checkpoint, Model, save_checkpoint
from hearsight.checkpoints.frame_network import load_trunk
from hearsight.checkpoints.pretrained_trunks import load_pretrained
from hearsight.checkpoints.start import Start, begin_from, start_of_run, write_start
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.errors import HearsightError
from hearsight.files.locks import sole_writer
from hearsight.files.output import remove_parts
from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.training.accelerator import make_accelerator
from hearsight.training.batches import Batch, Batches, with_labels
from hearsight.training.confidence_threshold import COUNT, choose_threshold
from hearsight.training.feature_cache import feature_caches
from hearsight.training.mixing_partners import find_mixing_partners
from hearsight.training.nan_guard import NanGuard, all_finite
from hearsight.training.pace import (
    LONG_STEP,
    MEASURING,
    Pace,
    Work,
    measure_closing,
    measure_search,
    mixes,
    sampled_seconds,
    work_left,
)
from hearsight.training.report import TrainingReport
from hearsight.training.run_folder import (
    LOG,
    FolderState,
    Log,
    TrainingOptions,
    TrainingPosition,
    carry_facts,
    check_unchanged,
    clips_digest,
    find_previous,
    folder_state,
    load_optimiser,
    optimiser_state,
    precision_warnings,
    step_seed,
    thread_warnings,
    warm_up_warnings,
)
from hearsight.training.sound_prototypes import COUNT as SOUNDS
from hearsight.training.sound_prototypes import choose_prototypes
from hearsight.training.step import Step, checkpoint_activations, compile_networks, draw
from hearsight.training.time_budget import remaining_epochs
from hearsight.training.trackers import check_trackers

FEATURES = "features"  # folder in a run, of frozen trunks; removed when the run is complete
LOGGER = logging.getLogger(__name__)


class Run:
    """The state of one training run: encoders, optimiser, position, batches, log."""

    def __init__(
        self,
        recipe: Recipe,
        clips: Clips,
        folder: Path,
        options: TrainingOptions,
        *,
        validates: bool = False,
    ) -> None:
        self.recipe = recipe = with_labels(recipe, clips)
        self.clips, self.folder, self.options = clips, folder, options
        self.most_epochs, self.validates = recipe.epochs, validates
        self.accelerator = make_accelerator(options.device)
        initial = torch.Generator().manual_seed(recipe.seed)
        self.encoders = Encoders(recipe.encoder, generator=initial)
        self.position = TrainingPosition()
        check_trackers(options.trackers)
        state = folder_state(folder)
        previous = find_previous(folder, recipe, clips, resume=options.resume)
        start = options.start
        if options.resume:
            start = start_of_run(folder, start, needed=previous is None)
        noted = {} if start is None else {"start": start.fact}
        before = {} if previous is None else previous.facts
        self.facts = carry_facts(before, {**options.facts, **noted})
        if previous is not None and options.planned_minutes is not None:
            recipe.epochs = min(recipe.epochs, previous.recipe.epochs)
        self._load_weights(previous, start)
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
        if self.accelerator.is_main_process:
            self._warn(previous)
        self.step, self.prepared = self._prepare()
        self.batches = Batches(
            clips,
            recipe,
            workers=options.workers,
            processes=self.accelerator.num_processes,
            rank=self.accelerator.process_index,
        )
        self.unreadable: dict[str, str] = {}
        self.curriculum_seconds = 0.0
        self.begun = time.monotonic()
        self.pace = Pace(minutes=options.minutes, started=options.started or self.begun)
        self.shortened: dict[str, int] = {}  # clips of a closing part, where the minutes cut it
        self.told = not options.tell_time  # whether it was said what the whole run takes
        self.score: float | None = None  # of the last validation of this process
        self.validated = -1  # the step of that validation
        self.prototyped = -1  # the step at which sound prototypes were chosen
        self.threshold: tuple[int, float | None] = (-1, None)  # the step it was chosen at, and it
        self.rate = 0.0  # of the last step
        self.saved = False  # whether this process has saved a checkpoint
        self.saved_at = time.monotonic()
        self.nan_guard = NanGuard(self.encoders, recipe, self.accelerator, folder / LAST)
        self._open_folder(state, start if previous is None else None)

    def _prepare(self) -> tuple[Any, Any]:
        """The step as a module, and the optimiser, as the processes and the recipe want them."""
        recipe, encoders = self.recipe, self.encoders
        encoders.caches = feature_caches(
            recipe, encoders, self.options.features or self.folder / FEATURES
        )
        step = Step(recipe, encoders)
        if recipe.compile:
            compile_networks(encoders)
        if recipe.activation_checkpointing:
            checkpoint_activations(encoders)
        step, optimiser = self.accelerator.prepare(step, self.optimiser)
        return step, optimiser

    def _open_folder(self, state: FolderState, start: Start | None) -> None:
        """Lock the folder, begin the log, and note the model that a new run starts from.

        The folder is made here, after all else: a run that cannot begin leaves none.

        state: of the folder, when the run that is resumed was read.
        """
        folder, main = self.folder, self.accelerator.is_main_process
        with ExitStack() as kept:
            if main:
                kept.enter_context(sole_writer(folder))
                check_unchanged(folder, state)
                for name in (LAST, BEST, LOG):
                    remove_parts(folder / name)
                if start is not None:
                    write_start(folder, start)
            self.log = Log(
                folder,
                self.recipe,
                step=self.position.step,
                active=main,
                fresh=not self.options.resume,
                trackers=self.options.trackers,
                command=str(self.options.facts.get("command", "")),
            )
            kept.callback(self.log.close)
            self.kept = kept.pop_all()

    def _load_weights(self, previous: Checkpoint | None, start: Start | None) -> None:
        """The weights to go on from, to begin with, or of pretrained trunks; else random ones."""
        encoder = self.recipe.encoder
        if previous is not None:
            self.encoders.load_state_dict(previous.weights)
        elif start is not None:
            begin_from(self.encoders, self.recipe, start)
        else:
            if encoder.weights is not None:
                load_trunk(self.encoders, encoder)
            if encoder.pretrained:
                load_pretrained(self.encoders, encoder)

    def _warn(self, previous: Checkpoint | None) -> None:
        """Say what of the recipe and the machine may change results unseen."""
        warnings = warm_up_warnings(self.recipe)
        if self.accelerator.device.type == "cpu":
            of_cpu = precision_warnings(self.recipe)
            if previous is not None:
                of_cpu += thread_warnings(self.folder, previous.facts, torch.get_num_threads())
            warnings = [*of_cpu, *warnings]
        for sentence in warnings:
            self.options.notice(sentence)

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

    def out_of_time(self, more: float = 0.0) -> bool:
        """Whether the minutes allow no further step in any process, or none after `more` seconds.

        What validation and the confidence threshold take is kept for them.
        """
        if self.options.minutes is None:
            return False
        flag = torch.tensor(float(self.pace.is_over(more)), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def computed_features(self) -> bool:
        """Whether the epoch before this position computed features of frozen trunks."""
        fresh = self.recipe.fresh_epochs or 0
        return bool(self.encoders.caches) and self.position.epoch <= fresh

    def replan(self, seconds: float) -> None:
        """Plan the epochs that fit into `planned_minutes` at the speed of the last one.

        The learning rate and the mixing then follow the new plan. An epoch in which features of
        frozen trunks were computed says nothing of the next ones.

        seconds: of the last epoch.
        """
        options, position = self.options, self.position
        if options.planned_minutes is None or self.computed_features():
            return
        left = 60 * options.planned_minutes - (time.monotonic() - self.pace.started)
        times = torch.tensor([left, seconds], device=self.accelerator.device)
        left, seconds = self.accelerator.reduce(times, "mean").tolist()  # the same plan for all
        most = self.most_epochs - position.epoch
        self.recipe.epochs = position.epoch + remaining_epochs(left, seconds, most)

    def choose_threshold(self) -> float | None:
        """The confidence threshold of the present weights; the main process alone computes it.

        On fewer frames where the minutes leave no time for all.
        """
        if not self.accelerator.is_main_process:
            return None
        step = self.position.step
        if self.threshold[0] != step:
            self.choose_prototypes()
            most = min(COUNT, len(self.clips))
            count = self.pace.affordable(most, self.pace.threshold)
            begin = time.monotonic()
            chosen = choose_threshold(
                self.encoders, self.recipe, self.clips, device=self.accelerator.device, count=count
            )
            self.threshold = (step, chosen)
            self.pace.threshold = (time.monotonic() - begin) * most / count
            self.shortened.pop("threshold", None)
            if count < most:
                self.shorten("threshold", "The confidence threshold is chosen on", count, most)
        return self.threshold[1]

    def choose_prototypes(self) -> None:
        """Choose the sound prototypes of the present weights, if the recipe has any.

        From fewer sounds where the minutes leave no time for all.
        """
        if self.encoders.sound_prototypes is None or self.prototyped == self.position.step:
            return
        self.prototyped = self.position.step
        most = min(SOUNDS, len(self.clips))
        count = self.pace.affordable(most, self.pace.prototypes + self.pace.threshold)
        begin = time.monotonic()
        choose_prototypes(
            self.encoders, self.recipe, self.clips, device=self.accelerator.device, count=count
        )
        self.pace.prototypes = (time.monotonic() - begin) * most / count
        self.shortened.pop("prototypes", None)
        if count < most:
            self.shorten("prototypes", "The sound prototypes are chosen from", count, most)

    def shorten(self, part: str, said: str, count: int, of: int) -> None:
        """Note that a closing part is done on `count` clips; `said` begins the sentence."""
        self.shortened[part] = count
        self.options.notice(f"{said} {count:,} of {of:,} clips: `minutes` leaves no time for more.")

    def measure(self, validation: Clips | None) -> None:
        """Measure the parts of the run, where their time is needed or told; tell what is long.

        Raises:
            HearsightError: the minutes hold no step.
        """
        options = self.options
        if not options.tell_time and options.minutes is None:
            return
        work = self.work_left()
        options.progress(MEASURING, 0, 3)
        if self.accelerator.num_processes == 1 and self.accelerator.device.type == "cpu":
            self.guess_step()
            self.check_first_step(work)  # before more is measured in vain
        if self.accelerator.is_main_process:
            options.progress(MEASURING, 1, 3)
            self.measure_closing(validation)
            options.progress(MEASURING, 2, 3)
            model = Model(self.encoders, self.recipe)
            measure_search(self.pace, model, self.clips, device=self.accelerator.device)
            options.progress(MEASURING, 3, 3)
            self.check_first_step(work)
            self.tell_time(work)

    def check_first_step(self, work: Work) -> None:
        """Refuse minutes that hold no step of the work that is left."""
        if work.steps:
            first = self.pace.search if self.mixes() else 0.0
            self.pace.check_first_step(self.recipe, first, self.accelerator.device.type)

    def measure_closing(self, validation: Clips | None) -> None:
        """Measure on a few clips what validation and threshold take; changes no weight."""
        measure_closing(
            self.pace,
            Model(self.encoders, self.recipe),
            self.clips,
            validation,
            protocol=self.options.protocol,
            device=self.accelerator.device,
        )

    def guess_step(self) -> None:
        """Measure a step by a few clips; networks, optimiser and order of clips stay as they are.

        On a CPU a step of many clips takes minutes, in which nothing could be said. Compiled
        networks would be compiled for these few.
        """
        encoders, caches = self.encoders, self.encoders.caches
        if self.recipe.compile:
            return
        buffers = {name: held.clone() for name, held in encoders.named_buffers()}
        encoders.train()
        encoders.caches = {}
        try:
            guess = sampled_seconds(self.recipe.batch_size, self.try_step)
            if guess >= LONG_STEP:  # now that all is warm
                guess = sampled_seconds(self.recipe.batch_size, self.try_step)
            self.pace.guess = guess or None
        finally:
            self.prepared.zero_grad(set_to_none=True)
            encoders.caches, encoders.generator = caches, None
            with torch.no_grad():
                for name, held in encoders.named_buffers():
                    held.copy_(buffers[name])

    def try_step(self, places: list[int]) -> None:
        """The forward and backward pass of a step of some clips, without its optimiser."""
        batch = self.batches.chosen(places)
        if not isinstance(batch, Batch) or len(batch) < self.recipe.least_clips:
            raise HearsightError("Too few clips can be read to measure a step.")
        generator = torch.Generator().manual_seed(self.recipe.seed)
        draws = draw(self.recipe, len(batch), self.position.epoch, generator)
        self.encoders.generator = generator  # of dropout
        terms = self.step(batch, draws)
        self.accelerator.backward(torch.stack(list(terms.values())).sum())

    def work_left(self) -> Work:
        """What is still to do."""
        position = self.position
        return work_left(
            self.recipe,
            len(self.batches),
            epoch=position.epoch,
            batch=position.batch,
            validated=self.validates,
            partners=position.partners is not None,
        )

    def tell_time(self, work: Work, *, ended: bool = False) -> None:
        """Say once what all of the run takes, as soon as that is known.

        work: what is left. ended: whether an epoch has, after which it is known.
        """
        if self.told or not (ended or self.pace.is_known()):
            return
        self.told = True
        said = self.pace.describe(
            self.recipe,
            work,
            batches=len(self.batches),
            device=self.accelerator.device.type,
            falls=self.computed_features(),  # the steps so far did, too
        )
        if said is not None:
            self.options.notice(said)

    def report_first_step(self) -> None:
        """Report that the first step of this process has begun, unless it is known to be short."""
        guess = self.pace.guess
        if self.pace.first_step is None and (guess is None or guess >= LONG_STEP):
            self.report(None, ended=False)

    def report(self, loss: float | None, *, ended: bool) -> None:
        """Report how the run stands; say once what all of it takes.

        loss: None while the first step is computed.
        """
        if not self.accelerator.is_main_process:
            return
        pace, work = self.pace, self.work_left()
        self.tell_time(work, ended=ended)
        self.options.report(
            TrainingReport(
                epoch=self.position.epoch + (self.position.batch > 0 or loss is None),
                epochs=self.recipe.epochs,
                ended=ended,
                loss=loss,
                samples_per_second=pace.samples_per_second(),
                score=self.score,
                protocol=self.options.protocol,
                seconds_left=pace.seconds_left(work),
                step_seconds=pace.step(),
            )
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
        self.saved_at = time.monotonic()

    def is_save_due(self) -> bool:
        """Whether `last` is to be written within an epoch: every so many steps or minutes.

        The minutes count where there is one process; several would have to agree on them.
        """
        late = time.monotonic() - self.saved_at > 60 * self.options.save_minutes
        alone = self.accelerator.num_processes == 1
        return self.position.step % self.options.save_every == 0 or (late and alone)

    def mixes(self) -> bool:
        """Whether this epoch mixes sounds."""
        return mixes(self.recipe, self.position.epoch)

    def find_partners(self) -> None:
        """Find the mixing partners of the coming epoch, if the recipe mixes sounds in it."""
        self.position.partners = None
        if not self.mixes():
            return
        position = self.position
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
        self.pace.search = time.monotonic() - begin
        self.curriculum_seconds += self.pace.search

    def record_unreadable(self, found: tuple[UnreadableClip, ...]) -> None:
        """Note clips that this process could not read, each once, for the result."""
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
        if recipe.encoder.dropout or recipe.encoder.noise:
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
