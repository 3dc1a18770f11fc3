"""The input of an objective: one view of a batch, embedded."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(slots=True, kw_only=True)
class EmbeddedBatch:
    """Embedded frames of this process and sounds of all; frame i goes with sound `first` + i.

    With several heads, c counts the channels of all, concatenated, and responses are the mean of
    the heads' cosines. An objective that is called without a part it needs raises HearsightError.

    grids, sounds: not normalised. responses: cosines. ema_grids, ema_sounds: of the momentum
    encoder, without gradient. labels: class numbers of the own clips. truths: share of each cell
    inside the boxes of its frame. other: the second view of the same frames. networks: the
    `Encoders`, for objectives that use their predictor or classifier.
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
