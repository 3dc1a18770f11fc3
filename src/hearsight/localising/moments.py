"""Moments: a heatmap's box and share of the frame, and moments painted on the frames of a video."""

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from hearsight.clips.truth import bounds
from hearsight.errors import HearsightError, nearest
from hearsight.localising import painting
from hearsight.media.read import Frame
from hearsight.media.veils import Veil, Veiler

STYLES = ("heat", "contour", "box")
RASTER = 128  # pixels, longer side of the raster on which a region is found


def check_style(style: str) -> None:
    """Raise HearsightError unless it is one of `STYLES`."""
    _check_word("style", style, STYLES)


def check_strip(strip: str) -> None:
    """Raise HearsightError unless it is one of `painting.STRIPS`."""
    _check_word("strip", strip, painting.STRIPS)


def _check_word(kind: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise HearsightError(
            f"There is no {kind} '{word}', only {', '.join(known)}.{nearest(word, known)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where the sound comes from at one time."""

    time: float  # seconds from the start of the video; of a sound file: middle of what was heard
    box: tuple[int, int, int, int] | None  # pixels [x0, y0, x1, y1]; None: no source in the picture
    confidence: float  # cosine at the peak of the response map, in [-1, 1]; 0 in silence
    share: float  # of the frame's area that the source covers, from 0 to 1 (not its box's area)
    frame: int | None = None  # number of the frame, counted as shown, from 0; None: of a picture
    frame_rate: Fraction | None = None  # frames per second of the film, the mean where it varies

    def to_dict(self) -> dict[str, Any]:
        """The fields, as `json.dumps` takes them: the box a list, the rate as `30000/1001`."""
        return {
            "time": self.time,
            "box": None if self.box is None else list(self.box),
            "confidence": self.confidence,
            "share": self.share,
            "frame": self.frame,
            "frame_rate": None if self.frame_rate is None else str(self.frame_rate),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedMoment(Moment):
    """A moment that carries its response map."""

    response: Float32[np.ndarray, "h w"] = field(
        repr=False, compare=False
    )  # cosines, in silence too
    frame_size: tuple[int, int]  # pixels, height and width of the frame

    def frame_response(self) -> Float32[np.ndarray, "height width"]:
        """The response map at the frame's size: bicubic, cell centres kept, cosines in [-1, 1]."""
        height, width = self.frame_size
        grid = Image.fromarray(np.ascontiguousarray(self.response))
        wide = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        return np.asarray(np.clip(wide, -1.0, 1.0))

    def to_dict(self) -> dict[str, Any]:
        """The fields of a moment, `frame_size`, and `response` as a list of rows."""
        return {
            **Moment.to_dict(self),
            "frame_size": list(self.frame_size),
            "response": self.response.tolist(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentHeatmap:
    """A moment and its heatmap: the response map scaled from 0 (lowest) to 255 (peak)."""

    moment: Moment
    heatmap: UInt8[np.ndarray, "h w"]  # 0 everywhere if there is no source


def to_heatmap(response: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """The response map scaled to [0, 1] by its minimum and maximum; 1 everywhere if it is flat."""
    low, peak = response.min(), response.max()
    if peak - low < 1e-6:
        return np.ones_like(response)
    scaled: Float32[np.ndarray, "h w"] = (response - low) / (peak - low)
    return scaled


def region_box(
    heatmap: Float32[np.ndarray, "h w"], height: int, width: int
) -> tuple[tuple[int, int, int, int], float]:
    """The bounding box of the region around a heatmap's peak, in a frame of `height` x `width`.

    The region is the connected component, around the peak, of the places above `painting.LEVEL`
    (half-way from the lowest response to the peak), after bicubic upsampling to `RASTER` pixels.
    Returns its box in pixels of the frame, [x0, y0, x1, y1], and its share of the frame's area,
    in (0, 1].
    """
    scale = min(1.0, RASTER / max(height, width))
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    raster = painting.upsample(heatmap, tall, wide)
    peak = np.zeros(raster.shape, bool)
    peak.flat[raster.argmax()] = True
    region = connected((raster >= painting.LEVEL) | peak, peak)
    left, top, right, bottom = bounds(region)
    box = (
        int(left * width / wide),
        int(top * height / tall),
        min(width, int(np.ceil(right * width / wide))),
        min(height, int(np.ceil(bottom * height / tall))),
    )
    return box, float(region.mean())


def connected(
    mask: Bool[np.ndarray, "h w"], seed: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """The connected components of the mask that hold a seed; 4-connected."""
    inside: Bool[np.ndarray, "h w"] = seed & mask
    while True:
        grown = _fill_rows(mask.T, _fill_rows(mask, inside).T).T
        if np.array_equal(grown, inside):
            return inside
        inside = grown


def _fill_rows(
    mask: Bool[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Every horizontal run of the mask that has a pixel inside, as a whole."""
    begins = mask.copy()
    begins[:, 1:] &= ~mask[:, :-1]
    run = np.cumsum(begins).reshape(mask.shape)
    reached = np.zeros(int(run[-1, -1]) + 1, bool)
    reached[run[inside]] = True
    filled: Bool[np.ndarray, "h w"] = mask & reached[run]
    return filled


@dataclass(slots=True, kw_only=True)
class VideoPainter:
    """Paints the moments of a video on its frames; heatmaps are blended between two moments."""

    style: str  # one of STYLES
    strip: str = "thin"  # one of painting.STRIPS
    threshold: float  # cosine
    duration: float  # seconds, of the video
    localised: list[MomentHeatmap] = field(default_factory=list)  # in order of time, at least one
    timeline: UInt8[np.ndarray, "strip width 4"] | None = None  # for frames of its width

    def __call__(self, frame: Frame) -> UInt8[np.ndarray, "height width 3"]:
        """The frame with the moments before and after it blended, over it the timeline."""
        painted = paint_between(frame.pixels, *self._around(frame.time), self.style)
        if self.strip == "none":
            return painted
        strip = self._timeline(*frame.pixels.shape[:2])
        return painting.timeline(painted, strip, self._position(frame.time))

    @property
    def veiler(self) -> Veiler | None:
        """`veil`, if the style is one that it draws."""
        return self.veil if self.style == "heat" else None

    def veil(self, time: float, height: int, width: int) -> Veil:
        """What the style `heat` and the timeline lay over a frame of `time` (seconds)."""
        heatmap = blended(*self._around(time))
        picture = painting.heat_veil(heatmap, height, width) if heatmap.any() else None
        if self.strip == "none":
            return Veil(picture)
        strip = self._timeline(height, width)
        return Veil(picture, painting.with_cursor(strip, self._position(time), height))

    def _around(self, time: float) -> tuple[MomentHeatmap, MomentHeatmap, float]:
        """The moments before and after a time, and its place between them, from 0 to 1."""
        after = bisect_right(self.localised, time, key=lambda one: one.moment.time)
        before, after = max(after - 1, 0), min(after, len(self.localised) - 1)
        start, end = (self.localised[at].moment.time for at in (before, after))
        weight = min(max((time - start) / (end - start), 0), 1) if end > start else 0.0
        return self.localised[before], self.localised[after], weight

    def _position(self, time: float) -> float:
        return time / max(self.duration, 1e-3)

    def _timeline(self, height: int, width: int) -> UInt8[np.ndarray, "strip width 4"]:
        if self.timeline is None or self.timeline.shape[1] != width:
            moments = [one.moment for one in self.localised]
            times = np.array([moment.time for moment in moments])
            sources = np.array([moment.box is not None for moment in moments])
            duration = max(self.duration, 1e-3)
            if self.strip == "thin":
                self.timeline = painting.timeline_line(
                    width, height, times=times, sources=sources, duration=duration
                )
            else:
                self.timeline = painting.timeline_strip(
                    width,
                    height,
                    times=times,
                    confidences=np.array([moment.confidence for moment in moments]),
                    sources=sources,
                    threshold=self.threshold,
                    duration=duration,
                )
        return self.timeline


def paint(
    pixels: UInt8[np.ndarray, "height width 3"], localised: MomentHeatmap, style: str
) -> UInt8[np.ndarray, "height width 3"]:
    """A frame with one moment painted on it; without a source the frame unchanged."""
    return paint_between(pixels, localised, localised, 0.0, style)


def paint_between(
    pixels: UInt8[np.ndarray, "height width 3"],
    before: MomentHeatmap,
    after: MomentHeatmap,
    weight: float,
    style: str,
) -> UInt8[np.ndarray, "height width 3"]:
    """A frame between two moments, `weight` of the way from `before` (0) to `after` (1).

    Heatmaps are blended linearly: a source fades in after a moment without one. Boxes are
    interpolated if both moments have one; a single box is shown for its half of the way.
    """
    if style == "box":
        return _paint_box(pixels, before.moment, after.moment, weight)
    heatmap = blended(before, after, weight)
    if not heatmap.any():
        return pixels
    return (
        painting.contour(pixels, heatmap) if style == "contour" else painting.heat(pixels, heatmap)
    )


def blended(
    before: MomentHeatmap, after: MomentHeatmap, weight: float
) -> Float32[np.ndarray, "h w"]:
    """The heatmap, from 0 to 1, `weight` of the way between those of two moments."""
    first, second = before.heatmap, after.heatmap
    mixed: Float32[np.ndarray, "h w"] = first * np.float32(1 - weight) + second * np.float32(weight)
    return mixed / np.float32(255)


def _paint_box(
    pixels: UInt8[np.ndarray, "height width 3"], before: Moment, after: Moment, weight: float
) -> UInt8[np.ndarray, "height width 3"]:
    near = before if weight < 0.5 else after
    if near.box is None:
        return pixels
    box = np.array(near.box, float)
    confidence = near.confidence
    if before.box is not None and after.box is not None:
        box = (1 - weight) * np.array(before.box) + weight * np.array(after.box)
        confidence = (1 - weight) * before.confidence + weight * after.confidence
    return painting.box(pixels, box.tolist(), label=f"{confidence:.2f}")
