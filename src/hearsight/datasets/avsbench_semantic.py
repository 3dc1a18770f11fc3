"""AVSBench-semantic (AVSS): frames with a mask for each of 70 classes.

    metadata.csv (uid, label, split, ...), label2idx.json
    v1s|v1m|v2/UID/frames/0.jpg, labels_rgb/0.png, audio.wav

v1s is of 5 s and masks, for training, its first frame alone; v1m is of 5 s and v2 of 10 s, with a
mask for each frame, one a second. A mask's colours are those of `palette`; any other colour is
background, as it is for the released code.

Source: Zhou et al., Audio-visual segmentation with semantics, IJCV 2024, as released.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hearsight.clips.frame_truth import SourceMask
from hearsight.clips.lists import SPLITS
from hearsight.datasets.folders import picture_files, spelt
from hearsight.datasets.masked_frames import (
    MaskedFrame,
    MaskedFrames,
    Sources,
    check_any,
)
from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.files.text import count_and_name, one_line, parse_json, read_table
from hearsight.media.picture import open_picture

PARTS = ("v1s", "v1m", "v2")
TABLE, CLASSES = "metadata.csv", "label2idx.json"
NOT_LISTED = (None, None, None)
COUNT = 71  # classes with the background, which is 0


def is_semantic(folder: Path) -> bool:
    """Whether a folder has the parts of AVSBench-semantic, with clips in them."""
    return any(
        any((each / "frames").is_dir() for each in _folders(folder / part)) for part in PARTS
    )


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = sorted(one.name for one in entries if one.is_dir() and one.name[:1] != ".")
    return [folder / name for name in names]


def palette() -> UInt8[np.ndarray, "classes 3"]:
    """The colours of the classes, by their number.

    Bits 0, 1 and 2 of a number are the highest of red, green and blue, the next three bits the
    next, and so on.
    """
    colours = np.zeros((COUNT, 3), np.uint8)
    for number in range(COUNT):
        for bit in range(8):
            for channel in range(3):
                colours[number, channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return colours


def open_semantic(folder: Path, *, subset: str | None = None) -> MaskedFrames:
    """The frames of a folder.

    subset: train, val or test, as `metadata.csv` tells; None for all.

    Raises:
        HearsightError: a file of its own is damaged, or no frame can be used.
    """
    names = _class_names(folder / CLASSES)
    rows = _table(folder / TABLE)
    frames, mute, broken = list[MaskedFrame](), list[str](), list[str]()
    there: dict[str, list[Path]] = {}
    for place in (each for part in PARTS for each in _folders(folder / part)):
        there.setdefault(place.name, []).append(place)
    for uid, places in there.items():
        label, split, part = rows.get(uid, NOT_LISTED)
        if subset is not None and split != subset:
            continue
        place = next((each for each in places if each.parent.name == part), places[0])
        if not spelt(place / "audio.wav").is_file():
            mute.append(uid)
            continue
        found = _frames_of(uid, place, label, split)
        frames += found
        if not found:
            broken.append(uid)
    missing = [uid for uid in rows if uid not in there]
    judged = [one for one in frames if one.kind != PARTS[0] or one.subset != "train"]
    said = [
        *([] if rows else [f"There is no '{folder / TABLE}', which tells the parts."]),
        *_without_frame(frames),
        *count_and_name(
            [one.id for one in judged if not one.masks],
            "frames has no mask",
            "frames have no mask",
            total=len(judged),
        ),
        *count_and_name(
            [uid for uid, places in there.items() if len(places) > 1],
            f"clips lies in two of {', '.join(PARTS)}; that of its row counts, else the first",
            f"clips lie in two of {', '.join(PARTS)}; that of their row counts, else the first",
            total=len(there),
        ),
        *count_and_name(
            [uid for uid in there if rows and uid not in rows],
            f"clips is not in '{folder / TABLE}', and so of no part",
            f"clips are not in '{folder / TABLE}', and so of no part",
            total=len(there),
        ),
        *count_and_name(
            missing,
            f"clips of '{folder / TABLE}' is not there",
            f"clips of '{folder / TABLE}' are not there",
            total=len(rows),
        ),
        *count_and_name(
            mute, "clips has no audio.wav", "clips have no audio.wav", total=len(there)
        ),
        *count_and_name(broken, "clips has no frames", "clips have no frames", total=len(there)),
    ]
    check_any(frames, folder, said)
    return MaskedFrames(frames, partial(read_classes, names), passed_over=said)


def _without_frame(frames: list[MaskedFrame]) -> list[str]:
    """A sentence on masks whose frame is not there, of clips that have others."""
    places = {one.clip: one.picture.parents[1] for one in frames}
    masks = {
        f"{uid}/{path.stem}": path
        for uid, place in places.items()
        for path in picture_files(place / "labels_rgb")
    }
    known = {one.id for one in frames}
    return count_and_name(
        [id for id in masks if id not in known],
        "masks has no picture",
        "masks have no picture",
        total=len(masks),
    )


def _frames_of(uid: str, place: Path, label: str | None, split: str | None) -> list[MaskedFrame]:
    """The frames of one clip in order; a frame without a mask has none."""
    masks = {path.stem: path for path in picture_files(place / "labels_rgb")}
    frames = {path.stem: path for path in picture_files(place / "frames")}
    numbered = sorted((int(stem), stem) for stem in frames if stem.isdecimal())
    sound = spelt(place / "audio.wav")
    return [
        MaskedFrame(
            id=f"{uid}/{stem}",
            clip=uid,
            number=number,
            picture=frames[stem],
            sounds=(sound,),
            masks=(masks[stem],) if stem in masks else (),
            label=label,
            kind=place.parent.name,
            subset=split,
        )
        for number, stem in numbered
    ]


def _table(path: Path) -> dict[str, tuple[str | None, str | None, str | None]]:
    """Class, split and part of each clip; nothing if there is no table.

    The column `label` tells the part (v1s, v1m or v2), and `a_obj`, where there is one, the class.

    Raises:
        HearsightError: it has no rows, another form, or a clip twice and differently.
    """
    if not path.exists():
        return {}
    found: dict[str, tuple[str | None, str | None, str | None]] = {}
    for told in read_table(path, ("uid", "split")):
        split = told["split"].lower()
        classes = told.get("a_obj", "").replace("_", " ") or None
        row = (classes, SPLITS.get(split, split) or None, told.get("label"))
        if found.setdefault(told["uid"], row) != row:
            raise HearsightError(f"'{path}' has '{one_line(told['uid'])}' twice, and differently.")
    if not found:
        raise HearsightError(f"'{path}' has no rows.")
    return found


def _class_names(path: Path) -> dict[int, str]:
    """The classes by number; `class N` stands for one that is not named."""
    named = {number: f"class {number}" for number in range(COUNT)}
    if not path.is_file():
        return named
    wrong = f"'{path}' does not tell the number of each class."
    try:
        held: Any = parse_json(read_content(path))
    except (OSError, ValueError) as error:
        raise HearsightError(wrong) from error
    if not isinstance(held, dict) or not all(isinstance(each, int) for each in held.values()):
        raise HearsightError(wrong)
    return named | {number: name.replace("_", " ") for name, number in held.items()}


def read_classes(names: dict[int, str], frame: MaskedFrame) -> Sources:
    """A source for each class in a mask of colours; what has another colour is background.

    Raises:
        ValueError: it is damaged, or has no colour of a class though it is not black, as a mask of
            numbers.
    """
    image = open_picture(read_content(frame.masks[0])).convert("RGB")
    weights = np.array([1 << 16, 1 << 8, 1], np.int64)
    coded = np.asarray(image).astype(np.int64) @ weights
    codes = palette().astype(np.int64) @ weights
    sources = tuple(
        SourceMask(name=names[number], mask=coded == codes[number], label=names[number])
        for number in range(1, COUNT)
        if (coded == codes[number]).any()
    )
    if not sources and (coded != codes[0]).any():
        raise ValueError(
            f"'{frame.masks[0].name}' has colours, none of which is that of a class: perhaps it "
            "holds numbers of classes"
        )
    return (image.height, image.width), sources
