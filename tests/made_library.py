"""A library made for tests: a tiny model with random weights, and videos of one colour and tone."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from made_media import make_video, numbered, sine

from hearsight.checkpoints.checkpoint import save_checkpoint
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.serialisation import assign

RATE = 16_000


def tiny_model(path: Path, seed: int = 0, threshold: float | None = None) -> Path:
    """A checkpoint of very narrow encoders; of a threshold of -1 there is always a source."""
    recipe = load_recipe("ssl_tie:small")
    for change in ("encoder.widths=[8,8,8,8]", "frame_size=48"):
        recipe = assign(recipe, change)
    torch.manual_seed(seed)
    encoders = Encoders(recipe.encoder)
    with torch.no_grad():  # as they are drawn, running statistics do not fit the values at all
        encoders.train()
        encoders.embed_frames(torch.randn(8, 3, 48, 48))
        encoders.embed_sounds(torch.randn(8, 1, *recipe.spectrogram.shape) * 20 - 50)
    facts = None if threshold is None else {"threshold": threshold}
    save_checkpoint(path, encoders, recipe, facts=facts)
    return path


def make_clip(path: Path, number: int, seconds: float = 10.0, gain: float = 1.0) -> Path:
    """A video whose colour, and the frequency of whose tone, tell its number."""
    frames = [numbered(16 * number + second % 2, 64, 48) for second in range(round(seconds * 4))]
    sound = gain * sine(200.0 * (number + 1), seconds, RATE)
    noise = np.random.default_rng(number).normal(0, 0.01 * gain, len(sound))
    return make_video(
        path,
        frames,
        rate=Fraction(4),
        sound=(sound + noise).astype(np.float32),
        sound_rate=RATE,
    )
