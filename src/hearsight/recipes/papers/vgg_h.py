"""VGG-H. A supervised sound classifier, the upper bound of retrieval in SSL-TIE, Liu et al., ACM MM
2022. After Chen et al., VGGSound: A Large-scale Audio-visual Dataset, ICASSP 2020.

Spectrogram, stride and the 309 classes are those of the code released with VGGSound, which holds no
training: batch, epochs and learning rate are not the paper's (?).
"""

from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import LogSpectrogram
from hearsight.objectives.classification import SoundClassification
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def vgg_h() -> Recipe:
    """VGG-H, ICASSP 2020: a supervised sound classifier for retrieval; it does not localise."""
    return Recipe(
        frame_size=32,  # pixels; the frame network is not trained
        spectrogram=LogSpectrogram(seconds=10.0, fft=512, overlap=353),
        encoder=Encoder(sound_strides=(1, 2, 2, 2), classes=309),
        contrast=SoundClassification(),
        learning_rate=1e-4,
        batch_size=32,
        epochs=80,
    )


def small() -> Recipe:
    """VGG-H for minutes on a CPU, for the 12 classes of the toys or of a demo."""
    recipe = shrink(vgg_h())
    recipe.frame_size = 32
    recipe.encoder.classes = 12
    return recipe
