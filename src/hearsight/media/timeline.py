"""One clock for picture and sound: where time 0 and the end lie, and where the file's clock jumps.

Time 0 is the first frame or first sample that is read, whichever comes first, wherever the clock of
the file begins. The end is that of the last frame or sample that is read: a container's own
duration also counts subtitles and further sounds.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain, islice, pairwise
from math import ceil, floor
from pathlib import Path
from statistics import median_low
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hearsight.media.decode import (
    decode_frames,
    picture_step,
    settle_pictures,
    timestamp,
    usual_ticks,
)
from hearsight.media.settle import JITTER, LONGEST_HOLE, Settler, Stamped
from hearsight.media.sound import (
    exact_length,
    packet_length,
    sound_pieces,
    trailing_padding,
)
from hearsight.media.source import (
    BLIND,
    UNSTAMPED,
    Encoded,
    MediaError,
    Restarts,
    SharedPackets,
    Source,
    file_state,
    open_media,
)
from hearsight.media.stated_length import stated_length

ALIKE = 2.0  # seconds by which a restart may differ between picture and sound
REORDERED = 16  # packets among which pictures are not in the order in which they are shown
TAIL = 2.0  # seconds before the stated end that are read first to find the last packets
REMEMBERED = 64  # files whose timelines are kept
UNDOUBTED = 6 * 3600  # seconds; of a longer file it is looked at whether it holds so much
PLACES = 40  # of such a file that are looked at, at least, before it is read as a whole
NEAR = 60  # seconds from such a place to a packet
MOST_EMPTY = 10  # times what a file holds that it may last
MINUTE = 60  # seconds that a packet lasts at most, when what a file holds is summed
LATE = ("wmav1", "wmav2")  # sounds whose decoder gives a frame beyond the end of the last packet
UNSTATED = -(1 << 63)  # stands for a time stamp that a packet does not have


@dataclass(frozen=True, slots=True)
class Timeline:
    """The clock of a file, on which time 0 is the first frame or sample that is read."""

    zero: Fraction  # seconds on the clock of the file
    end: Fraction  # seconds on the clock of the file, restarts added
    first_picture: int = 0  # ticks of the first frame, where the file does not state them
    restarts: Restarts = field(default_factory=dict)
    sound_end: Fraction | None = None  # where the decoder gives more sound than there is

    @property
    def duration(self) -> float:
        """Seconds from time 0 to the end of the last frame or sample."""
        return float(self.end - self.zero)

    def time_of(self, frame: VideoFrame) -> float:
        """Seconds from time 0 to when a frame is shown."""
        assert frame.pts is not None
        tick, zero = frame.time_base or Fraction(0), self.zero
        over = frame.pts * tick.numerator * zero.denominator - zero.numerator * tick.denominator
        return max(0.0, over / (tick.denominator * zero.denominator))  # as of fractions, but faster


def timeline_of(source: Source) -> Timeline:
    """The timeline of an open file, found by a pass of its own over the packets.

    A file whose clock is exact after a seek is read at both ends only, any other once as a whole,
    without decoding. The last `REMEMBERED` files are not read again unless they change.
    """
    return _remembered(source.path, *file_state(source.path))


@lru_cache(maxsize=REMEMBERED)
def _remembered(path: Path, *_: int) -> Timeline:
    with open_media(path, threaded=False) as source:
        return _as_stated(source, _by_packets(source))


def _as_stated(source: Source, timeline: Timeline) -> Timeline:
    """The timeline of a sound file without what fills up its last block."""
    sound = source.sound
    if source.picture is not None or sound is None or not sound.codec_context.sample_rate:
        return timeline
    rate = sound.codec_context.sample_rate
    decoded = round((timeline.end - timeline.zero) * rate)
    stated = stated_length(source.path, sound.codec_context.name, decoded)
    if stated is None:
        return timeline
    end = timeline.zero + Fraction(stated, rate)
    return replace(timeline, end=end, sound_end=end)


def _by_packets(source: Source) -> Timeline:
    """The timeline that the packets tell."""
    late = source.sound is not None and source.sound.codec_context.name in LATE
    if source.exact and not late:
        timeline = _survey(source, _tracks(source), whole=False)
        end = _end_of_tail(source, timeline)
        if end is not None and _is_believed(source, timeline.zero, end):
            return Timeline(timeline.zero, end, timeline.first_picture)
        source.rewind()
    if source.joined_flac:  # where two meet, several frames come as one packet
        return Timeline(Fraction(0), _end_of_sound(source))
    tracks = _tracks(source)
    timeline = _survey(source, tracks, whole=True)
    told = source.sound is None or any(tracks[source.sound.index].lengths)
    if not told or (late and not timeline.restarts):
        source.rewind()
        return replace(timeline, end=max(timeline.end, _end_of_sound(source)))
    held = max((track.held() for track in tracks.values()), default=0.0)
    if timeline.duration > max(UNDOUBTED, MOST_EMPTY * held):
        raise MediaError(
            f"'{source.path}' is damaged: by its clock it lasts {timeline.duration:,.0f} s, but it"
            f" holds {held:,.1f} s of picture or sound."
        )
    return timeline


class _Track:
    """What the packets of one stream state, in samples of a sound and ticks of a picture."""

    def __init__(self, source: Source, stream: VideoStream | AudioStream) -> None:
        self.source, self.stream = source, stream
        self.tick = Fraction(stream.time_base or 1)  # seconds
        sound = isinstance(stream, AudioStream) and stream.codec_context.sample_rate
        self.rate = Fraction(sound or 1 / self.tick)  # units per second
        self.shown, self.stored = array("q"), array("q")  # times of showing and of decoding
        self.lengths = array("q")
        self.order = array("q")  # the packet's number among those of both streams
        self.exact = True  # whether packets of a sound tell their lengths
        self._last: Encoded | None = None  # packet of a sound
        edit = source.edit(stream)
        self.edit_end = None if edit is None else edit.end
        self._beyond = (lambda _: Fraction(0)) if edit is None else edit.beyond
        # the same in whole ticks, and units in a tick: whole numbers are many times as fast
        self._end = None if self.edit_end is None else ceil(self.edit_end / self.tick)
        self._longest = floor(Fraction(LONGEST_HOLE) / self.tick)
        scale = self.tick * self.rate
        self._scale = scale.numerator if scale.denominator == 1 else scale

    def note(self, packet: Encoded, order: int) -> None:
        """Note a packet, unless it lies beyond the edit of its track."""
        stated, end = packet.pts, self._end
        if stated is not None and end is not None and stated >= end:
            return
        shown, stored = self._units(packet.pts), self._units(packet.dts)
        if self.source.kind in UNSTAMPED and shown == stored == UNSTATED:
            # a bare stream of pictures: one after the other
            shown = stored = self.stored[-1] + self.lengths[-1] if self.order else 0
        if self.source.reordered and self.stream is self.source.picture and stored != UNSTATED:
            shown = stored  # frames get the stamps of decoding, the earliest that is left each
        if self.order and self.source.untimed_sound and isinstance(self.stream, AudioStream):
            shown = stored = UNSTATED  # one after the other
        self.shown.append(stored if shown == UNSTATED else shown)
        self.stored.append(shown if isinstance(self.stream, AudioStream) else stored)
        self.order.append(order)
        if isinstance(self.stream, AudioStream):
            length = exact_length(self.stream, packet, int(self.rate))
            self.exact = self.exact and length is not None
            self.lengths.append(packet_length(self.stream, packet) if length is None else length)
            self._last = packet
        else:
            length = packet.duration or 0
            believed = 0 < length <= self._longest
            self.lengths.append(length if believed else usual_ticks(self.stream))

    @property
    def padding(self) -> int:
        """Units at the end of the last packet that do not belong to it."""
        if self._last is None or not isinstance(self.stream, AudioStream):
            return 0
        return trailing_padding(self.stream, self._last)

    def _units(self, ticks: int | None) -> int:
        return UNSTATED if ticks is None else round(ticks * self._scale)

    def settler(self, added: "_Added" = ()) -> Settler:
        """The packets in the order of decoding, with seconds added from some of them on."""
        stamps = (
            Stamped(None if place == UNSTATED else place + self._shift(number, added), length)
            for number, (place, length) in enumerate(zip(self.stored, self.lengths, strict=True))
        )
        if isinstance(self.stream, VideoStream):
            return settle_pictures(self.stream, stamps)
        return Settler(stamps, float(self.rate))

    def _shift(self, number: int, added: "_Added") -> int:
        if not added:
            return 0
        seconds = next((value for first, value in reversed(added) if first <= number), 0)
        return round(seconds * self.rate)

    def end(self, before: int | None = None, added: "_Added" = ()) -> Fraction:
        """When the last of the packets before one ends, in seconds; a wrong stamp does not count.

        No picture is shown more than `REORDERED` frames before one that is decoded earlier.
        """
        before = len(self.shown) if before is None else before
        settled = enumerate(islice(self.settler(added), before))
        if isinstance(self.stream, AudioStream):
            if self.stream.codec_context.name == "vorbis":  # only the page of a packet is exact
                last = before - 1
                return (
                    self.shown[last] + self._shift(last, added) + self.lengths[last]
                ) / self.rate
            ends = [
                self._counted(number, each.place, added) + self.lengths[number]
                for number, each in settled
            ]
            end = (max(ends) - (self.padding if before == len(self.shown) else 0)) / self.rate
            return end - self._beyond(end)
        shown: list[Stamped] = []
        for number, each in settled:
            shift, stored = self._shift(number, added), self.stored[number]
            if stored != UNSTATED:
                shift += picture_step(self.stream, stored + shift, each.place)
            shown.append(Stamped(self.shown[number] + shift, self.lengths[number]))
        if self.source.kind in BLIND:
            places = settle_pictures(self.stream, sorted(shown), blind=True)
            return max(place.place + self.lengths[0] for place in places) / self.rate
        known = [(place or 0, length) for place, length in shown if place != UNSTATED]
        latest = known[-REORDERED:]
        ends = [place + length for place, length in latest] or [0]
        stamps = sorted(place for place, _ in latest)
        steps = [late - early for early, late in pairwise(stamps)]
        most = REORDERED * max(usual_ticks(self.stream), median_low(steps or [0]))
        return max(end for n, end in enumerate(ends) if end - min(ends[n:]) <= most) / self.rate

    def _counted(self, number: int, settled: int, added: "_Added") -> int:
        """The settled place of a packet of sound; where lengths are rounded, its own nearby.

        Such lengths do not add up.
        """
        own = self.stored[number]
        if self.exact or own == UNSTATED:
            return settled
        own += self._shift(number, added)
        return own if abs(own - settled) <= JITTER * self.rate else settled

    def shown_end(self) -> Fraction:
        """When the last packet ends; a picture ends with the edit of its track."""
        if self.edit_end is None or isinstance(self.stream, AudioStream):
            return self.end()
        return min(self.end(), self.edit_end)

    def held(self) -> float:
        """Seconds that all packets together last, none more than a minute."""
        minute = round(MINUTE * self.rate)
        return float(sum(min(length, minute) for length in self.lengths) / self.rate)

    def begin(self, number: int) -> Fraction:
        """When the first of the packets from one on begins, in seconds."""
        stated = [each for each in self.shown[number : number + REORDERED] if each != UNSTATED]
        if isinstance(self.stream, AudioStream):
            stated = stated[:1]
        return min(stated, default=0) / self.rate


_Added: TypeAlias = Sequence[tuple[int, Fraction]]  # packet from which on, seconds


def _survey(source: Source, tracks: dict[int, _Track], *, whole: bool) -> Timeline:
    """The timeline by a pass over the packets: all of them, or those up to the first frames.

    Without the whole, its end is that of what was read.
    """
    shared = SharedPackets(source, _noted(source, tracks))
    starts: list[Fraction] = []
    first_picture, lead = 0, Fraction(0)
    if source.picture is not None:
        packets = shared.of(source.picture)
        head, first_picture = _unstated_head(packets, source.picture)
        frame = next(decode_frames(source, chain(head, packets), first_picture), None)
        starts += [] if frame is None else [timestamp(frame)]
        shared.drop(source.picture)
    if source.sound is not None:
        begin, lead = _first_sound(source, shared.of(source.sound))
        starts += [] if begin is None else [begin]
        shared.drop(source.sound)
    if whole:
        for _ in shared.rest():
            pass
    added = _restarts(tracks) if whole else {}
    ends = {i: track.end(added=added.get(i, ())) for i, track in tracks.items() if track.order}
    sound_end = None
    if lead and source.sound is not None:
        sound_end = ends.get(source.sound.index)
        rows = added.get(source.sound.index, [])
        added[source.sound.index] = [(0, -lead), *((n, moved - lead) for n, moved in rows)]
    zero = min(starts, default=Fraction(0))
    restarts = {
        index: [(number, round(seconds / tracks[index].tick)) for number, seconds in rows]
        for index, rows in added.items()
    }
    end = max(ends.values(), default=zero)
    return Timeline(zero, end, first_picture, restarts, sound_end)


def _first_sound(source: Source, packets: Iterator[Encoded]) -> tuple[Fraction | None, Fraction]:
    """When the first sample is heard, and seconds by which FFmpeg gives it too late.

    The first packet of Vorbis gives no samples, and is to begin before time 0. In an Ogg file of a
    single page FFmpeg lets it begin at 0, and all that follows too late.
    """
    head = list(islice(packets, 1))
    piece = next(sound_pieces(source, chain(head, packets), Fraction(0)), None)
    if piece is None:
        return None, Fraction(0)
    begin, stream = Fraction(piece.place, piece.rate), source.sound
    vorbis = stream is not None and (source.kind, stream.codec_context.name) == ("ogg", "vorbis")
    if not vorbis or head[0].pts != 0:
        return begin, Fraction(0)
    return Fraction(0), begin


def _tracks(source: Source) -> dict[int, _Track]:
    streams = (source.picture, source.sound)
    return {stream.index: _Track(source, stream) for stream in streams if stream is not None}


def _noted(
    source: Source, tracks: dict[int, _Track], since: Fraction | None = None
) -> Iterator[Encoded]:
    """The packets of the tracks from here on, each noted in its track.

    since: seconds on the clock of the file; packets that are decoded before are passed over.
    """
    if not tracks:
        return
    first = {i: None if since is None else since / each.tick for i, each in tracks.items()}
    packets = source.packets(*(track.stream for track in tracks.values()))
    for order, packet in enumerate(packets):
        begin = first[packet.stream_index]
        if begin is None or packet.dts is None or packet.dts >= begin:
            first[packet.stream_index] = None
            tracks[packet.stream_index].note(packet, order)
            yield packet


def _unstated_head(packets: Iterator[Encoded], stream: VideoStream) -> tuple[list[Encoded], int]:
    """The first packets, and ticks of the first picture where they state no times.

    Matroska does not keep the times of pictures below zero; they are counted back from the first
    that is kept.
    """
    head: list[Encoded] = []
    for packet in packets:
        head.append(packet)
        if packet.pts is not None:
            break
    if not head or head[-1].pts is None or len(head) == 1:
        return head, 0
    head.extend(islice(packets, REORDERED))
    stated = [packet.pts for packet in head if packet.pts is not None]
    return head, min(stated) - (len(head) - len(stated)) * usual_ticks(stream)


def _end_of_tail(source: Source, timeline: Timeline) -> Fraction | None:
    """The end of the last packets, found by seeking; None where that does not tell it."""
    if source.container.duration is None:
        return None
    back = TAIL
    stated = Fraction(source.container.duration, av.time_base)
    while stated - back > 0:
        tracks = _tracks(source)
        try:
            source.container.seek(int((stated - back + timeline.zero) * av.time_base))
        except (av.FFmpegError, OverflowError):
            return None
        for _ in _noted(source, tracks, since=stated - Fraction(back) + timeline.zero):
            pass
        if all(len(track.order) > 1 for track in tracks.values()):
            told = all(any(track.lengths) for track in tracks.values())
            if not told or _restarts(tracks):
                return None
            return max(track.shown_end() for track in tracks.values())
        back *= 4
    return None


def _is_believed(source: Source, zero: Fraction, end: Fraction) -> bool:
    """Whether both ends of a file tell its timeline, or it must be read as a whole.

    They do not where a stream may have a hole so long that its clock counts as beginning anew: such
    a hole lies between two places with packets that are as far apart. Of a file that lasts longer
    than `UNDOUBTED` a packet is to be near most of the places that are looked at, too.
    """
    if end - zero <= LONGEST_HOLE:
        return True
    doubted = end - zero > UNDOUBTED
    streams = [each for each in (source.picture, source.sound) if each is not None]
    latest = {stream.index: zero for stream in streams}
    count = max(PLACES if doubted else 1, ceil(2 * (end - zero) / Fraction(LONGEST_HOLE)))
    near = 0
    for number in range(count):
        place = zero + (end - zero) * (2 * number + 1) / (2 * count)
        begins = _begins_near(source, streams, place)
        if any(begins.get(i, end) - latest[i] > LONGEST_HOLE for i in latest):
            return False
        latest |= begins
        near += any(abs(begin - place) <= NEAR for begin in begins.values())
    whole = all(end - each <= LONGEST_HOLE for each in latest.values())
    return whole and (near > count / 2 or not doubted)


def _begins_near(
    source: Source, streams: Sequence[VideoStream | AudioStream], place: Fraction
) -> dict[int, Fraction]:
    """When the first packet of each stream after a seek is decoded, in seconds.

    A stream that has none up to `LONGEST_HOLE` beyond the place is not among them.
    """
    begins: dict[int, Fraction] = {}
    try:
        source.container.seek(int(place * av.time_base))
    except (av.FFmpegError, OverflowError):
        return begins
    for packet in source.packets(*streams):
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            continue
        begin = stamp * packet.time_base
        begins.setdefault(packet.stream_index, begin)
        if len(begins) == len(streams) or begin - place > LONGEST_HOLE:
            break
    return begins


def _end_of_sound(source: Source) -> Fraction:
    """When the last sample ends, found by decoding: for packets that do not tell their lengths."""
    assert source.sound is not None
    end = Fraction(0)
    for piece in sound_pieces(source, source.packets(source.sound), Fraction(0)):
        end = Fraction(piece.place + len(piece.samples), piece.rate)
    return end


def _restarts(tracks: dict[int, _Track]) -> dict[int, list[tuple[int, Fraction]]]:
    """The packets at which a track's clock begins anew, and the seconds added from there on.

    Where the clocks of picture and sound begin anew by about the same step, it is one event:
    both are moved by the same, so that the first of the new part follows the last of the old.
    """
    events = sorted(
        (track.order[number], index, number, settled.restart / track.rate)
        for index, track in tracks.items()
        for number, settled in enumerate(track.settler())
        if settled.restart
    )
    added: dict[int, list[tuple[int, Fraction]]] = {}
    while events:
        _, index, number, step = events.pop(0)
        parts = [(index, number)]
        if events and events[0][1] != index and abs(events[0][3] - step) <= ALIKE:
            parts.append(events.pop(0)[1:3])
        end = max(tracks[i].end(n, added.get(i, ())) for i, n in parts)
        begin = min(tracks[i].begin(n) for i, n in parts)
        for i, n in parts:
            added.setdefault(i, []).append((n, end - begin))
    return added
