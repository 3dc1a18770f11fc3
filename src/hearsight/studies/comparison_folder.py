"""The folder of a comparison: its plan, and runs and scores that are kept and not made again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import Clips
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK, sole_writer
from hearsight.files.output import write_text
from hearsight.files.text import parse_json
from hearsight.model.device import move
from hearsight.progress import renamed
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import from_json, to_json
from hearsight.scoring.inference import Inference
from hearsight.scoring.protocol_registry import evaluate_protocol
from hearsight.scoring.results import CLIPS, Results
from hearsight.training.run_folder import (
    TrainingOptions,
    check_same_recipe,
    has_begun,
    read_log,
)
from hearsight.training.trainer import train

TRAINED, PLAN = "trained.json", "plan.json"
SCENE_SIZE = "size of scenes"  # in the plan


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no such file.

    Raises:
        HearsightError: the file cannot be read, or holds no object or an empty one.
    """
    try:
        held = parse_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise damaged(path) from error
    if not isinstance(held, dict) or not held:
        raise damaged(path)
    return held


def damaged(path: Path) -> HearsightError:
    """The error of a file that does not hold what is kept in it."""
    return HearsightError(f"'{path}' is damaged: remove it, and it is made again.")


def read_or_make(path: Path, make: Callable[[], Any]) -> Any:
    """The object in a JSON file; if there is no file, what `make` returns, written to it.

    Raises:
        HearsightError: the file cannot be read or written.
    """
    held = read_json(path)
    if held is not None:
        return held
    made = make()
    write_text(path, json.dumps(made))
    return made


@contextmanager
def locked_folder(folder: Path, plan: Mapping[str, Any], kind: str) -> Iterator[None]:
    """Lock the folder of a comparison against other processes and keep the plan in it.

    The folder is made if need be, and removed again if no run begins in it.

    Args:
        folder: of the runs.
        plan: what all runs in it have in common.
        kind: `comparison` or `ablation`, for errors.

    Raises:
        HearsightError: another process writes to the folder, it holds other files or runs of
            another plan, or it cannot be made.
    """
    try:
        others = folder.exists() and {each.name for each in folder.iterdir()} - {LOCK}
        if others and not (folder / PLAN).exists():
            raise HearsightError(f"'{folder}' holds no {kind}, but other files: name another.")
    except OSError as error:
        raise HearsightError(f"'{folder}' cannot be used: {error.strerror}.") from error
    with sole_writer(folder):
        check_plan(folder, plan, kind)
        try:
            yield
        finally:
            with suppress(OSError):
                if {each.name for each in folder.iterdir()} == {LOCK, PLAN}:
                    (folder / PLAN).unlink()


def check_plan(folder: Path, plan: Mapping[str, Any], kind: str) -> None:
    """Compare a plan with the one in the folder; write it if there is none.

    Only entries that both plans have are compared.

    Raises:
        HearsightError: they differ.
    """
    wanted = json.loads(json.dumps(plan))
    held = read_or_make(folder / PLAN, lambda: wanted)
    differing = [key for key in wanted if key in held and held[key] != wanted[key]]
    if differing:
        raise HearsightError(
            f"'{folder}' holds another {kind}, which differs in {', '.join(differing)}: "
            "name another folder."
        )


def scene_size(folder: Path, wanted: int) -> int:
    """The frame size of the scenes of a comparison, pixels.

    It is that of the comparison in `folder`, so that methods added later are scored on the same
    scenes; `wanted` if there is none.

    Raises:
        HearsightError: those scenes are smaller than `wanted`.
    """
    held = (read_json(folder / PLAN) or {}).get(SCENE_SIZE)
    if not isinstance(held, int):
        return wanted
    if held < wanted:
        raise HearsightError(
            f"'{folder}' compares on scenes of {held} pixels and these methods need {wanted}: "
            "name another folder, and begin it with the method of the largest frames."
        )
    return held


def train_once(
    recipe: Recipe,
    clips: Clips,
    folder: Path,
    options: TrainingOptions,
    *,
    validation: Clips | None = None,
) -> dict[str, Any]:
    """Train a run, resume it if it was interrupted, or read `trained.json` if it is finished.

    Returns:
        recipe, steps, samples_per_second (the median; None without a step).

    Raises:
        HearsightError: the folder holds a run of another recipe, `trained.json` is damaged, or what
            `train` raises.
    """
    wanted = to_json(recipe)

    def run() -> dict[str, Any]:
        resumed = replace(options, resume=has_begun(folder))
        result = train(recipe, clips, folder, validation=validation, options=resumed)
        for id, reason in result.unreadable.items():
            options.notice(f"skipped {id}: {reason}")
        if not result.finished:
            raise HearsightError(
                f"The run in {folder} stopped before its last epoch: call again to resume it."
            )
        speeds = [entry["samples_per_second"] for entry in read_log(folder) if "loss" in entry]
        return {
            "recipe": wanted,
            "steps": result.steps,
            "samples_per_second": float(np.median(speeds)) if speeds else None,
        }

    trained: dict[str, Any] = read_or_make(folder / TRAINED, run)
    if not trained.keys() >= {"recipe", "samples_per_second"}:
        raise damaged(folder / TRAINED)
    check_same_recipe(folder, from_json(trained["recipe"]), recipe, free=())
    return trained


def score_once(
    folder: Path, held_out: Clips, protocol: str, options: TrainingOptions, *, name: str
) -> Results:
    """Score a run's weights under a protocol, or read the results if they were scored before.

    Raises:
        HearsightError: what `evaluate_protocol` and `load_model` raise, or the results are damaged.
    """

    def score() -> dict[str, Any]:
        encoders, recipe, _ = load_model(folder)
        model = Inference(
            encoders=encoders,
            recipe=recipe,
            device=move(encoders, options.device),
            name=name,
            progress=renamed(options.progress, after=f", {protocol}"),
        )
        return asdict(evaluate_protocol(model, held_out, protocol))

    path = folder / f"scores-{protocol.replace(':', '-')}.json"
    held = read_or_make(path, score)
    if not held.keys() >= {"protocol", "caption", "rows", "notes", "clips"}:
        raise damaged(path)
    return Results(
        protocol=held["protocol"],
        caption=held["caption"],
        rows=tuple(held["rows"]),
        notes=tuple(held["notes"]),
        clips=tuple(held["clips"]),
        units=tuple(held.get("units", ())),  # older files have none, and no intervals
        drawn=held.get("drawn", CLIPS),
        records=held.get("records", {}),
    )
