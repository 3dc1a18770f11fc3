"""Opening media files: the two streams that are read, and their packets as the file holds them."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from hearsight.errors import HearsightError
from hearsight.files.content import check_ends
from hearsight.media.edit_list import Edit, single_edits, stated_by_itunes
from hearsight.media.sound_heads import NewHead, Spliced, WideSamples, sound_in
from hearsight.media.stated_length import holds_two_flac

if TYPE_CHECKING:  # generic only there
    Encoded: TypeAlias = Packet[Any]
else:
    Encoded = Packet

# for each stream (by its index) the ticks added to its stamps from the packet of a number on
Restarts: TypeAlias = Mapping[int, Sequence[tuple[int, int]]]

# containers whose clock goes on without a break, and whose time stamps are still true after a seek
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"
EXACT = {MP4, MATROSKA, "wav", "flac"}
# containers without presentation times: FFmpeg guesses them in the order of decoding
UNSTAMPED = {"avi", "h264", "hevc", "m4v", "mpegvideo", "vc1"}
RATELESS = UNSTAMPED - {"avi"}  # pictures without a container: FFmpeg states 25 a second of all
# sounds without a container: FFmpeg counts their times, by the rate of the first packet and in
# whole ticks for each, which do not add up
UNTIMED = {"aac", "loas", "mp3", "ac3", "eac3", "dts", "sbc"}
# sounds in AVI that FFmpeg writes as if they had blocks of some bytes, and reads back by these
BLOCKLESS = {"speex", "dca"}
PRIMING = 2112  # samples; no encoder of AAC or MP3 begins earlier than this before its sound
SBR = ("HE-AAC", "HE-AACv2")  # profiles of AAC whose upper octave is coded apart (SBR)
# in samples of the lower octaves, of which a packet holds 1024: how much earlier encoders of such
# sound begin, and by how much the upper octave delays what a decoder gives
SBR_PRIMING, SBR_DELAY, SBR_FRAME = 3553, 481, 1024
REMEMBERED = 64  # files of FLAC of which it is known whether they were joined
HEADS = 3  # first packets that tell a decoder of AAC how the upper octave is coded
# what PyAV raises where a file is damaged; the second at its end, if a stream began in mid-file
DAMAGE = (av.FFmpegError, IndexError)
BLIND = {"mpeg"}  # containers whose time stamps are guesses after a seek


class MediaError(HearsightError):
    """A media file that cannot be read or written; names the file and says why."""


class Source:
    """A media file that is open: its first moving pictures and first sound that can be decoded."""

    def __init__(self, path: Path, *, threaded: bool = True) -> None:
        """Open `path` at its first packet.

        threaded: decode pictures by several threads: sooner done, but by a half more work, so not
        where other files are read meanwhile, or for a frame or two.

        Raises:
            MediaError: if it is missing, not a file, empty, unreadable or not a media file.
        """
        self.path = existing_file(path)
        self._threaded = threaded
        edits = single_edits(path) if _begins_as_mp4(path) else []
        self._options = {"advanced_editlist": "0"} if edits else {}
        self._address: str | Spliced = f"file:{path}"
        self._format: str | None = None  # told by the content
        sound = sound_in(path)
        if isinstance(sound, WideSamples):
            self._address = f"subfile,,start,{sound.begin},end,{sound.end},,:file:{path}"
            self._format = f"s{8 * sound.width}le"
            layout = f"{sound.channels}c" if sound.channels > 1 else "mono"
            self._options |= {"sample_rate": str(sound.rate), "ch_layout": layout}
        elif isinstance(sound, NewHead):
            self._address = Spliced(path, sound)
        elif sound is not None:
            self._address = f"subfile,,start,0,end,{sound},,:file:{path}"
        self._open()
        # FFmpeg gives each track a stream, in their order; where it does not, it has to apply edits
        tracks = [stream for stream in self.container.streams if not _is_cover(stream)]
        if edits and len(edits) != len(tracks):
            edits, self._options = None, {}
            self.rewind()
        self._edited = edits is None  # by FFmpeg: several edits to a track
        self._edits: dict[int, Edit | None] = {}
        if edits:
            self._edits = {track.index: edit for track, edit in zip(tracks, edits, strict=True)}
        elif edits == [] and (edit := self._stated_by_itunes()) and self.sound is not None:
            self._edits = {self.sound.index: edit}
        self._late = self._sbr_delay()  # ticks by which a decoder gives the sound too late

    def _open(self) -> None:
        options = {"protocol_whitelist": "file,subfile", **self._options}
        try:
            self.container: InputContainer = av.open(
                self._address, "r", format=self._format, options=options
            )
        except (av.FFmpegError, ValueError) as error:
            if _begins_as_mp4(self.path):
                why = "is cut off or damaged: it begins as an mp4 file, but its index is missing."
            else:
                why = "is not a media file, or its beginning is damaged."
            raise MediaError(f"'{self.path}' {why}") from error
        for stream in self.container.streams.video:
            if stream.codec_context is not None:
                stream.thread_type = "AUTO" if self._threaded else "NONE"
        self.picture = _picture_stream(self.container)
        self.sound = _sound_stream(self.container)
        if self.kind == "caf" and self.sound and self.sound.codec_context.name == "alac":
            # FFmpeg would cut what fills up the last packet once more, which its decoder leaves out
            self.sound.codec_context.flags2 |= Flags2.skip_manual

    def close(self) -> None:
        self.container.close()
        if isinstance(self._address, Spliced):
            self._address.close()

    def rewind(self) -> None:
        """Back to the first packet."""
        self.container.close()
        if isinstance(self._address, Spliced):
            self._address.seek(0)
        self._open()

    @property
    def kind(self) -> str:
        """FFmpeg's name of the container's format."""
        return self.container.format.name

    @property
    def exact(self) -> bool:
        """Whether times after a seek are those that reading from the start gives."""
        return self.kind in EXACT and not self._edited and not self.joined_flac

    @property
    def joined_flac(self) -> bool:
        """Whether it is several FLAC files in one."""
        return self.kind == "flac" and _holds_two_flac(self.path, *file_state(self.path))

    @property
    def reordered(self) -> bool:
        """Whether pictures are shown in another order than they lie in, and no stamp tells it."""
        picture = self.picture
        return (
            self.kind in UNSTAMPED
            and picture is not None
            and bool(picture.codec_context.has_b_frames)
        )

    @property
    def untimed_sound(self) -> bool:
        """Whether nothing tells of the sound when it is heard, but that its packets follow."""
        sound = self.sound
        blockless = sound is not None and sound.codec_context.name in BLOCKLESS
        return self.kind in UNTIMED or (self.kind == "avi" and blockless)

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, the mean where they vary; None without moving pictures."""
        picture = self.picture
        if picture is None:
            return None
        mean, guess = picture.average_rate, picture.guessed_rate
        return guess or mean if self.kind in RATELESS else mean or guess

    @cached_property
    def even_sound(self) -> int | None:
        """The ticks from each packet of the sound to the next, by the index of an mp4 file.

        None where they are not alike, or the index does not hold the whole sound.
        """
        sound = self.sound
        if self.kind != MP4 or sound is None or not sound.duration:
            return None
        count = len(sound.index_entries)
        stamps = np.fromiter((each.timestamp for each in sound.index_entries), np.int64, count)
        steps = np.diff(stamps)
        if not len(steps) or (steps != steps[0]).any():
            return None
        left = int(stamps[0]) + sound.duration - int(stamps[-1])  # ticks of the last packet
        return int(steps[0]) if 0 < left <= steps[0] else None

    def edit(self, stream: VideoStream | AudioStream) -> Edit | None:
        """The part of a stream that is shown, where the decoder does not see to it."""
        if stream is self.sound and self._primed():
            return Edit(Fraction(0), None)
        return self._edits.get(stream.index)

    def _stated_by_itunes(self) -> Edit | None:
        """What a sound file states in its tag iTunSMPB; FFmpeg 8.1 counts it in samples, always."""
        sound, tag = self.sound, self.container.metadata.get("iTunSMPB")
        if self.kind != MP4 or self.picture is not None or sound is None or tag is None:
            return None
        first = next(iter(sound.index_entries), None)
        if first is None or first.timestamp or not sound.duration or not sound.time_base:
            return None
        return stated_by_itunes(tag, sound.duration, Fraction(sound.time_base))

    def _sbr_delay(self) -> int:
        """Ticks by which a decoder gives a sound of AAC later than its edit takes it to be.

        Where the upper octave is coded apart, decoding delays the sound. An edit in samples of the
        lower octaves is that of a decoder which gives them alone, as iTunes and others write it;
        FFmpeg writes another, in samples of the whole, with the delay. Where libfdk-aac has counted
        the delay, whole packets and 481 samples lie before the first that is heard.
        """
        sound = self.sound
        if self.kind != MP4 or sound is None or sound.codec_context.profile not in SBR:
            return 0
        edit, tick = self.edit(sound), Fraction(sound.time_base or 0)
        first = next(iter(sound.index_entries), None)
        if edit is None or first is None or first.timestamp * tick >= edit.start:
            return 0
        if (edit.start / tick - first.timestamp) % SBR_FRAME == SBR_DELAY:
            return 0
        samples = SBR_FRAME * tick * sound.codec_context.sample_rate  # of a packet of 1024 ticks
        return SBR_DELAY if samples == sound.codec_context.frame_size else 0

    def _primed(self) -> bool:
        """Whether the sound begins before 0 with what its encoder needed to start.

        mp4 hides it by an edit; Matroska, into which it was copied, has no word for it. Of Speex in
        Ogg it is what the first page holds more than its samples.
        """
        sound, picture = self.sound, self.picture
        if self.kind == "ogg" and sound is not None and sound.codec_context.name == "speex":
            return (sound.start_time or 0) < 0
        if self.kind != MATROSKA or sound is None or sound.start_time is None:
            return False
        if picture is not None and (picture.start_time or 0) < 0:
            return False
        tick = Fraction(sound.time_base or 1)
        longest = Fraction(longest_priming(sound), sound.codec_context.sample_rate or 1) + tick
        return -longest <= sound.start_time * tick < 0

    @cached_property
    def sound_heads(self) -> list[bytes]:
        """The first packets of the sound, read from the file opened once more."""
        with open_media(self.path) as again:
            if again.sound is None:
                return []
            return [bytes(packet) for packet in islice(again.packets(again.sound), HEADS)]

    def packets(
        self, *streams: VideoStream | AudioStream, restarts: Restarts | None = None
    ) -> Iterator[Encoded]:
        """The packets of one stream or both from here on; damage in the file ends them.

        The time of a packet is that of what a decoder gives for it.

        restarts: what is added to time stamps; the source has to be at its first packet then.
        """
        if self.kind == MP4:  # which has an index: the data of the others need not be read
            self.skip_others(*streams)
        packets = self.container.demux(*streams)
        numbers = dict.fromkeys((stream.index for stream in streams), 0)
        while True:
            try:
                packet = next(packets)
            except (*DAMAGE, StopIteration):
                return
            if not packet.size:
                continue  # the sign of the end
            if packet.duration is not None and packet.duration >= 1 << 31:
                packet.duration -= 1 << 32  # a last one of Ogg Vorbis ends before it begins
            if self._late and isinstance(packet.stream, AudioStream) and packet.pts is not None:
                packet.pts -= self._late
            if restarts:
                number = numbers[packet.stream_index]
                numbers[packet.stream_index] = number + 1
                _shift(packet, number, restarts.get(packet.stream_index, ()))
            yield packet

    def skip_others(self, *streams: VideoStream | AudioStream) -> None:
        """Leave the data of all other streams unread, where the container allows it."""
        wanted = {stream.index for stream in streams}
        for each in self.container.streams:
            each.discard = Discard.default if each.index in wanted else Discard.all


def longest_priming(sound: AudioStream) -> int:
    """The samples that an encoder may need before the first that is heard."""
    context = sound.codec_context
    if context.profile not in SBR:
        return PRIMING
    return SBR_PRIMING * max(1, context.frame_size // SBR_FRAME)


def _shift(packet: Encoded, number: int, restarts: Sequence[tuple[int, int]]) -> None:
    added = next((ticks for first, ticks in reversed(restarts) if first <= number), 0)
    if added and packet.pts is not None:
        packet.pts += added
    if added and packet.dts is not None:
        packet.dts += added


class SharedPackets:
    """The packets of picture and sound of one source, read in one pass for two readers."""

    def __init__(self, source: Source, packets: Iterator[Encoded] | None = None) -> None:
        """`packets`: of both streams; by default all that the source holds."""
        streams = [stream for stream in (source.picture, source.sound) if stream is not None]
        self._packets = source.packets(*streams) if packets is None else packets
        self._waiting: dict[int, deque[Encoded]] = {stream.index: deque() for stream in streams}

    def of(self, stream: VideoStream | AudioStream) -> Iterator[Encoded]:
        """The packets of one stream; those of the other on the way wait for their reader."""
        waiting = self._waiting[stream.index]
        while True:
            while waiting:
                yield waiting.popleft()
            packet = next(self._packets, None)
            if packet is None:
                return
            queue = self._waiting.get(packet.stream_index)
            if queue is not None:
                queue.append(packet)

    def rest(self) -> Iterator[Encoded]:
        """All that is left, for none of the readers."""
        return self._packets

    def waiting(self, stream: VideoStream | AudioStream) -> deque[Encoded]:
        """The packets of a stream that were met while the other one was read."""
        return self._waiting[stream.index]

    def drop(self, stream: VideoStream | AudioStream) -> None:
        """Keep no packet of a stream any longer."""
        self._waiting.pop(stream.index, None)


@contextmanager
def open_media(path: Path | str, *, threaded: bool = True) -> Iterator[Source]:
    """Open a file for reading; URLs that it refers to are never fetched.

    threaded: as of `Source`.

    Raises:
        MediaError: if it is missing, not a file, empty, unreadable or not a media file.
    """
    source = Source(Path(path), threaded=threaded)
    try:
        yield source
    finally:
        source.close()


def existing_file(path: Path | str) -> Path:
    """The path, if a file that holds something is there to be read; else raises MediaError."""
    path = Path(path)
    try:
        check_ends(path)
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
    except ValueError as error:  # of a name with a zero in it
        raise MediaError(f"{str(path)!r} is no name of a file: {error}.") from error
    return path


def file_state(path: Path) -> tuple[int, int, int, int]:
    """What tells a file from another, and from itself after a change."""
    state = path.stat()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=REMEMBERED)
def _holds_two_flac(path: Path, *_: int) -> bool:
    """As `holds_two_flac`, which reads the whole file: once, not for each part of it."""
    return holds_two_flac(path)


def _begins_as_mp4(path: Path) -> bool:
    """Whether the first box of a file is that of mp4 or mov."""
    with path.open("rb") as file:
        return file.read(8)[4:] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def _picture_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that can be decoded, if any; cover art does not count."""
    pictures = (each for each in container.streams.video if not _is_cover(each))
    return next((each for each in pictures if each.codec_context is not None), None)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _sound_stream(container: InputContainer) -> AudioStream | None:
    """The first sound stream that can be decoded, if any."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)
