"""Attention10k's loss: a triplet loss on frame vectors pooled by sound-guided attention."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import log_softmax, relu

from hearsight.errors import HearsightError
from hearsight.model.response import matched
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.trimap_contrast import true_pairs

Others = Literal["next", "all"]

# Compute mode of torch.cdist: by matrix products, rounding would swallow small distances.
EXACT = "donot_use_mm_for_euclid_dist"


def attend(
    weights: Float[Tensor, "b h w"], grids: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c"]:
    """Attention pooling: the sum of each frame's vectors, weighted by place."""
    return (weights[:, None] * grids).sum((2, 3))


def negative_pairs(embedded: EmbeddedBatch, others: Others) -> Bool[Tensor, "b a"]:
    """The negatives of each frame: the sounds of all other clips, or that of the next clip.

    Clips are those of the joined batch of all processes; the last is followed by the first.

    Raises:
        HearsightError: a batch of one clip.
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
    """The mean of the chosen values of each row; 0 for a row without any."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)


@dataclass(slots=True, kw_only=True)
class AttendedTriplet:
    """Triplet loss: the attended vector of a frame is nearer to its own sound than to another.

    Attention is the softmax over places of relu(cosine of place and sound); z is the sum of the
    frame's vectors under it. With d+ the distance of z to its own sound and d- that to another in
    the batch, and p = softmax([d+, d-]), the loss is the mean of (p - [0, 1])^2. With `supervision`
    the cross-entropy of attention and boxes is added.

    Source
        Attention10k: Senocak et al., *Learning to Localize Sound Source in Visual Scenes*,
        CVPR 2018; the authors' second, released code.
        `margin` after MarginNCE, Park et al., ICASSP 2023; none is known for this method.
    Differs from the released code
        There sound features are frozen, and z passes through two linear layers before it is
        compared; here both networks are trained, and z is compared as it is. The negative is drawn
        at random there; here it is the next sound, or, with `others` "all", the loss is the mean
        over all, which has the expectation of random draws with less noise. The box map of a clip
        is divided by its sum here; whether that of the released code sums to 1 is not known (?).

    Raises:
        HearsightError: a negative weight.
    """

    margin: float = 0.0  # distance, added to d+
    others: Others = "next"  # negatives of each frame
    supervision: float = 0.0  # weight of the boxes' cross-entropy; released: 1

    def __post_init__(self) -> None:
        if self.supervision < 0:
            raise HearsightError(
                f"contrast.supervision must not be negative, not {self.supervision}."
            )

    @property
    def needs_truths(self) -> bool:
        """Whether it is trained with boxes."""
        return self.supervision > 0

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        own = relu(matched(embedded.responses, embedded.first))
        log_attention = log_softmax(own.flatten(1), dim=1).reshape(own.shape)
        seen = attend(log_attention.exp(), embedded.grids)
        others = negative_pairs(embedded, self.others)
        distances = torch.cdist(seen, embedded.sounds.to(seen.dtype), compute_mode=EXACT)
        near = distances.diagonal(embedded.first)[:, None]
        # Both entries of p - [0, 1] have the same square: they sum to 0.
        loss = row_mean((near + self.margin - distances).sigmoid().square(), others).mean()
        if not self.needs_truths:
            return loss
        return loss + self.supervision * box_cross_entropy(log_attention, embedded.truths)


def box_cross_entropy(
    log_attention: Float[Tensor, "b h w"], truths: Float[Tensor, "b h w"] | None
) -> Float[Tensor, ""]:
    """Mean cross-entropy of attention and box maps; frames without boxes count 0.

    Raises:
        HearsightError: the clips have no boxes.
    """
    if truths is None:
        raise HearsightError("contrast.supervision learns from boxes, which the clips do not have.")
    wanted = truths / truths.sum((1, 2), keepdim=True).clamp(min=1e-6)
    return -(wanted * log_attention).sum((1, 2)).mean()
