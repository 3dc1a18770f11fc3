"""The sound track of a video being written: copied packet by packet, or encoded.

A sound is copied where the new kind of file can hold it. That is found out by trying: its first
packets are written to memory in that format and read back. Else it is encoded anew, as AAC, in
.webm as Opus.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from itertools import chain, islice
from math import floor, inf
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from jaxtyping import Float32

from hearsight.media.decode import timestamp
from hearsight.media.edit_list import Edit
from hearsight.media.padding import delayed_stream, end_early
from hearsight.media.settle import JITTER, Stamped, settled
from hearsight.media.sound import (
    exact_length,
    last_length,
    leading_samples,
    packet_length,
    sound_format,
    trailing_padding,
)
from hearsight.media.source import PRIMING, Encoded, SharedPackets, Source, open_media
from hearsight.media.timeline import Timeline

TRIED = 8  # packets by which it is found out whether a file can hold a sound
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


def plan_sound(
    source: Path | str, kind: str, copied: Collection[str] | None = None
) -> SoundPlan | None:
    """The plan for the sound of a film, for a video of the FFmpeg format `kind`; None if silent.

    copied: codecs, by FFmpeg's names, that may be copied; None: all that the format can hold.

    Raises:
        MediaError: the source cannot be read.
    """
    with open_media(source) as original:
        stream = original.sound
        if stream is None:
            return None
        packets = original.packets(stream)
        first = list(islice(packets, TRIED))
        known = sound_format(stream, chain(first, packets))
        if not first or known is None:
            return None
        rate, channels = known
        codec = stream.codec_context.name
        priming = _priming(original, chain(first, packets), rate)
        plan = SoundPlan(codec=codec, rate=rate, channels=channels, copied=True, priming=priming)
        allowed = copied is None or stream.codec_context.codec.canonical_name in copied
        if allowed and _can_hold(plan, stream, first, kind):
            return plan
        return SoundPlan(codec=codec, rate=rate, channels=channels, copied=False)


def _priming(original: Source, packets: Iterable[Encoded], rate: int) -> int:
    """The samples that are coded before those that are heard, from the first packet that is kept.

    packets: of the sound, from the first on.
    """
    stream = original.sound
    assert stream is not None
    edit, tick = original.edit(stream), Fraction(stream.time_base or 1)
    for packet in packets:
        if edit is None:
            return leading_samples(packet)
        place = _place(packet, tick, rate)
        if place is not None and _is_heard(edit, Fraction(place, rate), packet, rate):
            return max(0, round(edit.start * rate) - place)
    return 0


def _is_heard(edit: Edit, begin: Fraction, packet: Encoded, rate: int) -> bool:
    """Whether a packet lies within its track's edit, or so near before it that it is needed.

    begin: of the packet, in seconds on the clock of the file.
    """
    end = begin + (packet.duration or 0) * packet.time_base
    primed = edit.start - Fraction(PRIMING, rate)
    return end > primed and (edit.end is None or begin < edit.end)


def _decoded(stream: AudioStream, packets: Iterable[Encoded]) -> Iterator[AudioFrame]:
    for packet in packets:
        with suppress(av.FFmpegError):
            yield from stream.codec_context.decode(packet)


def _can_hold(plan: SoundPlan, stream: AudioStream, packets: list[Encoded], kind: str) -> bool:
    """Whether packets of a sound that are written in a format are read back as that sound.

    They are, if as many samples are decoded again but for those that a container may cut off at
    the start.
    """
    memory = BytesIO()
    samples = sum(frame.samples for frame in _decoded(stream, packets))
    try:
        with av.open(memory, "w", format=kind) as output:
            copier = _Copier(copied_stream(output, stream, plan), plan.rate, output, output.mux)
            output.start_encoding()
            for number, packet in enumerate(packets):
                copier.add(packet, Fraction(number * samples, len(packets) * plan.rate))
        with av.open(BytesIO(memory.getvalue()), "r") as written:
            sound = next(iter(written.streams.audio), None)
            if sound is None or sound.codec_context.sample_rate != plan.rate:
                return False
            again = _decoded(sound, (packet for packet in written.demux(sound) if packet.size))
            return 2 * sum(frame.samples for frame in again) >= samples
    except (av.FFmpegError, ValueError):
        return False


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


class SoundTrack:
    """The sound of a film, met between the packets of its picture, on its way into a video."""

    def __init__(self, original: Source, timeline: Timeline, plan: SoundPlan | None) -> None:
        """original: the film, at its first packet."""
        self._original, self._plan = original, plan
        self._stream = None if plan is None else original.sound
        streams = [each for each in (original.picture, self._stream) if each is not None]
        packets = original.packets(*streams, restarts=timeline.restarts)
        self._shared = SharedPackets(original, packets)
        self._zero = timeline.zero
        self._looked = 0  # packets and frames that were looked at, not yet written
        copied = plan is None or plan.copied
        self._settled = self._heard() if copied else self._frames()
        self._next: tuple[Fraction, Encoded | AudioFrame] | None = None
        self._writer: _Copier | _Encoder | None = None

    def pictures(self) -> Iterator[Encoded]:
        """The packets of the picture; those of the sound on the way wait to be written."""
        picture = self._original.picture
        return iter(()) if picture is None else self._shared.of(picture)

    def add_to(self, output: OutputContainer, mux: Callable[[Encoded], None]) -> None:
        """Add a stream for it to a file being written, which gets its packets by `mux`."""
        if self._plan is None or self._stream is None:
            return
        if self._plan.copied:
            copied = copied_stream(output, self._stream, self._plan)
            self._writer = _Copier(copied, self._plan.rate, output, mux)
        else:
            stream = encoded_stream(output, self._plan.rate, self._plan.channels)
            self._writer = _Encoder(stream, self._plan.rate, output, mux)

    def write(self, until: float) -> None:
        """Write the sound that was met and begins by `until` (seconds)."""
        if self._stream is None:
            return
        waiting = self._shared.waiting(self._stream)
        while self._next is not None or self._looked or waiting:
            if not self._write_next(until):
                return

    def write_rest(self) -> None:
        """Write all that is left of the sound."""
        while self._write_next(inf):
            pass
        if self._writer is not None:
            self._writer.finish()

    def _write_next(self, until: float) -> bool:
        """Write the next packet or frame if it begins by `until`; whether it did."""
        if self._next is None:
            self._next = next(self._settled, None)
        if self._next is None or self._next[0] > until:
            return False
        moment, sound = self._next
        self._next = None
        if self._writer is not None:
            self._writer.add(sound, moment)
        return True

    def _heard(self) -> Iterator[tuple[Fraction, Encoded]]:
        """The packets that are heard, and where each begins."""
        if self._stream is None or self._plan is None:
            return
        edit, rate = self._original.edit(self._stream), self._plan.rate
        for moment, packet in self._settle():
            if edit is None or _is_heard(edit, moment + self._zero, packet, rate):
                yield moment, packet

    def _frames(self) -> Iterator[tuple[Fraction, AudioFrame]]:
        """What the packets hold, settled again: a decoder leaves out what a packet does not."""
        assert self._stream is not None
        assert self._plan is not None
        rate = self._plan.rate

        def frames() -> Iterator[AudioFrame]:
            for frame in self._decoded():
                self._looked += 1
                yield frame

        def stated(frame: AudioFrame) -> Stamped:
            known = frame.pts is not None and frame.time_base
            return Stamped(round(timestamp(frame) * rate) if known else None, _samples(frame, rate))

        for frame, settled_at in settled(frames(), stated, float(rate)):
            self._looked -= 1
            yield Fraction(settled_at.place, rate), frame

    def _decoded(self) -> Iterator[AudioFrame]:
        """The frames of the packets that are heard; the last has as many samples as are stated."""
        assert self._stream is not None
        last, length = None, None
        for moment, packet in chain(self._heard(), [(Fraction(0), None)]):
            found: list[AudioFrame] = []
            if packet is not None:
                length = last_length(self._stream, packet)
                packet.pts = packet.dts = nearest(moment / packet.time_base)
            with suppress(av.FFmpegError):
                found = self._stream.codec_context.decode(packet)
            for frame in found:
                if frame.samples:
                    if last is not None:
                        yield last
                    last = frame
        if last is not None:
            yield _shortened(last, length)

    def _settle(self) -> Iterator[tuple[Fraction, Encoded]]:
        """Where each packet begins, in seconds on the clock of the video."""
        stream = self._stream
        if stream is None:
            return
        tick = Fraction(stream.time_base or 1)
        rate = stream.codec_context.sample_rate or (self._plan.rate if self._plan else 1)

        def packets() -> Iterator[Encoded]:
            for packet in self._shared.of(stream):
                self._looked += 1
                yield packet

        def stated(packet: Encoded) -> Stamped:
            return Stamped(_place(packet, tick, rate), packet_length(stream, packet))

        for packet, settled_at in settled(packets(), stated, float(rate)):
            self._looked -= 1
            own, place = _place(packet, tick, rate), settled_at.place
            counted = exact_length(stream, packet) is not None
            if not counted and own is not None and abs(own - place) <= JITTER * rate:
                place = own  # lengths that are rounded do not add up
            yield Fraction(place, rate) - self._zero, packet


def _shortened(frame: AudioFrame, samples: int | None) -> AudioFrame:
    """The first samples of a frame; None for all of it."""
    if samples is None or samples >= frame.samples:
        return frame
    [packed] = AudioResampler(frame.format.packed.name).resample(frame)
    row = packed.to_ndarray()[:, : samples * frame.layout.nb_channels]
    short = sound_frame(row, packed.format.name, frame.layout.name, frame.sample_rate, 0)
    short.pts, short.time_base = frame.pts, frame.time_base
    return short


def _samples(frame: AudioFrame, rate: int) -> int:
    """The samples of a frame at another rate."""
    return round(frame.samples * rate / frame.sample_rate)


def _place(packet: Encoded, tick: Fraction, rate: int) -> int | None:
    """The sample at which a packet begins as its file states it.

    FFmpeg rounds the time of the first sample that is heard to ticks, not that of those before.
    """
    stamp = packet.dts if packet.pts is None else packet.pts
    if stamp is None:
        return None
    skipped = leading_samples(packet)
    return round((stamp + nearest(skipped / (rate * tick))) * tick * rate) - skipped


def nearest(value: Fraction) -> int:
    """The nearest whole number, of two the one away from zero, as FFmpeg rounds."""
    size = floor(abs(value) + Fraction(1, 2))
    return size if value > 0 else -size


@dataclass(slots=True, kw_only=False)
class _Copier:
    """Writes the packets of a sound as they are."""

    stream: AudioStream
    rate: int  # hertz
    output: OutputContainer
    mux: Callable[[Encoded], None]
    last: int | None = None  # ticks: where the last packet begins

    def add(self, packet: Encoded | AudioFrame, moment: Fraction) -> None:
        assert not isinstance(packet, AudioFrame)
        origin, ticks = packet.stream, self.stream.time_base
        assert isinstance(origin, AudioStream)
        assert ticks is not None
        place = nearest(moment / ticks)
        padding = trailing_padding(origin, packet)
        own = packet_length(origin, packet) - padding
        end_early(packet, padding, self.output)
        length = nearest(Fraction(own, origin.codec_context.sample_rate or self.rate) / ticks)
        if self.last is not None:  # a clock that goes back is mended: no container takes it
            place = max(place, self.last + 1)
            length = length or place - self.last  # not stated: that of the packet before
        packet.stream, packet.time_base = self.stream, ticks
        packet.pts = packet.dts = self.last = place
        packet.duration = length
        self.mux(packet)

    def finish(self) -> None:
        pass


@dataclass(slots=True, kw_only=False)
class _Encoder:
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
        self.end = max(self.end, begin + _samples(frame, self.rate))

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
