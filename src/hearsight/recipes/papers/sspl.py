"""SSPL. Song et al., Self-Supervised Predictive Learning: A Negative-Free Method for Sound Source
Localization in Visual Scenes, CVPR 2022 (arXiv 2203.13412), without its predictive coding module.

Crops, 3 s of sound, batch, epochs, weight decay, seed and the 512 hidden channels of the predictor
are those of the released code. It freezes an ImageNet VGG-16 and VGGish and trains only the layers
after them, at 5e-4 after the sound network and 2e-3 in the two heads; here two ResNet-18 are
trained, all at one rate. The spectrogram has VGGish's 64 bands every 10 ms.
"""

from hearsight.model.augmentation import Appearance
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.objectives.siamese import SiamesePrediction
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def sspl() -> Recipe:
    """SSPL, CVPR 2022, without its predictive coding: SimSiam on sound-attended views."""
    return Recipe(
        spectrogram=MelSpectrogram(seconds=3.0, fft=512, hop=160, bins=64),
        appearance=Appearance(
            smallest_crop=0.83,  # the released crops are all of one size: 224 of 246 pixels
            narrowest_crop=1.0,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            hue=0.0,
            colour_probability=0.0,
            grey=0.0,
            blur=0.0,
        ),
        views=2,
        encoder=Encoder(predictor=512),
        contrast=SiamesePrediction(),
        learning_rate=5e-4,
        weight_decay=1e-4,
        batch_size=256,
        epochs=100,
        seed=1234,
    )


def small() -> Recipe:
    """SSPL for minutes on a CPU."""
    recipe = shrink(sspl())
    recipe.appearance = sspl().appearance  # milder than the one `shrink` sets
    recipe.encoder.predictor = 64
    recipe.batch_size = 32
    return recipe
