"""Files of packages made into files of a pack: cut-outs, backgrounds and sounds."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from jaxtyping import Float64, Int16
from PIL import Image, ImageChops, ImageDraw

from hearsight.clips.clip import encode_picture
from hearsight.clips.truth import bounds
from hearsight.media.picture import open_picture
from hearsight.media.samples import RATE, round_samples
from hearsight.scenes.composing import SOLID
from hearsight.scenes.pack_folder import trim_silence
from hearsight.scenes.sound_bank import FULL_SCALE, scale_to_loudness

CUTOUT_SIDE = 256  # pixels: the longer side of a cut-out at most
BACKGROUND_SIDE = 320  # pixels: the shorter side of a background at most
SMOOTHING = 3  # outlines are drawn so much larger, and averaged
LONGEST = 8.0  # seconds of a sound
LOUDNESS = 0.08  # root mean square of a sound, of full scale, where `PEAK` allows


Outline = Sequence[Sequence[Sequence[int]]]
"""Closed polygons around an object in a photograph; their corners are x and y in thousandths of its
sides. What lies within two of them is a hole."""


def cut_out(
    file: bytes, part: tuple[float, ...] | None = None, outline: Outline | None = None
) -> bytes:
    """A WebP picture with alpha, cropped to its object, from a picture file of any format.

    Args:
        file: the picture.
        part: the box (x0, y0, x1, y1) that is taken, in fractions of the picture's sides.
        outline: of the object, where the picture has no alpha of its own.

    Raises:
        ValueError: it is transparent all over.
    """
    image = open_picture(file).convert("RGBA")
    if outline is not None:
        image.putalpha(draw_outline(outline, image.size))
    if part is not None:
        sides = image.size * 2
        x0, y0, x1, y1 = (round(edge * side) for edge, side in zip(part, sides, strict=True))
        image = image.crop((x0, y0, x1, y1))
    box = bounds(np.asarray(image.getchannel("A")) >= SOLID)
    if box == (0, 0, 0, 0):
        raise ValueError("it is transparent all over")
    image = image.crop(box)
    image.thumbnail((CUTOUT_SIDE, CUTOUT_SIDE), Image.Resampling.LANCZOS)
    return encode_picture(np.asarray(image), "WEBP")


def draw_outline(outline: Outline, size: tuple[int, int]) -> Image.Image:
    """A mask (mode L) of `size` (width, height): 255 inside the outline, smooth at its edge."""
    finer = (SMOOTHING * size[0], SMOOTHING * size[1])
    mask = Image.new("1", finer)
    for polygon in outline:
        one = Image.new("1", finer)
        corners = [(x * finer[0] / 1000, y * finer[1] / 1000) for x, y in polygon]
        ImageDraw.Draw(one).polygon(corners, fill=1)
        mask = ImageChops.logical_xor(mask, one)
    return mask.convert("L").resize(size, Image.Resampling.BOX)


def cut_background(file: bytes) -> bytes:
    """A WebP picture from a picture file of any format, its shorter side `BACKGROUND_SIDE`."""
    image = open_picture(file).convert("RGB")
    scale = min(1, BACKGROUND_SIDE / min(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    return encode_picture(np.asarray(image.resize(size, Image.Resampling.LANCZOS)), "WEBP")


def cut_sound(file: bytes, part: tuple[float, ...] = (0.0, 1.0)) -> bytes:
    """An Opus sound of one channel at `RATE` from a sound file: trimmed, of loudness `LOUDNESS`.

    part: the fractions of its length between which it is taken, after trimming.
    """
    import soundfile  # type: ignore[import-untyped]

    samples, rate = soundfile.read(BytesIO(file), dtype="float64", always_2d=True)
    result = BytesIO()
    soundfile.write(
        result, normalise_loudness(samples.mean(1), rate, part), RATE, format="OGG", subtype="OPUS"
    )
    return result.getvalue()


def normalise_loudness(
    sound: Float64[np.ndarray, " samples"], rate: int, part: tuple[float, ...] = (0.0, 1.0)
) -> Int16[np.ndarray, " loud"]:
    """A sound resampled to `RATE`, trimmed, of it the `part`, cut to `LONGEST`, at `LOUDNESS`."""
    import soxr  # type: ignore[import-untyped]

    level = max(float(np.abs(sound).max(initial=0)), 1e-9)
    sound = soxr.resample(sound / level * 0.9, rate, RATE)
    trimmed = trim_silence(round_samples(sound * FULL_SCALE))
    first, last = (round(edge * len(trimmed)) for edge in part)
    trimmed = trimmed[first:last][: round(LONGEST * RATE)]
    if not len(trimmed):
        raise ValueError("it is silent")
    return scale_to_loudness(trimmed / FULL_SCALE, LOUDNESS)
