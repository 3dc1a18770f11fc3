"""Max-pooled InfoNCE: EZ-VSL's multiple-instance contrastive loss, and AVObject's."""

from dataclasses import dataclass
from math import log
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from hearsight.errors import HearsightError
from hearsight.model.distributed import gather, process_count
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.trimap_contrast import true_pairs


def first_own_frame(first: int) -> int:
    """The index of the first own frame among those gathered from all processes."""
    return first if process_count() > 1 else 0


def scores_by_sound(scores: Float[Tensor, "b a"], first: int) -> Float[Tensor, "b n"]:
    """The scores of the own sounds (rows) with the frames of all processes (columns)."""
    return gather(scores).flatten(0, 1)[:, first : first + len(scores)].T


def target_columns(scores: Float[Tensor, "b n"], start: int) -> Int64[Tensor, " b"]:
    """The column of each row's true pair: `start`, `start` + 1, ..."""
    return torch.arange(start, start + len(scores), device=scores.device)


def peaks(responses: Float[Tensor, "b a h w"], softness: float) -> Float[Tensor, "b a"]:
    """Max-pooling of each response map, soft if `softness` is above 0.

    Soft is softness * log mean exp(S / softness), which lies between the mean and the maximum and
    tends to the maximum as softness tends to 0.
    """
    if softness == 0:
        return responses.amax((2, 3))
    places = responses.flatten(2)
    return softness * ((places / softness).logsumexp(2) - log(places.shape[2]))


@dataclass(slots=True, kw_only=True)
class MaxContrast:
    """InfoNCE of the maximum of each response map, from frames to sounds and back.

    With s_ij the maximum of map S_ij (`peaks`), the loss is the cross-entropy of s_ij / temperature
    over the sounds j for each frame, plus (`both`) that over the frames i for each sound. Frames
    and sounds are those of all processes.

    In a network from scratch the maximum lies anywhere, most often at the border of the grid, and
    only that place gets a gradient, so learning starts late. With `softness` every place gets one,
    the stronger its response the larger. No paper has it.

    Source
        EZ-VSL, Mo and Morgado, ECCV 2022, as released (`both`); AVObject, Afouras et al., ECCV
        2020, the idea only (`frames`). `margin`: MarginNCE, Park et al., ICASSP 2023, s - m for
        every true pair, in both directions; its code is not public.

    Raises:
        HearsightError: a temperature that is not positive, a softness that is negative.
    """

    temperature: float = 0.03  # cosine
    margin: float = 0.0  # cosine, subtracted from the scores of true pairs
    softness: float = 0.0  # cosine, of max-pooling; 0: the maximum, as in the papers
    directions: Literal["both", "frames"] = "both"  # frames: only frame to sound

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise HearsightError("contrast.temperature must be positive.")
        if self.softness < 0:
            raise HearsightError("contrast.softness must not be negative.")

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        first = embedded.first
        scores = peaks(embedded.responses, self.softness)
        shifted = torch.where(true_pairs(scores, first), scores - self.margin, scores)
        logits = shifted / self.temperature
        loss = cross_entropy(logits, target_columns(logits, first))
        if self.directions == "both":
            backwards = scores_by_sound(logits, first)
            loss = loss + cross_entropy(
                backwards, target_columns(backwards, first_own_frame(first))
            )
        return loss
