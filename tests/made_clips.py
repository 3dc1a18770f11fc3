"""Small clips and stores of them, for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from hearsight.clips.clip import Box, Clip, encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.media.samples import RATE


def picture(seed: int = 0, height: int = 37, width: int = 51) -> np.ndarray:
    """Smooth colours with some noise, so that JPEG has work to do."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), dtype=np.int16)
    noise = random.integers(-8, 9, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def tone(samples: int = RATE // 4, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0, 3000, samples).astype(np.int16)


def made(number: int, id: str | None = None) -> Clip:
    """A small clip that nothing but its number decides: some have boxes, some a mask."""
    random = np.random.default_rng(number)
    frame = random.integers(0, 256, (12 + number % 5, 16, 3), dtype=np.uint8)
    return encode_clip(
        f"clip {number}" if id is None else id,
        frame,
        random.integers(-9000, 9000, 200, dtype=np.int16),
        label="dog" if number % 2 else None,
        boxes=((0.1, -2.8823037615171176e16, 0.5, 1.0),) * (number % 2)
        if number % 3 == 0
        else None,
        mask=frame[..., 0] > 99 if number % 5 == 0 else None,
        source="film.mp4" if number % 2 else "",
        time=number / 4 if number % 2 else None,
    )


def fill(folder: Path, numbers: range, clips_per_shard: int = 4) -> Store:
    with StoreWriter(folder, clips_per_shard) as writer:
        for number in numbers:
            assert writer.add(made(number))
    return Store(folder)


def store(folder: str, numbers: range, box: Box = (0.1, 0.2, 0.6, 0.9)) -> None:
    """A store of clips with a box each, in place of what was there."""
    for old in Path(folder).glob("*"):
        old.unlink()
    with StoreWriter(Path(folder)) as writer:
        for number in numbers:
            clip = encode_clip(
                f"clip {number}", picture(number), tone(seed=number), boxes=(box,), label="a"
            )
            assert writer.add(clip)
