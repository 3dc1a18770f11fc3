"""Reading ahead by threads, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key")
Read = TypeVar("Read")


def read_ahead(
    read: Callable[[Key], Read], keys: Iterable[Key], *, workers: int, ahead: int
) -> Iterator[Read]:
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


def in_batches(items: Iterator[Read], size: int) -> Iterator[list[Read]]:
    """The items in lists of `size`, the last of which may be shorter."""
    while batch := list(islice(items, size)):
        yield batch
