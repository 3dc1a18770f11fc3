"""Files of packages made into files of a pack: cut-outs, backgrounds and sounds."""

from io import BytesIO

import numpy as np
from jaxtyping import Float64, Int16
from PIL import Image

from hearsight.clips.clip import encode_picture
from hearsight.clips.truth import bounds
from hearsight.media.picture import open_picture
from hearsight.media.samples import RATE, round_samples
from hearsight.scenes.composing import SOLID
from hearsight.scenes.pack_folder import trim_silence
from hearsight.scenes.sound_bank import FULL_SCALE, scale_to_loudness

CUTOUT_SIDE = 256  # pixels: the longer side of a cut-out at most
BACKGROUND_SIDE = 320  # pixels: the shorter side of a background at most
LONGEST = 8.0  # seconds of a sound
LOUDNESS = 0.08  # root mean square of a sound, of full scale, where `PEAK` allows


def cut_out(file: bytes, part: tuple[float, ...] | None = None) -> bytes:
    """A WebP picture with alpha, cropped to its object, from a picture file of any format.

    part: the box (x0, y0, x1, y1) that is taken, in fractions of the picture's sides.
    """
    image = open_picture(file).convert("RGBA")
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
