"""Clips become vectors that can be compared: one for the sound, one for the frame.

Vectors have length 1, so that the dot product of two is their cosine; of an encoder with several
heads each head's part is normalised, so that it is the mean of the heads' cosines.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.errors import HearsightError
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.device import move
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import unit
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import spectrograms_of

Pooling = Literal["mean", "max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "max")


def check_pooling(word: str) -> Pooling:
    """The pooling of that name; raises HearsightError if there is none."""
    for pooling in POOLINGS:
        if word == pooling:
            return pooling
    raise HearsightError(f"Frames are pooled by {' or '.join(POOLINGS)}, not by '{word}'.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEmbeddings:
    """The clips of a source that could be read, in its order, and their unit vectors."""

    places: tuple[int, ...]  # where in the source each stands
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    sources: tuple[str, ...]  # as in `Clip.source`
    sounds: Float[Tensor, "n c"]  # on the CPU
    frames: Float[Tensor, "n c"] | None  # on the CPU; None if they were not wanted
    skipped: tuple[UnreadableClip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClipInput:
    """A clip ready to be embedded."""

    place: int
    id: str
    label: str | None
    source: str
    sound: Int16[np.ndarray, " samples"]
    frame: Float[Tensor, "3 side side"] | None


Vectors = tuple[Tensor, Tensor | None]  # of the sounds and of the frames of a batch


def pool(grids: Float[Tensor, "b c h w"], pooling: Pooling) -> Float[Tensor, "b c"]:
    """One vector for each frame: the mean, or the largest value of each channel, over its grid.

    Source: the mean is what the released code of SSL-Align (Senocak et al., ICCV 2023) takes.
    """
    return grids.mean((2, 3)) if pooling == "mean" else grids.amax((2, 3))


def embed_clips(
    encoders: Encoders,
    recipe: Recipe,
    clips: Clips,
    *,
    pooling: Pooling | None = "mean",
    batch_size: int = 32,
    device: torch.device | str | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> ClipEmbeddings:
    """Embed every clip that can be read; the others are named in the result.

    Args:
        encoders: moved to `device` and left there; in evaluation mode only meanwhile.
        recipe: of the encoders: its frame size and its front end for sounds.
        clips: with or without labels.
        pooling: of the frames' grids; None leaves the frames out.
        batch_size: clips that go through the encoders at once.
        device: the GPU if there is one, else the CPU, unless named.
        workers: threads that decode clips.
        progress: called with the number of clips done and that of all.

    Raises:
        HearsightError: no clip can be read, no such device, or a vector is not finite.
    """
    place = move(encoders, device)

    def embed(items: Sequence[_ClipInput]) -> Vectors:
        sounds = [item.sound for item in items]
        heard = encoders.embed_sounds(spectrograms_of(recipe.spectrogram, sounds, place))
        if pooling is None:
            return heard, None
        frames = torch.stack([item.frame for item in items if item.frame is not None])
        return heard, pool(encoders.embed_frames(frames.to(place)), pooling)

    training = encoders.training
    encoders.eval()
    side = None if pooling is None else recipe.frame_size
    try:
        found = _pass(clips, embed, side, batch_size, workers, progress)
    finally:
        encoders.train(training)
    return found.embedded(lambda vectors: unit(vectors, encoders.heads))


STATISTICS = MelSpectrogram(seconds=10.0, fft=512, hop=160, bins=64)


def embed_statistics(
    clips: Clips,
    *,
    batch_size: int = 32,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> ClipEmbeddings:
    """Sounds without any learning: mean and deviation over time of each of 64 mel bands, in dB.

    Each of the 128 numbers is then brought to mean 0 and deviation 1 over the clips, which uses
    no label. Frames are not embedded. Arguments and errors as in `embed_clips`.
    """

    def embed(items: Sequence[_ClipInput]) -> Vectors:
        sounds = [item.sound for item in items]
        bands = spectrograms_of(STATISTICS, sounds, torch.device("cpu"))[:, 0]
        return torch.cat([bands.mean(2), bands.std(2)], dim=1), None

    def standardised(vectors: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        deviation, mean = torch.std_mean(vectors, dim=0, correction=0)
        return unit((vectors - mean) / deviation.clamp(min=1e-6))

    return _pass(clips, embed, None, batch_size, workers, progress).embedded(standardised)


@dataclass(slots=True)
class _Gathered:
    """What a pass over the clips has gathered so far."""

    items: list[tuple[int, str, str | None, str]] = field(default_factory=list)
    sounds: list[Tensor] = field(default_factory=list)
    frames: list[Tensor] = field(default_factory=list)
    skipped: list[UnreadableClip] = field(default_factory=list)

    def add(self, items: Sequence[_ClipInput], vectors: Vectors) -> None:
        """Keep the vectors of a batch, whose clips are then forgotten.

        Raises:
            HearsightError: one is not finite.
        """
        for parts, new in ((self.sounds, vectors[0]), (self.frames, vectors[1])):
            if new is None:
                continue
            new = new.float().cpu()
            broken = (~new.isfinite().all(1)).nonzero()[:, 0].tolist()
            if broken:
                raise HearsightError(
                    f"An embedding of clip '{items[broken[0]].id}' is not finite: the weights are "
                    "damaged."
                )
            parts.append(new)
        self.items += [(item.place, item.id, item.label, item.source) for item in items]

    def embedded(self, normalise: Callable[[Tensor], Tensor]) -> ClipEmbeddings:
        """All of it, the vectors normalised."""
        columns: Any = tuple(zip(*self.items, strict=True))
        places, ids, labels, sources = columns
        return ClipEmbeddings(
            places=places,
            ids=ids,
            labels=labels,
            sources=sources,
            sounds=normalise(torch.cat(self.sounds)),
            frames=normalise(torch.cat(self.frames)) if self.frames else None,
            skipped=tuple(self.skipped),
        )


@torch.inference_mode()
def _pass(
    clips: Clips,
    embed: Callable[[Sequence[_ClipInput]], Vectors],
    side: int | None,
    batch_size: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> _Gathered:
    """Read all clips ahead by threads and embed them batch by batch."""
    found = _Gathered()
    everything = read_ahead(
        lambda at: _read(clips, at, side), range(len(clips)), workers=workers, ahead=2 * batch_size
    )
    for batch in in_batches(everything, batch_size):
        found.skipped += [item for item in batch if isinstance(item, UnreadableClip)]
        items = [item for item in batch if isinstance(item, _ClipInput)]
        if items:
            found.add(items, embed(items))
        if progress is not None:
            progress(len(found.items) + len(found.skipped), len(clips))
    if not found.items:
        raise HearsightError(f"None of the {len(clips)} clips can be read, so nothing is embedded.")
    return found


def _read(clips: Clips, place: int, side: int | None) -> _ClipInput | UnreadableClip:
    try:
        clip = clips[place]
    except UnreadableClip as error:
        return error
    if not len(clip.sound):
        return UnreadableClip(clip.id, "its sound is empty")
    return _ClipInput(
        place=place,
        id=clip.id,
        label=clip.label,
        source=clip.source,
        sound=clip.sound,
        frame=None if side is None else evaluation_frame(clip.frame, side),
    )
