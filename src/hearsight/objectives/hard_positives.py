"""The trimap contrast with hard positives: frames and sounds of similar clips match as well."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize, softplus

from hearsight.errors import HearsightError
from hearsight.model.distributed import gather
from hearsight.model.response import matched, region_mean
from hearsight.objectives.contrast import true_pairs
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.max_contrast import first_own_frame, scores_by_sound, target_columns


@torch.no_grad()
def most_similar(
    own: Float[Tensor, "b c"], others: Float[Tensor, "n c"], *, start: int, count: int
) -> Int64[Tensor, "b k"]:
    """The most similar of the others by cosine, k = `count` or all there are.

    Args:
        own: of these, number i is number `start` + i of the others, and not its own neighbour.
        others: among which neighbours are sought.
        start: see `own`.
        count: neighbours wanted.
    """
    with torch.autocast(own.device.type, enabled=False):
        cosines = normalize(own.float(), dim=1) @ normalize(others.float(), dim=1).T
    cosines = cosines.masked_fill(true_pairs(cosines, start), -torch.inf)
    return cosines.topk(min(count, len(others) - 1), dim=1).indices


@dataclass(slots=True, kw_only=True)
class HardPositiveContrast:
    """`TrimapContrast` in which the nearest neighbours of a clip are positives, not negatives.

    For clip i: its `neighbours` nearest sounds, by the cosine of sound vectors, each give the
    positive (frame i, that sound); its nearest frames, by the cosine of the mean vectors of
    frames, each give the positive (that frame, sound i). Both kinds leave the negatives of frame
    i, which are the other sounds and the own background. Each positive is contrasted with these
    negatives alone; the loss is the mean over clips and positives. Without neighbours it is
    `TrimapContrast`.

    Source
        HPS, Senocak et al., ICASSP 2022: that similar clips become positives and leave the
        negatives. There is no code; how many neighbours there are, how their terms are weighed
        and by which vectors they are sought is not certain: everything above but the idea is
        ours. Margin: MarginNCE, Park et al., ICASSP 2023, from every positive.
    Differs from the paper
        Neighbours are sought among the clips of the joined batch by the vectors of the step
        itself, not in the whole data set.

    Raises:
        HearsightError: a value outside its range.
    """

    neighbours: int = 1  # of each clip, per modality; not certain
    foreground: float = 0.65  # cosine above which a place is source
    background: float = 0.40  # cosine below which it is background
    softness: float = 0.03  # cosine, width of the sigmoid edge of both masks
    temperature: float = 0.07  # cosine
    margin: float = 0.0  # cosine, subtracted from all positives; negative eases the contrast

    def __post_init__(self) -> None:
        if self.softness <= 0 or self.temperature <= 0:
            raise HearsightError("contrast.softness and contrast.temperature must be positive.")
        if self.neighbours < 0:
            raise HearsightError("contrast.neighbours must not be negative.")

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        responses, first = embedded.responses, embedded.first
        scores = region_mean(responses, (responses - self.foreground) / self.softness)
        like_sounds, like_frames = self.similar(embedded)
        begin = first - first_own_frame(first)  # the sound of the first of all frames
        out = true_pairs(scores, first).scatter(1, like_sounds, True)
        out = out.scatter(1, like_frames + begin, True)
        place = matched(responses, first)
        background = region_mean(place, (self.background - place) / self.softness)
        negatives = torch.cat([scores.masked_fill(out, -torch.inf), background[:, None]], dim=1)
        positives = torch.cat(
            [
                scores.gather(1, target_columns(scores, first)[:, None]),
                scores.gather(1, like_sounds),
                scores_by_sound(scores, first).gather(1, like_frames),
            ],
            dim=1,
        )
        against = torch.logsumexp(negatives / self.temperature, dim=1, keepdim=True)
        return softplus(against - (positives - self.margin) / self.temperature).mean()

    def similar(
        self, embedded: EmbeddedBatch
    ) -> tuple[Int64[Tensor, "b k"], Int64[Tensor, "b k2"]]:
        """The nearest sounds of each clip among all sounds, and frames among all frames."""
        sounds, first = embedded.sounds.detach(), embedded.first
        looks = embedded.grids.detach().mean((2, 3))
        own = sounds[first : first + len(looks)]
        like_sounds = most_similar(own, sounds, start=first, count=self.neighbours)
        everyone = gather(looks).flatten(0, 1)
        start = first_own_frame(first)
        return like_sounds, most_similar(looks, everyone, start=start, count=self.neighbours)
