"""Which videos are meant: files that are named, folders that are searched, and what is gone."""

from collections.abc import Collection, Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from hearsight.datasets.videos import SUFFIXES, walk_videos
from hearsight.errors import HearsightError
from hearsight.library.moment_table import absolute


def find_videos(
    sources: Sequence[str | Path], unreadable: dict[str, str], known: Collection[str] = ()
) -> list[Path]:
    """Every video that the sources name or hold, each once.

    Args:
        sources: videos, and folders with videos at any depth (hidden ones are passed over).
        unreadable: what cannot be read, and why. Added are folders within that are closed, files
            whose names are not UTF-8, and pipes and the like.
        known: files that may be gone, by their absolute path. A source that was one of them, or
            held some, need not be there or hold a video any more.

    Raises:
        HearsightError: a source is not there, cannot be read, or is a folder without any video.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = absolute(source)
        try:
            folder = S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError) as error:
            if _reached(path, known):
                continue
            raise HearsightError(f"There is no video or folder '{source}'.") from error
        except OSError as error:
            raise HearsightError(f"'{source}' cannot be read: {error.strerror}.") from error
        closed = len(unreadable)
        inside = _inside(source, path, unreadable) if folder else [path]
        if not inside and closed == len(unreadable) and not _reached(path, known):
            raise HearsightError(f"'{source}' holds no videos ({' '.join(SUFFIXES)}).")
        found.update(dict.fromkeys(inside))
    return [path for path in found if _is_ordinary(path, unreadable)]


def gone(known: Collection[str], sources: Sequence[str | Path]) -> list[str]:
    """Which of the known files are not there any more, as far as the sources reach.

    Without sources that is everywhere. What is there and cannot be reached is not gone.
    """
    reach = [absolute(source) for source in sources]
    return [
        name
        for name in known
        if (not reach or any(Path(name).is_relative_to(path) for path in reach)) and _is_gone(name)
    ]


def _reached(path: Path, known: Collection[str]) -> bool:
    """Whether one of the known files is this one, or lies below it."""
    return any(Path(name).is_relative_to(path) for name in known)


def _is_gone(name: str) -> bool:
    try:
        Path(name).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _inside(source: str | Path, folder: Path, unreadable: dict[str, str]) -> list[Path]:
    """The videos below a folder.

    Raises:
        HearsightError: the folder itself is closed.
    """
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise HearsightError(f"'{source}' cannot be read: {error.strerror}.") from error

    def closed(error: OSError) -> None:
        unreadable[str(error.filename)] = f"the folder cannot be read: {error.strerror}."

    return list(walk_videos(folder, closed))


def _is_ordinary(path: Path, unreadable: dict[str, str]) -> bool:
    """Whether a library can name a file, and reading it comes to an end."""
    try:
        str(path).encode()
        if not S_ISREG(path.stat().st_mode):
            unreadable[str(path)] = "It is a pipe or a device, not a file."
            return False
    except UnicodeEncodeError:
        unreadable[str(path)] = "Its name is not UTF-8."
        return False
    except OSError:
        pass  # whoever reads it will say what is wrong with it
    return True
