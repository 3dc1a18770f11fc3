"""LVS. Chen et al., Localizing Visual Sounds the Hard Way, CVPR 2021.

Loss, networks and spectrogram are those of the released code, which holds no training: learning
rate, weight decay, batch size and epochs are SSL-TIE's, not certain for LVS.
"""

from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import LogSpectrogram
from hearsight.objectives.trimap_contrast import TrimapContrast
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def lvs() -> Recipe:
    """LVS, CVPR 2021: trimap contrastive loss with the own background as hard negatives."""
    return Recipe(
        spectrogram=LogSpectrogram(seconds=10.0),
        encoder=Encoder(),
        contrast=TrimapContrast(),
        learning_rate=1e-4,
        weight_decay=1e-4,
        batch_size=32,
        epochs=80,
    )


def small() -> Recipe:
    """LVS for minutes on a CPU."""
    return shrink(lvs())
