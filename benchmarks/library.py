"""A library: how fast videos are indexed, in how much memory, and how fast it is searched.

    python benchmarks/library.py                    all three parts
    python benchmarks/library.py search --rows 1000000
    python benchmarks/library.py speed memory

`speed`: videos of 640x360 and 25 frames per second, one moment every 3 s, with the model that comes
with the package on two threads: moments and seconds of video per second, and how the work is
divided. Decoding runs beside the rest in a thread of its own, so its seconds and those of embedding
overlap. `memory`: peak resident set of a process that indexes a video of two hours, beside one of
ten minutes. `search`: embeddings of 512 numbers around random centres, sound and image of each
moment: seconds to write and to index, bytes on disk, latency of a search with and without the
vector index, recall of the first ten, peak resident sets (VmHWM, so Linux only).

Each part prints one JSON object. The clock's seconds grow on a machine that is busy with other
things; the processor's stay.
"""

import os

os.environ["OMP_NUM_THREADS"] = "2"

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from localise import make_video
from media_memory import make as make_long_video

from hearsight.library import extraction
from hearsight.library.indexing import index_videos
from hearsight.library.lance_table import LibraryInfo, MomentTable
from hearsight.retrieval.embeddings import Embedder

CHANNELS = 512
GROUP = 500  # vectors around one centre, on average
SPREAD = 0.8  # length of the noise around a centre, which has length 1
PART = 20_000  # rows in each commit
VIDEOS, SECONDS = 6, 60


def peak() -> float:
    """The largest resident set this process ever had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def size(folder: Path) -> float:
    """MiB on disk below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return round(sum(path.stat().st_size for path in files) / 2**20, 1)


def in_a_process(*arguments: str) -> dict[str, Any]:
    """What this script prints when it is run with other arguments."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# Speed


def timed(owner: Any, name: str, spent: dict[str, float], part: str) -> None:
    """Count the seconds inside a function of `owner`."""
    plain: Callable[..., Any] = getattr(owner, name)

    def measured(*arguments: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return plain(*arguments, **options)
        finally:
            spent[part] += time.perf_counter() - begin

    setattr(owner, name, measured)


def timed_batches(spent: dict[str, float]) -> None:
    """Count the seconds in which extraction decodes: those of its reading thread."""
    plain = extraction.in_batches

    def measured(pairs: Iterator[Any], size: int) -> Iterator[list[Any]]:
        batches = plain(pairs, size)
        while True:
            begin = time.perf_counter()
            batch = next(batches, None)
            spent["decode"] += time.perf_counter() - begin
            if batch is None:
                return
            yield batch

    extraction.in_batches = measured  # type: ignore[assignment]


def measure_speed() -> dict[str, Any]:
    """Index some videos and see where the time goes."""
    torch.set_num_threads(2)
    spent = dict.fromkeys(("decode", "embed", "write"), 0.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_video(folder / "warm.mp4", 4, 360, 640, 25)
        index_videos(folder / "warm", [folder / "warm.mp4"])
        videos = [folder / "videos" / f"{number}.mp4" for number in range(VIDEOS)]
        (folder / "videos").mkdir()
        make_video(videos[0], SECONDS, 360, 640, 25)
        for number, path in enumerate(videos[1:], 1):  # no two of the same content
            path.write_bytes(videos[0].read_bytes() + bytes(number))
        timed(Embedder, "sounds", spent, "embed")
        timed(Embedder, "frames", spent, "embed")
        timed(MomentTable, "append", spent, "write")
        timed_batches(spent)
        begin, processor = time.perf_counter(), time.process_time()
        done = index_videos(folder / "library", videos)
        wall, processor = time.perf_counter() - begin, time.process_time() - processor
        per_moment = 2**20 * size(folder / "library") / done.moments
    return {
        "moments_per_second": round(done.moments / wall, 1),
        "video_seconds_per_second": round(VIDEOS * SECONDS / wall, 1),
        "moments_per_processor_second": round(done.moments / processor, 1),
        "share": {part: round(s / sum(spent.values()), 3) for part, s in spent.items()},
        "seconds": {part: round(s, 1) for part, s in spent.items()} | {"wall": round(wall, 1)},
        "bytes_per_moment": round(per_moment),
    }


# Memory


def measure_memory(minutes: int) -> dict[str, Any]:
    """Peaks of indexing a short and a long video."""
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        for length in (10, minutes):
            path = Path(name) / f"{length}.mp4"
            make_long_video(path, length)
            library = str(Path(name) / f"{length}.library")
            peaks[length] = in_a_process("--index", library, str(path))
    longest, shortest = peaks[minutes], peaks[10]
    return {
        "minutes": list(peaks),
        "moments": [each["moments"] for each in peaks.values()],
        "peak_mib": [each["peak_mib"] for each in peaks.values()],
        "ratio": round(longest["peak_mib"] / shortest["peak_mib"], 3),
    }


def index_one(library: str, video: str) -> dict[str, Any]:
    """In a process of its own."""
    torch.set_num_threads(2)
    done = index_videos(library, [video])
    return {"moments": done.moments, "peak_mib": peak()}


# Search


def grouped(generator: np.random.Generator, centres: np.ndarray, count: int) -> np.ndarray:
    """Unit vectors around random ones of the centres."""
    channels = centres.shape[1]
    vectors = generator.standard_normal((count, channels), np.float32)
    vectors *= SPREAD / channels**0.5
    vectors += centres[generator.integers(len(centres), size=count)]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def draw_centres(rows: int, channels: int = CHANNELS) -> np.ndarray:
    """A random unit vector for each group."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((max(1, rows // GROUP), channels), np.float32)
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)


def make_rows(table: MomentTable, start: int, count: int, centres: np.ndarray) -> pa.RecordBatch:
    """Moments of one made-up file."""
    generator = np.random.default_rng(start + 1)
    embeddings = [
        pa.FixedSizeListArray.from_arrays(
            pa.array(grouped(generator, centres, count).ravel()), CHANNELS
        )
        for _ in range(2)
    ]
    values = {
        "file": [f"/videos/{start}.mp4"] * count,
        "size": [1] * count,
        "modified": [1] * count,
        "digest": ["0" * 32] * count,
        "number": list(range(count)),
        "time": [3.0 * number for number in range(count)],
        "level": [-20.0] * count,
        "sound": embeddings[0],
        "image": embeddings[1],
        "kind": ["video"] * count,
        "box": [None] * count,
        "heatmap": [None] * count,
        "confidence": [0.5] * count,
        "thumbnail": [b""] * count,
    }
    return pa.RecordBatch.from_pydict(values, schema=table.schema)


def build(library: str, rows: int) -> dict[str, Any]:
    """In a process of its own: write the table and index it."""
    info = LibraryInfo(
        model="none", recipe="none", fingerprint="0", channels=CHANNELS, every=3.0, seconds=3.0
    )
    table, centres = MomentTable.create(library, info), draw_centres(rows)
    begin = time.perf_counter()
    for start in range(0, rows, PART):
        table.append([make_rows(table, start, min(PART, rows - start), centres)], [])
    written, write_peak = time.perf_counter(), peak()
    processor = time.process_time()
    table.build_vector_index()
    ended = time.perf_counter()
    folder = Path(library) / "moments.lance"
    return {
        "write_seconds": round(written - begin, 1),
        "write_peak_mib": write_peak,
        "index_seconds": round(ended - written, 1),
        "index_processor_seconds": round(time.process_time() - processor, 1),
        "index_peak_mib": peak(),
        "vectors_mib": round(2 * 4 * CHANNELS * rows / 2**20, 1),
        "disk_mib": size(folder),
        "index_disk_mib": size(folder / "_indices"),
    }


def ask(library: str, rows: int, count: int) -> dict[str, Any]:
    """In a process of its own: search with and without the index."""
    table = MomentTable.open(library)
    assert table is not None
    before = peak()
    queries = grouped(np.random.default_rng(10**9), draw_centres(rows), count)
    quick = [search(table, query, exact=False) for query in queries]
    with_index = peak()
    exact = [search(table, query, exact=True) for query in queries[: max(1, count // 10)]]
    hits = [
        len(found & truth) / len(truth)
        for (_, found), (_, truth) in zip(quick, exact, strict=False)
    ]
    quick_ms = np.array([milliseconds for milliseconds, _ in quick])
    exact_ms = np.array([milliseconds for milliseconds, _ in exact])
    return {
        "recall_at_10": round(float(np.mean(hits)), 4),
        "first_ms": round(float(quick_ms[0]), 1),
        "median_ms": round(float(np.median(quick_ms)), 1),
        "p99_ms": round(float(np.percentile(quick_ms, 99)), 1),
        "exact_median_ms": round(float(np.median(exact_ms)), 1),
        "exact_p99_ms": round(float(np.percentile(exact_ms, 99)), 1),
        "start_peak_mib": before,
        "search_peak_mib": with_index,
        "exact_peak_mib": peak(),
    }


def search(table: MomentTable, query: np.ndarray, *, exact: bool) -> tuple[float, set[Any]]:
    """Milliseconds, and the moments found."""
    begin = time.perf_counter()
    found = table.nearest(query, "sound", 10, exact=exact)
    taken = 1000 * (time.perf_counter() - begin)
    return taken, set(zip(found["file"].to_pylist(), found["time"].to_pylist(), strict=True))


def measure_search(rows: int, queries: int) -> dict[str, Any]:
    """Build and search, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        library = str(Path(name) / "library")
        built = in_a_process("--build", library, str(rows))
        asked = in_a_process("--ask", library, str(rows), str(queries))
    return {"rows": rows} | built | asked


def main() -> None:
    """Measure the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="speed, memory, search; by default all")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--index", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--build", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.index:
        print(json.dumps(index_one(*options.index)))
    elif options.build:
        print(json.dumps(build(options.build[0], int(options.build[1]))))
    elif options.ask:
        print(json.dumps(ask(options.ask[0], int(options.ask[1]), int(options.ask[2]))))
    else:
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "speed": measure_speed,
            "memory": lambda: measure_memory(options.minutes),
            "search": lambda: measure_search(options.rows, options.queries),
        }
        for part in options.parts or parts:
            print(json.dumps({"part": part} | parts[part]()), flush=True)


if __name__ == "__main__":
    main()
