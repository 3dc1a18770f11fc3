"""The table of a library: one row for each moment, in a LanceDB folder or on an object store.

What a library is binding to (its model, the time between moments) is in the metadata of the table's
schema: it is there from the first commit on, wherever the table lies. A row's vectors have length
1, so their squared Euclidean distance is 2 - 2 cosine.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from jaxtyping import Float32

from hearsight.errors import HearsightError
from hearsight.files import locks

os.environ.setdefault("LANCEDB_LOG", "error")  # read at import; it warns of duplicate vectors
try:
    import lancedb
    from lancedb.index import IvfPq
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import Table
except ImportError as missing:
    raise HearsightError("A library needs LanceDB: pip install 'hearsight[library]'.") from missing

Side = Literal["sound", "image"]  # which of a moment's two vectors
SIDES: tuple[Side, ...] = ("sound", "image")
NAME = "moments"  # of the table
SCHEMES = ("s3", "gs", "az", "memory")  # of object stores; the last is for tests
METADATA = b"hearsight"
FORMAT = 1
MANY = 100_000  # moments from which on an index pays; below, every search is exact
STALE = 0.25  # share of moments outside the index from which on it is made anew
PER_PARTITION = 1000  # moments
PER_CODE = 8  # dimensions that one byte of the index stands for
SAMPLES = 64  # vectors per list, and per code, from which they are learned
ITERATIONS = 10  # of that learning
PROBES = 40  # partitions searched; at least
REFINE = 40  # times k moments, best by the index, whose exact cosine is computed
PART = 500  # names of files in one condition
OLD = timedelta(milliseconds=1)  # versions that compacting deletes; of 0 LanceDB warns
FRESH = timedelta(seconds=5)  # after which an open library looks for newer moments


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryBinding:
    """What all moments of a library have in common."""

    model: str  # where the model was found: a path, or the name of one that comes with hearsight
    recipe: str  # name of what trained it
    fingerprint: str  # of its weights
    channels: int  # of a vector
    every: float  # seconds between two moments
    seconds: float  # of sound heard at a moment
    format: int = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """A file as it was when its moments were extracted."""

    file: str  # absolute path
    size: int  # bytes
    modified: int  # nanoseconds since 1970
    digest: str  # of its content


def schema(binding: LibraryBinding) -> pa.Schema:
    """The columns of a row, and what the library is binding to."""
    vector = pa.list_(pa.float32(), binding.channels)
    columns = {
        "file": pa.string(),
        "size": pa.int64(),  # of `IndexedFile`, like the next two
        "modified": pa.int64(),
        "digest": pa.string(),
        "number": pa.int32(),  # of the moment in its file, from 0
        "time": pa.float64(),  # seconds
        "level": pa.float32(),  # dBFS of the second around the moment; null where nothing sounds
        "sound": vector,
        "image": vector,
        "thumbnail": pa.binary(),  # JPEG
    }
    return pa.schema(list(columns.items()), {METADATA: json.dumps(asdict(binding))})


def absolute(path: str | Path) -> Path:
    """How a library names a file: from the root, symbolic links as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


def is_url(library: str) -> bool:
    """Whether the library lies on an object store."""
    return "://" in library


def check_place(library: str) -> None:
    """Refuse names and URLs under which no library can lie.

    Raises:
        HearsightError: it is one of those.
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
            f"'{library}' is no place for a library: that is a folder, or a URL that begins with"
            " s3://, gs:// or az://."
        )
    if not rest.strip("/"):
        raise HearsightError(f"'{library}' names no bucket: write {scheme}://BUCKET/NAME.")


@contextmanager
def sole_writer(library: str) -> Iterator[None]:
    """Make the folder and keep other writers out, as `locks.sole_writer` does.

    An object store has no such lock.

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
    if strangers and f"{NAME}.lance" not in held:
        raise HearsightError(f"'{folder}' is no library: it holds '{min(strangers)}'.")
    with locks.sole_writer(folder):
        yield


@contextmanager
def _plainly(library: str, what: str) -> Iterator[None]:
    """Say in a sentence what LanceDB, or Rust below it, says in many."""
    try:
        yield
    except HearsightError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split(", /")[0].split())
        reason = LAYERS.sub("", reason)[:300].rstrip(".")
        raise HearsightError(f"The library '{library}' {what}: {reason}.") from error


DAMAGED = "cannot be read and may be damaged; index its videos into a new one"
UNREACHED = "cannot be reached (by this address and the credentials in the environment)"
LAYERS = re.compile(r"lance error: (LanceError\(\w+\): )?")  # of LanceDB, and no news to a user
UNWRITTEN = "cannot be written"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class MomentTable:
    """The rows of a library. `open` and `create` make one."""

    def __init__(self, library: str, table: Table) -> None:
        self.library = library
        self._table = table
        held = (table.schema.metadata or {}).get(METADATA)
        if held is None:
            raise HearsightError(f"'{library}' is a LanceDB table that hearsight did not make.")
        facts = json.loads(held)
        if facts.get("format") != FORMAT:
            raise HearsightError(f"The library '{library}' was made by a newer hearsight.")
        self.binding = LibraryBinding(**facts)
        self.schema = schema(self.binding)

    @classmethod
    def open(cls, library: str) -> "MomentTable | None":
        """The table of a library; None where there is none.

        Raises:
            HearsightError: it is damaged, cannot be read, or can lie under no such name.
        """
        check_place(library)
        if not is_url(library):
            versions = Path(library) / f"{NAME}.lance" / "_versions"
            try:  # of a table that was never committed nothing counts
                if not any(path.suffix == ".manifest" for path in versions.iterdir()):
                    return None
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise HearsightError(f"'{library}' cannot be read: {error.strerror}.") from error
        with _plainly(library, UNREACHED):
            connection = lancedb.connect(library, read_consistency_interval=FRESH)
            if is_url(library) and NAME not in connection.list_tables().tables:
                return None
        with _plainly(library, DAMAGED):
            return cls(library, connection.open_table(NAME))

    @classmethod
    def create(cls, library: str, binding: LibraryBinding) -> "MomentTable":
        """A table without rows; `sole_writer` must be held.

        Raises:
            HearsightError: it cannot be written.
        """
        with _plainly(library, UNWRITTEN):
            connection = lancedb.connect(library, read_consistency_interval=FRESH)
            half_made = not is_url(library) and (Path(library) / f"{NAME}.lance").exists()
            mode = "overwrite" if half_made else "create"
            return cls(library, connection.create_table(NAME, schema=schema(binding), mode=mode))

    def drop(self) -> None:
        """Remove the table; `sole_writer` must be held."""
        with _plainly(self.library, UNWRITTEN):
            lancedb.connect(self.library).drop_table(NAME)

    def _read(self, ask: Callable[[Table], Any]) -> Any:
        """What the table answers; asked again if files are gone because it has been compacted."""
        with _plainly(self.library, DAMAGED):
            try:
                return ask(self._table)
            except Exception:  # of many kinds, and none that tells this cause from damage
                self._table.checkout_latest()  # type: ignore[no-untyped-call]
                return ask(self._table)

    def __len__(self) -> int:
        return int(self._read(lambda table: table.count_rows()))

    def seen(self) -> dict[str, IndexedFile]:
        """Every file that has moments here, by its path."""
        columns = ["file", "size", "modified", "digest"]
        found = self._rows_where("number = 0", columns).to_pylist()
        return {row["file"]: IndexedFile(**row) for row in found}

    def moments(self, file: str, columns: Sequence[str]) -> pa.Table:
        """These columns of a file's moments, in order of time; `time` must be among them."""
        return self._rows_where(f"file = {_quoted(file)}", columns).sort_by("time")

    def _rows_where(self, condition: str, columns: Sequence[str]) -> pa.Table:
        def ask(table: Table) -> pa.Table:
            query = table.search().where(condition).select(list(columns))
            return query.limit(max(1, table.count_rows())).to_arrow()

        return self._read(ask)

    def append(self, rows: Iterable[pa.RecordBatch], replaced: Sequence[str]) -> None:
        """Add the moments of whole files in one commit, after dropping those of `replaced` files.

        Raises:
            HearsightError: they cannot be written; the table is as it was, or without `replaced`.
        """
        self.remove(replaced)
        reader = pa.RecordBatchReader.from_batches(self.schema, rows)
        with _plainly(self.library, UNWRITTEN):
            self._table.add(reader, write_parallelism=1)

    def remove(self, files: Sequence[str]) -> None:
        """Drop all moments of these files."""
        with _plainly(self.library, UNWRITTEN):
            for start in range(0, len(files), PART):
                names = ", ".join(map(_quoted, files[start : start + PART]))
                self._table.delete(f"file IN ({names})")

    def nearest(
        self,
        vector: Float32[np.ndarray, " c"],
        side: Side,
        k: int,
        *,
        exact: bool = False,
        without: str | None = None,
    ) -> pa.Table:
        """The k moments whose `side` is nearest to a unit vector, with the cosine as `score`.

        Best first; equal ones in order of file and time. exact: do without the index. without: a
        file to leave out.
        """
        columns = ["file", "time", "level", "thumbnail", "_distance"]

        def ask(table: Table) -> pa.Table:
            query = table.search(vector, vector_column_name=side, query_type="vector")
            assert isinstance(query, LanceVectorQueryBuilder)
            query.distance_type("l2").nprobes(PROBES).refine_factor(REFINE)
            query.limit(k).select(columns)
            if exact:
                query.bypass_vector_index()
            if without is not None:
                query.where(f"file != {_quoted(without)}")
            return query.to_arrow()

        found = self._read(ask)
        cosine = 1 - found["_distance"].to_numpy() / 2
        found = found.drop_columns("_distance").append_column("score", pa.array(cosine))
        return found.sort_by(
            [("score", "descending"), ("file", "ascending"), ("time", "ascending")]
        )

    def index_pays(self, least: int = MANY) -> bool:
        """Whether there are many moments and too few of them are in the index."""
        count = len(self)
        if count < least:
            return False
        with _plainly(self.library, DAMAGED):
            inside = [self._table.index_stats(f"{side}_idx") for side in SIDES]
        return any(stats is None or stats.num_unindexed_rows > STALE * count for stats in inside)

    def make_index(self) -> None:
        """Index both sides anew, by inverted lists of product codes (IVF-PQ)."""
        count = len(self)
        config = IvfPq(
            distance_type="l2",
            num_partitions=max(1, count // PER_PARTITION),
            num_sub_vectors=max(1, self.binding.channels // PER_CODE),
            max_iterations=ITERATIONS,
            sample_rate=SAMPLES,
        )
        with _plainly(self.library, UNWRITTEN):
            for side in SIDES:
                self._table.create_index(side, config=config, replace=True)

    def compact(self) -> None:
        """Join small files into large ones and delete older versions; `sole_writer` must be held.

        What reads meanwhile may lose the files it reads. It asks once more by itself; only if the
        table is compacted again just then does that fail too.
        """
        with _plainly(self.library, UNWRITTEN):
            self._table.optimize(cleanup_older_than=OLD, delete_unverified=not is_url(self.library))
