"""FNAC's false-negative-aware contrastive loss."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import l1_loss, normalize, softmax

from hearsight.errors import HearsightError
from hearsight.model.distributed import gather
from hearsight.model.response import matched
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.max_contrast import MaxContrast, first_own_frame, peaks


def above_share_of_range(maps: Float[Tensor, "b h w"], share: float) -> Bool[Tensor, "b h w"]:
    """Where each map, min-max normalised, exceeds `share`."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return maps - low > share * (high - low)


@dataclass(slots=True, kw_only=True)
class FalseNegativeContrast:
    """`MaxContrast` and, after a warm-up, three regularisers that suppress false negatives.

    Four adjacency matrices, each a softmax over clips of inner products / temperature: A of sounds;
    S of frames with sounds (the max-pooled scores); V of frames, as means over their places; F of
    objects, as means over all places of the vectors where the own map, min-max normalised, exceeds
    `foreground`, zero elsewhere. Vectors of places and of sounds have unit length, their means are
    not normalised again. The regularisers are the mean absolute differences of A and S (false
    negatives suppression by sound), A and F (true negatives enhancement), V and S (false negatives
    suppression by frame), with gradients through both sides.

    They are means over all pairs of a batch, so each is at most 2 / clips.

    Source
        FNAC, Sun et al., CVPR 2023, as released: code and the three training scripts.
    Differs from the released code
        `foreground` is compared without dividing the map by its range + 1e-5, which only matters
        for maps that are constant to seven digits. `margin` (MarginNCE) is not theirs; the
        regularisers do not depend on it. Their dropout of 0.9 is `encoder.dropout`.

    Raises:
        HearsightError: a value outside its range.
    """

    temperature: float = 0.03  # cosine
    margin: float = 0.0  # cosine, subtracted from the scores of true pairs
    weight: float = 100.0  # of each regulariser
    softness: float = 0.0  # cosine, of max-pooling as in `MaxContrast`; not theirs
    warm_up: int = 5  # epochs of the contrastive loss alone
    foreground: float = 0.6  # threshold of the min-max normalised map

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise HearsightError("contrast.temperature must be positive.")
        if min(self.weight, self.warm_up, self.softness) < 0:
            raise HearsightError(
                "contrast.weight, contrast.warm_up and contrast.softness must not be negative."
            )
        if not 0 <= self.foreground < 1:
            raise HearsightError("contrast.foreground must lie in [0, 1).")

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        contrast = MaxContrast(
            temperature=self.temperature, margin=self.margin, softness=self.softness
        )(embedded)
        if embedded.epoch < self.warm_up:
            return contrast
        with torch.autocast(embedded.responses.device.type, enabled=False):
            return contrast + self.weight * self.regularisers(embedded).sum()

    def regularisers(self, embedded: EmbeddedBatch) -> Float[Tensor, "3"]:
        """The mean absolute differences of A and S, A and F, V and S."""
        responses, first = embedded.responses, embedded.first
        grids = normalize(embedded.grids.to(responses.dtype), dim=1)
        sounds = normalize(embedded.sounds.to(responses.dtype), dim=1)
        inside = above_share_of_range(matched(responses, first).detach(), self.foreground)
        frames = grids.mean((2, 3))
        objects = (grids * inside[:, None]).mean((2, 3))
        all_frames, all_objects = gather(frames).flatten(0, 1), gather(objects).flatten(0, 1)
        begin = first - first_own_frame(first)
        known = slice(begin, begin + len(all_frames))  # sounds whose frames were gathered
        by_sound = self.adjacency(sounds[first : first + len(grids)], sounds[known])
        scores = peaks(responses, self.softness)
        across = softmax(scores[:, known] / self.temperature, dim=1)
        return torch.stack(
            [
                l1_loss(by_sound, across),
                l1_loss(by_sound, self.adjacency(objects, all_objects)),
                l1_loss(self.adjacency(frames, all_frames), across),
            ]
        )

    def adjacency(
        self, own: Float[Tensor, "b c"], others: Float[Tensor, "n c"]
    ) -> Float[Tensor, "b n"]:
        """The softmax over others of inner products / temperature; rows sum to 1."""
        return softmax(own @ others.T / self.temperature, dim=1)
