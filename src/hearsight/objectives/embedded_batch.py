"""What an objective sees: one view of a batch, embedded."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(slots=True, kw_only=True)
class EmbeddedBatch:
    """Frames of this process and sounds of all, embedded; frame i belongs to sound `first` + i.

    Where the encoder has several heads c counts the channels of all, one head after the other, and
    responses are the mean of the heads' cosines.

    grids, sounds: not normalised. responses: cosines. ema_grids, ema_sounds: by the slowly
    following copy of the encoders, without gradient, where the recipe keeps one. labels: class
    numbers of the own clips, where the recipe asks for them. truths: share of each cell inside the
    own boxes, where it asks for these. other: the second view of the same frames, where there is
    one. networks: the encoders, for objectives that use one of their heads.
    """

    grids: Float[Tensor, "b c h w"]
    sounds: Float[Tensor, "a c"]
    responses: Float[Tensor, "b a h w"]
    first: int = 0
    epoch: int = 0  # counted from 0
    ema_grids: Float[Tensor, "b c h w"] | None = None
    ema_sounds: Float[Tensor, "a c"] | None = None
    labels: Int64[Tensor, " b"] | None = None
    truths: Float[Tensor, "b h w"] | None = None
    other: "EmbeddedBatch | None" = None
    networks: Any = None
