"""CoarseToFine. Qian et al., Multiple Sound Sources Localization from Coarse to Fine, ECCV 2020
(arXiv 2007.06355). The idea alone is the paper's: see `PseudoLabelContrast`.

256-pixel frames mirrored at random, 5 s of sound as 64 mel bands every 20 ms, 128-channel
embeddings, batch, weight decay and the 20 epochs (of each of its two stages) are those of the
authors' simplified code. It trains by SGD with momentum, at 1e-3 and 1e-4; the rate for Adam here
is not the paper's (?).
"""

from hearsight.model.augmentation import Appearance
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.objectives.clustering import PseudoLabelContrast
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def coarse_to_fine() -> Recipe:
    """CoarseToFine, ECCV 2020, its idea: pseudo-label matching plus sound-attended alignment."""
    return Recipe(
        frame_size=256,
        spectrogram=MelSpectrogram(seconds=5.0, fft=640, hop=320, bins=64),
        appearance=Appearance(
            smallest_crop=1.0,
            narrowest_crop=1.0,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            hue=0.0,
            colour_probability=0.0,
            grey=0.0,
            blur=0.0,
        ),
        encoder=Encoder(projection=128),
        contrast=PseudoLabelContrast(),
        learning_rate=1e-4,
        weight_decay=5e-4,
        batch_size=16,
        epochs=20,
    )


def small() -> Recipe:
    """CoarseToFine for minutes on a CPU."""
    recipe = shrink(coarse_to_fine())
    recipe.appearance = coarse_to_fine().appearance  # milder than the one `shrink` sets
    recipe.encoder.projection = 128
    recipe.batch_size = 32
    return recipe
