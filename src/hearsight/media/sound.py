"""The sound of an open file: gapless, at sample-exact places, resampled to one rate."""

import math
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import soxr  # type: ignore[import-untyped]
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from jaxtyping import Float32

from hearsight.media.decode import decode
from hearsight.media.settle import Stamped, settled
from hearsight.media.sound_frames import HEADED, Headed
from hearsight.media.source import MATROSKA, MP4, Encoded, Source

Samples: TypeAlias = Float32[np.ndarray, " samples"]

# coded samples, by FFmpeg's names: their type, the value of silence, and full scale above it
CODED: dict[str, tuple[type[np.generic], int, int]] = {
    "u8": (np.uint8, 128, 1 << 7),
    "s16": (np.int16, 0, 1 << 15),
    "s32": (np.int32, 0, 1 << 31),
    "s64": (np.int64, 0, 1 << 63),
    "flt": (np.float32, 0, 1),
    "dbl": (np.float64, 0, 1),
}
# bytes of a sample, of codecs whose packets hold samples and nothing else
BARE = {"pcm_u8": 1, "pcm_s8": 1, "pcm_mulaw": 1, "pcm_alaw": 1} | {
    f"pcm_{kind}{8 * size}{order}": size
    for kind, size in (("s", 2), ("s", 3), ("s", 4), ("s", 8), ("f", 4), ("f", 8))
    for order in ("le", "be")
}
OPUS = ("opus", "libopus")
POINTERS = 8  # channels; of so many planes or more PyAV reads further ones that are not there
HEAD = 14  # bytes, of a FLAC frame's header at least as many as tell its length
DTS_CORE = b"\x7f\xfe\x80\x01"
OPUS_RATE = 48_000  # hertz, in which Opus counts whatever it codes
SEARCHED = 500  # packets in which a first one that can be decoded is looked for
# samples that are averaged and resampled at once: at first, so that a part is soon read, and at
# most; in between a share of all before
GATHERED, MOST_GATHERED, SHARE = 8192, 65_536, 1 / 8
CONTEXT = 0.1  # seconds the resampling filter needs before its first exact sample


def mono(frame: AudioFrame) -> Samples:
    """The mean of the channels, full scale being 1; NaN becomes 0."""
    if frame.format.is_planar and frame.layout.nb_channels >= POINTERS:
        [frame] = AudioResampler(frame.format.packed.name).resample(frame)
    kind, middle, scale = CODED[frame.format.packed.name]
    channels = _channels(frame, kind)
    # two of 32 bits are summed by 32 as by 64 that are rounded to 32 (Figueroa 1995), but for what
    # is beyond either end of their range
    narrow = kind is np.float32 and len(channels) <= 2
    with np.errstate(invalid="ignore", over="ignore"):
        mean = _mean(channels, np.float32 if narrow else np.float64)
        finite = np.isfinite(mean.sum())
    if not finite:
        known = [np.nan_to_num(each, nan=0.0, posinf=1.0, neginf=-1.0) for each in channels]
        mean = _mean(known, np.float64)
    if scale != 1:
        mean = (mean - middle) / scale
    rounded: Samples = mean.astype(np.float32, copy=False)
    return rounded


def _channels(frame: AudioFrame, kind: type[np.generic]) -> list[np.ndarray]:
    """The samples of each channel as coded, not copied."""
    count, number = frame.samples, frame.layout.nb_channels
    planes: list[Any] = [*frame.planes]
    if frame.format.is_planar:
        return [np.frombuffer(plane, kind, count) for plane in planes]
    taking_turns = np.frombuffer(planes[0], kind, count * number)
    return [taking_turns[channel::number] for channel in range(number)]


def _mean(channels: Sequence[np.ndarray], kind: type[np.floating[Any]]) -> np.ndarray:
    """Their mean; a loop is much faster than numpy's own over an axis so short."""
    total = channels[0].astype(kind)
    for each in channels[1:]:
        total += each
    if len(channels) > 1:
        total /= len(channels)
    return total


class Block(NamedTuple):
    """Decoded sound as the file places it."""

    rate: int  # hertz
    place: int | None  # samples from time 0, None where the file states no time
    length: int  # samples
    stamp: int | None  # of the packet it comes from, in ticks
    sound: AudioFrame | Samples  # a frame that is heard as a whole, else samples

    def cut(self, begin: int, end: int | None = None) -> "Block":
        """The samples from `begin` to `end`, counted from its first."""
        whole = mono(self.sound) if isinstance(self.sound, AudioFrame) else self.sound
        place = None if self.place is None else self.place + begin
        return self._replace(place=place, length=len(whole[begin:end]), sound=whole[begin:end])


class Piece(NamedTuple):
    """Decoded samples at their place on a clock that goes on."""

    rate: int  # hertz
    place: int  # samples from time 0
    samples: Samples


def sound_pieces(source: Source, packets: Iterator[Encoded], zero: Fraction) -> Iterator[Piece]:
    """All that can be decoded, at the rate of the first block, at settled places.

    packets: of the sound, from the first one on.
    zero: time 0 on the clock of the file, in seconds.
    """
    blocks = sound_blocks(source, packets, zero)
    first = next(blocks, None)
    if first is None:
        return
    places = settled(
        chain([first], blocks), lambda each: Stamped(each.place, each.length), float(first.rate)
    )
    yield from averaged((place.place, block) for block, place in places)


def averaged(placed: Iterable[tuple[int, Block]]) -> Iterator[Piece]:
    """The mean of the channels of blocks at their places (samples from time 0).

    Frames that follow one another are joined before, as many as `GATHERED` says.
    """
    joined, kind = AudioFifo(), None
    begin = end = rate = passed = 0
    most: float = GATHERED
    for place, block in placed:
        own = None
        if isinstance(block.sound, AudioFrame):
            sound = block.sound
            own = (sound.format.name, sound.layout.nb_channels, *_whole(sound.time_base))
        if end > begin and (own != kind or place != end or end - begin >= most):
            yield Piece(rate, begin, _all_of(joined))
            passed += end - begin
            most = min(max(GATHERED, SHARE * passed), MOST_GATHERED)
            begin = end
        if not isinstance(block.sound, AudioFrame):
            yield Piece(block.rate, place, block.sound)
            continue
        if begin == end:
            if own != kind:
                joined, kind = AudioFifo(), own
            begin, rate = place, block.rate
        block.sound.pts = None  # they are known to follow one another
        joined.write(block.sound)
        end = place + block.length
    if end > begin:
        yield Piece(rate, begin, _all_of(joined))


def _all_of(joined: AudioFifo) -> Samples:
    frame = joined.read()
    assert frame is not None
    return mono(frame)


def sound_blocks(
    source: Source,
    packets: Iterator[Encoded],
    zero: Fraction,
    decoder: AudioCodecContext | None = None,
) -> Iterator[Block]:
    """What the decoder gives, at the rate of the first block, within the edit of its track.

    decoder: as of `decode`.
    """
    stream = source.sound
    assert stream is not None
    edit = source.edit(stream)
    rate, begun = None, False
    grid: Grid | None = None
    first, last, rounding = 0, None, 0  # places between which samples are shown
    held: AudioFrame | None = None
    followed = _Followed(packets) if source.untimed_sound else None
    for frame in chain(decode(stream, followed or packets, decoder), [None]):
        assert frame is None or isinstance(frame, AudioFrame)
        if frame is not None and not frame.samples:
            continue
        if held is not None:
            if rate is None:
                rate = held.sample_rate
                if edit is not None:
                    first = round((edit.start - zero) * rate)
                    last = None if edit.end is None else math.ceil((edit.end - zero) * rate)
                    rounding = math.ceil(edit.rounding * rate)
            tick = held.time_base
            if grid is None or grid.tick != _whole(tick):
                grid = Grid(Fraction(tick or 0), rate, zero)
            block = _block(held, rate, grid)
            refused = [] if followed is None else followed.refused_before(held)
            if begun and followed is not None:  # counted by one rate, in ticks that do not add up
                block = block._replace(place=None)
                for each in refused:
                    if lost := exact_length(stream, each, rate):
                        yield Block(rate, None, lost, None, np.zeros(lost, np.float32))
            begun = True
            if frame is None:
                length = last_length(stream, held, rate)
                block = block if length is None else block.cut(0, length)
            if edit is not None and block.place is not None:
                block = _within(block, first, last, rounding)
            if block.length:
                yield block
        held = frame


class _Followed:
    """The packets of a sound on their way to its decoder, to know those that it refuses.

    Where packets tell no times, nothing else says that a part is missing.
    """

    def __init__(self, packets: Iterator[Encoded]) -> None:
        self._packets = packets
        self._decoding: deque[Encoded] = deque()

    def __iter__(self) -> Iterator[Encoded]:
        return self

    def __next__(self) -> Encoded:
        packet = next(self._packets)
        self._decoding.append(packet)
        return packet

    def refused_before(self, frame: AudioFrame) -> list[Encoded]:
        """The packets that gave nothing, between that of this frame and that of the last."""
        passed: list[Encoded] = []
        while self._decoding:
            stamp = self._decoding[0].dts
            if stamp is not None and frame.dts is not None and stamp > frame.dts:
                break
            passed.append(self._decoding.popleft())
        return passed[:-1] if frame.dts is not None else []


def _whole(tick: Fraction | None) -> tuple[int, int]:
    """A fraction as two whole numbers, which are compared many times as fast."""
    return (0, 1) if tick is None else (tick.numerator, tick.denominator)


class Grid:
    """Time stamps as places in samples: `round((stamp * tick - zero) * rate)`.

    Whole numbers are used, which are many times as fast as fractions.
    """

    def __init__(self, tick: Fraction, rate: int, zero: Fraction) -> None:
        """`tick` and `zero` in seconds, `rate` in hertz."""
        self.tick = _whole(tick)
        slope, begin = tick * rate, zero * rate
        self._whole = slope.denominator * begin.denominator
        self._step = slope.numerator * begin.denominator
        self._back = begin.numerator * slope.denominator

    def place(self, stamp: int) -> int:
        """The nearest sample, the even one of two."""
        quotient, rest = divmod(stamp * self._step - self._back, self._whole)
        twice = 2 * rest
        return quotient + (twice > self._whole or (twice == self._whole and quotient % 2 == 1))


def _block(frame: AudioFrame, rate: int, grid: Grid) -> Block:
    place = None if frame.pts is None or not grid.tick[0] else grid.place(frame.pts)
    if frame.sample_rate == rate:
        return Block(rate, place, frame.samples, frame.pts, frame)
    samples = soxr.resample(mono(frame), frame.sample_rate, rate)
    return Block(rate, place, len(samples), frame.pts, samples)


def _within(block: Block, first: int, last: int | None, rounding: int) -> Block:
    """The part of a block from the place `first` up to `last`, which may be stated too early."""
    assert block.place is not None
    if last is not None and block.place >= last:
        return block.cut(0, 0)
    if last is not None and block.place + block.length > last + rounding:
        block = block.cut(0, last - block.place)
    assert block.place is not None
    return block if block.place >= first else block.cut(first - block.place)


def sound_format(stream: AudioStream, packets: Iterable[Encoded]) -> tuple[int, int] | None:
    """Rate (hertz) and channels of a sound; None if nothing of it can be decoded.

    Packets are decoded where the head of the file does not tell, as of a sound first heard late.
    """
    context = stream.codec_context
    if context.sample_rate and context.layout.nb_channels:
        return context.sample_rate, context.layout.nb_channels
    frame = next(decode(stream, islice(packets, SEARCHED)), None)
    return (frame.sample_rate, frame.layout.nb_channels) if isinstance(frame, AudioFrame) else None


def exact_length(stream: AudioStream, packet: Encoded, rate: int | None = None) -> int | None:
    """The samples that a packet holds, None where only decoding tells.

    rate: hertz in which they are counted; by default that of the stream, which the decoder changes
    where recordings of several rates were joined.
    """
    rate = rate or stream.codec_context.sample_rate
    if stream.codec_context.name in OPUS:
        return opus_length(bytes(packet)) * rate // OPUS_RATE
    if stream.codec_context.name in BARE:  # whose last packet may state a length that is made up
        size = BARE[stream.codec_context.name] * stream.codec_context.layout.nb_channels
        return packet.size // max(1, size)
    if stream.codec_context.name == "flac" and (length := flac_length(bytes(packet)[:HEAD])):
        return length
    if stream.codec_context.name == "alac":
        return alac_length(bytes(packet)[:HEAD], stream.codec_context.extradata)
    if stream.codec_context.name == "dca" and (length := dts_length(bytes(packet)[:HEAD])):
        return length
    head = stated_head(stream, packet)
    # recordings were joined; half the rate is that of AAC whose upper octave is coded apart
    if head is not None and head.rate not in (rate, rate // 2):
        return round(head.samples * rate / head.rate)
    if stream.codec_context.frame_size > 1:
        return stream.codec_context.frame_size
    if packet.duration and packet.time_base and packet.time_base * rate <= 1:
        return round(packet.duration * packet.time_base * rate)
    return None


def packet_length(stream: AudioStream, packet: Encoded) -> int:
    """The samples that a packet holds, as nearly as they are known without decoding."""
    exact = exact_length(stream, packet)
    if exact is not None:
        return exact
    rate = stream.codec_context.sample_rate
    return round((packet.duration or 0) * (packet.time_base or 0) * rate)


def stated_head(stream: AudioStream, packet: Encoded) -> Headed | None:
    """What the head of a packet states, where there is one."""
    read_head = HEADED.get(stream.codec_context.codec.canonical_name)
    if read_head is None or stream.container.format.name in (MP4, MATROSKA):
        return None
    return read_head(bytes(memoryview(packet)[:6]))


def opus_length(packet: bytes) -> int:
    """The samples of an Opus packet at 48 kHz (RFC 6716, section 3.1)."""
    if not packet:
        return 0
    mode, frames = packet[0] >> 3, packet[0] & 3
    if mode < 12:  # SILK
        length = (480, 960, 1920, 2880)[mode & 3]
    elif mode < 16:  # hybrid
        length = (480, 960)[mode & 1]
    else:  # CELT
        length = (120, 240, 480, 960)[mode & 3]
    count = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[frames]
    return length * count


def flac_length(packet: bytes) -> int | None:
    """The samples of a FLAC frame, None where its header does not tell (RFC 9639, 9.1.1)."""
    if len(packet) < HEAD or packet[0] != 0xFF or packet[1] & 0xFC != 0xF8:
        return None
    size = packet[2] >> 4
    if size in (6, 7):  # stands behind the number of the frame, as UTF-8 of 1 to 7 bytes
        coded = 4 + max(1, 8 - (packet[4] ^ 0xFF).bit_length())
        return int.from_bytes(packet[coded : coded + size - 5]) + 1
    if size == 1:
        return 192
    return 576 << (size - 2) if 2 <= size <= 5 else 256 << (size - 8) if size >= 8 else None


def alac_length(packet: bytes, cookie: bytes | None) -> int | None:
    """The samples of an ALAC packet: its own number, as of a last one, or that of the stream.

    None where neither tells. Source: "Apple Lossless Format", ALACMagicCookieDescription.txt, and
    the header of the element in ALACDecoder.cpp.
    """
    head = int.from_bytes(packet[:7], "big")
    if len(packet) >= 7 and head >> 36 & 1:
        return head >> 1 & 0xFFFFFFFF
    if cookie is None or len(cookie) < 16:
        return None
    return int.from_bytes(cookie[12:16], "big") or None


def dts_length(packet: bytes) -> int | None:
    """The samples of a DTS packet by the head of its core, None without one (ETSI TS 102 114, 5.3).

    Its blocks are of 32 samples.
    """
    if packet[:4] != DTS_CORE or len(packet) < 6:
        return None
    return ((int.from_bytes(packet[4:6], "big") >> 2 & 127) + 1) * 32


def leading_samples(packet: Encoded) -> int:
    """The samples at the start of a packet that are decoded but not heard."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    return int(struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))[0])


def trailing_padding(stream: AudioStream, packet: Encoded) -> int:
    """The samples at the end of the last packet of a sound that do not belong to it."""
    dropped = 0
    whole = stream.codec_context.frame_size > 1 or stream.codec_context.name in OPUS
    whole |= stream.container.format.name == MATROSKA
    whole &= not stream.codec_context.flags2 & Flags2.skip_manual
    if whole and packet.has_sidedata("skip_samples"):  # else a stated length leaves them out
        dropped = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))[1]
    stated = last_length(stream, packet)
    return max(dropped, 0 if stated is None else packet_length(stream, packet) - stated)


def last_length(
    stream: AudioStream, last: Encoded | AudioFrame, rate: int | None = None
) -> int | None:
    """The samples of the last packet, where the file fills it up and tells what belongs to it.

    last: the packet, or what is decoded of it.
    rate: as of `exact_length`.
    """
    kind, speex = stream.container.format.name, stream.codec_context.name == "speex"
    if not (kind == MP4 or (kind == "ogg" and speex)) or not last.duration or not last.time_base:
        return None
    left = _ticks_left(stream, last.dts)
    ticks = last.duration if left is None else min(last.duration, left)
    return round(ticks * last.time_base * (rate or stream.codec_context.sample_rate))


def _ticks_left(stream: AudioStream, stamp: int | None) -> int | None:
    """Ticks from the last packet of an mp4 file to the end of its track; None for any other packet.

    FFmpeg gives packets of MP3 and MP2 their coded length, whatever the file says.
    """
    packets = stream.index_entries
    count = len(packets)
    if not count or not stream.duration or packets[count - 1].timestamp != stamp:
        return None
    left = packets[0].timestamp + stream.duration - stamp
    return left if left > 0 else None


def continuous(pieces: Iterable[Piece], first: int) -> Iterator[Samples]:
    """The samples from place `first` on: silence in holes, overlaps cut. All at one rate."""
    done = first
    for rate, place, samples in pieces:
        while done < place:
            hole = min(place - done, rate)
            yield np.zeros(hole, np.float32)
            done += hole
        end = place + len(samples)
        if end > done:
            yield samples[done - place :]
            done = end


def gathered(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same samples in blocks of `GATHERED` or more: each call of the resampler costs."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= GATHERED:
            yield held[0] if len(held) == 1 else np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def resampled(pieces: Iterator[Piece], rate: int, start: float) -> Iterator[Samples]:
    """Blocks of sound in [-1, 1] at `rate` hertz, from sample round(start * rate) on."""
    first_piece = next(pieces, None)
    if first_piece is None:
        return
    native = first_piece.rate
    stride = native // math.gcd(native, rate)  # the grids of both rates meet every so many samples
    first = max(0, math.floor((start - CONTEXT) * native / stride)) * stride
    surplus = round(start * rate) - first * rate // native
    resampler = soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ")
    for samples in chain(gathered(continuous(chain([first_piece], pieces), first)), [None]):
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
