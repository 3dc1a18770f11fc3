"""Small clips and stores of them, for the tests."""

from pathlib import Path

import numpy as np

from hearsight.clips import (
    Clip,
    encode_clip,
)
from hearsight.shard_writer import StoreWriter
from hearsight.shards import Store


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
