"""DMC. Hu et al., Deep Multimodal Clustering for Unsupervised Audiovisual Learning, CVPR 2019
(arXiv 1807.03094), in the form of the authors' second code, Simplified DMC.

Two ResNet-18 from scratch with a linear projection each, 224-pixel frames and their augmentation,
batch, epochs, learning rate, weight decay and seed are those of that code. Its input is a log-mel
spectrogram of 1 s whose bands and hop are not published (?): they are VGGish's here.
"""

from hearsight.model.augmentation import Appearance
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.objectives.clustering import ClusterContrast
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def dmc() -> Recipe:
    """DMC, CVPR 2019 (Simplified DMC): max-margin loss of sounds and k-means centres of places."""
    return Recipe(
        spectrogram=MelSpectrogram(seconds=1.0, fft=512, hop=160, bins=64),
        appearance=Appearance(
            smallest_crop=0.77,  # the released crops are all of one size: 224 of 256 pixels
            narrowest_crop=1.0,
            brightness=0.3,
            contrast=0.0,
            saturation=0.3,
            hue=0.0,
            colour_probability=1.0,
            grey=0.0,
            blur=0.0,
        ),
        encoder=Encoder(projection=512),
        contrast=ClusterContrast(),
        learning_rate=1e-4,
        weight_decay=1e-4,
        batch_size=32,
        epochs=100,
        seed=10,
    )


def small() -> Recipe:
    """DMC for minutes on a CPU, with all other sounds of the batch as negatives."""
    recipe = shrink(dmc())
    recipe.appearance = dmc().appearance  # milder than the one `shrink` sets
    recipe.encoder.projection = 128
    recipe.contrast = ClusterContrast(others="all")
    return recipe
