"""Packages of the Python index: downloaded without installing, and read member by member.

A package is named as `NAME==VERSION`. Nothing of it is unpacked to disk or run.
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hearsight.errors import HearsightError

LARGEST = 2**26  # bytes of one member that is read


def find_python_package(name: str, folder: Path) -> Path:
    """The file of a package (`NAME==VERSION`) in a folder: a wheel, else a source archive.

    Raises:
        HearsightError: no such folder, or the package is not in it.
    """
    if not folder.is_dir():
        raise HearsightError(f"there is no folder '{folder}' with packages")
    project, _, version = name.partition("==")
    for suffix in (".whl", ".tar.gz"):
        for path in sorted(folder.glob(f"*{suffix}")):
            parts = path.name.removesuffix(suffix).split("-")
            found = parts[:2] if suffix == ".whl" else ["-".join(parts[:-1]), parts[-1]]
            if [_normalise(found[0]), *found[1:]] == [_normalise(project), version]:
                return path
    raise HearsightError(f"there is no package {name} (wheel or .tar.gz) in the folder '{folder}'")


def download_python_packages(names: Sequence[str], folder: Path, advice: str) -> None:
    """Download packages (`NAME==VERSION`) into a folder by `pip download`, without dependencies.

    Raises:
        HearsightError: pip is missing, or cannot download them; the message ends with `advice`.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        why = complaints[-1][7:] if complaints else f"exit status {done.returncode}"
        raise HearsightError(
            f"pip cannot download {' and '.join(names)} ({why.rstrip('.')}): {advice}"
        )


def read_package_members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a wheel or source archive as (name, content), in its order.

    Raises:
        HearsightError: a damaged package, or a member beyond `LARGEST`.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                for info in wheel.infolist():
                    if info.filename in wanted:
                        _check_size(path, info.filename, info.file_size)
                        yield info.filename, wheel.read(info)
            return
        with tarfile.open(path, mode="r|gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name in wanted else None
                if content is not None:
                    _check_size(path, member.name, member.size)
                    yield member.name, content.read()
    except FileNotFoundError as error:
        raise HearsightError(f"there is no file '{path}'") from error
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise HearsightError(f"'{path}' is not a whole Python package: {error}") from error
    except Exception as error:  # zlib raises errors of its own
        if isinstance(error, HearsightError):
            raise
        raise HearsightError(f"'{path}' is a damaged Python package: {error}") from error


def _check_size(path: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise HearsightError(f"'{name}' in '{path}' is too large: {size} bytes")


def _normalise(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
