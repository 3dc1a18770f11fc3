"""The table of a library: one row per moment, in a LanceDB folder or on an object store.

What all rows share (the model, the time between moments) is in the metadata of the table's schema,
so it is there from the first commit on, wherever the table is. A row's embeddings have length 1,
so their squared Euclidean distance is 2 - 2 cosine.
"""

import json
import math
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
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
from hearsight.media.sound_windows import QUIET


@contextmanager
def unchanged_caller() -> Iterator[None]:
    """Import LanceDB within: it reads `LANCEDB_LOG` then, and urllib3 adds filters of warnings.

    LanceDB would warn of duplicate vectors. The caller's environment and filters are as before
    afterwards. `warnings.catch_warnings` is not for this: it swaps the filters of all threads.
    """
    variable, before = "LANCEDB_LOG", list(warnings.filters)
    was_set = variable in os.environ
    os.environ.setdefault(variable, "error")
    try:
        yield
    finally:
        if not was_set:
            os.environ.pop(variable, None)
        for each in list(warnings.filters):
            if each not in before and each[2].__module__.startswith("urllib3"):
                warnings.filters.remove(each)  # type: ignore[attr-defined]


with needs("library", "A library"), unchanged_caller():
    import lancedb
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]
    from lancedb.index import IvfRq, IvfSq
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import LanceTable, Table

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
BITS = 4  # per dimension in the vector index
SAMPLES = 64  # vectors per partition from which its centre is learned
ITERATIONS = 10  # of that k-means
PROBES = 40  # partitions searched; at least, and at least one for every two results
REFINE = {"IVF_PQ": 40}  # times k moments, best by the index, whose exact cosine is computed
REFINE_CODES = 4  # the same for what `build_vector_index` makes; older libraries have the one above
EVERY_PARTITION = 2**31 - 1  # probes
TRIES = (1, 4)  # times k moments among which k are hoped for that are not left out
SPARE_TRIES = (2, 8)  # the same where more than k are of use: a second search costs more than they
FILES_PER_DELETE = 500  # names in one condition
OLD = timedelta(milliseconds=1)  # versions that compacting deletes; of 0 LanceDB warns
SHOWN = ("file", "kind", "time", "level", "box", "heatmap", "thumbnail")  # of what is found
AUDIBLE = f"level >= {QUIET}"
FRESH = timedelta(seconds=5)  # after which an open table looks for newer moments

DAMAGED = "cannot be read and may be damaged; index its videos into a new one"
UNREACHED = "cannot be reached (by this address and the credentials in the environment)"
UNWRITTEN = "cannot be written"
LANCE_PREFIX = re.compile(r"lance error: (LanceError\(\w+\): )?")  # of its messages


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


@contextmanager
def _lance_errors(library: str, failure: str) -> Iterator[None]:
    """Turn what LanceDB raises (panics of its Rust code, too) into one sentence."""
    try:
        yield
    except HearsightError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split(", /")[0].split())
        reason = LANCE_PREFIX.sub("", reason)[:300].rstrip(".")
        raise HearsightError(f"The library '{library}' {failure}: {reason}.") from error


def _quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


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

    def __init__(self, library: str, table: Table) -> None:
        self.library = library
        self._table = table
        metadata = (table.schema.metadata or {}).get(METADATA)
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
        with _lance_errors(library, UNREACHED):
            connection = lancedb.connect(library, read_consistency_interval=FRESH)
            if is_url(library) and TABLE not in connection.list_tables().tables:
                return None
        with _lance_errors(library, DAMAGED):
            return cls(library, connection.open_table(TABLE))

    @classmethod
    def create(cls, library: str, info: LibraryInfo) -> "MomentTable":
        """An empty table; `sole_writer` must be held.

        Raises:
            HearsightError: it cannot be written.
        """
        with _lance_errors(library, UNWRITTEN):
            connection = lancedb.connect(library, read_consistency_interval=FRESH)
            half_made = not is_url(library) and (Path(library) / f"{TABLE}.lance").exists()
            mode = "overwrite" if half_made else "create"
            return cls(library, connection.create_table(TABLE, schema=schema(info), mode=mode))

    def drop(self) -> None:
        """Remove the table; `sole_writer` must be held."""
        with _lance_errors(self.library, UNWRITTEN):
            lancedb.connect(self.library).drop_table(TABLE)

    def _read(self, query: Callable[[Table], Any]) -> Any:
        """Run a query; if it fails, once more on the newest version of the table.

        Compaction may have deleted the files of the version that was open. LanceDB has no error
        of its own for that.
        """
        with _lance_errors(self.library, DAMAGED):
            try:
                return query(self._table)
            except Exception:
                self._table.checkout_latest()  # type: ignore[no-untyped-call]
                return query(self._table)

    @contextmanager
    def _newest(self, failure: str) -> Iterator[Table]:
        """The table at its newest version, for all that is not a search.

        The version that was open may be behind, and compaction may have deleted its files: no write
        to it would succeed any more.
        """
        with _lance_errors(self.library, failure):
            self._table.checkout_latest()  # type: ignore[no-untyped-call]
            yield self._table

    def __len__(self) -> int:
        return int(self._read(lambda table: table.count_rows()))

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
        def query(table: Table) -> pa.Table:
            matching = table.search().where(condition).select(list(columns))
            return matching.limit(max(1, table.count_rows())).to_arrow()

        return self._read(query)

    def append(self, rows: Iterable[pa.RecordBatch], replaced: Sequence[str]) -> None:
        """Delete the moments of `replaced` files, then add those of whole files in one commit.

        Raises:
            HearsightError: the rows cannot be written; those of `replaced` may be gone.
        """
        self.remove(replaced)
        reader = pa.RecordBatchReader.from_batches(self.schema, rows)
        with self._newest(UNWRITTEN) as table:
            table.add(reader, write_parallelism=1)

    def remove(self, files: Sequence[str]) -> None:
        """Delete all moments of these files."""
        with self._newest(UNWRITTEN) as table:
            for start in range(0, len(files), FILES_PER_DELETE):
                names = ", ".join(map(_quoted, files[start : start + FILES_PER_DELETE]))
                table.delete(f"file IN ({names})")

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
        more: give those beyond k, too, that a vector index found without being asked again.
        """
        without = sorted(without)
        kind = None if exact else self._vector_index(modality)
        if kind is not None and only == EVERY_MOMENT and silent is not True:
            for times in SPARE_TRIES if more else TRIES:
                found = self._search(vector, modality, times * k, [], kind, spare=times)
                kept = _remaining(found, without, silent)
                if len(kept) >= k or len(found) < times * k:
                    return kept if more else kept[:k]
        conditions = only.conditions()
        if without:
            conditions.append(f"file NOT IN ({', '.join(map(_quoted, without))})")
        if silent is not None:
            conditions.append(f"(level < {QUIET} OR level IS NULL)" if silent else AUDIBLE)
        return self._search(vector, modality, k, conditions, kind)

    def _search(
        self,
        vector: Float32[np.ndarray, " c"],
        modality: Modality,
        k: int,
        conditions: Sequence[str],
        kind: str | None,
        *,
        spare: int = 1,
    ) -> pa.Table:
        """The k nearest that meet all conditions of SQL; the rest as in `nearest`.

        kind: of the vector index, None to compare all. spare: how many times as many as are wanted
        `k` is: so many fewer exact cosines are computed for each.

        Under a condition every partition of the vector index is searched: those near the vector may
        hold none that meets it.
        """
        shown = {name: name for name in SHOWN if name in self.schema.names}
        if "kind" in shown:  # which LanceDB would unpack for all rows, if all are of one kind
            shown["kind"] = f"{_other(modality)} IS NULL"
        some = EVERY_PARTITION if conditions else max(PROBES, k // 2)
        refine = max(1, REFINE.get(kind or "", REFINE_CODES) // spare)

        def query(table: Table, probes: int) -> pa.Table:
            search = table.search(vector, vector_column_name=modality, query_type="vector")
            assert isinstance(search, LanceVectorQueryBuilder)
            search.distance_type("l2").limit(k).select({**shown, "_distance": "_distance"})
            if kind is None:
                search.bypass_vector_index()
            else:
                search.nprobes(probes).refine_factor(refine)
            if conditions:
                search.where(" AND ".join(conditions))
            return search.to_arrow()

        found = self._read(lambda table: query(table, some))
        if kind is not None and len(found) < k and some < EVERY_PARTITION:
            found = self._read(lambda table: query(table, EVERY_PARTITION))
        cosine = 1 - found["_distance"].to_numpy() / 2
        found = found.drop_columns("_distance").append_column("score", pa.array(cosine))
        if "kind" in shown:
            alone = "sound" if modality == "sound" else "picture"
            kind = pc.if_else(found["kind"], alone, "video")
            found = found.set_column(found.schema.get_field_index("kind"), "kind", kind)
        return found.sort_by(
            [("score", "descending"), ("file", "ascending"), ("time", "ascending")]
        )

    def _vector_index(self, modality: Modality) -> str | None:
        """The kind of a modality's vector index, as LanceDB calls it; None if there is none."""
        stats = self._read(lambda table: table.index_stats(f"{modality}_idx"))
        return None if stats is None else str(stats.index_type)

    def warm(self) -> None:
        """Load the vector index into memory, if there is one: some 300 bytes a moment and modality.

        A search loads of it what it looks through for the first time.
        """

        def load(table: Table) -> None:
            assert isinstance(table, LanceTable)
            for index in (f"{modality}_idx" for modality in MODALITIES):
                if table.index_stats(index) is not None:
                    table.prewarm_index(index)

        self._read(load)  # in one: a writer may drop the index between two

    def needs_vector_index(self, index_from: int = INDEX_FROM) -> bool:
        """Whether at least `index_from` moments are there, too few of them in the vector index."""
        count = len(self)
        if count < index_from:
            return False
        with self._newest(DAMAGED) as table:
            indexes = [table.index_stats(f"{modality}_idx") for modality in MODALITIES]
        return any(
            stats is None or stats.num_unindexed_rows > MOST_UNINDEXED * count for stats in indexes
        )

    def build_vector_index(self, modalities: Sequence[Modality] = MODALITIES) -> None:
        """Index the modalities anew, by inverted lists of RaBitQ codes (IVF-RQ).

        These take channels in eights; of another number the lists hold a byte for each (IVF-SQ).
        """
        count = len(self)
        partitions = max(1, min(count // PER_PARTITION, math.isqrt(count)))
        config: IvfRq | IvfSq
        if self.info.channels % 8 == 0:
            config = IvfRq("l2", partitions, BITS, ITERATIONS, SAMPLES)
        else:
            config = IvfSq("l2", partitions, ITERATIONS, SAMPLES)
        with self._newest(UNWRITTEN) as table:
            for modality in modalities:
                table.create_index(modality, config=config, replace=True)

    def drop_vector_index(self) -> None:
        """Search without an index from now on; its files go when the table is compacted."""
        with self._newest(UNWRITTEN) as table:
            for index in list(table.list_indices()):
                table.drop_index(index.name)

    def compact(self) -> None:
        """Join small files into large ones and delete older versions; `sole_writer` must be held.

        LanceDB also joins lists of a vector index, so that a search which looks through as many of
        them as before compares a multiple of the moments.

        A process that reads meanwhile may lose the files of its version; see `_read`.
        """
        with self._newest(UNWRITTEN) as table:
            sleep(2 * OLD.total_seconds())  # for the version that is open to be old, too
            table.optimize(cleanup_older_than=OLD, delete_unverified=not is_url(self.library))
