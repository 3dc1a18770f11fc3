"""Files to write: checked before the work whose results go there, and written whole."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hearsight.errors import HearsightError


def check_output(path: Path, endings: Sequence[str], *sources: Path) -> None:
    """Whether a file can be written, as far as can be said before there is one; leaves nothing.

    endings: those it may have, such as `.png`. sources: what is read, and must not be overwritten.

    Raises:
        HearsightError: another ending, no such folder, one that cannot be written into, or `path`
            is a folder or one of the sources.
    """
    if path.suffix.lower() not in endings:
        listed = ", ".join(endings[:-1]) + " or " if len(endings) > 1 else ""
        raise HearsightError(f"'{path}' must end in {listed}{endings[-1]}.")
    try:
        if path.is_dir():
            raise HearsightError(f"'{path}' is a folder, not a file to write.")
        if not path.parent.is_dir():
            raise HearsightError(f"'{path}' cannot be written: there is no folder '{path.parent}'.")
        if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
            raise HearsightError(f"'{path}' is read for this: name another file to write.")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be written: {error.strerror}.") from error
    os.close(handle)
    Path(name).unlink()


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A name to write to beside `path`, which it gets at the end; whatever fails, nothing is left.

    A file that was at `path` stays until then.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """The same as `temporary_beside`, for what a user named.

    Raises:
        HearsightError: it cannot be written.
    """
    try:
        with temporary_beside(path) as part:
            yield part
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be written: {error.strerror or error}.") from error
