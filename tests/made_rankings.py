"""Clips of few classes and videos as vectors, for the tests of retrieval."""

import numpy as np
import torch

from hearsight.model.nearest import unit
from hearsight.retrieval.embeddings import ClipEmbeddings

LABELS = ("dog", "cat", "dog", "bee", None, "cat", "dog", "cat", "dog")
VIDEOS = ("v", "v", "v", "w", "w", "x", "x", "", "")


def embedded(seed: int = 0, labels: tuple[str | None, ...] = LABELS) -> ClipEmbeddings:
    """One clip for each label, its vectors drawn at random."""
    count = len(labels)
    generator = torch.Generator().manual_seed(seed)
    sounds, frames = torch.randn(2, count, 8, generator=generator)
    return ClipEmbeddings(
        places=tuple(range(count)),
        ids=tuple(f"clip {number}" for number in range(count)),
        labels=labels,
        sources=tuple(np.resize(np.array(VIDEOS), count).tolist()),
        sounds=unit(sounds),
        frames=unit(frames),
        skipped=(),
    )
