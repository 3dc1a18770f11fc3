"""Writing videos: a source's frames painted over and its sound kept, or given frames and sound.

A video appears under its name only when it is whole.
Pictures are H.264 (VP9 in .webm) with 4:2:0 colour, which plays everywhere but needs even sizes:
an odd width or height grows by one pixel, the last column or row repeated.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from math import lcm
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import InvalidDataError, PatchWelcomeError
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, Int16

from hearsight.files.output import PartFile, check_output
from hearsight.media.decode import timestamp
from hearsight.media.pixels import BT709, LIMITED, Colours, Pixels, coded, colours
from hearsight.media.read import Frame, MediaInfo, decode_pictures
from hearsight.media.sound_track import SoundTrack, plan_sound
from hearsight.media.sound_writers import encoded, encoded_stream, sound_frame
from hearsight.media.source import Encoded, MediaError, Source, open_media
from hearsight.media.timeline import timeline_of
from hearsight.media.veils import Veiler, Veils
from hearsight.progress import Notice, warn

FORMATS = {  # FFmpeg's container format for each suffix
    ".mp4": "mp4",
    ".m4v": "ipod",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
SUFFIXES = tuple(FORMATS)
ENCODERS = {suffix: "libvpx-vp9" if suffix == ".webm" else "libx264" for suffix in SUFFIXES}
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "18"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "crf": "24", "b": "0"},
}
MATROSKA = (".mkv", ".webm")
# the sound decoder's priming samples lie before zero; by default FFmpeg would shift everything to
# make them begin at zero, which delays the frames
UNSHIFTED = {"avoid_negative_ts": "disabled"}
FINE_EDITS = {"movie_timescale": "90000"}  # by default a late sound is placed to the millisecond
MILLISECOND = Fraction(1, 1000)
FINEST = 1 << 24  # ticks per second; no container takes a finer clock
SRGB = Colours(matrix=BT709, primaries=BT709, transfer=BT709)  # as players take plain pictures


def paint_video(
    source: Path | str,
    target: Path | str,
    paint: Callable[[Frame], Pixels],
    *,
    veil: Veiler | None = None,
    copied: Collection[str] | None = None,
    notice: Notice = warn,
) -> None:
    """Write `source` to `target` with every frame painted over and its sound kept.

    `paint` gets each frame once, upright, in square pixels, in order, and returns pixels; all must
    have the size of the first. Timestamps are kept, variable frame rates included, and begin at
    zero. Where the source's clock is too coarse for a broadcast rate (milliseconds for 30000/1001)
    the exact times of that rate are restored. Rotation is baked in. Matrix, primaries and transfer
    function of the colours are those of the source, the range is 16 to 235, and all are stated.
    The first sound stream is copied packet by packet where the kind of file can hold it, else
    encoded anew; subtitles are not kept. Memory is constant if the source interleaves picture and
    sound, as video files do; else packets of sound wait for their frame.

    veil: gives what is laid over a frame, where it can be laid: `paint`, which shows the same, is
    then called for films with an odd side alone. It spares the way to RGB and back. copied: codecs
    of sound, by FFmpeg's names, that may be copied; by default all that the kind of file can hold.
    notice: called once if the sound is encoded anew; by default that is a warning.

    Raises:
        HearsightError: the source cannot be read or `target` cannot be written. Nothing is left
            behind then; an older target stays.
    """
    target = Path(target)
    check_output(target, SUFFIXES)
    plan = plan_sound(source, _format(target), copied)
    if plan is not None and not plan.copied:
        notice(
            f"A {target.suffix} file cannot hold sound of the kind {plan.codec} from '{source}':"
            " it is encoded anew."
        )
    with open_media(source) as original, _video_file(target) as video:
        timeline = timeline_of(original)
        sound = SoundTrack(original, timeline, plan)
        track = None
        for decoded, time, display in decode_pictures(original, timeline, sound.pictures()):
            width, height = display.size
            laid = None if width % 2 or height % 2 else veil
            pixels = paint(Frame(time, display.pixels(decoded))) if laid is None else None
            if track is None:
                size = (height, width) if pixels is None else pixels.shape[:2]
                track = _begin_track(original, video, sound, colours(decoded), size)
                veils = Veils(width, height, track.matrix)
            moment, lasts = timestamp(decoded) - timeline.zero, _duration(decoded)
            sound.write(until=time)
            if pixels is not None:
                track.add_pixels(pixels, moment, lasts)
            elif laid is not None:
                planes = display.planes(decoded, track.matrix)
                track.add(veils.lay(laid(time, height, width), planes), moment, lasts)
        if track is not None:
            sound.write_rest()
            track.finish()


def check_paint(film: MediaInfo, target: Path | str) -> None:
    """Refuse a film that `paint_video` could not write, by opening its encoders without a file.

    Raises:
        HearsightError: the film has no moving pictures or cannot be read, or `target` cannot be
            written or takes no picture of the film's size.
    """
    target = Path(target)
    check_output(target, SUFFIXES)
    if film.width is None or film.height is None:
        raise MediaError(f"'{film.path}' has no moving pictures.")
    plan = plan_sound(film.path, _format(target))
    output = av.open(BytesIO(), "w", format=_format(target))
    try:
        video = _VideoFile(target=target, output=output)
        _Track.begin(video, (film.height, film.width), film.frame_rate, MILLISECOND, SRGB)
        if plan is not None and not plan.copied:
            with _said_plainly(target):
                encoded_stream(output, plan.rate, plan.channels)
        video.start()
    finally:
        with suppress(av.FFmpegError):  # a file without a frame cannot be ended
            output.close()


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
                track = _Track.begin(video, pixels.shape[:2], frame_rate, clock, SRGB)
                if sound is not None:
                    with _said_plainly(video.target):
                        stream = encoded_stream(video.output, rate, 1)
                    samples = _encode(stream, sound, rate, video.output)
                video.start()
            track.add_pixels(pixels, number / frame_rate, 1 / frame_rate)
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

    def start(self) -> None:
        """Write the header; every stream must have been added."""
        with _said_plainly(self.target):
            self.output.start_encoding()

    def mux(self, packet: Encoded) -> None:
        with _said_plainly(self.target):
            self.output.mux(packet)

    def mux_if_whole(self, packet: Encoded) -> None:
        """Write a packet of a sound, or leave it out: formats look into some and refuse damage."""
        with _said_plainly(self.target), suppress(InvalidDataError, PatchWelcomeError):
            self.output.mux(packet)


def _format(target: Path) -> str:
    return FORMATS[target.suffix.lower()]


@contextmanager
def _said_plainly(target: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"'{target}' cannot be written: {error.strerror}.") from error
    except UnknownCodecError as error:
        why = f"this build of FFmpeg has no encoder '{error}'"
        raise MediaError(f"'{target}' cannot be written: {why}.") from error


@contextmanager
def _video_file(target: Path) -> Iterator[_VideoFile]:
    """An open video file, renamed to `target` at the end, or removed if anything fails."""
    check_output(target, SUFFIXES)
    file, suffix = PartFile(target), target.suffix.lower()
    try:
        with _said_plainly(target):
            options = UNSHIFTED if suffix in MATROSKA else FINE_EDITS
            output = av.open(f"file:{file.part}", "w", format=_format(target), options=options)
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
    matrix: int  # FFmpeg's number, by which RGB becomes luma and chroma
    first: Fraction | None = None
    last: int = -1  # ticks
    durations: dict[int, int] = field(default_factory=dict)  # ticks, of frames in the encoder

    @classmethod
    def begin(
        cls,
        video: _VideoFile,
        size: tuple[int, int],
        rate: Fraction | None,
        coarse: Fraction,
        meaning: Colours,
    ) -> "_Track":
        """Add the track for frames of `size` (height, width), times in multiples of `coarse`.

        Raises:
            MediaError: this build of FFmpeg lacks the encoder, or that refuses frames of this size.
        """
        clock = coarse
        broadcast = None
        if rate is not None and rate.denominator in (1, 1001):
            finer = Fraction(1, lcm(coarse.denominator, rate.numerator))
            if (1 / rate / coarse).denominator != 1 and finer.denominator <= FINEST:
                clock, broadcast = finer, rate
        name = ENCODERS[video.target.suffix.lower()]
        with _said_plainly(video.target):
            stream = video.output.add_stream(name, rate=rate or Fraction(25), options=OPTIONS[name])
        assert isinstance(stream, VideoStream)
        height, width = size
        context = stream.codec_context
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt = "yuv420p"
        # by default a frame is cut into a slice for each thread, which takes more work and space
        context.thread_type = "FRAME"
        context.sample_aspect_ratio = Fraction(1)
        context.time_base = clock
        context.colorspace, context.color_range = meaning.matrix, LIMITED
        context.color_primaries, context.color_trc = meaning.primaries, meaning.transfer
        try:
            context.open()
        except av.FFmpegError as error:
            raise MediaError(
                f"'{video.target}' cannot be written: {name} refuses frames of {width}x{height}"
                " pixels."
            ) from error
        return cls(
            video=video,
            stream=stream,
            clock=clock,
            frame_rate=broadcast,
            coarse=coarse,
            shape=(*size, 3),
            matrix=meaning.matrix,
        )

    def add_pixels(self, pixels: Pixels, moment: Fraction, duration: Fraction) -> None:
        """As `add`, of RGB pixels."""
        height, width, _ = pixels.shape
        if pixels.shape != self.shape:
            raise ValueError(f"a frame of shape {pixels.shape} in a video of {self.shape}")
        padded = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self.add(coded(padded, self.matrix), moment, duration)

    def add(self, frame: VideoFrame, moment: Fraction, duration: Fraction) -> None:
        """Show a frame from `moment` on; `duration` counts for the last one (both seconds).

        It is of the track's even size and matrix, 4:2:0 of 8 bits, range 16 to 235.
        """
        frame.pict_type = PictureType.NONE  # else a decoded frame tells the encoder its own
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


def _begin_track(
    original: Source, video: _VideoFile, sound: SoundTrack, meaning: Colours, size: tuple[int, int]
) -> _Track:
    """The track for frames of `size`, beside the sound, in a file whose header is written."""
    stream = original.picture
    assert stream is not None
    assert stream.time_base is not None
    track = _Track.begin(video, size, original.frame_rate, stream.time_base, meaning)
    with _said_plainly(video.target):
        sound.add_to(video.output, video.mux_if_whole)
    video.start()
    return track


def _duration(frame: VideoFrame) -> Fraction:
    return Fraction(frame.duration or 0) * (frame.time_base or 0)


def _begin(packet: Encoded) -> Fraction:
    assert packet.pts is not None
    return packet.pts * packet.time_base


def _encode(
    stream: AudioStream,
    sound: Int16[np.ndarray, " n"] | Float32[np.ndarray, " n"],
    rate: int,
    output: OutputContainer,
) -> Iterator[Encoded]:
    kind = "s16" if sound.dtype == np.int16 else "flt"
    for start in range(0, len(sound), rate):
        block = sound[start : start + rate][None]
        yield from encoded(stream, sound_frame(block, kind, "mono", rate, start), output)
    yield from encoded(stream, None, output)
