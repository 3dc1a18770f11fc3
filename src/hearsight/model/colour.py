"""Colour changes, blur and ImageNet normalisation, batched, with one parameter per image.

Images are "b 3 h w", RGB in [0, 1]; every function returns new ones in that range.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

GREY = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as Pillow's mode L
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, red, green, blue
DEVIATION = (0.229, 0.224, 0.225)
BLUR_REACH = 3  # standard deviations, at which the Gaussian is truncated


def grey(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Luminance."""
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])


def brighten(
    images: Float[Tensor, "b 3 h w"], factors: Float[Tensor, " b"]
) -> Float[Tensor, "b 3 h w"]:
    """Brightness: factor 0 gives black, 1 the image."""
    return (images * factors[:, None, None, None]).clamp_(0, 1)


def change_contrast(
    images: Float[Tensor, "b 3 h w"], factors: Float[Tensor, " b"]
) -> Float[Tensor, "b 3 h w"]:
    """Contrast about the mean luminance: factor 0 gives uniform grey, 1 the image."""
    middle = grey(images.mean((2, 3), keepdim=True))
    offset = (1 - factors)[:, None, None, None] * middle
    return (images * factors[:, None, None, None]).add_(offset).clamp_(0, 1)


def saturate(
    images: Float[Tensor, "b 3 h w"], factors: Float[Tensor, " b"]
) -> Float[Tensor, "b 3 h w"]:
    """Saturation: factor 0 gives the luminance of each pixel, 1 the image."""
    return torch.lerp(grey(images), images, factors[:, None, None, None]).clamp_(0, 1)


def shift_hue(
    images: Float[Tensor, "b 3 h w"], turns: Float[Tensor, " b"]
) -> Float[Tensor, "b 3 h w"]:
    """Shift the hue of HSV by a share of the colour circle; value and saturation stay.

    With channels scaled to [0, 1] (lowest to highest), the hue in sixths of the circle is
    1 + green + blue - red, below 0 where blue exceeds green. Each channel is a trapezium of it.
    """
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    span = high - low
    hue = (green + blue).sub_(red).sub_(low).div_(span.clamp(min=1e-12)).add_(1)
    hue = hue.copysign_(green - blue).div_(6).add_(1 + turns[:, None, None]).frac_()
    span.mul_(6)
    shifted = torch.empty_like(images)
    trapezia = ((low, 1 / 2, 1), (high, 1 / 3, -1), (high, 2 / 3, -1))
    for channel, (base, middle, sign) in enumerate(trapezia):
        slope = (hue - middle).abs_().clamp_(1 / 6, 1 / 3).sub_(1 / 6)
        torch.addcmul(base, slope, span, value=sign, out=shifted[:, channel])
    return shifted


def blur(
    images: Float[Tensor, "b 3 h w"], deviations: Float[Tensor, " b"], reach: int
) -> Float[Tensor, "b 3 h w"]:
    """Gaussian blur, truncated at `BLUR_REACH` deviations, border pixels repeated.

    Args:
        images: RGB.
        deviations: of the Gaussian, in pixels; 0 leaves the image as it is.
        reach: the largest of `blur_reach(deviations)`, or more: pixels to each side.
    """
    offsets = torch.arange(reach + 1, device=images.device)
    ratios = offsets / deviations.clamp(min=1e-6)[:, None]
    weights = torch.exp(-0.5 * ratios.square()) * (offsets <= blur_reach(deviations)[:, None])
    weights /= 2 * weights.sum(1, keepdim=True) - weights[:, :1]
    weights = weights.to(images.dtype)[:, :, None, None, None]
    for dim in (2, 3):
        side = images.shape[dim]
        border = (0, 0, reach, reach) if dim == 2 else (reach, reach, 0, 0)
        padded = pad(images, border, mode="replicate")
        images = images * weights[:, 0]
        for offset in range(1, reach + 1):
            before = padded.narrow(dim, reach - offset, side)
            after = padded.narrow(dim, reach + offset, side)
            images.addcmul_(before + after, weights[:, offset])
    return images


def blur_reach(deviations: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The radius of a truncated Gaussian, in whole pixels."""
    return (BLUR_REACH * deviations + 0.5).floor()


def as_batch(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    """A batch of one frame, (1, 3, h, w) in [0, 1], copied from bytes (h, w, 3)."""
    return from_bytes(torch.from_numpy(np.array(pixels))[None])


def from_bytes(pixels: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Frames in [0, 1]."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def normalise(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Subtract ImageNet's mean and divide by its standard deviation, per channel."""
    scale, offset = _normal(images.device)
    return torch.addcmul(offset, images, scale)


@cache
def _normal(device: torch.device) -> tuple[Float[Tensor, "3 1 1"], Float[Tensor, "3 1 1"]]:
    """Scale and offset of `normalise`."""
    # kept, so of single precision whatever the caller's default is
    deviation = torch.tensor(DEVIATION, dtype=torch.float32, device=device)
    mean = torch.tensor(MEAN, dtype=torch.float32, device=device)
    scale = 1 / deviation[:, None, None]
    return scale, -mean[:, None, None] * scale
