"""Runs trained and scored alike: one folder per recipe and seed; what is done is not done again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import AnnotatedClips, Clips, UnreadableClip
from hearsight.clips.truth import rasterise
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK, sole_writer
from hearsight.files.output import written_whole
from hearsight.files.text import parse_json
from hearsight.model.device import move
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import from_json, to_json
from hearsight.scoring.inference import Inference
from hearsight.scoring.map_scores import blind_scores
from hearsight.scoring.protocol_registry import evaluate_protocol
from hearsight.scoring.protocols import PROTOCOLS, load_protocol
from hearsight.scoring.results import Results
from hearsight.training.run_folder import TrainingOptions, clips_digest, has_begun, read_log
from hearsight.training.trainer import train

TRAINED, PLAN = "trained.json", "plan.json"


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None if there is no such file.

    Raises:
        HearsightError: it cannot be read, or is damaged.
    """
    damaged = HearsightError(f"'{path}' is damaged: remove it, and it is made again.")
    try:
        held = parse_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise damaged from error
    if not isinstance(held, dict) or not held:
        raise damaged
    return held


def read_or_make(path: Path, make: Callable[[], Any]) -> Any:
    """What a JSON file holds; if there is none, it is made, and written whole or not at all.

    Raises:
        HearsightError: the file cannot be read or written.
    """
    held = read_json(path)
    if held is not None:
        return held
    made = make()
    write_text(path, json.dumps(made))
    return made


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        HearsightError: it cannot be written.
    """
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def locked_folder(folder: Path, plan: Mapping[str, Any], what: str) -> Iterator[None]:
    """Hold the folder of several runs: its plan in it, other processes kept out.

    It is made if need be; if not one run begins, it is removed again.

    Args:
        folder: where the runs go.
        plan: what they have in common.
        what: `comparison` or the like, as it is called in errors.

    Raises:
        HearsightError: another process is at work there, it holds other files or runs of another
            plan, or it cannot be made.
    """
    try:
        strangers = folder.exists() and {each.name for each in folder.iterdir()} - {LOCK}
        if strangers and not (folder / PLAN).exists():
            raise HearsightError(f"'{folder}' holds no {what}, but other files: name another.")
    except OSError as error:
        raise HearsightError(f"'{folder}' cannot be used: {error.strerror}.") from error
    with sole_writer(folder):
        check_plan(folder, plan, what)
        try:
            yield
        finally:
            with suppress(OSError):
                if {each.name for each in folder.iterdir()} == {LOCK, PLAN}:
                    (folder / PLAN).unlink()


def check_plan(folder: Path, plan: Mapping[str, Any], what: str) -> None:
    """Keep what runs in a folder have in common, or find that it is the same.

    What an earlier version did not keep is not compared.

    Raises:
        HearsightError: it is another one.
    """
    wanted = json.loads(json.dumps(plan))
    held = read_or_make(folder / PLAN, lambda: wanted)
    differing = [key for key in wanted if key in held and held[key] != wanted[key]]
    if differing:
        raise HearsightError(
            f"'{folder}' holds another {what}, which differs in {', '.join(differing)}: "
            "name another folder."
        )


def clips_plan(learned: Clips, held_out: Clips, validation: Clips | None = None) -> dict[str, str]:
    """What tells the clips of several runs from others of the same name, for their plan."""
    told = {"training clips": clips_digest(learned), "held-out clips": truths_digest(held_out)}
    if validation is not None:
        told["validation clips"] = truths_digest(validation)
    return told


def truths_digest(clips: Clips) -> str:
    """A digest of ids, and of the label and the boxes of each clip where no frame is read for it.

    A clip that cannot be read counts by its id alone.
    """
    truths = []
    for index in range(len(clips) if isinstance(clips, AnnotatedClips) else 0):
        with suppress(UnreadableClip):
            truths.append([index, *clips.annotation(index)])  # type: ignore[attr-defined]
    words = json.dumps([clips_digest(clips), truths])
    return blake2b(words.encode(), digest_size=8).hexdigest()


def train_once(
    recipe: Recipe,
    clips: Clips,
    folder: Path,
    options: TrainingOptions,
    *,
    validation: Clips | None = None,
) -> dict[str, Any]:
    """Train into `folder`, or go on where a run in it ended, or only read what a finished one told.

    Returns:
        recipe, steps, samples_per_second (the median; None without a step).

    Raises:
        HearsightError: the folder holds a run of another recipe, or what `train` raises.
    """
    wanted = to_json(recipe)

    def run() -> dict[str, Any]:
        resumed = replace(options, resume=has_begun(folder))
        result = train(recipe, clips, folder, validation=validation, options=resumed)
        if not result.finished:
            raise HearsightError(f"The run in {folder} is not at its end: continue it.")
        speeds = [entry["samples_per_second"] for entry in read_log(folder) if "loss" in entry]
        return {
            "recipe": wanted,
            "steps": result.steps,
            "samples_per_second": float(np.median(speeds)) if speeds else None,
        }

    told: dict[str, Any] = read_or_make(folder / TRAINED, run)
    held = to_json(from_json(told.get("recipe")))  # fields that came later have their defaults
    changed = [key for key, value in wanted.items() if held[key] != value]
    if changed:
        raise HearsightError(
            f"The run in {folder} was made with another recipe: it differs in {', '.join(changed)}."
        )
    return told


def score_once(
    folder: Path,
    held_out: Clips,
    protocol: str,
    options: TrainingOptions,
    *,
    name: str,
) -> Results:
    """Score the weights of a run under a protocol, or only read what was found before.

    Raises:
        HearsightError: what `evaluate_protocol` and `load_model` raise.
    """

    def score() -> dict[str, Any]:
        encoders, recipe, _ = load_model(folder)
        model = Inference(
            encoders=encoders,
            recipe=recipe,
            device=move(encoders, options.device),
            name=name,
            progress=lambda done, total: options.progress(f"scoring, {protocol}", done, total),
        )
        return asdict(evaluate_protocol(model, held_out, protocol))

    held = read_or_make(folder / f"scores-{protocol.replace(':', '-')}.json", score)
    listed = {key: tuple(held[key]) for key in ("rows", "notes", "clips")}
    return Results(protocol=held["protocol"], caption=held["caption"], **listed)


def reference_scores(
    folder: Path, held_out: Clips, protocol: str, options: TrainingOptions
) -> dict[str, list[float]]:
    """The cIoU of what sees neither frame nor sound, and the best of any map, clip by clip.

    Clips without boxes are left out, as they are for models. Nothing under a protocol that asks for
    more than maps and boxes.
    """
    if protocol not in {one.name for one in PROTOCOLS}:
        return {}

    def score() -> dict[str, list[float]]:
        rule = load_protocol(protocol)
        boxes = []
        for index in range(len(held_out)):
            with suppress(UnreadableClip):
                if (known := held_out[index].boxes) is not None:  # as models are scored
                    boxes.append(known)
            options.progress(f"references, {protocol}", index + 1, len(held_out))
        found = blind_scores(lambda: (rasterise(one, rule.truth) for one in boxes), rule)
        return {
            name: (one.adaptive if rule.adaptive else one.ciou).tolist()
            for name, one in found.items()
        }

    kept: dict[str, list[float]] = read_or_make(
        folder / f"references-{protocol.replace(':', '-')}.json", score
    )
    return kept
