"""Tones of HDR film (PQ, HLG) brought into the range of ordinary screens.

Values of PQ and HLG that are shown, or given to a network, as if they were ordinary ones are grey
and flat. They are turned into light (ITU-R BT.2100-2, tables 4 and 5), the light of BT.2020 into
that of BT.709, and what is brighter than white is compressed by the curve of ITU-R BT.2390-10,
5.4.1, of the brightest channel, so that hues stay. White is 203 cd/m2 (ITU-R BT.2408), the
brightest that is told apart 1,000 cd/m2. The result is coded for a screen of gamma 2.4 (BT.1886).
"""

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

PQ, HLG = 16, 18  # FFmpeg's numbers of transfer functions
WHITE, BRIGHTEST = 203.0, 1000.0  # cd/m2
GAMMA = 2.4
M1, M2 = 2610 / 16384, 2523 / 4096 * 128  # of PQ, as C1 to C3
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
A, B, C = 0.17883277, 0.28466892, 0.55991073  # of HLG
LUMINANCE = (0.2627, 0.6780, 0.0593)  # of red, green, blue of BT.2020
# linear BT.2020 to linear BT.709 (ITU-R BT.2087-0, annex 2)
PRIMARIES = (
    (1.6605, -0.5876, -0.0728),
    (-0.1246, 1.1329, -0.0083),
    (-0.0182, -0.1006, 1.1187),
)
NODES = 65  # of the table, along each channel; as many as Pillow takes


def ordinary_tones(
    pixels: UInt8[np.ndarray, "height width 3"], transfer: int
) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of PQ or HLG in BT.2020 as RGB of BT.709; `transfer` is FFmpeg's number of either."""
    return np.asarray(Image.fromarray(pixels).filter(_table(transfer)))


@cache
def _table(transfer: int) -> ImageFilter.Color3DLUT:
    levels = np.linspace(0, 1, NODES)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")  # red changes fastest
    mapped = ordinary(np.stack([red, green, blue], -1), transfer)
    return ImageFilter.Color3DLUT(NODES, mapped.astype(np.float32).ravel())


def ordinary(coded: Float[np.ndarray, "*n 3"], transfer: int) -> Float[np.ndarray, "*n 3"]:
    """As `ordinary_tones`, of values from 0 to 1."""
    light = pq_light(coded) if transfer == PQ else hlg_light(coded)
    brightest = light.max(-1, keepdims=True)
    shown = light * compressed(brightest) / np.maximum(brightest, 1e-9) / WHITE
    result: Float[np.ndarray, "*n 3"] = (shown @ np.array(PRIMARIES).T).clip(0, 1) ** (1 / GAMMA)
    return result


def pq_light(coded: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Light in cd/m2 of values of PQ from 0 to 1."""
    root = coded ** (1 / M2)
    light: Float[np.ndarray, "*n"] = np.maximum(root - C1, 0) / (C2 - C3 * root)
    return 10_000 * light ** (1 / M1)


def pq_coded(light: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Values of PQ of light in cd/m2."""
    power = (light / 10_000) ** M1
    coded: Float[np.ndarray, "*n"] = ((C1 + C2 * power) / (1 + C3 * power)) ** M2
    return coded


def hlg_light(coded: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Light in cd/m2 of values of HLG, on a screen of `BRIGHTEST`, whose gamma is 1.2."""
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - C) / A) + B) / 12)
    luminance = (scene @ np.array(LUMINANCE))[..., None]
    light: Float[np.ndarray, "*n 3"] = BRIGHTEST * luminance**0.2 * scene
    return light


def compressed(light: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Light up to `BRIGHTEST` brought to at most `WHITE`, in cd/m2; what is dark stays."""
    full, white = pq_coded(np.array([BRIGHTEST, WHITE]))
    value, most = (pq_coded(light) / full).clip(0, 1), white / full
    knee = 1.5 * most - 0.5
    t = (value - knee) / (1 - knee)
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    return pq_light(np.where(value < knee, value, curve) * full)
