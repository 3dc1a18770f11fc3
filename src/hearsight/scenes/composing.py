"""Cut-outs placed in a picture: how large, where, who hides whom, and the exact mask of one.

A sprite is a cut-out made ready to paste at any size. Pictures stay Pillow images until a scene
is whole, because Pillow blends four times as fast as numpy; masks are numpy arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from hearsight.clips.clip import Box

AREAS = ((0.0, 0.01), (0.1, 0.056), (0.5, 0.255), (0.9, 0.7), (1.0, 0.95))
"""(probability, share of the frame): quantiles of the box area that is drawn for an object.

Between the points the side (the root of the area) is uniform. Composed, where others hide parts
and very long objects cannot be so large, the boxes have the 10th, 50th and 90th percentile of
those of VGG-SS: 5, 25 and 68 % of the frame.
"""

SOLID = 128  # alpha from here on belongs to the object: it makes up at least half of the pixel
LONGEST = 2.0  # sides of the frame: an object longer than the frame shows at least half of itself
LEAST_SEEN = (0.75, 0.5)  # share of the sounding and of a silent object that nothing hides
PLACES = 4  # tried for a silent object before it shrinks
SHRINK = 0.7  # of its area

Light = tuple[tuple[int, int, int], float]
"""A colour, and how far pictures go towards it: 0 not at all, 1 all the way."""


class Sprite:
    """A cut-out at several sizes, cut to the pixels that are solid.

    Colours are continued beyond the edge of the object, so that the four bands may be resized
    apart from each other without a dark seam; Pillow does so for pictures of mode RGBX.
    """

    def __init__(self, pixels: UInt8[np.ndarray, "height width 4"]) -> None:
        left, top, right, bottom = bounds(pixels[..., 3] >= SOLID)
        pixels = pixels[top:bottom, left:right].copy()
        pixels[..., :3] = _continue_colours(pixels)
        size = (right - left, bottom - top)
        self.levels = [Image.frombuffer("RGBX", size, pixels.tobytes(), "raw", "RGBX", 0, 1)]
        while max(self.levels[-1].size) > 24:
            width, height = (max(round(edge / 2**0.5), 1) for edge in self.levels[-1].size)
            smaller = self.levels[-1].resize((width, height), Image.Resampling.BILINEAR)
            self.levels.append(smaller)

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.levels[0].width / self.levels[0].height

    def level(self, width: float) -> Image.Image:
        """The level whose width is nearest to so many pixels, as a ratio."""
        enough = (level for level in reversed(self.levels) if level.width * 2**0.25 >= width)
        return next(enough, self.levels[0])


@dataclass(slots=True)
class View:
    """A sprite at the size it is shown, or as much of it as the frame can hold.

    colours: of mode RGBX, whose fourth band is the alpha. alpha: the same as an array.
    """

    colours: Image.Image
    alpha: UInt8[np.ndarray, "rows columns"]


def view(
    sprite: Sprite,
    size: tuple[float, float],
    part: Box = (0.0, 0.0, 1.0, 1.0),
    *,
    mirrored: bool = False,
) -> View:
    """A sprite, `size` pixels wide and high, of it the `part` (fractions) that shows."""
    level = sprite.level(size[0])
    x0, y0, x1, y1 = (
        edge * length for edge, length in zip(part, (level.width, level.height) * 2, strict=True)
    )
    across = max(round((part[2] - part[0]) * size[0]), 1)
    down = max(round((part[3] - part[1]) * size[1]), 1)
    colours = level.resize((across, down), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
    if mirrored:
        colours = colours.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return View(colours, np.asarray(colours.getchannel("X")))


@dataclass(slots=True)
class Placed:
    """A view with its upper left corner at x, y (pixels); it lies wholly inside the frame."""

    view: View
    x: int
    y: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Its rows and columns in the frame."""
        rows, columns = self.view.alpha.shape
        return slice(self.y, self.y + rows), slice(self.x, self.x + columns)


def draw_area(generator: np.random.Generator) -> float:
    """The area of a box, as a share of the frame, from the distribution of `AREAS`."""
    chances, areas = zip(*AREAS, strict=True)
    return float(np.interp(generator.random(), chances, np.sqrt(areas))) ** 2


def draw_view(generator: np.random.Generator, sprite: Sprite, area: float, side: int) -> View:
    """A sprite, mirrored or not, whose box covers a share `area` of a frame of `side` pixels.

    Its proportions stay. Where they forbid so large an area, it reaches over two opposite edges
    of the frame and a random part shows that has the area (up to `LONGEST`).
    """
    width, height = (area * sprite.aspect) ** 0.5, (area / sprite.aspect) ** 0.5
    x, y = 0.0, 0.0
    if width > 1:
        width = min(area * sprite.aspect, LONGEST)
        height = width / sprite.aspect
        x = generator.uniform(0, 1 - 1 / width)
    elif height > 1:
        height = min(area / sprite.aspect, LONGEST)
        width = height * sprite.aspect
        y = generator.uniform(0, 1 - 1 / height)
    part = (x, y, x + min(1, 1 / width), y + min(1, 1 / height))
    return view(sprite, (width * side, height * side), part, mirrored=generator.random() < 0.5)


def draw_place(generator: np.random.Generator, shown: View, side: int) -> Placed:
    """A view at a random place inside the frame."""
    rows, columns = shown.alpha.shape
    x, y = generator.random(2).tolist()
    return Placed(shown, int(x * (side - columns + 1)), int(y * (side - rows + 1)))


class Layout:
    """Objects in a frame from the back to the front, every one seen well enough.

    order: the objects. source: where in it the first one stands that was added. added: the same
    objects as they were added.
    """

    def __init__(self, width: int, height: int) -> None:
        self.order: list[Placed] = []
        self.added: list[Placed] = []
        self.source = 0
        self._owners = np.zeros((height, width), np.uint8)  # 0, or the number of who is seen there
        self._whole: list[int] = []  # pixels of each object by number, and those that are seen
        self._seen: list[int] = []

    def add(self, placed: Placed, *, front: bool, either: bool = False) -> bool:
        """Put an object before or behind all others; False if one would be hidden too much.

        If `either`, the other way will do as well.
        """
        solid = placed.view.alpha >= SOLID
        owners = self._owners[placed.window]
        size = int(np.count_nonzero(solid))
        taken = owners * solid
        covered = [int(np.count_nonzero(taken == at + 1)) for at in range(len(self._seen))]
        whole = [*self._whole, size]
        least = [LEAST_SEEN[0], *(LEAST_SEEN[1] for _ in self._seen)]
        for way in (front, not front) if either else (front,):
            if way:
                seen = [now - lost for now, lost in zip(self._seen, covered, strict=True)]
                seen.append(size)
            else:
                seen = [*self._seen, size - sum(covered)]
            if all(
                now >= share * all_ for now, share, all_ in zip(seen, least, whole, strict=True)
            ):
                owners[solid if way else solid & (owners == 0)] = len(seen)
                self._whole, self._seen = whole, seen
                self.order.insert(len(self.order) if way else 0, placed)
                self.added.append(placed)
                self.source += not way and len(seen) > 1
                return True
        return False

    def mask(self) -> Bool[np.ndarray, "height width"]:
        """Where the source makes up at least half of the pixel."""
        share = np.zeros_like(self._owners)
        source = self.order[self.source]
        share[source.window] = source.view.alpha
        for other in self.order[self.source + 1 :]:
            under = share[other.window].astype(np.uint16)
            under *= 255 - other.view.alpha
            share[other.window] = (under + 127) // 255
        return share >= SOLID


def draw_layout(generator: np.random.Generator, sprites: Sequence[Sprite], side: int) -> Layout:
    """The objects of a scene, the sounding one first, at random sizes and places.

    It keeps the size that was drawn for it; the others shrink until there is a place for them
    where every object keeps its share of `LEAST_SEEN`.
    """
    layout = Layout(side, side)
    for sprite in sprites:
        area, added = draw_area(generator), False
        while not added:  # ends: the smallest object hides nearly nothing in front of the others
            shown = draw_view(generator, sprite, area, side)
            for _ in range(PLACES):
                placed = draw_place(generator, shown, side)
                front = bool(generator.random() < 0.5)
                added = layout.add(placed, front=front, either=True)
                if added:
                    break
            area *= SHRINK
    return layout


def paint(canvas: Image.Image, placed: Placed, light: Light) -> None:
    """Paste an object into an RGB picture, in a light."""
    colours = relight(placed.view.colours, light).convert("RGB")
    canvas.paste(colours, (placed.x, placed.y), Image.fromarray(placed.view.alpha))


def draw_light(generator: np.random.Generator) -> Light:
    """Up to a third towards a random, nearly grey colour, or up to a quarter away from it."""
    grey = generator.uniform(30, 225)
    red, green, blue = (round(grey + 30 * tint) for tint in generator.uniform(-1, 1, 3).tolist())
    return (red, green, blue), generator.uniform(-0.25, 0.35)


def relight(image: Image.Image, light: Light) -> Image.Image:
    """A picture in a light; a fourth band is spoilt."""
    colour, strength = light
    return Image.blend(image, Image.new(image.mode, image.size, colour), strength)


def fitted(pixels: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int]) -> Image.Image:
    """A background, its proportions kept, just large enough to cover so many pixels."""
    image = Image.fromarray(pixels)
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = (
        max(round(scale * edge), least) for edge, least in zip(image.size, size, strict=True)
    )
    return image.resize((width, height), Image.Resampling.LANCZOS)


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
    image = Image.fromarray(pixels)
    filled = image.resize((1, 1), Image.Resampling.BOX)
    filled.putalpha(255)
    filled = filled.resize(image.size)
    for shrink in (32, 8, 2):  # resized, a pixel's colour is the mean of what is solid in it
        small = image.resize(
            (max(image.width // shrink, 1), max(image.height // shrink, 1)), Image.Resampling.BOX
        )
        filled.alpha_composite(small.resize(image.size, Image.Resampling.BILINEAR))
    filled.alpha_composite(image)
    return np.asarray(filled)[..., :3]
