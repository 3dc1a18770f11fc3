"""Folders that others filled, read at any depth and through links; nothing is written here.

Data often lies on another disk, behind a link that its user made. A link to a folder is followed
unless that folder is read anyway or holds the one where reading began: so every folder is read
once, circles end, and a link to `/` does not bring in a whole machine.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hearsight.errors import HearsightError

Identity = tuple[int, int]  # of a folder, by whatever path it is reached: its device and number


def ignore(_: object) -> None:
    """For what need not be told."""


def check_there(folder: Path, what: str = "") -> None:
    """Refuse a folder to read from that is not there, or is none.

    what: it is to hold, as the end of the sentence: `with packages`.

    Raises:
        HearsightError: it is not there.
    """
    if not folder.is_dir():
        raise HearsightError(f"There is no folder '{folder}'{what and f' {what}'}.")


def walk(
    folder: Path,
    closed: Callable[[OSError], None] | None = None,
    left_out: Callable[[str], None] = ignore,
) -> Iterator[tuple[str, list[str]]]:
    """A folder and those in it at any depth, without hidden ones, in the order of their names.

    Each comes as its path below the first ("" or ending in "/") and the sorted names of all in it
    that is no folder: files, links to some, broken links, pipes. A folder comes before those in it,
    and what lies behind links after all else, so that a second way to a file does not change its
    path. The kind of an entry is told with its name: no file is looked at.

    Args:
        folder: it.
        closed: called for each folder that cannot be read; by default that is the user's error.
        left_out: called with the path of each folder that is hidden, or is read already or above;
            they end in "/".

    Raises:
        HearsightError: a folder cannot be read, without `closed`.
    """
    seen = {_identity(path) for path in folder.absolute().resolve().parents}
    waiting, linked = [""], list[str]()
    while waiting or linked:
        below = waiting.pop() if waiting else linked.pop(0)
        try:
            known = _identity(folder / below)
            if known in seen:
                left_out(below)
                continue
            seen.add(known)
            files, folders, links, hidden = _divided(folder / below)
        except OSError as error:
            if closed is None:
                raise HearsightError(
                    f"'{folder / below}' cannot be read: {error.strerror}."
                ) from error
            closed(error)
            continue
        for name in hidden:
            left_out(f"{below}{name}/")
        waiting += [f"{below}{name}/" for name in reversed(folders)]
        linked += [f"{below}{name}/" for name in links]
        yield below, files


def _divided(folder: Path) -> tuple[list[str], ...]:
    """The sorted names in a folder: no folders, folders, links to folders, hidden folders."""
    files, folders, links, hidden = list[str](), list[str](), list[str](), list[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            if not _is_folder(entry):
                files.append(entry.name)
            elif entry.name.startswith("."):
                hidden.append(entry.name)
            else:
                (links if entry.is_symlink() else folders).append(entry.name)
    return sorted(files), sorted(folders), sorted(links), sorted(hidden)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # of a link in a circle
        return False


def _identity(path: Path) -> Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def check_link(path: Path) -> None:
    """Refuse a link that leads nowhere, as one to a disk that is not there.

    Raises:
        HearsightError: it is one.
    """
    if path.is_symlink() and not _is_there(path):
        aim = path.readlink()
        raise HearsightError(f"'{path}' is a link to '{aim}', which is not there.")


def broken_links(folder: Path) -> list[Path]:
    """The links in a folder that lead nowhere."""
    with os.scandir(folder) as entries:
        links = sorted(Path(entry.path) for entry in entries if entry.is_symlink())
    return [path for path in links if not _is_there(path)]


def _is_there(link: Path) -> bool:
    try:
        return link.exists()
    except OSError:  # it leads where one may not look
        return True
