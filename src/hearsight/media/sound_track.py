"""The sound track of a video being written: copied packet by packet, or encoded.

A sound is copied where the new kind of file can hold it. That is found out by trying: its first
packets are written to memory in that format and read back. Else it is encoded anew, as AAC, in
.webm as Opus.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import chain, islice
from math import floor, inf
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer

from hearsight.media.decode import timestamp
from hearsight.media.edit_list import Edit
from hearsight.media.settle import JITTER, Stamped, settled
from hearsight.media.sound import (
    exact_length,
    last_length,
    leading_samples,
    packet_length,
    sound_format,
)
from hearsight.media.sound_writers import (
    Copier,
    Encoder,
    SoundPlan,
    copied_stream,
    encoded_stream,
    nearest,
    samples_at,
    sound_frame,
)
from hearsight.media.source import Encoded, SharedPackets, Source, longest_priming, open_media
from hearsight.media.timeline import Timeline

TRIED = 8  # packets by which it is found out whether a file can hold a sound


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
        samples = sum(frame.samples for frame in _decoded(stream, first))
        plan = SoundPlan(
            codec=codec,
            rate=rate,
            channels=channels,
            copied=True,
            priming=priming,
            usual=samples // len(first),
        )
        allowed = copied is None or stream.codec_context.codec.canonical_name in copied
        return (
            plan
            if allowed and _can_hold(plan, stream, first, kind)
            else replace(plan, copied=False)
        )


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
    primed = edit.start - Fraction(longest_priming(packet.stream), rate)
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
    samples = plan.usual * len(packets)
    try:
        with av.open(memory, "w", format=kind) as output:
            copier = Copier(copied_stream(output, stream, plan), plan.rate, output, output.mux)
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
        self._writer: Copier | Encoder | None = None

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
            self._writer = Copier(copied, self._plan.rate, output, mux, self._beyond)
        else:
            stream = encoded_stream(output, self._plan.rate, self._plan.channels)
            self._writer = Encoder(stream, self._plan.rate, output, mux)

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

    def _beyond(self, moment: Fraction, samples: int) -> int:
        """Of samples from a moment of the video on, those beyond the edit of the track."""
        edit = None if self._stream is None else self._original.edit(self._stream)
        if edit is None or self._plan is None:
            return 0
        rate = self._plan.rate
        return floor(edit.beyond(self._zero + moment + Fraction(samples, rate)) * rate)

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
            return Stamped(
                round(timestamp(frame) * rate) if known else None, samples_at(frame, rate)
            )

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
                whole = packet_length(self._stream, packet) if length is None else length
                if beyond := self._beyond(moment, whole):
                    length = whole - beyond
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
        usual = 0 if self._plan is None else self._plan.usual

        def packets() -> Iterator[tuple[int | None, Encoded]]:
            for number, packet in enumerate(self._shared.of(stream)):
                self._looked += 1
                follows = number and self._original.untimed_sound
                yield None if follows else _place(packet, tick, rate), packet

        def stated(each: tuple[int | None, Encoded]) -> Stamped:
            own, packet = each
            return Stamped(own, packet_length(stream, packet) or usual)

        for (own, packet), settled_at in settled(packets(), stated, float(rate)):
            self._looked -= 1
            place = settled_at.place
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


def _place(packet: Encoded, tick: Fraction, rate: int) -> int | None:
    """The sample at which a packet begins as its file states it.

    FFmpeg rounds the time of the first sample that is heard to ticks, not that of those before.
    """
    stamp = packet.dts if packet.pts is None else packet.pts
    if stamp is None:
        return None
    skipped = leading_samples(packet)
    return round((stamp + nearest(skipped / (rate * tick))) * tick * rate) - skipped
