"""A lock on an output folder: one process at a time writes to it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hearsight.errors import HearsightError

LOCK = ".writing"
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # from file systems without locks


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make a folder if it is missing and keep other writers out of it.

    The operating system releases the lock when the process ends, killed or not. On file systems
    without locks (some clusters') nobody is kept out. Folders made here that are still empty at
    the end are removed.

    Raises:
        HearsightError: another process is writing to the folder, or it cannot be written.
    """
    made = []
    lock = FileLock(folder / LOCK, thread_local=False, fallback_to_soft=False)
    try:
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock)
    except Timeout as error:
        raise HearsightError(f"'{folder}' is in use: another process is writing to it.") from error
    except OSError as error:
        if made:
            with suppress(OSError):
                (folder / LOCK).unlink()
        _remove_empty(made)
        raise HearsightError(f"Cannot write to '{folder}': {error.strerror}.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # before the release: afterwards it may be another writer's
            (folder / LOCK).unlink()
        lock.release()
        _remove_empty(made)


def _acquire(lock: FileLock) -> None:
    try:
        lock.acquire(blocking=False)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, up to the first that is not empty."""
    with suppress(OSError):
        for each in folders:
            each.rmdir()
