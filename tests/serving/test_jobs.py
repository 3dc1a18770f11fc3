"""Work in another process: whatever happens there, the queue goes on."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_server import finished

from hearsight.errors import HearsightError
from hearsight.progress import Progress
from hearsight.serving import jobs
from hearsight.serving.jobs import Job, JobQueue
from hearsight.serving.state import Settings
from hearsight.serving.worker import WorkEndedError, Worker, WorkFault


def with_worker(then: Callable[[Worker], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = Worker(Settings(), tasks="made_tasks")
        try:
            await then(worker)
        finally:
            worker.close()

    finished(run())


def test_a_worker_answers_and_survives_what_tasks_do() -> None:
    async def then(worker: Worker) -> None:
        told: list[Any] = []
        given = await worker.call("answer", {"value": 3}, lambda *said: told.append(said))
        assert (given, told) == (3, [("thinking", 1, 2)])
        first = await worker.call("process", {})
        with pytest.raises(HearsightError, match="That is refused"):
            await worker.call("refuse", {})
        with pytest.raises(WorkFault, match="a fault of ours"):
            await worker.call("fault", {})
        with pytest.raises(HearsightError, match="not enough memory"):
            await worker.call("exhaust", {})
        with pytest.raises(HearsightError, match=r"^/full/part: No space left on device\.$"):
            await worker.call("fill", {})
        assert await worker.call("process", {}) == first  # none of these ended it
        with pytest.raises(WorkEndedError, match="code 7"):
            await worker.call("crash", {"code": 7})
        assert await worker.call("process", {}) != first
        assert not psutil.pid_exists(first)

    with_worker(then)


def test_a_worker_that_could_not_be_started_is_started_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_room(process: BaseProcess) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    async def then(worker: Worker) -> None:
        opened = psutil.Process().num_fds()
        with monkeypatch.context() as patched:
            patched.setattr(BaseProcess, "start", no_room)
            for _ in range(2):
                with pytest.raises(HearsightError, match=r"temporarily unavailable.*try again"):
                    await worker.call("answer", {"value": 1})
        assert worker.pid is None
        assert psutil.Process().num_fds() == opened
        assert await worker.call("answer", {"value": 2}) == 2

    with_worker(then)


def job(key: str, work: Callable[[Progress], Awaitable[Any]], undone: list[str]) -> Job:
    return Job(id=key, title=key, page="/", work=work, undo=lambda: undone.append(key))


def test_jobs_run_one_after_the_other_and_end_as_they_do(tmp_path: Path) -> None:
    async def then(worker: Worker) -> None:
        queue, undone = JobQueue(), list[str]()
        begun = tmp_path / "begun"
        calls: dict[str, tuple[str, dict[str, object]]] = {
            "good": ("answer", {"value": 1}),
            "refused": ("refuse", {}),
            "faulty": ("fault", {}),
            "waits": ("wait", {"begun": str(begun)}),
            "never": ("answer", {"value": 1}),
            "last": ("answer", {"value": 2}),
        }
        for key, call in calls.items():
            queue.submit(job(key, partial(worker.call, *call), undone))
        assert {one["state"] for one in queue.shown()} == {"waiting"}
        running = asyncio.create_task(queue.run())
        while not begun.exists():
            assert [one["state"] for one in queue.shown()].count("running") <= 1
            await asyncio.sleep(0.01)
        assert queue.cancel("never")
        assert queue.cancel("waits")
        while not queue.jobs["last"].over:
            await asyncio.sleep(0.01)
        running.cancel()
        assert {one["id"]: one["state"] for one in queue.shown()} == {
            "good": "done",
            "refused": "failed",
            "faulty": "failed",
            "waits": "cancelled",
            "never": "cancelled",
            "last": "done",
        }
        assert queue.jobs["refused"].error == "That is refused."
        assert "fault in hearsight" in queue.jobs["faulty"].error
        assert sorted(undone) == ["faulty", "never", "refused", "waits"]
        assert not queue.cancel("waits")
        assert not queue.cancel("unknown")

    with_worker(then)


def test_a_job_whose_files_cannot_be_removed_ends_and_the_next_is_done() -> None:
    async def fail(progress: Progress) -> None:
        raise HearsightError("It is wrong.")

    async def work(progress: Progress) -> str:
        return "made"

    def undo() -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    async def then() -> None:
        queue = JobQueue()
        for key, of_it in (("stuck", fail), ("unwanted", work), ("next", work)):
            queue.submit(Job(id=key, title=key, page="/", work=of_it, undo=undo))
        assert queue.cancel("unwanted")
        running = asyncio.create_task(queue.run())
        async with asyncio.timeout(10):
            while not queue.jobs["next"].over:
                await asyncio.sleep(0.01)
        running.cancel()
        assert [(one["state"], one["error"], one["said"]) for one in queue.shown()] == [
            ("failed", "It is wrong.", ""),
            ("cancelled", "", ""),
            ("done", "", "made"),
        ]

    finished(then())


def test_a_job_that_waits_for_the_worker_is_cancelled_and_ends_no_work_but_its_own(
    tmp_path: Path,
) -> None:
    async def then(worker: Worker) -> None:
        queue, undone = JobQueue(), list[str]()
        first, second = tmp_path / "first", tmp_path / "second"
        other = asyncio.create_task(worker.call("wait", {"begun": str(first)}))
        while not first.exists():  # as a model that is loaded before anybody asks
            await asyncio.sleep(0.01)
        queue.submit(job("early", partial(worker.call, "wait", {"begun": str(second)}), undone))
        running = asyncio.create_task(queue.run())
        while queue.jobs["early"].state != "running":
            await asyncio.sleep(0.01)
        assert queue.cancel("early")
        while not queue.jobs["early"].over:
            await asyncio.sleep(0.01)
        assert (queue.jobs["early"].state, undone, second.exists()) == (
            "cancelled",
            ["early"],
            False,
        )
        assert not other.done()
        assert psutil.pid_exists(worker.pid or 0)
        worker.kill()
        with pytest.raises(WorkEndedError, match="SIGKILL"):
            await other
        queue.submit(job("next", partial(worker.call, "answer", {"value": 1}), undone))
        while not queue.jobs["next"].over:
            await asyncio.sleep(0.01)
        running.cancel()
        assert queue.jobs["next"].state == "done"
        assert not second.exists()

    with_worker(then)


def test_old_jobs_are_forgotten_and_readers_see_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT", 2)
    monkeypatch.setattr(jobs, "PAUSE", 0.0)

    async def nothing(progress: Progress) -> None:
        progress("doing", 1, 1)

    async def then(worker: Worker) -> None:
        queue = JobQueue()
        snapshots = queue.snapshots()
        assert await anext(snapshots) == []
        running = asyncio.create_task(queue.run())
        for number in range(9):
            queue.submit(job(str(number), nothing, []))
            while not queue.jobs[str(number)].over:
                await asyncio.sleep(0)
        seen = await anext(snapshots)
        assert (seen[-1]["id"], seen[-1]["state"], seen[-1]["done"]) == ("8", "done", 1)
        assert len(queue.jobs) == 3
        running.cancel()

    with_worker(then)
