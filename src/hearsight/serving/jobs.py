"""One heavy job at a time: a queue that everybody sees, with progress, and a way to cancel."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hearsight.errors import sentence_of
from hearsight.progress import Progress
from hearsight.serving.texts import TEXTS

LOGGER = logging.getLogger(__name__)

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
KEPT = 50  # finished jobs that are remembered
PAUSE = 0.2  # seconds between two snapshots for one reader at least


@dataclass(slots=True, kw_only=True)
class Job:
    """Work that was asked for: what it is, how far it is, and how it ended."""

    id: str
    title: str  # what a person calls it
    page: str  # address where its result will be
    work: Callable[[Progress], Awaitable[Any]]  # a text that it gives is shown; may be cancelled
    undo: Callable[[], None]  # removes what it wrote and took, if it is not done
    state: JobState = "waiting"
    stage: str = ""
    done: int = 0
    total: int | None = None
    error: str = ""
    said: str = ""  # what came of it
    cancelled: bool = False  # somebody wants no more of it

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in ("waiting", "running")

    def shown(self) -> dict[str, Any]:
        """What pages show of it."""
        names = ("id", "title", "page", "state", "stage", "done", "total", "error", "said")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True, kw_only=True)
class JobQueue:
    """Jobs in the order in which they came; `run` does them, one after the other."""

    jobs: dict[str, Job] = field(default_factory=dict)
    _running: "asyncio.Future[Any] | None" = None  # the work of the job that runs
    _waiting: "asyncio.Queue[Job]" = field(default_factory=asyncio.Queue)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def submit(self, job: Job) -> None:
        """Add a job to the end of the queue."""
        over = [one.id for one in self.jobs.values() if one.over]
        for key in over[: max(0, len(over) - KEPT)]:
            del self.jobs[key]
        self.jobs[job.id] = job
        self._waiting.put_nowait(job)
        self._tell()

    def cancel(self, key: str) -> bool:
        """End a job that waits or runs; whether there was one."""
        job = self.jobs.get(key)
        if job is None or job.over:
            return False
        job.cancelled = True
        if job.state == "running" and self._running is not None:
            self._running.cancel()  # also where it waits for its turn; `_do` says the rest
        else:
            self._end(job, "cancelled")
        return True

    async def run(self) -> None:
        """Do jobs for ever. No job's fault ends this."""
        while True:
            job = await self._waiting.get()
            if job.state == "waiting":
                await self._do(job)

    async def _do(self, job: Job) -> None:
        def progress(stage: str, done: int, total: int | None) -> None:
            job.stage, job.done, job.total = stage, done, total
            self._tell()

        job.state = "running"
        self._running = asyncio.ensure_future(job.work(progress))
        self._tell()
        try:
            given = await self._running
            job.said = given if isinstance(given, str) else ""
        except asyncio.CancelledError:
            queue = asyncio.current_task()
            if not job.cancelled or (queue is not None and queue.cancelling()):
                raise  # the server ends
            self._end(job, "cancelled")
        except Exception as error:
            said = sentence_of(error)
            if said is None:
                LOGGER.exception("'%s' failed", job.title, exc_info=error)
            self._end(job, "failed", TEXTS["jobs"]["fault"] if said is None else said)
        else:
            self._end(job, "done")

    def _end(self, job: Job, state: JobState, error: str = "") -> None:
        """Clean up after a job, and then say how it ended."""
        if state != "done":
            try:
                job.undo()
            except Exception as fault:  # what is left lies there; the next job is done all the same
                LOGGER.exception("'%s' left files behind", job.title, exc_info=fault)
        job.state, job.error = state, error
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def shown(self) -> list[dict[str, Any]]:
        """All jobs that are remembered, in the order in which they came."""
        return [job.shown() for job in self.jobs.values()]

    async def snapshots(self) -> AsyncIterator[list[dict[str, Any]]]:
        """What `shown` gives, now and after changes; nothing new within `PAUSE` seconds."""
        while True:
            changed = self._changed
            yield self.shown()
            await asyncio.sleep(PAUSE)
            await changed.wait()
