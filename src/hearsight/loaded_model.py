"""A loaded model as an object: it localises and embeds as often as it is asked to."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32

from hearsight.checkpoints import checkpoint
from hearsight.checkpoints.checkpoint import Model
from hearsight.errors import HearsightError
from hearsight.localising.frames import localise_frames
from hearsight.localising.localise import (
    MODEL,
    localise_image,
    localise_video,
    prepare_whole_frame,
)
from hearsight.localising.many import Localisable, LocalisedFile, localise_many
from hearsight.localising.moments import Moment
from hearsight.media.in_memory import (
    MediaFile,
    PictureSource,
    PixelSource,
    SoundSource,
    open_picture,
    open_sound,
)
from hearsight.media.sound_windows import loudest_window
from hearsight.model.device import device_of, move
from hearsight.progress import Notice, Progress, no_progress, warn
from hearsight.retrieval.embeddings import Embedder


class Embedding(NamedTuple):
    """Vectors of length 1: the dot product of two of one model is their cosine."""

    image: Float32[np.ndarray, " c"] | None  # None where no picture was given
    sound: Float32[np.ndarray, " c"] | None

    def __repr__(self) -> str:
        image, sound = (each if each is None else f"{len(each)} numbers" for each in self)
        return f"Embedding(image={image}, sound={sound})"


class LoadedModel(Model):
    """Encoders on their device, their recipe and the facts of their checkpoint, ready to be used.

    `load_model` gives one. Several threads may use it at once. The methods do what the functions
    of the same names do, options included; `model=` of those functions takes it as well.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"LoadedModel({self.recipe.name!r}, device={str(self.device)!r})"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return device_of(self.encoders)

    def localise_video(
        self,
        video: MediaFile,
        *,
        every: float = 1.0,
        overlay: Path | str | None = None,
        style: str | None = None,
        strip: str | None = None,
        threshold: float | None = None,
        maps: bool = False,
        batch_size: int = 16,
        progress: Progress = no_progress,
        notice: Notice = warn,
    ) -> Iterator[Moment]:
        """As `hearsight.localise_video`, errors included."""
        return localise_video(
            video,
            model=self,
            every=every,
            overlay=overlay,
            style=style,
            strip=strip,
            threshold=threshold,
            maps=maps,
            batch_size=batch_size,
            progress=progress,
            notice=notice,
        )

    def localise_image(
        self,
        image: PictureSource,
        sound: SoundSource,
        *,
        overlay: Path | str | None = None,
        style: str | None = None,
        threshold: float | None = None,
        maps: bool = False,
    ) -> Moment:
        """As `hearsight.localise_image`, errors included."""
        return localise_image(
            image,
            sound,
            model=self,
            overlay=overlay,
            style=style,
            threshold=threshold,
            maps=maps,
        )

    def localise_frames(
        self,
        frames: Iterable[PixelSource],
        times: Iterable[float],
        sound: SoundSource,
        *,
        threshold: float | None = None,
        maps: bool = False,
        batch_size: int = 16,
    ) -> Iterator[Moment]:
        """As `hearsight.localise_frames`, errors included."""
        return localise_frames(
            frames, times, sound, model=self, threshold=threshold, maps=maps, batch_size=batch_size
        )

    def localise_many(
        self,
        sources: Iterable[Localisable],
        *,
        workers: int = 2,
        every: float = 1.0,
        threshold: float | None = None,
        maps: bool = False,
        batch_size: int = 16,
    ) -> Iterator[LocalisedFile]:
        """As `hearsight.localise_many`, errors included."""
        return localise_many(
            sources,
            model=self,
            workers=workers,
            every=every,
            threshold=threshold,
            maps=maps,
            batch_size=batch_size,
        )

    def embed(
        self, *, image: PictureSource | None = None, sound: SoundSource | None = None
    ) -> Embedding:
        """The vectors of a picture, of a sound, or of both, as a library holds them.

        Of a picture the mean over its grid. Of a sound longer than the window its loudest window,
        as in `localise_image`.

        Raises:
            HearsightError: neither is given, a file cannot be read or has no sound, an array is of
                another kind, or a vector is not finite.
        """
        if image is None and sound is None:
            raise HearsightError("Give an image, a sound, or both to embed.")
        embedder = Embedder(
            encoders=self.encoders,
            recipe=self.recipe,
            source=self.recipe.name,
            device=self.device,
        )
        seen = heard = None
        if image is not None:
            frame = prepare_whole_frame(open_picture(image), embedder.side)
            seen = embedder.frames([frame])[0]
        if sound is not None:
            with open_sound(sound) as blocks:
                window = loudest_window(blocks, embedder.seconds)
            heard = embedder.sounds([window.samples])[0]
        return Embedding(seen, heard)


def load_model(source: str | Path = MODEL, *, device: str | None = None) -> LoadedModel:
    """A model ready to use, in evaluation mode.

    Args:
        source: a checkpoint file, a run folder (its best weights, else its last), a model folder,
            the name of a model that comes with the package, or `owner/name` or
            `owner/name@revision` of a model folder on a hub.
        device: such as `cpu` or `cuda`; by default a GPU if there is one.

    Raises:
        HearsightError: none of these, no such device, or a file that is damaged or no checkpoint.
    """
    loaded = LoadedModel(*checkpoint.load_model(source))
    move(loaded.encoders, device)
    return loaded
