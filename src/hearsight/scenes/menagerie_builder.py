"""Builds the menagerie pack from two Debian packages, by the catalogue `menagerie.csv`."""

import csv
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int16
from PIL import Image

from hearsight.clips.clip import encode_picture
from hearsight.clips.truth import bounds
from hearsight.errors import HearsightError
from hearsight.files.tables import markdown_table
from hearsight.media.picture import open_picture
from hearsight.media.samples import RATE, round_samples
from hearsight.progress import Progress
from hearsight.scenes.composing import SOLID
from hearsight.scenes.debian_packages import Deb, download_debs, find_debs, read_members
from hearsight.scenes.menagerie import trim_silence
from hearsight.scenes.sound_bank import FULL_SCALE, scale_to_loudness

CUTOUT_SIDE = 256  # pixels: the longer side of a cut-out at most
BACKGROUND_SIDE = 320  # pixels: the shorter side of a background at most
LONGEST = 8.0  # seconds of a sound
LOUDNESS = 0.08  # root mean square of a sound, of full scale, where `PEAK` allows
FOLDERS = {"cutout": "cutouts", "sound": "sounds", "background": "backgrounds"}
SUFFIXES = {"cutout": "webp", "sound": "opus", "background": "webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A row of the catalogue; label is empty for a background, file is the name in the pack."""

    label: str
    split: str
    kind: str
    package: str
    path: str
    licence: str
    file: str


def read_catalogue() -> list[CatalogueEntry]:
    """The rows of `menagerie.csv`, with the names of the files they become."""
    table = resources.files("hearsight.scenes") / "menagerie.csv"
    counts: Counter[str] = Counter()
    entries = []
    for line in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        kind = line["kind"]
        stem = f"{line['class'] or kind}_{line['split']}"
        name = f"{FOLDERS[kind]}/{stem}{counts[kind + stem]}.{SUFFIXES[kind]}"
        counts[kind + stem] += 1
        entry = {name: line[name] for name in ("split", "kind", "package", "path", "licence")}
        entries.append(CatalogueEntry(label=line["class"], file=name, **entry))
    return entries


def build_menagerie(target: Path, debs: Path | None, progress: Progress) -> Path:
    """Build the pack folder `target`, whole or not at all.

    Args:
        target: the pack folder; an older pack or an empty folder there is replaced.
        debs: a folder with the .deb files; None downloads them with `apt-get download`.
        progress: called with the stage, the number done and the total.

    Returns:
        `target`.

    Raises:
        HearsightError: the packages cannot be obtained or lack most of the files, or `target` is
            not a pack or cannot be written.
    """
    if target.exists() and not ((target / "pack.csv").is_file() or _is_empty(target)):
        raise HearsightError(f"'{target}' is there already and is no pack")
    entries = read_catalogue()
    names = sorted({entry.package for entry in entries})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".menagerie-", dir=target.parent) as name:
            work = Path(name)
            progress("obtaining packages", 0, len(names))
            found = find_debs(names, debs) if debs else download_debs(names, work)
            progress("obtaining packages", len(names), len(names))
            pack = work / "pack"
            _cut_pack(pack, entries, found, progress)
            _put_in_place(pack, target, work / "old")
    except OSError as error:
        raise HearsightError(f"cannot write the pack '{target}': {error.strerror}") from error
    return target


def _cut_pack(
    pack: Path, entries: Sequence[CatalogueEntry], debs: Sequence[Deb], progress: Progress
) -> None:
    """Write every file of the pack, its table and its attribution."""
    for folder in FOLDERS.values():
        (pack / folder).mkdir(parents=True)
    written: list[CatalogueEntry] = []
    notices: dict[str, str] = {}
    for deb in debs:
        notice = f"usr/share/doc/{deb.name}/copyright"
        mine: dict[str, list[CatalogueEntry]] = {notice: []}
        for entry in entries:
            if entry.package == deb.name:
                mine.setdefault(entry.path, []).append(entry)
        for path, content in read_members(deb.path, mine):
            if path == notice:
                notices[deb.name] = content.decode("utf-8", "replace")
            for entry in mine[path]:
                (pack / entry.file).write_bytes(_cut(entry, content))
                written.append(entry)
                progress("cutting the pack", len(written), len(entries))
    if len(written) < len(entries) // 2:
        raise HearsightError(
            f"the packages hold {len(written)} of the {len(entries)} files of the menagerie:"
            " they are of another version"
        )
    order = {entry: number for number, entry in enumerate(entries)}
    written.sort(key=order.__getitem__)
    versions = {deb.name: deb.version for deb in debs}
    _write_table(pack / "pack.csv", written, versions)
    (pack / "ATTRIBUTION.md").write_text(attribute(written, versions, notices), encoding="utf-8")


def _cut(entry: CatalogueEntry, content: bytes) -> bytes:
    """The content of a file of the pack, from a file of a package."""
    try:
        if entry.kind == "cutout":
            return cut_out(content)
        return cut_background(content) if entry.kind == "background" else cut_sound(content)
    except (OSError, ValueError, RuntimeError) as error:
        raise HearsightError(f"'{entry.path}' in '{entry.package}' is damaged: {error}") from error


def cut_out(file: bytes) -> bytes:
    """A WebP picture with alpha, cropped to its object, from a picture file of any format."""
    image = open_picture(file).convert("RGBA")
    box = bounds(np.asarray(image.getchannel("A")) >= SOLID)
    if box == (0, 0, 0, 0):
        raise ValueError("it is transparent all over")
    image = image.crop(box)
    image.thumbnail((CUTOUT_SIDE, CUTOUT_SIDE), Image.Resampling.LANCZOS)
    return encode_picture(np.asarray(image), "WEBP")


def cut_background(file: bytes) -> bytes:
    """A WebP picture from a picture file of any format, its shorter side `BACKGROUND_SIDE`."""
    image = open_picture(file).convert("RGB")
    scale = min(1, BACKGROUND_SIDE / min(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    return encode_picture(np.asarray(image.resize(size, Image.Resampling.LANCZOS)), "WEBP")


def cut_sound(file: bytes) -> bytes:
    """An Opus sound of one channel at `RATE` from a sound file: trimmed, of loudness `LOUDNESS`."""
    import soundfile  # type: ignore[import-untyped]

    samples, rate = soundfile.read(BytesIO(file), dtype="float64", always_2d=True)
    result = BytesIO()
    soundfile.write(
        result, normalise_loudness(samples.mean(1), rate), RATE, format="OGG", subtype="OPUS"
    )
    return result.getvalue()


def normalise_loudness(
    sound: Float64[np.ndarray, " samples"], rate: int
) -> Int16[np.ndarray, " loud"]:
    """A sound resampled to `RATE`, trimmed, cut to `LONGEST`, and scaled to `LOUDNESS`."""
    import soxr  # type: ignore[import-untyped]

    level = max(float(np.abs(sound).max(initial=0)), 1e-9)
    sound = soxr.resample(sound / level * 0.9, rate, RATE)
    trimmed = trim_silence(round_samples(sound * FULL_SCALE))[: round(LONGEST * RATE)]
    if not len(trimmed):
        raise ValueError("it is silent")
    return scale_to_loudness(trimmed / FULL_SCALE, LOUDNESS)


def attribute(
    entries: Iterable[CatalogueEntry], versions: Mapping[str, str], notices: Mapping[str, str]
) -> str:
    """Origin and licence of every file of the pack, as Markdown."""
    lines = [
        "# Where the menagerie comes from",
        "",
        "Cut from Debian packages: pictures were cropped, resized and encoded anew; sounds were",
        "trimmed, mixed to one channel, resampled, made even in loudness and encoded anew.",
    ]
    for name, version in sorted(versions.items()):
        mine = [(one.file, one.path, one.licence) for one in entries if one.package == name]
        lines += ["", f"## {name} {version}", ""]
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
            origin = (f"{entry.package} {versions[entry.package]}", entry.path, entry.licence)
            table.writerow([entry.kind, entry.file, entry.label, entry.split, *origin])


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
