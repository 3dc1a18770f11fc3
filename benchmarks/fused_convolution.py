"""What a moment of the default model takes, its convolutions fused against torch's own.

    python benchmarks/fused_convolution.py [--rounds 15] [--moments 4]

Embedding frames of 224 x 398 pixels and sounds of 3 s one by one on one thread, as `localise` and
`index` do, without reading them: once with packed weights and fused activations
(`hearsight.model.fused_convolution`), once with torch's own operations, in turns. Embeddings are
asserted to be equal but for rounding. Printed are milliseconds of the processor for each moment
(the least of all rounds) and the median, least and largest ratio of the rounds, in one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from hearsight.localising.localise import MODEL, EncoderFrame
from hearsight.media.samples import RATE
from hearsight.model import fused_convolution
from hearsight.retrieval.embeddings import load_embedder

WIDTH = 398  # pixels of a frame of 640x360 that is 224 high
SECONDS = 3  # of a sound
ROUNDING = 1e-5  # by which a coordinate of a unit vector may differ

Embed = Callable[[], np.ndarray]


def seconds(run: Embed) -> float:
    """Of the processor, finer than the ticks in which the system counts them."""
    begun = process_time()
    run()
    return process_time() - begun


def by_torch(embed: Embed) -> np.ndarray:
    """The same with torch's own convolutions."""
    fused_convolution.AVAILABLE = False
    try:
        return embed()
    finally:
        fused_convolution.AVAILABLE = True


def compare(embed: Embed, rounds: int, moments: int) -> dict[str, Any]:
    """Processor time of both, in turns."""
    difference = float(np.abs(embed() - by_torch(embed)).max())
    assert difference < ROUNDING, difference
    fused, own = [], []
    for _ in range(rounds):
        fused.append(seconds(embed))
        own.append(seconds(lambda: by_torch(embed)))
    ratios = [mine / other for mine, other in zip(fused, own, strict=True)]
    return {
        "fused_ms": round(1000 * min(fused) / moments, 1),
        "torch_ms": round(1000 * min(own) / moments, 1),
        "ratio": [round(each(ratios), 2) for each in (median, min, max)],
        "largest_difference": float(f"{difference:.1g}"),
    }


def main() -> None:
    """Embed frames and sounds both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--moments", type=int, default=4)
    options = parser.parse_args()
    if not fused_convolution.AVAILABLE:
        print("nothing to compare: torch has no fused convolutions on this machine")
        return
    torch.set_num_threads(1)
    embedder = load_embedder(MODEL)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (options.moments, embedder.side, WIDTH, 3), np.uint8)
    frames = [EncoderFrame(pixels=each, height=360, width=640) for each in pixels]
    noise = 0.1 * random.standard_normal((options.moments, SECONDS * RATE))
    sounds = list(noise.astype(np.float32))
    parts: dict[str, Embed] = {
        "frames": lambda: embedder.frames(frames),
        "sounds": lambda: embedder.sounds(sounds),
    }
    figures = {
        name: compare(embed, options.rounds, options.moments) for name, embed in parts.items()
    }
    print(json.dumps({"model": MODEL} | figures))


if __name__ == "__main__":
    main()
