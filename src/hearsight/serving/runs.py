"""Requests about runs: reports and trainings below the folders, and the curve of one that runs."""

import asyncio
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from hearsight.files.locks import LOCK
from hearsight.files.text import parse_json
from hearsight.serving.folders import file_key
from hearsight.serving.service import Service, json_response, missing, number, page, service_of

LOG, REPORT = "log.jsonl", "report.html"
DEPTH = 4  # folders below those that were named
MOST_FOLDERS = 5000  # that are looked into
MOST_ENTRIES = 2000  # of a log in one answer
ALIVE = 120.0  # seconds since its last entry in which a locked run counts as running
POLICY = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A folder with a report, the log of a training, or both."""

    id: str
    name: str  # its path below the folder that was named
    path: Path
    report: bool
    log: bool
    running: bool
    changed: float  # seconds since 1970


def find_runs(folders: list[Path]) -> list[Run]:
    """Runs below folders, the newest first.

    Hidden folders and links are left out, and folders that may not be entered.
    """
    found = []
    for folder in folders:
        for path in islice(_folders_in(folder, DEPTH), MOST_FOLDERS):
            logged, reported, locked = (_changed(path / name) for name in (LOG, REPORT, LOCK))
            times = [one for one in (logged, reported) if one is not None]
            if not times:
                continue
            found.append(
                Run(
                    id=file_key(path),
                    name=str(path.relative_to(folder.parent)),
                    path=path,
                    report=reported is not None,
                    log=logged is not None,
                    running=locked is not None and time.time() - max(times) < ALIVE,
                    changed=max(times),
                )
            )
    return sorted(found, key=lambda run: -run.changed)


def _changed(path: Path) -> float | None:
    """When a file was last changed; None if it is none, has just gone, or is out of reach."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime if stat.S_ISREG(facts.st_mode) else None


def _folders_in(folder: Path, depth: int) -> Iterator[Path]:
    """A folder, and those in it so many steps deep, in the order of their names."""
    yield folder
    if depth == 0:
        return
    try:
        with os.scandir(folder) as inside:
            below = sorted(
                one.path
                for one in inside
                if not one.name.startswith(".") and one.is_dir(follow_symlinks=False)
            )
    except OSError:
        return
    for each in below:
        yield from _folders_in(Path(each), depth - 1)


async def _runs(service: Service) -> list[Run]:
    folders = [folder.absolute() for folder in service.options.runs]
    return await asyncio.to_thread(find_runs, folders)


async def _run(request: Request) -> Run:
    for one in await _runs(service_of(request)):
        if one.id == request.path_params["key"]:
            return one
    raise missing()


async def runs_page(request: Request) -> Response:
    """All runs."""
    return page(request, "runs.html", runs=await _runs(service_of(request)))


async def run_page(request: Request) -> Response:
    """The curve of a training."""
    run = await _run(request)
    if not run.log:
        raise missing()
    return page(request, "run.html", run=run)


async def report(request: Request) -> Response:
    """The report of a run, which may load and run nothing."""
    run = await _run(request)
    if not run.report:
        raise missing()
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    return FileResponse(run.path / REPORT, media_type="text/html", headers=headers)


async def log(request: Request) -> Response:
    """Entries of a run's log from a byte on, and the byte after them."""
    run = await _run(request)
    begin = max(0, int(number(request.query_params, "from", 0)))
    entries, end = await asyncio.to_thread(read_entries, run.path / LOG, begin)
    return json_response({"entries": entries, "next": end, "running": run.running})


def read_entries(path: Path, begin: int) -> tuple[list[dict[str, Any]], int]:
    """The numbers of whole lines of a log from a byte on, and the byte after the last of them.

    A log that is shorter than that was begun anew, and is read from its start.
    """
    try:
        with path.open("rb") as file:
            file.seek(begin if begin <= path.stat().st_size else 0)
            lines = list(islice(file, MOST_ENTRIES))
            end = file.tell()
    except OSError:
        return [], begin
    if lines and not lines[-1].endswith(b"\n"):  # it is being written
        end -= len(lines.pop())
    entries = []
    for line in lines:
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append({name: value for name, value in entry.items() if _plain(value)})
    return entries, end


def _plain(value: object) -> bool:
    """Whether a value is a text, or a number that JSON has."""
    return isinstance(value, str) or (
        isinstance(value, int | float) and value == value and abs(value) != float("inf")
    )


ROUTES = [
    Route("/runs", runs_page),
    Route("/runs/{key}", run_page),
    Route("/runs/{key}/report", report),
    Route("/runs/{key}/log", log),
]
