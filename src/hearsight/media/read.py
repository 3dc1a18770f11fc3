"""Reading media files by path: metadata, frames at given times, sound.

All times are seconds since the file's first frame or sample, whichever comes first; picture and
sound share that clock.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hearsight.errors import HearsightError
from hearsight.media.decode import (
    EXACT,
    Encoded,
    Pixels,
    Samples,
    clock_zero,
    decode_frames,
    decode_sound,
    display_matrix,
    picture_stream,
    resampled,
    sound_stream,
    timestamp,
    upright,
)

LEAST = 0.01  # seconds between two wanted moments: no video has more frames
FAR = 3.0  # seconds; a frame further ahead than this is reached by a seek, a nearer one by decoding

BLIND = {"mpeg"}  # containers whose timestamps are guesses after a seek


class MediaError(HearsightError):
    """A media file that cannot be read or written; names the file and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """Metadata of a media file."""

    path: Path
    duration: float  # seconds
    width: int | None = None  # pixels, after rotation
    height: int | None = None  # pixels, after rotation
    frame_rate: Fraction | None = None  # frames per second; the mean one where it varies
    sound_rate: int | None = None  # hertz
    channels: int | None = None

    @property
    def has_picture(self) -> bool:
        """Whether there is a video stream; cover art does not count."""
        return self.width is not None

    @property
    def has_sound(self) -> bool:
        return self.sound_rate is not None


class Frame(NamedTuple):
    """One upright frame of a video, shown from `time` (seconds) on."""

    time: float
    pixels: Pixels


class Excerpt(NamedTuple):
    """A frame of a video and the sound around it."""

    time: float  # seconds, as asked for
    frame: Pixels
    sound: Samples


def existing_file(path: Path | str) -> Path:
    """The path, if a file that holds something is there to be read; else raises MediaError."""
    path = Path(path)
    try:
        kind = path.stat().st_mode
        if not (S_ISREG(kind) or S_ISDIR(kind)):
            raise MediaError(f"'{path}' is a pipe or a device, not a file.")
        with path.open("rb") as file:
            begin = file.read(4)
        if not begin:
            raise MediaError(f"'{path}' is empty.")
        if begin == b"RIFX":  # FFmpeg would give noise
            raise MediaError(f"'{path}' is a big-endian WAV file (RIFX): convert it to WAV.")
    except FileNotFoundError as error:
        raise MediaError(f"'{path}' does not exist.") from error
    except IsADirectoryError as error:
        raise MediaError(f"'{path}' is a folder, not a file.") from error
    except OSError as error:
        raise MediaError(f"'{path}' cannot be read: {error.strerror}.") from error
    return path


@contextmanager
def open_media(path: Path | str) -> Iterator[InputContainer]:
    """Open a file for demuxing; URLs that it refers to are never fetched.

    Raises:
        MediaError: if it is missing, not a file, empty, unreadable or not a media file.
    """
    path = existing_file(path)
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError) as error:
        if _begins_as_mp4(path):
            why = "is cut off or damaged: it begins as an mp4 file, but its index is missing."
        else:
            why = "is not a media file, or its beginning is damaged."
        raise MediaError(f"'{path}' {why}") from error
    with container:
        for stream in container.streams.video:
            if stream.codec_context is not None:
                stream.thread_type = "AUTO"
        yield container


def _begins_as_mp4(path: Path) -> bool:
    """Whether the first box of a file is that of mp4 or mov."""
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def decode_pictures(
    container: InputContainer, path: Path | str, packets: Iterator[Encoded] | None = None
) -> Iterator[tuple[VideoFrame, Frame]]:
    """Every decoded frame with its `Frame`, in presentation order, all of the first one's size.

    packets: of the picture; by default all that the container holds.

    Raises:
        MediaError: if the file has no moving pictures, or none can be decoded.
    """
    stream = _wanted_picture(container, path)
    zero = clock_zero(container)
    size = matrix = None
    for frame in decode_frames(container, stream, packets):
        if matrix is None or size is None:
            size, matrix = (frame.width, frame.height), display_matrix(frame)
        yield frame, Frame(float(timestamp(frame) - zero), upright(frame, matrix, size))
    if size is None:
        raise MediaError(f"No frame of '{path}' can be decoded.")


def stream_frames(path: Path | str) -> Iterator[Frame]:
    """Every frame of a video in presentation order, in constant memory.

    A damaged video gives the frames that can be decoded.

    Raises:
        MediaError: if the file cannot be read, has no moving pictures, or none can be decoded.
    """
    with open_media(path) as container:
        for _, frame in decode_pictures(container, path):
            yield frame


def _wanted_picture(container: InputContainer, path: Path | str) -> VideoStream:
    stream = picture_stream(container)
    if stream is None:
        raise MediaError(f"'{path}' has no moving pictures.")
    return stream


def frames_at(path: Path | str, times: Iterable[float]) -> Iterator[Frame]:
    """For each wanted time (seconds, in any order) the frame shown then, reached by seeking.

    Before the first frame that is the first one, after the end the last. `Frame.time` is the
    frame's own time, not the wanted one.

    Raises:
        MediaError: if the file cannot be read, has no moving pictures, or none can be decoded.
    """
    with VideoReader(path) as video:
        yield from video.frames_at(times)


def _seek_frames(
    container: InputContainer, stream: VideoStream, moment: Fraction, zero: Fraction
) -> Iterator[VideoFrame] | None:
    """Frames from a key frame at or before the timestamp `moment` (seconds) on; None if none."""
    if container.format.name in BLIND or stream.time_base is None:
        return None
    back = Fraction(0)
    while moment - back >= zero:
        try:
            container.seek(math.floor((moment - back) / stream.time_base), stream=stream)
        except av.FFmpegError:
            return None
        frames = decode_frames(container, stream)
        first = next(frames, None)
        if first is not None and timestamp(first) <= moment:
            return chain([first], frames)
        back = back * 2 or Fraction(1)  # some containers land after the wanted time
    return None


def probe(path: Path | str) -> MediaInfo:
    """The metadata of a file. One frame is decoded to know its rotation.

    Raises:
        MediaError: if the file cannot be read, or holds neither sound nor moving pictures.
    """
    with VideoReader(path) as video:
        return video.info()


def _duration(path: Path | str, container: InputContainer) -> float:
    if container.duration is not None:
        return container.duration / 1_000_000
    end = zero = clock_zero(container)
    with open_media(path) as again:  # no duration in the header: the last packet tells it
        for packet in again.demux(*again.streams.video, *again.streams.audio):
            begin = end if packet.pts is None else packet.pts * packet.time_base
            end = max(end, begin + (packet.duration or 0) * packet.time_base)
    return float(end - zero)


def _sound(path: Path | str, rate: int, start: float) -> Iterator[Samples]:
    if rate <= 0 or start < 0:
        raise ValueError(f"a rate of {rate} Hz from {start} s on cannot be read")
    with open_media(path) as container:
        yield from _sound_in(container, path, rate, start)


def _sound_in(
    container: InputContainer, path: Path | str, rate: int, start: float
) -> Iterator[Samples]:
    """Blocks of sound from `start` (seconds) on, from a file opened at its first packet."""
    stream = sound_stream(container)
    if stream is None:
        raise MediaError(f"'{path}' has no sound.")
    pieces = decode_sound(container, stream, start)
    first = next(pieces, None)
    if first is None:
        raise MediaError(f"No sound of '{path}' can be decoded.")
    yield from resampled(chain([first], pieces), rate, start)


def _first_samples(blocks: Iterator[Samples], wanted: int | None) -> Samples:
    """The first samples of a sound; None, or a sound that ends sooner, gives all of it."""
    taken: list[Samples] = []
    count = 0
    for block in blocks:
        taken.append(block)
        count += len(block)
        if wanted is not None and count >= wanted:
            break
    return np.concatenate([np.zeros(0, np.float32), *taken])[:wanted]


def read_sound(
    path: Path | str, *, rate: int = 16_000, start: float = 0.0, seconds: float | None = None
) -> Samples:
    """The sound from `start` (seconds) on, mono in [-1, 1] at `rate` hertz.

    Sample 0 lies at `round(start * rate)` of the whole sound at that rate. Shorter than `seconds`
    where the sound ends sooner, empty where it has ended. Channels are averaged; where the file
    has no sound for a while (it may begin later than the picture) there is silence.

    Raises:
        MediaError: if the file cannot be read, has no sound, or none can be decoded.
    """
    wanted = None if seconds is None else round(seconds * rate)
    return _first_samples(_sound(path, rate, start), wanted)


class ExcerptReader:
    """Frames of one video with `seconds` of sound around each; frames are decoded once.

    The sound is centred on the frame, moved inwards at the ends of the video. While times rise,
    decoding goes on from the last frame. The first excerpt opens an mp4, mov, Matroska or WebM
    file once and others, whose clocks are not exact after a seek, twice; each further one opens
    it for the sound. After an error, and by `close`, nothing stays open.
    """

    def __init__(self, path: Path, *, seconds: float, rate: int = 16_000) -> None:
        self.path = path
        self._seconds, self._rate = seconds, rate
        self._opened = ExitStack()
        self._frames: Iterator[Frame] | None = None
        self._wanted = 0.0

    def read(self, time: float | None = None) -> Excerpt:
        """The frame shown at `time` (seconds; None for the middle) and the sound around it.

        Raises:
            MediaError: if the file cannot be read, has no moving pictures or no sound, or none of
                either can be decoded.
        """
        try:
            return self._read(time)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._opened.close()
        self._frames = None

    def _read(self, time: float | None) -> Excerpt:
        with ExitStack() as opened:
            video = opened.enter_context(VideoReader(self.path))
            self._wanted, start = video.around(time, self._seconds)
            sound: Samples | MediaError
            try:
                sound = video.sound(start, self._seconds, self._rate)
            except MediaError as error:
                sound = error
            if self._frames is None:
                video.rewind()
                self._opened = opened.pop_all()  # stays open for the frames of later excerpts
                self._frames = video.frames_at(iter(lambda: self._wanted, None))
        shown = next(self._frames)
        if isinstance(sound, MediaError):  # said only where there is a frame
            raise sound
        return Excerpt(self._wanted, shown.pixels, sound)


def read_sound_around(
    path: Path | str, time: float | None = None, *, seconds: float, rate: int = 16_000
) -> tuple[float, Samples]:
    """The time and sound of an excerpt, without its frame; errors as of `ExcerptReader.read`."""
    with VideoReader(path) as video:
        time, start = video.around(time, seconds)
        return time, video.sound(start, seconds, rate)


def stream_sound(
    path: Path | str, *, rate: int = 16_000, seconds: float = 10.0
) -> Iterator[Samples]:
    """The sound as `read_sound` gives it, in blocks of `seconds`, in constant memory.

    Raises:
        MediaError: if the file cannot be read, has no sound, or none can be decoded.
    """
    size = round(seconds * rate)
    kept: list[Samples] = []
    count = 0
    for block in _sound(path, rate, 0.0):
        kept.append(block)
        count += len(block)
        while count >= size:
            whole = np.concatenate(kept)
            yield whole[:size]
            kept, count = [whole[size:]], count - size
    if count:
        yield np.concatenate(kept)


class VideoReader:
    """A media file opened once, for what it holds and for its frames. Use it as a context.

    Raises:
        MediaError: if the file cannot be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._opened = ExitStack()
        self._open()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def _open(self) -> None:
        self._opened.close()
        self._container = self._opened.enter_context(open_media(self.path))
        self._picture = picture_stream(self._container)
        self._zero = clock_zero(self._container)
        self._frames: Iterator[VideoFrame] = iter(())
        if self._picture is not None:
            self._frames = decode_frames(self._container, self._picture)

    def info(self) -> MediaInfo:
        """What the file holds; call before reading frames. The first of them is decoded.

        Raises:
            MediaError: if the file holds neither sound nor moving pictures.
        """
        picture, sound = self._picture, sound_stream(self._container)
        if picture is None and sound is None:
            raise MediaError(f"'{self.path}' holds neither sound nor moving pictures.")
        width = height = frame_rate = None
        if picture is not None:
            first = self._first()
            self._frames = chain([first], self._frames)
            height, width, _ = upright(first, display_matrix(first)).shape
            frame_rate = picture.average_rate or picture.guessed_rate
        return MediaInfo(
            path=self.path,
            duration=_duration(self.path, self._container),
            width=width,
            height=height,
            frame_rate=frame_rate,
            sound_rate=sound.codec_context.sample_rate if sound else None,
            channels=sound.codec_context.layout.nb_channels if sound else None,
        )

    def _first(self) -> VideoFrame:
        frame = next(self._frames, None)
        if frame is None:
            raise MediaError(f"No frame of '{self.path}' can be decoded.")
        return frame

    def frames_at(self, times: Iterable[float]) -> Iterator[Frame]:
        """As the function `frames_at`; call once."""
        stream = _wanted_picture(self._container, self.path)
        far = math.inf if self._container.format.name in BLIND else FAR
        shown = self._first()
        following: VideoFrame | None = shown
        matrix = display_matrix(shown)
        for wanted in times:
            moment = Fraction(wanted) + self._zero
            before = timestamp(shown)
            if not 0 <= moment - before <= far:
                sought = _seek_frames(self._container, stream, moment, self._zero)
                if sought is None:
                    self._open()
                    stream = _wanted_picture(self._container, self.path)
                    sought, far = self._frames, math.inf
                self._frames = sought
                shown = following = next(self._frames, shown)
                if timestamp(shown) <= before < moment:
                    far *= 2  # key frames lie so far apart that seeking went back
            while following is not None and (shown is following or timestamp(following) <= moment):
                shown, following = following, next(self._frames, None)
            yield Frame(float(timestamp(shown) - self._zero), upright(shown, matrix))

    def around(self, time: float | None, seconds: float) -> tuple[float, float]:
        """A moment of the video, by default its middle, and where the sound around it begins.

        Raises:
            MediaError: if the file has no moving pictures.
        """
        _wanted_picture(self._container, self.path)
        duration = _duration(self.path, self._container)
        time = duration / 2 if time is None else time
        return time, min(max(time - seconds / 2, 0.0), max(duration - seconds, 0.0))

    def sound(self, start: float, seconds: float, rate: int) -> Samples:
        """`seconds` of sound from `start` on, as `read_sound`; call before `rewind`.

        Raises:
            MediaError: if the file has no sound, or none can be decoded.
        """
        blocks = _sound_in(self._container, self.path, rate, start)
        return _first_samples(blocks, round(seconds * rate))

    def rewind(self) -> None:
        """Go back to the first frame: by a seek if the container's clock is exact after one.

        A clock that begins below zero misleads the seek; the file is opened anew instead.
        """
        stream = self._picture
        starts = [each.start_time for each in self._container.streams]
        below = any(start is not None and start < 0 for start in starts)
        exact = self._container.format.name in EXACT and not below
        if not exact or stream is None or stream.start_time is None:
            self._open()
            return
        try:
            self._container.seek(stream.start_time, stream=stream)
        except av.FFmpegError:
            self._open()
        else:
            self._frames = decode_frames(self._container, stream)
