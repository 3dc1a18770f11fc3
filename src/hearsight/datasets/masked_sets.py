"""Which data set with masks a folder holds, and its frames."""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from hearsight.clips.lists import find_list
from hearsight.datasets.avatar import is_avatar, open_avatar
from hearsight.datasets.avsbench_semantic import is_semantic, open_semantic
from hearsight.datasets.masked_frames import MaskedFrames
from hearsight.datasets.picture_trees import find_trees, open_trees
from hearsight.datasets.ref_avs import SPLITS, is_ref_avs, open_ref_avs
from hearsight.datasets.vpo import open_vpo, vpo_table
from hearsight.errors import HearsightError
from hearsight.files.walk import check_link

MaskedKind = Literal[
    "pictures, sounds and masks (AVSBench, IS3)", "AVSBench-semantic", "VPO", "Ref-AVS", "AVATAR"
]
TREES: MaskedKind = "pictures, sounds and masks (AVSBench, IS3)"
SEMANTIC: MaskedKind = "AVSBench-semantic"
VPO: MaskedKind = "VPO"
REF_AVS: MaskedKind = "Ref-AVS"
AVATAR: MaskedKind = "AVATAR"
SUBSETS = ("train", "val", "test")
DIVIDED = {TREES: SUBSETS, SEMANTIC: SUBSETS, VPO: SUBSETS, REF_AVS: (*SUBSETS, *SPLITS[2:])}
"""The parts of each data set that may be named, as in `FOLDER@val`; AVATAR is all test."""


def masked_kinds(folder: Path) -> list[MaskedKind]:
    """The data sets with masks whose layouts a folder has: one, none, or wrongly several.

    Raises:
        HearsightError: it holds several data sets of one layout, or several lists of VPO.
    """
    if not folder.is_dir():
        return []
    found = {
        TREES: find_trees(folder) is not None,
        SEMANTIC: is_semantic(folder),
        VPO: (folder / "data").is_dir() and vpo_table(folder) is not None,
        REF_AVS: is_ref_avs(folder),
        AVATAR: is_avatar(folder),
    }
    return [kind for kind, there in found.items() if there]


def open_masked(folder: Path, kind: MaskedKind, named: str | None, split: str) -> MaskedFrames:
    """The frames of a data set.

    Args:
        folder: it.
        kind: one of `masked_kinds`.
        named: a part of it, or a list; None for the part that `split` means: train, or for val the
            test part, as of other data sets. All where it has no such part, but never test for
            train, or train for test.
        split: train or val.

    Raises:
        HearsightError: there is no such part or list, or as the reader of its layout.
    """
    parts = DIVIDED.get(kind, ())
    if named in parts:
        return _open(folder, kind, None, named)
    if named is not None:
        return _open(folder, kind, _list_of(folder, kind, named), None)
    wanted = {"train": "train", "val": "test"}[split]
    if not parts:
        return _open(folder, kind, None, None)
    try:
        return _open(folder, kind, None, wanted)
    except HearsightError:
        found = _open(folder, kind, None, None)
        foreign = {part for part in found.subsets if part is not None and part != wanted}
        if foreign and (split == "train" or "train" in foreign):
            raise  # nobody learns from the test part, or is scored on the train part, unasked
        found.passed_over.insert(0, f"It has no part '{wanted}', so all of it is taken.")
        return found


def _list_of(folder: Path, kind: MaskedKind, named: str) -> Path:
    """The list that was named; of data sets whose lists are not read there is none."""
    if kind in (TREES, VPO):
        check_link(folder / named)
        with suppress(HearsightError):
            return find_list(folder, named)
    known = ", ".join(DIVIDED.get(kind, ())) or "no parts"
    raise HearsightError(
        f"There is no list and no part '{named}': '{folder}', {kind}, has {known}."
    )


def _open(folder: Path, kind: MaskedKind, listed: Path | None, part: str | None) -> MaskedFrames:
    if kind == TREES:
        return open_trees(folder, listed=listed, subset=part)
    if kind == VPO:
        table = listed or vpo_table(folder)
        assert table is not None
        return open_vpo(folder, table, subset=part)
    if kind == SEMANTIC:
        return open_semantic(folder, subset=part)
    return open_ref_avs(folder, subset=part) if kind == REF_AVS else open_avatar(folder)


def has_parts(folder: Path, kind: MaskedKind) -> bool:
    """Whether a data set tells which part a frame is of, though only one may be there."""
    return kind in DIVIDED and _open(folder, kind, None, None).subsets != {None}
