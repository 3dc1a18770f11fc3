"""SLAVC's loss: correspondence and localisation heads, targets of a momentum encoder."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from hearsight.errors import HearsightError
from hearsight.model.response import response
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.max_contrast import target_columns
from hearsight.objectives.trimap_contrast import true_pairs

HEADS = 2  # correspondence, localisation


@dataclass(slots=True, kw_only=True)
class MomentumContrast:
    """Cross-entropy of audio-visual correspondence, weighted over places by localisation.

    The correspondence head gives p1 = softmax over sounds j of S1_ij / temperature at each place,
    the localisation head p2 = softmax over places of S2_ij / temperature; the logit of frame i and
    sound j is log sum over places of p1 p2. The loss is the sum of two cross-entropies over sounds:
    frames with sounds of the momentum encoder, and frames of the momentum encoder with sounds.

    It needs `encoder.heads` 2 and `encoder.ema` above 0. The response map is the mean of S1 and S2.

    Source
        SLAVC, Mo and Morgado, NeurIPS 2022, as released. There too both softmaxes and both
        cross-entropies run over sounds; none runs over frames.
    Differs from the released code
        Logits are computed in the log domain. `margin` (MarginNCE) is not theirs: as a logit is a
        log-probability, not a cosine, margin / temperature is subtracted from that of the true
        pair, which moves the decision boundary as far as a margin on cosines does.

    Raises:
        HearsightError: a temperature that is not positive; when called, no momentum encoder, or
            not two heads.
    """

    temperature: float = 0.03  # cosine
    margin: float = 0.0  # cosine; margin / temperature is subtracted from true pairs' logits

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise HearsightError("contrast.temperature must be positive.")

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        if embedded.ema_grids is None or embedded.ema_sounds is None:
            raise HearsightError(
                "MomentumContrast needs a momentum encoder: set encoder.ema above 0."
            )
        if getattr(embedded.networks, "heads", HEADS) != HEADS or embedded.grids.shape[1] % HEADS:
            raise HearsightError("MomentumContrast needs encoder.heads=2.")
        loss = embedded.responses.new_zeros(())
        for grids, sounds in (
            (embedded.grids, embedded.ema_sounds),
            (embedded.ema_grids, embedded.sounds),
        ):
            logits = self.logits(grids, sounds)
            shifted = logits - self.margin / self.temperature
            logits = torch.where(true_pairs(logits, embedded.first), shifted, logits)
            loss = loss + cross_entropy(logits, target_columns(logits, embedded.first))
        return loss

    def logits(
        self, grids: Float[Tensor, "b channels h w"], sounds: Float[Tensor, "a channels"]
    ) -> Float[Tensor, "b a"]:
        """The log-probability of each frame and sound, summed over places; at most 0."""
        correspondence, localisation = (
            response(one, other).flatten(2) / self.temperature
            for one, other in zip(grids.chunk(HEADS, 1), sounds.chunk(HEADS, 1), strict=True)
        )
        which, where = log_softmax(correspondence, dim=1), log_softmax(localisation, dim=2)
        return torch.logsumexp(which + where, dim=2)
