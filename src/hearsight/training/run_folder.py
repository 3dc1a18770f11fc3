"""The run folder: checkpoints, log and options of a training run, and what resuming needs.

`recipe.json` holds the recipe, `log.jsonl` one JSON object per entry, `tensorboard/` the same
numbers where TensorBoard is installed, `last.safetensors` weights, optimiser and position (what a
resumed run continues from), `best.safetensors` the weights with the best validation score.
"""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from hearsight.checkpoints.checkpoint import LAST, Checkpoint, load_checkpoint
from hearsight.checkpoints.start import START, Start
from hearsight.clips.clip import Clips
from hearsight.clips.leaks import merge_leaks
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK
from hearsight.files.output import write_text
from hearsight.files.text import parse_json
from hearsight.progress import Notice, Progress, no_notice, no_progress
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.recipe_file import RECIPE, read_recipe, write_recipe
from hearsight.recipes.serialisation import to_json
from hearsight.scoring.protocols import DEFAULT_PROTOCOL
from hearsight.training.report import Report, no_report
from hearsight.training.trackers import BOARD, Pictures, Tracker, open_trackers

LOG = "log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Options of one run on one machine, which do not belong to the method."""

    resume: bool = False
    minutes: float | None = None  # stop at the end of a step, so that the closing fits in too
    started: float | None = None  # by `time.monotonic`, where minutes begin; None: with the run
    planned_minutes: float | None = None  # epochs that do not fit are left out: see `Run.replan`
    device: str | None = None  # "cpu" or "cuda"; None: a GPU if there is one
    workers: int = 1
    log_every: int = 10  # steps
    trackers: tuple[str, ...] = ()  # names that accelerate knows, such as "wandb"
    save_every: int = 500  # steps, and after each epoch
    save_minutes: float = 10.0  # within an epoch, where there is one process
    protocol: str = DEFAULT_PROTOCOL  # of the validation
    features: Path | None = None  # folder of frozen trunks' features; None: the run's, not kept
    start: Start | None = None  # a model whose weights the recipe takes over
    guarded: bool = False  # leave `best` to the caller, unless validation chooses it
    facts: dict[str, Any] = field(default_factory=dict)  # written into the checkpoints
    progress: Progress = no_progress
    notice: Notice = no_notice
    report: Report = no_report
    tell_time: bool = False  # measure what the whole run takes, and give a notice of it


@dataclass(slots=True, kw_only=True)
class TrainingPosition:
    """Where a run stands: epoch, batch, step, best score, and mixing partners."""

    epoch: int = 0
    batch: int = 0  # the next one of the epoch
    step: int = 0  # optimiser steps done
    best: float = -1.0  # validation score of the weights in `best`; -1 before the first
    judge: str | None = None  # of that score: the protocol, and a digest of the validation clips
    partners: Int64[np.ndarray, " count"] | None = None  # mixing partners of the current epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """The outcome of a run."""

    folder: Path
    steps: int
    seconds: float  # in this process, data loading and curriculum included
    curriculum_seconds: float
    unreadable: dict[str, str]  # id: reason; of the clips that this process read
    main: bool  # whether this is the main process
    finished: bool  # False if the minutes ran out
    best: float | None  # validation score of the best weights; None without one
    shortened: dict[str, int]  # clips of `validation` and `threshold`, where minutes cut them


def clips_digest(clips: Clips) -> str:
    """A digest of ids and classes, which differs between sets of clips."""
    words = "\n".join([*clips.ids, "", *getattr(clips, "labels", ())])
    return blake2b(words.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def has_begun(folder: Path) -> bool:
    """Whether a run has begun in a folder, even if it was killed before it wrote anything.

    There is a log or a checkpoint then, or only hidden files with a writer's lock among them.
    """
    if any((folder / name).exists() for name in (LOG, LAST)):
        return True
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    return LOCK in names and all(name.startswith(".") for name in names)


def run_recipe(folder: Path) -> Recipe | None:
    """The recipe of the run in a folder, if one is written there.

    Raises:
        HearsightError: a recipe or a checkpoint that cannot be read.
    """
    if (folder / RECIPE).exists():
        # fields that are newer than the run have their defaults, as in a checkpoint
        return read_recipe(folder / RECIPE, Recipe())
    if (folder / LAST).exists():
        return load_checkpoint(folder / LAST, with_state=False).recipe
    return None


def no_run(folder: Path) -> HearsightError:
    """What is said where a run is resumed that never began."""
    return HearsightError(f"There is no run to resume in {folder}: begin one without `resume`.")


def check_new(folder: Path) -> None:
    """Refuse a folder for a new run that holds a run, or a file that the run would write over.

    Raises:
        HearsightError: it does.
    """
    if (folder / LOG).exists() or (folder / LAST).exists():
        raise HearsightError(
            f"{folder} already holds a run: add `resume` to continue it, or name another folder."
        )
    if (folder / RECIPE).exists():
        raise HearsightError(
            f"'{folder / RECIPE}' would be written over: name another folder for the run."
        )


def check_same_recipe(
    folder: Path, held: Recipe, recipe: Recipe, *, free: Collection[str] = ("epochs",)
) -> None:
    """Refuse to go on with the run in `folder`, whose recipe is `held`, by another recipe.

    free: fields that may differ.

    Raises:
        HearsightError: others do.
    """
    old, new = to_json(held), to_json(recipe)
    changed = [key for key in new if old[key] != new[key] and key not in free]
    if changed:
        raise HearsightError(
            f"The run in {folder} was made with another recipe: it differs in {', '.join(changed)}."
        )


def find_previous(folder: Path, recipe: Recipe, clips: Clips, *, resume: bool) -> Checkpoint | None:
    """The checkpoint from which a run in `folder` is resumed, if any.

    Raises:
        HearsightError: without `resume` as `check_new`; with it there is no run, or one of
            another recipe or of other clips.
    """
    if not resume:
        check_new(folder)
        return None
    if not has_begun(folder):
        raise no_run(folder)
    if (folder / RECIPE).exists():
        check_same_recipe(folder, read_recipe(folder / RECIPE, Recipe()), recipe)
    if not (folder / LAST).exists():
        return None  # killed before the first checkpoint: start from step 0
    previous = load_checkpoint(folder / LAST)
    check_same_recipe(folder, previous.recipe, recipe)
    held = previous.facts.get("clips")
    if held is not None and held != clips_digest(clips):
        raise HearsightError(
            f"The run in {folder} was made on other clips: resume it with the same data."
        )
    return previous


def carry_facts(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a resumed run: `now`, with start, leaks and test-set selection of `before`.

    Leaks that were found, and an epoch chosen on the test set, hold for all later parts of a run.
    """
    facts = {**now}
    if "start" in before:
        facts["start"] = before["start"]
    if "selected_on_test" in before:
        facts["selected_on_test"] = before["selected_on_test"] or now.get("selected_on_test", False)
    if "leak_check" in before:
        facts["leak_check"] = merge_leaks(before["leak_check"], now.get("leak_check", []))
    return facts


def thread_warnings(folder: Path, before: Mapping[str, Any], threads: int) -> list[str]:
    """A sentence if a run that is resumed on a CPU had another number of threads before.

    before: the facts of its checkpoint. Sums over several threads are rounded otherwise.
    """
    held = before.get("threads", threads)
    if held == threads:
        return []
    return [
        f"Warning: the run in {folder} had {held} CPU thread{'s' * (held > 1)} and goes on with "
        f"{threads}: its weights will not be bit for bit those of an uninterrupted run."
    ]


def precision_warnings(recipe: Recipe) -> list[str]:
    """A sentence if the recipe asks a CPU for bf16 that has no matrix instructions for it."""
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older torch
    if recipe.precision != "bf16" or able.get("architecture") != "x86_64" or able.get("amx_bf16"):
        return []
    return [
        "Warning: this CPU has no AMX, without which a step in bf16 takes longer than one in fp32: "
        "use `precision=fp32`."
    ]


def warm_up_warnings(recipe: Recipe) -> list[str]:
    """A sentence if the run ends before a part of its objective begins (FNAC's regularisers)."""
    warm_up = int(getattr(recipe.contrast, "warm_up", 0))
    if not 0 < recipe.epochs <= warm_up:
        return []
    return [
        f"Warning: the first {warm_up} epochs are a warm-up without a part of the objective, and "
        f"this run has {recipe.epochs}: set contrast.warm_up to less."
    ]


FolderState = tuple[tuple[int, int, int] | None, ...]


def folder_state(folder: Path) -> FolderState:
    """Inode, time and size of log and checkpoint, which change when a run is written."""
    found: list[tuple[int, int, int] | None] = []
    for name in (LOG, LAST):
        try:
            file = (folder / name).stat()
        except OSError:  # not there, or not accessible: then writing fails and says why
            found.append(None)
        else:
            found.append((file.st_ino, file.st_mtime_ns, file.st_size))
    return tuple(found)


def check_unchanged(folder: Path, before: FolderState) -> None:
    """Refuse to write where another process has written meanwhile; called under the lock.

    Raises:
        HearsightError: the folder's state is not the one of `before`.
    """
    if folder_state(folder) != before:
        raise HearsightError(
            f"Another process has just written a run to {folder}: look at it, then start again."
        )


class Log:
    """The log of a run: JSON lines, and the same numbers for its trackers.

    TensorBoard is one where it is installed. The recipe is written beside the log.

    Entries after `step` are dropped: a resumed run makes them again. Only one of several processes
    is active and writes. fresh: whether the run is new, so that its log may be discarded.

    Raises:
        OSError, HearsightError: the log cannot be written; a fresh one is discarded then.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        *,
        step: int,
        active: bool,
        fresh: bool,
        trackers: Sequence[str] = (),
        command: str = "",
    ) -> None:
        self.path, self.board = folder / LOG, folder / BOARD
        self.trackers: list[Tracker] = []
        self.active, self.fresh = active, fresh
        self.others = set(self.board.iterdir()) if self.board.is_dir() else None
        if not active:
            return
        try:
            self._begin(recipe, step, trackers, command)
        except BaseException:
            self.discard()
            raise

    def _begin(self, recipe: Recipe, step: int, trackers: Sequence[str], command: str) -> None:
        kept = [entry for entry in read_log(self.path.parent) if entry["step"] <= step]
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        write_recipe(self.path.with_name(RECIPE), recipe)
        self.trackers = open_trackers(trackers, self.path.parent, step)
        for tracker in self.trackers:
            tracker.begin(recipe, command)

    def write(self, kind: str, *, step: int, epoch: int, **numbers: float) -> None:
        """Add one entry."""
        if not self.active:
            return
        with self.path.open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, "epoch": epoch, **numbers}) + "\n")
        for tracker in self.trackers:
            tracker.numbers(kind, step, numbers)

    def show(self, step: int, pictures: Pictures) -> None:
        """Show painted frames where trackers do; the log holds none."""
        for tracker in self.trackers:
            tracker.pictures(step, pictures)

    def close(self) -> None:
        """Close the trackers."""
        while self.trackers:
            self.trackers.pop().close()

    def discard(self) -> None:
        """Remove log and recipe of a fresh run that saved no weights; files of others stay."""
        if not (self.active and self.fresh):
            return
        with suppress(OSError):  # closing fails too on a full disk
            self.close()
        self.path.unlink(missing_ok=True)
        for name in (RECIPE, START):
            self.path.with_name(name).unlink(missing_ok=True)
        if self.others is None:
            shutil.rmtree(self.board, ignore_errors=True)
            return
        for file in set(self.board.iterdir()) - self.others:
            file.unlink()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The log entries of a run, oldest first; damaged lines are left out.

    A crash may cut the last line short, and a failing disk may damage any.
    """
    path = folder / LOG
    entries = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            entry = parse_json(line.decode())
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int) and "kind" in entry:
            entries.append(entry)
    return entries


def step_seed(seed: int, step: int) -> int:
    """The seed of the random numbers of a step, mixed from the run's seed and the step."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)


def optimiser_state(
    optimiser: torch.optim.Adam, parameters: dict[str, torch.nn.Parameter]
) -> dict[str, Tensor]:
    """Adam's moments as named tensors."""
    return {
        f"{key}.{name}": value.detach().clone()
        for name, parameter in parameters.items()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def load_optimiser(
    optimiser: torch.optim.Adam,
    parameters: dict[str, torch.nn.Parameter],
    state: dict[str, Tensor],
) -> None:
    """Restore Adam's moments from the tensors of `optimiser_state`."""
    for name, parameter in parameters.items():
        moments = {
            key: state[f"{key}.{name}"]
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"{key}.{name}" in state
        }
        if moments:
            optimiser.state[parameter] = {
                key: value.clone() if key == "step" else value.to(parameter.device).clone()
                for key, value in moments.items()
            }
