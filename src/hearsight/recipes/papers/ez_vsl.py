"""EZ-VSL. Mo and Morgado, Localizing Visual Sounds the Easy Way, ECCV 2022.

The numbers are those of the released code, trained on 144,000 clips; for 10,000 clips it trains
100 epochs. The frame network starts from ImageNet there: set `encoder.weights`, else it starts
from scratch.
"""

from hearsight.model.augmentation import Appearance
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import LogSpectrogram
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.papers.ssl_tie import shrink
from hearsight.recipes.recipe import Recipe


def crop_and_mirror() -> Appearance:
    """Square crops and mirrored frames, colours as they are.

    Differs from the released code: there the shorter side becomes 246 pixels and a square of 224
    is cut out anywhere, 83 % of a square frame. Here 83 % is the least that is cut out, and of a
    frame that is far from square it is the middle.
    """
    return Appearance(
        smallest_crop=0.83,
        narrowest_crop=1.0,
        colour_probability=0.0,
        grey=0.0,
        blur=0.0,
        mirror=0.5,
    )


def trunks() -> Encoder:
    """Two networks of stride 32, a linear map to 512 channels after each: a frame gives 7 x 7."""
    return Encoder(strides=(1, 2, 2, 2), sound_strides=(1, 2, 2, 2), projection=512)


def ez_vsl() -> Recipe:
    """The strongest place of a frame is contrasted, in both directions."""
    return Recipe(
        spectrogram=LogSpectrogram(seconds=3.0),
        appearance=crop_and_mirror(),
        encoder=trunks(),
        contrast=MaxContrast(temperature=0.03),
        learning_rate=1e-4,
        weight_decay=0.0,
        batch_size=128,
        epochs=20,
    )


def shrink_projected(recipe: Recipe) -> Recipe:
    """`ssl_tie.shrink` for a method of this family: it keeps heads, momentum encoder and crops.

    The linear maps give 128 channels, the grid of a 96-pixel frame stays 6 x 6 (a stride of 16,
    not 32), and a batch holds 32 clips.
    """
    heads, ema, crops = recipe.encoder.heads, recipe.encoder.ema, recipe.appearance
    recipe = shrink(recipe)
    recipe.encoder.projection, recipe.encoder.heads, recipe.encoder.ema = 128, heads, ema
    recipe.appearance = crops
    recipe.batch_size = 32
    return recipe


def small() -> Recipe:
    """The same for minutes on a CPU."""
    return shrink_projected(ez_vsl())
