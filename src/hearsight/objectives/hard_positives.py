"""HPS's loss: the trimap contrastive loss with nearest neighbours as hard positives."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import softplus

from hearsight.errors import HearsightError
from hearsight.model.distributed import gather
from hearsight.model.nearest import rank, unit
from hearsight.model.response import matched, region_mean
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.max_contrast import first_own_frame, scores_by_sound, target_columns
from hearsight.objectives.trimap_contrast import true_pairs


@torch.no_grad()
def nearest_neighbours(
    own: Float[Tensor, "b c"], others: Float[Tensor, "n c"], *, start: int, count: int
) -> Int64[Tensor, "b k"]:
    """The k nearest neighbours by cosine; k = `count`, or all others where these are fewer.

    NaN counts as 0 here: the loss is NaN anyway, and training stops at it.

    Args:
        own: row i is row `start` + i of `others`, and not its own neighbour.
        others: the candidates.
        start: see `own`.
        count: neighbours wanted.
    """
    count = min(count, len(others) - 1)
    itself = torch.arange(start, start + len(own), device=own.device)
    if count == 0:
        return itself.new_empty(len(own), 0)
    queries, gallery = (unit(vectors.float().nan_to_num()) for vectors in (own, others))
    with torch.autocast(own.device.type, enabled=False):
        _, found = rank(queries, gallery, count, exclude=itself)
    return found


@dataclass(slots=True, kw_only=True)
class HardPositiveContrast:
    """`TrimapContrast` with the nearest neighbours of a clip as positives instead of negatives.

    For clip i: its `neighbours` nearest sounds, by the cosine of sound vectors, each give the
    positive (frame i, that sound); its nearest frames, by the cosine of the mean vectors of
    frames, each give the positive (that frame, sound i). Neither is among the negatives of frame
    i, which are the other sounds and the own background. Each positive is contrasted with these
    negatives alone; the loss is the mean over clips and positives. Without neighbours it is
    `TrimapContrast`.

    Source
        HPS, Senocak et al., ICASSP 2022: that similar clips are positives, not negatives. No code
        was released; the number of neighbours, the weight of their terms and the vectors they are
        found by are not certain: everything above but the idea is ours. `margin`: MarginNCE, Park
        et al., ICASSP 2023.
    Differs from the paper
        Neighbours are found in the joined batch, by the embeddings of the step, not in the whole
        data set.

    Raises:
        HearsightError: a value outside its range.
    """

    neighbours: int = 1  # of each clip, per modality; not certain
    foreground: float = 0.65  # cosine above which a place is source
    background: float = 0.40  # cosine below which it is background
    softness: float = 0.03  # cosine, width of the sigmoid edge of both masks
    temperature: float = 0.07  # cosine
    margin: float = 0.0  # cosine, subtracted from the scores of all positives

    def __post_init__(self) -> None:
        if self.softness <= 0 or self.temperature <= 0:
            raise HearsightError("contrast.softness and contrast.temperature must be positive.")
        if self.neighbours < 0:
            raise HearsightError("contrast.neighbours must not be negative.")

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        responses, first = embedded.responses, embedded.first
        scores = region_mean(responses, (responses - self.foreground) / self.softness)
        by_sound, by_frame = self.find_neighbours(embedded)
        begin = first - first_own_frame(first)  # index of the sound of the first gathered frame
        removed = true_pairs(scores, first).scatter(1, by_sound, True)
        removed = removed.scatter(1, by_frame + begin, True)
        place = matched(responses, first)
        background = region_mean(place, (self.background - place) / self.softness)
        negatives = torch.cat([scores.masked_fill(removed, -torch.inf), background[:, None]], dim=1)
        positives = torch.cat(
            [
                scores.gather(1, target_columns(scores, first)[:, None]),
                scores.gather(1, by_sound),
                scores_by_sound(scores, first).gather(1, by_frame),
            ],
            dim=1,
        )
        against = torch.logsumexp(negatives / self.temperature, dim=1, keepdim=True)
        return softplus(against - (positives - self.margin) / self.temperature).mean()

    def find_neighbours(
        self, embedded: EmbeddedBatch
    ) -> tuple[Int64[Tensor, "b k"], Int64[Tensor, "b k2"]]:
        """The nearest sounds of each clip among all sounds, and its nearest frames among all."""
        sounds, first = embedded.sounds.detach(), embedded.first
        frames = embedded.grids.detach().mean((2, 3))
        own = sounds[first : first + len(frames)]
        by_sound = nearest_neighbours(own, sounds, start=first, count=self.neighbours)
        gathered, start = gather(frames).flatten(0, 1), first_own_frame(first)
        by_frame = nearest_neighbours(frames, gathered, start=start, count=self.neighbours)
        return by_sound, by_frame
