"""Output files and folders: checked before the work begins, and written whole or not at all.

A file is written under a hidden name ending in `.part` beside its own and then renamed, so that
whatever ends the writer, the file under its own name is whole.
"""

import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hearsight.errors import HearsightError

LONGEST = 255  # bytes of a file's name on the usual file systems


def check_output(path: Path, endings: Sequence[str], *sources: Path) -> None:
    """Check, before any work, that a file can be written; leaves nothing behind.

    endings: the allowed suffixes, such as `.png`. sources: input files that must not be
    overwritten.

    Raises:
        HearsightError: another suffix, a folder that is missing or not writable, or `path` is a
            folder, a pipe, a device or one of the sources.
    """
    if path.suffix.lower() not in endings:
        listed = ", ".join(endings[:-1]) + " or " if len(endings) > 1 else ""
        raise HearsightError(f"'{path}' must end in {listed}{endings[-1]}.")
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()  # refuses a name that is too long
        if path.is_dir():
            raise HearsightError(f"'{path}' is a folder, not a file to write.")
        refuse_device(path)
        if not path.parent.is_dir():
            raise HearsightError(f"'{path}' cannot be written: there is no folder '{path.parent}'.")
        if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
            raise HearsightError(f"'{path}' is read for this: name another file to write.")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".hearsight.", suffix=".part")
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be written: {error.strerror}.") from error
    os.close(handle)
    Path(name).unlink()


def refuse_device(path: Path) -> None:
    """Raise HearsightError for a pipe or a device: a file renamed to its name would replace it.

    A link to a device, such as /dev/stdout, would be replaced as well; so of /dev itself nothing is
    written, whatever its links lead to just now.
    """
    if (path.exists() and not path.is_file()) or path.parent.resolve() == Path("/dev"):
        raise HearsightError(f"'{path}' is a pipe or a device: name a file to write.")


def hidden_part(path: Path) -> Path:
    """The hidden name ending in `.part` under which this process writes a file, beside it.

    Where that would exceed `LONGEST`, the file's name is cut and a digest of it added.
    """
    ending = f".{os.getpid()}.part"
    name = os.fsencode(path.name)
    most = LONGEST - len(ending) - 1
    if len(name) > most:
        digest = hashlib.sha256(name).hexdigest()[:16]
        name = name[: most - len(digest)].decode(errors="ignore").encode() + digest.encode()
    return path.with_name(f".{os.fsdecode(name)}{ending}")


def remove_parts(path: Path) -> None:
    """Remove what killed processes left of writing a file; under the lock of its only writer."""
    mine = hidden_part(path).name
    stem = mine.removesuffix(f".{os.getpid()}.part")
    for left in path.parent.glob(f"{glob.escape(stem)}.*.part"):
        if re.fullmatch(r"\.\d+\.part", left.name[len(stem) :]):
            with suppress(OSError):
                left.unlink()


class PartFile:
    """The hidden `.part` file under which `path` is written; renamed to `path` by `commit`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = hidden_part(path)

    def commit(self) -> None:
        """Rename the part to its final name, replacing an older file; raises OSError."""
        self.part.replace(self.path)

    def discard(self) -> None:
        """Remove the part if it is still there."""
        with suppress(OSError):
            self.part.unlink()


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """The part file to write; renamed to `path` at the end, or removed if anything fails.

    A file that was at `path` stays until then.

    Raises:
        OSError: it cannot be written.
    """
    file = PartFile(path)
    try:
        yield file.part
        file.commit()
    finally:
        file.discard()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """As `temporary_beside`, but a file that cannot be written is the user's error.

    Raises:
        HearsightError: it cannot be written, or is a pipe or a device.
    """
    try:
        if not path.is_dir():  # of which renaming says so
            refuse_device(path)
        with temporary_beside(path) as part:
            yield part
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be written: {error.strerror or error}.") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        HearsightError: it cannot be written.
    """
    with written_whole(path) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all.

    Raises:
        HearsightError: it cannot be written.
    """
    write_bytes(path, text.encode())


def check_folder(folder: Path, *, force: bool) -> None:
    """Check, before any work, that files can be written into a folder that is new or empty.

    force: files of the same names in it may be written over; others stay.

    Raises:
        HearsightError: it is a file, holds something, its parent is missing, or it is not writable.
    """
    try:
        if folder.is_dir():
            if any(folder.iterdir()) and not force:
                raise HearsightError(
                    f"'{folder}' is not empty: name another folder, or write into it by `force`."
                )
        elif folder.exists():
            raise HearsightError(f"'{folder}' is a file, not a folder to write to.")
        elif not folder.parent.is_dir():
            raise HearsightError(
                f"'{folder}' cannot be written: there is no folder '{folder.parent}'."
            )
        Path(tempfile.mkdtemp(dir=folder.parent, prefix=".hearsight.", suffix=".part")).rmdir()
    except OSError as error:
        raise HearsightError(f"'{folder}' cannot be written: {error.strerror}.") from error


@contextmanager
def written_folder(folder: Path, last: str) -> Iterator[Path]:
    """A hidden folder to write files into, which are then moved to `folder`; removed on failure.

    `last` is the file without which the others mean nothing: where `folder` exists it is removed
    before the first of them is moved and moved after all, so that no mixture can be read.

    Raises:
        HearsightError: it cannot be written.
    """
    part = hidden_part(folder.absolute())
    try:
        part.mkdir()
        yield part
        if not folder.exists():
            part.rename(folder)
            return
        (folder / last).unlink(missing_ok=True)
        files = [file for file in sorted(part.rglob("*")) if file.is_file()]
        for file in sorted(files, key=lambda file: file == part / last):
            place = folder / file.relative_to(part)
            if place.parent != folder and place.parent.is_symlink():
                raise HearsightError(
                    f"'{place.parent}' is a link: '{folder}' is not written there."
                )
            place.parent.mkdir(exist_ok=True)
            file.replace(place)
    except OSError as error:
        raise HearsightError(f"'{folder}' cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
