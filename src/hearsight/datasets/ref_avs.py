"""Ref-AVS: ten frames of a clip with the mask of the object that an expression refers to.

    metadata.csv: vid, uid, split, fid, exp
    media/VID/frames/0.jpg, media/VID/audio.wav
    gt_mask/VID/fid_FID/00000.png

An expression (uid) is a clip: it is VID and ends in `_OBJECT_NUMBER`. The folder is the uid without
these two, or `vid`, which differ for null expressions. Those refer to nothing, and their masks, if
there are any, are black. The masks are of what is not black.

Source: Wang et al., Ref-AVS: refer and segment objects in audio-visual scenes, ECCV 2024, as
released.
"""

from pathlib import Path

from hearsight.datasets.folders import is_file, is_folder, picture_files, spelt
from hearsight.datasets.masked_frames import (
    MaskedFrame,
    MaskedFrames,
    Sources,
    check_any,
)
from hearsight.datasets.picture_trees import read_one_mask
from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.files.text import count_and_name, read_table
from hearsight.media.picture import open_picture

TABLE, MEDIA, MASKS = "metadata.csv", "media", "gt_mask"
SPLITS = ("train", "val", "test_s", "test_u", "test_n")
NULL = "test_n"
COLUMNS = ("vid", "uid", "split", "fid", "exp")


def is_ref_avs(folder: Path) -> bool:
    """Whether a folder has the two folders of Ref-AVS and its table."""
    return (folder / TABLE).is_file() and all((folder / n).is_dir() for n in (MEDIA, MASKS))


def open_ref_avs(folder: Path, *, subset: str | None = None) -> MaskedFrames:
    """The frames of every expression.

    subset: one of `SPLITS`; `test` for the three of test; None for all. Rows of another split are
    left out.

    Raises:
        HearsightError: the table has another form, or no frame can be used.
    """
    rows = read_table(folder / TABLE, COLUMNS)
    wanted = [one for one in SPLITS if subset in (None, one) or one.startswith(f"{subset}_")]
    if not wanted:
        raise HearsightError(f"'{folder}' has no subset '{subset}': it has {', '.join(SPLITS)}.")
    kept = [told for told in rows if told["split"] in wanted]
    other = [told["uid"] for told in rows if told["split"] not in SPLITS]
    frames, missing, again = list[MaskedFrame](), list[str](), list[str]()
    places: dict[str, list[Path]] = {}
    seen = set[str]()
    for told in kept:
        if told["uid"] in seen:
            again.append(told["uid"])
            continue
        seen.add(told["uid"])
        found = _frames_of(told, folder, places)
        frames += found
        if not found:
            missing.append(told["uid"])
    said = [
        *_without_row(folder, rows),
        *_without_frame(folder, frames),
        *count_and_name(
            missing,
            "expressions has no media or no masks",
            "expressions have no media or no masks",
            total=len(kept),
        ),
        *count_and_name(
            again,
            "expressions stands there twice, and the first counts",
            "expressions stand there twice, and the first counts",
            total=len(kept),
        ),
        *count_and_name(
            other,
            f"rows is of none of the splits {', '.join(SPLITS)}",
            f"rows are of none of the splits {', '.join(SPLITS)}",
            total=len(rows),
        ),
    ]
    check_any(frames, folder, said)
    return MaskedFrames(frames, read_referred, passed_over=said)


def _folder_names(told: dict[str, str]) -> list[str]:
    """What the folders of an expression may be called."""
    return list(dict.fromkeys((told["uid"].rsplit("_", 2)[0], told["vid"])))


def _without_row(folder: Path, rows: list[dict[str, str]]) -> list[str]:
    """A sentence on the folders of media that no row names."""
    known = {name for told in rows for name in _folder_names(told)}
    places = [path for path in (folder / MEDIA).iterdir() if not path.name.startswith(".")]
    there = sorted(path.name for path in places if path.is_dir())
    return count_and_name(
        [name for name in there if name not in known],
        f"folders of '{folder / MEDIA}' is in no row",
        f"folders of '{folder / MEDIA}' are in no row",
        total=len(there),
    )


def _without_frame(folder: Path, frames: list[MaskedFrame]) -> list[str]:
    """A sentence on masks whose frame is not there, of expressions that have others."""
    known = {one.id for one in frames}
    places = {one.clip: one.masks[0].parent for one in frames}
    masks = [
        f"{uid}/{int(path.stem)}"
        for uid, place in places.items()
        if folder / MASKS in place.parents
        for path in picture_files(place)
        if path.stem.isdecimal()
    ]
    return count_and_name(
        [id for id in masks if id not in known],
        "masks has no picture",
        "masks have no picture",
        total=len(masks),
    )


def _frames_of(
    told: dict[str, str], folder: Path, places: dict[str, list[Path]]
) -> list[MaskedFrame]:
    """The frames of an expression, if all that it needs is there."""
    uid, null = told["uid"], told["split"] == NULL
    names = _folder_names(told)
    media = next(filter(is_folder, (folder / MEDIA / name for name in names)), None)
    sound = None if media is None else spelt(media / "audio.wav")
    if media is None or sound is None or not is_file(sound):
        return []
    masked = [folder / MASKS / name / f"fid_{told['fid']}" for name in names]
    masks = next(filter(is_folder, masked), None)
    if masks is None and not null:
        return []
    if media.name not in places:
        numbered = [path for path in picture_files(media / "frames") if path.stem.isdecimal()]
        places[media.name] = sorted(numbered, key=lambda path: int(path.stem))
    held = {} if masks is None else {path.stem: path for path in picture_files(masks)}
    return [
        MaskedFrame(
            id=f"{uid}/{path.stem}",
            clip=uid,
            number=int(path.stem),
            picture=path,
            sounds=(sound,),
            masks=(path if masks is None else _mask_of(path, masks, held),),
            label=uid.rsplit("_", 2)[1] if uid.count("_") > 1 and not null else None,
            null=null,
            kind=told["exp"],
            subset=told["split"],
            origins=(told["vid"],),
        )
        for path in places[media.name]
    ]


def _mask_of(picture: Path, masks: Path, held: dict[str, Path]) -> Path:
    """The mask of a frame, by its number; where it would be if it is not there."""
    stem = f"{int(picture.stem):05d}"
    return held.get(stem, masks / f"{stem}.png")


def read_referred(frame: MaskedFrame) -> Sources:
    """The referred object; nothing where a null expression has no mask of its own."""
    if frame.masks[0] == frame.picture:
        width, height = open_picture(read_content(frame.picture)).size
        return (height, width), ()
    return read_one_mask(frame)
