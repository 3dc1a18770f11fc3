"""16-bit sound at the rate of all clips: from waveforms, and mixed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int16

RATE = 16_000  # samples per second of every clip's sound


def to_samples(waveform: Float[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """16-bit samples of a waveform in [-1, 1]; values outside are clipped."""
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)


def mix(sounds: Sequence[Int16[np.ndarray, " _"]]) -> Int16[np.ndarray, " samples"]:
    """The sum of sounds, as long as the shortest, clipped to 16 bits."""
    samples = min(map(len, sounds))
    total = np.sum([sound[:samples] for sound in sounds], axis=0, dtype=np.int32)
    return np.clip(total, -32768, 32767).astype(np.int16)
