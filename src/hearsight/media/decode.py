"""Decoding of an open file: upright frames, and gapless sound resampled to one rate."""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.buffer import Buffer
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8

if TYPE_CHECKING:  # generic only there
    Encoded: TypeAlias = Packet[Any]
else:
    Encoded = Packet

Pixels: TypeAlias = UInt8[np.ndarray, "height width 3"]
Samples: TypeAlias = Float32[np.ndarray, " samples"]
# a, b, c, d of x' = a x + c y, y' = b x + d y, with y pointing down; only their signs matter
Matrix: TypeAlias = tuple[int, int, int, int]

JITTER = 0.05  # seconds; smaller steps in a sound's timestamps are rounding, larger ones are holes
LONGEST_HOLE = 3600.0  # seconds; a hole longer than this is a broken clock and is not filled
PREROLL = 1.0  # seconds a sound decoder needs to forget that it started in the middle
CONTEXT = 0.1  # seconds the resampling filter needs before its first exact sample
# of coded samples: the value of silence, and full scale above it
SCALES = {
    "uint8": (128, 1 << 7),
    "int16": (0, 1 << 15),
    "int32": (0, 1 << 31),
    "int64": (0, 1 << 63),
}
# containers whose timestamps are still true after a seek
EXACT = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "flac"}


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that can be decoded, if any; cover art does not count."""
    for stream in container.streams.video:
        cover = stream.disposition & av.stream.Disposition.attached_pic
        if not cover and stream.codec_context is not None:
            return stream
    return None


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The first sound stream that can be decoded, if any."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def clock_zero(container: InputContainer) -> Fraction:
    """The timestamp of the first frame or sample, in seconds: zero of the common clock."""
    starts = [
        stream.start_time * stream.time_base
        for stream in (picture_stream(container), sound_stream(container))
        if stream is not None and stream.start_time is not None and stream.time_base is not None
    ]
    return max(Fraction(min(starts, default=0)), Fraction(0))


def decode_frames(
    container: InputContainer, stream: VideoStream, packets: Iterator[Encoded] | None = None
) -> Iterator[VideoFrame]:
    """Every frame that can be decoded from the current position on, each with a timestamp."""
    following = 0
    for frame in decode(container, stream, packets):
        assert isinstance(frame, VideoFrame)
        if frame.pts is None:
            frame.pts = following
        if frame.time_base is None or not frame.time_base:
            frame.time_base = stream.time_base or Fraction(1, 25)
        rate = stream.average_rate or stream.guessed_rate or 25
        following = frame.pts + (frame.duration or round(1 / (rate * frame.time_base)))
        yield frame


def decode(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    packets: Iterator[Encoded] | None = None,
) -> Iterator[VideoFrame | AudioFrame]:
    """Decode a stream; packets that the decoder refuses are skipped, damage in the file ends it.

    packets: of the stream; by default the rest of the container.
    """
    packets = container.demux(stream) if packets is None else packets
    ended = False
    while not ended:
        try:
            packet = next(packets)
            ended = not packet.size
        except (av.FFmpegError, StopIteration):
            packet, ended = None, True
        frames: list[VideoFrame] | list[AudioFrame] = []
        with suppress(av.FFmpegError):
            frames = stream.codec_context.decode(packet)
        yield from frames


def display_matrix(frame: VideoFrame) -> Matrix:
    """How the frames of a stream must be rotated and mirrored, from the side data of one of them.

    Call it for the first frame only: PyAV keeps a frame whose side data was read until the next
    full garbage collection, and frames are large.
    """
    stored = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(stored, Buffer):
        return (1, 0, 0, 1)
    a, b, _, c, d = np.frombuffer(bytes(stored), np.int32)[:5].tolist()
    return (a, b, c, d)


def upright(frame: VideoFrame, matrix: Matrix, size: tuple[int, int] | None = None) -> Pixels:
    """RGB pixels of a decoded frame, scaled to `size` (width, height) if given, then rotated."""
    width, height = size or (None, None)
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    a, b, c, d = matrix
    turned = abs(b) > abs(a)
    if turned:
        pixels = pixels.transpose(1, 0, 2)
    pixels = pixels[:: -1 if (b if turned else d) < 0 else 1]
    pixels = pixels[:, :: -1 if (c if turned else a) < 0 else 1]
    return np.array(pixels, order="C")  # never the decoder's own memory


def timestamp(frame: VideoFrame | AudioFrame) -> Fraction:
    """Presentation time of a decoded frame, in seconds on the clock of its file."""
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base


def mono(frame: AudioFrame) -> Samples:
    """The mean of the channels, full scale being 1; NaN becomes 0."""
    samples = np.nan_to_num(_values(frame), nan=0.0, posinf=1.0, neginf=-1.0)
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    kind = samples.dtype.name
    middle, scale = SCALES.get(kind, (0, 1))
    mean: Samples = ((samples.astype(np.float64) - middle) / scale).mean(axis=0).astype(np.float32)
    return mean


def _values(frame: AudioFrame) -> np.ndarray:
    """The samples as coded: a row for each channel, or one in which channels take turns."""
    if not frame.format.name.startswith("s64"):  # which PyAV does not convert
        return frame.to_ndarray()
    size = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
    return np.stack([np.frombuffer(bytes(plane), np.int64)[:size] for plane in frame.planes])


class Piece(NamedTuple):
    """Decoded samples and the index of the first, counted at `rate` from the clock's zero."""

    rate: int  # hertz
    place: int  # samples
    samples: Samples


def decode_sound(container: InputContainer, stream: AudioStream, start: float) -> Iterator[Piece]:
    """Pieces of sound from shortly before `start` (seconds) on, at sample-exact places.

    The stream must be at its first packet. Where the container's clock is too coarse to tell the
    place after a seek, everything before `start` is decoded as well.
    """
    pieces = _pieces(container, stream)
    first = next(pieces, None)
    if first is None:
        return
    grid = 0
    if container.format.name in EXACT and stream.time_base is not None:
        fine = stream.time_base * first.rate <= 1
        grid = 1 if fine else stream.codec_context.frame_size  # samples in every packet
    if grid and start > PREROLL + 1:
        _seek(container, stream, start - PREROLL)
        pieces = _pieces(container, stream)
        next(pieces, None)  # may be cut short
        landed = next(pieces, None)
        if landed is not None and landed.place <= (start - CONTEXT) * first.rate:
            anchor = first.place + len(first.samples)
            place = anchor + round((landed.place - anchor) / grid) * grid
            yield from chain([landed._replace(place=place)], pieces)
            return
        _seek(container, stream, 0.0)
        pieces = _pieces(container, stream)
        first = next(pieces)
    yield from chain([first], pieces)


def _seek(container: InputContainer, stream: AudioStream, moment: float) -> None:
    assert stream.time_base is not None
    target = (Fraction(moment) + clock_zero(container)) / stream.time_base
    container.seek(math.floor(target), stream=stream)


def _pieces(container: InputContainer, stream: AudioStream) -> Iterator[Piece]:
    zero = clock_zero(container)
    following = 0
    for frame in decode(container, stream):
        assert isinstance(frame, AudioFrame)
        if not frame.samples:
            continue
        place = following
        if frame.pts is not None and frame.time_base:
            place = round((timestamp(frame) - zero) * frame.sample_rate)
        yield Piece(frame.sample_rate, place, mono(frame))
        following = place + frame.samples


def continuous(pieces: Iterable[Piece], first: int) -> Iterator[Samples]:
    """The samples from place `first` on: silence in holes, overlaps cut. All at one rate."""
    expected = None
    done = first
    for rate, stamped, samples in pieces:
        place = stamped
        if expected is not None:
            step = abs(stamped - expected) / rate
            place = expected if step <= JITTER or step > LONGEST_HOLE else stamped
        expected = place + len(samples)
        while done < place:
            hole = min(place - done, rate)
            yield np.zeros(hole, np.float32)
            done += hole
        if expected > done:
            yield samples[done - place :]
            done = expected


def resampled(pieces: Iterator[Piece], rate: int, start: float) -> Iterator[Samples]:
    """Blocks of sound in [-1, 1] at `rate` hertz, from sample round(start * rate) on."""
    first_piece = next(pieces, None)
    if first_piece is None:
        return
    native = first_piece.rate
    alike = (_at_rate(piece, native) for piece in chain([first_piece], pieces))
    stride = native // math.gcd(native, rate)  # the grids of both rates meet every so many samples
    first = max(0, math.floor((start - CONTEXT) * native / stride)) * stride
    surplus = round(start * rate) - first * rate // native
    resampler = soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ")
    for samples in chain(continuous(alike, first), [None]):
        if native != rate:
            chunk = np.zeros(0, np.float32) if samples is None else samples
            block = resampler.resample_chunk(chunk, last=samples is None)
        elif samples is not None:
            block = samples
        else:
            return
        if len(block) > surplus:
            yield np.clip(block[surplus:], -1, 1)
        surplus = max(0, surplus - len(block))


def _at_rate(piece: Piece, rate: int) -> Piece:
    if piece.rate == rate:
        return piece
    place = round(piece.place * rate / piece.rate)
    return Piece(rate, place, soxr.resample(piece.samples, piece.rate, rate))
