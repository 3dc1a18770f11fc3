"""SSPL's negative-free loss: SimSiam on two views of a frame, pooled by their response maps."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hearsight.errors import HearsightError
from hearsight.model.response import matched
from hearsight.objectives.attention import attend
from hearsight.objectives.embedded_batch import EmbeddedBatch

SMALLEST_RANGE = 1e-6  # cosine; a response map with a smaller range is constant but for rounding


def attended_frames(embedded: EmbeddedBatch) -> Float[Tensor, "b c"]:
    """The sum of a frame's vectors, weighted by its min-max normalised response map.

    A constant map weights all places 0.
    """
    place = matched(embedded.responses, embedded.first)
    low, high = place.amin((1, 2), keepdim=True), place.amax((1, 2), keepdim=True)
    return attend((place - low) / (high - low).clamp(min=SMALLEST_RANGE), embedded.grids)


@dataclass(slots=True, kw_only=True)
class SiamesePrediction:
    """SimSiam: the sound-attended vector of one view predicts that of the other.

    f is the sum of a frame's vectors under its response map (`attended_frames`), z = projector(f),
    p = predictor(z); the loss is -cos(p of this view, z of the other), with stop-gradient on z. The
    mean over both views is the symmetric loss.

    Source
        SSPL without its predictive coding module: Song et al., *Self-Supervised Predictive
        Learning*, CVPR 2022, and its released code; the two heads are SimSiam's, Chen and He,
        CVPR 2021.
    Differs from the released code
        Response maps are divided by their range, at least 1e-6, not by their range + 1e-10, which
        multiplies the gradient of a constant map by 1e10.
    """

    no_margin: ClassVar[str] = (
        "SiamesePrediction has no margin: without negatives there are no scores to compare."
    )

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        networks, other = embedded.networks, embedded.other
        if other is None:
            raise HearsightError("SiamesePrediction compares two views of a frame: set views=2.")
        if getattr(networks, "predictor", None) is None:
            raise HearsightError("SiamesePrediction predicts: set encoder.predictor.")
        if len(embedded.sounds) < 2:
            raise HearsightError(
                "SiamesePrediction normalises over clips: batch_size must be at least 2."
            )
        predicted = networks.predictor(networks.projector(attended_frames(embedded)))
        with torch.no_grad():
            wanted = networks.projector(attended_frames(other))
        exact = embedded.responses.dtype
        return -cosine_similarity(predicted.to(exact), wanted.to(exact), dim=1).mean()
