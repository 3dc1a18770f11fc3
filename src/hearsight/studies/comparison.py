"""A comparison: methods trained on the same clips with the same seeds, and scored on others."""

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import AnnotatedClips, Box, Clips
from hearsight.clips.leaks import MARKS, SCRATCH, marks
from hearsight.datasets.open import check_composed, is_composed, is_pack, open_joined
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.model.encoders import EMA_NETWORKS, RESNETS, Encoders
from hearsight.model.fused_convolution import AVAILABLE
from hearsight.progress import Progress, of_stage, renamed
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign, changed_field
from hearsight.scoring.box_scores import blind_scores
from hearsight.scoring.evaluation import Annotations, read_annotations
from hearsight.scoring.protocol_registry import check_name
from hearsight.scoring.protocols import PROTOCOLS, load_protocol
from hearsight.scoring.results import Results
from hearsight.studies.comparison_folder import (
    locked_folder,
    read_or_make,
    score_once,
    train_once,
)
from hearsight.training.batches import COMPOSED
from hearsight.training.run import FEATURES
from hearsight.training.run_folder import TrainingOptions, clips_digest

HELD_OUT = 600  # scenes
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
class HeldOutClips:
    """Clips that are not trained on, for scoring or validation, with their annotations.

    annotations: what `read_annotations` gives.
    """

    clips: Clips
    annotations: Annotations

    def digest(self) -> str:
        """A digest of ids, and of labels and boxes where these need no decoding.

        A clip that cannot be read counts by its id alone.
        """
        found = [[index, *each] for index, each in self.annotations.items()]
        words = json.dumps([clips_digest(self.clips), found])
        return blake2b(words.encode(), digest_size=8).hexdigest()

    def boxes(self, ids: Collection[str], progress: Progress) -> list[tuple[Box, ...]]:
        """The boxes of some clips, in order; decoded only where there are no annotations alone.

        ids: of clips that can be read and have boxes.
        """
        if isinstance(self.clips, AnnotatedClips):
            found = [self.annotations[at][1] for at, id in enumerate(self.clips.ids) if id in ids]
        else:
            found, tell = [], of_stage(progress, "reading truths")
            for at, id in enumerate(self.clips.ids):
                if id in ids:
                    found.append(self.clips[at].boxes)
                tell(at + 1, len(self.clips))
        return [boxes for boxes in found if boxes is not None]


def read_held_out(clips: Clips) -> HeldOutClips:
    """Read the annotations of held-out clips, where that needs no decoding."""
    return HeldOutClips(clips=clips, annotations=read_annotations(clips))


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCost:
    """Parameters, operations and training speed of a method.

    parameters: of what makes a response map from a frame and a sound: both networks and their
    projections, whether they are trained or not. trained: those that training changes, with heads
    that only an objective uses, without what is frozen. gflop: 10^9 additions and multiplications
    from one frame and one sound to their response map, counted by torch. samples_per_second: of
    training, the median of each run; None without a step.
    """

    parameters: int
    trained: int
    gflop: float
    samples_per_second: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMethod:
    """The runs, costs and results of one method in a comparison.

    marks: signs beside its name in tables, each with its footnote. folders: of its runs, one per
    seed. results: by protocol, one per seed.
    """

    name: str
    marks: Mapping[str, str]
    folders: tuple[Path, ...]
    cost: MethodCost
    results: Mapping[str, tuple[Results, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Which methods are trained with which seeds and scored under which protocols.

    recipes: names of the methods. changes: PATH=VALUE, made to every recipe alike; `epochs` is
    left alone where it is 0, as in `random`. plan: all that must be the same when the folder is
    used again, as JSON. kind: what errors call it. titles: what progress calls a method, where
    not by its name.
    """

    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    protocols: tuple[str, ...]
    changes: tuple[str, ...]
    folder: Path
    plan: Mapping[str, Any]
    kind: str = "comparison"
    titles: Mapping[str, str] = field(default_factory=dict)

    def run_folder(self, name: str, seed: int) -> Path:
        """The folder of a method's run with a seed."""
        return self.folder / f"{name.replace(':', '-')}-seed{seed}"


def make_recipe(name: str, changes: Sequence[str], seed: int) -> Recipe:
    """The recipe of a run.

    Raises:
        HearsightError: no such recipe, or a change that it does not take.
    """
    recipe = load_recipe(name)
    for change in changes:
        if changed_field(change) == "epochs" and recipe.epochs == 0:
            continue  # it is compared untrained
        try:
            recipe = assign(recipe, change)
        except HearsightError as error:
            raise HearsightError(f"{name} does not take '{change}': {error}") from error
    return assign(recipe, f"seed={seed}")


def check(comparison: Comparison) -> int:
    """Check names, changes and protocols before anything is read or trained.

    Returns:
        The largest frame size of the methods, pixels.

    Raises:
        HearsightError: no such recipe or protocol, or a change that cannot be made.
    """
    for protocol in comparison.protocols:
        check_name(protocol)
    for change in comparison.changes:
        if changed_field(change) == "seed":
            raise HearsightError(f"`{change}` would have no effect: name seeds by `seeds`.")
    recipes = [
        make_recipe(name, comparison.changes, comparison.seeds[0]) for name in comparison.recipes
    ]
    return max(recipe.frame_size for recipe in recipes)


def trains(comparison: Comparison) -> bool:
    """Whether any of the methods is trained."""
    changes, seed = comparison.changes, comparison.seeds[0]
    return any(make_recipe(name, changes, seed).epochs for name in comparison.recipes)


def scene_counts(
    data: Sequence[str],
    held_out: Sequence[str],
    *,
    epoch: int | None,
    count: int | None,
    classes: int | None,
    looks: int = 1,
) -> dict[str, int | None]:
    """How many scenes of how many classes and looks are composed, for the plan of a comparison.

    Args:
        data: names of clips to train on.
        held_out: names of clips to score, then of those to validate on if there are any.
        epoch: scenes in an epoch; None for the usual number.
        count: held-out scenes to score; None for `HELD_OUT`.
        classes: of scenes; None for all.
        looks: in which each cut-out of scenes to train on appears.

    Raises:
        HearsightError: one of the numbers is given, but what it counts is not composed.
    """
    check_composed(data, {"scenes": epoch, "looks": None if looks == 1 else looks})
    check_composed(held_out[:1], {"count": count})
    check_composed([*data, *held_out], {"classes": classes})
    held = {"count": count or HELD_OUT} if is_composed(held_out[0]) else {}
    varied = {} if looks == 1 else {"looks": looks}
    return {"epoch": epoch, "classes": classes, **varied, **held}


def open_data(
    data: Sequence[str],
    test: str | None,
    *,
    size: int,
    epoch: int | None,
    count: int | None,
    classes: int | None,
    looks: int = 1,
    validation: str | None = None,
) -> tuple[Clips, Clips, dict[str, int | None]]:
    """Open the clips to train on and to score; held-out scenes have 1 or 2 silent objects.

    Args:
        data: names of clips to train on.
        test: name of annotated clips; None for the held-out scenes of the first pack in `data`.
        size: of frames as the methods see them, pixels.
        epoch: scenes in an epoch; None for the usual number.
        count: held-out scenes; None for `HELD_OUT`.
        classes: of scenes; None for all.
        looks: in which each cut-out of scenes appears.
        validation: name of the clips to validate on, if there are any; not opened here.

    Returns:
        Both, and what `scene_counts` gives.

    Raises:
        HearsightError: no held-out clips, or a number of scenes where none are composed.
    """
    if test is None and not is_pack(data[0]):
        raise HearsightError(
            f"Name annotated clips to score with `test`: '{data[0]}' has no held-out clips."
        )
    scored = test or data[0]
    held = [scored, *([] if validation is None else [validation])]
    scenes = scene_counts(data, held, epoch=epoch, count=count, classes=classes, looks=looks)
    side = round(size * COMPOSED)
    clips = open_joined(data, split="train", size=side, count=epoch, classes=classes, looks=looks)
    held_out = open_joined(
        [scored],
        split="val",
        size=size,
        count=scenes.get("count"),
        classes=classes,
        silent=(1, 2) if is_pack(scored) else None,
    )
    return clips, held_out, scenes


def digests(
    training: Clips, held_out: HeldOutClips, validation: HeldOutClips | None = None
) -> dict[str, str]:
    """Digests that tell the clips of a comparison from others of the same name, for its plan."""
    found = {"training clips": clips_digest(training), "held-out clips": held_out.digest()}
    if validation is not None:
        found["validation clips"] = validation.digest()
    return found


def compare_methods(
    comparison: Comparison,
    clips: Clips,
    held_out: HeldOutClips,
    options: TrainingOptions,
    *,
    validation: HeldOutClips | None = None,
    finish: Callable[[list[ComparedMethod]], None] | None = None,
) -> list[ComparedMethod]:
    """Train every recipe with every seed on the same clips, score all on the same others.

    Finished runs and scores in the folder are read, not made again.

    Args:
        comparison: methods, seeds, protocols and folder.
        clips: to train on.
        held_out: annotated clips to score.
        options: device, progress, facts for the checkpoints.
        validation: clips that choose the epoch; without them it is the last one.
        finish: writes tables and pages into the folder while it is still locked.

    Raises:
        HearsightError: no such recipe or protocol, a change that cannot be made, a folder of
            another comparison, of other clips, or in use by another process; what training and
            scoring raise.
    """
    plan = {**comparison.plan, **digests(clips, held_out, validation)}
    with locked_folder(comparison.folder, plan, comparison.kind):
        methods = _train_and_score(comparison, clips, held_out.clips, options, validation)
        if finish is not None:
            finish(methods)
    return methods


def titled(options: TrainingOptions, title: str) -> TrainingOptions:
    """Options of one of several runs, whose progress and reports begin with its title."""
    return replace(
        options,
        progress=renamed(options.progress, before=title),
        report=lambda one: options.report(replace(one, stage=title + one.stage)),
    )


def _train_and_score(
    comparison: Comparison,
    clips: Clips,
    held_out: Clips,
    options: TrainingOptions,
    validation: HeldOutClips | None,
) -> list[ComparedMethod]:
    recipes = {
        (name, seed): make_recipe(name, comparison.changes, seed)
        for name in comparison.recipes
        for seed in comparison.seeds
    }
    validated = None if validation is None else validation.clips
    speeds: dict[str, list[float | None]] = {name: [] for name in comparison.recipes}
    results: dict[str, dict[str, list[Results]]] = {name: {} for name in comparison.recipes}
    for seed in comparison.seeds:  # every method once, before any is repeated
        for name in comparison.recipes:
            title = f"{comparison.titles.get(name, name)}, seed {seed}: "
            run_options = replace(
                titled(options, title),
                features=comparison.folder / FEATURES,  # of the clips that all runs see
            )
            folder = comparison.run_folder(name, seed)
            recipe = recipes[name, seed]
            judged = validated if recipe.epochs else None
            run = train_once(recipe, clips, folder, run_options, validation=judged)
            speeds[name].append(run["samples_per_second"])
            for protocol in comparison.protocols:
                one = score_once(folder, held_out, protocol, run_options, name=name)
                results[name].setdefault(protocol, []).append(one)
    shutil.rmtree(comparison.folder / FEATURES, ignore_errors=True)
    methods = []
    for name in comparison.recipes:
        folders = tuple(comparison.run_folder(name, seed) for seed in comparison.seeds)
        encoders, recipe, facts = load_model(folders[0])
        methods.append(
            ComparedMethod(
                name=name,
                marks=marks(facts, epochs=recipe.epochs, from_boxes=recipe.needs_boxes)
                | scratch_mark(name, recipe),
                folders=folders,
                cost=measure_cost(encoders, recipe, speeds[name]),
                results={protocol: tuple(each) for protocol, each in results[name].items()},
            )
        )
    return methods


def reference_scores(
    folder: Path,
    methods: Sequence[ComparedMethod],
    held_out: HeldOutClips,
    protocols: Sequence[str],
    progress: Progress,
) -> dict[str, dict[str, list[float]]]:
    """The cIoU of the blind rows and of the ceiling on the clips that methods were scored on.

    Kept in the folder; boxes are read at most once for all protocols.

    Args:
        folder: of the comparison.
        methods: scored on `held_out`.
        held_out: the clips.
        protocols: those on boxes are taken, others left out.
        progress: of reading boxes.

    Returns:
        By protocol and name, clip by clip; the adaptive cIoU under adaptive protocols.
    """
    on_boxes = {one.name for one in PROTOCOLS}

    @cache
    def boxes() -> list[tuple[Box, ...]]:
        results = methods[0].results
        scored = next(each[0].clips for name, each in results.items() if name in on_boxes)
        return held_out.boxes({str(clip["id"]) for clip in scored}, progress)

    def score(protocol: str) -> dict[str, list[float]]:
        rule = load_protocol(protocol)
        found = blind_scores(boxes(), rule)
        return {
            name: (one.adaptive if rule.adaptive else one.ciou).tolist()
            for name, one in found.items()
        }

    return {
        protocol: read_or_make(
            folder / f"references-{protocol.replace(':', '-')}.json", partial(score, protocol)
        )
        for protocol in protocols
        if protocol in on_boxes
    }


def scratch_mark(name: str, recipe: Recipe) -> dict[str, str]:
    """The mark of a method whose frame network starts from ImageNet in its paper, but not here."""
    encoder = recipe.encoder
    begun = encoder.weights is not None or encoder.frame_trunk not in RESNETS
    if name.partition(":")[0] not in FROM_IMAGENET or begun:
        return {}
    return {SCRATCH: MARKS[SCRATCH]}


def _fused_operations(
    values: Sequence[int],
    weight: Sequence[int],
    *_: object,
    out_shape: Sequence[int],
    **__: object,
) -> int:
    """Of a fused convolution, which torch's counter does not know."""
    return int(conv_flop_count([*values], [*weight], [*out_shape]))


def measure_cost(encoders: Encoders, recipe: Recipe, speeds: Sequence[float | None]) -> MethodCost:
    """Count parameters, and the operations of one forward pass, on the CPU."""
    sound = torch.zeros(1, round(recipe.spectrogram.seconds * RATE), dtype=torch.int16)
    spectrogram = recipe.spectrogram(sound)
    frame = torch.zeros(1, 3, recipe.frame_size, recipe.frame_size)
    fused = {torch.ops.mkldnn._convolution_pointwise: _fused_operations} if AVAILABLE else {}
    counter = FlopCounterMode(display=False, custom_mapping=fused)
    with torch.no_grad(), counter:
        encoders(frame, spectrogram)
    return MethodCost(
        parameters=sum(
            part.numel() for name in EMA_NETWORKS for part in getattr(encoders, name).parameters()
        ),
        trained=count_trained(encoders, recipe),
        gflop=counter.get_total_flops() / 1e9,
        samples_per_second=tuple(speeds),
    )


def count_trained(encoders: Encoders, recipe: Recipe) -> int:
    """How many parameters training changes: none without an epoch, none of what is frozen."""
    if not recipe.epochs:
        return 0
    frozen = () if recipe.teaches_frames else ("frames.", "frame_projection.")
    return sum(
        part.numel()
        for name, part in encoders.named_parameters()
        if part.requires_grad and not name.startswith(frozen)
    )
