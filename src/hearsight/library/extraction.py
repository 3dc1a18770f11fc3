"""The moments of a file: frames and the sounds around them, embedded, as rows of a library.

A video is divided into segments of `every` seconds, each of which has a moment: the key frame
nearest to its middle, and the sound around that frame. If none lies within a third of the segment's
length of the middle, the moment is the middle, with the frame shown then. A sound is divided alike,
with a moment at each middle; a picture is one moment.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
from jaxtyping import Float32, UInt8

from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.errors import HearsightError, needs, sentence_of
from hearsight.library.lance_table import FileVersion, Kind, LibraryInfo, schema
from hearsight.library.thumbnails import (
    encode_heatmap,
    small_picture,
    small_picture_of_scaled,
    waveform_picture,
)
from hearsight.localising.localise import (
    EncoderFrame,
    Localiser,
    scale_whole_frame,
)
from hearsight.media.near_frames import frames_near
from hearsight.media.picture import needs_heic, read_picture
from hearsight.media.read import MediaInfo, probe, stream_frames, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import SoundWindow, sound_windows
from hearsight.media.source import MediaError
from hearsight.progress import Progress
from hearsight.retrieval.embeddings import Embedder

with needs("library", "A library"):
    import pyarrow as pa  # type: ignore[import-untyped]

SHORTEST = 0.1  # of a last segment, as a share of the others; a shorter rest has no moment
NEAR = 2 / 3  # of half a segment: how far from its middle a key frame may lie
LONGEST = 1e6  # seconds (eleven days); a longer duration is taken for a damaged file
IN_MEMORY = 2**24  # bytes of a file's rows; more are kept in a temporary file
LONGEST_REASON = 300  # characters of an error that nobody foresaw
BLOCK = 2**20  # bytes read at once for a digest

# what a folder is searched for beside videos
SOUND_SUFFIXES = (
    *(".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".flac", ".m4a"),
    *(".m4b", ".mka", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma", ".wv"),
)
PICTURE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png"),
    *(".tif", ".tiff", ".webp"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentInput:
    """A moment as it is read from a file: a frame, a sound, or both."""

    time: float  # seconds
    thumbnail: bytes  # JPEG
    frame: EncoderFrame | None = None
    sound: SoundWindow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMoments:
    """The moments of one file, as rows to be added to a library."""

    version: FileVersion
    count: int  # of moments
    rows: IO[bytes]  # an Arrow stream; the reader closes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Extractor:
    """What extraction needs besides a file."""

    info: LibraryInfo
    embedder: Embedder
    batch_size: int = 16  # moments embedded together


Engine = Callable[[Sequence[Path], Extractor, Progress], Iterator[tuple[Path, FileMoments | str]]]
"""Extracts the moments of many files, in any order; for a file that cannot be read it gives the
reason instead."""


def file_version(path: Path) -> FileVersion:
    """The present version of a file, without its digest."""
    stat = path.stat()
    return FileVersion(file=str(path), size=stat.st_size, modified=stat.st_mtime_ns, digest="")


def digest(path: Path) -> str:
    """BLAKE2b of a file's content, as 32 hexadecimal digits."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def moment_times(duration: float, every: float) -> list[float]:
    """The middle of each segment of `every` seconds; the last segment may be shorter.

    There is at least one.
    """
    count = max(1, math.ceil(duration / every - SHORTEST))
    return [
        (every * number + min(every * (number + 1), max(duration, 0.0))) / 2
        for number in range(count)
    ]


def row_buffer() -> IO[bytes]:
    """An empty temporary file for the rows of a `FileMoments`."""
    return SpooledTemporaryFile(IN_MEMORY)


def extract_moments(
    path: Path, extractor: Extractor, progress: Callable[[float], None]
) -> FileMoments:
    """The moments of a video, a sound or a picture, in constant memory.

    A video without sound counts as silent. A picture has one moment, without a sound; moments of a
    sound have no frame. What a file is, is told by its content.

    progress: called with the share of the file that is done.

    Raises:
        HearsightError: the file is none of them, cannot be read, claims a duration above `LONGEST`,
            or changed while it was read; or the library holds videos alone.
    """
    version = replace(file_version(path), digest=digest(path))
    kind, count, moments = _read(path, extractor)
    if kind != "video" and extractor.info.format == 1:
        raise HearsightError(
            f"It is a {kind}, and a library made by an older hearsight holds videos alone: index it"
            " into a new one."
        )
    columns = schema(extractor.info)
    rows, done = row_buffer(), 0
    try:
        with pa.ipc.new_stream(rows, columns) as stream:
            batches = in_batches(moments, extractor.batch_size)
            numbers = range(math.ceil(count / extractor.batch_size))
            for batch in read_ahead(lambda _: next(batches), numbers, workers=1, ahead=1):
                stream.write_batch(_rows(batch, version, kind, done, extractor, columns))
                done += len(batch)
                progress(done / count)
        if replace(file_version(path), digest=version.digest) != version:
            raise HearsightError("It changed while it was read.")
    except BaseException:
        rows.close()
        raise
    rows.seek(0)
    return FileMoments(version=version, count=done, rows=rows)


def _read(path: Path, extractor: Extractor) -> tuple[Kind, int, Iterator[MomentInput]]:
    """What a file is, the number of its moments, and these, read as they are taken."""
    side, every, seconds = extractor.embedder.side, extractor.info.every, extractor.info.seconds
    try:
        return "picture", 1, iter([_seen(read_picture(path), side)])
    except MediaError as error:
        if needs_heic(error):
            raise
        unseen = error
    info = probe(path)
    if info.duration > LONGEST:
        raise HearsightError(f"It claims to last {info.duration:.0f} seconds.")
    if _is_still(info):  # a picture that FFmpeg opens and Pillow refuses
        raise unseen
    times = moment_times(info.duration, every)
    blocks = stream_sound(path, rate=RATE) if info.has_sound else iter(())
    if info.has_picture:
        reach = NEAR if extractor.info.keyed else 0.0
        wanted = ((time, reach * (time - every * number)) for number, time in enumerate(times))
        frames = (_seen(near.frame.pixels, side, near.time) for near in frames_near(path, wanted))
        return "video", len(times), _heard(frames, blocks, seconds)
    if not info.has_sound:
        raise HearsightError(f"'{path}' has neither pictures nor sound.")
    sounds = (
        MomentInput(time=sound.time, sound=sound, thumbnail=waveform_picture(sound.samples))
        for sound in sound_windows(blocks, times, seconds)
    )
    return "sound", len(times), sounds


def _heard(
    frames: Iterator[MomentInput], blocks: Iterator[Float32[np.ndarray, " _"]], seconds: float
) -> Iterator[MomentInput]:
    """The frames with the sound around each."""
    times: deque[float] = deque()
    sounds = sound_windows(blocks, iter(times.popleft, None), seconds)
    for seen in frames:
        times.append(seen.time)
        yield replace(seen, sound=next(sounds))


def _seen(pixels: UInt8[np.ndarray, "height width 3"], side: int, time: float = 0.0) -> MomentInput:
    """A frame as the model takes it, and its thumbnail, made of that where it is large enough."""
    height, width, _ = pixels.shape
    scaled = scale_whole_frame(pixels, side)
    thumbnail = small_picture_of_scaled(scaled, height, width) or small_picture(pixels)
    frame = EncoderFrame(pixels=scaled, height=height, width=width)
    return MomentInput(time=time, frame=frame, thumbnail=thumbnail)


def failure(error: Exception) -> str:
    """Why a file cannot be read; an error that nobody foresaw is named by its type."""
    said = sentence_of(error)
    if said is not None:
        return said
    reason = " ".join(str(error).split())[:LONGEST_REASON]
    return f"It failed: {type(error).__name__}: {reason}"


def extract_locally(
    files: Sequence[Path], extractor: Extractor, progress: Progress
) -> Iterator[tuple[Path, FileMoments | str]]:
    """The engine that extracts moments in this process, one file after the other."""
    sizes = [_size(path) / 1e6 for path in files]
    total = math.ceil(sum(sizes))
    before = 0.0
    for path, size in zip(files, sizes, strict=True):

        def file_progress(share: float, before: float = before, size: float = size) -> None:
            progress("indexing, MB", min(total, math.ceil(before + share * size)), total)

        file_progress(0.0)
        try:
            yield path, extract_moments(path, extractor, file_progress)
        except Exception as error:  # whatever a file does to a decoder, the others go in
            yield path, failure(error)
        before += size
        file_progress(0.0)


def _size(path: Path) -> int:
    """Bytes of a file, at least 1, also where it is gone or out of reach: reading it says so."""
    try:
        return max(1, path.stat().st_size)
    except OSError:
        return 1


def _is_still(info: MediaInfo) -> bool:
    """Whether the file has a single frame and no sound: FFmpeg opens picture files as videos."""
    if info.has_sound or not info.has_picture:
        return False
    return len(list(islice(stream_frames(info.path), 2))) == 1


def _rows(
    batch: list[MomentInput],
    version: FileVersion,
    kind: Kind,
    first: int,
    extractor: Extractor,
    columns: pa.Schema,
) -> pa.RecordBatch:
    """The rows of the moments from number `first` on, embedded together."""
    count = len(batch)
    levels = [-math.inf if one.sound is None else one.sound.level for one in batch]
    values = {
        "file": pa.array([version.file] * count),
        "size": pa.array([version.size] * count),
        "modified": pa.array([version.modified] * count),
        "digest": pa.array([version.digest] * count),
        "kind": pa.array([kind] * count),
        "number": pa.array(range(first, first + count), pa.int32()),
        "time": pa.array([one.time for one in batch]),
        "level": pa.array(
            [level if math.isfinite(level) else None for level in levels], pa.float32()
        ),
        "thumbnail": pa.array([one.thumbnail for one in batch], pa.binary()),
        **_embedded(batch, extractor.embedder),
    }
    empty = (name for name in columns.names if name not in values)
    values |= {name: pa.nulls(count, columns.field(name).type) for name in empty}
    return pa.record_batch([values[name] for name in columns.names], schema=columns)


def _embedded(batch: list[MomentInput], embedder: Embedder) -> dict[str, pa.Array]:
    """The columns that the model fills: vectors, and where it sounds if there are both."""
    frames = [one.frame for one in batch if one.frame is not None]
    sounds = [one.sound for one in batch if one.sound is not None]
    if not sounds:
        return {"image": _vectors(embedder.frames(frames))}
    samples = [sound.samples for sound in sounds]
    if not frames:
        return {"sound": _vectors(embedder.sounds(samples))}
    seen, heard, responses = embedder.moments(frames, samples)
    localiser = Localiser(
        encoders=embedder.encoders,
        recipe=embedder.recipe,
        threshold=embedder.threshold,
        device=embedder.device,
        batch_size=len(batch),
    )
    mapped = [localiser.moment(*one) for one in zip(responses, frames, sounds, strict=True)]
    moments = [one.moment for one in mapped]
    boxes = [
        None
        if one.box is None
        else (np.array(one.box) / (2 * (frame.width, frame.height))).tolist()
        for one, frame in zip(moments, frames, strict=True)
    ]
    heatmaps = [None if one.moment.box is None else encode_heatmap(one.heatmap) for one in mapped]
    return {
        "image": _vectors(seen),
        "sound": _vectors(heard),
        "box": pa.array(boxes, pa.list_(pa.float32(), 4)),
        "heatmap": pa.array(heatmaps, pa.binary()),
        "confidence": pa.array([one.confidence for one in moments], pa.float32()),
    }


def _vectors(vectors: Float32[np.ndarray, "n c"]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
