"""Debian packages as archives: obtained without installing, read member by member.

Nothing of a package is unpacked to disk: its members are read by name from the stream, so that
no name in it can lead outside a folder.
"""

import os
import subprocess
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from hearsight.errors import HearsightError

MAGIC = b"!<arch>\n"
HEADER = 60  # bytes before every member: name 16, time 12, owner 6, group 6, mode 8, size 10, end 2
LARGEST = 2**26  # bytes of one member that is read
COMPRESSIONS = {".xz": "xz", ".gz": "gz", ".bz2": "bz2", "": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """A package file, by what its control file says."""

    path: Path
    name: str
    version: str


def find_debs(names: Sequence[str], folder: Path) -> list[Deb]:
    """The packages of these names among the .deb files in a folder.

    Raises:
        HearsightError: no such folder, or a package is not in it.
    """
    if not folder.is_dir():
        raise HearsightError(f"there is no folder '{folder}' with .deb files")
    found = []
    for name in names:
        files = sorted(folder.glob(f"{name}_*.deb"))
        if not files:
            raise HearsightError(f"there is no package {name}_*.deb in the folder '{folder}'")
        found.append(read_deb(files[-1]))
    return found


def download_debs(names: Sequence[str], folder: Path) -> list[Deb]:
    """The packages of these names, fetched into a folder by `apt-get download`.

    Raises:
        HearsightError: there is no apt-get, or it cannot fetch them.
    """
    advice = "give the .deb files with --debs DIR"
    command = ["apt-get", "-q", "download", *names]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise HearsightError(
            f"apt-get cannot be run, as this needs a Debian or Ubuntu system: {advice}"
        ) from error
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
        why = complaints[0][3:] if complaints else f"exit status {done.returncode}"
        raise HearsightError(
            f"apt-get cannot download {' and '.join(names)} ({why.rstrip('.')}):"
            f" try 'apt-get update' first, or {advice}"
        )
    return find_debs(names, folder)


def read_deb(path: Path) -> Deb:
    """Name and version of a package file.

    Raises:
        HearsightError: not a Debian package, or a damaged one.
    """
    text = dict(read_members(path, {"control"}, archive="control")).get("control", b"").decode()
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    if "Package" not in fields or "Version" not in fields:
        raise HearsightError(f"'{path}' is a Debian package that does not say its name")
    return Deb(path=path, name=fields["Package"], version=fields["Version"])


def read_members(
    path: Path, wanted: Collection[str], *, archive: str = "data"
) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a package as (name, content), in the order they lie in it.

    Args:
        path: the .deb file.
        wanted: names without a leading `./` or `/`.
        archive: `data` for what would be installed, `control` for what describes it.

    Raises:
        HearsightError: not a Debian package, a damaged one, or a member beyond `LARGEST`.
    """
    try:
        with path.open("rb") as file, _open_tar(file, path, f"{archive}.tar") as tar:
            for member in tar:
                name = PurePosixPath("/", member.name).as_posix().lstrip("/")
                if name not in wanted or not member.isfile():
                    continue
                if member.size > LARGEST:
                    raise HearsightError(f"'{name}' in '{path}' is too large: {member.size} bytes")
                content = tar.extractfile(member)
                if content is not None:
                    yield name, content.read()
    except FileNotFoundError as error:
        raise HearsightError(f"there is no file '{path}'") from error
    except (OSError, EOFError, ValueError, tarfile.TarError, ImportError) as error:
        raise HearsightError(f"'{path}' is not a whole Debian package: {error}") from error
    except Exception as error:  # lzma and zlib raise errors of their own
        if isinstance(error, HearsightError):
            raise
        raise HearsightError(f"'{path}' is a damaged Debian package: {error}") from error


@contextmanager
def _open_tar(file: IO[bytes], path: Path, prefix: str) -> Iterator[tarfile.TarFile]:
    """The tar archive whose member name in the ar archive begins so, as a stream."""
    if file.read(len(MAGIC)) != MAGIC:
        raise HearsightError(f"'{path}' is not a Debian package")
    while header := file.read(HEADER):
        if len(header) < HEADER or header[58:] != b"`\n":
            raise HearsightError(f"'{path}' is a damaged Debian package")
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        size = int(header[48:58])
        if name.startswith(prefix):
            suffix = name.removeprefix(prefix)
            if suffix == ".zst":
                import pyarrow  # type: ignore[import-untyped]

                with (
                    pyarrow.CompressedInputStream(file, "zstd") as plain,
                    tarfile.open(fileobj=plain, mode="r|") as tar,
                ):
                    yield tar
            elif suffix in COMPRESSIONS:
                mode = COMPRESSIONS[suffix]
                with tarfile.open(fileobj=file, mode=f"r|{mode}") as tar:  # type: ignore[call-overload]
                    yield tar
            else:
                raise HearsightError(f"'{path}' is packed in an unknown way: '{name}'")
            return
        file.seek(size + size % 2, os.SEEK_CUR)
    raise HearsightError(f"'{path}' is a damaged Debian package: it has no {prefix}")
