"""SSL-TIE. Liu et al., Exploiting Transformation Invariance and Equivariance for
Self-supervised Sound Localisation, ACM MM 2022 (arXiv 2206.12772).

`a` to `f` are the rows of its Table 1: every row is the one above it plus one thing. The numbers
are those of the released code, except 80 epochs, which the paper prints (its scripts train 100).
"""

from hearsight.model.augmentation import Appearance, Mixing, SpectrogramMask, Warp
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.objectives.contrast import PaperContrast, TrimapContrast
from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.recipe import Recipe


def a() -> Recipe:
    """The contrast alone, on plain clips."""
    return Recipe(contrast=TrimapContrast(), batch_size=32, epochs=80, learning_rate=1e-4)


def b() -> Recipe:
    """+ invariance to appearance."""
    recipe = a()
    recipe.appearance = Appearance()
    return recipe


def c() -> Recipe:
    """+ invariance to geometry: warped frames are contrasted too."""
    recipe = b()
    recipe.warp = Warp()
    return recipe


def d() -> Recipe:
    """+ invariance to a masked spectrogram."""
    recipe = c()
    recipe.mask = SpectrogramMask()
    return recipe


def e() -> Recipe:
    """+ each sound mixed with its nearest neighbour, more and more."""
    recipe = d()
    recipe.mixing = Mixing()
    return recipe


def f() -> Recipe:
    """+ equivariance: the response moves with the frame."""
    recipe = e()
    recipe.equivariance = 1.0
    return recipe


ssl_tie = f


def paper() -> Recipe:
    """The contrast as printed in Eq. 5-8 instead of the released one."""
    recipe = f()
    recipe.contrast = PaperContrast()
    return recipe


def shrink(recipe: Recipe) -> Recipe:
    """The same method for minutes on a CPU: a small network, 96-pixel frames, 3 s of sound.

    A frame of 3 x 96 x 96 gives 128 x 6 x 6, a spectrogram of 1 x 64 x 134 gives 128 x 4 x 9; a
    cell of the grid is 16 pixels wide, as in the full recipe. Blur and masks keep their share of
    the smaller frame and spectrogram. All draws are milder: minutes are too few to see through
    the full ones, composed scenes have their source anywhere, so that a small crop often loses
    it, and on a grid of 6 cells little is left of what shrinks. Mixing grows with the whole run,
    because epochs of composed scenes are as short as one likes. The masks of the contrast have an
    edge three times as wide, and where the highest place speaks for a frame all others have a
    share in it: while responses are still flat more cells learn from each pair. With wide edges a
    given score is reached in less than half of the steps; without shares nothing is learned.
    """
    recipe.frame_size = 96
    recipe.spectrogram = MelSpectrogram(seconds=3.0, fft=512, hop=360, bins=64)
    recipe.encoder = Encoder(widths=(16, 32, 64, 128), blocks=(1, 1, 1, 1))
    if recipe.appearance is not None:
        recipe.appearance = Appearance(
            smallest_crop=0.8,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue=0.03,
            colour_probability=0.5,
            grey=0.1,
            blur=0.3,
            most_blur=0.85,
        )
    if recipe.warp is not None:
        recipe.warp = Warp(form="per_image", shrink=0.75)
    if recipe.mask is not None:
        recipe.mask = SpectrogramMask(times=36, bins=9, probability=0.5)
    if recipe.mixing is not None:
        recipe.mixing = Mixing(schedule="paper", strongest=0.2)
    if isinstance(recipe.contrast, TrimapContrast | HardPositiveContrast | MaxContrast):
        recipe.contrast.softness = 0.1
    recipe.learning_rate, recipe.decay = 1e-3, True
    recipe.channels_last = True
    return recipe


def small_a() -> Recipe:
    """`a` at the size of minutes on a CPU."""
    return shrink(a())


def small_b() -> Recipe:
    """`b` at the size of minutes on a CPU."""
    return shrink(b())


def small_c() -> Recipe:
    """`c` at the size of minutes on a CPU."""
    return shrink(c())


def small_d() -> Recipe:
    """`d` at the size of minutes on a CPU."""
    return shrink(d())


def small_e() -> Recipe:
    """`e` at the size of minutes on a CPU."""
    return shrink(e())


def small_f() -> Recipe:
    """`f` at the size of minutes on a CPU."""
    return shrink(f())


small = small_f
