"""Attention that a frame's own sound draws: what is attended to must be nearer to that sound.

Attended vectors are sums over the places of a frame, weighted by what its sound says of each.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import log_softmax, relu

from hearsight.errors import HearsightError
from hearsight.model.response import matched
from hearsight.objectives.contrast import true_pairs
from hearsight.objectives.embedded_batch import EmbeddedBatch

Others = Literal["next", "all"]

# Of torch.cdist: through a product of matrices, small distances would be lost to rounding.
EXACT = "donot_use_mm_for_euclid_dist"


def attend(
    weights: Float[Tensor, "b h w"], grids: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c"]:
    """The sum of each frame's vectors, each times the weight of its place."""
    return (weights[:, None] * grids).sum((2, 3))


def other_pairs(embedded: EmbeddedBatch, others: Others) -> Bool[Tensor, "b a"]:
    """Which sounds each frame is compared with beside its own.

    Those of all other clips in the batch of all processes, or that of the next; after the last
    clip comes the first.

    Raises:
        HearsightError: there is no second sound.
    """
    responses, count = embedded.responses, len(embedded.sounds)
    if count < 2:
        raise HearsightError(
            "The objective compares with another sound: batch_size must be at least 2."
        )
    if others == "all":
        return ~true_pairs(responses, embedded.first)
    return true_pairs(responses, embedded.first + 1) | true_pairs(
        responses, embedded.first + 1 - count
    )


def row_mean(values: Float[Tensor, "b a"], chosen: Bool[Tensor, "b a"]) -> Float[Tensor, " b"]:
    """The mean of the chosen values of each row; 0 where none is."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)


@dataclass(slots=True, kw_only=True)
class AttendedTriplet:
    """The attended vector of a frame is nearer to its own sound than to another.

    Attention is the softmax over places of relu(cosine of place and sound); z is the sum of the
    frame's vectors under it. Of the distances d+ of z to its own sound and d- to another in
    the batch, p = softmax([d+, d-]) is wanted to be [0, 1]; the loss is the mean of (p - [0, 1])^2.
    With `supervision` the cross-entropy of attention and boxes is added.

    Source
        Attention10k: Senocak et al., *Learning to Localize Sound Source in Visual Scenes*,
        CVPR 2018; the authors' second, released code.
        `margin` after MarginNCE, Park et al., ICASSP 2023; none is known for this method.
    Differs from the released code
        There sounds are fixed features of another network, and z passes through two linear maps
        to reach them; here both networks learn, and z is compared as it is. Another sound is drawn
        at random there; it is the next one here, or, with `others` "all", the loss is the mean
        over all, which is what random draws give in the long run, with less noise. The boxes of a
        clip are divided by their sum here; whether those of the released code sum to 1 is not
        known (?).

    Raises:
        HearsightError: a negative weight.
    """

    margin: float = 0.0  # distance, added to that of the true pair; negative eases the contrast
    others: Others = "next"  # sounds that a frame is compared with
    supervision: float = 0.0  # weight of the boxes; released: 1

    def __post_init__(self) -> None:
        if self.supervision < 0:
            raise HearsightError(
                f"contrast.supervision must not be negative, not {self.supervision}."
            )

    @property
    def needs_truths(self) -> bool:
        """Whether clips need boxes."""
        return self.supervision > 0

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        own = relu(matched(embedded.responses, embedded.first))
        log_attention = log_softmax(own.flatten(1), dim=1).reshape(own.shape)
        seen = attend(log_attention.exp(), embedded.grids)
        others = other_pairs(embedded, self.others)
        distances = torch.cdist(seen, embedded.sounds.to(seen.dtype), compute_mode=EXACT)
        near = distances.diagonal(embedded.first)[:, None]
        # Both entries of p - [0, 1] have the same square: they sum to 0.
        loss = row_mean((near + self.margin - distances).sigmoid().square(), others).mean()
        if not self.needs_truths:
            return loss
        return loss + self.supervision * boxes_entropy(log_attention, embedded.truths)


def boxes_entropy(
    log_attention: Float[Tensor, "b h w"], truths: Float[Tensor, "b h w"] | None
) -> Float[Tensor, ""]:
    """Mean cross-entropy of attention and boxes; a frame without boxes adds nothing.

    Raises:
        HearsightError: the clips have no boxes.
    """
    if truths is None:
        raise HearsightError("contrast.supervision learns from boxes, which the clips do not have.")
    wanted = truths / truths.sum((1, 2), keepdim=True).clamp(min=1e-6)
    return -(wanted * log_attention).sum((1, 2)).mean()
