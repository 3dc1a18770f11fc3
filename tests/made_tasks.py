"""Tasks for a worker that load nothing: they answer, report, fail, crash, and wait."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError
from hearsight.progress import Progress


def answer(state: object, progress: Progress, *, value: object) -> object:
    progress("thinking", 1, 2)
    return value


def process(state: object, progress: Progress) -> int:
    return os.getpid()


def refuse(state: object, progress: Progress) -> None:
    raise HearsightError("That is refused.")


def fault(state: object, progress: Progress) -> None:
    raise KeyError("a fault of ours")


def crash(state: object, progress: Progress, *, code: int) -> None:
    os._exit(code)


def fill(state: object, progress: Progress) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/part")


def exhaust(state: object, progress: Progress) -> None:
    raise MemoryError


def wait(state: object, progress: Progress, *, begun: str) -> None:
    Path(begun).touch()
    progress("waiting", 0, 1)
    time.sleep(60)


TASKS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (answer, process, refuse, fault, fill, crash, exhaust, wait)
}
