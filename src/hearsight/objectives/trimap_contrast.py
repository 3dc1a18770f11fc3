"""The contrastive loss of LVS and SSL-TIE on trimaps of response maps, and SSL-TIE's printed form.

A true pair is a frame and the sound of its own clip: frame i and sound `first` + i. `first` is not
0 where sounds gathered from other processes precede the own ones.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from hearsight.errors import HearsightError
from hearsight.model.response import matched, region_mean


def true_pairs(
    scores: Float[Tensor, "b a"] | Float[Tensor, "b a h w"], first: int
) -> Bool[Tensor, "b a"]:
    """Where row (frame) and column (sound) are of one clip."""
    columns = torch.arange(scores.shape[1], device=scores.device)
    rows = torch.arange(len(scores), device=scores.device)
    return columns[None] == rows[:, None] + first


@dataclass(slots=True, kw_only=True)
class TrimapContrast:
    """InfoNCE of the mean response in the sounding region, with the own background as a negative.

    Thresholds divide each response map into a trimap: places above `foreground` are source, those
    below `background` are background, the band between is ignored.

    Source
        Chen et al., *Localizing Visual Sounds the Hard Way*, CVPR 2021; reused by SSL-TIE,
        Liu et al., ACM MM 2022, in place of its Eq. 5-8 (`PaperContrast`).
        The margin: MarginNCE, Park et al., ICASSP 2023; its value is not known for SSL-TIE.
    Differs from the released code
        True pairs are masked out of the negatives by -inf. There they are multiplied by -99, which
        removes them only while their score is positive; `multiply_true_pairs` does the same.
        Means under soft masks are computed in the log domain.
    """

    foreground: float = 0.65  # cosine above which a place is source
    background: float = 0.40  # cosine below which it is background
    softness: float = 0.03  # cosine, width of the sigmoid edge of both masks
    temperature: float = 0.07  # cosine
    margin: float = 0.0  # cosine, subtracted from the score of the true pair (MarginNCE)
    background_negatives: bool = True  # the own background is a negative
    multiply_true_pairs: bool = False  # as released; only to reproduce its numbers

    def __post_init__(self) -> None:
        if self.softness <= 0 or self.temperature <= 0:
            raise HearsightError("contrast.softness and contrast.temperature must be positive.")

    def logits(
        self, responses: Float[Tensor, "b a h w"], first: int = 0
    ) -> Float[Tensor, "b candidates"]:
        """Scores / temperature: the true pair, then all sounds, then (if used) the background."""
        scores = region_mean(responses, (responses - self.foreground) / self.softness)
        own = true_pairs(scores, first)
        if self.multiply_true_pairs:
            negatives = torch.where(own, -99 * scores, scores)
        else:
            negatives = scores.masked_fill(own, -torch.inf)
        candidates = [scores.diagonal(first)[:, None] - self.margin, negatives]
        if self.background_negatives:
            place = matched(responses, first)
            background = region_mean(place, (self.background - place) / self.softness)
            candidates.append(background[:, None])
        return torch.cat(candidates, dim=1) / self.temperature

    def __call__(self, responses: Float[Tensor, "b a h w"], first: int = 0) -> Float[Tensor, ""]:
        logits = self.logits(responses, first)
        return cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


@dataclass(slots=True, kw_only=True)
class PaperContrast:
    """The contrastive loss as SSL-TIE prints it: negatives summed per frame, no temperature.

    P_i is the mean response to the own sound in the soft foreground; N_i sums the mean responses to
    all other sounds, over the whole frame, and the mean in the own background; the loss is the mean
    of
    -log(exp(P_i) / (exp(P_i) + exp(N_i))).

    Source: SSL-TIE, Liu et al., ACM MM 2022, Eq. 5-8; the margin (MarginNCE, Park et al.,
    ICASSP 2023) is subtracted from P_i.
    Differs from the released code, which computes `TrimapContrast` with `multiply_true_pairs`.
    """

    foreground: float = 0.65  # cosine above which a place is source
    softness: float = 0.03  # cosine, width of the sigmoid edge of the mask
    margin: float = 0.0  # cosine, subtracted from P_i (MarginNCE)

    def __post_init__(self) -> None:
        if self.softness <= 0:
            raise HearsightError("contrast.softness must be positive.")

    def __call__(self, responses: Float[Tensor, "b a h w"], first: int = 0) -> Float[Tensor, ""]:
        place = matched(responses, first)
        inside = (place - self.foreground) / self.softness
        positive = region_mean(place, inside) - self.margin
        others = responses.mean((2, 3)).masked_fill(true_pairs(responses, first), 0.0).sum(1)
        return softplus(others + region_mean(place, -inside) - positive).mean()
