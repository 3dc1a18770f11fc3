"""The retrieval benchmark: models and baselines embed the same clips and are scored by class."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.errors import HearsightError
from hearsight.files.text import counted
from hearsight.model.encoders import Encoders
from hearsight.progress import Progress, no_progress, renamed
from hearsight.recipes.recipe import Recipe
from hearsight.retrieval.embedding_files import read_embeddings
from hearsight.retrieval.embeddings import ClipEmbeddings, Pooling, embed_clips, embed_statistics
from hearsight.retrieval.scores import RetrievalScore, chance_and_best, score
from hearsight.retrieval.tasks import (
    OwnPair,
    RetrievalTask,
    labelled_rows,
    make_task,
    own_pair_rules,
)

LOGGER = logging.getLogger(__name__)
ENDINGS = (".csv",)  # of a file with the table


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalOptions:
    """Options of the retrieval benchmark."""

    task: str
    pooling: Pooling = "mean"
    drop_same_video: bool = False
    seed: int = 0  # of the untrained encoders
    batch_size: int = 32
    device: torch.device | str | None = None
    workers: int = 2  # threads that read clips
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEmbeddings:
    """A method's unit vectors of the clips of a task, one row per clip."""

    name: str  # of the method
    sounds: Float[Tensor, "n c"]
    frames: Float[Tensor, "n c"] | None

    def sides(self, task: str) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
        """The queries and the gallery of the task of that name."""
        by_kind = {"sound": self.sounds, "image": self.frames}
        asked, found = (by_kind[kind] for kind in task.split("-"))
        if asked is None or found is None:
            raise ValueError(f"{self.name} has no frames")
        return asked, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The nearest clips of each query, as `rank` gives them."""

    scores: Float[Tensor, "n k"]
    indices: Int64[Tensor, "n k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalResults:
    """Results of the retrieval benchmark."""

    task: RetrievalTask
    places: tuple[int, ...]  # index in the source of each clip of the task
    rows: tuple[RetrievalScore, ...]
    neighbours: Neighbours  # by the first model, own pairs left out
    unlabelled: int  # clips left out because they have no class
    skipped: tuple[UnreadableClip, ...]


def untrained(recipe: Recipe, seed: int) -> Encoders:
    """The encoders of a recipe as they are initialised from a seed."""
    return Encoders(recipe.encoder, generator=torch.Generator().manual_seed(seed)).eval()


def run_benchmark(
    models: Sequence[str],
    open_at: Callable[[int], Clips],
    files: Mapping[str, Path],
    options: RetrievalOptions,
) -> RetrievalResults:
    """Score models and baselines on the same task.

    The baselines are untrained encoders of each of the models' recipes, statistics of the mel
    spectrogram (of sounds by sounds), embeddings in files, chance, and the best possible order.

    Files are checked before the first clip is embedded, and whether they hold every clip of the
    task as soon as the first model has embedded them.

    Args:
        models: as `load_model` takes them, at least one.
        open_at: opens the clips; its argument is the side of the frames of composed scenes.
        files: of embeddings made elsewhere, by the name of their row.
        options: the rest.

    Raises:
        HearsightError: a model or file that cannot be used, clips without labels, no clip that
            can be read, no such task or device.
    """
    for name, path in files.items():
        _from_file(name, path, options.task, ids=())
    lineup = _lineup(models, options.seed)
    first = _embed(*lineup[0], open_at, options)
    rows = labelled_rows(first)
    task = make_task(first, rows, options.task, drop_same_video=options.drop_same_video)
    others = [_from_file(name, path, options.task, task.ids) for name, path in files.items()]
    methods = [_vectors(lineup[0][0], first, first, rows)]
    for name, encoders, recipe in lineup[1:]:
        embedded = _embed(name, encoders, recipe, open_at, options)
        methods.append(_vectors(name, embedded, first, rows))
    if options.task == "sound-sound":
        methods.append(_vectors("mel statistics", _statistics(open_at, options), first, rows))
    scores, neighbours = _scored([*methods, *others], task, options)
    return RetrievalResults(
        task=task,
        places=tuple(first.places[row] for row in rows),
        rows=scores,
        neighbours=neighbours,
        unlabelled=len(first.ids) - len(rows),
        skipped=first.skipped,
    )


def _lineup(models: Sequence[str], seed: int) -> list[tuple[str, Encoders, Recipe]]:
    """The models, then untrained encoders, one for models that `_alike` finds alike."""
    trained = [(name, *load_model(name)[:2]) for name in models]
    shapes: list[Recipe] = []
    for _, _, recipe in trained:
        if not any(_alike(recipe, other) for other in shapes):
            shapes.append(recipe)
    random = [
        (
            f"untrained{f' {recipe.name}' if len(shapes) > 1 else ''}, seed {seed}",
            untrained(recipe, seed),
            recipe,
        )
        for recipe in shapes
    ]
    return trained + random


def _alike(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes have the same encoders and the same inputs."""
    names = ("encoder", "spectrogram", "frame_size")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _scored(
    methods: Sequence[MethodEmbeddings], task: RetrievalTask, options: RetrievalOptions
) -> tuple[tuple[RetrievalScore, ...], Neighbours]:
    """All rows of the table, and the neighbours by the first method, own pairs left out."""
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    rows: list[RetrievalScore] = []
    first: dict[OwnPair, Neighbours] = {}
    for own in own_pair_rules(task.name):
        for number, method in enumerate(methods):
            scores, indices = task.find(*method.sides(task.name), own, device=device)
            first.setdefault(own, Neighbours(scores=scores, indices=indices))
            rows.append(score(method.name, task, own, indices))
            options.progress(f"ranking, {own}", number + 1, len(methods))
        rows += chance_and_best(task, own)
    return tuple(rows), first["left out"]


def _embed(
    name: str,
    encoders: Encoders,
    recipe: Recipe,
    open_at: Callable[[int], Clips],
    options: RetrievalOptions,
) -> ClipEmbeddings:
    embedded = embed_clips(
        encoders,
        recipe,
        open_at(recipe.frame_size),
        pooling=None if options.task == "sound-sound" else options.pooling,
        batch_size=options.batch_size,
        device=options.device,
        workers=options.workers,
        progress=renamed(options.progress, after=f", {name}"),
    )
    LOGGER.info("embedded %s by %s", counted(len(embedded.ids), "clip"), name)
    return embedded


def _statistics(open_at: Callable[[int], Clips], options: RetrievalOptions) -> ClipEmbeddings:
    return embed_statistics(
        open_at(96),  # the side of composed frames does not matter: only sounds are embedded
        batch_size=options.batch_size,
        workers=options.workers,
        progress=renamed(options.progress, after=", mel statistics"),
    )


def _vectors(
    name: str, embedded: ClipEmbeddings, first: ClipEmbeddings, rows: Sequence[int]
) -> MethodEmbeddings:
    """A method's vectors of the clips of the task, which are those that the first model read.

    Raises:
        HearsightError: one of them could be read for the first model, but not for this method.
    """
    where = {place: row for row, place in enumerate(embedded.places)}
    lost = [first.ids[row] for row in rows if first.places[row] not in where]
    if lost:
        raise HearsightError(f"The clip '{lost[0]}' could be read at first, but not again.")
    chosen = [where[first.places[row]] for row in rows]
    frames = None if embedded.frames is None else embedded.frames[chosen]
    return MethodEmbeddings(name=name, sounds=embedded.sounds[chosen], frames=frames)


def _from_file(name: str, path: Path, task: str, ids: Sequence[str]) -> MethodEmbeddings:
    """The vectors of these clips in a file.

    Raises:
        HearsightError: the file lacks sounds or images that the task needs, or the two have
            different numbers of channels.
    """
    held = read_embeddings(path, ids)
    for kind in task.split("-"):
        if kind not in held:
            raise HearsightError(f"'{path}' has no vectors '{kind}', which the task {task} needs.")
    sounds, frames = held["sound"], held.get("image")
    if task != "sound-sound" and frames is not None and sounds.shape != frames.shape:
        raise HearsightError(
            f"In '{path}' sounds have {sounds.shape[1]} channels and images {frames.shape[1]}: "
            "they cannot be compared."
        )
    return MethodEmbeddings(name=name, sounds=sounds, frames=frames)
