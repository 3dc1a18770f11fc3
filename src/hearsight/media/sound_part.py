"""A part of a sound, read by a seek, that equals the same part of the whole to the sample.

Time stamps are rounded and unsteady, so that a place after a seek cannot be taken from them: it is
that at which reading from the start arrives. The lengths of the packets tell it, without decoding.
"""

from array import array
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.packet import Packet
from jaxtyping import Int64

from hearsight.media.settle import Settler, Stamped
from hearsight.media.sound import (
    BARE,
    CONTEXT,
    Block,
    Grid,
    Piece,
    averaged,
    exact_length,
    sound_blocks,
    sound_pieces,
)
from hearsight.media.sound_frames import HEADED
from hearsight.media.source import MP4, SBR, Encoded, Source, file_state, open_media
from hearsight.media.timeline import Timeline

PREROLL = 1.0  # seconds a sound decoder needs to forget that it started in the middle
STEADY = {"wav", "flac"}  # containers whose clock counts samples, of these codecs
COUNTED = {*BARE, "flac"}
EVEN = {"aac"}  # sounds of which every packet holds as many samples
# FFmpeg's names of sounds of which every packet depends on all before
UNFORGETTING = {"adpcm_yamaha", "adpcm_ima_qt", "nellymoser"}
LC_PREROLL = 0.3  # seconds; of AAC LC a packet depends on the one before alone
REMEMBERED = 8  # sounds whose places are kept, 16 bytes for each packet


def sound_from(
    source: Source, timeline: Timeline, start: float, *, moved: bool = False
) -> Iterator[Piece]:
    """Pieces of sound from shortly before `start` (seconds) on.

    Where a seek would not be exact, everything before `start` is decoded as well.

    moved: whether the source may have left its first packet.
    """
    end = None if timeline.sound_end is None else timeline.sound_end - timeline.zero
    for piece in _all_from(source, timeline, start, moved):
        if end is None:
            yield piece
        elif (left := round(end * piece.rate) - piece.place) > 0:
            yield piece._replace(samples=piece.samples[:left])


def _all_from(source: Source, timeline: Timeline, start: float, moved: bool) -> Iterator[Piece]:
    """As `sound_from`, with what is decoded beyond the end of the sound."""
    if source.exact and not timeline.restarts and start > PREROLL + 1:
        found = _sought(source, timeline, start)
        if found is not None:
            return found
        moved = True
    if moved:
        source.rewind()
    stream = source.sound
    assert stream is not None
    packets = source.packets(stream, restarts=timeline.restarts)
    return sound_pieces(source, packets, timeline.zero)


def _sought(source: Source, timeline: Timeline, start: float) -> Iterator[Piece] | None:
    """The pieces after a seek, or None if it did not land where their places are known."""
    stream = source.sound
    assert stream is not None
    if stream.codec_context.name in UNFORGETTING:
        return None
    places = None
    if not _counts_samples(source, stream):
        places = _remembered_places(source.path, timeline.zero, *file_state(source.path))
        if places is None:
            return None
    tick = Fraction(stream.time_base or 1)
    lc = stream.codec_context.name == "aac" and stream.codec_context.profile == "LC"
    before = Fraction(LC_PREROLL if lc else PREROLL)
    try:
        source.container.seek(
            int((Fraction(start) - before + timeline.zero) // tick), stream=stream
        )
    except (av.FFmpegError, OverflowError):
        return None
    packets, decoder = source.packets(stream), _new_decoder(source, stream)
    blocks = sound_blocks(source, packets, timeline.zero, decoder)
    next(blocks, None)  # may be cut short
    pieces = averaged(_placed(blocks, places))
    landed = next(pieces, None)
    if landed is None or landed.place > (start - CONTEXT) * landed.rate:
        return None
    if places is not None and places.rate != landed.rate:
        return None
    return chain([landed], pieces)


def _new_decoder(source: Source, stream: AudioStream) -> AudioCodecContext | None:
    """A decoder that always heard the same before, where that would change the sound.

    The decoder of AAC makes up noise by numbers that go on after a seek. One of HE-AAC also needs
    heads that are seldom repeated; the first packets have them.
    """
    known = stream.codec_context
    if known.name != "aac":
        return None
    decoder = av.CodecContext.create(known.codec.name, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = known.extradata
    decoder.sample_rate = known.sample_rate
    decoder.layout = known.layout.name
    if known.profile in SBR:
        for packet in source.sound_heads:
            with suppress(av.FFmpegError):
                decoder.decode(Packet(packet))
        decoder.flush_buffers()
    return decoder


def _counts_samples(source: Source, stream: AudioStream) -> bool:
    """Whether the time stamps of a sound are places in samples, so that none need be sought."""
    name = stream.codec_context.name
    if source.kind in STEADY:
        return name in COUNTED
    tick, rate = stream.time_base, stream.codec_context.sample_rate
    if source.kind != MP4 or name not in EVEN or not tick or tick * rate != 1:
        return False
    return source.even_sound == stream.codec_context.frame_size


def _placed(blocks: Iterator[Block], places: "Places | None") -> Iterator[tuple[int, Block]]:
    """The blocks whose places are known, and these (samples from time 0)."""
    following = None
    for block in blocks:
        place = block.place if places is None else places.of(block.stamp)
        place = following if place is None else place
        if place is None:
            continue
        following = place + block.length
        yield place, block


class Places:
    """Where the packets of a sound lie, by their stamps.

    Packets that share a stamp, being shorter than a tick, are not told apart by it.
    """

    def __init__(
        self, stamps: Int64[np.ndarray, " n"], places: Int64[np.ndarray, " n"], rate: int
    ) -> None:
        """`stamps` in ticks; `places` in samples of `rate` (hertz) from time 0."""
        self.rate = rate
        self._stamps, first, count = np.unique(stamps, return_index=True, return_counts=True)
        self._places, self._alone = places[first], count == 1

    def of(self, stamp: int | None) -> int | None:
        """The place of the only packet with a stamp, None if there is none."""
        if stamp is None:
            return None
        row = int(np.searchsorted(self._stamps, stamp))
        known = row < len(self._stamps) and self._stamps[row] == stamp and self._alone[row]
        return int(self._places[row]) if known else None


@lru_cache(maxsize=REMEMBERED)
def _remembered_places(path: Path, zero: Fraction, *_: int) -> Places | None:
    """The places of all packets; None where the packets do not tell their lengths."""
    with open_media(path) as source:
        stream = source.sound
        assert stream is not None
        source.skip_others(stream)
        packets = source.packets(stream)
        head: list[Encoded] = []
        first = next(sound_blocks(source, _kept(packets, head), zero), None)
        if first is None or first.stamp is None or first.place is None:
            return None
        rate, tick = first.rate, Fraction(stream.time_base or 1)
        stamps, lengths = array("q", [first.stamp]), array("q", [first.length])
        for packet in chain(head, packets):
            length = exact_length(stream, packet)
            if length is None or packet.pts is None or _differs(stream, packet, rate):
                return None
            if packet.pts > first.stamp:
                stamps.append(packet.pts)
                lengths.append(length)
    grid = Grid(tick, rate, zero)
    stated = (grid.place(stamp) for stamp in stamps[1:])
    items = map(Stamped, chain([first.place], stated), lengths)
    places = [settled.place for settled in Settler(items, float(rate))]
    return Places(np.array(stamps, np.int64), np.array(places, np.int64), rate)


def _differs(stream: AudioStream, packet: Encoded, rate: int) -> bool:
    """Whether a packet is coded otherwise than the file states, since recordings were joined."""
    if packet.has_sidedata("new_extradata"):  # which may change how much a packet holds
        return True
    read_head = HEADED.get(stream.codec_context.codec.canonical_name)
    head = None if read_head is None else read_head(bytes(memoryview(packet)[:6]))
    return head is not None and head.rate != rate


def _kept(packets: Iterator[Encoded], kept: list[Encoded]) -> Iterator[Encoded]:
    """The packets, those that were asked for also in a list."""
    for packet in packets:
        kept.append(packet)
        yield packet
