"""Key frames near wanted times: each is decoded by itself, without any frame before it."""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from hearsight.media.decode import decode_frames, usual_ticks
from hearsight.media.pixels import Display
from hearsight.media.read import Frame, VideoReader
from hearsight.media.source import MATROSKA, MP4, Encoded, MediaError, Source, open_media
from hearsight.media.timeline import Timeline, timeline_of

INDEXED = {MP4, MATROSKA}  # containers with an index of key frames, exact after a seek

LATER = (0, 4, 16)  # frames by which a key frame may be shown later than the first one is


class NearFrame(NamedTuple):
    """A frame of a film at or near a wanted time."""

    time: float  # seconds: the key frame's own time, or the wanted one if it is not a key frame
    frame: Frame


def frames_near(path: Path, wanted: Iterable[tuple[float, float]]) -> Iterator[NearFrame]:
    """For each wanted time a key frame in its neighbourhood, else the frame shown then.

    A key frame costs the decoding of itself, any other that of all from the key frame before it
    on. Whichever it is, it is the frame that reading the whole film shows at that time. By one
    thread.

    wanted: pairs of a time and how far from it a key frame may lie, both in seconds. The nearest
        one is taken, the earlier of two.

    Raises:
        MediaError: if the file cannot be read, has no moving pictures, or none can be decoded.
    """
    asked: deque[float] = deque()
    with ExitStack() as opened:
        source = opened.enter_context(open_media(path, threaded=False))
        stream = source.picture
        if stream is None:
            raise MediaError(f"'{path}' has no moving pictures.")
        timeline = timeline_of(source)
        packets = source.packets(stream, restarts=timeline.restarts)
        first = next(decode_frames(source, packets, timeline.first_picture), None)
        if first is None:
            raise MediaError(f"No frame of '{path}' can be decoded.")
        display = Display(stream, first)
        keys = _Keys(source, stream, timeline)
        others: Iterator[Frame] | None = None
        for time, reach in wanted:
            found = keys.near(time, reach)
            if found is not None:
                display.follow(found)
                own = timeline.time_of(found)
                yield NearFrame(own, Frame(own, display.pixels(found)))
                continue
            if others is None:
                reader = opened.enter_context(VideoReader(path, threaded=False))
                others = reader.frames_at(iter(asked.popleft, None))
            asked.append(time)
            yield NearFrame(time, next(others))


class _Keys:
    """The key frames of an open film, as the index of the file tells of them."""

    def __init__(self, source: Source, stream: VideoStream, timeline: Timeline) -> None:
        self._source, self._stream, self._timeline = source, stream, timeline
        self._tick = Fraction(stream.time_base or 0)
        self._stamps, self._times = array("q"), array("d")  # of the index, in ticks; in seconds
        self._lead = 0  # ticks from a stamp of the index to when the first key frame is shown
        restarted = stream.index in timeline.restarts
        if not source.exact or source.kind not in INDEXED or restarted or not self._tick:
            return
        first = self._packet(0)  # this seek also reads the index of Matroska, behind the film
        if source.kind == MP4:  # whose index has the times of decoding
            if first is None or first.pts is None or first.dts is None:
                return
            self._lead = first.pts - first.dts
        for entry in stream.index_entries:
            if entry.is_keyframe:
                self._stamps.append(entry.timestamp)
                shown = (entry.timestamp + self._lead) * self._tick - timeline.zero
                self._times.append(float(shown))

    def near(self, time: float, reach: float) -> VideoFrame | None:
        """The key frame nearest to a time (seconds), if one lies within `reach` of it."""
        after = bisect_left(self._times, time)
        places = range(max(0, after - 1), min(after + 1, len(self._times)))
        place = min(places, key=lambda each: abs(self._times[each] - time), default=None)
        if place is None or abs(self._times[place] - time) > reach:
            return None
        packet = self._key(self._stamps[place])
        if packet is None:
            return None
        frames = [*islice(decode_frames(self._source, iter([packet])), 2)]
        frame = frames[0] if len(frames) == 1 else None
        if frame is None or not frame.key_frame or frame.pict_type != PictureType.I.value:
            return None  # such as a picture from which on a film is refreshed by and by
        return frame if abs(self._timeline.time_of(frame) - time) <= reach else None

    def _key(self, stamp: int) -> Encoded | None:
        """The packet of the key frame that the index names by a stamp (ticks).

        FFmpeg seeks by the time at which a frame is shown. Of a key frame before which others are
        shown that follow it, as in open groups of pictures, that is later than of the first one.
        """
        mp4 = self._source.kind == MP4
        for frames in LATER if mp4 else LATER[:1]:
            later = frames * usual_ticks(self._stream)
            packet = self._packet(stamp + self._lead + later)
            if packet is not None and stamp == (packet.dts if mp4 else packet.pts):
                return packet
        return None

    def _packet(self, stamp: int) -> Encoded | None:
        """The packet of the key frame that a seek to a stamp (ticks) reaches."""
        try:
            self._source.container.seek(stamp, stream=self._stream)
        except (av.FFmpegError, OverflowError):
            return None
        packet = next(self._source.packets(self._stream), None)
        return packet if packet is not None and packet.is_keyframe else None
