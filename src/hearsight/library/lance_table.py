"""The table of a library: one row per moment, in a LanceDB folder or on an object store.

What all rows share (the model, the time between moments) is in the metadata of the table's schema,
so it is there from the first commit on, wherever the table is. A row's embeddings have length 1,
so their squared Euclidean distance is 2 - 2 cosine.
"""

import json
import math
import os
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from hearsight.errors import HearsightError, needs
from hearsight.files import locks
from hearsight.library.lance_calls import (
    DAMAGED,
    UNREACHED,
    UNWRITTEN,
    Answer,
    connect,
    lance_errors,
    run,
)
from hearsight.media.sound_windows import QUIET

with needs("library", "A library"):
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]
    from lancedb.index import IvfRq, IvfSq
    from lancedb.table import AsyncTable

Kind = Literal["video", "sound", "picture"]  # of a file; a picture has one moment, at 0 s
KINDS: tuple[Kind, ...] = ("video", "sound", "picture")
Modality = Literal["sound", "image"]  # which of a moment's two embeddings
MODALITIES: tuple[Modality, ...] = ("sound", "image")
TABLE = "moments"  # name of the table
SCHEMES = ("s3", "gs", "az", "memory")  # of object stores; the last is for tests
METADATA = b"hearsight"  # key of the library's facts in the schema's metadata
FORMAT = 4
OLDEST = 1  # format that is still read and added to: videos alone
KEYED = 4  # format from which on moments are at key frames where there are some
LACKING = {1: ("kind", "box", "confidence", "heatmap"), 2: ("heatmap",)}
"""Columns that libraries of older formats do not have."""

INDEX_FROM = 100_000  # moments from which on there is a vector index; below, search is exact
MOST_UNINDEXED = 0.25  # share of moments outside the vector index; above, it is built anew
PER_PARTITION = 1000  # moments; in larger libraries there are as many partitions as moments in each
MOST_CENTRES = 999_999  # numbers in the partitions' centres; see `_partitions`
BITS = 4  # per dimension in the vector index
SAMPLES = 64  # vectors per partition from which its centre is learned
ITERATIONS = 10  # of that k-means
PROBES = 40  # partitions searched; at least, and at least one for every two results
REFINE = {"IVF_PQ": 40}  # times k moments, best by the index, whose exact cosine is computed
REFINE_CODES = 4  # the same for what `build_vector_index` makes; older libraries have the one above
EVERY_PARTITION = 2**31 - 1  # probes
TRIES = (1, 4)  # times k moments among which k are hoped for that are not left out
SPARE_TRIES = (2, 8)  # the same where more than k are of use: a second search costs more than they
SPARE = 32  # times k moments that a search without some files gives: they cost little more than k
MOST_SPARE = 1000  # of these
FILES_PER_DELETE = 500  # names in one condition
OLD = timedelta(milliseconds=1)  # versions that compacting deletes; of 0 LanceDB warns
SHOWN = ("file", "kind", "time", "level", "box", "heatmap", "thumbnail")  # of what is found
AUDIBLE = f"level >= {QUIET}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryInfo:
    """What all moments of a library share."""

    model: str  # where the model was found: a path, or the name of one that comes with hearsight
    recipe: str  # name of the recipe that trained it
    fingerprint: str  # digest of its weights
    channels: int  # of an embedding
    every: float  # seconds between two moments
    seconds: float  # length of the sound that is embedded at a moment
    format: int = FORMAT

    @property
    def keyed(self) -> bool:
        """Whether its moments are at key frames near the middles of segments, where there are some.

        Those of older libraries are at the middles themselves, whatever is added to them.
        """
        return self.format >= KEYED


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """A file as it was at one time; the same version gives the same moments."""

    file: str  # absolute path
    size: int  # bytes
    modified: int  # nanoseconds since 1970
    digest: str  # of its content


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentFilter:
    """Which moments a search is for."""

    name: str = ""  # a part of the file's path, in small or capital letters
    start: float | None = None  # seconds from the start of the file, at least
    end: float | None = None  # at most

    def conditions(self) -> list[str]:
        """The same in SQL."""
        found = []
        if self.name:
            found.append(f"contains(lower(file), {_quoted(self.name.lower())})")
        if self.start is not None:
            found.append(f"time >= {float(self.start)!r}")
        if self.end is not None:
            found.append(f"time <= {float(self.end)!r}")
        return found


EVERY_MOMENT = MomentFilter()


def schema(info: LibraryInfo) -> pa.Schema:
    """The columns of a row, with what all rows share as metadata."""
    vector = pa.list_(pa.float32(), info.channels)
    columns = {
        "file": pa.string(),
        "size": pa.int64(),  # of `FileVersion`, like the next two
        "modified": pa.int64(),
        "digest": pa.string(),
        "kind": pa.string(),  # of the file, one of `KINDS`
        "number": pa.int32(),  # of the moment in its file, from 0
        "time": pa.float64(),  # seconds
        "level": pa.float32(),  # dBFS of the second around the moment; null where there is no sound
        "sound": vector,  # null of a picture
        "image": vector,  # null of a sound
        "box": pa.list_(pa.float32(), 4),  # where it sounds: shares of the frame's width and height
        "heatmap": pa.binary(),  # grey PNG of the response map; null where there is no source
        "confidence": pa.float32(),  # cosine, as `Moment` has it; null where there is no frame
        "thumbnail": pa.binary(),  # JPEG; of a sound its waveform
    }
    lacking = LACKING.get(info.format, ())
    columns = {name: kind for name, kind in columns.items() if name not in lacking}
    return pa.schema(list(columns.items()), {METADATA: json.dumps(asdict(info))})


def absolute_path(path: str | Path) -> Path:
    """The path by which a library knows a file: absolute, symbolic links not resolved."""
    return Path(os.path.normpath(Path(path).absolute()))


def is_url(library: str) -> bool:
    """Whether the library is on an object store."""
    return "://" in library


def check_location(library: str) -> None:
    """Check that a name or URL can be that of a library.

    Raises:
        HearsightError: it is empty, a file, of an unknown scheme, or without a bucket.
    """
    if not library:
        raise HearsightError("The name of the library is empty.")
    if not is_url(library):
        if Path(library).is_file():
            raise HearsightError(f"'{library}' is a file, and a library is a folder.")
        return
    scheme, _, rest = library.partition("://")
    if scheme not in SCHEMES:
        raise HearsightError(
            f"'{library}' cannot hold a library: name a folder, or a URL that begins with"
            " s3://, gs:// or az://."
        )
    if not rest.strip("/"):
        raise HearsightError(f"'{library}' names no bucket: write {scheme}://BUCKET/NAME.")


@contextmanager
def sole_writer(library: str) -> Iterator[None]:
    """Create the library's folder and lock it against other writers; see `locks.sole_writer`.

    On an object store nothing is locked.

    Raises:
        HearsightError: another process is writing, the folder holds other things, or it cannot be
            written.
    """
    if is_url(library):
        yield
        return
    folder = Path(library)
    try:
        held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise HearsightError(f"'{folder}' cannot be read: {error.strerror}.") from error
    strangers = held - {locks.LOCK}
    if strangers and f"{TABLE}.lance" not in held:
        raise HearsightError(f"'{folder}' is not a library: it holds '{min(strangers)}'.")
    with locks.sole_writer(folder):
        yield


def _quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _partitions(count: int, channels: int) -> int:
    """The number of partitions for so many moments with embeddings of so many channels.

    From a million numbers in all centres on, LanceDB looks up a moment's centre in a graph, which
    often gives another one than the nearest. Such a moment lies where no search looks for it.
    """
    return max(1, min(count // PER_PARTITION, math.isqrt(count), MOST_CENTRES // channels))


def _other(modality: Modality) -> Modality:
    return "image" if modality == "sound" else "sound"


def _remaining(found: pa.Table, without: Sequence[str], silent: bool | None) -> pa.Table:
    """What `MomentTable.nearest` finds, if silence is not what it looks for."""
    if without:
        found = found.filter(pc.invert(pc.is_in(found["file"], pa.array(without, pa.string()))))
    if silent is not None:
        found = found.filter(pc.fill_null(pc.greater_equal(found["level"], QUIET), False))
    return found


class MomentTable:
    """The rows of a library. `open` and `create` make one."""

    def __init__(self, library: str, table: AsyncTable) -> None:
        self.library = library
        self._table = table
        metadata = (run(table.schema()).metadata or {}).get(METADATA)
        if metadata is None:
            raise HearsightError(f"'{library}' is a LanceDB table that hearsight did not make.")
        facts = json.loads(metadata)
        if facts.get("format") not in range(OLDEST, FORMAT + 1):
            raise HearsightError(f"The library '{library}' was made by a newer hearsight.")
        self.info = LibraryInfo(**facts)
        self.schema = schema(self.info)

    @classmethod
    def open(cls, library: str) -> "MomentTable | None":
        """The table of a library; None if there is none.

        Raises:
            HearsightError: it is damaged, cannot be read, or no library can have that name.
        """
        check_location(library)
        if not is_url(library):
            versions = Path(library) / f"{TABLE}.lance" / "_versions"
            try:  # a table without a manifest was never committed
                if not any(path.suffix == ".manifest" for path in versions.iterdir()):
                    return None
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise HearsightError(f"'{library}' cannot be read: {error.strerror}.") from error
        with lance_errors(library, UNREACHED):
            connection = run(connect(library))
            if is_url(library) and TABLE not in run(connection.list_tables()).tables:
                return None
        with lance_errors(library, DAMAGED):
            return cls(library, run(connection.open_table(TABLE)))

    @classmethod
    def create(cls, library: str, info: LibraryInfo) -> "MomentTable":
        """An empty table; `sole_writer` must be held.

        Raises:
            HearsightError: it cannot be written.
        """
        half_made = not is_url(library) and (Path(library) / f"{TABLE}.lance").exists()
        mode: Literal["overwrite", "create"] = "overwrite" if half_made else "create"
        with lance_errors(library, UNWRITTEN):
            made = run(connect(library)).create_table(TABLE, schema=schema(info), mode=mode)
            return cls(library, run(made))

    def drop(self) -> None:
        """Remove the table; `sole_writer` must be held."""
        with lance_errors(self.library, UNWRITTEN):
            run(run(connect(self.library)).drop_table(TABLE))

    def _read(self, query: Callable[[AsyncTable], Coroutine[Any, Any, Answer]]) -> Answer:
        """Run a query; if it fails, once more on the newest version of the table.

        Compaction may have deleted the files of the version that was open. LanceDB has no error
        of its own for that.
        """

        async def attempt() -> Answer:
            try:
                return await query(self._table)
            except Exception:
                await self._table.checkout_latest()  # type: ignore[no-untyped-call]
                return await query(self._table)

        with lance_errors(self.library, DAMAGED):
            return run(attempt())

    def _at_newest(
        self, failure: str, work: Callable[[AsyncTable], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """Do something with the table at its newest version, for all that is not a search.

        The version that was open may be behind, and compaction may have deleted its files: no write
        to it would succeed any more.
        """

        async def attempt() -> Answer:
            await self._table.checkout_latest()  # type: ignore[no-untyped-call]
            return await work(self._table)

        with lance_errors(self.library, failure):
            return run(attempt())

    def __len__(self) -> int:
        return self._read(lambda table: table.count_rows())

    def files(self) -> dict[str, FileVersion]:
        """Every file that has moments here, by its path."""
        columns = ["file", "size", "modified", "digest"]
        rows = self._rows_where("number = 0", columns).to_pylist()
        return {row["file"]: FileVersion(**row) for row in rows}

    def kinds(self) -> dict[Kind, int]:
        """The number of files of each kind."""
        held = list(self.file_kinds().values())
        return {kind: held.count(kind) for kind in KINDS}

    def file_kinds(self) -> dict[str, Kind]:
        """The kind of every file that has moments here, by its path."""
        if self.info.format == 1:
            return dict.fromkeys(self.files(), "video")
        rows = self._rows_where("number = 0", ["file", "kind"]).to_pylist()
        return {row["file"]: row["kind"] for row in rows}

    def moments(self, file: str, columns: Sequence[str]) -> pa.Table:
        """These columns of a file's moments, sorted by time; `time` must be among them."""
        return self._rows_where(f"file = {_quoted(file)}", columns).sort_by("time")

    def _rows_where(self, condition: str, columns: Sequence[str]) -> pa.Table:
        async def query(table: AsyncTable) -> pa.Table:
            matching = table.query().where(condition).select(list(columns))
            return await matching.limit(max(1, await table.count_rows())).to_arrow()

        return self._read(query)

    def append(self, rows: Iterable[pa.RecordBatch], replaced: Sequence[str]) -> None:
        """Delete the moments of `replaced` files, then add those of whole files in one commit.

        Raises:
            HearsightError: the rows cannot be written; those of `replaced` may be gone.
        """
        self.remove(replaced)
        reader = pa.RecordBatchReader.from_batches(self.schema, rows)
        self._at_newest(UNWRITTEN, lambda table: table.add(reader, write_parallelism=1))

    def remove(self, files: Sequence[str]) -> None:
        """Delete all moments of these files."""

        async def delete(table: AsyncTable) -> None:
            for start in range(0, len(files), FILES_PER_DELETE):
                names = ", ".join(map(_quoted, files[start : start + FILES_PER_DELETE]))
                await table.delete(f"file IN ({names})")

        self._at_newest(UNWRITTEN, delete)

    def nearest(
        self,
        vector: Float32[np.ndarray, " c"],
        modality: Modality,
        k: int,
        *,
        exact: bool = False,
        without: Collection[str] = (),
        silent: bool | None = None,
        only: MomentFilter = EVERY_MOMENT,
        more: bool = False,
    ) -> pa.Table:
        """The k moments whose embedding of a modality has the highest cosine to a unit vector.

        Best first, equal ones sorted by file and time; the cosine is the column `score`.

        exact: do not use the vector index. without: files to leave out. silent: only moments under
        `QUIET` or without sound, or only others; None for both. only: which moments of them.
        more: give those beyond k, too, that take no further search; without files up to `SPARE` k.
        """
        without = sorted(without)
        conditions = only.conditions()
        if without:
            conditions.append(f"file NOT IN ({', '.join(map(_quoted, without))})")
        if silent is not None:
            conditions.append(f"(level < {QUIET} OR level IS NULL)" if silent else AUDIBLE)

        async def find(table: AsyncTable) -> pa.Table:
            stats = None if exact else await table.index_stats(f"{modality}_idx")
            index = None if stats is None else stats.index_type
            if index is not None and only == EVERY_MOMENT and silent is not True:
                for times in SPARE_TRIES if more else TRIES:
                    found = await self._search(
                        table, vector, modality, times * k, [], index, spare=times
                    )
                    kept = _remaining(found, without, silent)
                    if len(kept) >= k or len(found) < times * k:
                        return kept if more else kept[:k]
            # many may be of one file, each of which would take a search of its own
            count = max(k, min(SPARE * k, MOST_SPARE)) if more and without else k
            return await self._search(
                table, vector, modality, count, conditions, index, spare=count // k
            )

        return self._read(find)

    async def _search(
        self,
        table: AsyncTable,
        vector: Float32[np.ndarray, " c"],
        modality: Modality,
        k: int,
        conditions: Sequence[str],
        index: str | None,
        *,
        spare: int = 1,
    ) -> pa.Table:
        """The k nearest that meet all conditions of SQL; the rest as in `nearest`.

        index: the kind of the vector index, as LanceDB calls it; None to compare all. spare: how
        many times as many as are wanted `k` is: so many fewer exact cosines are computed for each.

        Under a condition every partition of the vector index is searched: those near the vector may
        hold none that meets it.
        """
        shown = {name: name for name in SHOWN if name in self.schema.names}
        if "kind" in shown:  # which LanceDB would unpack for all rows, if all are of one kind
            shown["kind"] = f"{_other(modality)} IS NULL"
        refine = max(1, REFINE.get(index or "", REFINE_CODES) // spare)

        async def query(probes: int) -> pa.Table:
            search = table.vector_search(vector).column(modality).distance_type("l2").limit(k)
            search = search.select({**shown, "_distance": "_distance"})
            if index is None:
                search = search.bypass_vector_index()
            else:
                search = search.nprobes(probes).refine_factor(refine)
            if conditions:
                search = search.where(" AND ".join(conditions))
            return await search.to_arrow()

        some = EVERY_PARTITION if conditions else max(PROBES, k // 2)
        found = await query(some)
        if index is not None and len(found) < k and some < EVERY_PARTITION:
            found = await query(EVERY_PARTITION)
        cosine = np.clip(1 - found["_distance"].to_numpy() / 2, -1, 1)  # it may round beyond
        found = found.drop_columns("_distance").append_column("score", pa.array(cosine))
        if "kind" in shown:
            alone = "sound" if modality == "sound" else "picture"
            kind = pc.if_else(found["kind"], alone, "video")
            found = found.set_column(found.schema.get_field_index("kind"), "kind", kind)
        return found.sort_by(
            [("score", "descending"), ("file", "ascending"), ("time", "ascending")]
        )

    def warm(self) -> None:
        """Load the vector index into memory, if there is one: some 300 bytes a moment and modality.

        A search loads of it what it looks through for the first time.
        """

        async def load(table: AsyncTable) -> None:
            for index in (f"{modality}_idx" for modality in MODALITIES):
                if await table.index_stats(index) is not None:
                    await table.prewarm_index(index)

        self._read(load)  # in one: a writer may drop the index between two

    def needs_vector_index(self, index_from: int = INDEX_FROM) -> bool:
        """Whether at least `index_from` moments are there, too few of them in the vector index."""
        count = len(self)
        if count < index_from:
            return False

        async def waiting(table: AsyncTable) -> list[int]:
            stats = [await table.index_stats(f"{modality}_idx") for modality in MODALITIES]
            return [count if one is None else one.num_unindexed_rows for one in stats]

        return max(self._at_newest(DAMAGED, waiting)) > MOST_UNINDEXED * count

    def build_vector_index(self, modalities: Sequence[Modality] = MODALITIES) -> None:
        """Index the modalities anew, by inverted lists of RaBitQ codes (IVF-RQ).

        These take channels in eights; of another number the lists hold a byte for each (IVF-SQ).
        """
        partitions = _partitions(len(self), self.info.channels)
        config: IvfRq | IvfSq
        if self.info.channels % 8 == 0:
            config = IvfRq("l2", partitions, BITS, ITERATIONS, SAMPLES)
        else:
            config = IvfSq("l2", partitions, ITERATIONS, SAMPLES)

        async def build(table: AsyncTable) -> None:
            for modality in modalities:
                await table.create_index(modality, config=config, replace=True)  # type: ignore[arg-type]

        self._at_newest(UNWRITTEN, build)

    def drop_vector_index(self) -> None:
        """Search without an index from now on; its files go when the table is compacted."""

        async def drop(table: AsyncTable) -> None:
            for index in await table.list_indices():
                await table.drop_index(index.name)

        self._at_newest(UNWRITTEN, drop)

    def compact(self) -> None:
        """Join small files into large ones and delete older versions; `sole_writer` must be held.

        LanceDB also joins lists of a vector index, so that a search which looks through as many of
        them as before compares a multiple of the moments.

        A process that reads meanwhile may lose the files of its version; see `_read`.
        """
        sleep(2 * OLD.total_seconds())  # for the version that is open to be old, too
        verified = is_url(self.library)
        self._at_newest(
            UNWRITTEN,
            lambda table: table.optimize(cleanup_older_than=OLD, delete_unverified=not verified),
        )
