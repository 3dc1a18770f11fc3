"""Localises the sound of a video whose frames are in memory."""

import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.read_ahead import in_batches
from hearsight.errors import HearsightError
from hearsight.localising.localise import (
    EncoderFrame,
    Localiser,
    load_localiser,
    prepare_whole_frame,
)
from hearsight.localising.moments import Moment
from hearsight.media.in_memory import PixelSource, SoundSource, as_pixels, open_sound
from hearsight.media.sound_windows import SoundWindow, sound_windows


def localise_frames(
    frames: Iterable[PixelSource],
    times: Iterable[float],
    sound: SoundSource,
    *,
    model: Model | Path | str | None = None,
    threshold: float | None = None,
    maps: bool = False,
    device: str | None = None,
    batch_size: int = 16,
) -> Iterator[Moment]:
    """A `Moment` for each frame of a video in memory, in order; options as in `localise_video`.

    The frame number of a moment is the frame's place among those given, from 0; no rate is known.
    Frames and times are taken as moments are, `batch_size` at once.

    frames: RGB pixels, height x width x 3, uint8, all of one size. times: rising, of each frame, in
    seconds from the start of the sound. sound: as in `localise_image`.

    Raises:
        HearsightError: for a wrong option at once; in its turn for a frame of another kind or
            size, more frames than times or the reverse, times that do not rise, and a sound that
            cannot be read.
    """
    localiser = load_localiser(
        model, threshold=threshold, maps=maps, device=device, batch_size=batch_size
    )
    return _frame_moments(frames, times, sound, localiser)


def _frame_moments(
    frames: Iterable[PixelSource], times: Iterable[float], sound: SoundSource, localiser: Localiser
) -> Iterator[Moment]:
    with open_sound(sound) as blocks:
        prepared = _prepare_alike(frames, localiser.recipe.frame_size)
        windows = sound_windows(blocks, _rising(times), localiser.seconds)
        for part in in_batches(_pairs(prepared, windows), localiser.batch_size):
            yield from (one.moment for one in localiser(*zip(*part, strict=True)))


def _pairs(
    frames: Iterator[EncoderFrame], windows: Iterator[SoundWindow]
) -> Iterator[tuple[EncoderFrame, SoundWindow]]:
    """Each frame with its sound; raises HearsightError where one is left alone."""
    for frame, window in zip_longest(frames, windows):
        if frame is None or window is None:
            raise HearsightError("There must be one time for each frame.")
        yield frame, window


def _rising(times: Iterable[float]) -> Iterator[float]:
    last = -math.inf
    for time in times:
        if not (last <= time < math.inf and time >= 0):
            raise HearsightError(f"Times are seconds from 0 up that rise, not {time} after {last}.")
        last = time
        yield float(time)


def _prepare_alike(frames: Iterable[PixelSource], side: int) -> Iterator[EncoderFrame]:
    first = None
    for number, pixels in enumerate(map(as_pixels, frames)):
        first = first or pixels.shape
        if pixels.shape != first:
            raise HearsightError("All frames must have the size of the first.")
        yield prepare_whole_frame(pixels, side, number=number)
