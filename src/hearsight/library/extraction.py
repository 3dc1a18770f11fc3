"""The moments of a video: frames and the sounds around them, embedded, as rows of a library.

A video is divided into segments of `every` seconds; the middle of each is a moment, with the frame
shown then and the sound around it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
from jaxtyping import Float32, UInt8

from hearsight.clips.clip import encode_picture, fit_frame
from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.errors import HearsightError, needs
from hearsight.library.lance_table import FileVersion, LibraryInfo, schema
from hearsight.localising.localise import EncoderFrame, prepare_whole_frame
from hearsight.media.read import MediaInfo, frames_at, probe, stream_frames, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import SoundWindow, sound_windows
from hearsight.progress import Progress
from hearsight.retrieval.embeddings import Embedder

with needs("library", "A library"):
    import pyarrow as pa  # type: ignore[import-untyped]

SHORTEST = 0.1  # of a last segment, as a share of the others; a shorter rest has no moment
LONGEST = 1e6  # seconds (eleven days); a longer duration is taken for a damaged file
THUMBNAIL = 144  # pixels, shorter side
JPEG_QUALITY = 80  # of thumbnails
IN_MEMORY = 2**24  # bytes of a file's rows; more are kept in a temporary file
LONGEST_REASON = 300  # characters of an error that nobody foresaw
BLOCK = 2**20  # bytes read at once for a digest

FrameAndSound = tuple[tuple[EncoderFrame, bytes], SoundWindow]  # the bytes are the thumbnail


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
    batch: int = 16  # moments embedded together


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
    """The moments of a video, in constant memory. A video without sound counts as silent.

    progress: called with the share of the video that is done.

    Raises:
        HearsightError: the file has no moving pictures, is a still picture, cannot be read, claims
            a duration above `LONGEST`, or changed while it was read.
    """
    info = probe(path)
    if info.duration > LONGEST:
        raise HearsightError(f"It claims to last {info.duration:.0f} seconds.")
    if _is_still(info):
        raise HearsightError(f"'{path}' is a single picture without sound, not a video.")
    version = replace(file_version(path), digest=digest(path))
    times = moment_times(info.duration, extractor.info.every)
    frames = (
        (prepare_whole_frame(frame.pixels, extractor.embedder.side), _thumbnail(frame.pixels))
        for frame in frames_at(path, times)
    )
    blocks = stream_sound(path, rate=RATE) if info.has_sound else iter(())
    pairs = zip(frames, sound_windows(blocks, times, extractor.info.seconds), strict=True)
    columns = schema(extractor.info)
    rows, done = row_buffer(), 0
    try:
        with pa.ipc.new_stream(rows, columns) as stream:
            batches = in_batches(pairs, extractor.batch)
            count = math.ceil(len(times) / extractor.batch)
            for batch in read_ahead(lambda _: next(batches), range(count), workers=1, ahead=1):
                stream.write_batch(_rows(batch, version, done, extractor.embedder, columns))
                done += len(batch)
                progress(done / len(times))
        if replace(file_version(path), digest=version.digest) != version:
            raise HearsightError("It changed while it was read.")
    except BaseException:
        rows.close()
        raise
    rows.seek(0)
    return FileMoments(version=version, count=done, rows=rows)


def failure(error: Exception) -> str:
    """Why a file cannot be read; an error that nobody foresaw is named by its type."""
    if isinstance(error, (HearsightError, OSError)):
        return str(error)
    reason = " ".join(str(error).split())[:LONGEST_REASON]
    return f"It failed: {type(error).__name__}: {reason}"


def extract_locally(
    files: Sequence[Path], extractor: Extractor, progress: Progress
) -> Iterator[tuple[Path, FileMoments | str]]:
    """The engine that extracts moments in this process, one file after the other."""
    sizes = [max(1, path.stat().st_size if path.exists() else 1) / 1e6 for path in files]
    total = math.ceil(sum(sizes))
    before = 0.0
    for path, size in zip(files, sizes, strict=True):

        def file_progress(share: float, before: float = before, size: float = size) -> None:
            progress("indexing, MB", min(total, round(before + share * size)), total)

        file_progress(0.0)
        try:
            yield path, extract_moments(path, extractor, file_progress)
        except Exception as error:  # whatever a file does to a decoder, the others go in
            yield path, failure(error)
        before += size
        file_progress(0.0)


def _is_still(info: MediaInfo) -> bool:
    """Whether the file has a single frame and no sound: FFmpeg opens picture files as videos."""
    if info.has_sound or not info.has_picture:
        return False
    return len(list(islice(stream_frames(info.path), 2))) == 1


def _thumbnail(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    return encode_picture(fit_frame(pixels, THUMBNAIL), quality=JPEG_QUALITY)


def _rows(
    batch: list[FrameAndSound],
    version: FileVersion,
    first: int,
    embedder: Embedder,
    columns: pa.Schema,
) -> pa.RecordBatch:
    """The rows of the moments from number `first` on, embedded together."""
    sounds = [sound for _, sound in batch]
    count = len(batch)
    values = {
        "file": pa.array([version.file] * count),
        "size": pa.array([version.size] * count),
        "modified": pa.array([version.modified] * count),
        "digest": pa.array([version.digest] * count),
        "number": pa.array(range(first, first + count), pa.int32()),
        "time": pa.array([sound.time for sound in sounds]),
        "level": pa.array(
            [sound.level if math.isfinite(sound.level) else None for sound in sounds], pa.float32()
        ),
        "sound": _vectors(embedder.sounds([sound.samples for sound in sounds])),
        "image": _vectors(embedder.frames([frame for (frame, _), _ in batch])),
        "thumbnail": pa.array([picture for (_, picture), _ in batch], pa.binary()),
    }
    return pa.record_batch([values[name] for name in columns.names], schema=columns)


def _vectors(vectors: Float32[np.ndarray, "n c"]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
