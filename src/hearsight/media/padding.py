"""Samples that a sound codes at its two ends and nobody hears, said as Matroska says it.

An encoder begins before its sound, by what it needs to start, and fills up its last packet. mp4
states both in its edit list and in the length of its last packet. Matroska states the first as
CodecDelay in the head of the track, and the second as DiscardPadding of the last packet (RFC 9559,
5.1.4.1.25 and 5.1.3.5.7). FFmpeg takes CodecDelay from the stream that is copied, where PyAV cannot
set it, and DiscardPadding from the side data of the packet.
"""

import struct
from fractions import Fraction
from functools import cache
from io import BytesIO

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet, PacketSideData

from hearsight.media.source import Encoded

MATROSKA_KINDS = ("matroska", "webm")
NAME = b"0123456789"  # a track's name, of which its delay takes the place
NAME_ELEMENT = b"\x53\x6e\x8a" + NAME
DELAY_ELEMENT = b"\x56\xaa\x88"  # with 8 bytes of nanoseconds; a void of 2 bytes fills up the rest
VOID = b"\xec\x80"
PADDING = struct.Struct("<II2s")  # samples at the start and at the end, two reasons


def delayed_stream(output: OutputContainer, stream: AudioStream, priming: int) -> AudioStream:
    """A stream of the same kind in a Matroska file, of which the first samples are not heard.

    priming: how many, at the rate of `stream`; 0 for what `stream` itself says.

    Raises:
        ValueError: the format knows no such sound.
    """
    if not priming or output.format.name not in MATROSKA_KINDS:
        return output.add_stream_from_template(stream)
    memory = BytesIO()
    with av.open(memory, "w", format="matroska") as head:
        head.add_stream_from_template(stream).metadata["title"] = NAME.decode()
        head.mux(_any_packet(head.streams.audio[0]))
    delay = round(priming * 1_000_000_000 / stream.codec_context.sample_rate)
    element = DELAY_ELEMENT + delay.to_bytes(8, "big") + VOID
    with av.open(BytesIO(memory.getvalue().replace(NAME_ELEMENT, element))) as delayed:
        return output.add_stream_from_template(delayed.streams.audio[0])


def end_early(packet: Encoded, samples: int, output: OutputContainer) -> None:
    """State that so many samples at the end of a packet are not heard, where the file can say so.

    A packet that says so already stays as it is. mp4 says it by the length of the packet.
    """
    if samples <= 0 or output.format.name not in MATROSKA_KINDS:
        return
    begin, end, why = 0, 0, b"\0\0"
    if packet.has_sidedata("skip_samples"):
        begin, end, why = PADDING.unpack(bytes(packet.get_sidedata("skip_samples")))
    if not end:
        padding = _any_padding()
        padding.update(PADDING.pack(begin, samples, why))
        packet.set_sidedata(padding)


def _any_packet(stream: AudioStream) -> Encoded:
    packet = Packet(bytes(8))
    packet.stream, packet.time_base = stream, Fraction(1)
    packet.pts = packet.dts = 0
    return packet


@cache
def _any_padding() -> PacketSideData:
    """Side data that states padding, to be written over: PyAV makes none, but an encoder does."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "mono"
    frame = AudioFrame.from_ndarray(np.zeros((1, 480), np.int16), "s16", "mono")
    frame.sample_rate = 48_000
    [*_, last] = [*encoder.encode(frame), *encoder.encode(None)]
    return last.get_sidedata("skip_samples")
