"""Decoding of an open file: its packets to blocks of sound and frames with rising times."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain
from math import ceil, floor, inf

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hearsight.media.settle import OVERLAP, ROUNDING, Settler, Stamped, settled
from hearsight.media.source import BLIND, MP4, Encoded, Source
from hearsight.media.stated_colours import hevc_parts, note_colours, own_colours

MISPLACED = 2.5  # frames by which a time may be given to a wrong picture
TRACE = Fraction(1, 2000)  # seconds; the rounding of an edit's ends
VP8_SHOWN = 0x10  # in the first byte of a picture of VP8: it is shown


def decode(
    stream: VideoStream | AudioStream,
    packets: Iterator[Encoded],
    decoder: AudioCodecContext | None = None,
) -> Iterator[VideoFrame | AudioFrame]:
    """Decode packets of a stream to their end; those that the decoder refuses are skipped.

    decoder: by default that of the stream, which may have decoded before.
    """
    context = stream.codec_context if decoder is None else decoder
    for packet in chain(packets, [None]):
        frames: list[VideoFrame] | list[AudioFrame] = []  # those of before are let go
        try:
            frames = context.decode(packet)
        except av.FFmpegError:
            continue
        yield from frames


def _needed(
    stream: VideoStream, packets: Iterator[Encoded], until: Callable[[], int | None]
) -> Iterator[Encoded]:
    """The packets, with the decoder told to skip pictures before a stamp that none refers to.

    until: asked for each packet; ticks, from there on every picture is decoded; None: all are.
    """
    context = stream.codec_context
    skips = False
    try:
        for packet in packets:
            whole = until()
            early = whole is not None and packet.pts is not None and packet.pts < whole
            if (early and not packet.is_keyframe) != skips:
                skips = not skips
                context.skip_frame = "NONREF" if skips else "DEFAULT"
            yield packet
    finally:
        context.skip_frame = "DEFAULT"


def decode_frames(
    source: Source,
    packets: Iterator[Encoded],
    first: int | None = None,
    until: Callable[[], int | None] | None = None,
) -> Iterator[VideoFrame]:
    """Every frame that can be decoded and is shown, in that order, with rising time stamps.

    first: the stamp (ticks) of the first frame where the file does not state it.
    until: asked before each packet is decoded; frames before that stamp (ticks) may be left out
        where no other is decoded from them; None for every frame.
    """
    stream = source.picture
    assert stream is not None
    if source.kind != MP4:  # whose index cannot go wrong for a picture alone
        packets = _trusted(stream, packets)
    if until is not None:
        packets = _needed(stream, packets, until)
    frames = _in_order(stream, packets) if source.reordered else _own_frames(stream, packets)
    stamped = _stamped(stream, frames, first or 0)
    if source.kind in BLIND:
        stamped = _evened(stream, stamped)
    shown = _shown_part(source, stream)
    return (
        frame for frame in _rising(stream, stamped) if shown(frame.pts or 0, frame.duration or 0)
    )


def _own_frames(
    stream: VideoStream, packets: Iterator[Encoded]
) -> Iterator[VideoFrame | AudioFrame]:
    """The frames as decoded, those of joined parts with the colours of their own part."""
    kind = stream.codec_context.codec.canonical_name
    if kind == "h264":
        return own_colours(decode(stream, note_colours(stream, packets)))
    return _by_parts(stream, packets) if kind == "hevc" else decode(stream, packets)


def _by_parts(stream: VideoStream, packets: Iterator[Encoded]) -> Iterator[VideoFrame | AudioFrame]:
    for number, part in enumerate(hevc_parts(packets)):
        if number:
            stream.codec_context.flush_buffers()
        yield from decode(stream, part)


def _shown_part(source: Source, stream: VideoStream) -> Callable[[int, int], bool]:
    """Whether a picture of some ticks, from a stamp on, lies in the part that is shown."""
    edit = source.edit(stream)
    if edit is None:
        return lambda stamp, ticks: True
    # in whole ticks, which are many times as fast as fractions of seconds
    tick, usual = Fraction(stream.time_base or 1), usual_ticks(stream)
    begin = floor((edit.start + TRACE) / tick)
    end = inf if edit.end is None else ceil((edit.end - TRACE) / tick)
    return lambda stamp, ticks: stamp + (ticks or usual) > begin and stamp < end


def shown_stamps(source: Source, packets: Iterator[Encoded]) -> Iterator[int | None]:
    """The time stamp of each frame that `decode_frames` gives, without decoding, in no order.

    That is so where a packet is a frame. None: the packet does not state one.
    """
    stream = source.picture
    assert stream is not None
    shown = _shown_part(source, stream)
    hides = stream.codec_context.codec.canonical_name == "vp8"  # pictures only for reference
    for packet in packets if source.kind == MP4 else _trusted(stream, packets):
        if packet.is_discard or (hides and not bytes(packet)[0] & VP8_SHOWN):
            continue
        if shown(packet.pts or 0, packet.duration or 0):
            yield packet.pts


def _trusted(stream: VideoStream, packets: Iterator[Encoded]) -> Iterator[Encoded]:
    """The packets, those with a wrong stamp or of a clock that begins anew moved to their place."""
    usual = usual_ticks(stream)
    for packet, place in settled(
        packets, lambda each: Stamped(each.dts, each.duration or usual), _rate(stream), sparse=True
    ):
        if packet.dts is not None:
            step = picture_step(stream, packet.dts, place.place)
            packet.dts += step
            packet.pts = None if packet.pts is None else packet.pts + step
        yield packet


def _rate(stream: VideoStream) -> float:
    return float(1 / Fraction(stream.time_base or 1))


def picture_step(stream: VideoStream, stated: int, settled: int) -> int:
    """The ticks by which a picture is moved: none where the frame rate may simply vary."""
    step = settled - stated
    if not step:
        return 0
    return step if abs(step) * Fraction(stream.time_base or 1) > OVERLAP else 0


def settle_pictures(
    stream: VideoStream, items: Iterable[Stamped], *, blind: bool = False
) -> Settler:
    """The places of consecutive pictures, in ticks.

    blind: they are those of an MPEG program stream, as `_evened` takes them.
    """
    rounding = _misplaced(stream) if blind else ROUNDING
    return Settler(items, _rate(stream), rounding=rounding, sparse=True)


def _misplaced(stream: VideoStream) -> float:
    """Seconds by which a picture of a program stream may have the time of another."""
    return MISPLACED * usual_ticks(stream) / _rate(stream)


def _evened(stream: VideoStream, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The frames of a program stream, in the order in which they are shown, one after the other.

    It states a time for each block of several small pictures. FFmpeg may give it to the one before
    the right one, and counts on from there.
    """
    usual = usual_ticks(stream)
    for frame, place in settled(
        frames,
        lambda each: Stamped(each.pts, each.duration or usual),
        _rate(stream),
        rounding=_misplaced(stream),
        sparse=True,
    ):
        frame.pts = place.place
        yield frame


def _in_order(stream: VideoStream, packets: Iterator[Encoded]) -> Iterator[VideoFrame]:
    """Frames whose stamps are those of decoding, each given the earliest that is left."""
    stamps: list[int] = []

    def noted() -> Iterator[Encoded]:
        following = 0
        for packet in packets:
            place = following if packet.dts is None else packet.dts
            following = place + (packet.duration or usual_ticks(stream))
            heappush(stamps, place)
            yield packet

    for frame in _own_frames(stream, noted()):
        assert isinstance(frame, VideoFrame)
        frame.pts = heappop(stamps) if stamps else None
        yield frame


def usual_ticks(stream: VideoStream) -> int:
    """Ticks of one frame at the stream's mean rate; at least 1."""
    rate = stream.average_rate or stream.guessed_rate or 25
    return max(1, round(1 / (rate * (stream.time_base or Fraction(1, 25)))))


def _stamped(
    stream: VideoStream, frames: Iterator[VideoFrame | AudioFrame], first: int
) -> Iterator[VideoFrame]:
    """Frames of which each has a stamp: its own, or the end of the one before."""
    following = first
    for frame in frames:
        assert isinstance(frame, VideoFrame)
        if frame.pts is None:
            frame.pts = following
        if not frame.time_base:
            frame.time_base = stream.time_base or Fraction(1, 25)
        following = frame.pts + (frame.duration or usual_ticks(stream))
        yield frame


def _rising(stream: VideoStream, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The same frames, a stamp that does not lie between its neighbours' mended."""
    last = None
    held = next(frames, None)
    while held is not None:
        following = next(frames, None)
        assert held.pts is not None
        ahead = None if following is None else following.pts
        step = held.duration or usual_ticks(stream)
        if last is None:
            if ahead is not None and ahead < held.pts:
                held.pts = ahead - step
        elif ahead is not None and last < ahead and not last < held.pts <= ahead:
            held.pts = last + min(step, (ahead - last) // 2)
        else:
            held.pts = max(last, held.pts)
        last = held.pts
        yield held
        held = following


def timestamp(frame: VideoFrame | AudioFrame) -> Fraction:
    """Presentation time of a decoded frame, in seconds on the clock of its file."""
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base
