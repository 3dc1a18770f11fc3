"""16-bit samples at one rate: from waveforms, and mixed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int16

RATE = 16_000  # samples per second of every clip's sound


def to_samples(waveform: Float[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """16-bit samples from a waveform in [-1, 1]; louder parts are clipped."""
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)


def mix(sounds: Sequence[Int16[np.ndarray, " _"]]) -> Int16[np.ndarray, " samples"]:
    """Sounds added, as long as the shortest; what is too loud is clipped."""
    samples = min(map(len, sounds))
    total = np.sum([sound[:samples] for sound in sounds], axis=0, dtype=np.int32)
    return np.clip(total, -32768, 32767).astype(np.int16)
