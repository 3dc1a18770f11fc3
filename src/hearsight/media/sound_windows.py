"""Windows of sound around given moments, cut from a sound that is streamed in blocks."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from hearsight.media.samples import RATE

QUIET = -60.0  # dBFS, root mean square; a moment below it is silent


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundWindow:
    """The sound around a moment."""

    time: float  # seconds, the moment
    samples: Float32[np.ndarray, " samples"]
    level: float  # dBFS, root mean square; -inf where there is no sound


def level_of(samples: Float32[np.ndarray, " samples"]) -> float:
    """Root mean square in dBFS; -inf for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def levels(blocks: Iterable[Float32[np.ndarray, " _"]], step: float) -> list[float]:
    """The level of each `step` seconds of a sound streamed in blocks, in dBFS; -inf for silence."""
    length = max(1, round(step * RATE))
    found, held = [], np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        whole = len(held) // length
        found += [level_of(part) for part in held[: whole * length].reshape(whole, length)]
        held = held[whole * length :]
    return [*found, level_of(held)] if len(held) else found


def sound_windows(
    blocks: Iterable[Float32[np.ndarray, " _"]], times: Iterable[float], seconds: float
) -> Iterator[SoundWindow]:
    """The window around each of the rising times (seconds), from a sound streamed in blocks.

    All windows lie within the sound and have the same length: `seconds`, or the whole sound if
    that is shorter. The level is measured over the second around the moment. Memory: one window
    and one block.
    """
    length = round(seconds * RATE)
    half = min(RATE, length) // 2
    arriving = iter(blocks)
    held, begin, ended = np.zeros(0, np.float32), 0, False  # held[0] is sample `begin`
    for time in times:
        middle = round(time * RATE)
        first = max(middle - length // 2, 0)
        while not ended and begin + len(held) < first + length:
            block = next(arriving, None)
            if block is None:
                ended = True
                break
            held = np.concatenate([held, block])
            spare = max(0, min(first - begin, len(held) - length))
            held, begin = held[spare:], begin + spare
        start = max(min(first - begin, len(held) - length), 0)
        window = held[start : start + length]
        around = held[max(middle - half - begin, 0) : max(middle + half - begin, 0)]
        if not len(window):
            window = np.zeros(length, np.float32)
        yield SoundWindow(time=time, samples=window, level=level_of(around))


def loudest_window(blocks: Iterable[Float32[np.ndarray, " _"]], seconds: float) -> SoundWindow:
    """The window of `seconds` with the highest level, in steps of half a window.

    The sound arrives in blocks of any length; a sound shorter than a window counts whole.
    """
    length = round(seconds * RATE)
    step = max(1, length // 2)
    held, begin = np.zeros(0, np.float32), 0
    best: SoundWindow | None = None
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= length + step:  # the last window waits for the end of the sound
            best = _louder(best, held[:length], begin)
            held, begin = held[step:], begin + step
    best = _louder(best, held[:length], begin)
    if len(held) > length:
        best = _louder(best, held[-length:], begin + len(held) - length)
    if not len(best.samples):
        return SoundWindow(time=0.0, samples=np.zeros(length, np.float32), level=-math.inf)
    return best


def _louder(
    best: SoundWindow | None, samples: Float32[np.ndarray, " samples"], begin: int
) -> SoundWindow:
    level = level_of(samples)
    if best is not None and best.level >= level:
        return best
    return SoundWindow(time=(begin + len(samples) / 2) / RATE, samples=samples, level=level)
