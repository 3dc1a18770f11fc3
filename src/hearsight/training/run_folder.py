"""The run folder: what a training run leaves on disk, and its log.

`log.jsonl` holds one JSON object per entry, `tensorboard/` the same numbers where TensorBoard is
installed, `last.safetensors` weights, optimiser and position (what a resumed run continues from),
`best.safetensors` the weights with the best validation score.
"""

import json
import shutil
from collections.abc import Mapping
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
from hearsight.clips.clip import Clips
from hearsight.clips.leaks import merge_leaks
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK
from hearsight.files.output import written_whole
from hearsight.files.text import parse_json
from hearsight.progress import Progress, no_progress
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import to_json

LOG, TENSORBOARD = "log.jsonl", "tensorboard"
PROTOCOL = "adaptive"  # by which validation clips are scored, unless another is named


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What concerns one run on one machine and does not belong to the method."""

    resume: bool = False
    minutes: float | None = None  # stop after so long, at the end of a step
    device: str | None = None  # "cpu", or the best there is
    workers: int = 1
    log_every: int = 10  # steps
    save_every: int = 500  # steps, and after each epoch
    protocol: str = PROTOCOL  # of the validation
    facts: dict[str, Any] = field(default_factory=dict)  # go into the checkpoints
    progress: Progress = no_progress


@dataclass(slots=True, kw_only=True)
class TrainingPosition:
    """How far a run has come."""

    epoch: int = 0
    batch: int = 0  # of the epoch: the next one
    step: int = 0  # optimiser steps done
    best: float = -1.0  # validation score of the weights in `best`; -1 before the first
    judge: str | None = None  # what gave that score: the protocol, and a digest of the clips
    partners: Int64[np.ndarray, " count"] | None = None  # of the current epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a run left behind."""

    folder: Path
    steps: int
    seconds: float  # in this process, data loading and curriculum included
    curriculum_seconds: float
    unreadable: dict[str, str]  # id: reason; of what this process read
    main: bool  # whether this is the first of the processes, which speaks for all
    finished: bool  # False if the minutes ran out first


def clips_digest(clips: Clips) -> str:
    """What tells one set of clips from another: a digest of ids and classes."""
    words = "\n".join([*clips.ids, "", *getattr(clips, "labels", ())])
    return blake2b(words.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def has_begun(folder: Path) -> bool:
    """Whether a run has begun in a folder, even if it was killed before it wrote anything.

    Then there is a log or a checkpoint, or nothing but hidden files, a writer's lock among them.
    """
    if any((folder / name).exists() for name in (LOG, LAST)):
        return True
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    return LOCK in names and all(name.startswith(".") for name in names)


def find_previous(folder: Path, recipe: Recipe, clips: Clips, *, resume: bool) -> Checkpoint | None:
    """The checkpoint that a run in `folder` continues from, if any.

    Raises:
        HearsightError: a run is there and is not to be resumed, there is none to resume, or it is
            one of another recipe or of other clips.
    """
    last = folder / LAST
    if not resume:
        if (folder / LOG).exists() or last.exists():
            raise HearsightError(
                f"{folder} already holds a run: add --resume to continue it, "
                "or name another folder."
            )
        return None
    if not has_begun(folder):
        raise HearsightError(f"There is no run to resume in {folder}: begin one without --resume.")
    if not last.exists():
        return None  # killed before the first checkpoint: nothing is lost by starting anew
    previous = load_checkpoint(last)
    old, new = to_json(previous.recipe), to_json(recipe)
    changed = [key for key in new if old[key] != new[key] and key != "epochs"]
    if changed:
        raise HearsightError(
            f"The run in {folder} was made with another recipe: it differs in {', '.join(changed)}."
        )
    held = previous.facts.get("clips")
    if held is not None and held != clips_digest(clips):
        raise HearsightError(
            f"The run in {folder} was made on other clips: resume it with the same data."
        )
    return previous


def carry_facts(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run, with what earlier parts of it found about its test clips.

    Leaks that were found, and an epoch chosen on the test set, hold for a resumed run too.
    """
    facts = {**now}
    if "selected_on_test" in before:
        facts["selected_on_test"] = before["selected_on_test"] or now.get("selected_on_test", False)
    if "leak_check" in before:
        facts["leak_check"] = merge_leaks(before["leak_check"], now.get("leak_check", []))
    return facts


FolderTrace = tuple[tuple[int, int, int] | None, ...]


def trace_of(folder: Path) -> FolderTrace:
    """What changes whenever a run is written to the folder."""
    found: list[tuple[int, int, int] | None] = []
    for name in (LOG, LAST):
        try:
            file = (folder / name).stat()
        except OSError:  # there is none; why there can be none is said when it is written
            found.append(None)
        else:
            found.append((file.st_ino, file.st_mtime_ns, file.st_size))
    return tuple(found)


def check_untouched(folder: Path, before: FolderTrace) -> None:
    """Refuse to write where another process has written meanwhile; to be asked under the lock.

    Raises:
        HearsightError: the folder's trace is no longer what it was before it was looked at.
    """
    if trace_of(folder) != before:
        raise HearsightError(
            f"Another process has just written a run to {folder}: look at it, then start again."
        )


class Log:
    """The run's entries: JSON lines, and for TensorBoard, where it is installed, the same numbers.

    Entries after `step` are dropped: a resumed run makes them again. Only the active one of
    several processes writes. fresh: whether the run begins here, so that it may be discarded.

    Raises:
        OSError, HearsightError: it cannot be written; then a fresh one is discarded.
    """

    def __init__(self, folder: Path, *, step: int, active: bool, fresh: bool) -> None:
        self.path, self.board = folder / LOG, folder / TENSORBOARD
        self.writer: Any = None
        self.active, self.fresh = active, fresh
        self.others = set(self.board.iterdir()) if self.board.is_dir() else None
        if not active:
            return
        try:
            self._begin(step)
        except BaseException:
            self.discard()
            raise

    def _begin(self, step: int) -> None:
        kept = [entry for entry in read_log(self.path.parent) if entry["step"] <= step]
        with written_whole(self.path) as part:
            part.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # TensorBoard is not installed: the JSON lines hold all of it
            return
        self.writer = SummaryWriter(str(self.board), purge_step=step or None)

    def write(self, kind: str, *, step: int, epoch: int, **numbers: float) -> None:
        """Add one entry."""
        if not self.active:
            return
        with self.path.open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, "epoch": epoch, **numbers}) + "\n")
        for name, number in numbers.items() if self.writer is not None else ():
            self.writer.add_scalar(f"{kind}/{name}", number, step)

    def close(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()

    def discard(self) -> None:
        """Remove what a fresh log wrote, of a run that kept no weights; files of others stay."""
        if not (self.active and self.fresh):
            return
        with suppress(OSError):  # on a full disk it cannot even be closed
            self.close()
        self.path.unlink(missing_ok=True)
        if self.others is None:
            shutil.rmtree(self.board, ignore_errors=True)
            return
        for file in set(self.board.iterdir()) - self.others:
            file.unlink()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The entries of a run, oldest first; lines that are none are left out.

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
    """The seed of a step's draws: far apart for neighbouring steps and seeds."""
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
    """Put back what `optimiser_state` took."""
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
