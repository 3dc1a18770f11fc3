"""Small folders in the layouts of data sets with exact masks, with the oddities of their files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

SIDE = 32
INSIDE = (slice(8, 24), slice(4, 20))  # rows and columns of the source in every mask


def square() -> np.ndarray:
    """Where the source is: 16 x 16 of 32 x 32 pixels."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[INSIDE] = True
    return mask


def save_picture(path: Path, side: int = SIDE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.linspace(0, 255, side * side * 3).reshape(side, side, 3)
    Image.fromarray(grey.astype(np.uint8)).save(path)


def save_sound(path: Path, level: float = 0.1, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((800, channels), level, np.float32), 16_000, subtype="PCM_16")


def save_mask(path: Path, mask: np.ndarray, kind: str = "grey") -> None:
    """A mask as `kind` says: grey 0 and 255, ones, bits, a palette, colours, floats, or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "palette":  # the source has the number 0, and black the number 1
        image = Image.fromarray((~mask).astype(np.uint8))
        image.putpalette([38, 0, 0, 0, 0, 0])
    elif kind == "colour":
        image = Image.fromarray(mask[..., None] * np.array([0, 0, 38], np.uint8))
    elif kind == "float":
        image = Image.fromarray(mask.astype(np.float32))
    elif kind == "bits":
        image = Image.fromarray(mask)
    else:
        image = Image.fromarray(mask.astype(np.uint8) * (1 if kind == "ones" else 255))
    image.save(path)


def save_table(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


IS3 = ("dog_harp_2822_dog", "dog_harp_2822_harpsichord", "fox_train_fox", "fox_train_subway")


def is3(folder: Path, *, released: bool = True) -> Path:
    """As the page of IS3 describes it, or as its code reads it; a pair's stem may lack a number."""
    pictures, sounds, masks = (
        ("images", "audio_waw", "gt_segmentation")
        if released
        else ("visual_frames", "audio_wav", "gt_masks")
    )
    for name in IS3:
        save_picture(folder / pictures / f"{name}.jpg")
        save_sound(folder / sounds / f"{name}.wav")
        save_mask(folder / masks / f"{name}.jpg", square(), "jpeg")
    items = box_items(f"/mnt/somewhere/{pictures}", [f"{name}.jpg" for name in IS3])
    name = "IS3_annotation.json" if released else "synthetic3240_bbox.json"
    (folder / name).write_text(json.dumps(items))
    return folder


def box_items(where: str, names: Sequence[str], box: object = (28.0, 56, 140, 168)) -> list[dict]:
    """Items of a list of boxes, with the paths of its authors."""
    return [
        {"image": f"{where}/{name}", "audio": f"{where}/{Path(name).stem}.wav", "gt_box": box}
        for name in names
    ]


S4 = {"train": ("dog_bark", "AAAAAAAAAAA"), "test": ("lion_roar", "BBBBBBBBBBB")}


def s4(folder: Path, kind: str = "grey") -> Path:
    """AVSBench S4: five frames, all masked but in train, where the first is."""
    for split, (label, video) in S4.items():
        below = Path(split, label)
        save_sound(folder / "s4_data/audio_wav" / below / f"{video}.wav", channels=2)
        for number in range(1, 6):
            name = below / video / f"{video}_{number}.png"
            save_picture(folder / "s4_data/visual_frames" / name)
            if split == "test" or number == 1:
                mask = square() if number < 5 else square() & False
                save_mask(folder / "s4_data/gt_masks" / name, mask, kind)
    rows = [(video, label, split) for split, (label, video) in S4.items()]
    save_table(folder / "s4_meta_data.csv", [("name", "category", "split"), *rows])
    return folder


def ms3(folder: Path) -> Path:
    """AVSBench MS3: frames are called `VIDEO.mp4_1.png` and lie apart from splits."""
    video = "CCCCCCCCCCC_1"
    save_sound(folder / "ms3_data/audio_wav/test" / f"{video}.wav")
    for number in range(1, 6):
        save_picture(folder / "ms3_data/visual_frames" / video / f"{video}.mp4_{number}.png")
        mask = folder / "ms3_data/gt_masks/test" / video / f"{video}_{number}.png"
        save_mask(mask, square(), "ones")
    rows = [("name", "category", "split"), (video, "guitar, violin", "test")]
    save_table(folder / "ms3_meta_data.csv", rows)
    return folder


def flat(folder: Path) -> Path:
    """S4 in the flat copy of ACL."""
    for number in range(1, 6):
        save_picture(folder / "visual_frames" / f"BBBBBBBBBBB_{number}.png")
        save_mask(folder / "gt_masks" / f"BBBBBBBBBBB_{number}.png", square(), "bits")
    save_sound(folder / "audio_wav" / "BBBBBBBBBBB.wav")
    return folder


def semantic(folder: Path) -> Path:
    """AVSBench-semantic: a dog, number 2, green (0, 128, 0); and a colour of no class."""
    for part, uid, frames in (("v1s", "DDDDDDDDDDD_0_5000", 5), ("v2", "EEEEEEEEEEE_0_10000", 10)):
        place = folder / part / uid
        save_sound(place / "audio.wav")
        for number in range(frames):
            save_picture(place / "frames" / f"{number}.jpg")
            if part == "v1s" and number:
                continue
            colours = np.zeros((SIDE, SIDE, 3), np.uint8)
            colours[square()] = (0, 128, 0)
            colours[0, :4] = (7, 7, 7)
            (place / "labels_rgb").mkdir(exist_ok=True)
            Image.fromarray(colours).save(place / "labels_rgb" / f"{number}.png")
    rows = [
        ("vid", "uid", "s_min", "s_sec", "a_obj", "split", "label"),
        ("DDDDDDDDDDD", "DDDDDDDDDDD_0_5000", 0, 0, "dog", "train", "v1s"),
        ("EEEEEEEEEEE", "EEEEEEEEEEE_0_10000", 0, 0, "dog", "test", "v2"),
        ("FFFFFFFFFFF", "FFFFFFFFFFF_0_10000", 0, 0, "cat", "test", "v2"),
    ]
    save_table(folder / "metadata.csv", rows)
    (folder / "label2idx.json").write_text(json.dumps({"background": 0, "cat": 1, "dog": 2}))
    return folder


def vpo(folder: Path, *, several: bool = False) -> Path:
    """VPO-SS, or VPO-MS with `several`: masks hold COCO's numbers, a dog's 18, 255 for no class."""
    name = "VPO-MS" if several else "VPO-SS"
    numbers = np.zeros((SIDE, SIDE), np.uint8)
    numbers[square()] = 18
    numbers[0, :8] = 255
    numbers[30:, 30:] = 94 if several else 0
    stem = "000000000042" if several else "000000000042_000000000007"
    save_picture(folder / name / "data/000000000042.jpg")
    (folder / name / "mask").mkdir(parents=True)
    Image.fromarray(numbers).save(folder / name / "mask" / f"{stem}.png")
    head = ("cateName", "img_Id", "ann_Ids", "cateId", "vgg_file", "split")
    rows = [("dog", 42, 7, 18, "GGGGGGGGGGG_000030", "val")]
    save_sound(folder / "VGGSound/audios/GGGGGGGGGGG_000030.wav", 0.1)
    if several:
        rows.append(("baby", 42, 9, 94, "HHHHHHHHHHH_000010", "val"))
        save_sound(folder / "VGGSound/audios/HHHHHHHHHHH_000010.wav", 0.2)
    save_table(folder / name / "vpo.csv", [head, *rows])
    return folder / name


def ref_avs(folder: Path) -> Path:
    """Ref-AVS: an expression, one that refers to nothing, a repeated one, and one still to do."""
    video, null = "IIIIIIIIIII_1000_11000", "null_c-IIIIIIIIIII_1000_11000"
    for name in (video, null):
        save_sound(folder / "media" / name / "audio.wav")
        for number in range(10):
            save_picture(folder / "media" / name / "frames" / f"{number}.jpg")
    for number in range(10):
        save_mask(folder / f"gt_mask/{video}/fid_3/{number:05d}.png", square(), "colour")
    rows = [
        ("vid", "uid", "split", "fid", "exp"),
        (video, f"{video}_hair-dryer_1", "test_u", 3, "The object, which hums."),
        (video, f"{video}_hair-dryer_1", "test_u", 0, "The other one."),
        (video, f"{null}_null_1", "test_n", 0, "The sounding object"),
        (video, f"{video}_dog_1", "TODO", 1, "?"),
        (video, f"{video}_cat_1", "test_s", 7, "A cat"),
    ]
    save_table(folder / "metadata.csv", rows)
    return folder


def avatar(folder: Path) -> Path:
    """AVATAR: two outlines in one frame, none in the next, and one that is damaged."""
    video = "l_7B1wnTNtA_00020"
    corners = [4.9, 8.2, 19.7, 8, 19, 23, 4, 23]
    dog = {"task": "Mixed-sound", "audio_visual_category": "dog"}
    told = [
        [dog | {"segmentation": [corners]}, dog | {"segmentation": [[0, 0, 1, 0, 0, 1]]}],
        [{"task": "Off-Screen", "audio_visual_category": "man"}],
    ]
    save_sound(folder / f"audio/{video}.wav")
    place = folder / "metadata" / video
    for number, annotations in zip((9, 254), told, strict=True):
        save_picture(place / f"{number:05d}.jpg")
        held = {"original_width": SIDE, "original_height": SIDE, "annotations": annotations}
        (place / f"{number:05d}.json").write_text(json.dumps(held))
    save_picture(place / "00300.jpg")
    (place / "00300.json").write_text("{")
    return folder
