"""Indexes videos, sounds and pictures into a library: only what is new, in commits of whole files.

The rows of a file enter the library in one commit, together with those of other files that are
finished by then. So the library always holds all moments of a file or none, and after an
interruption the next run does the rest.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import FrameType

import numpy as np

from hearsight.datasets.videos import SUFFIXES, PassedOver, walk_media
from hearsight.errors import HearsightError, needs
from hearsight.files.text import counted
from hearsight.files.walk import check_link
from hearsight.library.extraction import (
    PICTURE_SUFFIXES,
    SOUND_SUFFIXES,
    Engine,
    Extractor,
    FileMoments,
    digest,
    extract_locally,
    file_version,
    row_buffer,
)
from hearsight.library.lance_table import (
    INDEX_FROM,
    FileVersion,
    LibraryInfo,
    MomentTable,
    absolute_path,
    sole_writer,
)
from hearsight.library.library import Library, check_model
from hearsight.localising.localise import MODEL
from hearsight.media.read import LEAST
from hearsight.media.samples import RATE
from hearsight.model.device import find_device
from hearsight.progress import Notice, Progress, no_progress, warn
from hearsight.retrieval.embeddings import Embedder, load_embedder

with needs("library", "A library"):
    import pyarrow as pa  # type: ignore[import-untyped]

LOGGER = logging.getLogger(__name__)

EVERY = 3.0  # seconds between two moments by default: the length of sound embedded at each
COMMIT_ROWS = 2048  # moments after which a commit is made
COMMIT_SECONDS = 10.0  # the same
MOST_NAMED = 5  # unreadable files named in an error
VIDEOS = {"videos": SUFFIXES}  # what folders are searched for, by its name
MEDIA = {**VIDEOS, "sounds": SOUND_SUFFIXES, "pictures": PICTURE_SUFFIXES}
OLDER = (
    "The library '{}' was made by an older hearsight: it takes videos alone and shows no boxes; for"
    " sounds, pictures and boxes index into a new one."
)


@dataclass(slots=True, kw_only=True)
class IndexSummary:
    """What a run did. The first five count files."""

    added: int = 0
    changed: int = 0
    copied: int = 0  # moved or only touched: the rows of the same content were copied
    unchanged: int = 0
    removed: int = 0
    moments: int = 0  # in the library after the run; the next three are files in it by kind
    videos: int = 0
    sounds: int = 0
    pictures: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)  # file or folder: reason
    passed_over: PassedOver = field(default_factory=PassedOver)  # in folders, by its suffix


def index_videos(
    library: str | Path,
    sources: Sequence[str | Path],
    *,
    model: str | Path | None = None,
    every: float | None = None,
    prune: bool = False,
    optimize: bool = False,
    engine: Engine = extract_locally,
    device: str | None = None,
    batch_size: int = 16,
    commit_seconds: float = COMMIT_SECONDS,
    index_from: int = INDEX_FROM,
    progress: Progress = no_progress,
    notice: Notice = warn,
) -> IndexSummary:
    """Add new and changed videos, sounds and pictures to a library, created if there is none.

    A file is recognised by its path, size and modification time, else by its content. The moments
    of a changed file are replaced. Files that cannot be read are named in the summary.

    Args:
        library: its folder, or its URL on an object store.
        sources: files, and folders that hold them at any depth (hidden ones are skipped).
        model: a checkpoint, run folder, model folder or name; by default the library's own, for a
            new one the weights that come with the package.
        every: seconds between two moments, at least `LEAST`; by default the library's own, for a
            new one `EVERY`.
        prune: remove the moments of files that no longer exist: those in `sources` and below their
            folders, or all if there are no `sources`.
        optimize: join small files of the library, and build its vector index anew if it has
            `index_from` moments.
        engine: extracts the moments; by default in this process.
        device: such as `cpu` or `cuda`; by default a GPU if there is one.
        batch_size: moments embedded together.
        commit_seconds: a commit is made after so long, or `COMMIT_ROWS` moments.
        index_from: moments from which on there is a vector index.
        progress: called with the stage, the work done in it, and the whole work.
        notice: called where a library of an older hearsight takes videos alone; by default that is
            a warning.

    Raises:
        HearsightError: a source does not exist or holds none of them (and never did, if `prune`);
            nothing could be read; the library is damaged, in use, bound to another model or
            `every`, or cannot be written.
    """
    if isinstance(sources, str | Path):
        raise HearsightError(f"`sources` must be several, such as a list: '{sources}' is one.")
    if every is not None and not (math.isfinite(every) and every >= LEAST):
        raise HearsightError(
            f"`every` must be a number of seconds from {LEAST:g} up, not {every:g}."
        )
    if batch_size < 1:
        raise HearsightError(f"`batch_size` must be at least 1, not {batch_size}.")
    if device is not None:
        find_device(device)
    if not (sources or prune or optimize):
        raise HearsightError("Name the videos or folders to index.")
    library = os.fspath(library)
    summary = IndexSummary()
    existing = MomentTable.open(library)
    known = existing.files() if prune and existing is not None else {}
    older = existing is not None and existing.info.format == 1
    if older and sources:
        notice(OLDER.format(library))
    paths = find_files(sources, summary, known, VIDEOS if older else MEDIA)
    if existing is None and not sources:
        raise HearsightError(f"There is no library '{library}'.")
    embedder = None
    if existing is None or model is not None:  # first: a wrong name must not create the folder
        embedder = load_embedder(MODEL if model is None else model, device)
    with sole_writer(library), _open_or_create(library, embedder, every) as table:
        files = table.files()
        writer = _Writer(table=table, files=files, summary=summary, seconds=commit_seconds)
        with writer:
            new = writer.skip_known(one_way_each(paths, files))
            if new:
                if embedder is None:
                    embedder = Library(table, model=None, device=device).embedder
                extractor = Extractor(info=table.info, embedder=embedder, batch_size=batch_size)
                for path, extracted in engine(new, extractor, progress):
                    writer.add(path, extracted)
        if prune:  # last, since a file that was moved is copied from its old rows
            missing = missing_files(files, sources)
            table.remove(missing)
            summary.removed = len(missing)
        _maintain(table, optimize=optimize, index_from=index_from, progress=progress)
        summary.moments = len(table)
        kinds = table.kinds()
        summary.videos, summary.sounds = kinds["video"], kinds["sound"]
        summary.pictures = kinds["picture"]
    _check_any_read(summary)
    return summary


def _check_any_read(summary: IndexSummary) -> None:
    """Refuse a run that could read nothing.

    Raises:
        HearsightError: it names the first files and the reasons.
    """
    worked = summary.added + summary.changed + summary.copied + summary.unchanged + summary.removed
    if worked or not summary.unreadable:
        return
    reasons = [f"{Path(name).name}: {why.rstrip('.')}" for name, why in summary.unreadable.items()]
    if len(reasons) > MOST_NAMED:
        reasons[MOST_NAMED:] = [f"and {len(reasons) - MOST_NAMED:,} more"]
    raise HearsightError(f"Nothing is indexed because nothing could be read: {'; '.join(reasons)}.")


def find_files(
    sources: Sequence[str | Path],
    summary: IndexSummary,
    known: Collection[str] = (),
    suffixes: Mapping[str, Sequence[str]] = MEDIA,
) -> list[Path]:
    """Every file that is named by the sources or lies in their folders, each once.

    Args:
        sources: files, and folders that hold them at any depth (hidden ones are skipped).
        summary: its `unreadable` gets what cannot be read, with the reason: folders inside that
            cannot be opened, files whose names are not UTF-8, pipes and devices; its `passed_over`
            what else the folders hold.
        known: absolute paths of files that may have been deleted. A source that was one of them,
            or held some, need not exist or hold a file any more.
        suffixes: by kind, of what the folders are searched for.

    Raises:
        HearsightError: a source does not exist, cannot be read, or is a folder without any of them.
    """
    found: dict[Path, None] = {}
    unreadable = summary.unreadable
    for source in sources:
        path = absolute_path(source)
        try:
            folder = S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError) as error:
            if _holds_any(path, known):
                continue
            raise HearsightError(f"There is no file or folder '{source}'.") from error
        except OSError as error:
            raise HearsightError(f"'{source}' cannot be read: {error.strerror}.") from error
        before = len(unreadable)
        held = _files_in(source, path, summary, suffixes) if folder else [path]
        if not held and before == len(unreadable) and not _holds_any(path, known):
            listed = "; ".join(f"{kind}: {' '.join(of)}" for kind, of in suffixes.items())
            raise HearsightError(f"'{source}' holds no {' or '.join(suffixes)} ({listed}).")
        found.update(dict.fromkeys(held))
    return [path for path in found if _is_indexable(path, unreadable)]


def one_way_each(paths: Iterable[Path], known: Collection[str]) -> list[Path]:
    """The paths without a second way, through a link to a folder, to the same file.

    A file that a library knows by another path keeps that one.

    known: the paths of the library's files.
    """
    real = cache(os.path.realpath)

    def place(path: Path) -> tuple[str, str]:
        return real(str(path.parent)), path.name

    held = {place(Path(name)): Path(name) for name in known}
    ways = (path if str(path) in known else held.setdefault(place(path), path) for path in paths)
    return list(dict.fromkeys(ways))


def missing_files(known: Collection[str], sources: Sequence[str | Path]) -> list[str]:
    """Which known files no longer exist, of those that are or lie below the sources.

    Without sources, of all. A file that exists but cannot be reached is not missing.
    """
    roots = [absolute_path(source) for source in sources]
    return [
        name
        for name in known
        if (not roots or any(Path(name).is_relative_to(root) for root in roots))
        and _is_missing(name)
    ]


def _holds_any(path: Path, known: Collection[str]) -> bool:
    """Whether a known file is this path or lies below it."""
    return any(Path(name).is_relative_to(path) for name in known)


def _is_missing(name: str) -> bool:
    try:
        Path(name).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _files_in(
    source: str | Path, folder: Path, summary: IndexSummary, suffixes: Mapping[str, Sequence[str]]
) -> list[Path]:
    """The files below a folder with these suffixes.

    Raises:
        HearsightError: the folder itself cannot be read.
    """
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise HearsightError(f"'{source}' cannot be read: {error.strerror}.") from error

    def note(error: OSError) -> None:
        summary.unreadable[str(error.filename)] = f"the folder cannot be read: {error.strerror}."

    return list(walk_media(folder, summary.passed_over, note, {*chain(*suffixes.values())}))


def _is_indexable(path: Path, unreadable: dict[str, str]) -> bool:
    """Whether the path can be stored as text and is a regular file, as far as can be seen."""
    try:
        str(path).encode()
        check_link(path)
        if not S_ISREG(path.stat().st_mode):
            unreadable[str(path)] = "It is a pipe or a device, not a file."
            return False
    except UnicodeEncodeError:
        unreadable[str(path)] = "Its name is not UTF-8."
        return False
    except HearsightError as error:
        unreadable[str(path)] = str(error)
        return False
    except OSError:
        pass  # reported when the file is read
    return True


@contextmanager
def _open_or_create(
    library: str, embedder: Embedder | None, every: float | None
) -> Iterator[MomentTable]:
    """The table, created if there is none; refused if bound to another model or `every`.

    A created table that is still empty at the end is removed again, except after an interruption:
    then the next run continues with the same model.
    """
    table = MomentTable.open(library)
    created = table is None
    if table is None:
        if embedder is None:
            raise HearsightError(f"The library '{library}' has just been removed.")
        table = _create(library, embedder, EVERY if every is None else every)
    if embedder is not None:
        check_model(table, embedder)
    if every is not None and every != table.info.every:
        raise HearsightError(
            f"The library '{library}' has a moment every {table.info.every:g} s, not every"
            f" {every:g} s: leave `every` out, or index the videos into a new library."
        )
    try:
        yield table
    except KeyboardInterrupt:
        created = False
        raise
    finally:
        if created and not len(table):
            table.drop()


def _create(library: str, embedder: Embedder, every: float) -> MomentTable:
    silence = np.zeros(round(embedder.seconds * RATE), np.float32)
    info = LibraryInfo(
        model=embedder.source,
        recipe=embedder.recipe.name,
        fingerprint=embedder.digest(),
        channels=embedder.sounds([silence]).shape[1],
        every=every,
        seconds=embedder.seconds,
    )
    return MomentTable.create(library, info)


def _maintain(table: MomentTable, *, optimize: bool, index_from: int, progress: Progress) -> None:
    """Compact the table, and build the vector index anew, if asked for or needed.

    The table is compacted first, since a search reads its moments sooner from one large file than
    from many, and without an index, since compacting would change that. Until the new one is there
    searches compare all moments. It is built, too, where there is no space to compact, which takes
    as much as the library; that is an error if it was asked for.

    Raises:
        HearsightError: the index cannot be written, or files cannot be joined that should be.
    """
    failed = None
    anew = (optimize and len(table) >= index_from) or table.needs_vector_index(index_from)
    if optimize or anew:
        progress("joining files", 0, 1)
        if anew:
            table.drop_vector_index()
        try:
            table.compact()
        except HearsightError as error:
            LOGGER.warning("files are not joined: %s", error)
            failed = error
        progress("joining files", 1, 1)
    if anew:
        progress("indexing vectors", 0, 1)
        table.build_vector_index()
        progress("indexing vectors", 1, 1)
    if optimize and failed is not None:
        raise failed


@dataclass(slots=True, kw_only=True)
class _Writer:
    """Writes whole files to the table, several in a commit; as a context it commits the rest."""

    table: MomentTable
    files: dict[str, FileVersion]  # in the table now
    summary: IndexSummary
    seconds: float  # between two commits
    queue: list[FileMoments] = field(default_factory=list)
    committed: float = field(default_factory=time.monotonic)  # when

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.commit()  # after an error or interruption, too

    def skip_known(self, paths: Iterable[Path]) -> list[Path]:
        """Return the files that must be extracted.

        Unchanged files are counted; of files whose content is known the rows are copied.
        """
        by_size: dict[int, list[FileVersion]] = {}
        for version in self.files.values():
            by_size.setdefault(version.size, []).append(version)
        rest = []
        for path in paths:
            try:
                now = file_version(path)
                before = self.files.get(now.file)
                if before is not None and replace(before, digest="") == now:
                    self.summary.unchanged += 1
                    continue
                candidates = by_size.get(now.size)
                now = replace(now, digest=digest(path)) if candidates else now
            except OSError:
                candidates = None  # the engine will report it
            same = (version for version in candidates or () if version.digest == now.digest)
            # A commit since then may have replaced the rows of that name.
            twin = next((one for one in same if self.files.get(one.file) == one), None)
            if twin is None:
                rest.append(path)
            else:
                self._enqueue(self._copy(twin, now))
                self.summary.copied += 1
        return rest

    def add(self, path: Path, extracted: FileMoments | str) -> None:
        """Queue a file's extracted moments, or record why extraction failed."""
        if isinstance(extracted, str):
            LOGGER.warning("not indexed: %s: %s", path, extracted)
            self.summary.unreadable[str(path)] = extracted
            return
        LOGGER.info("%s: %s", path, counted(extracted.count, "moment"))
        if extracted.version.file in self.files:
            self.summary.changed += 1
        else:
            self.summary.added += 1
        self._enqueue(extracted)

    def commit(self) -> None:
        """Write the queue, once: if that fails, its files are left to the next run."""
        written, self.queue = self.queue, []
        try:
            if written:
                versions = {one.version.file: one.version for one in written}
                with _interrupt_deferred():
                    replaced = [file for file in versions if file in self.files]
                    self.table.append(_batches(written), replaced)
                    self.files.update(versions)
                LOGGER.debug("committed: %s", counted(len(versions), "file"))
        finally:
            for one in written:
                one.rows.close()
            self.committed = time.monotonic()

    def _enqueue(self, extracted: FileMoments) -> None:
        self.queue.append(extracted)
        rows = sum(one.count for one in self.queue)
        if rows >= COMMIT_ROWS or time.monotonic() - self.committed >= self.seconds:
            self.commit()

    def _copy(self, twin: FileVersion, now: FileVersion) -> FileMoments:
        """The rows of a file, copied from another file with the same content."""
        schema = self.table.schema
        copied = self.table.moments(twin.file, schema.names)
        for name in ("file", "size", "modified", "digest"):
            place = schema.get_field_index(name)
            column = pa.array([getattr(now, name)] * len(copied), schema.field(name).type)
            copied = copied.set_column(place, schema.field(name), column)
        rows = row_buffer()
        with pa.ipc.new_stream(rows, schema) as stream:
            stream.write_table(copied.select(schema.names).cast(schema))
        rows.seek(0)
        return FileMoments(version=now, count=len(copied), rows=rows)


def _batches(files: Iterable[FileMoments]) -> Iterator[pa.RecordBatch]:
    for one in files:
        with pa.ipc.open_stream(one.rows) as stream:
            yield from stream


@contextmanager
def _interrupt_deferred() -> Iterator[None]:
    """Defer a first Ctrl-C to the end of the block; a second one interrupts at once.

    An interrupted commit would leave changed files without moments until the next run.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # Python calls signal handlers in the main thread only, and here is none to defer
        return
    deferred: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        deferred.append((number, frame))
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if deferred:
        before(*deferred[0])
