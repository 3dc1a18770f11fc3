"""Folders that one process at a time writes to."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hearsight.errors import HearsightError

LOCK = ".writing"
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # of file systems that have none


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make a folder if need be, and keep other writers out; one that stays empty is removed again.

    The system ends the lock with the process, however it ends. Some file systems of clusters have
    no locks: there nobody is kept out.

    Raises:
        HearsightError: another process is writing to the folder, or it cannot be written.
    """
    made = []
    try:
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(folder)
    except OSError as error:
        if made:
            with suppress(OSError):
                (folder / LOCK).unlink()
        _remove(made)
        raise HearsightError(f"cannot write to '{folder}': {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()
        os.close(descriptor)
        _remove(made)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(descriptor), (folder / LOCK).stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            os.close(descriptor)
            raise
        ours = True
    if not ours:  # locked, or unlinked by a writer that ended in between
        os.close(descriptor)
        raise HearsightError(f"'{folder}' is in use: another process is writing to it.")
    return descriptor


def _remove(made: list[Path]) -> None:
    """Remove folders, the innermost first, as long as they are empty."""
    with suppress(OSError):
        for each in made:
            each.rmdir()
