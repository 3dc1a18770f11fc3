"""Debian packages: downloaded without installing, and read member by member.

Nothing of a package is unpacked to disk: its members are read by name from a stream, so that no
name in it can lead outside a folder. The stream comes from `dpkg-deb`; where that is not
installed, from the ar and tar reader of this file.
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Literal

from hearsight.errors import HearsightError, needs
from hearsight.files.walk import check_there

MAGIC = b"!<arch>\n"
HEADER = 60  # bytes before every member: name 16, time 12, owner 6, group 6, mode 8, size 10, end 2
LARGEST = 2**26  # bytes of one member that is read
COMPRESSIONS = {".xz": "xz", ".gz": "gz", ".bz2": "bz2", "": ""}  # of tarfile
ZSTD = ".zst"  # unpacked by pyarrow

Archive = Literal["data", "control"]
"""`data` holds the files that would be installed, `control` what describes the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """A package file, with the name and version in its control file."""

    path: Path
    name: str
    version: str


def find_debs(names: Sequence[str], folder: Path) -> list[Deb]:
    """The packages of these names among the .deb files in a folder.

    Raises:
        HearsightError: no such folder, or a package is not in it.
    """
    check_there(folder, "with .deb files")
    found = []
    for name in names:
        files = sorted(folder.glob(f"{name}_*.deb"))
        if not files:
            raise HearsightError(f"There is no package {name}_*.deb in the folder '{folder}'.")
        found.append(read_deb(files[-1]))
    return found


def download_debs(names: Sequence[str], folder: Path) -> list[Deb]:
    """Download the packages of these names into a folder by `apt-get download`.

    Raises:
        HearsightError: there is no apt-get, or it cannot download them.
    """
    advice = "give the .deb files in a folder, as `packages`"
    command = ["apt-get", "-q", "download", *names]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise HearsightError(
            f"apt-get cannot be run, as this needs a Debian or Ubuntu system: {advice}."
        ) from error
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
        why = complaints[0][3:] if complaints else f"exit status {done.returncode}"
        raise HearsightError(
            f"apt-get cannot download {' and '.join(names)} ({why.rstrip('.')}):"
            f" try 'apt-get update' first, or {advice}."
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
        raise HearsightError(f"'{path}' is a Debian package that does not say its name.")
    return Deb(path=path, name=fields["Package"], version=fields["Version"])


def read_members(
    path: Path, wanted: Collection[str], *, archive: Archive = "data"
) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a package as (name, content), in the order of the archive.

    Args:
        path: the .deb file.
        wanted: names without a leading `./` or `/`.
        archive: which of the package's two archives.

    Raises:
        HearsightError: not a Debian package, a damaged one, or a member beyond `LARGEST`.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise HearsightError(f"'{path}' is not a Debian package.")
            opened = _open_by_dpkg if shutil.which("dpkg-deb") else _open_by_hand
            with opened(file, path, archive) as tar:
                for member in tar:
                    name = PurePosixPath("/", member.name).as_posix().lstrip("/")
                    if name not in wanted or not member.isfile():
                        continue
                    if member.size > LARGEST:
                        raise HearsightError(
                            f"'{name}' in '{path}' is too large: {member.size} bytes."
                        )
                    content = tar.extractfile(member)
                    if content is not None:
                        yield name, content.read()
    except FileNotFoundError as error:
        raise HearsightError(f"There is no file '{path}'.") from error
    except (OSError, EOFError, ValueError, tarfile.TarError, ImportError) as error:
        raise HearsightError(f"'{path}' is not a whole Debian package: {error}.") from error
    except Exception as error:  # lzma and zlib raise errors of their own
        if isinstance(error, HearsightError):
            raise
        raise HearsightError(f"'{path}' is a damaged Debian package: {error}.") from error


@contextmanager
def _open_by_dpkg(file: IO[bytes], path: Path, archive: Archive) -> Iterator[tarfile.TarFile]:
    """An archive of a package as `dpkg-deb` unpacks it, as a stream."""
    option = {"data": "--fsys-tarfile", "control": "--ctrl-tarfile"}[archive]
    command = ["dpkg-deb", option, str(path.absolute())]
    environment = {**os.environ, "LC_ALL": "C"}
    with (
        TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, env=environment
        ) as dpkg,
    ):
        assert dpkg.stdout is not None
        try:
            with tarfile.open(fileobj=dpkg.stdout, mode="r|") as tar:
                yield tar
            while dpkg.stdout.read(2**20):  # padding behind the archive
                pass
            failure: Exception | None = None
        except (tarfile.TarError, EOFError) as error:
            failure = error
        except BaseException:
            dpkg.kill()
            raise
        dpkg.stdout.close()
        if dpkg.wait():
            _find_archive(file, path, archive)  # says what is wrong with the file, if it can
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            why = lines[0].removeprefix("dpkg-deb: error: ") if lines else "dpkg-deb fails"
            raise tarfile.ReadError(why) from failure
        if failure is not None:
            raise failure


@contextmanager
def _open_by_hand(file: IO[bytes], path: Path, archive: Archive) -> Iterator[tarfile.TarFile]:
    """An archive of a package without `dpkg-deb`, as a stream."""
    compression = _find_archive(file, path, archive)
    if compression == ZSTD:
        with needs("report", "A package of this compression, where `dpkg-deb` is missing,"):
            import pyarrow  # type: ignore[import-untyped]

        with (
            pyarrow.CompressedInputStream(file, "zstd") as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            yield tar
    else:
        mode = f"r|{COMPRESSIONS[compression]}"
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            yield tar


def _find_archive(file: IO[bytes], path: Path, archive: Archive) -> str:
    """Go to the beginning of an archive in a package.

    Args:
        file: the package, open behind `MAGIC`.
        path: of the package.
        archive: which one.

    Returns:
        The suffix of its compression.

    Raises:
        HearsightError: a damaged package, one without this archive, or an unknown compression.
    """
    prefix = f"{archive}.tar"
    while header := file.read(HEADER):
        if len(header) < HEADER or header[58:] != b"`\n":
            raise HearsightError(f"'{path}' is a damaged Debian package.")
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        if name.startswith(prefix):
            suffix = name.removeprefix(prefix)
            if suffix != ZSTD and suffix not in COMPRESSIONS:
                raise HearsightError(f"'{path}' is packed in an unknown way: '{name}'.")
            return suffix
        size = int(header[48:58])
        file.seek(size + size % 2, os.SEEK_CUR)
    raise HearsightError(f"'{path}' is a damaged Debian package: it has no {prefix}.")
