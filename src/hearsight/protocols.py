"""What a paper measured, exactly: how its released code turns a response map into a score.

A score is comparable only with its protocol's name beside it: the same maps differ by up to 35
points between the threshold rules here and by 1.5 points between the interpolations.

Every truth of scoring is made of boxes; the exact masks of composed scenes are not used.
Sounds are prepared by the recipe's own front end; how frames are prepared is part of a protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from hearsight.clips import Box
from hearsight.errors import HearsightError, nearest
from hearsight.metrics import Truth

SIDE = 224  # pixels; all truths and all compared maps have this width and height
PIXELS = SIDE * SIDE
HALF = PIXELS // 2  # place (0-based) of the median threshold among the sorted pixels

Upsampling = Literal["linear", "linear corners", "cubic"]
Annotation = Literal["union", "unclamped union", "consensus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one released evaluator scores a response map.

    upsampling: "linear" samples at pixel centres (OpenCV's INTER_LINEAR), "linear corners" at
    corners (torch's align_corners), "cubic" is torch's bicubic at pixel centres.
    reverse: values become 1 - minmax(-map), otherwise minmax(map); both 0 to 1.
    inclusive: pixels equal to the threshold are marked too.
    saturated: pixels of value 1 and above are marked whatever the threshold is.
    adaptive: the headline score marks as many pixels as the truth has, not half of the frame.
    truth: see `rasterise`.
    frame: "crop" brings the shorter side to the encoder's size and takes the middle square,
    "stretch" the whole frame to that square, both bicubic; truths are fractions of the whole
    frame in both.
    """

    name: str
    says: str
    upsampling: Upsampling
    reverse: bool = False
    inclusive: bool = False
    saturated: bool = False
    adaptive: bool = False
    truth: Annotation = "union"
    frame: Literal["crop", "stretch"] = "crop"

    @property
    def marked(self) -> int:
        """Pixels that the median threshold marks when no two pixels are equal."""
        return PIXELS - HALF - (0 if self.inclusive else 1)


_LVS = Protocol(
    name="lvs",
    says="LVS (Chen et al., CVPR 2021), released test.py and utils.py",
    upsampling="linear",
    reverse=True,
    saturated=True,
)
_EZ_VSL = Protocol(
    name="ez-vsl",
    says="EZ-VSL (Mo and Morgado, ECCV 2022), released test.py",
    upsampling="linear corners",
    inclusive=True,
    frame="stretch",
)
_ON_BOXES = (
    Protocol(
        name="ssl-tie",
        says="SSL-TIE (Liu et al., ACM MM 2022), released main.py: validate() and test()",
        upsampling="linear",
        reverse=True,
        saturated=True,
        truth="unclamped union",
    ),
    _LVS,
    _EZ_VSL,
    replace(
        _EZ_VSL,
        name="ez-vsl-train",
        says="EZ-VSL, released train.py: validation between epochs",
        upsampling="cubic",
    ),
    replace(
        _LVS,
        name="adaptive",
        says="As many pixels as the truth has (Senocak et al.), released SSL-Alignment test.py",
        saturated=False,
        adaptive=True,
    ),
)


PROTOCOLS = (
    *_ON_BOXES,
    *(
        replace(
            one, name=f"{one.name}:flickr", says=f"{one.says}, each box half", truth="consensus"
        )
        for one in _ON_BOXES
    ),
)


def load_protocol(name: str) -> Protocol:
    """A protocol by name; in `NAME:flickr` each box of a clip is one person's opinion.

    Raises:
        HearsightError: there is none of that name; the message suggests the nearest.
    """
    known = {protocol.name: protocol for protocol in PROTOCOLS}
    if name not in known:
        raise HearsightError(
            f"There is no protocol '{name}': choose from {', '.join(known)}.{nearest(name, known)}"
        )
    return known[name]


def rasterise(boxes: Sequence[Box], annotation: Annotation) -> Truth:
    """The truth of one clip on the canvas of `SIDE` x `SIDE` pixels.

    Args:
        boxes: [x0, y0, x1, y1] as finite fractions of the frame, corrupt ones included.
        annotation: "union": pixel = int(224 * max(v, 0)), all boxes together have weight 1.
            "unclamped union": pixel = int(224 * v), so that a negative edge counts from the far
            side, as Python slices do. "consensus": as the latter, but each box is one person's
            and a pixel weighs min(1, boxes / 2).

    Source: LVS `testset_gt` (union), SSL-TIE `test` (unclamped union), both (consensus).
    """
    inside = np.zeros((SIDE, SIDE), np.bool_)
    full = np.zeros_like(inside) if annotation == "consensus" else None
    for box in boxes:
        x0, y0, x1, y1 = (
            int(SIDE * (max(value, 0.0) if annotation == "union" else value)) for value in box
        )
        if full is not None:
            full[y0:y1, x0:x1] |= inside[y0:y1, x0:x1]
        inside[y0:y1, x0:x1] = True
    return Truth.of(inside, full)


def covers_nothing(box: Box) -> bool:
    """Whether a box has no pixel once its corrupt edges are clamped."""
    x0, y0, x1, y1 = (int(SIDE * max(value, 0.0)) for value in box)
    return x1 <= x0 or y1 <= y0 or x0 >= SIDE or y0 >= SIDE


def is_corrupt(box: Box) -> bool:
    """Whether an edge of a box lies outside its frame."""
    return not all(0.0 <= value <= 1.0 for value in box)


@cache
def upsampling_matrix(length: int, kind: Upsampling) -> Float32[np.ndarray, "side length"]:
    """Weights that stretch a row of `length` cells to `SIDE` pixels; rows sum to 1."""
    if kind != "linear":
        import torch
        from torch.nn.functional import interpolate

        cells = torch.eye(length)[None, None]
        if kind == "cubic":
            grown = interpolate(cells, size=(SIDE, length), mode="bicubic", align_corners=False)
        else:
            grown = interpolate(cells, size=(SIDE, length), mode="bilinear", align_corners=True)
        return grown[0, 0].contiguous().numpy()
    centres = (np.arange(SIDE) + 0.5) * (length / SIDE) - 0.5
    left = np.floor(centres).clip(0, length - 1).astype(np.intp)
    right = np.minimum(left + 1, length - 1)
    share = np.where(centres < left, 0, centres - left).astype(np.float32)
    share[left == right] = 0
    matrix = np.zeros((SIDE, length), np.float32)
    rows = np.arange(SIDE)
    matrix[rows, right] = share
    matrix[rows, left] = 1 - share
    return matrix


def normalise(values: Float32[np.ndarray, "h w"], protocol: Protocol) -> None:
    """Bring one map to 0..1 in place as the protocol does; a constant map keeps its value.

    A constant map c becomes 1 + c under `reverse`, as in the released code.
    """
    low, high = values.min(), values.max()
    if high == low:
        if protocol.reverse:
            np.add(values, 1, out=values)
    elif protocol.reverse:
        np.subtract(high, values, out=values)
        np.divide(values, high - low, out=values)
        np.subtract(1, values, out=values)
    else:
        np.subtract(values, low, out=values)
        np.divide(values, high - low, out=values)


def mark(
    values: Float32[np.ndarray, "h w"],
    threshold: float | np.floating,
    protocol: Protocol,
    *,
    out: Bool[np.ndarray, "h w"] | None = None,
) -> Bool[np.ndarray, "h w"]:
    """The pixels that the median threshold marks in a normalised map."""
    compare = np.greater_equal if protocol.inclusive else np.greater
    marks: Bool[np.ndarray, "h w"] = compare(values, threshold, out=out)
    if protocol.saturated and threshold >= 1:
        np.logical_or(marks, values >= 1, out=marks)
    return marks


def adaptive_place(truth: Truth) -> int:
    """Place (0-based) of the adaptive threshold among a map's sorted pixels.

    n pixels of truth (half the canvas if there are none) put it at 50176 - n; pixels above it
    are marked, at most n - 1.
    """
    return PIXELS - (truth.pixels or HALF)
