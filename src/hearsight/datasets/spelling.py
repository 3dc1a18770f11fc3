"""Folders and lists of a layout whose names are written in other letters than they are read by.

File systems of Linux tell `Frame` from `frame`: what is called otherwise would not be read, and a
data set without its annotations looks like one that nobody annotated.
"""

from collections.abc import Iterable
from pathlib import Path

from hearsight.datasets import (
    avatar,
    avsbench_semantic,
    flickr,
    picture_trees,
    ref_avs,
    vggsound,
    vggsound_videos,
)
from hearsight.datasets.masked_sets import AVATAR, REF_AVS, SEMANTIC, TREES, VPO
from hearsight.errors import HearsightError

NAMES: dict[str, tuple[str, ...]] = {
    "vggsound": (*vggsound.NAMES, *flickr.FRAMES, "audio"),
    "vggsound videos": (vggsound_videos.CSV, vggsound_videos.BOXES),
    "flickr": (*flickr.FRAMES, *flickr.SOUNDS, *flickr.ANNOTATIONS),
    TREES: (
        *picture_trees.PICTURES,
        *picture_trees.SOUNDS,
        *picture_trees.MASKS,
        *picture_trees.SETS,
    ),
    SEMANTIC: (*avsbench_semantic.PARTS, avsbench_semantic.TABLE, avsbench_semantic.CLASSES),
    VPO: ("data", "mask"),
    REF_AVS: (ref_avs.TABLE, ref_avs.MEDIA, ref_avs.MASKS),
    AVATAR: (*avatar.PICTURES, "video", "audio"),
}


def respelt(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """What a folder holds of some names, but in other letters: the name it would be read by.

    Not where what has that name itself is there too.
    """
    known = {name.casefold(): name for name in names}
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    there = {name.casefold() for name in held if name in names}
    folded = {name: name.casefold() for name in sorted(held) if name not in names}
    return {name: known[low] for name, low in folded.items() if low in known and low not in there}


def check_spelling(folder: Path, kind: str) -> None:
    """Refuse a data set of which a folder or list would not be read because of its name.

    kind: as of `layouts.kind_of`; of stores and videos nothing is checked.

    Raises:
        HearsightError: it has one.
    """
    found = respelt(folder, NAMES.get(kind, ()))
    if found:
        name, wanted = next(iter(found.items()))
        raise HearsightError(
            f"'{folder / name}' is read only if it is called '{wanted}': rename it."
        )


def spelling_hint(folder: Path) -> str:
    """What a folder without any layout may lack: a sentence, with a blank before it; or nothing."""
    found = respelt(folder, [name for names in NAMES.values() for name in names])
    if not found:
        return ""
    told = ", ".join(f"'{name}' as '{wanted}'" for name, wanted in found.items())
    return f" Names are read as they are written: {told}."
