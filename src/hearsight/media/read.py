"""Reading media files by path: metadata, frames at given times, sound.

All times are seconds since the file's first frame or sample, whichever comes first; picture and
sound share that clock.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hearsight.media.decode import decode_frames, usual_ticks
from hearsight.media.frame_numbers import FrameNumbers
from hearsight.media.key_frames import KeyFrames
from hearsight.media.pixels import Display, Pixels
from hearsight.media.sound import Samples, resampled, sound_format
from hearsight.media.sound_part import sound_from
from hearsight.media.source import (
    BLIND,
    EXACT,
    MP4,
    Encoded,
    MediaError,
    Source,
    open_media,
)
from hearsight.media.timeline import Timeline, timeline_of

LEAST = 0.01  # seconds between two wanted moments: no video has more frames
# seconds; where key frames are not known, a frame further ahead than this is reached by a seek: the
# second where frames are numbered, as numbers are surer where all frames are decoded
FAR, FAR_NUMBERED = 1.0, 3.0
KEPT = 4  # frames before a wanted time that are decoded even if no other is decoded from them


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """Metadata of a media file."""

    path: Path
    duration: float  # seconds
    width: int | None = None  # square pixels, after rotation
    height: int | None = None  # likewise
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
    number: int | None = None  # counted as frames are shown, from 0; None where nobody asked


class Excerpt(NamedTuple):
    """A frame of a video and the sound around it."""

    time: float  # seconds, as asked for
    frame: Pixels
    sound: Samples


def decode_pictures(
    source: Source, timeline: Timeline, packets: Iterator[Encoded] | None = None
) -> Iterator[tuple[VideoFrame, float, Display]]:
    """Every decoded frame, its time, and what shows it, in the order in which they are shown.

    packets: of the picture, from the first on; by default all that the source holds.

    Raises:
        MediaError: if the file has no moving pictures, or none can be decoded.
    """
    stream = _wanted_picture(source)
    if packets is None:
        packets = source.packets(stream, restarts=timeline.restarts)
    display = None
    for frame in decode_frames(source, packets, timeline.first_picture):
        display = display or Display(stream, frame)
        display.follow(frame)
        yield frame, timeline.time_of(frame), display
    if display is None:
        raise MediaError(f"No frame of '{source.path}' can be decoded.")


def stream_frames(path: Path | str) -> Iterator[Frame]:
    """Every frame of a video in presentation order, in constant memory.

    A damaged video gives the frames that can be decoded.

    Raises:
        MediaError: if the file cannot be read, has no moving pictures, or none can be decoded.
    """
    with open_media(path) as source:
        _wanted_picture(source)
        for frame, time, display in decode_pictures(source, timeline_of(source)):
            yield Frame(time, display.pixels(frame))


def _wanted_picture(source: Source) -> VideoStream:
    if source.picture is None:
        raise MediaError(f"'{source.path}' has no moving pictures.")
    return source.picture


def frames_at(path: Path | str, times: Iterable[float]) -> Iterator[Frame]:
    """For each wanted time (seconds, in any order) the frame shown then, reached by seeking.

    Before the first frame that is the first one, after the end the last. `Frame.time` is the
    frame's own time, not the wanted one.

    Raises:
        MediaError: if the file cannot be read, has no moving pictures, or none can be decoded.
    """
    with VideoReader(path) as video:
        yield from video.frames_at(times)


def probe(path: Path | str) -> MediaInfo:
    """The metadata of a file. One frame is decoded to know its rotation.

    Raises:
        MediaError: if the file cannot be read, or holds neither sound nor moving pictures.
    """
    with VideoReader(path) as video:
        return video.info()


def _sound(path: Path | str, rate: int, start: float) -> Iterator[Samples]:
    if rate <= 0 or not 0 <= start * rate < math.inf:
        raise ValueError(f"a rate of {rate} Hz from {start} s on cannot be read")
    with open_media(path) as source:
        yield from _sound_in(source, rate, start)


def _sound_in(source: Source, rate: int, start: float, *, moved: bool = False) -> Iterator[Samples]:
    """Blocks of sound from `start` (seconds) on; `moved` as of `sound_from`."""
    if source.sound is None:
        raise MediaError(f"'{source.path}' has no sound.")
    pieces = sound_from(source, timeline_of(source), start, moved=moved)
    first = next(pieces, None)
    if first is None:
        raise MediaError(f"No sound of '{source.path}' can be decoded.")
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
        ValueError: a rate that is not above 0, or times below 0, without end, or too long to count.
    """
    if seconds is not None and not 0 <= seconds * rate < math.inf:
        raise ValueError(f"{seconds} s of sound cannot be read")
    wanted = None if seconds is None else round(seconds * rate)
    return _first_samples(_sound(path, rate, start), wanted)


class ExcerptReader:
    """Frames of one video with `seconds` of sound around each; frames are decoded once.

    The sound is centred on the frame, moved inwards at the ends of the video. While times rise,
    decoding goes on from the last frame. The first excerpt opens the file, the second once more for
    this and all later sounds. After an error, and by `close`, nothing stays open. Other videos are
    usually read meanwhile, so each is decoded by one thread.
    """

    def __init__(self, path: Path, *, seconds: float, rate: int = 16_000) -> None:
        self.path = path
        self._seconds, self._rate = seconds, rate
        self._opened = ExitStack()
        self._frames: Iterator[Frame] | None = None  # of the reader of the first excerpt
        self._heard: VideoReader | None = None  # by which the sounds of later ones are read
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
        self._frames = self._heard = None

    def _read(self, time: float | None) -> Excerpt:
        video, moved = self._heard, self._heard is not None
        if video is None:
            video = self._opened.enter_context(VideoReader(self.path, threaded=False))
        self._wanted, start = video.around(time, self._seconds)
        sound: Samples | MediaError
        try:
            sound = video.sound(start, self._seconds, self._rate, moved=moved)
        except MediaError as error:
            sound = error
        if self._frames is None:
            video.rewind()
            self._frames = video.frames_at(iter(lambda: self._wanted, None))
        else:
            self._heard = video
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
        ValueError: a rate that is not above 0, or blocks of no sample or too many to count.
    """
    size = round(seconds * rate) if 0 <= seconds * rate < math.inf else 0
    if size < 1:
        raise ValueError(f"sound cannot be read in blocks of {seconds} s at {rate} Hz")
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

    def __init__(self, path: Path | str, *, threaded: bool = True) -> None:
        """`threaded` as of `Source`."""
        self.path = Path(path)
        self._source = Source(self.path, threaded=threaded)
        self._numbers: FrameNumbers | None = None
        self._until: int | None = None  # ticks; see `_whole_from`
        try:
            self._timeline = timeline_of(self._source)
        except BaseException:
            self.close()
            raise
        self._restart()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    def _restart(self) -> None:
        """Decode from the first packet on, at which the source is."""
        self._until = None
        self._frames: Iterator[VideoFrame] = iter(())
        picture, timeline = self._source.picture, self._timeline
        if picture is not None:
            packets = self._source.packets(picture, restarts=timeline.restarts)
            first = timeline.first_picture
            self._frames = decode_frames(self._source, packets, first, lambda: self._until)

    def info(self) -> MediaInfo:
        """What the file holds; call before reading frames. The first of them is decoded.

        Raises:
            MediaError: if the file holds neither sound nor moving pictures.
        """
        picture, sound = self._source.picture, self._source.sound
        if picture is None and sound is None:
            raise MediaError(f"'{self.path}' holds neither sound nor moving pictures.")
        width = height = frame_rate = None
        if picture is not None:
            first = self._first()
            self._frames = chain([first], self._frames)
            width, height = Display(picture, first).size
            frame_rate = self._source.frame_rate
        known = sound_format(sound, self._again()) if sound else None
        rate, channels = known or (None, None)
        return MediaInfo(
            path=self.path,
            duration=self._timeline.duration,
            width=width,
            height=height,
            frame_rate=frame_rate,
            sound_rate=rate,
            channels=channels,
        )

    def _again(self) -> Iterator[Encoded]:
        """The packets of the sound, beside those of which frames are decoded."""
        with open_media(self.path) as source:
            assert source.sound is not None
            yield from source.packets(source.sound)

    def _first(self) -> VideoFrame:
        frame = next(self._frames, None)
        if frame is None:
            raise MediaError(f"No frame of '{self.path}' can be decoded.")
        return frame

    def frames_at(self, times: Iterable[float], *, numbered: bool = False) -> Iterator[Frame]:
        """As the function `frames_at`; call once.

        numbered: tell the number of each frame. The first seek then takes a pass over the packets
        of the file, and where they do not tell which frame is which, all frames are decoded.
        """
        stream = _wanted_picture(self._source)
        far = (FAR_NUMBERED if numbered else FAR) if self._seekable() else math.inf
        hurried = not numbered and self._source.kind in EXACT and self._seekable()
        keys = KeyFrames() if numbered else self._keys()
        shown = self._first()
        following: VideoFrame | None = shown
        number = 0
        display = Display(stream, shown)
        for wanted in times:
            before = self._time(shown)
            wanted = float(min(wanted, self._timeline.duration))
            self._until = self._whole_from(wanted) if hurried else None
            reached = before if following is None else self._time(following)
            if wanted < before or keys.jumps(reached, wanted, far):
                sought = self._jump(wanted, (shown, number) if numbered else None)
                if sought is None:
                    self._source.rewind()
                    self._restart()
                    sought, far, hurried = (self._frames, 0), math.inf, False
                    keys = KeyFrames()
                self._frames, number = sought
                shown = following = next(self._frames, shown)
                if self._time(shown) <= before < wanted:
                    far *= 2  # key frames lie so far apart that seeking went back
            while following is not None and (shown is following or self._time(following) <= wanted):
                number += shown is not following
                shown, following = following, next(self._frames, None)
                display.follow(shown)
                late = following is None or self._time(following) > wanted
                if self._until is not None and late and self._time(shown) < wanted - self._margin():
                    # a frame that was left out may be shown so long; every frame is decoded now
                    self._until = None
                    sought_again = self._seek(wanted)
                    if sought_again is None:
                        self.rewind()
                    else:
                        self._frames = sought_again
                    shown = following = next(self._frames, shown)
            yield Frame(self._time(shown), display.pixels(shown), number if numbered else None)

    def _jump(
        self, wanted: float, counted: tuple[VideoFrame, int] | None
    ) -> tuple[Iterator[VideoFrame], int] | None:
        """Frames from a key frame at or before a time on, and the number of the first.

        None if no key frame can be reached or its number is not known. counted: the last frame
        and its number; without it numbers are not wanted.
        """
        if not self._seekable():
            return None
        if counted is not None:
            self._numbers = self._numbers or FrameNumbers(self.path)
            if self._numbers.number_of(counted[0]) != counted[1]:
                return None
        frames = self._seek(wanted)
        if frames is None or self._numbers is None:
            return None if frames is None else (frames, 0)
        first = next(frames)
        number = self._numbers.number_of(first)
        return None if number is None else (chain([first], frames), number)

    def _time(self, frame: VideoFrame) -> float:
        return self._timeline.time_of(frame)

    def _seekable(self) -> bool:
        """Whether frames after a seek have the times that reading from the start gives them."""
        source = self._source
        if source.picture is None or source.reordered or source.kind in BLIND:
            return False
        return bool(source.picture.time_base) and (
            source.picture.index not in self._timeline.restarts
        )

    def _margin(self) -> float:
        """Seconds before a wanted time from which on every frame is decoded."""
        stream = _wanted_picture(self._source)
        return float(KEPT * usual_ticks(stream) * Fraction(stream.time_base or 0))

    def _whole_from(self, wanted: float) -> int:
        """The stamp (ticks) from which on every frame is decoded to find the one at a time.

        Of those before it, the ones that no other is decoded from may be left out.
        """
        tick = Fraction(_wanted_picture(self._source).time_base or 0)
        return round((Fraction(wanted - self._margin()) + self._timeline.zero) / tick)

    def _keys(self) -> KeyFrames:
        """The key frames that the index of the file tells of."""
        stream = self._source.picture
        if stream is None or self._source.kind != MP4 or not stream.time_base:
            return KeyFrames()
        return KeyFrames.of(stream, self._timeline.zero)

    def _seek(self, wanted: float) -> Iterator[VideoFrame] | None:
        """Frames from a key frame at or before a time on; None if none can be reached."""
        stream = _wanted_picture(self._source)
        assert stream.time_base is not None
        back = 0.0
        while wanted - back >= 0:
            ticks = (Fraction(wanted - back) + self._timeline.zero) / stream.time_base
            try:
                self._source.container.seek(round(ticks), stream=stream)
            except av.FFmpegError:
                return None
            packets = self._source.packets(stream)
            frames = decode_frames(self._source, packets, until=lambda: self._until)
            first = next(frames, None)
            # some containers land after the wanted time; and where a film is refreshed by and by
            # what comes first may be wrong, which nothing tells but that it is no key frame
            if first is not None and self._time(first) <= wanted and first.key_frame:
                return chain([first], frames)
            back = back * 2 or 1.0
        return None

    @property
    def duration(self) -> float:
        """Seconds."""
        return self._timeline.duration

    def around(
        self, time: float | None, seconds: float, *, latest: float = math.inf
    ) -> tuple[float, float]:
        """A moment of the video, by default its middle, and where the sound around it begins.

        latest: seconds; the middle of a longer video is taken to be there.

        Raises:
            MediaError: if the file has no moving pictures.
        """
        _wanted_picture(self._source)
        duration = self._timeline.duration
        time = min(duration / 2, latest) if time is None else time
        return time, min(max(time - seconds / 2, 0.0), max(duration - seconds, 0.0))

    def sound(self, start: float, seconds: float, rate: int, *, moved: bool = False) -> Samples:
        """`seconds` of sound from `start` on, as `read_sound`; frames only after `rewind` then.

        moved: whether frames have been read.

        Raises:
            MediaError: if the file has no sound, or none can be decoded.
        """
        blocks = _sound_in(self._source, rate, start, moved=moved)
        return _first_samples(blocks, round(seconds * rate))

    def rewind(self) -> None:
        """Go back to the first frame."""
        self._source.rewind()
        self._restart()
