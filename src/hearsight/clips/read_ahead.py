"""Reading ahead by threads or processes, results in order."""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from itertools import islice, repeat
from multiprocessing import get_context
from typing import Any, TypeVar, cast

from hearsight.errors import HearsightError

Key = TypeVar("Key")
Read = TypeVar("Read")
Shared = TypeVar("Shared")

_shared: Any = None  # in a process of `read_apart`: what its parent gave it


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
    keys: Iterable[Key],
    *,
    workers: int,
    ahead: int,
) -> Iterator[Read]:
    """`read(shared, key)` for each key, in order, by `workers` processes.

    For work that keeps Python busy, which threads of one process share. `read` is a function of a
    module; each process gets a copy of `shared` once.

    Raises:
        HearsightError: the system ended one of the processes.
    """
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_receive, initargs=(shared,)
    )
    try:
        yield from _in_turn(pool, partial(_read_shared, read), keys, ahead)
    except BrokenProcessPool as error:
        raise HearsightError(
            "The system ended a process that read clips, perhaps for want of memory: run again, "
            "with fewer --workers, to go on."
        ) from error


def available_cores() -> int:
    """The processors that this process may use."""
    known = getattr(os, "sched_getaffinity", None)
    return max(1, len(known(0)) if known else os.cpu_count() or 1)


def _receive(shared: Any) -> None:
    global _shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    _shared = shared


def _read_shared(read: Callable[[Any, Key], Read], key: Key) -> Read:
    return read(_shared, key)


def _in_turn(
    pool: Executor, read: Callable[[Key], Read], keys: Iterable[Key], ahead: int
) -> Iterator[Read]:
    waiting: deque[Future[Read]] = deque()
    try:
        for key in keys:
            waiting.append(pool.submit(read, key))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
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
