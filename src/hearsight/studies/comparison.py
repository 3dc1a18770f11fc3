"""Several methods trained with the same seeds on the same clips, scored on the same others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import Clips
from hearsight.clips.leaks import marks
from hearsight.datasets.open import PACKS, is_composed, open_clips, open_joined
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.model.encoders import EMA_NETWORKS, Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.scoring.protocol_registry import check_name
from hearsight.scoring.results import Results
from hearsight.studies.comparison_folder import (
    PLAN,
    clips_plan,
    locked_folder,
    read_json,
    score_once,
    train_once,
)
from hearsight.training.batches import COMPOSED
from hearsight.training.run_folder import TrainingOptions

HELD_OUT = 600  # scenes
SCENE_SIZE = "size of scenes"  # in the plan
SCRATCH = "‡"  # mark of rows in tables
FROM_IMAGENET = {  # recipes of papers whose frame network starts from ImageNet
    "attention10k",
    "coarse_to_fine",
    "ez_vsl",
    "fnac",
    "margin_nce",
    "slavc",
    "sspl",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a method asks for.

    parameters: of what makes a response map from a frame and a sound: both networks and their
    projections, whether they learned or not. trained: those that training changes, with heads that
    only an objective uses, without what is frozen. gflop: 10^9 additions and multiplications from
    one frame and one sound to their response map, counted by torch. samples_per_second: of
    training, the median of each run; None without a step.
    """

    parameters: int
    trained: int
    gflop: float
    samples_per_second: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMethod:
    """A method in a comparison.

    marks: sign: what it says. folders: of its runs, one per seed. results: protocol: one per seed.
    """

    name: str
    marks: Mapping[str, str]
    folders: tuple[Path, ...]
    cost: Cost
    results: Mapping[str, tuple[Results, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared, on what.

    recipes: names. settings: PATH=VALUE changes made to every recipe alike; `epochs` is left
    alone where it is 0. plan: all that must be the same when the folder is used again, as JSON.
    """

    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    protocols: tuple[str, ...]
    settings: tuple[str, ...]
    folder: Path
    plan: Mapping[str, Any]


def make_recipe(name: str, settings: Sequence[str], seed: int) -> Recipe:
    """A recipe with changes and a seed.

    Raises:
        HearsightError: no such recipe, or a change that it does not take.
    """
    recipe = load_recipe(name)
    for setting in settings:
        if setting.partition("=")[0].strip() == "epochs" and recipe.epochs == 0:
            continue  # it is there to be compared untrained
        try:
            recipe = assign(recipe, setting)
        except HearsightError as error:
            raise HearsightError(f"{name} does not take '{setting}': {error}") from error
    return assign(recipe, f"seed={seed}")


def check(comparison: Comparison) -> int:
    """Refuse a comparison that cannot be made, before anything is read or trained.

    Returns:
        The largest side that one of the methods wants of frames, pixels.

    Raises:
        HearsightError: a recipe, setting or protocol that is none.
    """
    for protocol in comparison.protocols:
        check_name(protocol)
    recipes = [
        make_recipe(name, comparison.settings, comparison.seeds[0]) for name in comparison.recipes
    ]
    return max(recipe.frame_size for recipe in recipes)


def scene_size(folder: Path, wanted: int) -> int:
    """The side of a comparison's scenes as its methods see them, pixels.

    It is that of the comparison in `folder`, so that what is added is scored on the same scenes;
    `wanted` if there is none.

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


def scenes_plan(
    data: Sequence[str], held_out: str, *, epoch: int | None, count: int | None, classes: int | None
) -> dict[str, int | None]:
    """How many scenes of how many classes are composed, for the plan of several runs.

    Args:
        data: what is learned from.
        held_out: what is scored.
        epoch: scenes in an epoch; None for the usual number.
        count: held-out scenes; None for `HELD_OUT`.
        classes: of scenes; None for all.

    Raises:
        HearsightError: one of the numbers is given, but what it counts is not composed.
    """
    for option, given, specs in (
        ("--epoch", epoch, data),
        ("--count", count, [held_out]),
        ("--classes", classes, [*data, held_out]),
    ):
        if given is not None and not any(map(is_composed, specs)):
            raise HearsightError(
                f"{option} is for composed scenes, such as toys or menagerie, and '{specs[0]}' is "
                "none: leave it out."
            )
    held = {"count": count or HELD_OUT} if is_composed(held_out) else {}
    return {"epoch": epoch, "classes": classes, **held}


def open_data(
    data: Sequence[str],
    test: str | None,
    *,
    size: int,
    epoch: int | None,
    count: int | None,
    classes: int | None,
    option: str = "--test",
) -> tuple[Clips, Clips, dict[str, int | None]]:
    """Clips to learn from and clips to score; of composed scenes those with 1 or 2 silent objects.

    Args:
        data: what --data takes.
        test: the same, annotated; None for the held-out scenes of the first pack in `data`.
        size: of frames as the methods see them, pixels.
        epoch: scenes in an epoch; None for the usual number.
        count: held-out scenes; None for `HELD_OUT`.
        classes: of scenes; None for all.
        option: that names `test`, for errors.

    Returns:
        Both, and what `scenes_plan` gives.

    Raises:
        HearsightError: no test clips, or a number of scenes where none are composed.
    """
    if test is None and data[0].partition(":")[0] not in PACKS:
        raise HearsightError(
            f"Name annotated clips to score with {option}: '{data[0]}' has none kept apart."
        )
    scored = test or data[0]
    scenes = scenes_plan(data, scored, epoch=epoch, count=count, classes=classes)
    side = round(size * COMPOSED)
    clips = open_joined(data, split="train", size=side, count=epoch, classes=classes)
    held_out = open_clips(
        scored,
        split="val",
        size=size,
        count=scenes.get("count"),
        classes=classes,
        silent=(1, 2),
    )
    return clips, held_out, scenes


def compare_methods(
    comparison: Comparison,
    clips: Clips,
    held_out: Clips,
    options: TrainingOptions,
    *,
    validation: Clips | None = None,
    finish: Callable[[list[ComparedMethod]], None] | None = None,
) -> list[ComparedMethod]:
    """Train every recipe with every seed on the same clips, score all on the same others.

    Args:
        comparison: who, how often, under which protocols.
        clips: to learn from.
        held_out: annotated clips.
        options: device, progress, facts for the checkpoints.
        validation: clips that choose the epoch; without them it is the last one.
        finish: writes what else belongs into the folder, while others are still kept out of it.

    Raises:
        HearsightError: a recipe, setting or protocol that is none; a folder of another
            comparison, of other clips, or in use by another process; what training and scoring
            raise.
    """
    plan = {**comparison.plan, **clips_plan(clips, held_out, validation)}
    with locked_folder(comparison.folder, plan, "comparison"):
        methods = _enter(comparison, clips, held_out, options, validation)
        if finish is not None:
            finish(methods)
    return methods


def _enter(
    comparison: Comparison,
    clips: Clips,
    held_out: Clips,
    options: TrainingOptions,
    validation: Clips | None,
) -> list[ComparedMethod]:
    """Train and score what is not yet."""
    recipes = {
        (name, seed): make_recipe(name, comparison.settings, seed)
        for name in comparison.recipes
        for seed in comparison.seeds
    }
    runs = {key: comparison.folder / f"{key[0].replace(':', '-')}-seed{key[1]}" for key in recipes}
    speeds: dict[str, list[float | None]] = {name: [] for name in comparison.recipes}
    found: dict[str, dict[str, list[Results]]] = {name: {} for name in comparison.recipes}
    for seed in comparison.seeds:  # every method once, before any is repeated
        for name in comparison.recipes:
            at = replace(options, progress=_telling(options, f"{name}, seed {seed}"))
            folder = runs[name, seed]
            told = train_once(recipes[name, seed], clips, folder, at, validation=validation)
            speeds[name].append(told["samples_per_second"])
            for protocol in comparison.protocols:
                one = score_once(folder, held_out, protocol, at, name=name)
                found[name].setdefault(protocol, []).append(one)
    methods = []
    for name in comparison.recipes:
        folders = tuple(runs[name, seed] for seed in comparison.seeds)
        encoders, recipe, facts = load_model(folders[0])
        methods.append(
            ComparedMethod(
                name=name,
                marks=marks(facts, epochs=recipe.epochs) | scratch_mark(name, recipe),
                folders=folders,
                cost=measure_cost(encoders, recipe, speeds[name]),
                results={protocol: tuple(each) for protocol, each in found[name].items()},
            )
        )
    return methods


def _telling(options: TrainingOptions, at: str) -> Callable[[str, int, int | None], None]:
    return lambda stage, done, total: options.progress(f"{at}: {stage}", done, total)


def scratch_mark(name: str, recipe: Recipe) -> dict[str, str]:
    """The mark of a method that starts from scratch here, and from ImageNet in its paper."""
    if name.partition(":")[0] not in FROM_IMAGENET or recipe.encoder.weights is not None:
        return {}
    return {SCRATCH: "frame network from scratch; in the paper it starts from ImageNet"}


def measure_cost(encoders: Encoders, recipe: Recipe, speeds: Sequence[float | None]) -> Cost:
    """Count parameters, and the operations of one forward pass, on the CPU."""
    sound = torch.zeros(1, round(recipe.spectrogram.seconds * RATE), dtype=torch.int16)
    front = recipe.spectrogram
    spectrogram = front.finish(front.power(front.waveforms(sound)))
    frame = torch.zeros(1, 3, recipe.frame_size, recipe.frame_size)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        encoders(frame, spectrogram)
    return Cost(
        parameters=sum(
            part.numel() for name in EMA_NETWORKS for part in getattr(encoders, name).parameters()
        ),
        trained=count_trained(encoders, recipe),
        gflop=counter.get_total_flops() / 1e9,
        samples_per_second=tuple(speeds),
    )


def count_trained(encoders: Encoders, recipe: Recipe) -> int:
    """How many parameters training changes: none without an epoch, nor those of what is frozen."""
    if not recipe.epochs:
        return 0
    still = () if recipe.teaches_frames else ("frames.", "frame_projection.")
    return sum(
        part.numel()
        for name, part in encoders.named_parameters()
        if part.requires_grad and not name.startswith(still)
    )
