"""Folders and lists of a layout that would not be read: in other letters, or broken links.

File systems of Linux tell `Frame` from `frame`, and a link leads nowhere while its disk is not
there: a data set without its annotations looks like one that nobody annotated.
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
from hearsight.files.walk import broken_links, check_link

Names = tuple[str, ...]  # of one thing, of which one is enough


def _each(*names: str) -> tuple[Names, ...]:
    """Names of several things."""
    return tuple((name,) for name in names)


NAMES: dict[str, tuple[Names, ...]] = {
    "vggsound": (
        *_each(vggsound.TRAINING_FRAMES, vggsound.TRAINING_SOUNDS, "audio"),
        flickr.FRAMES,
        ("anno", *vggsound.BOXES),
    ),
    "vggsound videos": _each(vggsound_videos.CSV, vggsound_videos.BOXES),
    "flickr": (flickr.FRAMES, tuple(flickr.SOUNDS), flickr.ANNOTATIONS),
    TREES: (
        picture_trees.PICTURES,
        picture_trees.SOUNDS,
        picture_trees.MASKS,
        *_each(*picture_trees.SETS),
    ),
    SEMANTIC: _each(*avsbench_semantic.PARTS, avsbench_semantic.TABLE, avsbench_semantic.CLASSES),
    VPO: _each("data", "mask"),
    REF_AVS: _each(ref_avs.TABLE, ref_avs.MEDIA, ref_avs.MASKS),
    AVATAR: _each(*avatar.PICTURES, "video", "audio"),
}


def respelt(folder: Path, things: Iterable[Names]) -> dict[str, str]:
    """What a folder holds of some things, but in other letters: the name it would be read by.

    Not where the thing is there under one of its names: `Frames` beside `frame` is another one.
    """
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    wanted = [names for names in things if held.isdisjoint(names)]
    known = {name.casefold(): name for names in wanted for name in names}
    return {
        name: known[name.casefold()]
        for name in sorted(held)
        if name.casefold() in known and known[name.casefold()] != name
    }


def check_spelling(folder: Path, kind: str) -> None:
    """Refuse a data set of which a folder or list would not be read because of its name or a link.

    kind: as of `layouts.kind_of`; of stores and videos nothing is checked.

    Raises:
        HearsightError: it has one.
    """
    things = NAMES.get(kind, ())
    for names in things:
        if not any((folder / name).exists() for name in names):
            for name in names:
                check_link(folder / name)
    found = respelt(folder, things)
    if found:
        name, wanted = next(iter(found.items()))
        raise HearsightError(
            f"'{folder / name}' is read only if it is called '{wanted}': rename it."
        )


def check_links(folder: Path) -> None:
    """Refuse a folder in which something that a layout is known by is a link that leads nowhere.

    Raises:
        HearsightError: it has one.
    """
    for name in dict.fromkeys(
        name for things in NAMES.values() for names in things for name in names
    ):
        check_link(folder / name)


def spelling_hint(folder: Path) -> str:
    """What a folder without any layout may lack: a sentence, with a blank before it; or nothing."""
    found = respelt(folder, [names for things in NAMES.values() for names in things])
    if not found:
        return ""
    told = ", ".join(f"'{name}' as '{wanted}'" for name, wanted in found.items())
    return f" Names are read as they are written: {told}."


def link_hint(folder: Path) -> str:
    """What is said of a link that leads nowhere in a folder without any layout; or nothing."""
    for path in broken_links(folder) if folder.is_dir() else ():
        return f" '{path}' is a link to '{path.readlink()}', which is not there."
    return ""
