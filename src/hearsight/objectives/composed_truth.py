"""Supervised by where the sounding object lies: for composed scenes, whose truth is exact."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from hearsight.errors import HearsightError
from hearsight.model.response import matched, response
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.trimap_contrast import true_pairs


@dataclass(slots=True, kw_only=True)
class ComposedTruth:
    """Cross-entropy of each place: inside the sounding object, outside it, and of other sounds.

    A response S becomes the logit sharpness * (S - middle). With t the share of a cell that the
    boxes of the sounding object cover, and mean_w the mean with weights w:

        mean_t of CE(logit, t) + mean_(1 - t) of CE(logit, t) + absent * mean of CE(logit, 0)

    The first two are of the response to the clip's own sound; silent objects lie outside. The last
    is of the responses to all other sounds of the batch, which are taken to be absent from the
    frame; some of them may be of the same class. No class is used.
    Of several heads each is judged by its own responses, and the losses are averaged: so they err
    apart.

    Source: none; it is not self-supervised, and no paper's method.

    Raises:
        HearsightError: a sharpness that is not positive, or a weight that is negative.
    """

    needs_truths: ClassVar[bool] = True
    no_margin: ClassVar[str] = "ComposedTruth has no margin: it judges each place by itself."

    sharpness: float = 10.0  # logits per cosine
    middle: float = 0.4  # cosine, of which a place is as likely inside as outside
    absent: float = 1.0  # weight of the sounds of other clips

    def __post_init__(self) -> None:
        if self.sharpness <= 0 or self.absent < 0:
            raise HearsightError(
                "contrast.sharpness must be positive, contrast.absent not negative."
            )

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        if embedded.truths is None:
            raise HearsightError("ComposedTruth needs clips with boxes.")
        heads = getattr(embedded.networks, "heads", 1)
        if heads == 1:
            return self._loss(embedded.responses, embedded.truths, embedded.first)
        losses = [
            self._loss(response(grids, sounds), embedded.truths, embedded.first)
            for grids, sounds in zip(
                embedded.grids.chunk(heads, 1), embedded.sounds.chunk(heads, 1), strict=True
            )
        ]
        return torch.stack(losses).mean()

    def _loss(
        self, responses: Float[Tensor, "b a h w"], truths: Float[Tensor, "b h w"], first: int
    ) -> Float[Tensor, ""]:
        logits = self.sharpness * (responses - self.middle)
        inside = truths.to(logits.dtype)
        own = matched(logits, first)
        places = binary_cross_entropy_with_logits(own, inside, reduction="none")
        loss = (weighted_mean(places, inside) + weighted_mean(places, 1 - inside)).mean()
        others = ~true_pairs(logits[:, :, 0, 0], first)
        total: Tensor = loss + self.absent * softplus(logits[others]).mean()
        return total


def weighted_mean(
    values: Float[Tensor, "b h w"], weights: Float[Tensor, "b h w"]
) -> Float[Tensor, " b"]:
    """The weighted mean over each map; weights that sum to less than half a cell count as half."""
    total = weights.sum((1, 2)).clamp(min=0.5)
    return (values * weights).sum((1, 2)) / total
