"""Data sets of pictures, sounds and masks in a folder each: AVSBench S4 and MS3, IS3, VPO.

The three folders hold files of one name. They may be flat, as IS3's and those of ACL's copy of
AVSBench are, or have folders for split, class and video, as AVSBench itself has:

    visual_frames/SPLIT/CLASS/VIDEO/VIDEO_1.png   S4; MS3: visual_frames/VIDEO/VIDEO.mp4_1.png
    gt_masks/SPLIT/CLASS/VIDEO/VIDEO_1.png        S4, for training the first alone; MS3 no CLASS
    audio_wav/SPLIT/CLASS/VIDEO.wav               MS3: audio_wav/SPLIT/VIDEO.wav

A picture has the sound of its own name, else that of its name without the number at the end; in a
folder of a video's name it is a frame of that video.

Lists of boxes (`box_lists`) and AVSBench's own tables may lie beside the three.

Source: AVSBench, Zhou et al., ECCV 2022; IS3, Senocak et al., ICCV 2023; the flat AVSBench, ACL,
Park et al., WACV 2024. The layouts are those that the released code of these reads, and IS3's also
the one that its page describes.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hearsight.clips.frame_truth import SourceMask
from hearsight.clips.lists import SPLITS
from hearsight.datasets.box_lists import (
    NUMBERED,
    ListedFrame,
    box_lists,
    plain_name,
    read_box_list,
)
from hearsight.datasets.folders import ending_in, named_folder, read_entries
from hearsight.datasets.masked_frames import (
    MaskedFrame,
    MaskedFrames,
    Sources,
    check_any,
    read_mask,
)
from hearsight.errors import HearsightError
from hearsight.files.text import count_and_name, one_line
from hearsight.files.walk import walk

PICTURES = ("visual_frames", "images")
SOUNDS = ("audio_wav", "audio_waw", "audio")  # the second as IS3's page writes it
MASKS = ("gt_masks", "gt_segmentation", "gray_masks")
# folders in which AVSBench's three lie; s4_data also inside another of its name
SETS = ("s4", "ms3", "Single-source", "Multi-sources", "s4_data", "ms3_data")
KINDS = {
    "picture": (".jpg", ".jpeg", ".png", ".webp"),
    "sound": (".wav", ".flac", ".mp3"),
    "mask": (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
}


class Found(NamedTuple):
    """A file of a tree: its path, and the folders between the tree and it."""

    path: Path
    folders: tuple[str, ...]


def find_trees(folder: Path) -> Path | None:
    """The folder that holds pictures and sounds in a folder each: it, or one of `SETS` in it.

    None if there is none.

    Raises:
        HearsightError: it holds several data sets.
    """
    here = folder.resolve()
    above = {here, *here.parents}  # where a link in a circle leads
    sets = [name for name in SETS if (folder / name).is_dir()]
    inside = {
        name: find_trees(folder / name) for name in sets if (folder / name).resolve() not in above
    }
    held = {name: place for name, place in inside.items() if place is not None}
    own = _subfolder(folder, PICTURES) and _subfolder(folder, SOUNDS)
    if own and not held:
        masked = _subfolder(folder, MASKS) is not None or bool(box_lists(folder))
        # these names tell it too: the list of vssl_eval's IS3 lies elsewhere
        return folder if masked or _subfolder(folder, SOUNDS[:2]) is not None else None
    if len(held) > 1 or own:
        first = folder / next(iter(held))
        raise HearsightError(f"'{folder}' holds several data sets: name one of them, as '{first}'.")
    return next(iter(held.values()), None)


def _subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _tree(folder: Path, kind: str) -> dict[str, Found]:
    """The files of a kind below a folder, by their name without suffix.

    A frame `VIDEO.mp4_1` is called `VIDEO_1`.

    Raises:
        HearsightError: two files have one name, in two layouts that lie in one folder; a folder
            cannot be read.
    """
    found: dict[str, Found] = {}
    for below, names in walk(folder):
        for name in names:
            path = folder / below / name
            if name.startswith(".") or path.suffix.lower() not in KINDS[kind]:
                continue
            key = plain_name(path.stem)
            before = found.setdefault(key, Found(path, PurePosixPath(below).parts))
            if before.path != path:
                raise HearsightError(
                    f"'{folder}' holds the {kind} '{key}' twice, as '{before.path}' and as "
                    f"'{path}': two layouts or copies lie in one folder; keep one of them there."
                )
    return found


def open_trees(
    folder: Path, *, listed: Path | None = None, subset: str | None = None
) -> MaskedFrames:
    """The frames of a folder.

    Args:
        folder: as `find_trees` takes it.
        listed: a list of boxes; by default one in `folder`, if there is one.
        subset: train, val or test, where folders tell them apart; None for all.

    Raises:
        HearsightError: the folder or the list has another form, or no frame can be used.
    """
    place = find_trees(folder)
    if place is None:
        raise HearsightError(f"'{folder}' has no pictures and sounds with masks or boxes.")
    frames, said = _frames(place)
    table = _table_of(place)
    if table is not None:
        frames, more = _described(frames, table)
        said += more
    listed = listed or next(iter(box_lists(place)), None)
    if listed is not None:
        rows = _rows(listed)
        frames, more = _listed(frames, rows, listed, place)
        said += more
    said += _unmasked(frames, place)
    divided = any(one.subset is not None for one in frames)
    if divided:
        said += count_and_name(
            [one.id for one in frames if one.subset is None],
            "frames is of no part of the data set",
            "frames are of no part of the data set",
            total=len(frames),
        )
    wanted = (subset,) if divided else (None, subset)
    kept = [one for one in frames if subset is None or one.subset in wanted]
    if frames and not kept:
        known = ", ".join(sorted({str(one.subset) for one in frames}))
        raise HearsightError(f"'{folder}' has no frames of '{subset}', only of {known}.")
    check_any(kept, folder, said)
    return MaskedFrames(kept, read_one_mask, passed_over=said)


def _unmasked(frames: list[MaskedFrame], place: Path) -> list[str]:
    """A sentence on frames without a mask, but of train, where only the first frame has one.

    Raises:
        HearsightError: a file lies where the folder of masks is wanted.
    """
    if named_folder(place, MASKS) is None:
        return []
    judged = [one for one in frames if one.subset != "train"]
    return count_and_name(
        [one.id for one in judged if not one.masks],
        "frames has no mask",
        "frames have no mask",
        total=len(judged),
    )


def read_one_mask(frame: MaskedFrame) -> Sources:
    """The mask of a frame as its only source; no source where it is black."""
    mask = read_mask(frame.masks[0])
    name = frame.label or frame.id
    sources = (SourceMask(name=name, mask=mask, label=frame.label),) if mask.any() else ()
    return (mask.shape[0], mask.shape[1]), sources


def _frames(place: Path) -> tuple[list[MaskedFrame], list[str]]:
    """Every picture that has a sound, and sentences on those that have none, and masks alone."""
    pictures, sounds, masks = (
        {} if (tree := _subfolder(place, names)) is None else _tree(tree, kind)
        for names, kind in ((PICTURES, "picture"), (SOUNDS, "sound"), (MASKS, "mask"))
    )
    frames, mute = [], []
    for key, picture in pictures.items():
        named, number = NUMBERED.fullmatch(key), 0
        heard, clip = sounds.get(key), key
        if named is not None and (heard is None or _is_folder_of(picture, named[1])):
            of_video = sounds.get(named[1])
            if of_video is not None:
                heard, clip, number = of_video, named[1], int(named[2]) - 1
        if heard is None:
            mute.append(key)
            continue
        mask = masks.get(key)
        split, label = _told(heard.folders, *(() if mask is None else (mask.folders,)))
        label = label or (_suffix(key) if clip == key else None)
        frames.append(
            MaskedFrame(
                id=key,
                clip=clip,
                number=number,
                picture=picture.path,
                sounds=(heard.path,),
                masks=() if mask is None else (mask.path,),
                label=label,
                subset=split,
            )
        )
    alone = [key for key in masks if key not in pictures]
    frames.sort(key=lambda one: (one.clip, one.number))
    return frames, [
        *count_and_name(
            mute, "pictures has no sound", "pictures have no sound", total=len(pictures)
        ),
        *count_and_name(alone, "masks has no picture", "masks have no picture", total=len(masks)),
    ]


def _is_folder_of(picture: Found, video: str) -> bool:
    """Whether a picture lies in the folder of a video, of which it is a frame then."""
    return bool(picture.folders) and plain_name(picture.folders[-1]) == video


def _told(*paths: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The split and the class that the folders of a file tell: SPLIT, or SPLIT/CLASS/VIDEO."""
    for folders in paths:
        at = next((at for at, name in enumerate(folders) if name.lower() in SPLITS), None)
        if at is not None:
            split = SPLITS[folders[at].lower()]
            rest = folders[at + 1 :]
            # of a sound SPLIT/CLASS, of a picture SPLIT/CLASS/VIDEO; MS3 has no classes
            label = rest[0] if rest and (len(rest) > 1 or folders is paths[0]) else None
            return split, None if label is None else label.replace("_", " ")
    return None, None


def _rows(listed: Path) -> list[ListedFrame]:
    """The frames of a list of boxes, or the frames or clips of any other list, with labels."""
    if listed.suffix.lower() == ".json":
        return read_box_list(listed)
    return [ListedFrame(plain_name(one.ids[0]), one.label, None) for one in read_entries(listed)]


def _listed(
    frames: list[MaskedFrame], rows: list[ListedFrame], listed: Path, place: Path
) -> tuple[list[MaskedFrame], list[str]]:
    """The frames of a list, in its order, with its boxes; and which of them are not there."""
    known: dict[str, list[MaskedFrame]] = {one.id: [one] for one in frames}
    for one in frames:
        if one.clip != one.id:
            known.setdefault(one.clip, []).append(one)
    found, missing = list[MaskedFrame](), list[str]()
    for row in rows:
        own = known.get(row.name, [])
        found += [
            replace(
                one,
                boxes=one.boxes if row.boxes is None else row.boxes,
                label=row.label or one.label,
            )
            for one in own
        ]
        if not own:
            missing.append(row.name)
    boxed = any(row.boxes for row in rows)
    parts, chosen = {one.subset for one in found}, {one.id for one in found}
    among = [one.id for one in frames if one.subset in parts] if boxed else []
    _check_agreed([(row.name, (row.label, row.boxes)) for row in rows], listed)
    return found, [
        *count_and_name(
            [id for id in among if id not in chosen],
            f"frames is not in '{listed}', and is left out",
            f"frames are not in '{listed}', and are left out",
            total=len(among),
        ),
        *count_and_name(
            [row.name for row in rows if boxed and row.boxes is None],
            f"frames of '{listed}' has no box",
            f"frames of '{listed}' have no box",
            total=len(rows),
        ),
        *count_and_name(
            missing,
            f"frames of '{listed}' is not in '{place}'",
            f"frames of '{listed}' are not in '{place}'",
            total=len(rows),
        ),
        *count_and_name(
            [row.name for row in rows if row.boxes == ()],
            f"frames of '{listed}' has an empty box, and shows no source",
            f"frames of '{listed}' have an empty box, and show no source",
            total=len(rows),
        ),
    ]


def _check_agreed(rows: Iterable[tuple[str, object]], path: Path) -> None:
    """Refuse a list that tells two things of one name.

    Raises:
        HearsightError: it does.
    """
    first: dict[str, object] = {}
    for name, told in rows:
        if first.setdefault(name, told) != told:
            raise HearsightError(f"'{path}' has '{one_line(name)}' twice, and differently.")


def _table_of(place: Path) -> Path | None:
    """AVSBench's own csv of videos, classes and splits, in the folder or up to two above it."""
    above = place.absolute()
    for folder in (place, above.parent, above.parent.parent):
        found = next(iter(ending_in(folder, "_meta_data.csv")), None)
        if found is not None:
            return found
    return None


def _described(frames: list[MaskedFrame], table: Path) -> tuple[list[MaskedFrame], list[str]]:
    """The frames in the order of a table, with class and split; and clips that are not there.

    Scores over batches depend on the order, which is the table's in the released code.
    """
    entries = read_entries(table)
    _check_agreed([(one.ids[0], (one.label, one.split)) for one in entries], table)
    rows = {one.ids[0]: one for one in entries}
    found = [
        replace(
            one,
            label=one.label or (rows[one.clip].label if one.clip in rows else None),
            subset=one.subset or (rows[one.clip].split if one.clip in rows else None),
        )
        for one in frames
    ]
    places = {id: place for place, id in enumerate(rows)}
    found.sort(key=lambda one: places.get(one.clip, len(rows)))
    there = {one.clip for one in frames}
    return found, [
        *count_and_name(
            [id for id in rows if id not in there],
            f"videos of '{table}' is not there",
            f"videos of '{table}' are not there",
            total=len(rows),
        ),
        *count_and_name(
            sorted(there - rows.keys()),
            f"videos is not in '{table}'",
            f"videos are not in '{table}'",
            total=len(there),
        ),
    ]


def _suffix(name: str) -> str | None:
    """The class that ends a name of IS3: `accordion` of `accordion_female_10438_accordion`."""
    stem, _, last = name.rpartition("_")
    return last if stem and not last.isdigit() else None
