"""Several methods asked the same question: models, untrained ones, statistics, others' vectors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.retrieval.benchmark import (
    Own,
    Question,
    RetrievalScore,
    ask,
    labelled,
    readings,
    references,
    score,
)
from hearsight.retrieval.embedding_files import read_embeddings
from hearsight.retrieval.embeddings import ClipEmbeddings, Pooling, embed_clips, embed_statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalOptions:
    """How the methods are compared."""

    task: str
    pooling: Pooling = "mean"
    drop_same_video: bool = False
    seed: int = 0  # of the untrained encoders
    batch_size: int = 32
    device: torch.device | str | None = None
    workers: int = 2  # threads that read clips
    progress: Callable[[str, int, int | None], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """What a method makes of the clips of a question, row by row."""

    name: str
    sounds: Float[Tensor, "n c"]
    frames: Float[Tensor, "n c"] | None

    def sides(self, task: str) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
        """The queries and the gallery of a task."""
        by_kind = {"sound": self.sounds, "image": self.frames}
        asked, found = (by_kind[kind] for kind in task.split("-"))
        if asked is None or found is None:
            raise ValueError(f"{self.name} has no frames")
        return asked, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What the first model found, with the query's own pair left out."""

    scores: Float[Tensor, "n k"]
    indices: Int64[Tensor, "n k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalResults:
    """What came out."""

    question: Question
    places: tuple[int, ...]  # where in the source each clip of the question stands
    rows: tuple[RetrievalScore, ...]
    answer: Neighbours
    unlabelled: int  # clips left out because they have no class
    skipped: tuple[UnreadableClip, ...]


def untrained(recipe: Recipe, seed: int) -> Encoders:
    """The encoders of a recipe before any training, drawn from a seed: the row "random"."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoders(recipe.encoder).eval()


def run_benchmark(
    models: Sequence[str],
    open_at: Callable[[int], Clips],
    files: Mapping[str, Path],
    settings: RetrievalOptions,
) -> RetrievalResults:
    """Ask every model, and what stands beside them, the same question.

    Beside the models stand untrained encoders of each of their recipes, statistics of the mel
    spectrogram (where only sounds are compared), the vectors in files, chance, and the best order
    there is.

    Files are looked at before the first clip is embedded, and for the clips of the question as soon
    as the first model has told which these are.

    Args:
        models: as `load_model` takes them, at least one.
        open_at: the clips, with frames of so many pixels if they are composed.
        files: of others' embeddings, by the name of their row.
        settings: the rest.

    Raises:
        HearsightError: a model or file that cannot be used, clips without labels, no clip that
            can be read, no such task or device.
    """
    for name, path in files.items():
        _from_file(name, path, settings.task, ids=())
    lineup = _lineup(models, settings.seed)
    first = _embed(*lineup[0], open_at, settings)
    rows = labelled(first)
    question = ask(first, rows, settings.task, drop_same_video=settings.drop_same_video)
    others = [_from_file(name, path, settings.task, question.ids) for name, path in files.items()]
    methods = [_vectors(lineup[0][0], first, first, rows)]
    for name, encoders, recipe in lineup[1:]:
        embedded = _embed(name, encoders, recipe, open_at, settings)
        methods.append(_vectors(name, embedded, first, rows))
    if settings.task == "sound-sound":
        methods.append(_vectors("mel statistics", _statistics(open_at, settings), first, rows))
    scores, answer = _scored([*methods, *others], question, settings)
    return RetrievalResults(
        question=question,
        places=tuple(first.places[row] for row in rows),
        rows=scores,
        answer=answer,
        unlabelled=len(first.ids) - len(rows),
        skipped=first.skipped,
    )


def _lineup(models: Sequence[str], seed: int) -> list[tuple[str, Encoders, Recipe]]:
    """The models, then untrained encoders of each of their shapes."""
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
    """Whether two recipes have the same encoders, which see and hear the same."""
    names = ("encoder", "spectrogram", "frame_size")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _scored(
    methods: Sequence[Vectors], question: Question, settings: RetrievalOptions
) -> tuple[tuple[RetrievalScore, ...], Neighbours]:
    """All rows of the table, and what the first method found."""
    device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    rows: list[RetrievalScore] = []
    first: dict[Own, Neighbours] = {}
    for own in readings(question.task):
        for number, method in enumerate(methods):
            scores, indices = question.find(*method.sides(question.task), own, device=device)
            first.setdefault(own, Neighbours(scores=scores, indices=indices))
            rows.append(score(method.name, question, own, indices))
            if settings.progress is not None:
                settings.progress(f"ranking, {own}", number + 1, len(methods))
        rows += references(question, own)
    return tuple(rows), first["left out"]


def _embed(
    name: str,
    encoders: Encoders,
    recipe: Recipe,
    open_at: Callable[[int], Clips],
    settings: RetrievalOptions,
) -> ClipEmbeddings:
    return embed_clips(
        encoders,
        recipe,
        open_at(recipe.frame_size),
        pooling=None if settings.task == "sound-sound" else settings.pooling,
        batch_size=settings.batch_size,
        device=settings.device,
        workers=settings.workers,
        progress=_told(settings, f"embedding, {name}"),
    )


def _statistics(open_at: Callable[[int], Clips], settings: RetrievalOptions) -> ClipEmbeddings:
    return embed_statistics(
        open_at(96),  # of composed frames, which nobody looks at
        batch_size=settings.batch_size,
        workers=settings.workers,
        progress=_told(settings, "embedding, mel statistics"),
    )


def _told(settings: RetrievalOptions, stage: str) -> Callable[[int, int], None] | None:
    progress = settings.progress
    if progress is None:
        return None
    return lambda done, total: progress(stage, done, total)


def _vectors(
    name: str, embedded: ClipEmbeddings, first: ClipEmbeddings, rows: Sequence[int]
) -> Vectors:
    """The rows of the question, which is about the clips that the first model could read.

    Raises:
        HearsightError: one of them can no longer be read.
    """
    where = {place: row for row, place in enumerate(embedded.places)}
    lost = [first.ids[row] for row in rows if first.places[row] not in where]
    if lost:
        raise HearsightError(f"The clip '{lost[0]}' could be read at first, but not again.")
    chosen = [where[first.places[row]] for row in rows]
    frames = None if embedded.frames is None else embedded.frames[chosen]
    return Vectors(name=name, sounds=embedded.sounds[chosen], frames=frames)


def _from_file(name: str, path: Path, task: str, ids: Sequence[str]) -> Vectors:
    """Others' vectors of these clips.

    Raises:
        HearsightError: what the task needs is not in the file, or cannot be compared.
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
    return Vectors(name=name, sounds=sounds, frames=frames)
