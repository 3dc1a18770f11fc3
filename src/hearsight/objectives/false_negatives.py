"""A contrast that knows false negatives: clips alike in sound or look should respond alike."""

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
    """Where each map exceeds this share of the way from its lowest to its highest value."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return maps - low > share * (high - low)


@dataclass(slots=True, kw_only=True)
class FalseNegativeContrast:
    """`MaxContrast`, and after some epochs three gaps between ways to say which clips are alike.

    Four matrices, each a softmax over clips of inner products / temperature: A of sounds; S of
    frames with sounds (the peaks that are contrasted); V of frames, as means over their places; F
    of objects, as means over all places of the vectors where the own map, stretched to 0..1,
    exceeds `foreground`, zero elsewhere. Vectors of single places and of sounds have length 1;
    means are not stretched to it. The gaps are the mean absolute differences of A and S (what
    sounds alike is no negative), A and F (what sounds alike looks alike where it sounds), V and S
    (what looks alike is no negative); gradients flow through both sides of each.

    The gaps are means over all pairs of a batch, so they are at most 2 / clips each.

    Source
        FNAC, Sun et al., CVPR 2023, as released: code and the three training scripts.
    Differs from the released code
        Foreground is told by a comparison instead of a division by the range of the map + 1e-5,
        which only matters for maps that are constant to seven digits. The margin (MarginNCE) is
        not theirs; it eases the contrast and leaves the gaps as they are. Dropout of 0.9 on the
        frame features is a matter of the encoder, not of the objective.

    Raises:
        HearsightError: a value outside its range.
    """

    temperature: float = 0.03  # of the inner products, cosines and below
    margin: float = 0.0  # cosine, subtracted from true pairs; negative eases the contrast
    weight: float = 100.0  # of each gap
    softness: float = 0.0  # cosine, of the peaks as in `MaxContrast`; not theirs
    warm_up: int = 5  # epochs of the contrast alone
    foreground: float = 0.6  # share of the range of the own map

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
            return contrast + self.weight * self.gaps(embedded).sum()

    def gaps(self, embedded: EmbeddedBatch) -> Float[Tensor, "3"]:
        """The mean absolute differences of A and S, A and F, V and S."""
        responses, first = embedded.responses, embedded.first
        grids = normalize(embedded.grids.to(responses.dtype), dim=1)
        sounds = normalize(embedded.sounds.to(responses.dtype), dim=1)
        inside = above_share_of_range(matched(responses, first).detach(), self.foreground)
        looks = grids.mean((2, 3))
        objects = (grids * inside[:, None]).mean((2, 3))
        all_looks, all_objects = gather(looks).flatten(0, 1), gather(objects).flatten(0, 1)
        begin = first - first_own_frame(first)
        known = slice(begin, begin + len(all_looks))  # sounds whose frames are there
        heard = self.alike(sounds[first : first + len(grids)], sounds[known])
        scores = peaks(responses, self.softness)
        answered = softmax(scores[:, known] / self.temperature, dim=1)
        return torch.stack(
            [
                l1_loss(heard, answered),
                l1_loss(heard, self.alike(objects, all_objects)),
                l1_loss(self.alike(looks, all_looks), answered),
            ]
        )

    def alike(
        self, own: Float[Tensor, "b c"], others: Float[Tensor, "n c"]
    ) -> Float[Tensor, "b n"]:
        """How alike each own clip is to all, as shares that sum to 1."""
        return softmax(own @ others.T / self.temperature, dim=1)
