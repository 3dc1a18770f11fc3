"""16-bit sound at the rate of all clips: from waveforms, fitted to a length, and mixed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int16, Real

RATE = 16_000  # samples per second of every clip's sound


def to_samples(waveform: Float[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """16-bit samples from a waveform in [-1, 1]; louder parts are clipped."""
    return round_samples(waveform * 32768.0)


def round_samples(values: Real[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """16-bit samples from values in their unit, -32768 to 32767; what lies beyond is clipped."""
    return np.asarray(np.clip(np.rint(values), -32768, 32767), np.int16)


def fit_length(length: int, samples: int) -> tuple[slice, int]:
    """How a sound of `length` samples becomes one of `samples`.

    Returns:
        The part that is kept (the middle of a longer sound), and how many times it is repeated
        (a shorter sound from its start, cut after `samples`).
    """
    start = max(0, length - samples) // 2
    return slice(start, start + samples), max(1, -(-samples // max(1, length)))


def fit_sound(sound: Int16[np.ndarray, " _"], samples: int) -> Int16[np.ndarray, " samples"]:
    """A sound of `samples` samples by `fit_length`; one without any sample becomes silence."""
    part, times = fit_length(len(sound), samples)
    return sound[part] if times == 1 else np.resize(sound, samples)


def mix(sounds: Sequence[Int16[np.ndarray, " _"]]) -> Int16[np.ndarray, " samples"]:
    """The sum of sounds, as long as the shortest, clipped to 16 bits."""
    samples = min(map(len, sounds))
    total = np.sum([sound[:samples] for sound in sounds], axis=0, dtype=np.int32)
    return round_samples(np.asarray(total))
