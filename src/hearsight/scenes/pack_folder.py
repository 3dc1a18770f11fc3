"""A pack as a folder: `pack.csv` and the files it names.

`pack.csv` has the columns kind, file, class, split, package, licence and others; cut-outs and
backgrounds are WebP, sounds Opus. `menagerie` and `bazaar` are packs of this form.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt8

from hearsight.errors import HearsightError
from hearsight.files.cache import user_cache
from hearsight.files.text import read_text
from hearsight.media.picture import open_picture
from hearsight.media.samples import RATE, to_samples
from hearsight.scenes.pack import Cutout, Pack, Recording

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


def default_folder(name: str) -> Path:
    """The usual folder of a pack: `hearsight/NAME` in the user's cache."""
    return user_cache() / name


def read_rows(table: Path, name: str, splits: Sequence[str] = ("train", "val")) -> list[PackRow]:
    """The rows of a pack.csv, checked.

    Args:
        table: the file.
        name: of the pack, for messages.
        splits: those that its rows may have.

    Raises:
        HearsightError: no such file, columns missing, or a row that is wrong.
    """
    if not table.is_file():
        raise HearsightError(
            f"There is no {name} in '{table.parent}' (no pack.csv): make one with"
            f" 'hearsight data {name}'."
        )
    rows = []
    try:
        reader = csv.DictReader(io.StringIO(read_text(table), newline=""))
        for line in reader:
            kind, file, label, split = (line[column] or "" for column in COLUMNS)
            if kind not in KINDS or split not in splits:
                raise HearsightError(
                    f"'{table}', line {reader.line_num}: a row needs a kind (cutout, sound"
                    f" or background) and a split ({', '.join(splits[:-1])} or {splits[-1]})."
                )
            if Path(file).is_absolute() or ".." in Path(file).parts:
                raise HearsightError(
                    f"'{table}', line {reader.line_num}: '{file}' lies outside the pack."
                )
            rows.append(PackRow(kind=kind, file=file, label=label, split=split))
    except (KeyError, csv.Error) as error:
        raise HearsightError(
            f"'{table}' is not the table of a pack: it needs the columns {', '.join(COLUMNS)}."
        ) from error
    return rows


def find_complete(shares: Sequence[SplitShare]) -> set[str]:
    """The classes with both a cut-out and a sound."""
    kinds = {(share.row.label, share.row.kind) for share in shares}
    return {label for label, _ in kinds if {(label, "cutout"), (label, "sound")} <= kinds}


def load_files(
    folder: Path,
    shares: Sequence[SplitShare],
    backgrounds: Sequence[PackRow],
    *,
    name: str,
    split: str,
    mutes: Sequence[PackRow] = (),
    groups: tuple[frozenset[str], ...] = (),
    ambiguous: tuple[frozenset[str], ...] = (),
    frequent: tuple[tuple[str, float], ...] = (),
) -> Pack:
    """A pack from the files of one split; groups, ambiguous and frequent are those of `Pack`.

    Raises:
        HearsightError: a file is missing, damaged, empty, or not as a pack needs it.
    """
    return Pack(
        name=name,
        split=split,
        cutouts=tuple(
            Cutout(id=one.row.file, label=one.row.label, pixels=_pixels(folder, one.row, "RGBA"))
            for one in shares
            if one.row.kind == "cutout"
        ),
        recordings=tuple(
            Recording(id=one.row.file, label=one.row.label, samples=_samples(folder, one))
            for one in shares
            if one.row.kind == "sound"
        ),
        backgrounds=tuple(_pixels(folder, row, "RGB") for row in backgrounds),
        mutes=tuple(
            Cutout(id=row.file, label=row.label, pixels=_pixels(folder, row, "RGBA"))
            for row in mutes
        ),
        groups=groups,
        ambiguous=ambiguous,
        frequent=frequent,
    )


def _pixels(folder: Path, row: PackRow, mode: str) -> UInt8[np.ndarray, "height width colours"]:
    try:
        with open_picture((folder / row.file).read_bytes()) as image:
            pixels = np.array(image.convert(mode))
    except (OSError, ValueError) as error:
        raise HearsightError(f"Cannot read the picture '{folder / row.file}'.") from error
    if row.kind == "cutout" and not (pixels[..., 3] >= 128).any():
        raise HearsightError(f"The cut-out '{folder / row.file}' is transparent all over.")
    return pixels


def _samples(folder: Path, share: SplitShare) -> Int16[np.ndarray, " samples"]:
    """The wanted part of a recording, after trimming silence at both ends."""
    import soundfile  # type: ignore[import-untyped]

    path = folder / share.row.file
    try:
        # as float: 16-bit samples of Opus and Vorbis above full scale would change their sign
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise HearsightError(f"Cannot read the sound '{path}'.") from error
    if rate != RATE:
        raise HearsightError(f"The sound '{path}' has {rate} samples per second, not {RATE}.")
    sound = trim_silence(to_samples(np.nan_to_num(samples[:, 0])))
    first, last = (round(edge * len(sound)) for edge in share.part)
    if last - first < 16:
        raise HearsightError(f"The sound '{path}' is too short, or silent.")
    return np.ascontiguousarray(sound[first:last])


def trim_silence(sound: Int16[np.ndarray, " samples"]) -> Int16[np.ndarray, " loud"]:
    """A sound without the samples at either end that lie more than 40 dB below its peak."""
    level = np.abs(sound.astype(np.int32))
    loud = np.flatnonzero(level > level.max(initial=0) / 100)
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound[:0]
