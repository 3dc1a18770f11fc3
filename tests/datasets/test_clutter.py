"""Every layout among what systems leave in folders, behind links, and with suffixes in capitals.

What a data set holds is then what it was, to the last byte, and nothing is said of such files.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import made_masked
import pytest
from made_damage import READERS
from made_layouts import flickr_layout, scoring_layout

from hearsight.clips.clip import Clips
from hearsight.datasets.open import open_clips
from hearsight.datasets.spelling import respelt
from hearsight.errors import HearsightError

MEDIA = (".jpg", ".png", ".wav", ".xml", ".mp4")


def files_in(folder: Path) -> Iterator[Path]:
    yield from [path for path in sorted(folder.rglob("*")) if path.is_file()]


def folders_in(folder: Path) -> Iterator[Path]:
    yield from [folder, *[path for path in sorted(folder.rglob("*")) if path.is_dir()]]


def of_macos(folder: Path) -> None:
    for path in files_in(folder):
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    for place in folders_in(folder):
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


def of_windows(folder: Path) -> None:
    for place in folders_in(folder):
        (place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
        (place / "desktop.ini").write_text("[.ShellClassInfo]")
        (place / "README.txt").write_text("of whoever packed it")


def of_notebooks(folder: Path) -> None:
    for place in list(folders_in(folder)):
        (place / ".ipynb_checkpoints").mkdir()


def behind_links(folder: Path) -> None:
    far = folder.parent / "far"
    far.mkdir()
    for number, path in enumerate(files_in(folder)):
        kept = far / f"{number}{path.suffix}"
        shutil.move(path, kept)
        path.symlink_to(kept.absolute())


def in_linked_folders(folder: Path) -> None:
    """Every folder in it lies elsewhere, and what lies in these again."""
    far = folder.parent / "other disk"
    far.mkdir()
    for number, place in enumerate(sorted(folders_in(folder), reverse=True)):  # inner ones first
        if place != folder:
            shutil.move(place, far / str(number))
            place.symlink_to((far / str(number)).absolute())


def in_capitals(folder: Path) -> None:
    for path in files_in(folder):
        if path.suffix in MEDIA:
            path.rename(path.with_suffix(path.suffix.upper()))


def held(clips: Clips) -> tuple[dict[str, tuple[object, ...]], list[str]]:
    found = {}
    for index, id in enumerate(clips.ids):
        clip = clips[index]
        mask = None if clip.mask is None else clip.mask.tobytes()
        kept = clip.frame.tobytes(), clip.sound.tobytes()
        found[id] = (*kept, clip.label, clip.boxes, mask)
    return found, list(getattr(clips, "passed_over", []))


@pytest.mark.parametrize(
    "mess",
    [of_macos, of_windows, of_notebooks, behind_links, in_linked_folders, in_capitals],
)
@pytest.mark.parametrize("name", READERS)
def test_what_lies_about_changes_nothing(
    name: str, mess: Callable[[Path], None], tmp_path: Path
) -> None:
    reader = READERS[name]
    opened = reader.write(tmp_path / "set")
    spec, split = f"{opened}{reader.part}", reader.split or "train"
    before = held(open_clips(spec, split=split))
    mess(opened)
    assert held(open_clips(spec, split=split)) == before


def test_a_damaged_annotation_does_not_make_another_data_set_of_flickr(tmp_path: Path) -> None:
    folder = flickr_layout(tmp_path / "Flickr")
    before = held(open_clips(str(folder)))
    (folder / "anno" / "0.xml").write_bytes(b"")  # the first
    after = held(open_clips(str(folder)))
    assert after[0] == before[0]
    assert "0" in " ".join(after[1])


@pytest.mark.parametrize("name", READERS)
def test_a_part_whose_disk_is_not_there_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    """Each folder and file at the top of a data set in turn is a link that leads nowhere."""
    reader = READERS[name]
    opened = reader.write(tmp_path / "set")
    spec, split = f"{opened}{reader.part}", reader.split or "train"
    before = held(open_clips(spec, split=split))
    for part in sorted(opened.iterdir()):
        kept = part.rename(tmp_path / "kept")
        part.symlink_to("/mnt/gone")
        said, after = "", None
        try:
            after = held(open_clips(spec, split=split))
        except HearsightError as error:
            said = str(error)
        told = "No such file" in said or "is a link to '/mnt/gone'" in said
        assert after == before or (part.name in said and told), (part.name, said)
        part.unlink()
        kept.rename(part)


def test_a_name_in_other_letters_counts_only_where_the_thing_is_not_there(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path / "VGG")
    (folder / "Frames").mkdir()  # beside `frame`, which is read
    assert len(open_clips(str(folder), split="val")) == 3
    (folder / "ANNO").mkdir()
    with pytest.raises(HearsightError, match=r"ANNO' is read only if it is called 'anno'"):
        open_clips(str(folder), split="val")
    (folder / "anno").mkdir()
    open_clips(str(folder), split="val")
    assert respelt(folder, [("frame", "frames"), ("Audio",)]) == {"audio": "Audio"}


def test_is3_in_the_layout_of_vssl_eval(tmp_path: Path) -> None:
    """`images` and `audio_wav` without masks, and classes of files in an object beside the list."""
    folder = made_masked.is3(tmp_path / "IS3")
    shutil.rmtree(folder / "gt_segmentation")
    (folder / "audio_waw").rename(folder / "audio_wav")
    classes = {"dog": ["dog_harp_2822_dog"], "train": ["fox_train_subway", "fox_train_fox"]}
    (folder / "class_files_dict.json").write_text(json.dumps(classes))
    clips = open_clips(str(folder), split="val")
    assert clips.ids == sorted(made_masked.IS3)
    assert [clip.label for clip in map(clips.__getitem__, range(4))] == [
        "dog",
        "harpsichord",
        "fox",
        "subway",
    ]
    assert clips[0].boxes == ((0.125, 0.25, 0.625, 0.75),)
    # the boxes are those of synthetic3240_bbox.json, in a folder `metadata` of the program
    metadata = tmp_path / "metadata"
    metadata.mkdir()
    listed = (folder / "IS3_annotation.json").rename(metadata / "synthetic3240_bbox.json")
    assert open_clips(f"{folder}@{listed}", split="val").ids == clips.ids
    # and its VGG-SS has `annotations.json` and the same object
    vgg = scoring_layout(tmp_path / "VGG-SS", "frames")
    (vgg / "class_files_dict.json").write_text(json.dumps({"dog": ["zpWuikVorYg_000032"]}))
    held_boxes = [{"file": "zpWuikVorYg_000032", "class": "dog", "bbox": [[0.1, 0.2, 0.5, 0.9]]}]
    (vgg / "annotations.json").write_text(json.dumps(held_boxes))
    assert open_clips(str(vgg), split="val").ids == ["zpWuikVorYg_000032"]
