"""The pace of a run: what its parts take, measured as it goes, what is left, and what fits."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.clip import Clips
from hearsight.clips.selection import ChosenClips, spread_evenly
from hearsight.errors import HearsightError
from hearsight.files.text import counted
from hearsight.recipes.catalogue import lighter_recipes
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.evaluation import evaluate
from hearsight.training.confidence_threshold import COUNT, choose_threshold
from hearsight.training.mixing_partners import embed_sounds
from hearsight.training.report import duration
from hearsight.training.sound_prototypes import COUNT as SOUNDS

MEASURING = "measuring the speed"
REPORT_EVERY = 1.0  # seconds; reading a loss waits for the device
SAMPLE, FEW = 16, 2  # clips that validation and the like are measured on; those tried before
SLOW = 1.0  # seconds for the few: enough to measure by
LONG_STEP = 10.0  # seconds: a first step that is enough to measure the pace by
MEASURED = 3  # steps after the first that shorter ones are measured on, and seconds at least
WORTH_TELLING, LONG = 60.0, 3600.0  # seconds of a whole run: said at all; said with lighter recipes


@dataclass(slots=True, kw_only=True)
class Work:
    """What a run has still to do: its steps, and how often each of its other parts comes."""

    steps: int
    searches: int  # for mixing partners
    validations: int


def mixes(recipe: Recipe, epoch: int) -> bool:
    """Whether an epoch, counted from 0, mixes sounds."""
    mixing = recipe.mixing
    return mixing is not None and mixing.strength(epoch, recipe.epochs)[1] > 0


def work_left(
    recipe: Recipe, batches: int, *, epoch: int, batch: int, validated: bool, partners: bool
) -> Work:
    """The work from a position to the last epoch.

    Args:
        recipe: of the run.
        batches: in an epoch.
        epoch: counted from 0.
        batch: of the epoch, the next one.
        validated: whether the run validates.
        partners: whether the mixing partners of this epoch are there.
    """
    epochs = range(epoch, recipe.epochs)
    mixed = [each for each in epochs if mixes(recipe, each)]
    every = recipe.validate_every
    judged = [each for each in epochs if (each + 1) % every == 0 or each + 1 == recipe.epochs]
    return Work(
        steps=len(epochs) * batches - batch,
        searches=len(mixed) - (partners and epoch in mixed),
        validations=len(judged) if validated else 0,
    )


@dataclass(slots=True, kw_only=True)
class Pace:
    """Seconds that the parts of a run take, as far as they are measured.

    minutes: after which the run is to end, validated and saved; None: when it is done.
    """

    minutes: float | None
    started: float = field(default_factory=lambda: time.monotonic())
    search: float = 0.0  # for mixing partners, once an epoch
    validation: float = 0.0
    threshold: float = 0.0  # to choose it, once at the end, and with each best score
    prototypes: float = 0.0  # to choose those of sounds, before each validation and threshold
    first_step: float | None = None  # seconds, the loading of its batch included
    guess: float | None = None  # seconds of a step, by a few clips, before there is one
    least: float = 0.0  # seconds of the closing parts on `SAMPLE` clips each
    steps: int = 0  # in this process
    _stepping: float = 0.0  # seconds of the steps after the first, until `_since`
    _since: float | None = None  # when the clock of these steps began; None: it stands
    _begun: float = 0.0  # when this epoch, or the rest of it, began
    _epoch: float | None = None  # seconds that it took; None: it goes on
    _reported: float = -REPORT_EVERY
    _clips: int = 0
    _loss: Float[Tensor, ""] | None = None  # sum of this epoch
    _count: int = 0  # steps of this epoch

    def begin_epoch(self) -> None:
        """Count from here."""
        self._begun, self._epoch = time.monotonic(), None
        self._since = None if self.first_step is None else self._begun
        self._clips, self._loss, self._count = 0, None, 0

    def end_epoch(self) -> None:
        """Stop the clocks of steps and epoch."""
        self._stepping, self._since = self.stepping(), None
        self._epoch = time.monotonic() - self._begun

    def add_step(self, loss: Float[Tensor, ""], clips: int) -> None:
        """Count a step; does not wait for the device, except for the first."""
        self.steps += 1
        self._clips += clips
        self._loss = loss if self._loss is None else self._loss + loss
        self._count += 1
        if self.first_step is None:
            loss.item()
            self.first_step = time.monotonic() - self._begun
            self._since = time.monotonic()

    def forget_steps(self) -> None:
        """Measure steps anew: from here on they take another time."""
        self.steps, self._stepping = min(1, self.steps), 0.0

    def due(self) -> bool:
        """Whether the next report is, which then counts as made."""
        now = time.monotonic()
        if now - self._reported < REPORT_EVERY:
            return False
        self._reported = now
        return True

    def mean_loss(self) -> float:
        """Of the steps of this epoch; NaN without one."""
        return math.nan if self._loss is None else self._loss.item() / self._count

    def samples_per_second(self) -> float:
        """Of this epoch so far."""
        took = time.monotonic() - self._begun if self._epoch is None else self._epoch
        return self._clips / max(1e-9, took)

    def stepping(self) -> float:
        """Seconds of the steps after the first."""
        return self._stepping + (0.0 if self._since is None else time.monotonic() - self._since)

    def step(self) -> float | None:
        """Seconds of a step; None where nothing was measured.

        Before the first one it is the guess; the first counts where it is alone.
        """
        if self.steps < 2:
            return self.guess if self.first_step is None else self.first_step
        return self.stepping() / (self.steps - 1)

    def is_known(self) -> bool:
        """Whether enough steps are done to tell what the whole will take."""
        if self.first_step is None:
            return self.guess is not None and self.guess >= LONG_STEP
        short = self.steps > MEASURED and self.stepping() >= MEASURED
        return short or self.first_step >= LONG_STEP

    def seconds(self, work: Work) -> float | None:
        """What work takes, with the threshold at its end; None before a step is measured."""
        step = self.step()
        if step is None:
            return None
        parts = work.searches * self.search + work.validations * self.validation
        return work.steps * step + parts + self.prototypes + self.threshold

    def seconds_left(self, work: Work) -> float | None:
        """`seconds`, but no more than the minutes allow."""
        whole = self.seconds(work)
        if whole is None or self.minutes is None:
            return whole
        return min(whole, max(0.0, self.left()))

    def left(self) -> float:
        """Seconds that the minutes leave; below 0 where they are over."""
        assert self.minutes is not None
        return 60 * self.minutes - (time.monotonic() - self.started)

    def closing(self) -> float:
        """Seconds kept to validate, and to choose prototypes and threshold: half of the minutes.

        What does not fit is done on fewer clips, see `affordable`.
        """
        whole = self.validation + self.prototypes + self.threshold
        return whole if self.minutes is None else min(whole, 30 * self.minutes)

    def affordable(self, count: int, seconds: float) -> int:
        """Of `count` clips of a closing part, those that fit into what is left; `SAMPLE` at least.

        seconds: that the parts still to be done take on all of their clips.
        """
        if self.minutes is None or seconds <= self.left():
            return count
        return min(count, max(SAMPLE, int(count * self.left() / seconds)))

    def check_first_step(self, recipe: Recipe, search: float, device: str) -> None:
        """Refuse minutes that hold no step, before hours go into one. Short steps are not refused.

        search: seconds for the mixing partners of the first epoch.

        Raises:
            HearsightError: not one long step fits; it says what would, and which recipes do.
        """
        guess = self.guess
        if self.minutes is None or guess is None or guess < LONG_STEP:
            return
        needed = search + guess + self.least
        if needed <= self.left():
            return
        spent = 60 * self.minutes - self.left()
        closing = f" and {duration(self.least)} to validate and save" if self.least else ""
        lighter = lighter_recipes(recipe.name) if device == "cpu" else {}
        other = f", or take {' or '.join(lighter)}" if lighter else ""
        raise HearsightError(
            f"`minutes={self.minutes:g}` is too short for a single step of {recipe.name}, which "
            f"takes about {duration(search + guess)} here, beside {duration(spent)} to begin"
            f"{closing}: give {math.ceil(1.5 * (spent + needed) / 60)} or more{other}."
        )

    def is_over(self, more: float = 0.0) -> bool:
        """Whether the minutes do not allow another step (or `more` seconds) and the closing."""
        if self.minutes is None:
            return False
        needed = max(more, self.step() or 0.0) + self.closing()
        return needed > self.left()

    def describe(
        self, recipe: Recipe, work: Work, *, batches: int, device: str, falls: bool = False
    ) -> str | None:
        """A sentence on what the rest of the run takes; None if it is too short to tell.

        Args:
            recipe: of the run.
            work: what is left.
            batches: in an epoch.
            device: `cpu` or another of torch's kinds.
            falls: whether later steps are shorter, as with features of frozen trunks.
        """
        whole, step = self.seconds(work), self.step()
        if whole is None or step is None or whole < WORTH_TELLING:
            return None
        parts = [f"{counted(work.steps, 'step')} of {duration(step)}"]
        for count, one, many, each in (
            (work.searches, "search for partners", "searches for partners", self.search),
            (work.validations, "validation", "validations", self.validation),
        ):
            if count:
                parts.append(f"{counted(count, one, many)} of {duration(each)}")
        place = "CPU" if device == "cpu" else "GPU"
        most = "at most " if falls else ""
        took = f"Training takes {most}about {duration(whole)} on this {place}"
        if self.first_step is None:
            took += ", judged by a few clips"
        said = f"{took}: {', '.join(parts)}."
        return " ".join([said, *self._advice(recipe, work, batches, device, whole)])

    def _advice(
        self, recipe: Recipe, work: Work, batches: int, device: str, whole: float
    ) -> list[str]:
        """What fits into the minutes, and which recipes are lighter."""
        said, step = [], self.step() or 0.0
        if self.minutes is not None and whole > 60 * self.minutes:
            left = self.left() - self.closing()
            between = self.search * min(1, work.searches)
            between += self.validation / recipe.validate_every if work.validations else 0.0
            epochs, steps = left / (batches * step + between), max(1, round(left / step))
            amount = f"{epochs:.1f} epochs" if epochs >= 1 else counted(steps, "step")
            said.append(
                f"`minutes={self.minutes:g}` allows about {amount} of it, with "
                f"{duration(self.closing())} kept to validate and save."
            )
        lighter = lighter_recipes(recipe.name) if device == "cpu" and whole > LONG else {}
        if lighter:
            listed = "; ".join(f"{name} ({words})" for name, words in lighter.items())
            said.append(f"Lighter: {listed}.")
        return said


def sampled_seconds(count: int, work: Callable[[list[int]], object]) -> float:
    """Seconds that work on `count` clips takes, measured on a sample of them.

    work: called with indices of clips. What it refuses, because it can read none of them, counts
    as nothing.
    """
    places = spread_evenly(count, SAMPLE)
    took = each = 0.0
    with suppress(HearsightError):
        for part in (places[:FEW], places):  # the first also warms up: it counts if it is slow
            if took < SLOW:
                begin = time.monotonic()
                work(part)
                took = time.monotonic() - begin
                each = took / len(part)
    return each * count


def measure_closing(
    pace: Pace,
    model: Model,
    clips: Clips,
    validation: Clips | None,
    *,
    protocol: str,
    device: torch.device,
) -> None:
    """Measure on a few clips what validation and threshold take."""
    encoders, recipe, _ = model

    def choose(places: list[int]) -> None:
        choose_threshold(encoders, recipe, ChosenClips(clips, places), device=device)

    pace.threshold = sampled_seconds(len(clips), choose) * min(1, COUNT / len(clips))
    pace.least = pace.threshold * min(1, SAMPLE / min(COUNT, len(clips)))
    if encoders.sound_prototypes is not None:
        count = min(SOUNDS, len(clips))
        pace.prototypes = sounds_seconds(model, clips, device) * count / len(clips)
        pace.least += pace.prototypes * min(1, SAMPLE / count)
    if validation is not None:
        scored = validation

        def score(places: list[int]) -> None:
            evaluate(model, ChosenClips(scored, places), protocol, device=device)

        pace.validation = sampled_seconds(len(scored), score)
        pace.least += pace.validation * min(1, SAMPLE / len(scored))


def measure_search(pace: Pace, model: Model, clips: Clips, *, device: torch.device) -> None:
    """Measure on a few clips what a search for mixing partners takes."""
    if model.recipe.mixing is not None:
        pace.search = sounds_seconds(model, clips, device)


def sounds_seconds(model: Model, clips: Clips, device: torch.device) -> float:
    """Seconds to embed the sounds of all clips, measured on a few."""
    encoders, recipe, _ = model

    def embed(places: list[int]) -> None:
        embed_sounds(recipe, encoders, clips, epoch=0, wanted=places, device=device, workers=0)

    return sampled_seconds(len(clips), embed)
