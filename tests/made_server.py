"""The served page, started as its user starts it, and a browser of its own to look at it with."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hearsight

SOURCE = str(Path(hearsight.__file__).parents[1])
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
# a browser that hangs holds its driver in a loop that no signal's exception leaves
in_browser = [needs_browser, pytest.mark.timeout(300, method="thread")]


@dataclass
class Served:
    """A running server."""

    address: str  # with the last slash
    process: "subprocess.Popen[str]"
    token: str = ""  # that an address of other machines needs

    def ask(
        self, path: str, data: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes, Any]:
        """Status, body and headers of the answer to a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(
            self.address + path.lstrip("/"), data=data, method=method, headers=named
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def send(self, file: Path, name: str | None = None) -> str:
        """Upload a file; its id."""
        status, body, _ = self.ask(f"uploads?name={name or file.name}", file.read_bytes())
        assert status == 201, body
        return str(json.loads(body)["id"])

    def jobs(self) -> dict[str, dict[str, Any]]:
        return {job["id"]: job for job in json.loads(self.ask("jobs")[1])}

    def localise(self, **asked: object) -> str:
        """Ask for a film; the id of its job, which is that of its result."""
        status, body, _ = self.ask("films", json.dumps(asked).encode())
        assert status == 202, body
        return str(json.loads(body)["job"])


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Served]:
    """The server with its state in a folder, ended as Ctrl-C ends it.

    words: of its command; a `--port` among them counts.
    """
    command = [sys.executable, "-m", "hearsight", "serve", "--port", "0", "--state"]
    command += [str(folder / "state"), "--threads", "1", *words]
    environment = {**os.environ, "PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1"}
    with (folder / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder, env=environment
        )
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, (folder / "stderr.txt").read_text()
            address, _, token = address.partition("?token=")
            yield Served(address, process, token)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@contextmanager
def browsing(*arguments: str) -> Iterator[Any]:
    """Debian's Chromium, as a browser of playwright, whose contexts know nothing of each other.

    While it lasts, `asyncio.run` works in other threads only: see `finished`.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM,
            headless=True,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",  # /dev/shm of a container may be small
                "--autoplay-policy=no-user-gesture-required",
                *arguments,
            ],
        )
        try:
            yield started
        finally:
            started.close()


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, in a thread of its own: playwright keeps a loop in the first one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def index_folder(page: Any) -> None:
    """Index the first folder from the library's page, and wait for the page that tells of it.

    Not for a navigation: a script that sets the address counts as one.
    """
    page.click("[data-index]")
    page.wait_for_selector("#said:has-text('the library holds')")


def show_library(page: Any, served: Served) -> None:
    """The library's page, with something in it."""
    page.goto(f"{served.address}library")
    if not page.query_selector("#find"):
        index_folder(page)
