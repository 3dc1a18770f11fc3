"""Writing videos: a source's frames painted over and its sound copied, or given frames and sound.

A video appears under its name only when it is whole.
Pictures are H.264 (VP9 in .webm) with 4:2:0 colour, which plays everywhere but needs even sizes:
an odd width or height grows by one pixel, the last column or row repeated.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, lcm
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, Int16

from hearsight.files.output import PartFile, check_output
from hearsight.media.decode import Pixels, timestamp
from hearsight.media.read import Frame, decode_pictures
from hearsight.media.source import Encoded, MediaError, SharedPackets, Source, open_media
from hearsight.media.timeline import Timeline, timeline_of

FORMATS = {  # FFmpeg's container format for each suffix
    ".mp4": "mp4",
    ".m4v": "ipod",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
SUFFIXES = tuple(FORMATS)
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "18"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "crf": "24", "b": "0"},
}
MATROSKA = (".mkv", ".webm")
FINEST = 1 << 24  # ticks per second; no container takes a finer clock
LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}  # mp4 needs a layout where none is stored
BT709 = 1  # FFmpeg's number of BT.709 in every colour property
LIMITED = 1  # FFmpeg's number of the colour range 16 to 235


def paint_video(source: Path | str, target: Path | str, paint: Callable[[Frame], Pixels]) -> None:
    """Write `source` to `target` with every frame painted over and its sound copied untouched.

    `paint` gets each frame once, upright, in order, and returns pixels; all must have the size of
    the first. Timestamps are kept, variable frame rates included, and begin at zero. Where
    the source's clock is too coarse for a broadcast rate (milliseconds for 30000/1001) the exact
    times of that rate are restored. Rotation is baked in. The first sound stream is copied packet
    by packet; subtitles are not kept. Memory is constant if the source interleaves picture and
    sound, as video files do; else packets of sound wait for their frame.

    Raises:
        HearsightError: the source cannot be read, `target` cannot be written or its kind of file
            cannot hold the source's sound. Nothing is left behind then; an older target stays.
    """
    with open_media(source) as original, _video_file(Path(target)) as video:
        timeline = timeline_of(original)
        sound = _CopiedSound.of(original, timeline, video)
        track = None
        for decoded, frame in decode_pictures(original, timeline, sound.pictures()):
            pixels = paint(frame)
            if track is None:
                track = _track_like(original, video, frame, pixels)
                sound.add_stream()
            sound.copy(until=frame.time)
            track.add(pixels, timestamp(decoded) - timeline.zero, _duration(decoded))
        sound.copy_rest()
        if track is not None:
            track.finish()


def write_video(
    target: Path | str,
    frames: Iterable[Pixels],
    *,
    frame_rate: Fraction,
    sound: Int16[np.ndarray, " samples"] | Float32[np.ndarray, " samples"] | None = None,
    rate: int = 16_000,
) -> None:
    """Write frames, all of one size, at a constant rate, with mono sound at `rate` hertz.

    Sound becomes AAC (Opus in .webm); float samples lie in [-1, 1].

    Raises:
        HearsightError: there is no frame, or `target` cannot be written; nothing is left behind.
    """
    with _video_file(Path(target)) as video:
        track = None
        samples: Iterator[Encoded] = iter(())
        for number, pixels in enumerate(frames):
            if track is None:
                clock = Fraction(frame_rate.denominator, frame_rate.numerator)
                track = _Track.begin(video, pixels, frame_rate, clock)
                if sound is not None:
                    samples = _encoded_sound(video, sound, rate)
            track.add(pixels, number / frame_rate, 1 / frame_rate)
            for packet in samples:
                video.mux(packet)
                if _begin(packet) >= number / frame_rate:
                    break
        if track is None:
            raise MediaError(f"'{target}' is not written: there is no frame.")
        track.finish()
        for packet in samples:
            video.mux(packet)


@dataclass(slots=True, kw_only=True)
class _VideoFile:
    """A video file being written; `target` is its final name."""

    target: Path
    output: OutputContainer

    def mux(self, packet: Encoded) -> None:
        with _said_plainly(self.target):
            self.output.mux(packet)


@contextmanager
def _said_plainly(target: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"'{target}' cannot be written: {error.strerror}.") from error


@contextmanager
def _video_file(target: Path) -> Iterator[_VideoFile]:
    """An open video file, renamed to `target` at the end, or removed if anything fails."""
    check_output(target, SUFFIXES)
    file, suffix = PartFile(target), target.suffix.lower()
    try:
        with _said_plainly(target):
            # the sound decoder's priming samples lie before zero; by default FFmpeg would shift
            # everything to make them begin at zero, which delays the frames
            options = {"avoid_negative_ts": "disabled"} if suffix in MATROSKA else {}
            output = av.open(f"file:{file.part}", "w", format=FORMATS[suffix], options=options)
        try:
            yield _VideoFile(target=target, output=output)
        except BaseException:
            with suppress(av.FFmpegError):
                output.close()
            raise
        with _said_plainly(target):
            output.close()
            file.commit()
    finally:
        file.discard()


@dataclass(slots=True, kw_only=True)
class _Track:
    """The video track of a file being written."""

    video: _VideoFile
    stream: VideoStream
    clock: Fraction  # seconds per tick of the written timestamps
    frame_rate: Fraction | None  # a broadcast rate to which coarse times are corrected
    coarse: Fraction  # seconds per tick of the given times
    shape: tuple[int, ...]  # of every frame
    first: Fraction | None = None
    last: int = -1  # ticks
    durations: dict[int, int] = field(default_factory=dict)  # ticks, of frames in the encoder

    @classmethod
    def begin(
        cls, video: _VideoFile, pixels: Pixels, rate: Fraction | None, coarse: Fraction
    ) -> "_Track":
        """Open the track for frames like `pixels` with times in multiples of `coarse` seconds."""
        clock = coarse
        broadcast = None
        if rate is not None and rate.denominator in (1, 1001):
            finer = Fraction(1, lcm(coarse.denominator, rate.numerator))
            if (1 / rate / coarse).denominator != 1 and finer.denominator <= FINEST:
                clock, broadcast = finer, rate
        name = "libx264" if video.target.suffix.lower() != ".webm" else "libvpx-vp9"
        stream = video.output.add_stream(name, rate=rate or Fraction(25), options=OPTIONS[name])
        assert isinstance(stream, VideoStream)
        height, width, _ = pixels.shape
        context = stream.codec_context
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt = "yuv420p"
        context.time_base = clock
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        return cls(
            video=video,
            stream=stream,
            clock=clock,
            frame_rate=broadcast,
            coarse=coarse,
            shape=pixels.shape,
        )

    def add(self, pixels: Pixels, moment: Fraction, duration: Fraction) -> None:
        """Show `pixels` from `moment` on; `duration` counts for the last frame (both seconds)."""
        height, width, _ = pixels.shape
        if pixels.shape != self.shape:
            raise ValueError(f"a frame of shape {pixels.shape} in a video of {self.shape}")
        padded = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(padded).reformat(
            format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED, interpolation="AREA"
        )
        self.last = frame.pts = max(self.last + 1, round(self._exact(moment) / self.clock))
        frame.time_base = self.clock
        if self.frame_rate and abs(duration - 1 / self.frame_rate) <= self.coarse:
            duration = 1 / self.frame_rate
        self.durations[frame.pts] = round(duration / self.clock)
        self._mux(self.stream.encode(frame))

    def finish(self) -> None:
        self._mux(self.stream.encode(None))

    def _exact(self, moment: Fraction) -> Fraction:
        if self.first is None:
            self.first = moment
        if self.frame_rate is None:
            return moment
        exact = self.first + round((moment - self.first) * self.frame_rate) / self.frame_rate
        return exact if abs(exact - moment) <= self.coarse else moment

    def _mux(self, packets: list[Encoded]) -> None:
        for packet in packets:
            assert packet.pts is not None
            packet.duration = self.durations.pop(packet.pts, 0)
            self.video.mux(packet)


def _track_like(original: Source, video: _VideoFile, frame: Frame, pixels: Pixels) -> _Track:
    stream = original.picture
    assert stream is not None
    assert stream.time_base is not None
    rate = stream.average_rate or stream.guessed_rate
    track = _Track.begin(video, pixels, rate, stream.time_base)
    aspect = stream.sample_aspect_ratio  # of one pixel
    if aspect:
        turned = frame.pixels.shape[1] != stream.codec_context.width
        track.stream.codec_context.sample_aspect_ratio = 1 / aspect if turned else aspect
    return track


@dataclass(slots=True, kw_only=True)
class _CopiedSound:
    """The sound packets of a file, met between those of its picture, for a video."""

    original: Source
    video: _VideoFile
    shared: SharedPackets
    zero: Fraction  # seconds: time 0 on the clock of the file
    copied: AudioStream | None = None

    @classmethod
    def of(cls, original: Source, timeline: Timeline, video: _VideoFile) -> "_CopiedSound":
        streams = [each for each in (original.picture, original.sound) if each is not None]
        packets = original.packets(*streams, restarts=timeline.restarts)
        return cls(
            original=original,
            video=video,
            shared=SharedPackets(original, packets),
            zero=timeline.zero,
        )

    def pictures(self) -> Iterator[Encoded]:
        """The packets of the picture; those of the sound on the way wait to be copied."""
        picture = self.original.picture
        return iter(()) if picture is None else self.shared.of(picture)

    def add_stream(self) -> None:
        """Add a stream of the sound's kind to the video."""
        sound = self.original.sound
        if sound is None:
            return
        try:
            self.copied = self.video.output.add_stream_from_template(sound)
            layout = LAYOUTS.get(sound.codec_context.layout.name)
            if layout is not None:
                self.copied.codec_context.layout = layout
        except ValueError as error:
            codec = sound.codec_context.name
            raise MediaError(
                f"'{self.video.target}' cannot hold the sound of '{self.original.path}', which is"
                f" {codec}; write to a name ending in .mkv instead."
            ) from error

    def copy(self, until: float) -> None:
        """Write the packets that begin by `until` (seconds)."""
        if self.original.sound is None:
            return
        waiting = self.shared.waiting(self.original.sound)
        while waiting:
            packet = waiting[0]
            stated = packet.dts if packet.pts is None else packet.pts
            if stated is not None:
                moved = stated - round(self.zero / packet.time_base)
                if moved * packet.time_base > until:
                    return
                packet.pts = packet.dts = moved
                packet.stream = self.copied
                self.video.mux(packet)
            waiting.popleft()

    def copy_rest(self) -> None:
        """Write all that is left of the sound."""
        if self.original.sound is not None:
            self.shared.waiting(self.original.sound).extend(
                packet
                for packet in self.shared.rest()
                if packet.stream_index == self.original.sound.index
            )
            self.copy(until=inf)


def _duration(frame: VideoFrame) -> Fraction:
    return Fraction(frame.duration or 0) * (frame.time_base or 0)


def _begin(packet: Encoded) -> Fraction:
    assert packet.pts is not None
    return packet.pts * packet.time_base


def _encoded_sound(
    video: _VideoFile, sound: Int16[np.ndarray, " n"] | Float32[np.ndarray, " n"], rate: int
) -> Iterator[Encoded]:
    name = "libopus" if video.target.suffix.lower() == ".webm" else "aac"
    stream = video.output.add_stream(name, rate=rate, layout="mono")
    assert isinstance(stream, AudioStream)
    stream.codec_context.bit_rate = min(128_000, 4 * rate)
    return _encode(stream, sound, rate)


def _encode(
    stream: AudioStream, sound: Int16[np.ndarray, " n"] | Float32[np.ndarray, " n"], rate: int
) -> Iterator[Encoded]:
    kind = "s16" if sound.dtype == np.int16 else "flt"
    for start in range(0, len(sound), rate):
        block = np.ascontiguousarray(sound[start : start + rate])[None]
        frame = AudioFrame.from_ndarray(block, format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield from stream.encode(frame)
    yield from stream.encode(None)
