"""The moments of a video: frames and the sounds around them, embedded, as rows of a library.

A video is divided into stretches of `every` seconds; the moment is the middle of each. It is the
frame shown then and the sound around it.
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
import pyarrow as pa  # type: ignore[import-untyped]
from jaxtyping import Float32, UInt8

from hearsight.clips.clip import encode_picture, fit_frame
from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.errors import HearsightError
from hearsight.library.moment_table import IndexedFile, LibraryBinding, schema
from hearsight.localising.localise import EncoderFrame, prepare_whole_frame
from hearsight.media.read import MediaInfo, frames_at, probe, stream_frames, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import SoundWindow, sound_windows
from hearsight.progress import Progress
from hearsight.retrieval.embedder import Embedder

REMNANT = 0.1  # a last stretch shorter than this share of the others is no moment of its own
LONGEST = 1e6  # seconds; eleven days, more than any file that is whole
THUMBNAIL = 144  # pixels, shorter side
QUALITY = 80  # of its JPEG
IN_MEMORY = 2**24  # bytes of a file's rows; more are kept in a temporary file
BLOCK = 2**20  # bytes read at once for a digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedMoments:
    """A file and the rows of its moments."""

    seen: IndexedFile
    moments: int
    rows: IO[bytes]  # an Arrow stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """How moments are extracted."""

    binding: LibraryBinding
    embedder: Embedder
    batch: int = 16  # moments embedded together


Engine = Callable[
    [Sequence[Path], Extraction, Progress], Iterator[tuple[Path, ExtractedMoments | str]]
]
"""Takes the moments of many files, in any order; of a file it cannot read it says why."""


def file_state(path: Path) -> IndexedFile:
    """A file as it is now, but for its digest."""
    stat = path.stat()
    return IndexedFile(file=str(path), size=stat.st_size, modified=stat.st_mtime_ns, digest="")


def digest(path: Path) -> str:
    """32 hexadecimal digits of a file's content."""
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def moment_times(duration: float, every: float) -> list[float]:
    """The middle of each stretch of `every` seconds, the last of which may be shorter; at least
    one time.
    """
    count = max(1, math.ceil(duration / every - REMNANT))
    return [
        (every * number + min(every * (number + 1), max(duration, 0.0))) / 2
        for number in range(count)
    ]


def row_store() -> IO[bytes]:
    """Where the rows of a file wait; whoever has it closes it."""
    return SpooledTemporaryFile(IN_MEMORY)


def extract_moments(
    path: Path, extraction: Extraction, progress: Callable[[float], None]
) -> ExtractedMoments:
    """The moments of a video, in constant memory. A video without sound counts as silent.

    progress: told the share of the video that is done.

    Raises:
        HearsightError: it has no moving pictures, is a still picture, cannot be read, claims to be
            longer than any file is, or changed meanwhile.
    """
    info = probe(path)
    if info.duration > LONGEST:
        raise HearsightError(f"It claims to last {info.duration:.0f} seconds.")
    if _is_still(info):
        raise HearsightError(f"'{path}' is a single picture without sound, not a video.")
    seen = replace(file_state(path), digest=digest(path))
    times = moment_times(info.duration, extraction.binding.every)
    frames = (
        (prepare_whole_frame(frame.pixels, extraction.embedder.side), _thumbnail(frame.pixels))
        for frame in frames_at(path, times)
    )
    blocks = stream_sound(path, rate=RATE) if info.has_sound else iter(())
    pairs = zip(frames, sound_windows(blocks, times, extraction.binding.seconds), strict=True)
    columns = schema(extraction.binding)
    rows, done = row_store(), 0
    try:
        with pa.ipc.new_stream(rows, columns) as stream:
            batches = in_batches(pairs, extraction.batch)
            count = math.ceil(len(times) / extraction.batch)
            for part in read_ahead(lambda _: next(batches), range(count), workers=1, ahead=1):
                stream.write_batch(_batch(part, seen, done, extraction.embedder, columns))
                done += len(part)
                progress(done / len(times))
        if replace(file_state(path), digest=seen.digest) != seen:
            raise HearsightError("It changed while it was read.")
    except BaseException:
        rows.close()
        raise
    rows.seek(0)
    return ExtractedMoments(seen=seen, moments=done, rows=rows)


def extract_locally(
    files: Sequence[Path], extraction: Extraction, progress: Progress
) -> Iterator[tuple[Path, ExtractedMoments | str]]:
    """The engine that takes moments in this process, one file after the other."""
    sizes = [max(1, path.stat().st_size if path.exists() else 1) / 1e6 for path in files]
    total = math.ceil(sum(sizes))
    before = 0.0
    for path, size in zip(files, sizes, strict=True):

        def share(done: float, before: float = before, size: float = size) -> None:
            progress("indexing, MB", min(total, round(before + done * size)), total)

        share(0.0)
        try:
            yield path, extract_moments(path, extraction, share)
        except (HearsightError, OSError) as error:
            yield path, str(error)
        before += size
        share(0.0)


def _is_still(info: MediaInfo) -> bool:
    """Whether nothing moves and nothing sounds; for FFmpeg a picture file is a video, too."""
    if info.has_sound or not info.has_picture:
        return False
    return len(list(islice(stream_frames(info.path), 2))) == 1


Read = tuple[tuple[EncoderFrame, bytes], SoundWindow]  # a frame with its thumbnail, and a sound


def _thumbnail(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    return encode_picture(fit_frame(pixels, THUMBNAIL), quality=QUALITY)


def _batch(
    part: list[Read],
    seen: IndexedFile,
    first: int,
    embedder: Embedder,
    columns: pa.Schema,
) -> pa.RecordBatch:
    """Rows of some moments, which are embedded together."""
    heard = [sound for _, sound in part]
    count = len(part)
    values = {
        "file": pa.array([seen.file] * count),
        "size": pa.array([seen.size] * count),
        "modified": pa.array([seen.modified] * count),
        "digest": pa.array([seen.digest] * count),
        "number": pa.array(range(first, first + count), pa.int32()),
        "time": pa.array([sound.time for sound in heard]),
        "level": pa.array(
            [sound.level if math.isfinite(sound.level) else None for sound in heard], pa.float32()
        ),
        "sound": _vectors(embedder.sounds([sound.samples for sound in heard])),
        "image": _vectors(embedder.frames([frame for (frame, _), _ in part])),
        "thumbnail": pa.array([picture for (_, picture), _ in part], pa.binary()),
    }
    return pa.record_batch([values[name] for name in columns.names], schema=columns)


def _vectors(vectors: Float32[np.ndarray, "n c"]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
