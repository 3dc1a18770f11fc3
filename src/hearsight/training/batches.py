"""Loads clips and collates them into batches, in an order set by the seed.

Each clip is requested by a `Slot`: which clip, in which epoch, mixed with which partner. So the
workers hold no state of their own, and batch k of epoch e is the same whether the run was
interrupted or not, with any number of workers.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int16, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hearsight.clips.clip import Box, Clips, UnreadableClip, annotation, fit_frame
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE, fit_sound
from hearsight.recipes.recipe import Recipe

NO_PARTNER = -1
COMPOSED = 7 / 6  # side of scenes composed for training, in frame sizes: leaves room for crops
CANVAS = 4 / 3  # largest shorter side of a loaded frame, in frame sizes: a crop uses no more


class Slot(NamedTuple):
    """A clip of a batch to be loaded: its epoch if endless, its number, that of its partner."""

    epoch: int
    clip: int
    partner: int = NO_PARTNER


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedClip:
    """The frame and sounds of a slot, read by a worker."""

    id: str
    frame: UInt8[np.ndarray, "height width 3"]
    sound: Int16[np.ndarray, " samples"]
    partner: Int16[np.ndarray, " samples"] | None
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    unreadable: tuple[UnreadableClip, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Collated clips. Frames lie in the upper left corner of zero-padded canvases."""

    ids: tuple[str, ...]
    frames: UInt8[Tensor, "b 3 height width"]
    sizes: Int64[Tensor, "b 2"]  # pixels: true height and width of each frame
    sounds: Int16[Tensor, "b samples"]
    partners: Int16[Tensor, "b samples"] | None = None
    labels: tuple[str | None, ...] = ()
    boxes: tuple[tuple[Box, ...] | None, ...] = ()
    unreadable: tuple[UnreadableClip, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> "Batch":
        """Copy what is computed with to `device`."""
        return replace(
            self,
            frames=self.frames.to(device, non_blocking=True),
            sizes=self.sizes.to(device, non_blocking=True),
            sounds=self.sounds.to(device, non_blocking=True),
            partners=None if self.partners is None else self.partners.to(device, non_blocking=True),
        )

    def first(self, count: int) -> "Batch":
        """The first `count` clips."""
        return Batch(
            ids=self.ids[:count],
            frames=self.frames[:count],
            sizes=self.sizes[:count],
            sounds=self.sounds[:count],
            partners=None if self.partners is None else self.partners[:count],
            labels=self.labels[:count],
            boxes=self.boxes[:count],
            unreadable=self.unreadable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A batch of which no clip could be read."""

    unreadable: tuple[UnreadableClip, ...]


class LoadedClips(Dataset[LoadedClip | UnreadableClip]):
    """Reads slots as frames and sounds. For a clip that cannot be read it returns the error.

    side: pixels, as `fit_frame` takes it.
    """

    def __init__(self, clips: Clips, side: int) -> None:
        self.clips = clips
        self.side = side

    def __getitem__(self, slot: Slot) -> LoadedClip | UnreadableClip:
        set_epoch(self.clips, slot.epoch)
        try:
            clip = self.clips[slot.clip]
        except UnreadableClip as error:
            return error
        partner = None
        unreadable: tuple[UnreadableClip, ...] = ()
        if slot.partner != NO_PARTNER:
            try:
                partner = self.clips.sound(slot.partner)
            except UnreadableClip as error:
                unreadable = (error,)
        return LoadedClip(
            id=clip.id,
            frame=fit_frame(clip.frame, self.side),
            sound=clip.sound,
            partner=partner,
            label=clip.label,
            boxes=clip.boxes,
            unreadable=unreadable,
        )


def set_epoch(clips: Clips, epoch: int) -> None:
    """Change endless clips to those of an epoch; other clips are the same in every epoch."""
    change = getattr(clips, "set_epoch", None)
    if change is not None:
        change(epoch)


def collate(
    items: Sequence[LoadedClip | UnreadableClip], seconds: float, mixing: bool
) -> Batch | Unread:
    """Collate loaded clips; those that could not be read are left out and named.

    A sound without a partner (none requested, or unreadable) is its own partner, so mixing does
    not change it.

    Args:
        items: of one batch.
        seconds: of each sound, where their lengths differ.
        mixing: whether partners are collated too.
    """
    readable = [item for item in items if isinstance(item, LoadedClip)]
    unreadable = [item for item in items if isinstance(item, UnreadableClip)]
    for item in readable:
        unreadable.extend(item.unreadable)
    if not readable:
        return Unread(unreadable=tuple(unreadable))
    heights, widths = zip(*(item.frame.shape[:2] for item in readable), strict=True)
    frames = np.zeros((len(readable), max(heights), max(widths), 3), dtype=np.uint8)
    for canvas, item in zip(frames, readable, strict=True):
        canvas[: item.frame.shape[0], : item.frame.shape[1]] = item.frame
    partners = [item.sound if item.partner is None else item.partner for item in readable]
    lengths = {len(sound) for sound in (*(item.sound for item in readable), *partners)}
    samples = lengths.pop() if len(lengths) == 1 else round(seconds * RATE)
    return Batch(
        ids=tuple(item.id for item in readable),
        frames=torch.from_numpy(frames).permute(0, 3, 1, 2),
        sizes=torch.tensor(list(zip(heights, widths, strict=True)), dtype=torch.int64),
        sounds=stack([fit_sound(item.sound, samples) for item in readable]),
        partners=stack([fit_sound(sound, samples) for sound in partners]) if mixing else None,
        labels=tuple(item.label for item in readable),
        boxes=tuple(item.boxes for item in readable),
        unreadable=tuple(unreadable),
    )


def stack(sounds: Sequence[Int16[np.ndarray, " samples"]]) -> Int16[Tensor, "b samples"]:
    """Sounds of one length as one tensor."""
    return torch.from_numpy(np.stack(sounds))


def fitted_sound(sound: Int16[np.ndarray, " _"], seconds: float) -> Int16[Tensor, " samples"]:
    """A sound of `seconds` seconds by `fit_sound`, as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(fit_sound(sound, round(seconds * RATE))))


def with_labels(recipe: Recipe, clips: Clips) -> Recipe:
    """A copy, whose epochs may change, with the classes of the clips where it learns from them.

    Raises:
        HearsightError: it learns from classes, and no clip has one.
    """
    if not recipe.needs_labels or recipe.labels:
        return replace(recipe)
    names = label_names(clips)
    return replace(recipe, labels=names, encoder=replace(recipe.encoder, classes=len(names)))


def label_names(clips: Clips) -> tuple[str, ...]:
    """The classes of the clips, in alphabetical order.

    Composed scenes list them; of other data every annotation is read, without decoding the clip
    where the data allow that. So a class whose clips are all damaged is counted too.

    Raises:
        HearsightError: no clip has a class.
    """
    known = getattr(clips, "labels", None)
    if known is None:
        known = set()
        for index in range(len(clips)):
            with suppress(UnreadableClip):
                known.add(annotation(clips, index)[0])
    names = tuple(sorted(label for label in known if label is not None))
    if not names:
        raise HearsightError("The objective learns classes, but the data name none.")
    return names


def shuffled(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    """The order of the clips in an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(count)


class Batches:
    """The batches of each epoch, in an order set by the recipe's seed.

    The joined batch of `recipe.batch_size` clips is the same for any number of processes;
    each process loads its own equal part of it. The last, smaller batch of an epoch is left out.

    Raises:
        HearsightError: fewer clips than one batch, or a batch that does not divide.
    """

    def __init__(
        self, clips: Clips, recipe: Recipe, *, workers: int = 1, processes: int = 1, rank: int = 0
    ) -> None:
        if len(clips) < recipe.batch_size:
            fits = len(clips) >= recipe.least_clips
            smaller = f"`batch_size={len(clips)}` or " if fits else ""
            raise HearsightError(
                f"The data hold {len(clips)} clips, fewer than one batch of {recipe.batch_size}: "
                f"use {smaller}more data."
            )
        if recipe.batch_size % processes:
            raise HearsightError(
                f"A batch_size of {recipe.batch_size} cannot be shared by {processes} processes."
            )
        self.clips, self.recipe, self.workers = clips, recipe, workers
        self.rank, self.part = rank, recipe.batch_size // processes
        self.items = LoadedClips(clips, round(recipe.frame_size * CANVAS))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.clips) // self.recipe.batch_size

    def slots(
        self, epoch: int, first: int, partners: Int64[np.ndarray, " count"] | None
    ) -> list[list[Slot]]:
        """This process's part of the batches of an epoch, from batch `first` on."""
        order = shuffled(len(self.clips), self.recipe.seed, epoch)
        composed = epoch % (self.recipe.fresh_epochs or epoch + 1)
        batches = []
        for batch in range(first, len(self)):
            start = batch * self.recipe.batch_size + self.rank * self.part
            clips = order[start : start + self.part].tolist()
            batches.append(
                [
                    Slot(composed, i, NO_PARTNER if partners is None else int(partners[i]))
                    for i in clips
                ]
            )
        return batches

    def chosen(self, places: Sequence[int]) -> Batch | Unread:
        """Some clips, by their numbers, as a batch of the first epoch, read in this process."""
        seconds = self.recipe.spectrogram.seconds
        return collate([self.items[Slot(0, each)] for each in places], seconds, mixing=False)

    def epoch(
        self, epoch: int, *, first: int = 0, partners: Int64[np.ndarray, " count"] | None = None
    ) -> Iterator[Batch | Unread]:
        """Load the batches of an epoch."""
        seconds = self.recipe.spectrogram.seconds
        loader: DataLoader[Any] = DataLoader(
            self.items,
            batch_sampler=self.slots(epoch, first, partners),
            collate_fn=Collate(seconds, mixing=partners is not None),
            num_workers=self.workers,
            worker_init_fn=one_thread if self.workers else None,
            prefetch_factor=4 if self.workers else None,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # of the workers' seeds, which nothing uses
        )
        yield from loaded(loader)


def loaded(loader: DataLoader[Any]) -> Iterator[Any]:
    """What a loader gives; garbage of this process is collected before its workers are forked.

    A video frame that FFmpeg's threads have scaled waits for these when it is freed, for ever in a
    process that lacks them, as a forked one does.
    """
    if loader.num_workers:
        gc.collect()
    yield from loader


@dataclass(frozen=True, slots=True)
class Collate:
    """`collate` with its arguments, picklable for the workers."""

    seconds: float
    mixing: bool

    def __call__(self, items: Sequence[LoadedClip | UnreadableClip]) -> Batch | Unread:
        return collate(items, self.seconds, self.mixing)


def one_thread(worker: int) -> None:
    """Let a worker compute on one core: the others are the model's."""
    torch.set_num_threads(1)
