"""Bilinear crops and rotations of images and maps, batched."""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate


def crop(
    frames: UInt8[Tensor, "b 3 height width"],
    boxes: Float[Tensor, "b 4"],
    mirrored: Bool[Tensor, " b"],
    side: int,
) -> Float[Tensor, "b 3 side side"]:
    """Each frame's box as a square image in [0, 1], mirrored left to right where asked.

    Bilinear between the four nearest pixels, without antialiasing: a box more than about twice
    `side` wide shows aliasing, so frames should be reduced beforehand. Of a box of whole pixels all
    four lie inside it.

    Args:
        frames: RGB, 0..255.
        boxes: [x0, y0, x1, y1] in pixels of the frame, inside it.
        mirrored: per image.
        side: of the result, pixels.
    """
    height, width = frames.shape[2:]
    middles = (torch.arange(side, dtype=torch.float32, device=frames.device) + 0.5) / side
    across = torch.where(mirrored[:, None], middles.flip(0), middles)
    places = torch.stack([across, middles.expand_as(across)])
    low, extent = boxes[:, :2].T[:, :, None], (boxes[:, 2:] - boxes[:, :2]).T[:, :, None]
    places = low + torch.minimum((places * extent - 0.5).clamp(min=0), (extent - 1).clamp(min=0))
    grid = frames.new_empty(len(frames), side, side, 2, dtype=torch.float32)
    grid[..., 0] = (places[0] * (2 / max(width - 1, 1)) - 1)[:, None, :]
    grid[..., 1] = (places[1] * (2 / max(height - 1, 1)) - 1)[:, :, None]
    return grid_sample(
        frames.float().mul_(1 / 255), grid, padding_mode="border", align_corners=True
    )


def rotate(
    images: Float[Tensor, "b c h w"],
    degrees: Float[Tensor, " b"],
    zooms: Float[Tensor, " b"],
    mirrored: Bool[Tensor, " b"],
    *,
    canvas: int,
    side: int,
) -> Float[Tensor, "b c side side"]:
    """Rotate and zoom on a square canvas, resize the canvas to `side`, mirror.

    Rotation is anticlockwise about pixel (canvas / 2, canvas / 2), counted from the middle of
    the first pixel; pixels from outside the image are 0. Both resizings, of the image to the
    canvas and of the canvas to `side`, are bilinear without antialiasing. Only those canvas pixels
    are computed that the last resizing reads.

    Source: SSL-TIE, Liu et al., ACM MM 2022, as released (warp_affine of kornia).
    """
    if images.shape[2:] != (canvas, canvas):
        images = interpolate(images, size=(canvas, canvas), mode="bilinear", align_corners=False)
    cos, sin = _cos_sin(degrees, zooms)
    turned = images.new_zeros(*images.shape[:2], side, side)
    taps = _taps(canvas, side, images.device)
    for row, row_weights in taps:
        for column, column_weights in taps:
            x = _mirror(column, mirrored) - canvas / 2
            y = row - canvas / 2
            grid = images.new_empty(len(images), side, side, 2)
            torch.add((cos * x)[:, None, :], (-sin * y)[:, :, None], out=grid[..., 0])
            torch.add((sin * x)[:, None, :], (cos * y)[:, :, None], out=grid[..., 1])
            grid.add_(canvas / 2).mul_(2 / (canvas - 1)).sub_(1)
            seen = grid_sample(images, grid, align_corners=True)
            if len(taps) == 1:
                return seen
            weights = row_weights[:, None] * _mirror(column_weights, mirrored)[:, None, None, :]
            turned = turned + seen * weights
    return turned


def _mirror(
    values: Float[Tensor, " side"], mirrored: Bool[Tensor, " b"]
) -> Float[Tensor, "b side"]:
    """Values per column for each image, reversed where it is mirrored."""
    return torch.where(mirrored[:, None], values.flip(0), values)


def _cos_sin(
    degrees: Float[Tensor, " b"], zooms: Float[Tensor, " b"]
) -> tuple[Float[Tensor, "b 1"], Float[Tensor, "b 1"]]:
    """Cosine and sine of the inverse rotation and zoom, from output to input coordinates."""
    angles = torch.deg2rad(degrees)
    return (angles.cos() / zooms)[:, None], (angles.sin() / zooms)[:, None]


def _taps(
    canvas: int, side: int, device: torch.device
) -> list[tuple[Float[Tensor, " side"], Float[Tensor, " side"]]]:
    """Canvas pixels that a bilinear resizing to `side` reads along one axis, and their weights."""
    places = (torch.arange(side, dtype=torch.float32, device=device) + 0.5) * (canvas / side) - 0.5
    lower = places.floor().clamp(0, canvas - 1)
    if side == canvas:
        return [(lower, torch.ones_like(lower))]
    upper = (lower + 1).clamp(max=canvas - 1)
    weights = (places - lower).clamp(0, 1)
    return [(lower, 1 - weights), (upper, weights)]
