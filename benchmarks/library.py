"""A library: how fast videos are indexed, in how much memory, and how fast it is searched.

    python benchmarks/library.py                    all three parts
    python benchmarks/library.py search --rows 1000000
    python benchmarks/library.py speed memory

`speed`: videos of 640x360 and 25 frames per second, one moment every 3 s, with the model that comes
with the package on two threads: moments and seconds of video per second, and how the work is
divided. Decoding runs beside the rest in a thread of its own, so its seconds and those of embedding
overlap. `memory`: peak resident set of a process that indexes a video of two hours, beside one of
ten minutes. `search`: embeddings of 512 numbers; those of sounds lie around random centres,
those of frames around none, with a spectrum that falls as embeddings' spectra do. Seconds to write
and to index, bytes on disk, then `Library.nearest` (all of a search but the embedding of what is
searched by) in turns with its peer, exact search by numpy over the same vectors in memory (`V @ q`
and `argpartition`): clock and processor, the share of the peer's ten that is found (an assertion:
0.95 at least), peak resident sets (VmHWM, so Linux only).

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
from hearsight.library.lance_table import MODALITIES, LibraryInfo, Modality, MomentTable
from hearsight.library.library import Library, Query, ShownMoment, check_modality
from hearsight.retrieval.embeddings import Embedder

CHANNELS = 512
GROUP = 500  # vectors around one centre, on average
SPREAD = 0.8  # length of the noise around a centre, which has length 1
FALL = 0.75  # power by which the spread of `spread` falls
PART = 20_000  # rows in each commit
THUMBNAIL, HEATMAP = 5000, 200  # bytes, of random content
ROUNDS = 9  # of searches and of their peer, in turns
PEER = 4  # queries of the peer in each round
RECALL = 0.95  # at least
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


def spread(generator: np.random.Generator, count: int) -> np.ndarray:
    """Unit vectors around no centres, whose spread falls with the number of the channel."""
    vectors = generator.standard_normal((count, CHANNELS), np.float32)
    vectors *= np.arange(1, CHANNELS + 1, dtype=np.float32) ** -FALL
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_rows(table: MomentTable, start: int, count: int, centres: np.ndarray) -> pa.RecordBatch:
    """Moments of one made-up file."""
    generator = np.random.default_rng(start + 1)
    embeddings = [
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), CHANNELS)
        for vectors in (grouped(generator, centres, count), spread(generator, count))
    ]
    corners = generator.random((count, 2, 2), np.float32)
    values = {
        "file": [f"/videos/{start}.mp4"] * count,
        "size": [1] * count,
        "modified": [1] * count,
        "digest": ["0" * 32] * count,
        "number": list(range(count)),
        "time": [3.0 * number for number in range(count)],
        "level": generator.uniform(-40, -10, count),
        "sound": embeddings[0],
        "image": embeddings[1],
        "kind": ["video"] * count,
        "box": np.sort(corners, 1).reshape(count, 4).tolist(),
        "heatmap": [generator.bytes(HEATMAP) for _ in range(count)],
        "confidence": generator.random(count),
        "thumbnail": [generator.bytes(THUMBNAIL) for _ in range(count)],
    }
    return pa.RecordBatch.from_pydict(values, schema=table.schema)


def build(library: str, rows: int) -> dict[str, Any]:
    """In a process of its own: write the table, join its files and index it."""
    info = LibraryInfo(
        model="none", recipe="none", fingerprint="0", channels=CHANNELS, every=3.0, seconds=3.0
    )
    table, centres = MomentTable.create(library, info), draw_centres(rows)
    begin = time.perf_counter()
    for start in range(0, rows, PART):
        table.append([make_rows(table, start, min(PART, rows - start), centres)], [])
    written, write_peak = time.perf_counter(), peak()
    processor = time.process_time()
    index_videos(library, [], optimize=True)
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


def ask(library: str, rows: int, modality: Modality, count: int) -> dict[str, Any]:
    """In a process of its own: search by the index and by the peer, in turns."""
    opened = Library.open(library)
    generator = np.random.default_rng(10**9)
    drawn = (
        grouped(generator, draw_centres(rows), count)
        if modality == "sound"
        else spread(generator, count)
    )
    begin = time.perf_counter()
    opened.warm()
    warmed = time.perf_counter() - begin
    first, _ = milliseconds(lambda: search(opened, modality, drawn[0]))
    search_peak = peak()
    vectors = column(opened.table, modality)
    quick, exact, ratios, hits = [first], [], [], []
    processor = {"quick": 0.0, "peer": 0.0}
    for part in np.array_split(np.arange(1, count), ROUNDS):
        begin = time.process_time()
        taken = [milliseconds(lambda q=q: search(opened, modality, drawn[q])) for q in part]
        middle = time.process_time()
        peer = [milliseconds(lambda q=q: best(vectors, drawn[q])) for q in part[:PEER]]
        processor["quick"] += (middle - begin) / (count - 1)
        processor["peer"] += (time.process_time() - middle) / (ROUNDS * PEER)
        hits += [len(a & b) / len(b) for (_, a), (_, b) in zip(taken, peer, strict=False)]
        quick += [each for each, _ in taken]
        exact += [each for each, _ in peer]
        ratios.append(np.median([each for each, _ in peer]) / np.median([ms for ms, _ in taken]))
    whole = [
        milliseconds(lambda q=q: search(opened, modality, drawn[q], exact=True)) for q in range(3)
    ]
    assert np.mean(hits) >= RECALL, np.mean(hits)
    return {
        "modality": modality,
        "recall_at_10": round(float(np.mean(hits)), 4),
        "warm_seconds": round(warmed, 2),
        "first_ms": round(first, 1),
        "median_ms": round(float(np.median(quick[1:])), 2),
        "p99_ms": round(float(np.percentile(quick[1:], 99)), 1),
        "processor_ms": round(1000 * processor["quick"], 1),
        "peer_median_ms": round(float(np.median(exact)), 1),
        "peer_processor_ms": round(1000 * processor["peer"], 1),
        "faster_than_peer": [round(float(f(ratios)), 1) for f in (np.median, min, max)],
        "exact_median_ms": round(float(np.median([each for each, _ in whole])), 1),
        "search_peak_mib": search_peak,
    }


def column(table: MomentTable, modality: Modality) -> np.ndarray:
    """The embeddings of all moments, in the order of the table."""
    count = len(table)
    vectors = np.empty((count, CHANNELS), np.float32)
    centres = draw_centres(count)
    for start in range(0, count, PART):
        batch = make_rows(table, start, min(PART, count - start), centres)
        part = batch[modality].flatten().to_numpy().reshape(-1, CHANNELS)
        vectors[start : start + len(part)] = part
    return vectors


def milliseconds(work: Callable[[], set[Any]]) -> tuple[float, set[Any]]:
    """What it takes, and what it gives."""
    begin = time.perf_counter()
    found = work()
    return 1000 * (time.perf_counter() - begin), found


def search(library: Library, modality: Modality, vector: np.ndarray, **options: bool) -> set[Any]:
    """The numbers of the ten moments that a search finds."""
    shown = ShownMoment(file=Path("query.wav"), time=0.0, level=-20.0, thumbnail=b"")
    query = Query(vector=vector, to=modality, shown=shown)
    found = library.nearest(query, 10, same_video="keep", **options)
    return {int(one.file.stem) + round(one.time / 3) for one in found}


def best(vectors: np.ndarray, query: np.ndarray) -> set[Any]:
    """The peer: the same by comparing all vectors."""
    return set(np.argpartition(-(vectors @ query), 10)[:10].tolist())


def ask_from(library: str, rows: str, modality: str, count: str) -> dict[str, Any]:
    """`ask` as the command line names it."""
    return ask(library, int(rows), check_modality(modality), int(count))


def measure_search(rows: int, queries: int) -> dict[str, Any]:
    """Build and search, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        library = str(Path(name) / "library")
        built = in_a_process("--build", library, str(rows))
        asked = [
            in_a_process("--ask", library, str(rows), modality, str(queries))
            for modality in MODALITIES
        ]
    return {"rows": rows} | built | {"searches": asked}


def main() -> None:
    """Measure the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="speed, memory, search; by default all")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--index", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--build", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.index:
        print(json.dumps(index_one(*options.index)))
    elif options.build:
        print(json.dumps(build(options.build[0], int(options.build[1]))))
    elif options.ask:
        print(json.dumps(ask_from(*options.ask)))
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
