"""Writers of a sound into a video file: packets copied as they are, or samples encoded anew."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from jaxtyping import Float32

from hearsight.media.padding import MATROSKA_KINDS, delayed_stream, end_early
from hearsight.media.sound import packet_length, trailing_padding
from hearsight.media.source import Encoded

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # by channels; others become stereo
ENCODED_RATE = 48_000  # hertz, of a sound whose rate is above all that the encoder takes
MOST_BITS = 128_000  # per second and channel


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundPlan:
    """How the sound of a film gets into a video."""

    codec: str  # FFmpeg's name of the decoder of the film's sound
    rate: int  # hertz
    channels: int
    copied: bool  # else encoded anew
    priming: int = 0  # samples before the sound that its first packets hold, copied with them
    usual: int = 0  # samples of a packet, for those that state no length


def copied_stream(output: OutputContainer, stream: AudioStream, plan: SoundPlan) -> AudioStream:
    """A stream of the same kind in a file being written, for packets of `stream`.

    Raises:
        ValueError: the format knows no such sound. More are refused when the header is written.
    """
    copied = delayed_stream(output, stream, plan.priming)
    context = copied.codec_context
    if not context.sample_rate:
        context.sample_rate = plan.rate
    if context.layout.name.endswith(" channels") and plan.channels in LAYOUTS:
        context.layout = LAYOUTS[plan.channels]  # mp4 needs a layout where none is stored
    return copied


def encoded_stream(output: OutputContainer, rate: int, channels: int) -> AudioStream:
    """A stream of AAC, in WebM of Opus, for a sound of `rate` hertz.

    It has the next higher rate that the encoder takes.
    """
    name = "libopus" if output.format.name == "webm" else "aac"
    rates = av.Codec(name, "w").audio_rates or [rate]
    taken = min((each for each in rates if each >= rate), default=ENCODED_RATE)
    layout = LAYOUTS.get(channels, "stereo")
    stream = output.add_stream(name, rate=taken, layout=layout)
    assert isinstance(stream, AudioStream)
    stream.codec_context.bit_rate = stream.layout.nb_channels * min(MOST_BITS, 4 * taken)
    return stream


def encoded(
    stream: AudioStream, frame: AudioFrame | None, output: OutputContainer
) -> Iterator[Encoded]:
    """The packets that an encoder gives for a frame, None being the end of the sound."""
    for packet in stream.encode(frame):
        ticks = (packet.duration or 0) * packet.time_base
        whole = stream.codec_context.frame_size
        end_early(packet, whole - round(ticks * stream.codec_context.sample_rate), output)
        yield packet


def samples_at(frame: AudioFrame, rate: int) -> int:
    """The samples of a frame at another rate."""
    return round(frame.samples * rate / frame.sample_rate)


def nearest(value: Fraction) -> int:
    """The nearest whole number, of two the one away from zero, as FFmpeg rounds."""
    size = floor(abs(value) + Fraction(1, 2))
    return size if value > 0 else -size


@dataclass(slots=True, kw_only=False)
class Copier:
    """Writes the packets of a sound as they are."""

    stream: AudioStream
    rate: int  # hertz
    output: OutputContainer
    mux: Callable[[Encoded], None]
    # of so many samples from a moment on, those that are not heard
    beyond: Callable[[Fraction, int], int] = lambda moment, samples: 0
    last: int | None = None  # ticks: where the last packet begins

    def add(self, packet: Encoded | AudioFrame, moment: Fraction) -> None:
        assert not isinstance(packet, AudioFrame)
        origin, ticks = packet.stream, self.stream.time_base
        assert isinstance(origin, AudioStream)
        assert ticks is not None
        place = nearest(moment / ticks)
        padding, whole = trailing_padding(origin, packet), packet_length(origin, packet)
        padding += self.beyond(moment, whole - padding)
        own = whole - padding
        end_early(packet, padding, self.output)
        length = nearest(Fraction(own, origin.codec_context.sample_rate or self.rate) / ticks)
        if self.last is not None:  # a clock that goes back is mended: no container takes it
            standing = self.output.format.name in MATROSKA_KINDS  # packets of less than its tick
            place = max(place, self.last + (not standing))
            length = length or place - self.last  # not stated: that of the packet before
        packet.stream, packet.time_base = self.stream, ticks
        packet.pts = packet.dts = self.last = place
        packet.duration = length
        self.mux(packet)

    def finish(self) -> None:
        pass


@dataclass(slots=True, kw_only=False)
class Encoder:
    """Encodes decoded sound anew, with silence in its holes; overlaps are cut."""

    stream: AudioStream
    rate: int  # hertz
    output: OutputContainer
    mux: Callable[[Encoded], None]
    end: int = 0  # samples: where what was added ends
    place: int = 0  # samples that are written; fewer while a mixer holds some back
    mixers: dict[tuple[str, str, int], AudioResampler] = field(default_factory=dict)

    def add(self, frame: Encoded | AudioFrame, moment: Fraction) -> None:
        assert isinstance(frame, AudioFrame)
        begin = round(moment * self.rate)
        hole, overlap = begin - self.end, self.end - begin
        while hole > 0:
            silent = min(hole, self.rate)
            self._encode(np.zeros((silent, self.stream.layout.nb_channels), np.float32))
            hole -= silent
        for samples in self._mixed(frame):
            self._encode(samples[max(0, overlap) :])
            overlap -= len(samples)
        self.end = max(self.end, begin + samples_at(frame, self.rate))

    def finish(self) -> None:
        for packet in encoded(self.stream, None, self.output):
            self.mux(packet)

    def _mixed(self, frame: AudioFrame) -> Iterator[Float32[np.ndarray, "samples channels"]]:
        """The samples in the layout of the new stream, at the plan's rate."""
        like = (frame.format.name, frame.layout.name, frame.sample_rate)
        layout = self.stream.layout
        if like not in self.mixers:
            self.mixers[like] = AudioResampler("flt", layout.name, self.rate)
        for mixed in self.mixers[like].resample(frame):
            samples = mixed.to_ndarray().reshape(-1, layout.nb_channels)
            yield np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)

    def _encode(self, samples: Float32[np.ndarray, "samples channels"]) -> None:
        if not len(samples):
            return
        row, layout = samples.reshape(1, -1), self.stream.layout.name
        frame = sound_frame(row, "flt", layout, self.rate, self.place)
        for packet in encoded(self.stream, frame, self.output):
            self.mux(packet)
        self.place += len(samples)


def sound_frame(samples: np.ndarray, kind: str, layout: str, rate: int, place: int) -> AudioFrame:
    """A frame for an encoder, of one row in which channels take turns, from sample `place` on."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=kind, layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
    return frame
