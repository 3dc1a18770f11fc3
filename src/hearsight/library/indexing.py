"""Videos into a library: file by file, only what is new, in commits of whole files.

The rows of a file enter the library in one commit, together with those of other files that are
finished by then. So at any time the library holds a file whole or not at all, and after an
interruption the next run does what is left.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from hearsight.errors import HearsightError
from hearsight.library.extraction import (
    ExtractedMoments,
    Extraction,
    digest,
    extract_moments,
    file_state,
    row_store,
)
from hearsight.library.library import Library, check_model
from hearsight.library.library_place import sole_writer
from hearsight.library.moment_table import MANY, IndexedFile, LibraryBinding, MomentTable
from hearsight.library.video_files import find_videos, gone
from hearsight.localising.localise import MODEL
from hearsight.media.read import LEAST
from hearsight.media.samples import RATE
from hearsight.model.device import find_device
from hearsight.progress import Progress, no_progress
from hearsight.retrieval.embedder import Embedder, load_embedder

EVERY = 3.0  # seconds between two moments, unless told: as long as the sound of one
NAMED = 5  # unreadable files named in a sentence
ROWS = 2048  # moments after which a commit is made
SECONDS = 10.0  # the same


@dataclass(slots=True, kw_only=True)
class IndexSummary:
    """What a run did. The first five count files."""

    added: int = 0
    changed: int = 0
    copied: int = 0  # of known content, moved or only touched: their rows are extracted over
    unchanged: int = 0
    removed: int = 0
    moments: int = 0  # in the library now
    unreadable: dict[str, str] = field(default_factory=dict)  # file or folder: why


Engine = Callable[
    [Sequence[Path], Extraction, Progress], Iterator[tuple[Path, ExtractedMoments | str]]
]
"""Takes the moments of many files, in any order; of a file it cannot read it says why."""


def index_videos(
    library: str | Path,
    sources: Sequence[str | Path],
    *,
    model: str | Path | None = None,
    every: float | None = None,
    prune: bool = False,
    optimize: bool = False,
    engine: Engine | None = None,
    device: str | None = None,
    batch: int = 16,
    commit_seconds: float = SECONDS,
    least: int = MANY,
    progress: Progress = no_progress,
) -> IndexSummary:
    """Add what is new in videos and folders of videos to a library, which is made if need be.

    A file is known by its path, size and time of change, else by its content. Of a changed file
    the moments are replaced. A file that cannot be read is named in what is returned.

    Args:
        library: its folder, or its URL on an object store.
        sources: videos, and folders with videos at any depth (hidden ones are passed over).
        model: a checkpoint, run folder or name; by default the library's own, for a new one the
            weights that come with the package.
        every: seconds between two moments, at least `LEAST`; by default the library's own, for a
            new one `EVERY`.
        prune: remove files that are gone: those in `sources` and below their folders, or all if
            there are no `sources`.
        optimize: join small files of the library, and make its index anew if it is large enough.
        engine: takes the moments; by default in this process.
        device: such as `cpu` or `cuda`; by default a GPU if there is one.
        batch: moments embedded together.
        commit_seconds: a commit is made after so long, or `ROWS` moments.
        least: moments from which on there is an index.
        progress: told the stage, what is done of it, and of how much.

    Raises:
        HearsightError: a source that is not there or holds no video (and never did, if `prune`),
            nothing that could be read, a library that is damaged, in use, binding to another model
            or `every`, or cannot be written.
    """
    if every is not None and not (math.isfinite(every) and every >= LEAST):
        raise HearsightError(
            f"`every` must be a number of seconds from {LEAST:g} up, not {every:g}."
        )
    if batch < 1:
        raise HearsightError(f"`batch` must be at least 1, not {batch}.")
    if device is not None:
        find_device(device)
    if not (sources or prune or optimize):
        raise HearsightError("Name the videos or folders to index.")
    library = os.fspath(library)
    done = IndexSummary()
    held = MomentTable.open(library)
    known = held.seen() if prune and held is not None else {}
    files = find_videos(sources, done.unreadable, known)
    if held is None and not sources:
        raise HearsightError(f"There is no library '{library}'.")
    embedder = None
    if held is None or model is not None:  # before the folder is made, for a wrong name makes none
        embedder = load_embedder(MODEL if model is None else model, device)
    with sole_writer(library), _opened(library, embedder, every) as table:
        seen = table.seen()
        writer = _Writer(table=table, seen=seen, done=done, seconds=commit_seconds)
        with writer:
            work = writer.known(files)
            if work:
                if embedder is None:
                    embedder = Library(table, model=None, device=device).embedder
                extraction = Extraction(binding=table.binding, embedder=embedder, batch=batch)
                for path, extracted in (engine or extract_locally)(work, extraction, progress):
                    writer.add(path, extracted)
        if prune:  # only now: what is gone from one place may have been copied to another
            lost = gone(seen, sources)
            table.remove(lost)
            done.removed = len(lost)
        _tidy(table, optimize=optimize, least=least, progress=progress)
        done.moments = len(table)
    _check_read(done)
    return done


def _check_read(done: IndexSummary) -> None:
    """Refuse to call a run done that could read nothing of what was named.

    Raises:
        HearsightError: so it is.
    """
    worked = done.added + done.changed + done.copied + done.unchanged + done.removed
    if worked or not done.unreadable:
        return
    said = [f"{Path(name).name}: {why.rstrip('.')}" for name, why in done.unreadable.items()]
    if len(said) > NAMED:
        said[NAMED:] = [f"and {len(said) - NAMED:,} more"]
    raise HearsightError(f"Nothing is indexed, for nothing could be read: {'; '.join(said)}.")


@contextmanager
def _opened(library: str, embedder: Embedder | None, every: float | None) -> Iterator[MomentTable]:
    """The table, made if there is none; refused if it is binding to another model or `every`.

    One that is made and stays empty is removed again, but for an interruption: then the next run
    goes on with the same model.
    """
    table = MomentTable.open(library)
    made = table is None
    if table is None:
        if embedder is None:
            raise HearsightError(f"The library '{library}' has just been removed.")
        table = _create(library, embedder, EVERY if every is None else every)
    if embedder is not None:
        check_model(table, embedder)
    if every is not None and every != table.binding.every:
        raise HearsightError(
            f"The library '{library}' has a moment every {table.binding.every:g} s, not every"
            f" {every:g} s: leave `every` out, or index the videos into a new library."
        )
    try:
        yield table
    except KeyboardInterrupt:
        made = False
        raise
    finally:
        if made and not len(table):
            table.drop()


def _create(library: str, embedder: Embedder, every: float) -> MomentTable:
    silence = np.zeros(round(embedder.seconds * RATE), np.float32)
    binding = LibraryBinding(
        model=embedder.source,
        recipe=embedder.recipe.name,
        fingerprint=embedder.fingerprint(),
        channels=embedder.sounds([silence]).shape[1],
        every=every,
        seconds=embedder.seconds,
    )
    return MomentTable.create(library, binding)


def _tidy(table: MomentTable, *, optimize: bool, least: int, progress: Progress) -> None:
    """Make the index where it is asked for or pays, and clear up if asked."""
    if (optimize and len(table) >= least) or table.index_pays(least):
        progress("indexing vectors", 0, 1)
        table.make_index()
        progress("indexing vectors", 1, 1)
    if optimize:
        table.compact()


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


@dataclass(slots=True, kw_only=True)
class _Writer:
    """Brings whole files into the table, some in each commit; a context that commits the rest."""

    table: MomentTable
    seen: dict[str, IndexedFile]
    done: IndexSummary
    seconds: float
    waiting: list[ExtractedMoments] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.commit()  # whatever ended the run, what is finished is kept

    def known(self, files: Iterable[Path]) -> list[Path]:
        """Count files that are unchanged, copy those whose content is known, return the rest."""
        by_size: dict[int, list[IndexedFile]] = {}
        for seen in self.seen.values():
            by_size.setdefault(seen.size, []).append(seen)
        rest = []
        for path in files:
            try:
                now = file_state(path)
                before = self.seen.get(now.file)
                if before is not None and replace(before, digest="") == now:
                    self.done.unchanged += 1
                    continue
                twins = by_size.get(now.size)
                now = replace(now, digest=digest(path)) if twins else now
            except OSError:
                twins = None  # the engine will say what is wrong with it
            same = (seen for seen in twins or () if seen.digest == now.digest)
            # a commit in between may have given its name to other content
            twin = next((seen for seen in same if self.seen.get(seen.file) == seen), None)
            if twin is None:
                rest.append(path)
            else:
                self._enter(self._copy(twin, now))
                self.done.copied += 1
        return rest

    def add(self, path: Path, extracted: ExtractedMoments | str) -> None:
        """Take in what an engine gave."""
        if isinstance(extracted, str):
            self.done.unreadable[str(path)] = extracted
            return
        if extracted.seen.file in self.seen:
            self.done.changed += 1
        else:
            self.done.added += 1
        self._enter(extracted)

    def commit(self) -> None:
        """Write what waits, once: if that fails, those files are left to the next run."""
        coming, self.waiting = self.waiting, []
        try:
            if coming:
                replaced = [
                    extracted.seen.file for extracted in coming if extracted.seen.file in self.seen
                ]
                with _interrupted_late():
                    self.table.append(_rows(coming), replaced)
                    self.seen.update({extracted.seen.file: extracted.seen for extracted in coming})
        finally:
            for extracted in coming:
                extracted.rows.close()
            self.since = time.monotonic()

    def _enter(self, extracted: ExtractedMoments) -> None:
        self.waiting.append(extracted)
        rows = sum(extracted.moments for extracted in self.waiting)
        if rows >= ROWS or time.monotonic() - self.since >= self.seconds:
            self.commit()

    def _copy(self, twin: IndexedFile, now: IndexedFile) -> ExtractedMoments:
        """The rows of a file as those of another with the same content."""
        found = self.table.moments(twin.file, self.table.schema.names)
        for name in ("file", "size", "modified", "digest"):
            place = self.table.schema.get_field_index(name)
            column = pa.array([getattr(now, name)] * len(found), self.table.schema.field(name).type)
            found = found.set_column(place, self.table.schema.field(name), column)
        rows = row_store()
        with pa.ipc.new_stream(rows, self.table.schema) as stream:
            stream.write_table(found.select(self.table.schema.names).cast(self.table.schema))
        rows.seek(0)
        return ExtractedMoments(seen=now, moments=len(found), rows=rows)


def _rows(files: Iterable[ExtractedMoments]) -> Iterator[pa.RecordBatch]:
    for extracted in files:
        with pa.ipc.open_stream(extracted.rows) as stream:
            yield from stream


@contextmanager
def _interrupted_late() -> Iterator[None]:
    """Let a first Ctrl-C wait for the end of what is done; a second one breaks it off.

    A commit that is broken off would leave changed files without moments until the next run.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # no Ctrl-C arrives here, or it means nothing
        return
    late: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        late.append((number, frame))
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if late:
        before(*late[0])
