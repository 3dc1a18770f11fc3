"""The colours that each part of an H.264 or HEVC film states, as recordings that were joined have.

Where a part of an H.264 film states no matrix or no range, FFmpeg's decoder leaves those that it
met last: of the part before, or of the first one after a seek. Here each frame gets what its own
sequence parameter set says. Of HEVC the last frames of such a part, which leave the decoder after
the next has begun, get those of the next: it is decoded to its end before.

Source: ITU-T H.264, 7.3.2.1.1 (sequence parameter set) and E.1.1 (its usability information).
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hearsight.media.source import Encoded

BEGIN = b"\0\0\1"  # of a unit in the stream
SET, HEVC_SET = 7, 33  # the kind of unit that is a sequence parameter set
DETAILED = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}  # profiles
FREE_ASPECT = 255
UNSTATED, LIMITED, FULL = 2, 1, 2  # FFmpeg's numbers: of a matrix; of ranges
SEARCHED = 1024  # bytes of a packet; parameter sets stand at its beginning


class Stated(NamedTuple):
    """Which colour properties a sequence parameter set states."""

    matrix: bool  # with primaries and transfer function
    range: bool


class _Bits:
    """Bits of a unit, first the highest; `IndexError` at its end."""

    def __init__(self, unit: bytes) -> None:
        self._unit, self._place = unit, 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte, bit = divmod(self._place, 8)
            value = value << 1 | self._unit[byte] >> 7 - bit & 1
            self._place += 1
        return value

    def number(self) -> int:
        """One in an Exp-Golomb code, ue(v); those with a sign are as long."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        code = self.number()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def stated_in(packet: bytes) -> Stated | None:
    """What the first sequence parameter set of an H.264 packet states; None if there is none.

    packet: units with start codes, or the head of a track in mp4 (avcC).
    """
    if packet[:1] == b"\1" and len(packet) > 8 and packet[5] & 31:
        unit = packet[8 : 8 + int.from_bytes(packet[6:8])]
    else:
        unit = next((each for each in _units(packet) if each[0] & 31 == SET), b"")
    if not unit:
        return None
    try:
        return _stated(_Bits(unit[1:].replace(b"\0\0\3", b"\0\0")))
    except IndexError:  # damaged
        return None


def _units(packet: bytes) -> Iterator[bytes]:
    """The first units of a packet with start codes."""
    _, *units = packet[:SEARCHED].split(BEGIN)
    return (unit for unit in units if unit)


def _stated(bits: _Bits) -> Stated:
    profile = bits.take(24) >> 16
    bits.number()
    if profile in DETAILED:
        _skip_detail(bits)
    bits.number()
    order = bits.number()
    if order == 0:
        bits.number()
    elif order == 1:
        bits.take(1), bits.number(), bits.number()
        for _ in range(bits.number()):
            bits.number()
    bits.number(), bits.take(1), bits.number(), bits.number()
    if not bits.take(1):
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        for _ in range(4):
            bits.number()
    if not bits.take(1):
        return Stated(matrix=False, range=False)
    if bits.take(1) and bits.take(8) == FREE_ASPECT:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if not bits.take(1):
        return Stated(matrix=False, range=False)
    bits.take(4)
    return Stated(matrix=bool(bits.take(1)), range=True)


def _skip_detail(bits: _Bits) -> None:
    """Chroma, depth and scaling lists, as only some profiles state them."""
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    bits.number(), bits.number(), bits.take(1)
    if not bits.take(1):
        return
    for each in range(8 if chroma != 3 else 12):
        if bits.take(1):
            last = following = 8
            for _ in range(16 if each < 6 else 64):
                if following:
                    following = (last + bits.signed()) % 256
                last = following or last


def note_colours(stream: VideoStream, packets: Iterator[Encoded]) -> Iterator[Encoded]:
    """The packets, each with what the last parameter set states, for the frame that it becomes."""
    stream.codec_context.copy_opaque = True
    stated: Stated | None = None
    for packet in packets:
        if packet.has_sidedata("new_extradata"):
            stated = stated_in(bytes(packet.get_sidedata("new_extradata"))) or stated
        elif packet.is_keyframe:
            stated = stated_in(bytes(memoryview(packet)[:SEARCHED])) or stated
        if stated is not None:  # an object of its own, which PyAV forgets with the first frame
            packet.opaque = Stated(*stated)
        yield packet


def own_colours(
    frames: Iterator[VideoFrame | AudioFrame],
) -> Iterator[VideoFrame | AudioFrame]:
    """The frames, stating no colours but their own."""
    for frame in frames:
        stated = frame.opaque
        if isinstance(frame, VideoFrame) and isinstance(stated, Stated):
            if not stated.matrix:
                frame.colorspace = frame.color_primaries = frame.color_trc = UNSTATED
            if not stated.range or frame.color_range == LIMITED:
                frame = _limited(frame)
        yield frame


def _limited(frame: VideoFrame) -> VideoFrame:
    """The same values, as of range 16 to 235, which FFmpeg forgets to say by the format, too."""
    name = frame.format.name.replace("yuvj", "yuv")
    if name != frame.format.name:
        frame.color_range = FULL
        same = frame.reformat(format=name, dst_color_range=FULL)
        same.pts, same.duration = frame.pts, frame.duration
        if frame.time_base:
            same.time_base = frame.time_base
        frame = same
    frame.color_range = LIMITED
    return frame


def hevc_parts(packets: Iterator[Encoded]) -> Iterator[Iterator[Encoded]]:
    """The packets of an HEVC film, parted where another sequence parameter set follows."""
    last = b""

    def own_set(packet: Encoded) -> bytes:
        nonlocal last
        if packet.is_keyframe:
            units = _units(bytes(memoryview(packet)[:SEARCHED]))
            last = next((each for each in units if each[0] >> 1 == HEVC_SET), last)
        return last

    return (part for _, part in groupby(packets, own_set))
