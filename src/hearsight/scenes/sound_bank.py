"""Recordings made ready to be played: endless loops of one bandwidth, at any pitch, with noise."""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int64

from hearsight.media.samples import RATE, round_samples

Samples = TypeVar("Samples", Int16[np.ndarray, " _"], Float32[np.ndarray, " _"])

CUTOFF = 3_400.0
"""Hz: nothing plays above. The narrowest recordings at hand were sampled at 8 kHz and end, a
semitone lower, here; without a common cutoff a model could tell classes by their file format."""

PITCH = 0.06  # a recording plays up to so much lower or higher
PITCHES = 25  # different ones, evenly spaced
FINER = 4  # loops are kept at so many times RATE: then linear interpolation leaves -50 dB behind
LOUDNESS = 0.1  # root mean square of a recording at gain 1, where its peaks allow
PEAK = 0.95
QUICK = sorted(2**a * 3**b * 5**c for a in range(22) for b in range(5) for c in range(4))
"""Lengths of loops, in samples: the Fourier transform is quick at these."""

GAIN = (-12.0, 0.0)  # dB
NOISE = (-45.0, -15.0)  # dB, against the sound


class SoundBank:
    """Recordings as loops, all low-passed alike, and noise of the same bandwidth.

    A loop is cut by a circular filter, so its seam clicks no wider than anything else.
    """

    def __init__(
        self, recordings: Iterable[Int16[np.ndarray, " _"]], *, cutoff: float = CUTOFF
    ) -> None:
        self.loops = [_loop(recording, cutoff / (1 + PITCH)) for recording in recordings]
        white = np.random.Generator(np.random.Philox(key=[0x50FA, 0])).standard_normal(2**18)
        noise = _low_passed(white, cutoff, 1)
        self.noise = (noise / noise.std()).astype(np.float32)

    def play(
        self, generator: np.random.Generator, number: int, samples: int
    ) -> Int16[np.ndarray, " samples"]:
        """A random part of a recording, tiled, at a random pitch and gain, with some noise."""
        sound = self.part(generator, number, samples)
        gain = 10 ** (generator.uniform(*GAIN) / 20)
        level = gain * LOUDNESS * 32767 * 10 ** (generator.uniform(*NOISE) / 20)
        sound *= np.float32(gain)
        sound += np.float32(level) * self.hiss(generator, samples)
        return round_samples(sound)

    def hiss(self, generator: np.random.Generator, samples: int) -> Float32[np.ndarray, " samples"]:
        """Noise with a root mean square of 1."""
        return _tiled(self.noise, int(generator.integers(len(self.noise))), samples)

    def part(
        self, generator: np.random.Generator, number: int, samples: int
    ) -> Float32[np.ndarray, " samples"]:
        """A random part of a recording, tiled, at a random pitch, in units of 16-bit samples."""
        whole, share = _reading(samples, int(generator.integers(PITCHES)))
        loop = self.loops[number]
        source = _tiled(loop, int(generator.integers(len(loop))), int(whole[-1]) + 2)
        sound = source.take(whole).astype(np.float32)
        step = source[1:].take(whole).astype(np.float32)
        step -= sound
        step *= share
        sound += step
        return sound


def _tiled(loop: Samples, start: int, length: int) -> Samples:
    """So many samples of an endless loop."""
    if start + length <= len(loop):
        return loop[start : start + length]
    samples = np.empty(length, loop.dtype)
    at, part = 0, loop[start:]
    while at < length:
        samples[at : at + len(part)] = part[: length - at]
        at, part = at + len(part), loop
    return samples


@lru_cache(maxsize=2 * PITCHES)
def _reading(
    samples: int, pitch: int
) -> tuple[Int64[np.ndarray, " samples"], Float32[np.ndarray, " samples"]]:
    """Where in a loop each sample of a sound lies: whole position and the share of the next."""
    factor = 1 + PITCH * (2 * pitch / (PITCHES - 1) - 1)
    position = np.arange(samples) * (FINER * factor)
    whole = position.astype(np.int64)
    return whole, (position - whole).astype(np.float32)


def _loop(recording: Int16[np.ndarray, " samples"], cutoff: float) -> Int16[np.ndarray, " fine"]:
    """A recording low-passed, even in loudness, at `FINER` times its rate."""
    length = QUICK[bisect_right(QUICK, len(recording)) - 1]  # at most a fifteenth goes
    sound = recording[:length].astype(np.float64) / 32768
    fade = min(len(sound) // 4, RATE // 100)
    ramp = np.linspace(0, 1, fade, endpoint=False)
    sound[:fade] *= ramp
    sound[len(sound) - fade :] *= ramp[::-1]
    sound = _low_passed(sound - sound.mean(), cutoff, FINER)
    level = max(float(np.sqrt(np.mean(sound**2))), 1e-6)
    scale = min(LOUDNESS / level, PEAK / max(float(np.abs(sound).max()), 1e-6))
    return round_samples(sound * scale * 32767)


def _low_passed(
    sound: Float64[np.ndarray, " samples"], cutoff: float, finer: int
) -> Float64[np.ndarray, " fine"]:
    """A loop without what lies above `cutoff` (Hz; it fades out from 0.9 of it), finer sampled."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    fading = np.clip((cutoff - frequency) / (0.1 * cutoff), 0, 1)
    spectrum *= np.sin(np.pi / 2 * fading) ** 2
    return np.fft.irfft(spectrum, finer * len(sound)) * finer
