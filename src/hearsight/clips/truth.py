"""Truth masks: the boxes of a clip rasterised at 224 x 224 pixels, as the papers score them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from hearsight.clips.clip import Box

SIDE = 224  # pixels; width and height of all truth masks and of the maps compared with them
PIXELS = SIDE * SIDE
SIZES = {"small": 32, "medium": 96, "large": 144, "huge": SIDE + 1}
"""SLAVC's size classes (Mo and Morgado, NeurIPS 2022): truths of fewer pixels than this squared."""

Annotation = Literal["union", "unclamped union", "pixels", "consensus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthMask:
    """The sounding pixels of one clip, with weights 0, 1/2 or 1.

    Weight 1/2 occurs where several people annotated a frame (Flickr) and only one marked a pixel.
    """

    inside: Bool[np.ndarray, "h w"]  # weight above 0
    full: Bool[np.ndarray, "h w"] | None  # weight 1; None if the same as `inside`
    pixels: int  # number of pixels inside
    weight: float  # sum of the weights

    @classmethod
    def of(
        cls, inside: Bool[np.ndarray, "h w"], full: Bool[np.ndarray, "h w"] | None = None
    ) -> "TruthMask":
        """A truth mask from the pixels above weight 0 and those of weight 1."""
        pixels = int(np.count_nonzero(inside))
        whole = pixels if full is None else int(np.count_nonzero(full))
        return cls(inside=inside, full=full, pixels=pixels, weight=(pixels + whole) / 2)

    def weights(self) -> Float32[np.ndarray, "h w"]:
        """The weight of every pixel: 0, 0.5 or 1."""
        whole = self.inside if self.full is None else self.full
        weights: Float32[np.ndarray, "h w"] = (self.inside.astype(np.float32) + whole) / 2
        return weights


def rasterise(boxes: Sequence[Box], annotation: Annotation) -> TruthMask:
    """The truth mask of one clip at `SIDE` x `SIDE` pixels.

    Args:
        boxes: [x0, y0, x1, y1] as finite fractions of the frame, corrupt ones included.
        annotation: "union": pixel = int(224 * max(v, 0)), all boxes together have weight 1.
            "unclamped union": pixel = int(224 * v), so that a negative edge counts from the far
            side, as Python slices do. "pixels": as "union", for edges that were whole pixels.
            "consensus": as "unclamped union", but each box is one person's, and a pixel weighs
            min(1, boxes / 2).

    Source: LVS `testset_gt` (union), SSL-TIE `test` (unclamped union), both (consensus).
    """
    inside = np.zeros((SIDE, SIDE), np.bool_)
    full = np.zeros_like(inside) if annotation == "consensus" else None
    clamped = annotation in ("union", "pixels")
    rest = 1e-6 if annotation == "pixels" else 0.0  # 224 * (61 / 224) is a little less than 61
    for box in boxes:
        x0, y0, x1, y1 = (
            int(SIDE * (max(value, 0.0) if clamped else value) + rest) for value in box
        )
        if full is not None:
            full[y0:y1, x0:x1] |= inside[y0:y1, x0:x1]
        inside[y0:y1, x0:x1] = True
    return TruthMask.of(inside, full)


def mask_truth(mask: Bool[np.ndarray, "height width"]) -> TruthMask:
    """A mask on the canvas, resized to the nearest pixel."""
    return TruthMask.of(nearest_pixels(mask, SIDE, SIDE))


def nearest_pixels(
    mask: Bool[np.ndarray, "h w"], height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    """A mask of another size: at each pixel's centre the pixel of the mask that lies there."""
    rows, columns = (
        ((np.arange(side) + 0.5) * length / side).astype(np.intp)
        for side, length in zip((height, width), mask.shape, strict=True)
    )
    resized: Bool[np.ndarray, "height width"] = mask[rows[:, None], columns]
    return resized


def joined(truths: Sequence[TruthMask]) -> TruthMask:
    """Truths of several frames, of equal heights, as that of the frames side by side."""
    weighted = any(truth.full is not None for truth in truths)
    full = [truth.inside if truth.full is None else truth.full for truth in truths]
    inside = np.concatenate([truth.inside for truth in truths], axis=1)
    return TruthMask.of(inside, np.concatenate(full, axis=1) if weighted else None)


def size_class(pixels: int | float) -> str:
    """The name in `SIZES` of a truth with `pixels` pixels, or with that weight."""
    return next(name for name, side in SIZES.items() if pixels < side**2)


def bounds(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """The bounding box [x0, y0, x1, y1) of a mask in pixels; (0, 0, 0, 0) of an empty one."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box_of(mask: Bool[np.ndarray, "height width"]) -> Box:
    """The bounding box of a mask as fractions of the frame."""
    x0, y0, x1, y1 = bounds(mask)
    height, width = mask.shape
    return x0 / width, y0 / height, x1 / width, y1 / height


def covers_nothing(box: Box) -> bool:
    """Whether a box covers no pixel after clamping to the frame."""
    x0, y0, x1, y1 = (int(SIDE * max(value, 0.0)) for value in box)
    return x1 <= x0 or y1 <= y0 or x0 >= SIDE or y0 >= SIDE


def is_corrupt(box: Box) -> bool:
    """Whether an edge of a box lies outside its frame."""
    return not all(0.0 <= value <= 1.0 for value in box)
