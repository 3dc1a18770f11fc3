"""Random augmentation of frames, response maps, sounds and spectrograms, batched, on any device.

Each settings object below is a field of a recipe. Its `draw` takes all randomness from one CPU
generator, as many numbers whatever the settings, and returns a draw that is called on tensors:

    Appearance       -> AppearanceDraw  frames; the response must not change
    Warp             -> WarpDraw        frames and response maps; the response must follow
    SpectrogramMask  -> MaskDraw        power spectrograms
    Mixing           -> MixingDraw      waveforms, each with its partner

So draws depend neither on the device nor on how the batch is split among processes: draw for the
joined batch, then take each process's `part`.

Frames come as uint8 canvases "b 3 height width", each true frame in the upper left corner, and
`sizes` "b 2": its true height and width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.media.picture import resize_bicubic
from hearsight.model import colour, resampling

TRIES = 10  # crops drawn per image, of which the first that fits into the frame is taken
LONGEST = 64  # times its shorter side, of which a frame is resized to be tested on
CACHED_PIXELS = 2**19  # of the output per pass on a CPU: ten images of 224 x 224
LARGEST_MASK = 1_000_000  # times or bins: more than spectrograms of the field have

Kind = TypeVar("Kind", bound="Draw")


@dataclass(slots=True, kw_only=True)
class Draw:
    """Drawn parameters of a batch: tensors have one row per sample, other fields hold for all."""

    def to(self: Kind, device: torch.device | str) -> Kind:
        """Copy to `device`."""
        blocking = torch.device(device).type == "cpu"
        return self._each(lambda rows: rows.to(device, non_blocking=not blocking))

    def part(self: Kind, start: int, stop: int) -> Kind:
        """The rows `start` to `stop`, `stop` excluded."""
        return self._each(lambda rows: rows[start:stop])

    def _each(self: Kind, change: Callable[[Tensor], Tensor]) -> Kind:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: change(v) for k, v in values.items() if isinstance(v, Tensor)})


@dataclass(slots=True, kw_only=True)
class Appearance:
    """Random crop, mirror, colours, grey and blur, in this order; the response must not change.

    Brightness, contrast, saturation and hue are changed in an order drawn once per batch. Factors
    of the first three are uniform in [1 - value, 1 + value], not below 0; the hue is shifted by a
    share of the colour circle, uniform in [-hue, hue].

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
    colour_probability: float = 0.8  # of changing the four above
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

    def draw(self, batch: int, generator: torch.Generator) -> "AppearanceDraw":
        """Draw parameters per image."""
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


@dataclass(slots=True, kw_only=True)
class AppearanceDraw(Draw):
    """Drawn parameters of `Appearance`, per image."""

    areas: Float[Tensor, "b tries"]  # share of the frame
    ratios: Float[Tensor, "b tries"]  # width / height
    places: Float[Tensor, "b 2"]  # of the crop: share of the free width left, of the height above
    coloured: Bool[Tensor, " b"]
    shades: Float[Tensor, "b 4"]  # factors of brightness, contrast, saturation; shift of the hue
    greyed: Bool[Tensor, " b"]
    deviations: Float[Tensor, " b"]  # pixels, of the blur; 0 for none
    mirrored: Bool[Tensor, " b"]
    order: tuple[int, ...]  # of the four shades, the same for all
    narrowest: float  # width / height
    reach: int  # pixels to each side, of the widest blur that could be drawn

    def boxes(self, sizes: Int[Tensor, "b 2"]) -> Float[Tensor, "b 4"]:
        """The crops [x0, y0, x1, y1] in whole pixels: the first drawn one that fits into the frame.

        If none fits, the largest central box of an allowed ratio.
        """
        height, width = sizes.float().unbind(1)
        area = self.areas * (height * width)[:, None]
        widths = (area * self.ratios).sqrt().round().clamp(min=1)
        heights = (area / self.ratios).sqrt().round().clamp(min=1)
        fits = (widths <= width[:, None]) & (heights <= height[:, None])
        first = fits.int().argmax(1, keepdim=True)
        none = ~fits.any(1)
        widest = torch.minimum(width, (height / self.narrowest).round())
        tallest = torch.minimum(height, (width / self.narrowest).round())
        wide = torch.where(none, widest, widths.gather(1, first)[:, 0])
        tall = torch.where(none, tallest, heights.gather(1, first)[:, 0])
        room = torch.stack([width - wide, height - tall], dim=1)
        place = torch.minimum((self.places * (room + 1)).floor(), room)
        place = torch.where(none[:, None], (room / 2).floor(), place)
        return torch.cat([place, place + torch.stack([wide, tall], dim=1)], dim=1)

    def __call__(
        self, frames: UInt8[Tensor, "b 3 height width"], sizes: Int[Tensor, "b 2"], side: int
    ) -> Float[Tensor, "b 3 side side"]:
        """Augmented frames, `side` pixels square, ImageNet-normalised."""
        count = max(1, CACHED_PIXELS // side**2)
        if frames.device.type == "cpu" and len(frames) > count:
            spans = [slice(start, start + count) for start in range(0, len(frames), count)]
            return torch.cat([self.part(s.start, s.stop)(frames[s], sizes[s], side) for s in spans])
        images = resampling.crop(frames, self.boxes(sizes), self.mirrored, side)
        images = _change(images, self.coloured, self._shade, self.shades)
        colourless = 1 - self.greyed.float()
        images = _change(images, self.greyed, colour.saturate, colourless)
        return colour.normalise(self._blur(images))

    def _shade(
        self, images: Float[Tensor, "n 3 h w"], shades: Float[Tensor, "n 4"]
    ) -> Float[Tensor, "n 3 h w"]:
        """Change brightness, contrast, saturation and hue, in the drawn order."""
        changes = (colour.brighten, colour.change_contrast, colour.saturate, colour.shift_hue)
        for number in self.order:
            images = changes[number](images, shades[:, number])
        return images

    def _blur(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Blur; on a CPU each image with the smallest kernel that it needs."""
        if images.device.type != "cpu":
            return colour.blur(images, self.deviations, self.reach)
        reaches = colour.blur_reach(self.deviations)
        for reach in range(1, self.reach + 1):
            blur = partial(colour.blur, reach=reach)
            images = _change(images, reaches == reach, blur, self.deviations)
        return images


@dataclass(slots=True, kw_only=True)
class Warp:
    """Random rotation, shrinking and mirroring, which the response must follow (equivariance).

    `released`: each image has its own angle; shrinking and mirroring are drawn once per
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

    def draw(self, batch: int, generator: torch.Generator) -> "WarpDraw":
        """Draw parameters per image."""
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
class WarpDraw(Draw):
    """Drawn parameters of `Warp`, per image: rotate, zoom within the frame, resize it, mirror."""

    degrees: Float[Tensor, " b"]  # anticlockwise
    zooms: Float[Tensor, " b"]  # of the content; below 1 it shrinks
    mirrored: Bool[Tensor, " b"]
    resize: float  # of the frame, the same for all

    def __call__(
        self, images: Float[Tensor, "b c h h"], canvas: int | None = None
    ) -> Float[Tensor, "b c side side"]:
        """Warped square images or maps; their side is then round(`resize` * h).

        Args:
            images: frames, or maps over them; gradients flow through.
            canvas: pixels, side of the square that is warped; the images' own side if None.
                Give the frames' side for a response map, so that it is warped exactly alike.
        """
        side = images.shape[-1]
        return resampling.rotate(
            images,
            self.degrees,
            self.zooms,
            self.mirrored,
            canvas=canvas or side,
            side=round(self.resize * side),
        )


@dataclass(slots=True, kw_only=True)
class SpectrogramMask:
    """Random masking of one stretch of time and one band of frequency.

    Widths are whole numbers, uniform from 0 to `times` and `bins`, never more than the
    spectrogram has; places are uniform where they fit.

    Source: SSL-TIE, Liu et al., ACM MM 2022, Sec. 3.2, as released: the mask is laid on power
    before decibels, so what it covers is -100 dB (the paper says zeros).

    Raises:
        HearsightError: a value outside its range.
    """

    times: int = 180  # columns of the spectrogram that are masked at most
    bins: int = 35  # bands that are masked at most
    probability: float = 0.8  # per sound

    def __post_init__(self) -> None:
        _check("mask.times", self.times, 0, LARGEST_MASK)
        _check("mask.bins", self.bins, 0, LARGEST_MASK)
        _check("mask.probability", self.probability, 0, 1)

    def draw(self, batch: int, generator: torch.Generator) -> "MaskDraw":
        """Draw one mask per sound."""
        times = torch.randint(self.times + 1, (batch,), generator=generator)
        bins = torch.randint(self.bins + 1, (batch,), generator=generator)
        places = torch.rand(batch, 2, generator=generator)
        masked = torch.rand(batch, generator=generator) < self.probability
        return MaskDraw(widths=torch.stack([bins, times], 1) * masked[:, None], places=places)


@dataclass(slots=True, kw_only=True)
class MaskDraw(Draw):
    """Drawn parameters of `SpectrogramMask`, per sound."""

    widths: Int[Tensor, "b 2"]  # bins and times
    places: Float[Tensor, "b 2"]  # share of the free bins below, of the free times before it

    def __call__(self, power: Float[Tensor, "b 1 bins times"]) -> Float[Tensor, "b 1 bins times"]:
        """The power with the masked cells exactly 0."""
        keep_bins, keep_times = (
            self._keep(axis, power.shape[axis + 2], power.device) for axis in (0, 1)
        )
        return (power * keep_bins[:, None, :, None]).mul_(keep_times[:, None, None, :])

    def _keep(self, axis: int, size: int, device: torch.device) -> Float[Tensor, "b size"]:
        """Along one axis 0 where the spectrogram is masked, else 1."""
        widths = self.widths[:, axis].clamp(max=size)
        room = size - widths
        starts = torch.minimum((self.places[:, axis] * (room + 1)).long(), room)
        cells = torch.arange(size, device=device)
        return ((cells < starts[:, None]) | (cells >= (starts + widths)[:, None])).float()


@dataclass(slots=True, kw_only=True)
class Mixing:
    """Mixing of each sound with the most similar other sound: (1 - alpha) A + alpha A_similar.

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

    def draw(self, batch: int, generator: torch.Generator, epoch: int, epochs: int) -> "MixingDraw":
        """Draw which sounds are mixed in `epoch` of `epochs`."""
        alpha, probability = self.strength(epoch, epochs)
        mixed = torch.rand(batch, generator=generator) < probability
        return MixingDraw(shares=alpha * mixed.float())


@dataclass(slots=True, kw_only=True)
class MixingDraw(Draw):
    """Drawn parameters of `Mixing`, per sound."""

    shares: Float[Tensor, " b"]  # of the partner (alpha); 0: the sound alone

    def __call__(
        self, waveforms: Float[Tensor, "b samples"], partners: Float[Tensor, "b samples"]
    ) -> Float[Tensor, "b samples"]:
        """Mixed waveforms, in [-1, 1] if the sounds are."""
        return torch.lerp(waveforms, partners, self.shares[:, None])


def centre_crop(
    frames: UInt8[Tensor, "b 3 height width"], sizes: Int[Tensor, "b 2"], side: int
) -> Float[Tensor, "b 3 side side"]:
    """The largest central square of each frame, resized to `side`, ImageNet-normalised."""
    height, width = sizes.float().unbind(1)
    square = torch.minimum(height, width)
    low = torch.stack([(width - square) / 2, (height - square) / 2], dim=1)
    boxes = torch.cat([low, low + square[:, None]], dim=1)
    upright = torch.zeros(len(frames), dtype=torch.bool, device=frames.device)
    return colour.normalise(resampling.crop(frames, boxes, upright, side))


def evaluation_frame(
    pixels: UInt8[np.ndarray, "height width 3"], side: int
) -> Float[Tensor, "3 side side"]:
    """A frame as evaluation sees it: shorter side to `side` (bicubic), central square, normalised.

    Of a frame more than `LONGEST` times as long as wide the ends are cut off before.

    Source: SSL-TIE as released; resized as by the Pillow of its time, so each value is the released
    one.
    """
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    top, left = (max(0, (edge - LONGEST * shorter) // 2) for edge in (height, width))
    pixels = pixels[top : height - top, left : width - left]
    height, width = pixels.shape[:2]
    across, down = side * width // shorter, side * height // shorter
    left, top = round((across - side) / 2), round((down - side) / 2)
    square = resize_bicubic(pixels, across, down)[top : top + side, left : left + side]
    return colour.normalise(colour.as_batch(square))[0]


def _change(
    images: Float[Tensor, "b 3 h w"],
    chosen: Bool[Tensor, " b"],
    change: Callable[[Tensor, Tensor], Tensor],
    values: Float[Tensor, "b ..."],
) -> Float[Tensor, "b 3 h w"]:
    """Change the chosen images by their values, on a CPU in place.

    On a GPU all are changed, since counting the chosen ones would wait for it; the values drawn
    for the others leave them as they are.
    """
    if images.device.type != "cpu":
        return change(images, values)
    rows = chosen.nonzero().flatten()
    if len(rows) == 0:
        return images
    changed = change(images.index_select(0, rows), values.index_select(0, rows))
    return images.index_copy_(0, rows, changed)


def _check(name: str, value: float | int, low: float | int, high: float | int) -> None:
    """Refuse a value outside its range."""
    if not low <= value <= high:
        raise HearsightError(f"{name} must lie between {low} and {high}, not {value}.")
