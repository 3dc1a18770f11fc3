"""Embedded views of made-up clips, in double precision."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hearsight.model.response import response
from hearsight.objectives.embedded_batch import EmbeddedBatch


def embedded(grids: Tensor, sounds: Tensor, **others: Any) -> EmbeddedBatch:
    """A view of frames and sounds, with the responses that belong to them."""
    return EmbeddedBatch(grids=grids, sounds=sounds, responses=response(grids, sounds), **others)


def view(
    frames: int = 4, sounds: int = 9, first: int = 2, seed: int = 0, **others: Any
) -> EmbeddedBatch:
    """Frames of 5 channels on a grid of 2 x 3, and sounds; both with gradients."""
    torch.manual_seed(seed)
    grids = torch.randn(frames, 5, 2, 3).double().requires_grad_()
    vectors = torch.randn(sounds, 5).double().requires_grad_()
    return embedded(grids, vectors, first=first, **others)


def halves(whole: EmbeddedBatch) -> list[EmbeddedBatch]:
    """What two processes see of the view that one sees as `whole`."""
    middle = len(whole.grids) // 2
    return [
        replace(
            whole,
            grids=whole.grids[rows],
            responses=whole.responses[rows],
            first=rows.start,
            labels=None if whole.labels is None else whole.labels[rows],
            truths=None if whole.truths is None else whole.truths[rows],
        )
        for rows in (slice(0, middle), slice(middle, len(whole.grids)))
    ]


def flat(frames: int = 3, value: float = 1.0, **others: Any) -> EmbeddedBatch:
    """Hostile clips: every place and every sound is the same vector."""
    grids = torch.full((frames, 5, 2, 3), value, requires_grad=True)
    sounds = torch.full((frames, 5), value, requires_grad=True)
    return embedded(grids, sounds, **others)


def finite(loss: Tensor, seen: EmbeddedBatch) -> bool:
    """Whether the loss and its gradients to grids and sounds are."""
    leaves = [leaf for leaf in (seen.grids, seen.sounds) if leaf.requires_grad]
    slopes = torch.autograd.grad(loss, leaves, allow_unused=True)
    return bool(loss.isfinite()) and all(
        slope is None or bool(slope.isfinite().all()) for slope in slopes
    )


class Heads(nn.Module):
    """Linear heads in place of those of the encoders."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.projector = nn.Linear(5, 5).double()
        self.predictor = nn.Linear(5, 5).double()
        self.classifier = nn.Linear(5, classes).double()
