"""Supervised classification of sounds (VGG-H)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from hearsight.errors import HearsightError
from hearsight.objectives.embedded_batch import EmbeddedBatch


@dataclass(slots=True, kw_only=True)
class SoundClassification:
    """Cross-entropy of a linear classifier on the sound vector; the frame network is not trained.

    Source
        VGG-H, the upper row of retrieval in SSL-TIE, Liu et al., ACM MM 2022: the classifier of
        Chen et al., *VGGSound*, ICASSP 2020, a ResNet-18 on the spectrogram.
    Differs from the released code
        The sound vector is max-pooled; there it is average-pooled, or NetVLAD.
    """

    needs_labels: ClassVar[bool] = True
    teaches_frames: ClassVar[bool] = False
    least_clips: ClassVar[int] = 1
    no_margin: ClassVar[str] = (
        "SoundClassification has no margin: it compares no pairs of frame and sound."
    )

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        if embedded.labels is None:
            raise HearsightError("SoundClassification needs clips with a class.")
        if getattr(embedded.networks, "classifier", None) is None:
            raise HearsightError("SoundClassification needs a classifier: set encoder.classes.")
        own = embedded.sounds[embedded.first : embedded.first + len(embedded.grids)]
        logits = embedded.networks.classifier(own).to(embedded.responses.dtype)
        return cross_entropy(logits, embedded.labels)
