"""The small pictures of moments: a frame, or a sound's waveform, as JPEG; response maps as PNG."""

import io

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from hearsight.clips.clip import encode_picture, fit_frame, fitted_size
from hearsight.localising.painting import FOUND, INK
from hearsight.media.picture import squeezed

SIDE = 144  # pixels, shorter side
LONGEST = 16 * SIDE  # pixels, longer side, to which a strip is squeezed: JPEG has a limit
QUALITY = 80  # of JPEG


def small_picture(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A frame, its shorter side at most `SIDE` pixels, its longer one at most `LONGEST`."""
    return encode_picture(squeezed(fit_frame(pixels, SIDE), LONGEST), quality=QUALITY)


def small_picture_of_scaled(
    scaled: UInt8[np.ndarray, "h w 3"], height: int, width: int
) -> bytes | None:
    """`small_picture` of a frame of `height` and `width` from a scaled copy, nearly the same.

    The copy may be squeezed by a little. None if it is too small.
    """
    if min(scaled.shape[:2]) < SIDE or min(height, width) < SIDE:
        return None
    wide, tall = fitted_size(height, width, SIDE)
    size = (min(wide, LONGEST), min(tall, LONGEST))
    small = Image.fromarray(scaled).resize(size, Image.Resampling.BILINEAR)
    return encode_picture(np.asarray(small), quality=QUALITY)


def waveform_picture(samples: Float32[np.ndarray, " samples"]) -> bytes:
    """The peaks of a sound over time, amber on dark, the loudest at nearly full height."""
    height, width = SIDE, SIDE * 16 // 9
    peaks = [float(np.abs(part).max(initial=0)) for part in np.array_split(samples, width)]
    tall = np.array(peaks) / max(*peaks, 1e-6) * (0.45 * height)
    away = np.abs(np.arange(height) - height / 2 + 0.5)[:, None]
    drawn = np.where((away <= np.maximum(tall, 0.5))[..., None], FOUND, INK)
    return encode_picture(drawn.astype(np.uint8), quality=QUALITY)


def encode_heatmap(heatmap: UInt8[np.ndarray, "h w"]) -> bytes:
    """A heatmap as a grey PNG, a pixel for each of its cells."""
    file = io.BytesIO()
    Image.fromarray(heatmap).save(file, "PNG")
    return file.getvalue()


def decode_heatmap(data: bytes) -> UInt8[np.ndarray, "h w"]:
    """The heatmap that `encode_heatmap` wrote, from 0 to 255."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.array(picture.convert("L"))
