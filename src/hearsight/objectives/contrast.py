"""Contrastive objectives: they score response maps and tell true pairs from mismatched ones.

An objective without weights is a dataclass: its fields are its hyperparameters, calling it
gives the loss. Frame i belongs to sound `first` + i; `first` is not 0 where the sounds of other
processes stand before the own ones.
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
    """Which frame and sound belong together."""
    columns = torch.arange(scores.shape[1], device=scores.device)
    rows = torch.arange(len(scores), device=scores.device)
    return columns[None] == rows[:, None] + first


@dataclass(slots=True, kw_only=True)
class TrimapContrast:
    """Draw the sounding region to its sound; push away other sounds and the own background.

    Each response map splits itself in three: places above `foreground` are trusted as source,
    those below `background` as not-source, and the band between stays undecided.

    Source
        Chen et al., *Localizing Visual Sounds the Hard Way*, CVPR 2021; reused by SSL-TIE,
        Liu et al., ACM MM 2022, in place of its Eq. 5-8 (`PaperContrast`).
        The margin: MarginNCE, Park et al., ICASSP 2023; its value is not known for SSL-TIE.
    Differs from the released code
        True pairs leave the negatives by -inf. There they are multiplied by -99, which removes
        them only while the matched score is positive; `multiply_true_pairs` does that too.
        Soft means are computed in the log domain.
    """

    foreground: float = 0.65  # cosine above which a place is source
    background: float = 0.40  # cosine below which it is background
    softness: float = 0.03  # cosine, width of the sigmoid edge of both masks
    temperature: float = 0.07  # cosine
    margin: float = 0.0  # cosine, subtracted from the true pair; negative eases the contrast
    background_negatives: bool = True  # the own background is a negative too
    multiply_true_pairs: bool = False  # only to repeat the released numbers

    def __post_init__(self) -> None:
        if self.softness <= 0 or self.temperature <= 0:
            raise HearsightError("contrast.softness and contrast.temperature must be positive.")

    def logits(
        self, responses: Float[Tensor, "b a h w"], first: int = 0
    ) -> Float[Tensor, "b candidates"]:
        """Scores over temperature: the true pair, all sounds, and (if used) the background."""
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
    """The contrast as SSL-TIE prints it: one pooled negative per frame, no temperature.

    P_i is the mean response over the own soft foreground; N_i sums the whole-frame mean responses
    to all other sounds and the mean over the own background; the loss is the mean of
    -log(exp(P_i) / (exp(P_i) + exp(N_i))).

    Source: SSL-TIE, Liu et al., ACM MM 2022, Eq. 5-8; the margin (MarginNCE, Park et al.,
    ICASSP 2023) is subtracted from P_i.
    Differs from the released code: that one computes `TrimapContrast`, with `multiply_true_pairs`.
    """

    foreground: float = 0.65  # cosine above which a place is source
    softness: float = 0.03  # cosine, width of the sigmoid edge of the mask
    margin: float = 0.0  # cosine, subtracted from the true pair; negative eases the contrast

    def __post_init__(self) -> None:
        if self.softness <= 0:
            raise HearsightError("contrast.softness must be positive.")

    def __call__(self, responses: Float[Tensor, "b a h w"], first: int = 0) -> Float[Tensor, ""]:
        place = matched(responses, first)
        inside = (place - self.foreground) / self.softness
        positive = region_mean(place, inside) - self.margin
        others = responses.mean((2, 3)).masked_fill(true_pairs(responses, first), 0.0).sum(1)
        return softplus(others + region_mean(place, -inside) - positive).mean()
