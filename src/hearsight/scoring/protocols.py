"""Protocols: how the released code of each paper turns a response map into a score.

Scores under two protocols cannot be compared: those of the same maps differ by up to 35 points
between the threshold rules here, and by 1.5 points between the interpolations.

Every truth here is made of boxes; `segmentation` scores the exact masks of composed scenes.
Sounds are prepared by the recipe's own front end; how frames are prepared is part of a protocol.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from hearsight.clips.truth import PIXELS, SIDE, Annotation, TruthMask
from hearsight.errors import HearsightError, nearest

DEFAULT_PROTOCOL = "adaptive"  # of every command and function, unless another is named
HALF = PIXELS // 2  # rank (0-based) of the median threshold among the sorted pixels

Scale = Literal["own range", "cosine", "probability"]
Values = Literal["cosine", "probability", "logit"]
Upsampling = Literal["linear", "linear corners", "cubic", "cubic corners"]
Frame = Literal["crop", "stretch", "stretch plainly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one released evaluator scores a response map.

    source: the paper and the released program.
    upsampling: "linear" samples at pixel centres (OpenCV's INTER_LINEAR), "linear corners" at
    corners (torch's align_corners), "cubic" is bicubic at pixel centres (torch's, and OpenCV's
    INTER_CUBIC), "cubic corners" at corners.
    scale: "own range" brings each map to 0..1 by itself, "cosine" all of them by (cosine + 1) / 2;
    "probability" leaves them as they are.
    reverse: values become 1 - minmax(-map), otherwise minmax(map); both 0 to 1.
    fixed: pixels from this value on are marked; None for the median threshold.
    inclusive: pixels equal to the threshold are marked too.
    saturated: pixels of value 1 and above are marked whatever the threshold is.
    adaptive: the headline score marks as many pixels as the truth has, not half of the frame.
    values: what its authors' maps are, where their scale counts.
    truth: see `rasterise`.
    frame: "crop" brings the shorter side to the encoder's size and takes the middle square,
    "stretch" the whole frame to that square, both bicubic with Pillow; "stretch plainly" is the
    latter as torch does it, without antialiasing; truths are fractions of the whole frame in all.
    mixing, objects, share: how an object map is mixed in, see `box_scores.mix_object_map`; objects
    is its up-sampling, share that of the response map in the mixture.
    sets: how many clips of which test sets its authors score.
    """

    name: str
    source: str
    upsampling: Upsampling
    scale: Scale = "own range"
    reverse: bool = False
    fixed: float | None = None
    inclusive: bool = False
    saturated: bool = False
    adaptive: bool = False
    values: Values = "cosine"
    truth: Annotation = "union"
    frame: Frame = "crop"
    mixing: Literal["own ranges", "cosines"] = "own ranges"
    objects: Upsampling = "linear corners"
    share: float = 0.4
    sets: str = ""

    @property
    def marked(self) -> int:
        """Pixels that the median threshold marks when no two pixels are equal."""
        return PIXELS - HALF - (0 if self.inclusive else 1)


_LVS = Protocol(
    name="lvs",
    source="LVS (Chen et al., CVPR 2021), released test.py and utils.py",
    upsampling="linear",
    reverse=True,
    saturated=True,
    objects="linear",
    sets="VGG-SS 5,158; Flickr 249",
)
_EZ_VSL = Protocol(
    name="ez-vsl",
    source="EZ-VSL (Mo and Morgado, ECCV 2022), released test.py",
    upsampling="linear corners",
    inclusive=True,
    frame="stretch",
    sets="VGG-SS, files present of 5,158; Flickr 249",
)
_SLAVC = Protocol(
    name="slavc",
    source="SLAVC (Mo and Morgado, NeurIPS 2022), released test.py: cosines of 0 and above",
    upsampling="cubic corners",
    scale="cosine",
    fixed=0.5,
    inclusive=True,
    frame="stretch",
    mixing="cosines",
    objects="cubic corners",
    share=0.9,
    sets="VGG-SS 5,158; Flickr 250",
)
_SSL_ALIGN = replace(
    _LVS,
    name="ssl-align",
    source="SSL-Alignment (Senocak et al., ICCV 2023), released test.py: its own model and LVS",
    saturated=False,
    frame="stretch plainly",
    sets="VGG-SS 4,654; Flickr 250",
)
_ON_BOXES = (
    Protocol(
        name="ssl-tie",
        source="SSL-TIE (Liu et al., ACM MM 2022), released main.py: validate() and test()",
        upsampling="linear",
        reverse=True,
        saturated=True,
        truth="unclamped union",
        objects="linear",
        sets="VGG-SS 4,911; Flickr 249",
    ),
    _LVS,
    _EZ_VSL,
    replace(
        _EZ_VSL,
        name="ez-vsl-train",
        source="EZ-VSL, released train.py: validation between epochs",
        upsampling="cubic",
    ),
    _SLAVC,
    replace(
        _SLAVC,
        name="slavc-relative",
        source="SLAVC, released test.py: --relative_prediction",
        scale="own range",
        fixed=None,
    ),
    replace(
        _EZ_VSL,
        name="fnac",
        source="FNAC (Sun et al., CVPR 2023), released test.py: validate()",
        sets="VGG-SS 5,158; Flickr 249",
    ),
    replace(
        _EZ_VSL,
        name="fnac-cubic",
        source="FNAC, released test.py: validate2()",
        upsampling="cubic",
        sets="VGG-SS 5,158; Flickr 249",
    ),
    Protocol(
        name="htf",
        source="Hear the Flow (Fedorishin et al., WACV 2023), released train.py: test_step()",
        upsampling="cubic",
        saturated=True,
        frame="stretch",
        sets="VGG-SS 4,670; Flickr 178 (its own lists)",
    ),
    Protocol(
        name="sspl",
        source="SSPL (Song et al., CVPR 2022), released test.py: from half of the range on",
        upsampling="linear",
        fixed=0.5,
        inclusive=True,
        objects="linear",
        sets="VGG-SS 4,692; Flickr 249",
    ),
    _SSL_ALIGN,
    replace(
        _SSL_ALIGN,
        name="ssl-align-others",
        source="SSL-Alignment, released test.py: methods it compares with",
        upsampling="linear corners",
        reverse=False,
        objects="linear corners",
    ),
    replace(
        _LVS,
        name="adaptive",
        source="As many pixels as the truth has (Senocak et al.), released SSL-Alignment test.py",
        saturated=False,
        adaptive=True,
        sets="VGG-SS 4,654; Flickr 250",
    ),
)


def _on_flickr(protocol: Protocol) -> Protocol:
    """The protocol on Flickr-SoundNet, where each box of a clip is one annotator's."""
    # on other sets than VGG-SS this evaluator stretches maps with torch instead of OpenCV
    corners: Upsampling | None = "linear corners" if protocol is _SSL_ALIGN else None
    return replace(
        protocol,
        name=f"{protocol.name}:flickr",
        source=f"{protocol.source}, each box half",
        truth="consensus",
        upsampling=corners or protocol.upsampling,
        objects=corners or protocol.objects,
    )


PROTOCOLS = (*_ON_BOXES, *map(_on_flickr, _ON_BOXES))


def load_protocol(name: str) -> Protocol:
    """A protocol by name; in `NAME:flickr` each box of a clip is one person's opinion.

    Raises:
        HearsightError: there is none of that name; the message suggests the nearest.
    """
    known = {protocol.name: protocol for protocol in PROTOCOLS}
    check_known(name, known)
    return known[name]


def check_known(name: str, known: Collection[str]) -> None:
    """Refuse a protocol that is not among the known ones.

    Raises:
        HearsightError: it is not; the message suggests the nearest.
    """
    if name not in known:
        raise HearsightError(
            f"There is no protocol '{name}': choose from {', '.join(known)}.{nearest(name, known)}"
        )


@lru_cache(maxsize=64)  # of maps in files each may have its own size
def upsampling_matrix(length: int, kind: Upsampling) -> Float32[np.ndarray, "side length"]:
    """Weights that stretch a row of `length` cells to `SIDE` pixels; rows sum to 1."""
    if kind != "linear":
        import torch
        from torch.nn.functional import interpolate

        cells = torch.eye(length)[None, None]
        mode = "bicubic" if kind.startswith("cubic") else "bilinear"
        corners = kind.endswith("corners")
        grown = interpolate(cells, size=(SIDE, length), mode=mode, align_corners=corners)
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


def upsample(
    grid: Float32[np.ndarray, "h w"],
    kind: Upsampling,
    *,
    out: Float32[np.ndarray, "side side"] | None = None,
) -> Float32[np.ndarray, "side side"]:
    """A map up-sampled to the canvas."""
    if grid.shape == (SIDE, SIDE):  # what every kind leaves as it is
        if out is None:
            return grid.copy()
        out[:] = grid
        return out
    columns = upsampling_matrix(grid.shape[1], kind).T
    return np.matmul(upsampling_matrix(grid.shape[0], kind), grid @ columns, out=out)


def normalise(values: Float32[np.ndarray, "h w"], protocol: Protocol) -> None:
    """Bring one map to 0..1 in place as the protocol does; a constant map keeps its value.

    A constant map c becomes 1 + c under `reverse`, as in the released code. Under a fixed
    threshold on the map's own range it becomes 0: the released code divides 0 by 0 there and
    marks nothing.
    """
    if protocol.scale == "cosine":
        np.add(values, 1, out=values)
        np.divide(values, 2, out=values)
        return
    if protocol.scale == "probability":
        return
    low, high = values.min(), values.max()
    if high == low:
        if protocol.fixed is not None:
            values.fill(0)
        elif protocol.reverse:
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
    """The pixels of a normalised map that a threshold marks."""
    compare = np.greater_equal if protocol.inclusive else np.greater
    marks: Bool[np.ndarray, "h w"] = compare(values, threshold, out=out)
    if protocol.saturated and threshold >= 1:
        np.logical_or(marks, values >= 1, out=marks)
    return marks


def adaptive_rank(truth: TruthMask) -> int:
    """Rank (0-based) of the adaptive threshold among a map's sorted pixels.

    n pixels of truth (half the canvas if there are none) put it at 50176 - n; pixels above it
    are marked, at most n - 1.
    """
    return PIXELS - (truth.pixels or HALF)
