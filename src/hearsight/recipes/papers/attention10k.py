"""Attention10k. Senocak et al., Learning to Localize Sound Source in Visual Scenes, CVPR 2018
(arXiv 1803.03849).

Batch, epochs, learning rate, no weight decay, 320-pixel frames without augmentation and a grid of
20 x 20 are those of the authors' PyTorch code. It uses a frozen ImageNet VGG-16 and SoundNet on
waveforms; here two ResNet-18 are trained, on SSL-TIE's spectrogram.
"""

from hearsight.objectives.attention import AttendedTriplet
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def attention10k() -> Recipe:
    """Attention10k, CVPR 2018: sound-guided attention, triplet loss on the attended vector."""
    return Recipe(
        frame_size=320,
        contrast=AttendedTriplet(),
        batch_size=30,
        epochs=10,
        learning_rate=1e-4,
        weight_decay=0.0,
    )


def supervised() -> Recipe:
    """Attention10k with the semi-supervised loss: + cross-entropy of attention and boxes."""
    recipe = attention10k()
    recipe.contrast = AttendedTriplet(supervision=1.0)
    return recipe


def small() -> Recipe:
    """Attention10k for minutes on a CPU, with all other sounds of the batch as negatives."""
    recipe = shrink(attention10k())
    recipe.contrast = AttendedTriplet(others="all")
    return recipe


def small_supervised() -> Recipe:
    """Attention10k with the semi-supervised loss, for minutes on a CPU."""
    recipe = small()
    recipe.contrast = AttendedTriplet(others="all", supervision=1.0)
    return recipe
