"""Pixels of decoded frames: turned upright, in square pixels, of one size, as RGB.

A film is shown as its first frame says. Pixels that are not square are stretched in one dimension
and never shrunk: the width grows where a pixel is wide, the height where it is tall, rounded to
whole pixels. A later frame of another size, or of pixels of another shape, is scaled to the size of
the first.

RGB values are the film's own: the matrix and the range that turned them into luma and chroma are
undone, primaries and transfer function are left; but HDR (PQ, HLG) becomes BT.709. Where the matrix
is not stated it is taken as players do: BT.709 for high definition, BT.601 below; an unstated range
is 16 to 235.
"""

from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from hearsight.media.tones import HLG, PQ, ordinary_tones

Pixels: TypeAlias = UInt8[np.ndarray, "height width 3"]
# a, b, c, d of x' = a x + c y, y' = b x + d y, with y pointing down; only their signs matter
Matrix: TypeAlias = tuple[int, int, int, int]

# FFmpeg's numbers of colour properties
BT709 = 1  # as a matrix, as primaries and as a transfer function
UNSTATED = 2
BT601 = 6  # as a matrix
CONSTANT_BT2020, BT2020 = 10, 9  # matrices; the first is read as the second
MATRICES = {BT709, 4, 5, BT601, 7, BT2020}  # that swscale undoes; 4 is FCC, 5 BT.601, 7 SMPTE 240M
PRIMARIES = {BT709, *range(4, 13), 22}
TRANSFERS = {BT709, *range(4, 19)}
LIMITED, FULL = 1, 2  # ranges: 16 to 235, 0 to 255

HD_WIDTH, HD_HEIGHT = 1280, 720  # pixels; a frame as wide or as high is high definition
# containers that do not state the shape of pixels: what FFmpeg says of them is any frame's, not the
# first's
MUTE = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v"}
STRETCH = 10  # times; pixels further from square than that are a damaged header
# FFmpeg's numbers of side data that PyAV has no name for, with room for those to come
NAMELESS = range(len(Type), 48)


class Colours(NamedTuple):
    """What the RGB values of a frame mean, in FFmpeg's numbers."""

    matrix: int  # by which they were luma and chroma
    primaries: int  # UNSTATED where the film does not say
    transfer: int  # likewise


def colours(frame: VideoFrame) -> Colours:
    """What the RGB values that `upright` gives of a frame mean."""
    if frame.color_trc in (PQ, HLG):
        return Colours(matrix=BT709, primaries=BT709, transfer=BT709)
    return Colours(
        matrix=BT709 if frame.format.is_rgb or frame.format.has_palette else _matrix(frame),
        primaries=frame.color_primaries if frame.color_primaries in PRIMARIES else UNSTATED,
        transfer=frame.color_trc if frame.color_trc in TRANSFERS else UNSTATED,
    )


def _matrix(frame: VideoFrame) -> int:
    stated = BT2020 if frame.colorspace == CONSTANT_BT2020 else frame.colorspace
    if stated in MATRICES:
        return int(stated)
    return BT709 if frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT else BT601


def coded(
    pixels: UInt8[np.ndarray, "height width _"],
    matrix: int,
    *,
    kind: str = "yuv420p",
    size: tuple[int, int] | None = None,
    converter: VideoReformatter | None = None,
) -> VideoFrame:
    """RGB or RGBA pixels as luma and chroma of `matrix`, range 16 to 235.

    kind: FFmpeg's name of the result, with alpha or without. size: (width, height) to which they
    are scaled. converter: one that is kept for many small pictures, as making it takes time.
    """
    width, height = size or pixels.shape[1::-1]
    same = (height, width) == pixels.shape[:2]
    frame = VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.shape[2] == 3 else "rgba")
    return (converter or VideoReformatter()).reformat(
        frame,
        width=width,
        height=height,
        format=kind,
        dst_colorspace=matrix,
        dst_color_range=LIMITED,
        interpolation="AREA" if same else "BICUBIC",
        threads=1 if converter else None,
    )


def display_matrix(frame: VideoFrame) -> Matrix:
    """How the frames of a stream must be rotated and mirrored, from the side data of one of them.

    Call it for few frames only: PyAV keeps a frame whose side data was read until the next full
    garbage collection, and frames are large.
    """
    try:
        stored = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV refuses all where it has no name for one: EXIF of motion JPEG
        stored = _with_named_side_data(frame).side_data.get("DISPLAYMATRIX")
    if not isinstance(stored, Buffer):
        return (1, 0, 0, 1)
    a, b, _, c, d = np.frombuffer(bytes(stored), np.int32)[:5].tolist()
    return (a, b, c, d)


def _with_named_side_data(frame: VideoFrame) -> VideoFrame:
    """The frame without side data that PyAV has no name for."""
    graph = Graph()
    last = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 25),
    )
    filters = [("sidedata", f"mode=delete:type={number}") for number in NAMELESS]
    for name, words in [*filters, ("buffersink", None)]:
        following = graph.add(name, words)
        last.link_to(following)
        last = following
    graph.configure()
    graph.push(frame)
    named = graph.pull()
    assert isinstance(named, VideoFrame)
    return named


def is_turned(matrix: Matrix) -> bool:
    """Whether the matrix makes rows of columns."""
    a, b, _, _ = matrix
    return abs(b) > abs(a)


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width by height of one pixel of the frame just decoded; 1 if unstated or beyond `STRETCH`.

    A container's word counts more than its stream's, as for players.
    """
    stated = stream.codec_context.sample_aspect_ratio
    if stream.container.format.name not in MUTE:
        stated = stream.sample_aspect_ratio or stated
    return stated if stated and Fraction(1, STRETCH) <= stated <= STRETCH else Fraction(1)


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size in square pixels of a picture whose pixels are `aspect` times as wide as high."""
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def _turned(
    pixels: UInt8[np.ndarray, "rows columns *channels"], matrix: Matrix
) -> UInt8[np.ndarray, "_ _ *channels"]:
    """The pixels rotated and mirrored, without a copy."""
    a, b, c, d = matrix
    turned = is_turned(matrix)
    if turned:
        pixels = pixels.swapaxes(0, 1)
    pixels = pixels[:: -1 if (b if turned else d) < 0 else 1]
    return pixels[:, :: -1 if (c if turned else a) < 0 else 1]


def _state(frame: VideoFrame, matrix: int) -> None:
    """State the matrix of a frame, and its range unless that is known."""
    frame.colorspace = matrix  # swscale refuses some numbers and takes others for BT.601
    if frame.color_range not in (LIMITED, FULL):
        frame.color_range = 0


def upright(
    frame: VideoFrame,
    matrix: Matrix,
    size: tuple[int, int] | None = None,
    converter: VideoReformatter | None = None,
) -> Pixels:
    """RGB pixels of a decoded frame, rotated; of `size` (width, height, as shown) if given.

    converter: as of `coded`, for many frames: to make one takes longer than to convert a frame.
    """
    turned = is_turned(matrix)
    width, height = (size[::-1] if turned else size) if size else (frame.width, frame.height)
    _state(frame, _matrix(frame))
    fast = (width, height) == (frame.width, frame.height)
    flags = (
        Interpolation.BILINEAR if fast else Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT
    )
    converted = (converter or VideoReformatter()).reformat(
        frame, width=width, height=height, format="rgb24", interpolation=flags, threads=1
    )
    own: Pixels = np.array(_turned(converted.to_ndarray(), matrix), order="C")  # keeps no frame
    hdr = frame.color_trc in (PQ, HLG)
    return ordinary_tones(own, int(frame.color_trc)) if hdr else own


def upright_planes(frame: VideoFrame, matrix: Matrix, size: tuple[int, int]) -> VideoFrame:
    """A frame of luma and chroma as `upright` shows it, as 4:2:0 of 8 bits, range 16 to 235.

    It may be the frame itself. Sizes are even.
    """
    width, height = size[::-1] if is_turned(matrix) else size
    _state(frame, _matrix(frame))
    same = (width, height) == (frame.width, frame.height)
    if not same or frame.format.name != "yuv420p" or frame.color_range == FULL:
        frame = frame.reformat(
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=frame.colorspace,
            dst_color_range=LIMITED,
            interpolation="AREA" if same else "BILINEAR",
        )
    if not (is_turned(matrix) or min(matrix) < 0):
        return frame
    planes = [_turned(_rows(plane), matrix) for plane in frame.planes]
    joined = np.concatenate([np.ravel(plane) for plane in planes]).reshape(-1, size[0])
    return VideoFrame.from_ndarray(joined, format="yuv420p")


def _rows(plane: VideoPlane) -> UInt8[np.ndarray, "rows columns"]:
    """The samples of a plane of 8 bits, in its own memory."""
    memory: UInt8[np.ndarray, " bytes"] = np.frombuffer(memoryview(plane), np.uint8)
    return memory.reshape(-1, plane.line_size)[: plane.height, : plane.width]


class Display:
    """How the frames of one film are shown: upright, in square pixels, all of the first's size."""

    def __init__(self, stream: VideoStream, first: VideoFrame) -> None:
        self._rotation = first.rotation
        self._matrix = display_matrix(first)
        size = square_size(first.width, first.height, pixel_aspect(stream))
        self.size = size[::-1] if is_turned(self._matrix) else size  # width, height
        self._converter = VideoReformatter()

    def follow(self, frame: VideoFrame) -> None:
        """Note the frame's rotation; call it for all in turn, as many frames state none."""
        if frame.rotation and frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, display_matrix(frame)

    def pixels(self, frame: VideoFrame) -> Pixels:
        """The frame as it is shown."""
        return upright(frame, self._matrix, self.size, self._converter)

    def planes(self, frame: VideoFrame, matrix: int) -> VideoFrame:
        """The frame as it is shown, as luma and chroma of FFmpeg's `matrix`; may be the frame.

        4:2:0 of 8 bits, range 16 to 235, as films are written. `size` has to be even.
        """
        kept = frame.format.name.startswith(("yuv4", "yuvj4")) and _matrix(frame) == matrix
        if kept and frame.color_trc not in (PQ, HLG):
            return upright_planes(frame, self._matrix, self.size)
        return coded(self.pixels(frame), matrix)
