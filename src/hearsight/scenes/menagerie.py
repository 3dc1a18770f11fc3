"""The menagerie: a pack of cut-out photographs, recordings and backgrounds of 70 classes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from hearsight.errors import HearsightError, nearest
from hearsight.scenes.pack import Pack
from hearsight.scenes.pack_folder import (
    PackRow,
    SplitShare,
    default_folder,
    find_complete,
    load_files,
    read_rows,
)

NAME = "menagerie"

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


def read_menagerie(
    folder: Path | None = None, *, split: str, classes: Sequence[str] | int | None = None
) -> Pack:
    """One split of a pack folder.

    pack.csv says which files are held out. Of a class without held-out recordings, the end of each
    recording is held out; of one with several cut-outs and none held out, the last cut-out is.

    Args:
        folder: the pack; None for `pack_folder.default_folder`.
        split: train or val.
        classes: names; or how many, `DEMO_CLASSES` first; None for all that have both splits.

    Raises:
        HearsightError: no pack there, a damaged one, unknown classes, or one without val.
    """
    folder = folder or default_folder(NAME)
    rows = read_rows(folder / "pack.csv", NAME)
    shares = {name: list(split_files(rows, name)) for name in ("train", "val")}
    known = sorted(find_complete(shares["train"]) & find_complete(shares["val"]))
    chosen = _choose(classes, known, find_complete(shares[split]), folder)
    here = [share for share in shares[split] if share.row.label in chosen]
    backgrounds = [row for row in rows if row.kind == "background" and row.split == split]
    return load_files(folder, here, backgrounds, name=NAME, split=split)


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
                f"The menagerie in '{folder}' has {len(order)} classes with both splits,"
                f" not {classes}."
            )
        return set(order[:classes])
    for name in classes:
        if name not in here:
            raise HearsightError(
                f"The menagerie in '{folder}' has no class '{name}' here.{nearest(name, here)}"
            )
    return set(classes)
