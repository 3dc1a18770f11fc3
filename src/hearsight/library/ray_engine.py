"""Moments extracted on many machines by Ray: one task for each file, one writer for the library.

A task runs on one core (or one GPU) and gives the rows of its file back; the process that indexes
writes them. If a worker dies, its file is given to another one; a file with which workers die
again and again is named as unreadable, and so is one whose work fails in any other way, such as for
want of memory. Videos must lie under the same path on every machine.

`RAY_ADDRESS` in the environment names the cluster; without it one is started on this machine.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError
from hearsight.library.extraction import ExtractedMoments, Extraction, extract_moments, row_store
from hearsight.library.moment_table import IndexedFile
from hearsight.model.device import move
from hearsight.progress import Progress

RETRIES = 3  # of a file whose worker died
SAID = 300  # characters of what went wrong in a worker
WAITING = 2  # files per core that are on their way or wait to be written

TaskResult = (
    tuple[IndexedFile, int, bytes] | str
)  # what `ExtractedMoments` holds, or what is wrong with the file


def extract_with_ray(
    files: Sequence[Path], extraction: Extraction, progress: Progress
) -> Iterator[tuple[Path, ExtractedMoments | str]]:
    """The engine that takes moments in the workers of a Ray cluster.

    Raises:
        HearsightError: Ray is not installed, or no cluster can be reached or started.
    """
    try:
        import ray
    except ImportError as error:
        raise HearsightError("This engine needs Ray: pip install 'hearsight[ray]'.") from error

    ours = not ray.is_initialized()
    if ours:
        _start(ray)
    try:
        yield from _take_all(ray, files, extraction, progress)
    finally:
        if ours:
            ray.shutdown()


def _start(ray: Any) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LanceDB warns of forks, which these processes are not
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise HearsightError(f"No Ray cluster can be reached: {error}") from error


def _take_all(
    ray: Any, files: Sequence[Path], extraction: Extraction, progress: Progress
) -> Iterator[tuple[Path, ExtractedMoments | str]]:
    """Answers as they come; few files are on their way at a time: answers must not pile up."""
    device = extraction.embedder.device.type
    task = ray.remote(num_cpus=1, num_gpus=float(device != "cpu"), max_retries=RETRIES)(_task)
    move(extraction.embedder.encoders, "cpu")  # so that it can be sent
    shared = ray.put(extraction)
    most = max(1, int(ray.cluster_resources().get("CPU", 1))) * WAITING
    waiting = list(reversed(files))
    running: dict[Any, Path] = {}
    while waiting or running:
        while waiting and len(running) < most:
            path = waiting.pop()
            running[task.remote(str(path), shared, device)] = path
        ready, _ = ray.wait(list(running), num_returns=1)
        path = running.pop(ready[0])
        yield path, _answer(ray, ready[0])
        progress("indexing, files", len(files) - len(waiting) - len(running), len(files))


def _answer(ray: Any, reference: Any) -> ExtractedMoments | str:
    try:
        answer: TaskResult = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        return f"The worker that read it died {RETRIES + 1} times."
    except (ray.exceptions.RayTaskError, ray.exceptions.ObjectLostError) as error:
        cause = getattr(error, "cause", error)
        if not isinstance(cause, Exception):  # an interruption
            raise
        return f"Its worker failed: {type(cause).__name__}: {' '.join(str(cause).split())[:SAID]}"
    if isinstance(answer, str):
        return answer
    seen, moments, held = answer
    rows = row_store()
    rows.write(held)
    rows.seek(0)
    return ExtractedMoments(seen=seen, moments=moments, rows=rows)


def _task(path: str, extraction: Extraction, device: str) -> TaskResult:
    """In a worker: take one file's moments."""
    import torch

    torch.set_num_threads(1)
    try:
        place = move(extraction.embedder.encoders, device)
        extraction = replace(extraction, embedder=replace(extraction.embedder, device=place))
        extracted = extract_moments(Path(path), extraction, lambda share: None)
    except (HearsightError, OSError) as error:
        return str(error)
    with extracted.rows:
        return extracted.seen, extracted.moments, extracted.rows.read()
