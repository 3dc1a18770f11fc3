"""What is at work, in a real browser: seen, cancelled, and ended from outside."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from made_server import Served, in_browser, index_folder, serving

pytestmark = in_browser


def workers(served: Served) -> list[psutil.Process]:
    """The processes that do the work of a server."""
    below = psutil.Process(served.process.pid).children()
    return [one for one in below if "spawn_main" in " ".join(one.cmdline())]


def at_work(served: Served) -> list[str]:
    """The jobs that wait or run."""
    return [key for key, job in served.jobs().items() if job["state"] in ("waiting", "running")]


@contextmanager
def halted(served: Served) -> Iterator[list[psutil.Process]]:
    """The workers, which stand still, those too that begin: what is asked for stays at work."""
    stopped: list[psutil.Process] = []
    over = threading.Event()

    def stop() -> None:
        with suppress(psutil.NoSuchProcess):  # the server or a worker has ended meanwhile
            for one in workers(served):
                if one not in stopped:
                    one.suspend()
                    stopped.append(one)

    def watch() -> None:
        while not over.wait(0.05):
            stop()

    while at_work(served):  # what was asked for before has the worker
        time.sleep(0.05)
    stop()
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield stopped
    finally:
        over.set()
        watching.join()
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.resume()


def send(context: Any, served: Served, file: Path) -> Any:
    """A new page that has sent a file and waits for its film."""
    page = context.new_page()
    page.goto(served.address)
    page.set_input_files("#files", file)
    page.wait_for_url("**/films/*")
    return page


def test_the_queue_is_seen_on_every_page_and_a_running_job_is_cancelled_in_it(
    context: Any, page: Any, served: Served, folder: Path
) -> None:
    with halted(served):
        first = send(context, served, folder / "film.mp4")
        first.wait_for_selector("#job-said:has-text('Starting')")
        second = send(context, served, folder / "films" / "street.mp4")
        second.wait_for_selector("#job-said:has-text('waits')")
        page.wait_for_selector("#work-count:has-text('2 at work')")
        page.click("#work summary")
        page.wait_for_selector("#work-list li.running:has-text('film.mp4') progress")
        page.wait_for_selector("#work-list li.waiting:has-text('street.mp4')")
        row = page.query_selector("#work-list li.running")
        page.wait_for_timeout(500)
        assert row.is_visible()  # rows stay while they are told anew, or clicks are lost
        page.click("#work-list li.running button")
        first.wait_for_selector("[role=alert]:has-text('This was cancelled.')")
        page.wait_for_selector("#work-list li.cancelled:has-text('cancelled')")
    second.wait_for_selector("#film[data-ready]")  # by a worker that was begun anew
    first.close()
    second.close()


def test_of_a_long_queue_all_that_is_not_over_is_listed(
    page: Any, served: Served, folder: Path
) -> None:
    with halted(served):
        for _ in range(12):
            served.localise(upload=served.send(folder / "film.mp4"))
        page.wait_for_selector("#work-count:has-text('12 at work')")
        page.click("#work summary")
        page.wait_for_selector("#work-list li.running button")  # it is the oldest of them
        assert page.locator("#work-list li.waiting").count() == 11
        last = page.locator("#work-list li button").last
        last.scroll_into_view_if_needed()
        last.click()
        page.wait_for_selector("#work-list li.cancelled")
        while keys := at_work(served):
            for key in keys:
                served.ask(f"jobs/{key}", method="DELETE")


def test_a_film_is_cancelled_where_one_waits_for_it(
    context: Any, served: Served, folder: Path
) -> None:
    with halted(served):
        page = send(context, served, folder / "film.mp4")
        key = page.url.rpartition("/")[2]
        page.wait_for_selector("#job-said:has-text('Starting')")
        page.click("#job-cancel")
        page.wait_for_selector("[role=alert]:has-text('This was cancelled.')")
        assert not (folder / "state" / "results" / key).exists()
    page.click("a:has-text('Try another file')")
    page.wait_for_url(served.address)
    page.close()


def test_indexing_shows_how_far_it_is_and_is_cancelled_beside_its_button(
    page: Any, other: Any, served: Served, folder: Path
) -> None:
    for each in (page, other):
        each.goto(f"{served.address}library")
    with halted(served):
        page.click("[data-index]")
        page.wait_for_selector("#indexing li.running progress")
        other.click("#indexing li.running button")  # another page shows it, too
        page.wait_for_selector("#said:has-text('cancelled')")
    index_folder(page)


def test_painting_shows_that_it_is_cancelled(page: Any, served: Served, folder: Path) -> None:
    key = served.localise(upload=served.send(folder / "film.mp4"))  # nobody has painted this one
    while key in at_work(served):
        time.sleep(0.05)
    page.goto(f"{served.address}films/{key}")
    page.wait_for_selector("#film[data-ready]")
    with halted(served):
        page.click("#paint")
        page.wait_for_selector("#film-jobs li.running progress")
        page.click("#film-jobs button")
        page.wait_for_selector("#said:has-text('cancelled')")
        assert page.query_selector_all("#film-jobs li") == []
    assert page.query_selector_all("#painted a") == []


def test_a_worker_that_is_killed_is_told_in_a_sentence_and_the_server_goes_on(
    context: Any, film: str, served: Served, folder: Path
) -> None:
    with halted(served) as stopped:
        page = send(context, served, folder / "film.mp4")
        page.wait_for_selector("#job-said:has-text('Starting')")
        while at_work(served):  # one that begins may be found, and stand still, later than it does
            for one in [*stopped]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            time.sleep(0.05)
        page.wait_for_selector("[role=alert]:has-text('nothing else was lost')")
    page.close()
    page = send(context, served, folder / "film.mp4")
    page.wait_for_selector("#film[data-ready]")
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    page.close()


def test_pages_that_are_open_when_the_server_is_killed_say_so_and_find_the_next_one(
    context: Any, served: Served, film: str, folder: Path, tmp_path: Path
) -> None:
    results, key = tmp_path / "state" / "results", film.rpartition("/")[2]
    shutil.copytree(folder / "state" / "results" / key, results / key)
    tiny = ("--model", str(folder / "tiny.safetensors"))
    with serving(tmp_path, *tiny) as first:
        mine = first.address
        done = context.new_page()
        done.goto(f"{mine}films/{key}")
        done.wait_for_selector("#film[data-ready]")
        link = f"{done.url}#t=1.000"
        with halted(first):
            waiting = send(context, first, folder / "film.mp4")
            waiting.wait_for_selector("#job-said:has-text('Starting')")
            first.process.kill()
            first.process.wait()
        for page in (done, waiting):
            page.wait_for_selector("#said:has-text('The connection to hearsight was lost.')")
        done.click("#export")
        done.wait_for_selector("#said:has-text('The connection to hearsight was lost.')")
    with serving(tmp_path, *tiny, "--port", mine.strip("/").rpartition(":")[2]):
        waiting.wait_for_selector("text=There is no such thing here, or not any more.")
        done.wait_for_selector("#said", state="hidden")  # connected again
        done.goto(link)
        done.wait_for_selector("#film[data-ready]")
        done.wait_for_function(
            "() => Math.abs(document.getElementById('map').dataset.time - 1) < 0.3"
        )
        assert "counted.mp4" in done.inner_text("h1")
        for page in (done, waiting):  # else the server waits for what they listen to
            page.close()
