"""Embeddings: one unit vector for each sound and one for each frame.

A sound's vector is the sound encoder's, a frame's its grid of vectors pooled to one. All have
length 1, so that a dot product is a cosine; where an encoder has several heads, each head's part is
normalised, and the dot product is the mean of the heads' cosines.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_model
from hearsight.checkpoints.tensors import weights_digest
from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.errors import HearsightError
from hearsight.localising.localise import (
    SOUND_SECONDS,
    THRESHOLD,
    EncoderFrame,
    normalised,
    stacked,
    threshold_of,
)
from hearsight.media.samples import to_samples
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.device import move
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import unit
from hearsight.model.passes import in_passes, whole_passes
from hearsight.model.response import matched
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.progress import Progress, no_progress
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import evaluation_mode, waveforms_of

Pooling = Literal["mean", "max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "max")
BatchVectors = tuple[Float[Tensor, "b c"], Float[Tensor, "b c"] | None]  # of sounds, of frames


def check_pooling(word: str) -> Pooling:
    """The pooling of that name; raises HearsightError if there is none."""
    for pooling in POOLINGS:
        if word == pooling:
            return pooling
    raise HearsightError(f"Frames are pooled by {' or '.join(POOLINGS)}, not by '{word}'.")


def pool(grids: Float[Tensor, "b c h w"], pooling: Pooling) -> Float[Tensor, "b c"]:
    """One vector for each frame: the mean, or the maximum of each channel, over its grid.

    Source: the mean is what the released code of SSL-Align (Senocak et al., ICCV 2023) takes.
    """
    return grids.mean((2, 3)) if pooling == "mean" else grids.amax((2, 3))


def check_finite(vectors: Float[Tensor, "n c"], ids: Sequence[str] = ()) -> None:
    """Refuse embeddings with NaN or infinity.

    ids: of the clips that they are of, for the error.

    Raises:
        HearsightError: one is not finite.
    """
    broken = (~vectors.isfinite().all(1)).nonzero()[:, 0].tolist()
    if broken:
        whose = f" of clip '{ids[broken[0]]}'" if ids else ""
        raise HearsightError(f"An embedding{whose} is not finite: the weights are damaged.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """A model that makes embeddings of sounds and frames; `load_embedder` loads one."""

    encoders: Encoders  # on `device`, in evaluation mode
    recipe: Recipe
    source: str  # the checkpoint's absolute path, or the name of weights that come with the package
    device: torch.device
    threshold: float = THRESHOLD  # cosine, below which there is no source in a frame

    @property
    def seconds(self) -> float:
        """Length of the sound around a moment, the same as in `hearsight.localising.localise`."""
        return min(SOUND_SECONDS, self.recipe.spectrogram.seconds)

    @property
    def side(self) -> int:
        """Pixels of the shorter side of a frame."""
        return self.recipe.frame_size

    def digest(self) -> str:
        """A digest of the weights: 32 hexadecimal digits."""
        return weights_digest(self.encoders.state_dict(), 16)

    def sounds(
        self, sounds: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "n c"]:
        """Unit vectors of sounds in [-1, 1] of any lengths, at least one sample each.

        Raises:
            HearsightError: a vector is not finite.
        """
        waveforms = waveforms_of(self.recipe.spectrogram, [to_samples(each) for each in sounds])
        return _checked(self._one_by_one(self.waveform_vectors, waveforms))

    def frames(self, frames: Sequence[EncoderFrame]) -> Float32[np.ndarray, "n c"]:
        """Unit vectors of frames, all of one size: the mean over the grid.

        Raises:
            HearsightError: a vector is not finite.
        """

        def embed(pixels: Tensor) -> Tensor:
            return self.frame_vectors(normalised(pixels))

        return _checked(self._one_by_one(embed, stacked(frames)))

    def moments(
        self, frames: Sequence[EncoderFrame], sounds: Sequence[Float32[np.ndarray, " samples"]]
    ) -> tuple[
        Float32[np.ndarray, "n c"], Float32[np.ndarray, "n c"], Float32[np.ndarray, "n h w"]
    ]:
        """Unit vectors as of `frames` and `sounds`, and each frame's response map to its sound.

        Raises:
            HearsightError: a vector is not finite.
        """
        samples = [to_samples(each) for each in sounds]
        heard = self._one_by_one(self._hear, waveforms_of(self.recipe.spectrogram, samples))

        def see(pixels: Tensor) -> Tensor:
            return self._see(normalised(pixels))

        grids = self._one_by_one(see, stacked(frames))

        def respond(grids: Tensor, heard: Tensor) -> Tensor:
            return matched(self.encoders.respond(grids, heard)).float()

        responses = self._one_by_one(respond, grids, heard).cpu().numpy()
        return _checked(self._units(pool(grids, "mean"))), _checked(self._units(heard)), responses

    def _one_by_one(self, compute: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """`compute(*inputs)`, on a CPU each row by itself, several at the same time.

        So a moment has the same digits in any batch and for any number of threads.
        """
        rows = 1 if self.device.type == "cpu" else len(inputs[0])
        return in_passes(compute, *inputs, device=self.device, rows=rows)

    @torch.inference_mode()
    def waveform_vectors(self, waveforms: Float[Tensor, "n samples"]) -> Float[Tensor, "n c"]:
        """Unit vectors of waveforms of the front end's length, on the CPU."""
        return self._units(self._hear(waveforms))

    @torch.inference_mode()
    def frame_vectors(
        self, frames: Float[Tensor, "n 3 y x"], pooling: Pooling = "mean"
    ) -> Float[Tensor, "n c"]:
        """Unit vectors of ImageNet-normalised frames, on the CPU."""
        return self._units(pool(self._see(frames), pooling))

    def _hear(self, waveforms: Float[Tensor, "n samples"]) -> Float[Tensor, "n c"]:
        front = self.recipe.spectrogram
        return self.encoders.embed_sounds(front.finish(front.power(waveforms.to(self.device))))

    def _see(self, frames: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n c h w"]:
        return self.encoders.embed_frames(frames.to(self.device))

    def _units(self, vectors: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        return unit(vectors.float(), self.encoders.heads).cpu()


def _checked(vectors: Float[Tensor, "n c"]) -> Float32[np.ndarray, "n c"]:
    check_finite(vectors)
    array: Float32[np.ndarray, "n c"] = vectors.numpy()
    return array


def load_embedder(model: str | Path, device: str | None = None) -> Embedder:
    """Load a model, named as `load_model` takes it.

    Raises:
        HearsightError: there is no such model or device, or the checkpoint is damaged.
    """
    encoders, recipe, facts = load_model(model)
    place = move(encoders, device)
    path = Path(model)
    source = str(path.absolute()) if path.exists() else str(model)
    return Embedder(
        encoders=encoders.eval(),
        recipe=recipe,
        source=source,
        device=place,
        threshold=threshold_of(facts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEmbeddings:
    """The unit vectors of the clips of a source that could be read, in its order."""

    places: tuple[int, ...]  # index of each clip in the source
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    sources: tuple[str, ...]  # as in `Clip.source`
    sounds: Float[Tensor, "n c"]  # on the CPU
    frames: Float[Tensor, "n c"] | None  # on the CPU; None if only sounds were embedded
    skipped: tuple[UnreadableClip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClipInput:
    """A clip ready for the encoders. frame: None if only sounds are embedded."""

    place: int
    id: str
    label: str | None
    source: str
    sound: Int16[np.ndarray, " samples"]
    frame: Float[Tensor, "3 side side"] | None


def embed_clips(
    encoders: Encoders,
    recipe: Recipe,
    clips: Clips,
    *,
    pooling: Pooling | None = "mean",
    batch_size: int = 32,
    device: torch.device | str | None = None,
    workers: int = 2,
    progress: Progress = no_progress,
) -> ClipEmbeddings:
    """Embed every clip that can be read; those that cannot are in `skipped`.

    Args:
        encoders: moved to `device` and left there; in evaluation mode only meanwhile.
        recipe: of the encoders: its frame size and its front end for sounds.
        clips: with or without labels.
        pooling: of the frames' grids; None to embed sounds alone.
        batch_size: clips that are held at once; changes no number.
        device: the GPU if there is one, else the CPU, unless named.
        workers: threads that decode clips.
        progress: of the stage `embedding`, in clips.

    Raises:
        HearsightError: no clip can be read, no such device, or a vector is not finite.
    """
    embedder = Embedder(
        encoders=encoders, recipe=recipe, source=recipe.name, device=move(encoders, device)
    )

    def embed(items: Sequence[_ClipInput]) -> BatchVectors:
        waveforms = waveforms_of(recipe.spectrogram, [item.sound for item in items])
        heard = in_passes(embedder.waveform_vectors, waveforms, device=embedder.device)
        if pooling is None:
            return heard, None
        see = partial(embedder.frame_vectors, pooling=pooling)
        frames = torch.stack([item.frame for item in items if item.frame is not None])
        return heard, in_passes(see, frames, device=embedder.device)

    side = None if pooling is None else recipe.frame_size
    with evaluation_mode(encoders):
        return _embed_all(clips, embed, side, batch_size, workers, progress)


STATISTICS = MelSpectrogram(seconds=10.0, fft=512, hop=160, bins=64)


def embed_statistics(
    clips: Clips,
    *,
    batch_size: int = 32,
    workers: int = 2,
    progress: Progress = no_progress,
) -> ClipEmbeddings:
    """A baseline without learning: mean and deviation over time of each of 64 mel bands, in dB.

    Each of the 128 numbers is standardised over the clips, which needs no label. Frames are not
    embedded. Arguments and errors as in `embed_clips`.
    """

    def describe(waveforms: Float[Tensor, "n samples"]) -> Float[Tensor, "n c"]:
        bands = STATISTICS.finish(STATISTICS.power(waveforms))[:, 0]
        return torch.cat([bands.mean(2), bands.std(2)], dim=1)

    def embed(items: Sequence[_ClipInput]) -> BatchVectors:
        waveforms = waveforms_of(STATISTICS, [item.sound for item in items])
        return in_passes(describe, waveforms, device=torch.device("cpu")), None

    found = _embed_all(clips, embed, None, batch_size, workers, progress)
    deviation, mean = torch.std_mean(found.sounds, dim=0, correction=0)
    return replace(found, sounds=unit((found.sounds - mean) / deviation.clamp(min=1e-6)))


def _embed_all(
    clips: Clips,
    embed: Callable[[Sequence[_ClipInput]], BatchVectors],
    side: int | None,
    batch_size: int,
    workers: int,
    progress: Progress,
) -> ClipEmbeddings:
    """Read all clips ahead by threads and embed them batch by batch."""
    held: list[tuple[int, str, str | None, str]] = []
    vectors: list[BatchVectors] = []
    skipped: list[UnreadableClip] = []
    everything = read_ahead(
        lambda at: _read(clips, at, side), range(len(clips)), workers=workers, ahead=2 * batch_size
    )

    def readable() -> Iterator[_ClipInput]:
        for one in everything:
            if isinstance(one, _ClipInput):
                yield one
            else:
                skipped.append(one)

    for items in in_batches(readable(), whole_passes(batch_size)):
        vectors.append(embed(items))
        for some in vectors[-1]:
            if some is not None:
                check_finite(some, [item.id for item in items])
        held += [(item.place, item.id, item.label, item.source) for item in items]
        progress("embedding", len(held) + len(skipped), len(clips))
    if not held:
        raise HearsightError(f"None of the {len(clips)} clips can be read, so nothing is embedded.")
    columns: Any = tuple(zip(*held, strict=True))
    places, ids, labels, sources = columns
    frames = [some for _, some in vectors if some is not None]
    return ClipEmbeddings(
        places=places,
        ids=ids,
        labels=labels,
        sources=sources,
        sounds=torch.cat([some for some, _ in vectors]),
        frames=torch.cat(frames) if frames else None,
        skipped=tuple(skipped),
    )


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
