"""Calls of LanceDB: imported without traces, made in one event loop, failing in one sentence.

A search by LanceDB's synchronous calls crosses six times to the thread of its event loop and back,
asking for the index before once more, a tenth of a millisecond or more each. Asynchronous calls in
one coroutine cross once. The loop is one of ours, since LanceDB's own is no part of its interface.
"""

import asyncio
import os
import re
import threading
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from hearsight.errors import HearsightError, needs


@contextmanager
def unchanged_caller() -> Iterator[None]:
    """Import LanceDB within: it reads `LANCEDB_LOG` then, and urllib3 adds filters of warnings.

    LanceDB would warn of duplicate vectors. The caller's environment and filters are as before
    afterwards. `warnings.catch_warnings` is not for this: it swaps the filters of all threads.
    """
    variable, before = "LANCEDB_LOG", list(warnings.filters)
    was_set = variable in os.environ
    os.environ.setdefault(variable, "error")
    try:
        yield
    finally:
        if not was_set:
            os.environ.pop(variable, None)
        for each in list(warnings.filters):
            if each not in before and each[2].__module__.startswith("urllib3"):
                warnings.filters.remove(each)  # type: ignore[attr-defined]


with needs("library", "A library"), unchanged_caller():
    import lancedb

Answer = TypeVar("Answer")
FRESH = timedelta(seconds=5)  # after which an open table looks for newer moments
DAMAGED = "cannot be read and may be damaged; index its videos into a new one"
UNREACHED = "cannot be reached (by this address and the credentials in the environment)"
UNWRITTEN = "cannot be written"
LANCE_PREFIX = re.compile(r"lance error: (LanceError\(\w+\): )?")  # of its messages


_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}  # by process: threads do not survive a fork


def _event_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process, in a thread of its own."""
    process = os.getpid()
    if process not in _LOOPS:
        made = asyncio.new_event_loop()
        thread = threading.Thread(target=made.run_forever, name="hearsight-library", daemon=True)
        if _LOOPS.setdefault(process, made) is made:
            try:
                thread.start()
            except RuntimeError:  # no more threads can be had: the next call tries again
                del _LOOPS[process]
                made.close()
                raise
        else:  # another thread was first
            made.close()
    return _LOOPS[process]


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Do something in the event loop, and wait for it, whether or not the caller has a loop."""
    waiting = asyncio.run_coroutine_threadsafe(work, _event_loop())
    try:
        return waiting.result()
    except BaseException:  # such as Ctrl-C
        waiting.cancel()
        raise


async def connect(library: str) -> lancedb.AsyncConnection:
    """The folder or address that holds the table of a library."""
    return await lancedb.connect_async(library, read_consistency_interval=FRESH)


@contextmanager
def lance_errors(library: str, failure: str) -> Iterator[None]:
    """Turn what LanceDB raises (panics of its Rust code, too) into one sentence."""
    try:
        yield
    except HearsightError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split(", /")[0].split())
        reason = LANCE_PREFIX.sub("", reason)[:300].rstrip(".")
        raise HearsightError(f"The library '{library}' {failure}: {reason}.") from error
