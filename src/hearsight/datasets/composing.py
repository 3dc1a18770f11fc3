"""Cut-outs placed in a picture: how large, where, who hides whom, and the exact mask of one.

A sprite is a cut-out made ready to paste at any size. Pictures stay Pillow images until a scene
is whole, because Pillow blends four times as fast as numpy; masks are numpy arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from hearsight.clips import Box

AREAS = ((0.0, 0.01), (0.1, 0.05), (0.5, 0.25), (0.9, 0.68), (1.0, 0.92))
"""(probability, share of the frame): quantiles of the area of a sounding object's box.

The 10th, 50th and 90th percentile are those of the boxes of VGG-SS; between the points the
side (the root of the area) is uniform.
"""

SOLID = 128  # alpha from here on belongs to the object: it makes up at least half of the pixel
LONGEST = 2.0  # sides of the frame: an object longer than the frame shows at least half of itself
LEAST_SEEN = (0.75, 0.5)  # share of the sounding and of a silent object that nothing hides
LIGHTS = 256  # different lights


class Sprite:
    """A cut-out at several sizes, cut to the pixels that are solid.

    Colours are continued beyond the edge of the object, so that colours and alpha may be resized
    apart from each other, without a dark seam.
    """

    def __init__(self, pixels: UInt8[np.ndarray, "height width 4"]) -> None:
        left, top, right, bottom = bounds(pixels[..., 3] >= SOLID)
        pixels = pixels[top:bottom, left:right]
        colours = Image.fromarray(_continue_colours(pixels))
        alpha = Image.fromarray(np.ascontiguousarray(pixels[..., 3]))
        self.levels = [(colours, alpha)]
        while max(colours.size) > 24:
            width, height = (max(round(side / 2**0.5), 1) for side in colours.size)
            colours, alpha = (
                image.resize((width, height), Image.Resampling.BILINEAR)
                for image in (colours, alpha)
            )
            self.levels.append((colours, alpha))

    @property
    def aspect(self) -> float:
        """Width over height."""
        width, height = self.levels[0][0].size
        return width / height

    def level(self, width: int) -> tuple[Image.Image, Image.Image]:
        """Colours and alpha of the smallest level at least `width` pixels wide."""
        return next(
            (level for level in reversed(self.levels) if level[0].width >= width), self.levels[0]
        )


@dataclass(slots=True)
class Placed:
    """A sprite in a frame of `side` x `side` pixels: its whole rectangle, perhaps partly outside.

    x, y, width, height: pixels. window: the part inside, [x0, y0, x1, y1). alpha: of the window.
    """

    sprite: Sprite
    x: int
    y: int
    width: int
    height: int
    mirrored: bool
    window: tuple[int, int, int, int]
    alpha: UInt8[np.ndarray, "rows columns"]

    @property
    def rows(self) -> slice:
        return slice(self.window[1], self.window[3])

    @property
    def columns(self) -> slice:
        return slice(self.window[0], self.window[2])


def place(
    sprite: Sprite, x: int, y: int, width: int, height: int, mirrored: bool, side: int
) -> Placed:
    """A sprite at a place and size in pixels; at least a part must lie inside the frame."""
    window = (max(x, 0), max(y, 0), min(x + width, side), min(y + height, side))
    placed = Placed(sprite, x, y, width, height, mirrored, window, np.empty((0, 0), np.uint8))
    placed.alpha = np.asarray(_resized(placed, 1))
    return placed


def _resized(placed: Placed, layer: int) -> Image.Image:
    """The visible part of a sprite's colours (0) or alpha (1), at the size it is shown."""
    x0, y0, x1, y1 = placed.window
    image = placed.sprite.level(placed.width)[layer]
    if placed.mirrored:
        x0, x1 = 2 * placed.x + placed.width - x1, 2 * placed.x + placed.width - x0
    across, down = image.width / placed.width, image.height / placed.height
    part = (
        (x0 - placed.x) * across,
        (y0 - placed.y) * down,
        min((x1 - placed.x) * across, image.width),
        min((y1 - placed.y) * down, image.height),
    )
    shown = image.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=part)
    return shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if placed.mirrored else shown


def draw_area(generator: np.random.Generator) -> float:
    """The area of a box, as a share of the frame, from the distribution of `AREAS`."""
    chances, areas = zip(*AREAS, strict=True)
    return float(np.interp(generator.random(), chances, np.sqrt(areas))) ** 2


def draw_place(generator: np.random.Generator, sprite: Sprite, area: float, side: int) -> Placed:
    """A sprite at a random place, mirrored or not, so that its box covers `area` of the frame.

    It lies inside the frame unless its proportions forbid so large an area; then it reaches
    over two opposite edges, and the part inside has the area (up to `LONGEST`).
    """
    width, height = (area * sprite.aspect) ** 0.5, (area / sprite.aspect) ** 0.5
    if max(width, height) > 1:
        longer = min(area * max(sprite.aspect, 1 / sprite.aspect), LONGEST)
        width, height = (
            (longer, longer / sprite.aspect) if width > height else (longer * sprite.aspect, longer)
        )
    across, down = (max(round(edge * side), 2) for edge in (width, height))
    corner = [
        int(generator.integers(min(0, side - edge), max(0, side - edge), endpoint=True))
        for edge in (across, down)
    ]
    mirrored = bool(generator.random() < 0.5)
    return place(sprite, corner[0], corner[1], across, down, mirrored, side)


def draw_layout(
    generator: np.random.Generator, sprites: Sequence[Sprite], side: int
) -> tuple[list[Placed], int]:
    """The objects of a scene from the back to the front, and which of them is `sprites[0]`.

    The first one has the size that was drawn for it. Each of the others goes in front of all or
    behind all that are there, wherever every object keeps its share of `LEAST_SEEN`; it shrinks
    by a fifth after every attempt that fails, so that an attempt succeeds at last.
    """
    owners = np.zeros((side, side), np.uint8)
    order: list[int] = []
    placed: list[Placed] = []
    seen: list[int] = []
    whole: list[int] = []
    for number, sprite in enumerate(sprites, start=1):
        area = draw_area(generator)
        while True:
            candidate = draw_place(generator, sprite, area, side)
            solid = candidate.alpha >= SOLID
            window = owners[candidate.rows, candidate.columns]
            size = int(np.count_nonzero(solid))
            hidden = np.bincount(window[solid], minlength=number)[1:].tolist()
            before = bool(generator.random() < 0.5)
            if before:
                left = [now - lost for now, lost in zip(seen, hidden, strict=True)]
            else:
                left = list(seen)
            own = size if before else size - sum(hidden)
            shares = [now / total for now, total in zip([*left, own], [*whole, size], strict=True)]
            if shares[0] >= LEAST_SEEN[0] and min(shares) >= LEAST_SEEN[1]:
                break
            area *= 0.8
        window[solid if before else solid & (window == 0)] = number
        seen, whole = [*left, own], [*whole, size]
        placed.append(candidate)
        order.insert(len(order) if before else 0, number - 1)
    return [placed[number] for number in order], order.index(0)


def visible_mask(layout: Sequence[Placed], which: int, side: int) -> Bool[np.ndarray, "side side"]:
    """Where one object of the layout makes up at least half of the pixel."""
    mask = np.zeros((side, side), np.uint8)
    one = layout[which]
    mask[one.rows, one.columns] = one.alpha
    for other in layout[which + 1 :]:
        under = mask[other.rows, other.columns].astype(np.uint16)
        under *= 255 - other.alpha
        mask[other.rows, other.columns] = (under + 127) // 255
    return mask >= SOLID


def paint(canvas: Image.Image, placed: Placed, light: int) -> None:
    """Paste a placed sprite into an RGB picture."""
    colours = _resized(placed, 0).point(light_table(light))
    canvas.paste(colours, placed.window[:2], Image.fromarray(placed.alpha))


@lru_cache(maxsize=LIGHTS)
def light_table(number: int) -> list[int]:
    """One of `LIGHTS` lights as a table for `Image.point`: brightness 0.7 to 1.3, a slight tint."""
    generator = np.random.Generator(np.random.Philox(key=[0x11647, number]))
    gains = generator.uniform(0.7, 1.3) * generator.uniform(0.92, 1.08, 3)
    values = np.clip(np.rint(np.arange(256) * gains[:, None]), 0, 255)
    return [int(value) for value in values.ravel()]


def bounds(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """The smallest [x0, y0, x1, y1) in pixels around what is true; (0, 0, 0, 0) if nothing is."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box_of(mask: Bool[np.ndarray, "height width"]) -> Box:
    """The bounding box of a mask as fractions of the frame."""
    x0, y0, x1, y1 = bounds(mask)
    height, width = mask.shape
    return x0 / width, y0 / height, x1 / width, y1 / height


def _continue_colours(
    pixels: UInt8[np.ndarray, "height width 4"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The colours, where alpha is low replaced by those of the nearest solid surroundings."""
    height, width = pixels.shape[:2]
    alpha = pixels[..., 3:].astype(np.float32) / 255
    colours, weight = pixels[..., :3] * alpha, alpha.copy()
    for shrink in (4, 16, 64, 256):
        small = (max(width // shrink, 1), max(height // shrink, 1))
        layers = [
            np.asarray(
                Image.fromarray(layer)
                .resize(small, Image.Resampling.BOX)
                .resize((width, height), Image.Resampling.BILINEAR)
            )
            for layer in (*np.moveaxis(pixels[..., :3] * alpha, -1, 0), alpha[..., 0])
        ]
        around = np.stack(layers, -1)
        missing = np.clip(1 - weight, 0, None)
        colours += around[..., :3] * missing
        weight += around[..., 3:] * missing
    return np.clip(colours / np.maximum(weight, 1e-6), 0, 255).astype(np.uint8)
