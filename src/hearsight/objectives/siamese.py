"""Objectives without negatives: two views of one frame, under its own sound, predict each other."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hearsight.errors import HearsightError
from hearsight.model.response import matched
from hearsight.objectives.attended import attend
from hearsight.objectives.embedded_batch import EmbeddedBatch

SMALLEST_SPREAD = 1e-6  # cosine; a response map that spreads less is flat but for rounding


def audible(embedded: EmbeddedBatch) -> Float[Tensor, "b c"]:
    """The sum of a frame's vectors, weighted by its response map stretched to [0, 1].

    A flat map weights all places 0.
    """
    place = matched(embedded.responses, embedded.first)
    low, high = place.amin((1, 2), keepdim=True), place.amax((1, 2), keepdim=True)
    return attend((place - low) / (high - low).clamp(min=SMALLEST_SPREAD), embedded.grids)


@dataclass(slots=True, kw_only=True)
class SiamesePrediction:
    """What one view shows of the sound predicts what the other view shows of it.

    f is a frame's sum of vectors under its response map (`audible`), z = projector(f),
    p = predictor(z); the loss is -cos(p of this view, z of the other), and z is held fixed. The
    mean over both views is the symmetric loss.

    Source
        SSPL without its predictive coding module: Song et al., *Self-Supervised Predictive
        Learning*, CVPR 2022, and its released code; the two heads are SimSiam's, Chen and He,
        CVPR 2021.
    Differs from the released code
        Response maps are divided by their spread, at least 1e-6, not by their spread + 1e-10: the
        gradient of a flat map would be 1e10 times too large.
    """

    no_margin: ClassVar[str] = (
        "SiamesePrediction has no margin: without negatives there is no contrast to ease."
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
        predicted = networks.predictor(networks.projector(audible(embedded)))
        with torch.no_grad():
            wanted = networks.projector(audible(other))
        exact = embedded.responses.dtype
        return -cosine_similarity(predicted.to(exact), wanted.to(exact), dim=1).mean()
