"""EZ-VSL. Mo and Morgado, Localizing Visual Sounds the Easy Way, ECCV 2022.

Hyperparameters are those of the released code for 144,000 clips; for 10,000 clips it trains 100
epochs. Its frame network starts from ImageNet: set `encoder.weights`, else it starts from scratch.
"""

from hearsight.model.augmentation import Appearance
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import LogSpectrogram
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.papers.ssl_tie import on_pretrained, shrink
from hearsight.recipes.recipe import Recipe


def crop_and_mirror() -> Appearance:
    """EZ-VSL's augmentation: square crops and mirroring, no colour changes.

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
    """EZ-VSL's networks: two ResNet-18 of stride 32, each projected linearly to 512 channels."""
    return Encoder(strides=(1, 2, 2, 2), sound_strides=(1, 2, 2, 2), projection=512)


def ez_vsl() -> Recipe:
    """EZ-VSL, ECCV 2022: multiple-instance contrast (max-pooled InfoNCE) in both directions."""
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
    """`ssl_tie.shrink` for methods on EZ-VSL's networks; keeps heads, momentum encoder and crops.

    Projections have 128 channels, the grid of a 96-pixel frame is 6 x 6 (a stride of 16, not 32),
    and a batch holds 32 clips.
    """
    heads, ema, crops = recipe.encoder.heads, recipe.encoder.ema, recipe.appearance
    recipe = shrink(recipe)
    recipe.encoder.projection, recipe.encoder.heads, recipe.encoder.ema = 128, heads, ema
    recipe.appearance = crops
    recipe.batch_size = 32
    return recipe


def small() -> Recipe:
    """EZ-VSL for minutes on a CPU, with soft max-pooling."""
    return shrink_projected(ez_vsl())


def pretrained() -> Recipe:
    """EZ-VSL on frozen pretrained trunks (`ssl_tie.on_pretrained`)."""
    return on_pretrained(ez_vsl())
