"""The extraction engine that runs on a Ray cluster: one task per file, one writer of the library.

A task runs on one core (or one GPU) and returns the rows of its file; the process that indexes
writes them. If a worker dies, its file is tried again in another one; a file with which workers die
`RETRIES` + 1 times is reported as unreadable, and so is one whose task fails in any other way, such
as for want of memory. Videos must have the same path on every machine.

`RAY_ADDRESS` in the environment names the cluster; without it one is started on this machine.
"""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError, needs
from hearsight.library.extraction import (
    LONGEST_REASON,
    Extractor,
    FileMoments,
    extract_moments,
    failure,
    row_buffer,
)
from hearsight.library.lance_table import FileVersion
from hearsight.model.device import move
from hearsight.progress import Progress

RETRIES = 3  # of a file whose worker died
INDENTED = re.compile(r"\n {2,}[^\n]*\n")  # a line of a traceback that is not its end
PENDING = 2  # files per core that are in work or wait to be written

TaskResult = tuple[FileVersion, int, bytes] | str  # the parts of `FileMoments`, or what failed


def extract_with_ray(
    files: Sequence[Path], extractor: Extractor, progress: Progress
) -> Iterator[tuple[Path, FileMoments | str]]:
    """The engine that extracts moments in the workers of a Ray cluster.

    Raises:
        HearsightError: one GPU is named, Ray is not installed, or no cluster can be reached or
            started.
    """
    device = extractor.embedder.device
    if device.index is not None:
        raise HearsightError(
            f"Ray chooses the GPU of each task: name the device {device.type}, not {device}."
        )
    with needs("ray", "This engine"):
        import ray

    started_here = not ray.is_initialized()
    if started_here:
        _start(ray)
    try:
        yield from _extract_all(ray, files, extractor, progress)
    finally:
        if started_here:
            ray.shutdown()


def _start(ray: Any) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LanceDB warns of forks, but Ray's workers are none
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise HearsightError(f"No Ray cluster can be reached: {error}") from error


def _extract_all(
    ray: Any, files: Sequence[Path], extractor: Extractor, progress: Progress
) -> Iterator[tuple[Path, FileMoments | str]]:
    """Results in the order in which tasks end.

    Only `PENDING` tasks per core are submitted at a time, so that results do not pile up in memory.
    """
    device = extractor.embedder.device.type
    task = ray.remote(num_cpus=1, num_gpus=float(device != "cpu"), max_retries=RETRIES)(_task)
    move(extractor.embedder.encoders, "cpu")  # so that it can be sent
    shared = ray.put(extractor)
    most = max(1, int(ray.cluster_resources().get("CPU", 1))) * PENDING
    waiting = list(reversed(files))
    running: dict[Any, Path] = {}
    while waiting or running:
        while waiting and len(running) < most:
            path = waiting.pop()
            running[task.remote(str(path), shared, device)] = path
        ready, _ = ray.wait(list(running), num_returns=1)
        path = running.pop(ready[0])
        yield path, _result(ray, ready[0])
        progress("indexing, files", len(files) - len(waiting) - len(running), len(files))


def _result(ray: Any, reference: Any) -> FileMoments | str:
    try:
        result: TaskResult = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        return f"The worker that read it died {RETRIES + 1} times."
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        if not isinstance(cause, Exception):  # an interruption
            raise
        text = str(cause)
        if isinstance(cause, ray.exceptions.RayError):  # the error itself cannot be pickled
            text = INDENTED.split(text)[-1]  # below the traceback
        else:
            text = f"{type(cause).__name__}: {text}"
        return f"Its worker failed: {' '.join(text.split())[:LONGEST_REASON]}"
    if isinstance(result, str):
        return result
    version, count, stream = result
    rows = row_buffer()
    rows.write(stream)
    rows.seek(0)
    return FileMoments(version=version, count=count, rows=rows)


def _task(path: str, extractor: Extractor, device: str) -> TaskResult:
    """Extract one file's moments; runs in a worker."""
    import torch

    torch.set_num_threads(1)
    try:
        place = move(extractor.embedder.encoders, device)
        extractor = replace(extractor, embedder=replace(extractor.embedder, device=place))
        extracted = extract_moments(Path(path), extractor, lambda share: None)
    except Exception as error:  # here, as not every error can be sent to another process
        return failure(error)
    with extracted.rows:
        return extracted.version, extracted.count, extracted.rows.read()
