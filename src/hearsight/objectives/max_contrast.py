"""The contrast of peaks: the strongest place of a frame speaks for all of it."""

from dataclasses import dataclass
from math import log
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from hearsight.errors import HearsightError
from hearsight.model.distributed import gather, process_count
from hearsight.objectives.contrast import true_pairs
from hearsight.objectives.embedded_batch import EmbeddedBatch


def first_own_frame(first: int) -> int:
    """Where the own frames begin among those of all processes, which stand as their sounds do."""
    return first if process_count() > 1 else 0


def scores_by_sound(scores: Float[Tensor, "b a"], first: int) -> Float[Tensor, "b n"]:
    """The scores of the own sounds with the frames of all processes, one row per sound."""
    return gather(scores).flatten(0, 1)[:, first : first + len(scores)].T


def target_columns(scores: Float[Tensor, "b n"], start: int) -> Int64[Tensor, " b"]:
    """The column of each row's partner, if that of the first row is `start`."""
    return torch.arange(start, start + len(scores), device=scores.device)


def peaks(responses: Float[Tensor, "b a h w"], softness: float) -> Float[Tensor, "b a"]:
    """The largest value of each map, or a soft form of it that all places share in.

    That is softness log mean exp(S / softness): between the mean and the largest value, which it
    nears as the softness does 0.
    """
    if softness == 0:
        return responses.amax((2, 3))
    target_columns = responses.flatten(2)
    return softness * ((target_columns / softness).logsumexp(2) - log(target_columns.shape[2]))


@dataclass(slots=True, kw_only=True)
class MaxContrast:
    """Tell by the largest cosine of a map which sound belongs to a frame, and which frame to it.

    With s_ij the largest value of map S_ij (`peaks`), the loss is the cross-entropy of
    s_ij / temperature over the sounds j of each frame, and (`both`) that over the frames i of each
    sound, added. Own frames are told apart for own sounds among the frames of all processes.

    A network from scratch has its peaks anywhere, most often at the border of the grid, and one
    place per map tells it little: from there it takes long to begin to learn. A `softness` lets
    every place take part, the more the stronger it responds; none of the papers has it.

    Source
        EZ-VSL, Mo and Morgado, ECCV 2022, as released (`both`); AVObject, Afouras et al., ECCV
        2020, the idea only (`frames`). The margin: MarginNCE, Park et al., ICASSP 2023: (s - m)
        for every true pair, in both directions; no code of it is public.

    Raises:
        HearsightError: a temperature that is not positive, a softness that is negative.
    """

    temperature: float = 0.03  # cosine
    margin: float = 0.0  # cosine, subtracted from true pairs; negative eases the contrast
    softness: float = 0.0  # cosine, of the peaks; 0: the largest value
    directions: Literal["both", "frames"] = "both"  # frames: only a sound is sought, for a frame

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise HearsightError("contrast.temperature must be positive.")
        if self.softness < 0:
            raise HearsightError("contrast.softness must not be negative.")

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        first = embedded.first
        scores = peaks(embedded.responses, self.softness)
        eased = torch.where(true_pairs(scores, first), scores - self.margin, scores)
        logits = eased / self.temperature
        loss = cross_entropy(logits, target_columns(logits, first))
        if self.directions == "both":
            backwards = scores_by_sound(logits, first)
            loss = loss + cross_entropy(
                backwards, target_columns(backwards, first_own_frame(first))
            )
        return loss
