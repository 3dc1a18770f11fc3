"""Embedded clips made up for tests of objectives, and what such tests have in common."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from hearsight.model.response import response
from hearsight.objectives.embedded_batch import EmbeddedBatch

Objective = Callable[[EmbeddedBatch], Tensor]


def made(
    *, frames: int = 5, sounds: int = 5, first: int = 0, heads: int = 1, epoch: int = 0
) -> EmbeddedBatch:
    """Random embeddings in double precision, 6 channels a head, on a grid of 3 x 2; gradients on.

    Those of the momentum encoder differ from the others.
    """
    generator = torch.Generator().manual_seed(7)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    grids = noise(frames, 6 * heads, 3, 2).requires_grad_()
    vectors = noise(sounds, 6 * heads).requires_grad_()
    return EmbeddedBatch(
        grids=grids,
        sounds=vectors,
        responses=response(grids, vectors, heads),
        first=first,
        epoch=epoch,
        ema_grids=noise(frames, 6 * heads, 3, 2),
        ema_sounds=noise(sounds, 6 * heads),
    )


def with_embeddings(
    embedded: EmbeddedBatch, grids: Tensor, sounds: Tensor, heads: int = 1
) -> EmbeddedBatch:
    """The same with other embeddings, those of the momentum encoder included."""
    return replace(
        embedded,
        grids=grids,
        sounds=sounds,
        responses=response(grids, sounds, heads),
        ema_grids=grids.detach(),
        ema_sounds=sounds.detach(),
    )


def same(frames: int = 4, heads: int = 1, epoch: int = 0) -> EmbeddedBatch:
    """Every vector of every place and of every sound is the same."""
    embedded = made(frames=frames, sounds=frames, heads=heads, epoch=epoch)
    grids = torch.ones_like(embedded.grids).requires_grad_()
    return with_embeddings(embedded, grids, torch.ones_like(embedded.sounds), heads)


def silent(frames: int = 4, heads: int = 1, epoch: int = 0) -> EmbeddedBatch:
    """Every vector is zero."""
    embedded = made(frames=frames, sounds=frames, heads=heads, epoch=epoch)
    grids = torch.zeros_like(embedded.grids).requires_grad_()
    return with_embeddings(embedded, grids, torch.zeros_like(embedded.sounds), heads)


def identical_sounds(frames: int = 4, heads: int = 1, epoch: int = 0) -> EmbeddedBatch:
    """Frames differ, every sound is the same."""
    embedded = made(frames=frames, sounds=frames, heads=heads, epoch=epoch)
    sounds = embedded.sounds.detach()[:1].expand(frames, -1).clone().requires_grad_()
    return with_embeddings(embedded, embedded.grids.detach().requires_grad_(), sounds, heads)


HOSTILE = (same, silent, identical_sounds)


def gradients_are_finite(objective: Objective, embedded: EmbeddedBatch) -> bool:
    """Whether the loss and its gradients on frames and sounds are numbers."""
    loss = objective(embedded)
    leaves = [x for x in (embedded.grids, embedded.sounds) if x.requires_grad]
    found = torch.autograd.grad(loss, leaves)
    return bool(loss.isfinite()) and all(bool(one.isfinite().all()) for one in found)


def falls_with_the_margin(make: Callable[..., Any], embedded: EmbeddedBatch) -> bool:
    """Whether the loss falls at every step as the margin does."""
    margins = (0.4, 0.2, 0.0, -0.2, -0.4, -0.6)
    losses = [make(margin=margin)(embedded).item() for margin in margins]
    return all(lower < higher for higher, lower in pairwise(losses))


def shuffled(embedded: EmbeddedBatch, order: Sequence[int], heads: int = 1) -> EmbeddedBatch:
    """The same clips in another order; for as many frames as sounds."""
    rows = list(order)
    assert embedded.ema_grids is not None
    assert embedded.ema_sounds is not None
    changed = with_embeddings(embedded, embedded.grids[rows], embedded.sounds[rows], heads)
    changed.ema_grids, changed.ema_sounds = embedded.ema_grids[rows], embedded.ema_sounds[rows]
    return changed


# Definitions that several objectives share, on lists of numbers


def cross_entropy_by_hand(logits: Sequence[float], wanted: int) -> float:
    top = max(logits)
    return top - logits[wanted] + math.log(sum(math.exp(x - top) for x in logits))


def softmax_by_hand(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    total = sum(math.exp(x - top) for x in logits)
    return [math.exp(x - top) / total for x in logits]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return dot(unit(one), unit(other))


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(dot(vector, vector))
    return [x / length for x in vector]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
