"""Reading ahead by threads or processes, results in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from itertools import islice, repeat
from typing import Any, TypeVar, cast

from hearsight.errors import HearsightError

Key = TypeVar("Key")
Read = TypeVar("Read")
Shared = TypeVar("Shared")

_given: Any = None  # in a process of `read_apart`: what its parent gave it


def read_ahead(
    read: Callable[[Key], Read], keys: Iterable[Key], *, workers: int, ahead: int
) -> Generator[Read, None, None]:
    """`read(key)` for each key, in order; `workers` threads read up to `ahead` keys beforehand.

    Keys are consumed only as fast as results are, so there may be infinitely many. An exception
    of `read` is raised in its turn. When the iteration ends, no further read is started.
    """
    yield from _in_turn(ThreadPoolExecutor(workers), read, keys, ahead)


def read_apart(
    read: Callable[[Shared, Key], Read],
    shared: Shared,
    runs: Iterable[Sequence[Key]],
    *,
    workers: int,
    ahead: int,
) -> Generator[Read, None, None]:
    """`read(shared, key)` for each key of each run, in order, by `workers` processes.

    For work that keeps Python busy, which threads of one process share. `read` is a function of a
    module; each process gets a copy of `shared` once, and reads a run at a time, up to `ahead` runs
    beforehand. When the iteration ends, no further key is read, also of a run that was begun.

    Raises:
        HearsightError: the system ended one of the processes.
    """
    context = multiprocessing.get_context("spawn")
    left = context.RawValue("b", False)  # without a lock, which a process may take with it
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_receive, initargs=(shared, left)
    )

    def leave() -> None:
        left.value = True

    try:
        with closing(_in_turn(pool, partial(_read_run, read), runs, ahead, leave)) as found:
            for run in found:
                yield from run
    except BrokenProcessPool as error:
        raise HearsightError(
            "The system ended a process that read clips, perhaps for want of memory: run again, "
            "with fewer `workers`, to go on."
        ) from error


def available_cores() -> int:
    """The processors that this process may use."""
    known = getattr(os, "sched_getaffinity", None)
    return max(1, len(known(0)) if known else os.cpu_count() or 1)


def end_with_parent() -> None:
    """End this process as soon as the one that began it has ended, whatever ended it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _receive(shared: Any, left: Any) -> None:
    global _given
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    end_with_parent()  # else they would wait for work for ever
    _given = shared, left


def _read_run(read: Callable[[Any, Key], Read], run: Sequence[Key]) -> list[Read]:
    """What is read of a run, until the parent wants no more."""
    shared, left = _given
    found = []
    for key in run:
        if left.value:
            break
        found.append(read(shared, key))
    return found


def _in_turn(
    pool: Executor,
    read: Callable[[Key], Read],
    keys: Iterable[Key],
    ahead: int,
    leave: Callable[[], None] | None = None,
) -> Generator[Read, None, None]:
    """`leave`: called when nothing more is wanted, before the pool is waited for."""
    waiting: deque[Future[Read]] = deque()
    try:
        for key in keys:
            waiting.append(pool.submit(read, key))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if leave is not None:
            leave()
        pool.shutdown(cancel_futures=True)


def one_ahead(items: Iterator[Read]) -> Generator[Read, None, None]:
    """The same items; a thread gets the next one while one is used."""
    ended = object()
    read = read_ahead(lambda _: next(items, ended), repeat(None), workers=1, ahead=1)
    with closing(read):
        for item in read:
            if item is ended:
                return
            yield cast("Read", item)


def in_batches(items: Iterator[Read], size: int) -> Iterator[list[Read]]:
    """The items in lists of `size`, the last of which may be shorter."""
    while batch := list(islice(items, size)):
        yield batch
