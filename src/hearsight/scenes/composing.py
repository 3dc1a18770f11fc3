"""Layouts of scenes: sizes, places and occlusion of sprites, and the exact mask of each object.

A sprite is a cut-out prepared for pasting at any size. Pictures stay Pillow images until a scene
is complete, because Pillow blends four times as fast as numpy; masks are numpy arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from hearsight.clips.clip import Box
from hearsight.clips.truth import bounds

Thing = TypeVar("Thing")
AREAS = ((0.0, 0.01), (0.1, 0.056), (0.5, 0.255), (0.9, 0.7), (1.0, 0.95))
"""(probability, share of the frame): quantiles of the drawn area of an object's box.

Between these points the side (the root of the area) is uniform. In the composed scenes, where
objects are partly hidden and very long ones cannot be so large, the boxes have the 10th, 50th and
90th percentile of those of VGG-SS: 5, 25 and 68 % of the frame.
"""

SOLID = 128  # least alpha of a pixel of the object: it makes up at least half of the pixel
LONGEST = 2.0  # of an object, in sides of the frame; so at least half of it lies inside
LEAST_VISIBLE = (0.75, 0.5)  # share of the sounding and of a silent object that is not hidden
PLACES_TRIED = 4  # for a silent object before it shrinks
SHRINK = 0.7  # factor of its area

Light = tuple[tuple[int, int, int], float]
"""A colour, and the weight at which pictures are blended with it; negative: away from it."""


class Sprite:
    """A cut-out at several sizes, cropped to its solid pixels.

    Colours are continued beyond the edge of the object, so that the four bands can be resized
    independently, as Pillow does in mode RGBX, without a dark seam.
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
        """The level whose width is nearest to `width` pixels, by ratio."""
        enough = (level for level in reversed(self.levels) if level.width * 2**0.25 >= width)
        return next(enough, self.levels[0])


@dataclass(slots=True)
class ScaledSprite:
    """A sprite at its final size, or the part of it that lies inside the frame.

    colours: of mode RGBX, whose fourth band is the alpha. alpha: that band as an array.
    """

    colours: Image.Image
    alpha: UInt8[np.ndarray, "rows columns"]


def scale_sprite(
    sprite: Sprite,
    size: tuple[float, float],
    part: Box = (0.0, 0.0, 1.0, 1.0),
    *,
    mirrored: bool = False,
) -> ScaledSprite:
    """A sprite scaled to `size` (width and height in pixels), of it the `part` (fractions)."""
    level = sprite.level(size[0])
    x0, y0, x1, y1 = (
        edge * length for edge, length in zip(part, (level.width, level.height) * 2, strict=True)
    )
    across = max(round((part[2] - part[0]) * size[0]), 1)
    down = max(round((part[3] - part[1]) * size[1]), 1)
    colours = level.resize((across, down), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
    if mirrored:
        colours = colours.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ScaledSprite(colours, np.asarray(colours.getchannel("X")))


@dataclass(slots=True)
class PlacedSprite:
    """A sprite with its upper left corner at x, y (pixels), wholly inside the frame."""

    sprite: ScaledSprite
    x: int
    y: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Its rows and columns in the frame."""
        rows, columns = self.sprite.alpha.shape
        return slice(self.y, self.y + rows), slice(self.x, self.x + columns)


def draw_area(generator: np.random.Generator) -> float:
    """A random area of a box, as a share of the frame, from the quantiles in `AREAS`."""
    chances, areas = zip(*AREAS, strict=True)
    return float(np.interp(generator.random(), chances, np.sqrt(areas))) ** 2


def draw_scaled_sprite(
    generator: np.random.Generator, sprite: Sprite, area: float, side: int
) -> ScaledSprite:
    """A sprite, mirrored or not, whose box covers a share `area` of a frame of `side` pixels.

    Its proportions stay. Where they forbid so large an area, it extends beyond two opposite edges
    of the frame, and a random part of that area is inside (up to `LONGEST`).
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
    return scale_sprite(
        sprite, (width * side, height * side), part, mirrored=generator.random() < 0.5
    )


def draw_placement(generator: np.random.Generator, shown: ScaledSprite, side: int) -> PlacedSprite:
    """A sprite at a random place inside the frame."""
    rows, columns = shown.alpha.shape
    x, y = generator.random(2).tolist()
    return PlacedSprite(shown, int(x * (side - columns + 1)), int(y * (side - rows + 1)))


class Layout:
    """The objects of a frame, each visible to at least its share of `LEAST_VISIBLE`.

    order: from back to front. source: the index in `order` of the object that is added first, a
    sounding one. added: the same objects in the order they were added.
    """

    def __init__(self, width: int, height: int, *, sources: int = 1) -> None:
        """An empty layout; the `sources` objects that are added first sound."""
        self.sources = sources
        self.order: list[PlacedSprite] = []
        self.added: list[PlacedSprite] = []
        self.source = 0
        self._owners = np.zeros(
            (height, width), np.uint8
        )  # per pixel 0, or the number of the visible object
        self._whole: list[int] = []  # solid pixels of each object, and the visible ones
        self._visible: list[int] = []

    def add(self, placed: PlacedSprite, *, front: bool, either: bool = False) -> bool:
        """Add an object in front of or behind all others; False if one would be hidden too much.

        either: whether the other of the two is tried as well.
        """
        solid = placed.sprite.alpha >= SOLID
        owners = self._owners[placed.window]
        size = int(np.count_nonzero(solid))
        taken = owners * solid
        covered = [int(np.count_nonzero(taken == at + 1)) for at in range(len(self._visible))]
        whole = [*self._whole, size]
        least = [LEAST_VISIBLE[at >= self.sources] for at in range(len(whole))]
        for way in (front, not front) if either else (front,):
            if way:
                seen = [now - lost for now, lost in zip(self._visible, covered, strict=True)]
                seen.append(size)
            else:
                seen = [*self._visible, size - sum(covered)]
            if all(
                now >= share * all_ for now, share, all_ in zip(seen, least, whole, strict=True)
            ):
                owners[solid if way else solid & (owners == 0)] = len(seen)
                self._whole, self._visible = whole, seen
                self.order.insert(len(self.order) if way else 0, placed)
                self.added.append(placed)
                self.source += not way and len(seen) > 1
                return True
        return False

    def mask(self, number: int | None = None) -> Bool[np.ndarray, "height width"]:
        """Where the source, or the object that was added as `number`, is at least half of a pixel.

        number: from 0.
        """
        at = self.source
        if number is not None:
            wanted = self.added[number]
            at = next(i for i, placed in enumerate(self.order) if placed is wanted)
        share = np.zeros_like(self._owners)
        source = self.order[at]
        share[source.window] = source.sprite.alpha
        for other in self.order[at + 1 :]:
            under = share[other.window].astype(np.uint16)
            under *= 255 - other.sprite.alpha
            share[other.window] = (under + 127) // 255
        return share >= SOLID


def draw_layout(
    generator: np.random.Generator,
    sprites: Sequence[Sprite],
    side: int,
    *,
    sources: int = 1,
    areas: Sequence[float] = (),
) -> Layout:
    """A random layout of the objects of a scene, those that sound first.

    The first keeps its size; the others shrink until a place is found where every object keeps its
    share of `LEAST_VISIBLE`.

    Args:
        generator: of all randomness.
        sprites: the objects.
        side: of the frame, pixels.
        sources: number of objects that sound.
        areas: of the boxes of the first objects, as shares of the frame; the others' are drawn.
    """
    layout = Layout(side, side, sources=sources)
    for number, sprite in enumerate(sprites):
        area = areas[number] if number < len(areas) else draw_area(generator)
        added = False
        while not added:  # ends: a small enough object in front hides nearly nothing
            shown = draw_scaled_sprite(generator, sprite, area, side)
            for _ in range(PLACES_TRIED):
                placed = draw_placement(generator, shown, side)
                front = bool(generator.random() < 0.5)
                added = layout.add(placed, front=front, either=True)
                if added:
                    break
            area *= SHRINK
    return layout


def paste(canvas: Image.Image, placed: PlacedSprite, light: Light) -> None:
    """Paste an object into an RGB picture, relit."""
    colours = relight(placed.sprite.colours, light).convert("RGB")
    canvas.paste(colours, (placed.x, placed.y), Image.fromarray(placed.sprite.alpha))


def draw_one(generator: np.random.Generator, things: Sequence[Thing]) -> Thing:
    """One of at least one thing, each as likely as any other."""
    return things[int(generator.integers(len(things)))]


def draw_light(generator: np.random.Generator) -> Light:
    """A random nearly grey colour, with a weight from -0.25 to 0.35."""
    grey = generator.uniform(30, 225)
    red, green, blue = (round(grey + 30 * tint) for tint in generator.uniform(-1, 1, 3).tolist())
    return (red, green, blue), generator.uniform(-0.25, 0.35)


def relight(image: Image.Image, light: Light) -> Image.Image:
    """A picture blended with the colour of a light; the fourth band of RGBX is not kept."""
    colour, strength = light
    return Image.blend(image, Image.new(image.mode, image.size, colour), strength)


def cover(pixels: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int]) -> Image.Image:
    """A background resized, proportions kept, to the least that covers `size` (width, height)."""
    image = Image.fromarray(pixels)
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = (
        max(round(scale * edge), least) for edge, least in zip(image.size, size, strict=True)
    )
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _continue_colours(
    pixels: UInt8[np.ndarray, "height width 4"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The colours, replaced by those of the nearest solid pixels where alpha is low."""
    image = Image.fromarray(pixels)
    filled = image.resize((1, 1), Image.Resampling.BOX)
    filled.putalpha(255)
    filled = filled.resize(image.size)
    for shrink in (32, 8, 2):  # resizing averages the solid pixels alone
        small = image.resize(
            (max(image.width // shrink, 1), max(image.height // shrink, 1)), Image.Resampling.BOX
        )
        filled.alpha_composite(small.resize(image.size, Image.Resampling.BILINEAR))
    filled.alpha_composite(image)
    return np.asarray(filled)[..., :3]
