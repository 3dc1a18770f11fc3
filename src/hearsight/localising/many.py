"""Localises the sounds of many files by a pool of threads that share one model."""

import logging
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hearsight.checkpoints.checkpoint import Model, load_model
from hearsight.clips.read_ahead import read_ahead
from hearsight.errors import HearsightError
from hearsight.files.text import counted
from hearsight.localising.localise import (
    MODEL,
    check_every,
    load_localiser,
    localise_image,
    localise_video,
)
from hearsight.localising.moments import Moment
from hearsight.media.in_memory import Content, MediaFile, PictureSource, SoundSource
from hearsight.model.device import move

LOGGER = logging.getLogger(__name__)

Localisable: TypeAlias = MediaFile | tuple[PictureSource, SoundSource]
"""A video, or a picture and its sound."""

MOST_WORKERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalisedFile:
    """The moments of one of many files, or why there are none."""

    source: Any  # as it was given: what is no `Localisable` has an error
    moments: tuple[Moment, ...] = ()  # in order; one of a picture
    error: HearsightError | None = None  # the reason in one sentence

    def __repr__(self) -> str:
        source = reprlib.repr(self.source)  # it may be the bytes of a film
        found = (
            counted(len(self.moments), "moment") if self.error is None else f"error={self.error!r}"
        )
        return f"LocalisedFile({source}, {found})"


def localise_many(
    sources: Iterable[Localisable],
    *,
    model: Model | Path | str | None = None,
    workers: int = 2,
    every: float = 1.0,
    threshold: float | None = None,
    maps: bool = False,
    device: str | None = None,
    batch_size: int = 16,
) -> Iterator[LocalisedFile]:
    """The moments of many videos, or pictures with their sounds, in the order of the sources.

    Sources are taken only as fast as results are, so there may be infinitely many. One that cannot
    be localised gives its error, and the others go on. A file and its moments are held in memory
    until their turn, of at most 2 `workers` files. Options as in `localise_video`.

    sources: a video as in `localise_video`, or (picture, sound) as in `localise_image`. workers:
    threads, each of which reads and computes one file.

    Raises:
        HearsightError: at once, for a wrong option or model, or one file instead of several.
    """
    if isinstance(sources, str | Content | Path):
        raise HearsightError(
            f"`sources` must be several, such as a list: {_named(sources)} is one."
        )
    if not 1 <= workers <= MOST_WORKERS:
        raise HearsightError(f"`workers` must be from 1 to {MOST_WORKERS}, not {workers}.")
    if not isinstance(model, Model):
        model = load_model(MODEL if model is None else model)
        move(model.encoders, device)
    load_localiser(model, threshold=threshold, maps=maps, device=device, batch_size=batch_size)
    check_every(every)
    shared = model

    def localise(source: Any) -> LocalisedFile:
        try:
            if isinstance(source, tuple):
                if len(source) != 2:
                    raise HearsightError(f"{_named(source)} is no picture and its sound.")
                image, sound = source
                found = localise_image(image, sound, model=shared, threshold=threshold, maps=maps)
                return LocalisedFile(source=source, moments=(found,))
            if not (isinstance(source, str | Content | Path) or hasattr(source, "read")):
                raise HearsightError(f"{_named(source)} is no video: neither path, bytes nor file.")
            moments = localise_video(
                source,
                model=shared,
                every=every,
                threshold=threshold,
                maps=maps,
                batch_size=batch_size,
            )
            return LocalisedFile(source=source, moments=tuple(moments))
        except HearsightError as error:
            LOGGER.warning("not localised: %s", error)
            return LocalisedFile(source=source, error=error)

    return read_ahead(localise, sources, workers=workers, ahead=workers)


def _named(source: object) -> str:
    """A source in an error: in short, as it may be the bytes of a film."""
    return reprlib.repr(source)
