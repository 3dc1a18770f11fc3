"""The retrieval benchmark: sound to sound, sound to image, image to sound, scored by class.

Every clip is a query once; the gallery is all clips. A hit is another clip of the query's class
(or any clip of it, where the query's own pair stays in the gallery).

Letters: `n` clips, `q` queries, `k` places of a ranking. A place that is empty, because fewer than
k clips are left, is no hit.

Source: SSL-TIE, Liu et al., ACM MM 2022, Tables 5 and 6, for the tasks.
Differs from the paper: there P@1 (60.19) is higher than A@10 (44.19), which cannot be with the
definitions here, where A@1 = P@1 and A@k grows with k. So no number here compares with its tables.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.errors import HearsightError, nearest
from hearsight.files.tables import rounded, text_table
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import rank
from hearsight.progress import Progress, no_progress, renamed
from hearsight.recipes.recipe import Recipe
from hearsight.retrieval.embedding_files import read_embeddings
from hearsight.retrieval.embeddings import ClipEmbeddings, Pooling, embed_clips, embed_statistics

KS = (1, 5, 10)  # of A@k and P@k
TASKS = ("sound-sound", "sound-image", "image-sound")
OwnPair = Literal["left out", "in gallery"]  # where the query's own pair is
ENDINGS = (".csv",)  # of a file with the table
NAME = "mean over\nqueries, classes"  # header of the column with the names of the rows
VGGSOUND_ID = re.compile(r".{11}_\d{6}")


def check_task(task: str) -> str:
    """The task of that name; raises HearsightError if there is none."""
    if task not in TASKS:
        raise HearsightError(
            f"There is no task '{task}': it may be {', '.join(TASKS)}.{nearest(task, TASKS)}"
        )
    return task


def own_pair_rules(task: str) -> tuple[OwnPair, ...]:
    """The rules for the query's own pair under which a task is scored.

    Among sounds the query itself is always left out. Across sound and image the released code of
    SSL-Align (Senocak et al., ICCV 2023) leaves the own pair in the gallery, where finding it is a
    hit.
    """
    return ("left out",) if task == "sound-sound" else ("in gallery", "left out")


def video_of(id: str, source: str) -> str:
    """The video that a clip is of: the YouTube id in an id of VGGSound's form, else the source.

    The source of a composed scene is its cut-out and its recording. A clip without a source is
    the only one of its video.
    """
    return id[:11] if VGGSOUND_ID.fullmatch(id) else source or f"clip {id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalTask:
    """A task on some clips, the same for every method."""

    name: str  # one of `TASKS`
    ids: tuple[str, ...]
    classes: tuple[str, ...]  # in alphabetical order
    labels: Int64[np.ndarray, " n"]  # of each clip, an index of `classes`
    videos: Int64[np.ndarray, " n"]  # the same number for clips of the same video
    drop_same_video: bool  # whether clips of the query's own video are left out

    def available(self, own: OwnPair) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """The number of clips of its class, and of all clips, in the gallery of each query."""
        count = len(self.ids)
        alike = np.bincount(self.labels)[self.labels]
        if not self.drop_same_video:
            lost = np.int64(own == "left out")
            return alike - lost, np.full(count, count) - lost
        pairs = self.videos * len(self.classes) + self.labels
        _, which, twins = np.unique(pairs, return_inverse=True, return_counts=True)
        back = np.int64(own == "in gallery")
        return alike - twins[which] + back, count - np.bincount(self.videos)[self.videos] + back

    def find(
        self,
        queries: Float[Tensor, "n c"],
        gallery: Float[Tensor, "n c"],
        own: OwnPair,
        k: int = max(KS),
        device: torch.device | str = "cpu",
    ) -> tuple[Float[Tensor, "n k"], Int64[Tensor, "n k"]]:
        """Scores and indices of the k nearest clips of each query, as `rank` gives them."""
        itself = torch.arange(len(self.ids), device=device)
        videos = torch.from_numpy(self.videos).to(device) if self.drop_same_video else None
        kept = own == "in gallery"
        scores, indices = rank(
            queries.to(device),
            gallery.to(device),
            k,
            exclude=None if kept else itself,
            allow=itself if kept else None,
            groups_of_queries=videos,
            groups_of_gallery=videos,
        )
        return scores.cpu(), indices.cpu()

    def hits(self, indices: Int64[Tensor, "n k"]) -> Bool[np.ndarray, "n k"]:
        """The places of each ranking that hold a clip of the query's class."""
        found = indices.numpy()
        return np.asarray((self.labels[found] == self.labels[:, None]) & (found >= 0))


def labelled_rows(embedded: ClipEmbeddings) -> list[int]:
    """The indices of the embedded clips that have a class label.

    Raises:
        HearsightError: fewer than two have one.
    """
    rows = [row for row, label in enumerate(embedded.labels) if label is not None]
    if len(rows) < 2:
        named = f"only '{embedded.ids[rows[0]]}' has" if rows else "none has"
        raise HearsightError(
            f"Of the {len(embedded.ids)} clips {named} a class label: retrieval is scored by class "
            "and needs at least two that have one."
        )
    return rows


def make_task(
    embedded: ClipEmbeddings, rows: Sequence[int], name: str, *, drop_same_video: bool
) -> RetrievalTask:
    """A task on some of the embedded clips, all of them labelled.

    Raises:
        HearsightError: no such task.
    """
    known = [str(embedded.labels[row]) for row in rows]
    classes, labels = np.unique(np.array(known), return_inverse=True)
    videos = [video_of(embedded.ids[row], embedded.sources[row]) for row in rows]
    return RetrievalTask(
        name=check_task(name),
        ids=tuple(embedded.ids[row] for row in rows),
        classes=tuple(map(str, classes)),
        labels=labels.astype(np.int64),
        videos=np.unique(np.array(videos), return_inverse=True)[1].astype(np.int64),
        drop_same_video=drop_same_video,
    )


# Accuracy and precision at k


def accuracy_at(hits: Bool[np.ndarray, "q places"], k: int) -> Float64[np.ndarray, " q"]:
    """A@k: 1 where at least one of the first k places is a hit, else 0."""
    return np.asarray(hits[:, :k].any(1), np.float64)


def precision_at(hits: Bool[np.ndarray, "q places"], k: int) -> Float64[np.ndarray, " q"]:
    """P@k: hits among the first k places over k, also where fewer than k places are filled."""
    return np.asarray(hits[:, :k].sum(1) / k)


def chance_accuracy_at(
    relevant: Int64[np.ndarray, " q"], available: Int64[np.ndarray, " q"], k: int
) -> Float64[np.ndarray, " q"]:
    """A@k averaged over all orders of the `available` clips, `relevant` of them hits.

    1 - C(available - relevant, k) / C(available, k).
    """
    missed = np.ones(len(relevant))
    for place in range(k):
        left = available - place
        others = np.maximum(left - relevant, 0)
        missed *= np.where(left > 0, others / np.maximum(left, 1), 1.0)
    return np.asarray(1 - missed)


def chance_precision_at(
    relevant: Int64[np.ndarray, " q"], available: Int64[np.ndarray, " q"], k: int
) -> Float64[np.ndarray, " q"]:
    """P@k averaged over all orders of the `available` clips, `relevant` of them hits."""
    return np.asarray(relevant / np.maximum(available, 1) * np.minimum(available, k) / k)


def best_accuracy(relevant: Int64[np.ndarray, " q"]) -> Float64[np.ndarray, " q"]:
    """The highest A@k of any order, for any k: 0 where no clip has the query's class."""
    return np.asarray(relevant > 0, np.float64)


def best_precision_at(relevant: Int64[np.ndarray, " q"], k: int) -> Float64[np.ndarray, " q"]:
    """The highest P@k of any order: all hits first."""
    return np.asarray(np.minimum(relevant, k) / k)


def class_mean(values: Float64[np.ndarray, " q"], classes: Int64[np.ndarray, " q"]) -> float:
    """The mean over classes of the mean over each class's queries; at least one query.

    classes: of each query, from 0 on; a class without a query does not count.
    """
    counts = np.bincount(classes)
    sums = np.bincount(classes, weights=values)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


# Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScore:
    """One row of the table; numbers are fractions from 0 to 1, one for each of `KS`."""

    name: str
    task: str
    own: OwnPair
    same_video: str  # "keep" or "drop"
    queries: int
    classes: int
    accuracy: tuple[float, ...]  # mean over queries
    precision: tuple[float, ...]
    class_accuracy: tuple[float, ...]  # mean over classes of the mean over each class's queries
    class_precision: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """The row of the table, rounded to five digits."""
        cells: dict[str, Any] = {
            "name": self.name,
            "task": self.task,
            "own pair": self.own,
            "same video": self.same_video,
            "queries": self.queries,
            "classes": self.classes,
        }
        for over, accuracy, precision in (
            ("", self.accuracy, self.precision),
            ("class ", self.class_accuracy, self.class_precision),
        ):
            cells |= {f"{over}A@{k}": v for k, v in zip(KS, accuracy, strict=True)}
            cells |= {f"{over}P@{k}": v for k, v in zip(KS, precision, strict=True)}
        return rounded(cells)


Metric = Callable[[int], Float64[np.ndarray, " n"]]  # of every query, at a k


def _score(
    name: str, task: RetrievalTask, own: OwnPair, accuracy: Metric, precision: Metric
) -> RetrievalScore:
    def over_classes(values: Float64[np.ndarray, " n"]) -> float:
        return class_mean(values, task.labels)

    return RetrievalScore(
        name=name,
        task=task.name,
        own=own,
        same_video="drop" if task.drop_same_video else "keep",
        queries=len(task.ids),
        classes=len(task.classes),
        accuracy=tuple(float(accuracy(k).mean()) for k in KS),
        precision=tuple(float(precision(k).mean()) for k in KS),
        class_accuracy=tuple(over_classes(accuracy(k)) for k in KS),
        class_precision=tuple(over_classes(precision(k)) for k in KS),
    )


def score(
    name: str, task: RetrievalTask, own: OwnPair, indices: Int64[Tensor, "n k"]
) -> RetrievalScore:
    """The row of a method with these rankings, of at least `max(KS)` places each."""
    hits = task.hits(indices)
    return _score(name, task, own, lambda k: accuracy_at(hits, k), lambda k: precision_at(hits, k))


def chance_and_best(task: RetrievalTask, own: OwnPair) -> tuple[RetrievalScore, RetrievalScore]:
    """The rows of chance (the exact mean over all orders) and of the best possible order."""
    relevant, available = task.available(own)
    chance = _score(
        "chance",
        task,
        own,
        lambda k: chance_accuracy_at(relevant, available, k),
        lambda k: chance_precision_at(relevant, available, k),
    )
    best = _score(
        "best possible",
        task,
        own,
        lambda k: best_accuracy(relevant),
        lambda k: best_precision_at(relevant, k),
    )
    return chance, best


def table_text(scores: Sequence[RetrievalScore], *, width: int = 120) -> str:
    """The rows in percent: a table for each rule for the own pair, and an empty line below it."""
    tables = []
    for own in dict.fromkeys(one.own for one in scores):
        rows = [one for one in scores if one.own == own]
        first = rows[0]
        pair = "itself" if first.task == "sound-sound" else "its own pair"
        text = text_table(
            [_printed(one) for one in rows],
            left=(NAME,),
            title=f"{first.task}, {pair} {own}, clips of the same video: {first.same_video}; "
            f"{first.queries:,} queries of {first.classes} classes",
            ruled=False,
            width=width,
        )
        tables.append("\n".join(line.rstrip() for line in text.splitlines()))
    return "\n".join(f"{table}\n" for table in tables)


def _printed(one: RetrievalScore) -> dict[str, str]:
    columns = [f"{over}\n{kind}@{k}" for over in ("", "class") for kind in "AP" for k in KS]
    numbers = (*one.accuracy, *one.precision, *one.class_accuracy, *one.class_precision)
    shown = {name: f"{100 * value:.1f}" for name, value in zip(columns, numbers, strict=True)}
    return {NAME: one.name, **shown}


def notes(task: RetrievalTask, unlabelled: int) -> list[str]:
    """Notes below the table, a line each: classes of one clip, and clips without a class."""
    lonely = int((np.bincount(task.labels)[task.labels] == 1).sum())
    lines = []
    if lonely:
        lines.append(
            f"{lonely} clips are the only ones of their class: left out of the gallery, "
            "they cannot be found, and count as missed."
        )
    if unlabelled:
        lines.append(f"{unlabelled} clips have no class label and are left out.")
    return lines


# Methods


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoders(recipe.encoder).eval()


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
    return embed_clips(
        encoders,
        recipe,
        open_at(recipe.frame_size),
        pooling=None if options.task == "sound-sound" else options.pooling,
        batch_size=options.batch_size,
        device=options.device,
        workers=options.workers,
        progress=renamed(options.progress, after=f", {name}"),
    )


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
