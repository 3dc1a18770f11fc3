"""Augmented cut-outs: one picture rotated, sheared, stretched and recoloured into several looks.

A class with one or two cut-outs would be learned as these pictures; several looks of each make a
model learn the object instead.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

ROTATION = 15.0  # degrees; uniform in [-ROTATION, ROTATION], as for all limits below
SHEAR = 0.25  # horizontal, as a share of the height
VERTICAL_SHEAR = 0.08  # as a share of the width
STRETCH = 0.25  # natural logarithm of the change of width over height
GAIN = 0.25  # natural logarithm of the factor of each colour
GAMMA = 0.35  # natural logarithm of the exponent of all colours
SATURATION = (0.4, 1.4)  # factor of the distance from grey, uniform


def vary(
    pixels: UInt8[np.ndarray, "height width 4"], generator: np.random.Generator
) -> UInt8[np.ndarray, "height2 width2 4"]:
    """A random look of a cut-out (red, green, blue, alpha), large enough to hold all of it."""
    return recolour(deform(pixels, generator), generator)


def deform(
    pixels: UInt8[np.ndarray, "height width 4"], generator: np.random.Generator
) -> UInt8[np.ndarray, "height2 width2 4"]:
    """The cut-out rotated, sheared and stretched about its centre."""
    limits = (math.radians(ROTATION), SHEAR, VERTICAL_SHEAR, STRETCH)
    turn, shear, tilt, stretch = generator.uniform(-1, 1, 4) * limits
    change = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    change = change @ np.array([[1, shear], [tilt, 1]])
    change = change @ np.diag([math.exp(stretch / 2), math.exp(-stretch / 2)])
    old = np.array([pixels.shape[1], pixels.shape[0]])
    reach = np.abs(np.array([[1, 1], [1, -1]]) * (old / 2) @ change.T).max(0)
    new = 2 * np.ceil(reach).astype(int) + 2
    back = np.linalg.inv(change)
    start = old / 2 - back @ (new / 2)
    alpha = pixels[..., 3:].astype(np.uint16)
    # colours premultiplied by alpha: transparent pixels lend no colour to their neighbours
    weighed = np.dstack([(pixels[..., :3] * alpha + 127) // 255, alpha]).astype(np.uint8)
    size = (pixels.shape[1], pixels.shape[0])
    image = Image.frombuffer("RGBX", size, weighed.tobytes(), "raw", "RGBX", 0, 1)
    moved = image.transform(
        (int(new[0]), int(new[1])),
        Image.Transform.AFFINE,
        (back[0, 0], back[0, 1], start[0], back[1, 0], back[1, 1], start[1]),
        Image.Resampling.BILINEAR,
    )
    found = np.asarray(moved).astype(np.float32)
    colours = found[..., :3] * 255 / np.maximum(found[..., 3:], 1)
    return np.dstack([colours.clip(0, 255), found[..., 3]]).round().astype(np.uint8)


def recolour(
    pixels: UInt8[np.ndarray, "height width 4"], generator: np.random.Generator
) -> UInt8[np.ndarray, "height width 4"]:
    """The cut-out with other colour gains, gamma and saturation; its alpha stays."""
    gains = np.exp(generator.uniform(-GAIN, GAIN, 3))
    gamma = math.exp(generator.uniform(-GAMMA, GAMMA))
    saturation = generator.uniform(*SATURATION)
    colours: Float[np.ndarray, "height width 3"] = (
        255 * (pixels[..., :3] / 255 * gains).clip(0, 1) ** gamma
    )
    grey = colours.mean(-1, keepdims=True)
    colours = (grey + saturation * (colours - grey)).clip(0, 255)
    return np.dstack([colours.round().astype(np.uint8), pixels[..., 3]])
