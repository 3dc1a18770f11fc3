"""SSL-TIE. Liu et al., Exploiting Transformation Invariance and Equivariance for
Self-supervised Sound Localisation, ACM MM 2022 (arXiv 2206.12772).

`a` to `f` are the rows A to F of its Table 1, each the one before plus one component.
Hyperparameters are those of the released code, except the 80 epochs, which the paper prints (the
released scripts train 100).
"""

from hearsight.model.aisfx import SoundEffectSpectrogram
from hearsight.model.augmentation import Appearance, Mixing, SpectrogramMask, Warp
from hearsight.model.encoders import Encoder
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.objectives.trimap_contrast import PaperContrast, TrimapContrast
from hearsight.recipes.recipe import Recipe


def a() -> Recipe:
    """SSL-TIE, Table 1 A: the trimap contrastive loss alone, without augmentation."""
    return Recipe(contrast=TrimapContrast(), batch_size=32, epochs=80, learning_rate=1e-4)


def b() -> Recipe:
    """SSL-TIE, Table 1 B: A + appearance augmentation of frames (crop, colour, blur)."""
    recipe = a()
    recipe.appearance = Appearance()
    return recipe


def c() -> Recipe:
    """SSL-TIE, Table 1 C: B + a second branch of geometrically transformed frames."""
    recipe = b()
    recipe.warp = Warp()
    return recipe


def d() -> Recipe:
    """SSL-TIE, Table 1 D: C + spectrogram masking."""
    recipe = c()
    recipe.mask = SpectrogramMask()
    return recipe


def e() -> Recipe:
    """SSL-TIE, Table 1 E: D + curriculum mixing of each sound with its nearest neighbour."""
    recipe = d()
    recipe.mixing = Mixing()
    return recipe


def f() -> Recipe:
    """SSL-TIE, Table 1 F: E + geometric equivariance loss; the complete method."""
    recipe = e()
    recipe.equivariance = 1.0
    return recipe


def ssl_tie() -> Recipe:
    """SSL-TIE, ACM MM 2022: transformation invariance and equivariance, complete (= F)."""
    return f()


def paper() -> Recipe:
    """SSL-TIE with the contrastive loss printed in its Eq. 5-8 instead of the released one."""
    recipe = f()
    recipe.contrast = PaperContrast()
    return recipe


def shrink(recipe: Recipe) -> Recipe:
    """The same method for minutes on a CPU: small networks, 96-pixel frames, 3 s of sound.

    A frame of 3 x 96 x 96 gives 128 x 6 x 6, a spectrogram of 1 x 64 x 134 gives 128 x 4 x 9; a
    cell of the grid is 16 pixels wide, as in the full recipe. Blur and spectrogram masks are scaled
    with the frame and spectrogram. All augmentation is milder: minutes are too few to learn from
    the full one, small crops often lose the source, which is anywhere in a composed scene, and of
    a shrunk frame few of the 6 x 6 cells are left. Mixing is scheduled over the whole run, because
    composed data sets have epochs of any length.

    Trimaps have edges three times as wide, and max-pooling is soft (`MaxContrast.softness`), so
    that more cells get gradients while responses are still flat. With wide edges a given score is
    reached in less than half of the steps; with hard max-pooling nothing is learned in minutes.
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


def on_pretrained(recipe: Recipe) -> Recipe:
    """The same method on frozen EfficientNet-lite0 and aiSFX trunks, 3 s of sound.

    Projections have 128 channels and a hidden layer; what else the encoder has (heads, momentum
    encoder) stays. Spectrogram masks are scaled to the smaller spectrogram.
    """
    encoder = recipe.encoder
    recipe.spectrogram = SoundEffectSpectrogram()
    recipe.encoder = Encoder(
        frame_trunk="efficientnet_lite0",
        sound_trunk="aisfx",
        projection=128,
        hidden=128,
        dropout=0.2,
        heads=encoder.heads,
        ema=encoder.ema,
        ema_eval=encoder.ema_eval,
    )
    if recipe.mask is not None:
        recipe.mask = SpectrogramMask(times=36, bins=12, probability=0.5)
    recipe.learning_rate, recipe.decay, recipe.weight_decay = 1e-3, True, 0.0
    recipe.batch_size, recipe.channels_last = 32, True
    return recipe


def pretrained() -> Recipe:
    """SSL-TIE on frozen pretrained trunks, complete; wider trimaps."""
    recipe = on_pretrained(f())
    recipe.contrast = TrimapContrast(foreground=0.5, background=0.3, softness=0.2, temperature=0.15)
    return recipe


def pretrained_a() -> Recipe:
    """SSL-TIE, Table 1 A, on frozen pretrained trunks: each clip goes through them once."""
    recipe = pretrained()
    recipe.appearance = recipe.warp = recipe.mask = recipe.mixing = None
    recipe.equivariance, recipe.fresh_epochs = 0.0, 4
    return recipe


def small_a() -> Recipe:
    """SSL-TIE, Table 1 A, for minutes on a CPU."""
    return shrink(a())


def small_b() -> Recipe:
    """SSL-TIE, Table 1 B, for minutes on a CPU."""
    return shrink(b())


def small_c() -> Recipe:
    """SSL-TIE, Table 1 C, for minutes on a CPU."""
    return shrink(c())


def small_d() -> Recipe:
    """SSL-TIE, Table 1 D, for minutes on a CPU."""
    return shrink(d())


def small_e() -> Recipe:
    """SSL-TIE, Table 1 E, for minutes on a CPU."""
    return shrink(e())


def small_f() -> Recipe:
    """SSL-TIE, Table 1 F, for minutes on a CPU."""
    return shrink(f())


def small() -> Recipe:
    """SSL-TIE for minutes on a CPU, complete (= `small_f`); shipped with weights."""
    return small_f()
