"""Veils: pictures with transparency laid over the frames of a film, in luma and chroma.

FFmpeg's overlay blends them on the planes of a decoded frame, which are written as they are where
nothing lies over them: no pixel becomes RGB and back. Colours are mixed as in RGB, since luma and
chroma are sums of red, green and blue.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from hearsight.media.pixels import UNSTATED, coded

TICK = Fraction(1, 25)  # seconds; any, as frames come and go one by one


class Veil(NamedTuple):
    """What lies over one frame: RGBA, colours not multiplied by alpha; None: nothing."""

    picture: UInt8[np.ndarray, "_ _ 4"] | None  # stretched over the whole frame
    strip: UInt8[np.ndarray, "_ width 4"] | None = None  # over that, along the bottom


Veiler = Callable[[float, int, int], Veil]
"""The veil of a frame by its time (seconds), height and width (pixels)."""


class Veils:
    """Lays veils over the frames of one film.

    Frames are of `width` x `height` pixels, both even, with 4:2:0 colour of 8 bits, range 16 to
    235, of FFmpeg's `matrix`.
    """

    def __init__(self, width: int, height: int, matrix: int) -> None:
        self._size, self._matrix = (width, height), matrix
        self._over: dict[tuple[tuple[int, int], int], _Overlay] = {}  # by size and first row

    def lay(self, veil: Veil, frame: VideoFrame) -> VideoFrame:
        """The frame with the veil over it: a new one, or the same if there is nothing to lay."""
        width, height = self._size
        if veil.picture is not None:
            frame = self._lay(veil.picture, frame, (width, height), 0)
        if veil.strip is not None:
            # Chroma has a row for every two of luma, so the veil begins at an even one. Of its last
            # rows and columns the overlay takes one opacity for two: they lie outside the frame.
            above = len(veil.strip) % 2
            strip = np.pad(veil.strip, ((above, 2), (0, 2), (0, 0)), mode="edge")
            strip[:above, :, 3] = 0
            frame = self._lay(strip, frame, (width + 2, len(strip)), height + 2 - len(strip))
        return frame

    def _lay(
        self,
        picture: UInt8[np.ndarray, "_ _ 4"],
        frame: VideoFrame,
        size: tuple[int, int],
        row: int,
    ) -> VideoFrame:
        if (size, row) not in self._over:
            self._over[size, row] = _Overlay(self._size, size, row, self._matrix)
        return self._over[size, row].blend(frame, picture)


class _Overlay:
    """FFmpeg's overlay of veils of `size` (width, height) from a row of the frame downwards."""

    def __init__(
        self, frame: tuple[int, int], size: tuple[int, int], row: int, matrix: int
    ) -> None:
        graph = Graph()
        graph.threads = 1
        overlay = graph.add("overlay", x="0", y=str(row), format="yuv420")
        self._inputs = []
        for pad, (kind, (width, height)) in enumerate((("yuv420p", frame), ("yuva420p", size))):
            source = graph.add_buffer(
                width=width, height=height, format=VideoFormat(kind), time_base=TICK
            )
            source.link_to(overlay, 0, pad)
            self._inputs.append(source)
        self._output = graph.add("buffersink")
        overlay.link_to(self._output)
        graph.configure()
        self._graph, self._count = graph, 0
        self._size, self._matrix, self._converter = size, matrix, VideoReformatter()

    def blend(self, frame: VideoFrame, picture: UInt8[np.ndarray, "_ _ 4"]) -> VideoFrame:
        """The frame with the picture over it, stretched to the size of the veil."""
        veil = coded(
            picture, self._matrix, kind="yuva420p", size=self._size, converter=self._converter
        )
        for source, given in zip(self._inputs, (frame, veil), strict=True):
            given.pts, given.time_base = self._count, TICK
            given.colorspace, given.color_range = UNSTATED, 0  # both are alike: no conversion
            source.push(given)
        self._count += 1
        blended = self._output.pull()
        assert isinstance(blended, VideoFrame)
        return blended
