"""What was drawn for a batch, and how it is applied: frames, maps, spectrograms, waveforms.

`hearsight.model.augmentation` draws; everything here is fixed, and runs on the device of its input.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from hearsight.model import colour
from hearsight.model import resampling as resample

CACHED_PIXELS = 2**19  # of the output per pass on a CPU: ten images of 224 x 224

Kind = TypeVar("Kind", bound="Draw")


@dataclass(slots=True, kw_only=True)
class Draw:
    """What was drawn for a batch: tensors with one row per sample; other fields hold for all."""

    def to(self: Kind, device: torch.device | str) -> Kind:
        """Copy to `device`."""
        waiting = torch.device(device).type == "cpu"
        return self._each(lambda rows: rows.to(device, non_blocking=not waiting))

    def part(self: Kind, start: int, stop: int) -> Kind:
        """The rows `start` to `stop`."""
        return self._each(lambda rows: rows[start:stop])

    def _each(self: Kind, change: Callable[[Tensor], Tensor]) -> Kind:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: change(v) for k, v in values.items() if isinstance(v, Tensor)})


@dataclass(slots=True, kw_only=True)
class AppearanceDraw(Draw):
    """One drawn look per image."""

    areas: Float[Tensor, "b tries"]  # share of the frame
    ratios: Float[Tensor, "b tries"]  # width / height
    places: Float[Tensor, "b 2"]  # of the crop: share of the room left of and above it
    coloured: Bool[Tensor, " b"]
    shades: Float[Tensor, "b 4"]  # factors of brightness, contrast, saturation; turn of the hue
    greyed: Bool[Tensor, " b"]
    deviations: Float[Tensor, " b"]  # pixels, of the blur; 0 for none
    mirrored: Bool[Tensor, " b"]
    order: tuple[int, ...]  # of the four shades, the same for all
    narrowest: float  # width / height
    reach: int  # pixels to each side, of the widest blur that could be drawn

    def boxes(self, sizes: Int[Tensor, "b 2"]) -> Float[Tensor, "b 4"]:
        """The cropped boxes [x0, y0, x1, y1], whole pixels: the first drawn one that fits.

        If none fits, the largest box in the middle that is neither too narrow nor too wide.
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
        """Frames with their looks, as squares of `side` pixels, ImageNet-normalised."""
        count = max(1, CACHED_PIXELS // side**2)
        if frames.device.type == "cpu" and len(frames) > count:
            spans = [slice(start, start + count) for start in range(0, len(frames), count)]
            return torch.cat([self.part(s.start, s.stop)(frames[s], sizes[s], side) for s in spans])
        images = resample.crop(frames, self.boxes(sizes), self.mirrored, side)
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
        """Blur; on a CPU each image with no wider a kernel than it needs."""
        if images.device.type != "cpu":
            return colour.blur(images, self.deviations, self.reach)
        reaches = colour.blur_reach(self.deviations)
        for reach in range(1, self.reach + 1):
            blur = partial(colour.blur, reach=reach)
            images = _change(images, reaches == reach, blur, self.deviations)
        return images


@dataclass(slots=True, kw_only=True)
class WarpDraw(Draw):
    """One drawn move per image: turn, zoom within the frame, resize the frame, mirror."""

    degrees: Float[Tensor, " b"]  # anticlockwise
    zooms: Float[Tensor, " b"]  # of the content; below 1 it shrinks
    mirrored: Bool[Tensor, " b"]
    resize: float  # of the frame, the same for all

    def __call__(
        self, images: Float[Tensor, "b c h h"], canvas: int | None = None
    ) -> Float[Tensor, "b c side side"]:
        """Square images or maps, moved; their side is then round(`resize` * h).

        Args:
            images: anything laid out like the frames; gradients flow through.
            canvas: pixels, side of the square on which the move happens; its own side if None.
                Give the frames' side for a response map, so that it moves exactly alike.
        """
        side = images.shape[-1]
        return resample.rotate(
            images,
            self.degrees,
            self.zooms,
            self.mirrored,
            canvas=canvas or side,
            side=round(self.resize * side),
        )


@dataclass(slots=True, kw_only=True)
class MaskDraw(Draw):
    """One drawn mask per sound."""

    widths: Int[Tensor, "b 2"]  # bins and times
    places: Float[Tensor, "b 2"]  # share of the room before the mask

    def __call__(self, power: Float[Tensor, "b 1 bins times"]) -> Float[Tensor, "b 1 bins times"]:
        """The power with the masked cells exactly 0."""
        keep_bins, keep_times = (
            self._keep(axis, power.shape[axis + 2], power.device) for axis in (0, 1)
        )
        return (power * keep_bins[:, None, :, None]).mul_(keep_times[:, None, None, :])

    def _keep(self, axis: int, size: int, device: torch.device) -> Float[Tensor, "b size"]:
        """1 where the spectrogram stays along one axis, 0 where it is masked."""
        widths = self.widths[:, axis].clamp(max=size)
        room = size - widths
        starts = torch.minimum((self.places[:, axis] * (room + 1)).long(), room)
        cells = torch.arange(size, device=device)
        return ((cells < starts[:, None]) | (cells >= (starts + widths)[:, None])).float()


@dataclass(slots=True, kw_only=True)
class MixingDraw(Draw):
    """The drawn share of the other sound in each mix."""

    shares: Float[Tensor, " b"]  # 0: the sound alone

    def __call__(
        self, waveforms: Float[Tensor, "b samples"], partners: Float[Tensor, "b samples"]
    ) -> Float[Tensor, "b samples"]:
        """The mixes, in [-1, 1] if the sounds are."""
        return torch.lerp(waveforms, partners, self.shares[:, None])


def _change(
    images: Float[Tensor, "b 3 h w"],
    chosen: Bool[Tensor, " b"],
    change: Callable[[Tensor, Tensor], Tensor],
    values: Float[Tensor, "b ..."],
) -> Float[Tensor, "b 3 h w"]:
    """Change the chosen images, in place, each by its value.

    A GPU changes all, since counting the chosen would wait for it: the values drawn for the
    others change nothing.
    """
    if images.device.type != "cpu":
        return change(images, values)
    rows = chosen.nonzero().flatten()
    if len(rows) == 0:
        return images
    changed = change(images.index_select(0, rows), values.index_select(0, rows))
    return images.index_copy_(0, rows, changed)
