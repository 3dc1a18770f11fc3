"""Batched transforms: drawn once, then applied to all that must follow, on any device.

Each setting object below belongs to a recipe. Its `draw` takes all randomness from one CPU
generator, as many numbers whatever the settings, so draws depend neither on the device nor on
how the batch is shared among processes: draw for the joined batch, then take each `part`.

    Appearance        changes of look that the response must not follow   -> Look
    Warp              changes of place that the response must follow       -> Move
    SpectrogramMask   times and bands of a spectrogram made silent         -> Silencing
    Mixing            each sound blended with a similar one                -> Blend

Frames come as uint8 canvases "b 3 height width", each true frame in the upper left corner, and
`sizes` "b 2": its true height and width.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.model import colour
from hearsight.model import resampling as resample
from hearsight.model.augmentation_draws import AppearanceDraw, MaskDraw, MixingDraw, WarpDraw

TRIES = 10  # boxes drawn per image, of which the first that fits is cropped


@dataclass(slots=True, kw_only=True)
class Appearance:
    """Changes of look that the response must not follow: crop, mirror, colour, grey, blur.

    In this order; brightness, contrast, saturation and hue in an order drawn once per batch.
    Factors of the first three are uniform in [1 - value, 1 + value], not below 0; the hue turns
    by a share of the colour circle, uniform in [-hue, hue].

    Source: SSL-TIE, Liu et al., ACM MM 2022, as released.
    Differs from the released code: the order of the four colour changes is drawn per batch, not
    per image; colours are not rounded to 8 bits between them; the crop takes the four nearest
    pixels, so a frame more than twice as large as its crop would alias.

    Raises:
        HearsightError: a value outside its range.
    """

    smallest_crop: float = 0.3  # share of the frame's area; the largest is 1
    narrowest_crop: float = 3 / 4  # width / height; the widest is its inverse
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1  # share of the colour circle, at most 0.5
    colour_probability: float = 0.8  # that the four above change at all
    grey: float = 0.2  # probability
    blur: float = 0.5  # probability
    least_blur: float = 0.1  # pixels, standard deviation
    most_blur: float = 2.0
    mirror: float = 0.5  # probability

    def __post_init__(self) -> None:
        for name in ("smallest_crop", "narrowest_crop"):
            _check(f"appearance.{name}", getattr(self, name), 1e-3, 1)
        for name in ("colour_probability", "grey", "blur", "mirror"):
            _check(f"appearance.{name}", getattr(self, name), 0, 1)
        for name in ("brightness", "contrast", "saturation"):
            _check(f"appearance.{name}", getattr(self, name), 0, 10)
        _check("appearance.hue", self.hue, 0, 0.5)
        _check("appearance.most_blur", self.most_blur, 0, 100)
        _check("appearance.least_blur", self.least_blur, 0, self.most_blur)

    def draw(self, batch: int, generator: torch.Generator) -> AppearanceDraw:
        """Draw one look per image."""
        crops = torch.rand(batch, TRIES, 2, generator=generator)
        shades = torch.rand(batch, 4, generator=generator)
        places = torch.rand(batch, 2, generator=generator)
        sigma = torch.rand(batch, generator=generator)
        chance = torch.rand(batch, 4, generator=generator)
        order = torch.randperm(4, generator=generator).tolist()
        widest = -math.log(self.narrowest_crop)
        coloured = chance[:, 0] < self.colour_probability
        spread = torch.tensor([self.brightness, self.contrast, self.saturation, self.hue])
        shades = (2 * shades - 1) * spread * coloured[:, None]
        shades[:, :3] = (1 + shades[:, :3]).clamp(min=0)
        sigma = self.least_blur + (self.most_blur - self.least_blur) * sigma
        return AppearanceDraw(
            areas=self.smallest_crop + (1 - self.smallest_crop) * crops[..., 0],
            ratios=torch.exp((2 * crops[..., 1] - 1) * widest),
            places=places,
            coloured=coloured,
            shades=shades,
            greyed=chance[:, 1] < self.grey,
            deviations=sigma * (chance[:, 2] < self.blur),
            mirrored=chance[:, 3] < self.mirror,
            order=tuple(order),
            narrowest=self.narrowest_crop,
            reach=math.floor(colour.BLUR_REACH * self.most_blur + 0.5),
        )


def centre_crop(
    frames: UInt8[Tensor, "b 3 height width"], sizes: Int[Tensor, "b 2"], side: int
) -> Float[Tensor, "b 3 side side"]:
    """Each frame's largest square from its middle, resized to `side`, ImageNet-normalised."""
    height, width = sizes.float().unbind(1)
    square = torch.minimum(height, width)
    low = torch.stack([(width - square) / 2, (height - square) / 2], dim=1)
    boxes = torch.cat([low, low + square[:, None]], dim=1)
    upright = torch.zeros(len(frames), dtype=torch.bool, device=frames.device)
    return colour.normalise(resample.crop(frames, boxes, upright, side))


def evaluation_frame(
    pixels: UInt8[np.ndarray, "height width 3"], side: int
) -> Float[Tensor, "3 side side"]:
    """A frame as it is tested on: shorter side to `side` (bicubic), middle square, normalised.

    Source: SSL-TIE as released; Pillow resizes, so each value is the released one.
    """
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    size = (side * width // shorter, side * height // shorter)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
    square = np.asarray(image.crop((left, top, left + side, top + side)))
    return colour.normalise(torch.from_numpy(square.copy()).permute(2, 0, 1)[None] / 255)[0]


@dataclass(slots=True, kw_only=True)
class Warp:
    """Changes of place that the response must follow: rotate, shrink, mirror.

    `released`: each image turns by its own angle; shrinking and mirroring are drawn once per
    batch, and shrinking shrinks twice: the content within the frame, then the frame itself.
    `per_image`: everything is drawn per image, and the frame keeps its size.

    Source: SSL-TIE, Liu et al., ACM MM 2022, as released; `per_image` is the natural
    generalisation, in no paper.

    Raises:
        HearsightError: a value outside its range.
    """

    form: Literal["released", "per_image"] = "released"
    degrees: float = 30.0  # whole angles are drawn in [-degrees, degrees]
    shrink: float = 0.5  # side after shrinking, as a share
    shrink_probability: float = 0.5
    mirror: float = 0.5  # probability

    def __post_init__(self) -> None:
        if self.form not in ("released", "per_image"):
            raise HearsightError(f"warp.form must be released or per_image, not '{self.form}'.")
        _check("warp.degrees", self.degrees, 0, 180)
        _check("warp.shrink", self.shrink, 0.05, 1)
        _check("warp.shrink_probability", self.shrink_probability, 0, 1)
        _check("warp.mirror", self.mirror, 0, 1)

    def draw(self, batch: int, generator: torch.Generator) -> WarpDraw:
        """Draw one move per image."""
        whole = int(self.degrees)
        angles = torch.randint(-whole, whole + 1, (batch,), generator=generator)
        chance = torch.rand(max(batch, 1), 2, generator=generator)
        if self.form == "released":
            chance = chance[:1].expand(batch, 2)
        shrunk, mirrored = chance[:, 0] < self.shrink_probability, chance[:, 1] < self.mirror
        both = self.form == "released" and bool(shrunk.any())
        return WarpDraw(
            degrees=angles.float(),
            zooms=torch.where(shrunk, self.shrink, 1.0),
            mirrored=mirrored.clone(),
            resize=self.shrink if both else 1.0,
        )


@dataclass(slots=True, kw_only=True)
class SpectrogramMask:
    """One stretch of time and one band of frequency made silent.

    Widths are whole numbers, uniform from 0 to `times` and `bins`, never more than the
    spectrogram has; places are uniform where they fit.

    Source: SSL-TIE, Liu et al., ACM MM 2022, Sec. 3.2, as released: the mask is laid on power
    before decibels, so what it covers is -100 dB (the paper says zeros).

    Raises:
        HearsightError: a value outside its range.
    """

    times: int = 180  # at most
    bins: int = 35  # at most
    probability: float = 0.8  # per sound

    def __post_init__(self) -> None:
        _check("mask.times", self.times, 0, math.inf)
        _check("mask.bins", self.bins, 0, math.inf)
        _check("mask.probability", self.probability, 0, 1)

    def draw(self, batch: int, generator: torch.Generator) -> MaskDraw:
        """Draw one mask per sound."""
        times = torch.randint(self.times + 1, (batch,), generator=generator)
        bins = torch.randint(self.bins + 1, (batch,), generator=generator)
        places = torch.rand(batch, 2, generator=generator)
        masked = torch.rand(batch, generator=generator) < self.probability
        return MaskDraw(widths=torch.stack([bins, times], 1) * masked[:, None], places=places)


@dataclass(slots=True, kw_only=True)
class Mixing:
    """Each sound blended with the most similar other sound: (1 - alpha) A + alpha A_similar.

    `released`: in epoch e, counted from 0, alpha is `growth` * e and the probability
    `first_probability` + `growth` * e, at most 1 each; epoch 0 mixes nothing.
    `paper`: alpha grows linearly from 0 in the first epoch to `strongest` in the last; every
    sound is mixed.

    Source: SSL-TIE, Liu et al., ACM MM 2022, Eq. 4.

    Raises:
        HearsightError: a value outside its range.
    """

    schedule: Literal["released", "paper"] = "released"
    strongest: float = 0.65  # `paper`: alpha in the last epoch
    growth: float = 0.01  # `released`: per epoch
    first_probability: float = 0.1  # `released`

    def __post_init__(self) -> None:
        if self.schedule not in ("released", "paper"):
            raise HearsightError(
                f"mixing.schedule must be released or paper, not '{self.schedule}'."
            )
        for name in ("strongest", "growth", "first_probability"):
            _check(f"mixing.{name}", getattr(self, name), 0, 1)

    def strength(self, epoch: int, epochs: int) -> tuple[float, float]:
        """Alpha and the probability that a sound is mixed, in `epoch` of 0..`epochs` - 1."""
        if epoch <= 0:
            return 0.0, 0.0
        if self.schedule == "paper":
            return self.strongest * epoch / max(1, epochs - 1), 1.0
        alpha = self.growth * epoch
        return min(1.0, alpha), min(1.0, self.first_probability + alpha)

    def draw(self, batch: int, generator: torch.Generator, epoch: int, epochs: int) -> MixingDraw:
        """Draw which sounds are mixed in `epoch` of `epochs`."""
        alpha, probability = self.strength(epoch, epochs)
        mixed = torch.rand(batch, generator=generator) < probability
        return MixingDraw(shares=alpha * mixed.float())


def _check(name: str, value: float | int, low: float | int, high: float | int) -> None:
    """Refuse a value outside its range."""
    if not low <= value <= high:
        raise HearsightError(f"{name} must lie between {low} and {high}, not {value}.")
