"""How a library grows: files, bytes, seconds of indexing, of a search and of a commit, by its size.

    python benchmarks/scale.py grow --rows 250000 500000 1000000 --folder /tmp
    python benchmarks/scale.py commits --folder /tmp
    python benchmarks/scale.py columns
    python benchmarks/scale.py laws < LINES_OF_THE_ABOVE

`grow`: libraries of one modality of 512 numbers, as `library.py` makes them, without thumbnails;
each is written, compacted, indexed and searched by processes of their own, and deleted before the
next: up to twice its size is on the disk. The first `COLD` searches read the lists of the index
that they look through; for the others `warm` has loaded it. Bytes that a search reads are those
that the process asked the operating system for (`/proc/self/io`, so Linux only), whether or not
they came from the disk. `commits`: the seconds of a commit of one moment, and of opening the table,
after so many versions. `columns`: bytes of each column of a moment on disk. `laws`: the power of
the number of moments by which each figure grows, fitted by least squares to its logarithms, with
the standard error of the exponent, and what it gives for 100 million moments.

Each size prints one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "2"

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from library import CHANNELS, PART, draw_centres, grouped, make_rows, peak, size

from hearsight.library.lance_table import LibraryInfo, MomentTable

SOUGHT = 100_000_000  # moments that the laws are extrapolated to
QUERIES = 100
EXACT = 10  # queries compared with every moment
COLD = 20  # queries before the index is loaded
COMMITS = (10, 30, 100, 300)  # versions at which a commit is timed
AROUND = 10  # commits timed at each of them
INFO = LibraryInfo(
    model="none", recipe="none", fingerprint="0", channels=CHANNELS, every=3.0, seconds=3.0
)


def heard(table: MomentTable, start: int, count: int, centres: np.ndarray) -> pa.RecordBatch:
    """Moments of one made-up sound: an embedding each, and nothing seen."""
    batch = make_rows(table, start, count, centres)
    for name in ("image", "box", "heatmap", "thumbnail"):
        place = batch.schema.get_field_index(name)
        field = batch.schema.field(place)
        batch = batch.set_column(place, field, pa.nulls(count, field.type))
    return batch


def write(library: str, rows: int) -> dict[str, Any]:
    """In a process of its own: the table, in commits of `PART` moments."""
    table, centres = MomentTable.create(library, INFO), draw_centres(rows)
    commits = []
    for start in range(0, rows, PART):
        batch = heard(table, start, min(PART, rows - start), centres)
        begin = time.perf_counter()
        table.append([batch], [])
        commits.append(time.perf_counter() - begin)
    folder = Path(library) / "moments.lance"
    manifests = list((folder / "_versions").iterdir())
    return {
        "write_s": round(sum(commits), 1),
        "last_commits_s": round(float(np.median(commits[-10:])), 3),
        "files": sum(path.is_file() for path in folder.rglob("*")),
        "fragments": len(commits),
        "manifests": len(manifests),
        "manifests_mib": round(sum(path.stat().st_size for path in manifests) / 2**20, 3),
        "last_manifest_kib": round(max(path.stat().st_size for path in manifests) / 1024, 1),
        "data_mib": size(folder / "data"),
        "write_peak_mib": peak(),
    }


def index(library: str) -> dict[str, Any]:
    """In a process of its own: the vector index of the sounds."""
    table = MomentTable.open(library)
    assert table is not None
    begin, processor = time.perf_counter(), time.process_time()
    table.build_vector_index(["sound"])
    return {
        "index_s": round(time.perf_counter() - begin, 1),
        "index_processor_s": round(time.process_time() - processor, 1),
        "index_peak_mib": peak(),
        "index_mib": size(Path(library) / "moments.lance" / "_indices"),
    }


def bytes_read() -> int:
    """That this process asked the operating system for, until now."""
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


def ask(library: str, rows: int, *, exact: int = EXACT) -> dict[str, Any]:
    """In a process of its own: searches with and without the index."""
    begin = time.perf_counter()
    table = MomentTable.open(library)
    assert table is not None
    opened = time.perf_counter() - begin
    queries = grouped(np.random.default_rng(10**9), draw_centres(rows), QUERIES)
    found: dict[bool, list[set[Any]]] = {False: [], True: []}
    spent: dict[bool, list[float]] = {False: [], True: []}
    costs = {}
    for way, count in ((False, QUERIES), (True, exact)):
        for number, query in enumerate(queries[:count]):
            if not way and number == COLD:
                begin = time.perf_counter()
                table.warm()
                warmed = time.perf_counter() - begin
            if number == (0 if way else COLD):
                read, processor = bytes_read(), time.process_time()
            begin = time.perf_counter()
            rows_found = table.nearest(query, "sound", 10, exact=way, silent=False)
            spent[way].append(1000 * (time.perf_counter() - begin))
            pairs = zip(rows_found["file"].to_pylist(), rows_found["time"].to_pylist(), strict=True)
            found[way].append(set(pairs))
        counted = max(1, count if way else count - COLD)
        costs[way] = (
            round((bytes_read() - read) / counted / 2**10),
            round(1000 * (time.process_time() - processor) / counted, 1),
        )
    hits = [len(a & b) / 10 for a, b in zip(found[False], found[True], strict=False)]
    return {
        "open_ms": round(1000 * opened, 1),
        "first_ms": round(spent[False][0], 1),
        "cold_ms": round(float(np.median(spent[False][1:COLD])), 2),
        "warm_s": round(warmed, 2),
        "median_ms": round(float(np.median(spent[False][COLD:])), 2),
        "p99_ms": round(float(np.percentile(spent[False][COLD:], 99)), 2),
        "processor_ms": costs[False][1],
        "read_kib": costs[False][0],
        "recall_at_10": round(float(np.mean(hits)), 3),
        "search_peak_mib": peak(),
        "exact_ms": round(float(np.median(spent[True])), 1),
        "exact_processor_ms": costs[True][1],
        "exact_read_mib": round(costs[True][0] / 1024, 1),
    }


def compact(library: str) -> dict[str, Any]:
    """In a process of its own: one file instead of many."""
    table = MomentTable.open(library)
    assert table is not None
    begin = time.perf_counter()
    table.compact()
    folder = Path(library) / "moments.lance"
    return {
        "compact_s": round(time.perf_counter() - begin, 1),
        "compact_peak_mib": peak(),
        "compacted_files": sum(path.is_file() for path in folder.rglob("*")),
        "compacted_mib": size(folder),
    }


def child(*arguments: str) -> dict[str, Any]:
    """What a step prints in a process of its own."""
    command = [sys.executable, __file__, "step", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(*arguments, json.dumps(answer), file=sys.stderr, flush=True)
    return answer


def grow(rows: int, folder: str) -> dict[str, Any]:
    """All figures of a library of so many moments."""
    place = tempfile.mkdtemp(dir=folder)
    library = str(Path(place) / "library")
    try:
        figures = {"part": "grow", "rows": rows} | child("write", library, str(rows))
        for name, *more in (("compact",), ("index",), ("ask", str(rows))):
            figures |= child(name, library, *more)
        return figures
    finally:
        shutil.rmtree(place)


def commits(folder: str) -> list[dict[str, Any]]:
    """Seconds of a commit of one moment by the number of versions."""
    lines = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        library = str(Path(place) / "library")
        table, spent = MomentTable.create(library, INFO), []
        centres = draw_centres(1)
        for number in range(max(COMMITS)):
            batch = heard(table, number, 1, centres)
            begin = time.perf_counter()
            table.append([batch], [])
            spent.append(time.perf_counter() - begin)
            if number + 1 in COMMITS:
                begin = time.perf_counter()
                MomentTable.open(library)
                opened = time.perf_counter() - begin
                versions = list((Path(library) / "moments.lance" / "_versions").iterdir())
                lines.append(
                    {
                        "part": "commits",
                        "rows": number + 1,
                        "commit_ms": round(1000 * float(np.median(spent[-AROUND:])), 2),
                        "open_ms": round(1000 * opened, 2),
                        "last_manifest_kib": round(
                            max(path.stat().st_size for path in versions) / 1024, 1
                        ),
                        "manifests_mib": round(
                            sum(path.stat().st_size for path in versions) / 2**20, 3
                        ),
                    }
                )
        begin = time.perf_counter()
        table.compact()
        lines[-1]["compact_s"] = round(time.perf_counter() - begin, 2)
    return lines


def columns() -> dict[str, Any]:
    """Bytes per moment of each column alone, in files as LanceDB writes them."""
    import lancedb

    with tempfile.TemporaryDirectory() as place:
        table = MomentTable.create(str(Path(place) / "library"), INFO)
        batch = make_rows(table, 0, PART, draw_centres(PART))
        taken = {}
        for name in batch.schema.names:
            alone = pa.table({name: batch[name]})
            lancedb.connect(Path(place) / name).create_table("one", alone)
            data = Path(place) / name / "one.lance" / "data"
            taken[name] = round(sum(path.stat().st_size for path in data.iterdir()) / PART, 1)
    return {"part": "columns", "bytes_per_moment": taken}


def laws(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figure = factor * rows ** exponent, for each figure that was measured at three sizes."""
    found = []
    for part in ("grow", "commits"):
        measured = [line for line in lines if line["part"] == part]
        for name in measured[0] if len(measured) > 2 else ():
            points = [(one["rows"], one[name]) for one in measured if name in one]
            if name in ("part", "rows") or len(points) < 3 or min(y for _, y in points) <= 0:
                continue
            x, y = np.log(np.array(points, float)).T
            (exponent, factor), residual, *_ = np.polyfit(x, y, 1, full=True)
            spread = float(residual[0]) if len(residual) else 0.0
            error = (spread / (len(x) - 2) / np.square(x - x.mean()).sum()) ** 0.5
            wanted = factor + exponent * np.log(SOUGHT)
            found.append(
                {
                    "part": part,
                    "figure": name,
                    "exponent": round(float(exponent), 3),
                    "error": round(float(error), 3),
                    "at_100_million": float(f"{np.exp(wanted):.3g}"),
                }
            )
    return found


def step(arguments: list[str]) -> dict[str, Any]:
    """One step of `grow`, in this process."""
    steps: dict[str, Callable[..., dict[str, Any]]] = {
        "write": lambda library, rows: write(library, int(rows)),
        "index": index,
        "ask": lambda library, rows: ask(library, int(rows)),
        "compact": compact,
    }
    return steps[arguments[0]](*arguments[1:])


def main() -> None:
    """Measure the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("grow", "commits", "columns", "laws", "step"))
    parser.add_argument("step", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--folder", default=tempfile.gettempdir())
    options = parser.parse_args()
    if options.part == "step":
        print(json.dumps(step(options.step)))
    elif options.part == "grow":
        for rows in options.rows:
            print(json.dumps(grow(rows, options.folder)), flush=True)
    elif options.part == "commits":
        print("\n".join(map(json.dumps, commits(options.folder))))
    elif options.part == "columns":
        print(json.dumps(columns()))
    else:
        print("\n".join(map(json.dumps, laws([json.loads(line) for line in sys.stdin]))))


if __name__ == "__main__":
    main()
