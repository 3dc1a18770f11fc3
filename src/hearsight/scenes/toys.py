"""The toys: a pack of 12 classes, textured shapes and synthesised sounds, generated in code.

A class is a shape with a texture, and a kind of sound. Its instances differ in colours,
proportions, angle and texture phase, and in pitch, pace and envelope, so no single colour or pitch
tells a class. Train and val share neither instances nor backgrounds.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw

from hearsight.clips.truth import bounds
from hearsight.errors import HearsightError, nearest
from hearsight.media.samples import RATE, round_samples
from hearsight.scenes.pack import Cutout, Pack, Recording
from hearsight.scenes.toy_sounds import voice

SIDE = 192  # pixels of a cut-out before it is cropped to its shape
INSTANCES = {"train": 16, "val": 6}  # cut-outs, and as many recordings, of each class
BACKGROUNDS = {"train": 32, "val": 12}
BACKGROUND_SIDE = 320

Grid = Float64[np.ndarray, "side side"]
Values = TypeVar("Values", bound=np.ndarray)
Points = list[tuple[float, float]]


def make_toys(*, split: str, classes: Sequence[str] | int | None = None) -> Pack:
    """One split of the toys, the same on every call; its arrays are read-only.

    Args:
        split: train or val.
        classes: names, or how many of `SHAPES`; None for all 12.

    Raises:
        HearsightError: unknown classes.
    """
    chosen = _choose(classes)
    numbers = range(INSTANCES[split])
    return Pack(
        name="toys",
        split=split,
        cutouts=tuple(_cutout(label, split, number) for label in chosen for number in numbers),
        recordings=tuple(
            _recording(label, split, number) for label in chosen for number in numbers
        ),
        backgrounds=tuple(_background(split, number) for number in range(BACKGROUNDS[split])),
    )


def _choose(classes: Sequence[str] | int | None) -> list[str]:
    names = sorted(SHAPES)
    if classes is None:
        return names
    if isinstance(classes, int):
        if not 1 <= classes <= len(names):
            raise HearsightError(f"The toys have {len(names)} classes, not {classes}.")
        return names[:classes]
    for name in classes:
        if name not in SHAPES:
            raise HearsightError(f"The toys have no class '{name}'.{nearest(name, names)}")
    return sorted(set(classes))


def _fixed(values: Values) -> Values:
    """The same array, read-only: what is drawn once is shared by all packs of the process."""
    values.flags.writeable = False
    return values


def _stream(what: str, split: str, number: int) -> np.random.Generator:
    """The random generator of one instance: of a class (or background), split and number."""
    name = int.from_bytes(what.encode()[-8:], "little")
    return np.random.Generator(np.random.Philox(key=[name, number << 1 | (split == "val")]))


@cache
def _recording(label: str, split: str, number: int) -> Recording:
    sound = voice(label, _stream(f"{label}~", split, number), RATE)
    samples = _fixed(round_samples(sound / np.abs(sound).max() * 28_000))
    return Recording(id=f"{split}/{label}/{number}", label=label, samples=samples)


@cache
def _cutout(label: str, split: str, number: int) -> Cutout:
    """A textured shape in two random colours, slightly rotated and stretched."""
    generator = _stream(label, split, number)
    shape, texture = SHAPES[label]
    stretch = 2 ** generator.uniform(-0.3, 0.3, 2)
    angle = np.deg2rad(generator.uniform(-25, 25))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.asarray(shape(generator.uniform(0, 1))) * stretch @ turn.T
    points *= 0.96 / np.abs(points).max()
    drawn = Image.new("L", (4 * SIDE, 4 * SIDE))
    ImageDraw.Draw(drawn).polygon(
        [(2 * SIDE * (1 + x), 2 * SIDE * (1 + y)) for x, y in points], 255
    )
    alpha = np.asarray(drawn.resize((SIDE, SIDE), Image.Resampling.BOX))
    share = texture(*_turned_grid(generator, SIDE), generator)[..., None]
    dark, bright = generator.uniform(0, 110, 3), generator.uniform(130, 255, 3)
    colours = dark + (bright - dark) * share + generator.normal(0, 6, (SIDE, SIDE, 1))
    pixels = np.dstack([np.clip(colours, 0, 255).astype(np.uint8), alpha])
    left, top, right, bottom = bounds(alpha >= 128)
    cut = _fixed(np.ascontiguousarray(pixels[top:bottom, left:right]))
    return Cutout(id=f"{split}/{label}/{number}", label=label, pixels=cut)


def _turned_grid(generator: np.random.Generator, side: int) -> tuple[Grid, Grid]:
    """Coordinates from -1 to 1, shifted and rotated by up to 20 degrees."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    angle = np.deg2rad(generator.uniform(-20, 20))
    shift = generator.uniform(-1, 1, 2)
    return (
        x * np.cos(angle) - y * np.sin(angle) + shift[0],
        x * np.sin(angle) + y * np.cos(angle) + shift[1],
    )


@cache
def _background(split: str, number: int) -> UInt8[np.ndarray, "side side 3"]:
    """Random clouds in two colours, blended with a texture in a third."""
    generator = _stream("back", split, number)
    colours = generator.uniform(20, 235, (3, 3))
    clouds = [_clouds(generator, BACKGROUND_SIDE) for _ in range(2)]
    x, y = _turned_grid(generator, BACKGROUND_SIDE)
    texture = (_stripes, _checks, _dots, _waves)[number % 4]
    pixels = colours[0] + (colours[1] - colours[0]) * clouds[0][..., None]
    weight = generator.uniform(0.2, 0.8) * clouds[1] * texture(x, y, generator)
    pixels += (colours[2] - pixels) * weight[..., None]
    pixels += generator.normal(0, 8, pixels.shape)
    return _fixed(np.clip(pixels, 0, 255).astype(np.uint8))


def _clouds(generator: np.random.Generator, side: int) -> Grid:
    """Smooth noise of several octaves, from 0 to 1."""
    total = np.zeros((side, side))
    for cells in (3, 6, 12, 24, 48):
        noise = Image.fromarray(generator.random((cells, cells)).astype(np.float32))
        total += np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC)) / cells**0.7
    low, high = total.min(), total.max()
    return np.asarray((total - low) / (high - low))


def _circle(start: float = 0, stop: float = 2 * np.pi, radius: float = 1, n: int = 48) -> Points:
    angles = np.linspace(start, stop, n)
    return [(radius * float(np.sin(a)), -radius * float(np.cos(a))) for a in angles]


def _radial(radius: Callable[[float], float]) -> Points:
    angles = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    return [(radius(a) * float(np.sin(a)), -radius(a) * float(np.cos(a))) for a in angles]


def _spiked(spikes: int, inner: float) -> Points:
    corners = np.arange(2 * spikes) * np.pi / spikes
    return [
        (r * float(np.sin(a)), -r * float(np.cos(a)))
        for a, r in zip(corners, np.tile([1.0, inner], spikes), strict=True)
    ]


def _arrow(v: float) -> Points:
    w = 0.2 + 0.15 * v
    half = [(0.0, -1.0), (0.8, 0.0), (w, 0.0), (w, 1.0)]
    return [*half, *[(-x, y) for x, y in reversed(half[1:])]]


def _bolt(v: float) -> Points:
    s = 0.1 * v
    half = [(0.4, -1.0), (-0.6, 0.2), (-0.05 - s, 0.2)]
    return [*half, *[(-x, -y) for x, y in half]]


def _crescent(v: float) -> Points:
    inner = [
        (x * 0.8 + 0.35 + 0.15 * v, y * 0.9) for x, y in _circle(np.pi + 0.25, 2 * np.pi - 0.25)
    ]
    return [*_circle(np.pi, 2 * np.pi), *reversed(inner)]


def _cross(v: float) -> Points:
    w = 0.22 + 0.14 * v
    half = [(-w, -1.0), (w, -1.0), (w, -w), (1.0, -w), (1.0, w), (w, w)]
    return [*half, *[(-x, -y) for x, y in half]]


def _drop(v: float) -> Points:
    sharp = 1.5 + v
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    return [(0.9 * float(np.sin(a) * np.sin(a / 2) ** sharp), -float(np.cos(a))) for a in angles]


def _heart(v: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    x = 16 * np.sin(angles) ** 3
    y = 13 * np.cos(angles) - (4 + 2 * v) * np.cos(2 * angles) - 2 * np.cos(3 * angles)
    return [(float(a) / 17, -float(b) / 17) for a, b in zip(x, y, strict=True)]


def _ring(v: float) -> Points:
    return [*_circle(), *reversed(_circle(radius=0.45 + 0.2 * v))]


def _stripes(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    return np.asarray((np.sin(x * generator.uniform(14, 22)) > 0), float)


def _checks(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    pace = generator.uniform(7, 11)
    return np.asarray(((np.floor(x * pace / 2) + np.floor(y * pace / 2)) % 2), float)


def _dots(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    pace = generator.uniform(11, 16)
    return np.asarray((np.cos(x * pace) + np.cos(y * pace) > 0.7), float)


def _waves(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    return np.asarray(np.sin((y + 0.12 * np.sin(9 * x)) * generator.uniform(16, 24)) + 1) / 2


def _rays(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    return np.asarray((np.sin(np.arctan2(y, x) * int(generator.integers(7, 11))) > 0), float)


def _marble(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    return np.asarray(np.sin(22 * _clouds(generator, len(x)) + 4 * x) + 1) / 2


SHAPES: dict[str, tuple[Callable[[float], Points], Callable[..., Grid]]] = {
    "arrow": (_arrow, _stripes),
    "bolt": (_bolt, _marble),
    "crescent": (_crescent, _dots),
    "cross": (_cross, _checks),
    "disc": (lambda v: _circle(n=96), _waves),
    "drop": (_drop, _rays),
    "flower": (lambda v: _radial(lambda a: 0.72 + (0.2 + 0.08 * v) * np.cos(6 * a)), _dots),
    "gear": (lambda v: _radial(lambda a: 1.0 if np.sin(10 * a) > 0 else 0.7 + 0.1 * v), _marble),
    "heart": (_heart, _stripes),
    "ring": (_ring, _checks),
    "star": (lambda v: _spiked(5, 0.38 + 0.1 * v), _waves),
    "triangle": (lambda v: _spiked(3, 0.5), _rays),
}
"""Per class its shape (from a number in [0, 1] to points in [-1, 1]) and its texture."""
