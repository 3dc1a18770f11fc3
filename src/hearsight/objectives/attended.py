"""Attention that a frame's own sound draws: what is attended to must be nearer to that sound.

Attended vectors are sums over the places of a frame, weighted by what its sound says of each.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import log_softmax, pairwise_distance, relu

from hearsight.errors import HearsightError
from hearsight.objectives.embedded import Embedded
from hearsight.response import matched


def attend(
    weights: Float[Tensor, "b h w"], grids: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c"]:
    """The sum of each frame's vectors, each times the weight of its place."""
    return (weights[:, None] * grids).sum((2, 3))


def own_and_next(embedded: Embedded) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]:
    """The sound of each frame, and that of the next clip in the batch of all processes.

    After the last clip comes the first.

    Raises:
        HearsightError: there is no second sound.
    """
    if len(embedded.sounds) < 2:
        raise HearsightError(
            "The objective compares with another sound: batch_size must be at least 2."
        )
    sounds = embedded.sounds.to(embedded.responses.dtype)
    rows = slice(embedded.first, embedded.first + len(embedded.grids))
    return sounds[rows], sounds.roll(-1, dims=0)[rows]


@dataclass(slots=True, kw_only=True)
class AttendedTriplet:
    """The attended vector of a frame is nearer to its own sound than to another.

    Attention is the softmax over places of relu(cosine of place and sound); z is the sum of the
    frame's vectors under it. Of the distances d+ of z to its own sound and d- to the next one in
    the batch, p = softmax([d+, d-]) is wanted to be [0, 1]; the loss is the mean of (p - [0, 1])^2.
    With `supervision` the cross-entropy of attention and boxes is added.

    Source
        Attention10k: Senocak et al., *Learning to Localize Sound Source in Visual Scenes*,
        CVPR 2018; the authors' second, released code.
        `margin` after MarginNCE, Park et al., ICASSP 2023; none is known for this method.
    Differs from the released code
        There sounds are fixed features of another network, and z passes through two linear maps
        to reach them; here both networks learn, and z is compared as it is. Another sound is drawn
        at random there. The boxes of a clip are divided by their sum here; whether those of the
        released code sum to 1 is not known (?).

    Raises:
        HearsightError: a negative weight.
    """

    margin: float = 0.0  # distance, added to that of the true pair; negative eases the contrast
    supervision: float = 0.0  # weight of the boxes; released: 1

    def __post_init__(self) -> None:
        if self.supervision < 0:
            raise HearsightError(
                f"contrast.supervision must not be negative, not {self.supervision}."
            )

    @property
    def needs_truths(self) -> bool:
        """Whether clips need boxes."""
        return self.supervision > 0

    def __call__(self, embedded: Embedded) -> Float[Tensor, ""]:
        own = relu(matched(embedded.responses, embedded.first))
        log_attention = log_softmax(own.flatten(1), dim=1).reshape(own.shape)
        seen = attend(log_attention.exp(), embedded.grids)
        near, far = (pairwise_distance(seen, sounds) for sounds in own_and_next(embedded))
        # Both entries of p - [0, 1] have the same square: they sum to 0.
        loss = (near + self.margin - far).sigmoid().square().mean()
        if not self.needs_truths:
            return loss
        return loss + self.supervision * boxes_entropy(log_attention, embedded.truths)


def boxes_entropy(
    log_attention: Float[Tensor, "b h w"], truths: Float[Tensor, "b h w"] | None
) -> Float[Tensor, ""]:
    """Mean cross-entropy of attention and boxes; a frame without boxes adds nothing.

    Raises:
        HearsightError: the clips have no boxes.
    """
    if truths is None:
        raise HearsightError("contrast.supervision learns from boxes, which the clips do not have.")
    wanted = truths / truths.sum((1, 2), keepdim=True).clamp(min=1e-6)
    return -(wanted * log_attention).sum((1, 2)).mean()
