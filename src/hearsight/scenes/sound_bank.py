"""Random excerpts of recordings: loops of one bandwidth, at random pitch and gain, with noise."""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int64

from hearsight.media.samples import RATE, round_samples
from hearsight.scenes.kept import Kept

Samples = TypeVar("Samples", Int16[np.ndarray, " _"], Float32[np.ndarray, " _"])

CUTOFF = 3_400.0
"""Hz, of the low-pass filter on all sounds. The narrowest recordings of the menagerie were sampled
at 8 kHz and, played a semitone lower, end here; without a common cutoff a model could tell classes
by the sample rate of their files."""

PITCH = 0.06  # largest change of a recording's pitch, up or down, as a share
PITCHES = 25  # evenly spaced
OVERSAMPLING = 4  # of loops over `RATE`: linear interpolation then has errors of -50 dB
LOUDNESS = 0.1  # root mean square of a recording at 0 dB, of full scale, where `PEAK` allows
PEAK = 0.95  # largest magnitude, of full scale
FULL_SCALE = 32_767  # the largest 16-bit sample; a waveform is scaled by 32,768, see `to_samples`
FFT_LENGTHS = sorted(2**a * 3**b * 5**c for a in range(22) for b in range(5) for c in range(4))
"""Lengths of loops, in samples, at which the Fourier transform is fast."""

GAIN = (-12.0, 0.0)  # dB
NOISE = (-45.0, -15.0)  # dB, relative to the sound


class SoundBank:
    """Recordings as loops, all with the same low-pass filter, and noise of the same bandwidth.

    The filter is circular, so that the seam of a loop stays within the bandwidth too.
    """

    def __init__(
        self, recordings: Iterable[Int16[np.ndarray, " _"]], *, cutoff: float = CUTOFF
    ) -> None:
        self.loops = [_LOOPS(recording, cutoff / (1 + PITCH)) for recording in recordings]
        self.noise = _noise(cutoff)

    def play(
        self, generator: np.random.Generator, number: int, samples: int
    ) -> Int16[np.ndarray, " samples"]:
        """A random part of a recording, repeated at random pitch and gain, plus noise."""
        sound = self.draw_part(generator, number, samples)
        gain = 10 ** (generator.uniform(*GAIN) / 20)
        level = gain * LOUDNESS * FULL_SCALE * 10 ** (generator.uniform(*NOISE) / 20)
        sound *= np.float32(gain)
        sound += np.float32(level) * self.draw_noise(generator, samples)
        return round_samples(sound)

    def draw_noise(
        self, generator: np.random.Generator, samples: int
    ) -> Float32[np.ndarray, " samples"]:
        """A random part of the noise, with a root mean square of 1."""
        return _tiled(self.noise, int(generator.integers(len(self.noise))), samples)

    def draw_part(
        self, generator: np.random.Generator, number: int, samples: int
    ) -> Float32[np.ndarray, " samples"]:
        """A random part of a recording, repeated as needed, at random pitch, in 16-bit units."""
        whole, share = _positions(samples, int(generator.integers(PITCHES)))
        loop = self.loops[number]
        source = _tiled(loop, int(generator.integers(len(loop))), int(whole[-1]) + 2)
        sound = source.take(whole).astype(np.float32)
        step = source[1:].take(whole).astype(np.float32)
        step -= sound
        step *= share
        sound += step
        return sound


def _tiled(loop: Samples, start: int, length: int) -> Samples:
    """`length` samples of an endless loop."""
    if start + length <= len(loop):
        return loop[start : start + length]
    samples = np.empty(length, loop.dtype)
    at, part = 0, loop[start:]
    while at < length:
        samples[at : at + len(part)] = part[: length - at]
        at, part = at + len(part), loop
    return samples


@lru_cache(maxsize=2 * PITCHES)
def _positions(
    samples: int, pitch: int
) -> tuple[Int64[np.ndarray, " samples"], Float32[np.ndarray, " samples"]]:
    """The position of each sample of a sound in a loop: whole part, and fraction."""
    factor = 1 + PITCH * (2 * pitch / (PITCHES - 1) - 1)
    position = np.arange(samples) * (OVERSAMPLING * factor)
    whole = position.astype(np.int64)
    return whole, (position - whole).astype(np.float32)


def _loop(recording: Int16[np.ndarray, " samples"], cutoff: float) -> Int16[np.ndarray, " fine"]:
    """A recording low-passed, of loudness `LOUDNESS`, at `OVERSAMPLING` times its rate."""
    length = FFT_LENGTHS[bisect_right(FFT_LENGTHS, len(recording)) - 1]  # cuts at most a fifteenth
    sound = recording[:length].astype(np.float64) / 32768
    fade = min(len(sound) // 4, RATE // 100)
    ramp = np.linspace(0, 1, fade, endpoint=False)
    sound[:fade] *= ramp
    sound[len(sound) - fade :] *= ramp[::-1]
    sound = _low_passed(sound - sound.mean(), cutoff, OVERSAMPLING)
    loop = scale_to_loudness(sound, LOUDNESS)
    loop.flags.writeable = False  # shared by all banks
    return loop


_LOOPS = Kept(_loop)


@lru_cache(maxsize=4)
def _noise(cutoff: float) -> Float32[np.ndarray, " samples"]:
    """A loop of white noise, low-passed, with a root mean square of 1."""
    white = np.random.Generator(np.random.Philox(key=[0x50FA, 0])).standard_normal(2**18)
    noise = _low_passed(white, cutoff, 1)
    loop: Float32[np.ndarray, " samples"] = (noise / noise.std()).astype(np.float32)
    loop.flags.writeable = False
    return loop


def scale_to_loudness(
    sound: Float64[np.ndarray, " samples"], loudness: float
) -> Int16[np.ndarray, " samples"]:
    """16-bit samples of a sound scaled to a root mean square, or quieter where `PEAK` demands it.

    loudness: of full scale.
    """
    level = max(float(np.sqrt(np.mean(sound**2))), 1e-6)
    scale = min(loudness / level, PEAK / max(float(np.abs(sound).max()), 1e-6))
    return round_samples(sound * scale * FULL_SCALE)


def low_pass(sound: Int16[np.ndarray, " samples"], cutoff: float) -> Int16[np.ndarray, " samples"]:
    """A sound without what lies above `cutoff` (Hz); it ends as it would go on from its start."""
    return round_samples(_low_passed(sound.astype(np.float64), cutoff, 1)[: len(sound)])


def _low_passed(
    sound: Float64[np.ndarray, " samples"], cutoff: float, finer: int
) -> Float64[np.ndarray, " fine"]:
    """A loop at `finer` times its rate, low-passed: fading from 0.9 `cutoff` to `cutoff` (Hz)."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    fading = np.clip((cutoff - frequency) / (0.1 * cutoff), 0, 1)
    spectrum *= np.sin(np.pi / 2 * fading) ** 2
    return np.fft.irfft(spectrum, finer * len(sound)) * finer
