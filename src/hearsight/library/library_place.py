"""Where a library lies: a folder that one process at a time may write to, or an object store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hearsight.errors import HearsightError
from hearsight.files import locks

NAME = "moments"  # of the table
SCHEMES = ("s3", "gs", "az", "memory")  # of object stores; the last is for tests


def is_url(library: str) -> bool:
    """Whether the library lies on an object store."""
    return "://" in library


def check_place(library: str) -> None:
    """Refuse names and URLs under which no library can lie.

    Raises:
        HearsightError: it is one of those.
    """
    if not library:
        raise HearsightError("The name of the library is empty.")
    if not is_url(library):
        if Path(library).is_file():
            raise HearsightError(f"'{library}' is a file, and a library is a folder.")
        return
    scheme, _, rest = library.partition("://")
    if scheme not in SCHEMES:
        raise HearsightError(
            f"'{library}' is no place for a library: that is a folder, or a URL that begins with"
            " s3://, gs:// or az://."
        )
    if not rest.strip("/"):
        raise HearsightError(f"'{library}' names no bucket: write {scheme}://BUCKET/NAME.")


@contextmanager
def sole_writer(library: str) -> Iterator[None]:
    """Make the folder and keep other writers out, as `locks.sole_writer` does.

    An object store has no such lock.

    Raises:
        HearsightError: another process is writing, the folder holds other things, or it cannot be
            written.
    """
    if is_url(library):
        yield
        return
    folder = Path(library)
    try:
        held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise HearsightError(f"'{folder}' cannot be read: {error.strerror}.") from error
    strangers = held - {locks.LOCK}
    if strangers and f"{NAME}.lance" not in held:
        raise HearsightError(f"'{folder}' is no library: it holds '{min(strangers)}'.")
    with locks.sole_writer(folder):
        yield
