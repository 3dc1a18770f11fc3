"""Attention10k. Senocak et al., Learning to Localize Sound Source in Visual Scenes, CVPR 2018
(arXiv 1803.03849).

Batch, epochs, learning rate, no weight decay, frames of 320 pixels without random changes and a
grid of 20 x 20 are those of the authors' PyTorch code. There a frozen VGG-16 of ImageNet sees and
SoundNet hears waveforms; here two ResNet-18 learn, and the spectrogram is SSL-TIE's.
"""

from hearsight.objectives.attended import AttendedTriplet
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def attention10k() -> Recipe:
    """The attended vector of a frame is nearer to its own sound than to another."""
    return Recipe(
        frame_size=320,
        contrast=AttendedTriplet(),
        batch_size=30,
        epochs=10,
        learning_rate=1e-4,
        weight_decay=0.0,
    )


def supervised() -> Recipe:
    """+ the attention learns from boxes; every clip needs them."""
    recipe = attention10k()
    recipe.contrast = AttendedTriplet(supervision=1.0)
    return recipe


def small() -> Recipe:
    """`attention10k` at the size of minutes on a CPU, compared with all other sounds of a batch."""
    recipe = shrink(attention10k())
    recipe.contrast = AttendedTriplet(others="all")
    return recipe


def small_supervised() -> Recipe:
    """`small`, and the attention learns from boxes."""
    recipe = small()
    recipe.contrast = AttendedTriplet(others="all", supervision=1.0)
    return recipe
