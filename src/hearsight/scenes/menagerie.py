"""The menagerie: a pack of cut-out photographs, recordings and backgrounds of 70 classes.

A pack folder holds `pack.csv` (columns kind, file, class, split, package, licence and others)
and the files it names: cut-outs and backgrounds as WebP, sounds as Opus.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt8

from hearsight.errors import HearsightError, nearest
from hearsight.files.cache import user_cache
from hearsight.files.text import read_text
from hearsight.media.picture import open_picture
from hearsight.media.samples import RATE, to_samples
from hearsight.scenes.pack import Cutout, Pack, Recording

DEMO_CLASSES = (
    "bear",
    "camel",
    "car",
    "deer",
    "duck",
    "frog",
    "guitar",
    "mouse",
    "penguin",
    "person",
    "pig",
    "sheep",
)
"""Classes with both splits in what the builder can obtain, whose held-out cut-out is recognised by
a person who knows the training cut-outs."""

TRAIN_SHARE = 0.6  # of a recording, from its start, where val has no recording of its own
KINDS = ("cutout", "sound", "background")
COLUMNS = ("kind", "file", "class", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRow:
    """A row of pack.csv; label is empty for a background."""

    kind: str
    file: str
    label: str
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitShare:
    """A file in a split; of a sound only the `part` between two fractions of its length."""

    row: PackRow
    part: tuple[float, float] = (0.0, 1.0)


def default_folder() -> Path:
    """The usual folder of the menagerie: `hearsight/menagerie` in the user's cache."""
    return user_cache() / "menagerie"


def read_menagerie(
    folder: Path | None = None, *, split: str, classes: Sequence[str] | int | None = None
) -> Pack:
    """One split of a pack folder.

    pack.csv says which files are held out. Of a class without held-out recordings, the end of each
    recording is held out; of one with several cut-outs and none held out, the last cut-out is.

    Args:
        folder: the pack; None for `default_folder`.
        split: train or val.
        classes: names; or how many, `DEMO_CLASSES` first; None for all that have both splits.

    Raises:
        HearsightError: no pack there, a damaged one, unknown classes, or one without val.
    """
    folder = folder or default_folder()
    rows = read_rows(folder / "pack.csv")
    shares = {name: list(split_files(rows, name)) for name in ("train", "val")}
    known = sorted(_complete(shares["train"]) & _complete(shares["val"]))
    chosen = _choose(classes, known, _complete(shares[split]), folder)
    here = [share for share in shares[split] if share.row.label in chosen]
    return Pack(
        name="menagerie",
        split=split,
        cutouts=tuple(
            Cutout(id=one.row.file, label=one.row.label, pixels=_pixels(folder, one.row, "RGBA"))
            for one in here
            if one.row.kind == "cutout"
        ),
        recordings=tuple(
            Recording(id=one.row.file, label=one.row.label, samples=_samples(folder, one))
            for one in here
            if one.row.kind == "sound"
        ),
        backgrounds=tuple(
            _pixels(folder, row, "RGB")
            for row in rows
            if row.kind == "background" and row.split == split
        ),
    )


def read_rows(table: Path) -> list[PackRow]:
    """The rows of a pack.csv, checked.

    Raises:
        HearsightError: no such file, columns missing, or a row that is wrong.
    """
    if not table.is_file():
        raise HearsightError(
            f"there is no menagerie in '{table.parent}' (no pack.csv): make one with"
            " 'hearsight data menagerie'"
        )
    rows = []
    try:
        reader = csv.DictReader(io.StringIO(read_text(table), newline=""))
        for line in reader:
            kind, name, label, split = (line[column] or "" for column in COLUMNS)
            if kind not in KINDS or split not in ("train", "val"):
                raise HearsightError(
                    f"'{table}', line {reader.line_num}: a row needs a kind (cutout, sound"
                    " or background) and a split (train or val)"
                )
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise HearsightError(
                    f"'{table}', line {reader.line_num}: '{name}' lies outside the pack"
                )
            rows.append(PackRow(kind=kind, file=name, label=label, split=split))
    except (KeyError, csv.Error) as error:
        raise HearsightError(
            f"'{table}' is not the table of a pack: it needs the columns {', '.join(COLUMNS)}"
        ) from error
    return rows


def split_files(rows: Sequence[PackRow], split: str) -> Iterator[SplitShare]:
    """The cut-outs and sounds of a split, by the rules of `read_menagerie`."""
    for label in sorted({row.label for row in rows if row.kind != "background"}):
        mine = [row for row in rows if row.label == label]
        cutouts = [row for row in mine if row.kind == "cutout"]
        if len(cutouts) > 1 and all(row.split == "train" for row in cutouts):
            held, rest = cutouts[-1:], cutouts[:-1]
        else:
            held = [row for row in cutouts if row.split == "val"]
            rest = [row for row in cutouts if row.split == "train"]
        yield from (SplitShare(row=row) for row in (rest if split == "train" else held))
        sounds = [row for row in mine if row.kind == "sound"]
        if any(row.split == "val" for row in sounds):
            yield from (SplitShare(row=row) for row in sounds if row.split == split)
        else:
            part = (0.0, TRAIN_SHARE) if split == "train" else (TRAIN_SHARE, 1.0)
            yield from (SplitShare(row=row, part=part) for row in sounds)


def _complete(shares: Sequence[SplitShare]) -> set[str]:
    """The classes with both a cut-out and a sound."""
    kinds = {(share.row.label, share.row.kind) for share in shares}
    return {label for label, _ in kinds if {(label, "cutout"), (label, "sound")} <= kinds}


def _choose(
    classes: Sequence[str] | int | None, both: list[str], here: set[str], folder: Path
) -> set[str]:
    """The names of the wanted classes, checked."""
    if classes is None:
        return set(both)
    if isinstance(classes, int):
        order = [name for name in DEMO_CLASSES if name in both]
        order += [name for name in both if name not in DEMO_CLASSES]
        if not 1 <= classes <= len(order):
            raise HearsightError(
                f"the menagerie in '{folder}' has {len(order)} classes with both splits,"
                f" not {classes}"
            )
        return set(order[:classes])
    for name in classes:
        if name not in here:
            raise HearsightError(
                f"the menagerie in '{folder}' has no class '{name}' here.{nearest(name, here)}"
            )
    return set(classes)


def _pixels(folder: Path, row: PackRow, mode: str) -> UInt8[np.ndarray, "height width colours"]:
    try:
        with open_picture((folder / row.file).read_bytes()) as image:
            pixels = np.array(image.convert(mode))
    except (OSError, ValueError) as error:
        raise HearsightError(f"cannot read the picture '{folder / row.file}'") from error
    if row.kind == "cutout" and not (pixels[..., 3] >= 128).any():
        raise HearsightError(f"the cut-out '{folder / row.file}' is transparent all over")
    return pixels


def _samples(folder: Path, share: SplitShare) -> Int16[np.ndarray, " samples"]:
    """The wanted part of a recording, after trimming silence at both ends."""
    import soundfile  # type: ignore[import-untyped]

    path = folder / share.row.file
    try:
        # as float: 16-bit samples of Opus and Vorbis above full scale would change their sign
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise HearsightError(f"cannot read the sound '{path}'") from error
    if rate != RATE:
        raise HearsightError(f"the sound '{path}' has {rate} samples per second, not {RATE}")
    sound = trim_silence(to_samples(np.nan_to_num(samples[:, 0])))
    first, last = (round(edge * len(sound)) for edge in share.part)
    if last - first < 16:
        raise HearsightError(f"the sound '{path}' is too short, or silent")
    return np.ascontiguousarray(sound[first:last])


def trim_silence(sound: Int16[np.ndarray, " samples"]) -> Int16[np.ndarray, " loud"]:
    """A sound without the samples at either end that lie more than 40 dB below its peak."""
    level = np.abs(sound.astype(np.int32))
    loud = np.flatnonzero(level > level.max(initial=0) / 100)
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound[:0]
