"""Supervised by where the sounding object lies: for composed scenes, whose truth is exact."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from hearsight.errors import HearsightError
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
        logits = self.sharpness * (embedded.responses - self.middle)
        inside = embedded.truths.to(logits.dtype)
        own = logits.diagonal(embedded.first).movedim(-1, 0)
        places = binary_cross_entropy_with_logits(own, inside, reduction="none")
        loss = (weighted_mean(places, inside) + weighted_mean(places, 1 - inside)).mean()
        others = ~true_pairs(logits[:, :, 0, 0], embedded.first)
        return loss + self.absent * softplus(logits[others]).mean()


def weighted_mean(
    values: Float[Tensor, "b h w"], weights: Float[Tensor, "b h w"]
) -> Float[Tensor, " b"]:
    """The weighted mean over each map; weights that sum to less than half a cell count as half."""
    total = weights.sum((1, 2)).clamp(min=0.5)
    return (values * weights).sum((1, 2)) / total
