"""VPO: photographs of COCO with the masks of objects, paired with sounds of VGGSound.

    data/IMAGE.jpg, mask/IMAGE_ANN.png (single source) or mask/IMAGE.png (several)
    a csv: cateName, img_Id, ann_Ids, cateId, vgg_file, split
    audios/VGG_FILE.wav, here or in a folder above or beside

IMAGE and ANN have 12 digits. A mask holds COCO's numbers of classes, 92 to 94 for male, female and
baby; 255 is no class. An image of several rows has the sounds of all of them at once.

Source: Chen et al., Unraveling instance associations (CAVP), CVPR 2024, as released.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from hearsight.clips.frame_truth import SourceMask
from hearsight.clips.lists import SPLITS
from hearsight.datasets.folders import ending_in, is_file, picture_files, spelt
from hearsight.datasets.masked_frames import (
    MaskedFrame,
    MaskedFrames,
    Sources,
    check_any,
    read_numbers,
)
from hearsight.errors import HearsightError
from hearsight.files.content import check_ends
from hearsight.files.text import count_and_name, read_table

COLUMNS = ("cateName", "img_Id", "ann_Ids", "cateId", "vgg_file", "split")
DIGITS = 12
IGNORED = 255
NUMBER = re.compile(r"[0-9]{1,3}")  # of a class, as a mask can hold it
SOUND_FOLDERS = ("audios", "audio", "audio_wav")


def vpo_table(folder: Path) -> Path | None:
    """The csv of a folder of VPO, in it or above it; None if the folder is none of VPO.

    Raises:
        HearsightError: there are several.
    """
    if not ((folder / "data").is_dir() and (folder / "mask").is_dir()):
        return None
    for place in (folder, folder.absolute().parent):
        found = [path for path in ending_in(place, ".csv") if _is_table(path)]
        if len(found) > 1:
            named = ", ".join(f"'{path.name}'" for path in found)
            raise HearsightError(
                f"'{place}' has several lists of VPO, {named}: name one, as '{folder}@{found[0]}'."
            )
        if found:
            return found[0]
    return None


def _is_table(path: Path) -> bool:
    try:
        check_ends(path)
        with path.open(encoding="utf-8-sig") as file:
            return set(file.readline().strip().split(",")) >= set(COLUMNS)
    except (OSError, UnicodeDecodeError):
        return False


def open_vpo(folder: Path, table: Path, *, subset: str | None = None) -> MaskedFrames:
    """The pictures that a table names.

    subset: train, val or test, as the table tells; None for all.

    Raises:
        HearsightError: the table has another form, or no picture can be used.
    """
    every, images = dict[str, set[str]](), dict[str, list[Mapping[str, str]]]()
    for told in read_table(table, COLUMNS):
        split = SPLITS.get(told["split"].lower(), told["split"].lower())
        name = f"{_padded(told['img_Id'])}_{_padded(told['ann_Ids'])}.png"
        single = spelt(folder / "mask" / name)
        key = single.stem if is_file(single) else _padded(told["img_Id"])
        every.setdefault(key, set()).add(split)
        if subset in (None, split):
            images.setdefault(key, []).append(told)
    sounds = _sound_folder(folder)
    frames, missing = list[MaskedFrame](), list[str]()
    for key, own in images.items():
        frame = _frame(key, own, folder, sounds)
        if frame is None:
            missing.append(key)
        else:
            frames.append(frame)
    masks = [path.stem for path in picture_files(folder / "mask")]
    said = [
        *count_and_name(
            missing,
            f"pictures of '{table}' lacks a file",
            f"pictures of '{table}' lack a file",
            total=len(images),
        ),
        *count_and_name(
            [key for key in masks if key not in every],
            f"masks is not in '{table}'",
            f"masks are not in '{table}'",
            total=len(masks),
        ),
        *count_and_name(
            [key for key, parts in every.items() if len(parts) > 1],
            f"pictures of '{table}' is of several parts",
            f"pictures of '{table}' are of several parts",
            total=len(every),
        ),
    ]
    check_any(frames, folder, said)
    rows = [told for own in images.values() for told in own]
    numbers = {told["cateId"].removesuffix(".0"): told["cateName"] for told in rows}
    known = ((number, name) for number, name in numbers.items() if NUMBER.fullmatch(number))
    classes = {int(number): name for number, name in known}
    return MaskedFrames(frames, partial(read_categories, classes), passed_over=said)


def _padded(number: str) -> str:
    return number.removesuffix(".0").zfill(DIGITS)


def _sound_folder(folder: Path) -> Path:
    """Where the sounds lie: here, above, or in a folder beside, as `VGGSound/audios`."""
    above = folder.absolute().parent
    places = [folder, above, above.parent]
    near = (above, above.parent)
    places += [each for place in near for each in sorted(place.glob("[vV][gG][gG]*"))]
    for place in places:
        for name in SOUND_FOLDERS:
            if (place / name).is_dir():
                return place / name
    raise HearsightError(
        f"'{folder}' has no sounds: a folder 'audios' is wanted in it, above it or in a folder "
        "'VGGSound' there."
    )


def _frame(
    key: str, own: list[Mapping[str, str]], folder: Path, sounds: Path
) -> MaskedFrame | None:
    """One picture with its sounds; None if a file of it is not there."""
    picture = spelt(folder / "data" / f"{_padded(own[0]['img_Id'])}.jpg")
    mask = spelt(folder / "mask" / f"{key}.png")
    heard = tuple(dict.fromkeys(spelt(sounds / f"{told['vgg_file']}.wav") for told in own))
    if not all(map(is_file, (picture, mask, *heard))):
        return None
    labels = dict.fromkeys(told["cateName"] for told in own)
    split = own[0]["split"].lower()
    return MaskedFrame(
        id=key,
        clip=key,
        number=0,
        picture=picture,
        sounds=heard,
        masks=(mask,),
        label=", ".join(labels),
        subset=SPLITS.get(split, split) or None,
        origins=tuple(dict.fromkeys(told["vgg_file"] for told in own)),
    )


def read_categories(classes: Mapping[int, str], frame: MaskedFrame) -> Sources:
    """A source for each number of a class in a mask; 0 is background, and 255 no class.

    It sounds if the frame's label names it.

    Raises:
        ValueError: it is damaged, or marks pixels, but none of a class that sounds.
    """
    numbers = read_numbers(frame.masks[0])
    heard = (frame.label or "").split(", ")
    sources = []
    for number in sorted(set(numbers.ravel().tolist()) - {0, IGNORED}):
        name = classes.get(number, f"class {number}")
        sources.append(
            SourceMask(name=name, mask=numbers == number, label=name, sounds=name in heard)
        )
    if numbers.any() and not any(one.sounds for one in sources):
        held = ", ".join(map(str, sorted(set(numbers.ravel().tolist()))))
        raise ValueError(
            f"'{frame.masks[0].name}' has the numbers {held[:60]}, none of them that of "
            f"{frame.label}: numbers of classes are wanted, not 0 and 255"
        )
    return (numbers.shape[0], numbers.shape[1]), tuple(sources)
