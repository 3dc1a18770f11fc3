"""A process beside the server that does the work, so that no crash of it takes the server.

Films are decoded and models run there. It does one task at a time and keeps its model between them.
It is begun anew when it has ended: by a crash, for want of memory, or because a task was cancelled.
"""

import asyncio
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from hearsight.clips.read_ahead import end_with_parent
from hearsight.errors import HearsightError, sentence_of
from hearsight.progress import Progress, no_progress
from hearsight.serving.state import Settings, State

TASKS = "hearsight.serving.tasks"
EVERY = 0.1  # seconds between two messages of progress of one stage at least


class WorkEndedError(HearsightError):
    """The process that did the work has ended before it was done."""


class WorkFault(RuntimeError):
    """A fault of the program in a task; its text is the traceback."""


class Worker:
    """The server's side of the process: `call` has a task done there."""

    def __init__(self, settings: Settings, tasks: str = TASKS) -> None:
        """tasks: the module that holds them."""
        self.settings = settings
        self.tasks = tasks
        self._turn = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, if it runs."""
        return self._process.pid if self._process is not None else None

    async def call(
        self, task: str, arguments: Mapping[str, Any], progress: Progress = no_progress
    ) -> Any:
        """What a task of `TASKS` of the module gives, after the tasks that were called before.

        Cancelled, it ends the process if its task runs there, and none but that.

        Raises:
            HearsightError: as the task, or the machine has no room for the process.
            WorkEndedError: the process ended before.
            WorkFault: any other error in the task.
        """
        async with self._turn:
            connection = self._begin()
            receiving: asyncio.Future[Any] | None = None
            try:
                connection.send((task, dict(arguments)))
                while True:
                    receiving = asyncio.ensure_future(asyncio.to_thread(connection.recv))
                    kind, value = await asyncio.shield(receiving)
                    if kind == "progress":
                        progress(*value)
                    elif kind == "refused":
                        raise HearsightError(value)
                    elif kind == "fault":
                        raise WorkFault(value)
                    else:
                        return value
            except (EOFError, OSError) as error:
                code = await asyncio.to_thread(self._end)
                raise WorkEndedError(_ending(code)) from error
            except asyncio.CancelledError:
                self.kill()
                if receiving is not None:  # its thread holds the connection until it sees the end
                    await asyncio.gather(receiving, return_exceptions=True)
                await asyncio.to_thread(self._end)
                raise

    def kill(self) -> None:
        """End the process at once, whatever it does; the next call begins another."""
        if self._process is not None:
            self._process.kill()

    def _begin(self) -> Connection:
        if self._process is not None and self._connection is not None and self._process.is_alive():
            return self._connection
        self._end()
        context = multiprocessing.get_context("spawn")
        try:
            ours, theirs = context.Pipe()
            with theirs:
                process = context.Process(
                    target=do_tasks,
                    args=(theirs, self.tasks, self.settings),
                    daemon=True,
                    name="hearsight-work",
                )
                try:
                    process.start()
                except BaseException:
                    ours.close()
                    raise
        except OSError as error:
            raise HearsightError(
                f"No process for the work can be started ({error.strerror}): try again later."
            ) from error
        self._process, self._connection = process, ours
        return ours

    def _end(self) -> int | None:
        """Forget a process that has ended or is ending; its exit code."""
        if self._process is None or self._connection is None:
            return None
        self._connection.close()
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        self._process = self._connection = None
        return code

    def close(self) -> None:
        """End the process for good."""
        self.kill()
        self._end()


def _ending(code: int | None) -> str:
    """Why a process ended, by its exit code."""
    if code is not None and code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            return f"The work was ended from outside or crashed ({name}); nothing else was lost."
    return f"The work ended before it was done (code {code}); nothing else was lost."


def do_tasks(connection: Connection, tasks: str, settings: Settings) -> None:
    """What the process does: task after task, until the server closes the connection or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to the server too, which ends us
    end_with_parent()
    # threads that wait do not compute: where others use the processors, they took ten times as long
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    known = import_module(tasks).TASKS
    state = State(settings)
    with suppress(EOFError, OSError):
        while True:
            task, arguments = connection.recv()
            connection.send(_answer(known[task], state, _Reporter(connection), arguments))


def _answer(
    task: Callable[..., Any], state: State, progress: Progress, arguments: dict[str, Any]
) -> tuple[str, Any]:
    try:
        return "done", task(state, progress, **arguments)
    except Exception as error:
        said = sentence_of(error)
        return ("fault", traceback.format_exc()) if said is None else ("refused", said)


class _Reporter:
    """A `Progress` that sends to the server, not more often than it is of use."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.stage, self.sent = "", 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage == self.stage and now - self.sent < EVERY and done != total:
            return
        self.stage, self.sent = stage, now
        self.connection.send(("progress", (stage, done, total)))
