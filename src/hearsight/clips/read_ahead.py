"""Reading ahead by threads, results in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice, repeat
from typing import TypeVar, cast

Key = TypeVar("Key")
Read = TypeVar("Read")


def read_ahead(
    read: Callable[[Key], Read], keys: Iterable[Key], *, workers: int, ahead: int
) -> Generator[Read, None, None]:
    """`read(key)` for each key, in order; `workers` threads read up to `ahead` keys beforehand.

    Keys are consumed only as fast as results are, so there may be infinitely many. An exception
    of `read` is raised in its turn. When the iteration ends, no further read is started.
    """
    waiting: deque[Future[Read]] = deque()
    pool = ThreadPoolExecutor(workers)
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
