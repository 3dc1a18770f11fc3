"""Every layout that is read, with every kind of damage: refused in one sentence, or named.

A data set has two clips at least, and the second is damaged. Each frame that is then not what it
was is named in a sentence that was not said before, and the others are what they were.
"""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_commands import Hearsight, refused
from made_damage import READERS, Reader
from PIL import Image

from hearsight.clips.clip import UnreadableClip
from hearsight.clips.frame_truth import MaskedClips
from hearsight.datasets.open import open_clips
from hearsight.datasets.statistics import count, statistics_text
from hearsight.errors import HearsightError

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_black(path: Path) -> None:
    with Image.open(path) as image:
        mode, size = image.mode, image.size
    Image.new(mode, size).save(path)


def make_wide(path: Path) -> None:
    with Image.open(path) as image:
        wide = image.resize((64, 16), Image.Resampling.NEAREST)
    wide.save(path)


def make_infinite(path: Path) -> None:
    values = np.zeros((32, 32), np.float32)
    values[3] = np.nan
    Image.fromarray(values).save(path, "TIFF")


def make_soundless(path: Path) -> None:
    soundfile.write(path, np.zeros((0, 1), np.float32), 16_000, subtype="PCM_16")


FILES: dict[str, Damage] = {
    "gone": Path.unlink,
    "cut": cut,
    "empty": lambda path: path.write_bytes(b"") and None,
    "a folder": make_folder,
}
OF_KIND: dict[str, dict[str, Damage]] = {
    "pictures": FILES,
    "sounds": FILES | {"without a sample": make_soundless},
    "masks": FILES
    | {"black": make_black, "of another shape": make_wide, "no numbers": make_infinite},
    "annotations": FILES,
}


def read_rows(path: Path) -> list:
    return path.read_text().splitlines() if path.suffix == ".csv" else json.loads(path.read_text())


def write_rows(path: Path, rows: list) -> None:
    path.write_text("\n".join(rows) + "\n" if path.suffix == ".csv" else json.dumps(rows))


def is_of_second(reader: Reader, row: object) -> bool:
    text = json.dumps(row)
    return reader.is_second(text) or ",43," in text


def without_second(reader: Reader, path: Path) -> None:
    write_rows(path, [row for row in read_rows(path) if not is_of_second(reader, row)])


def second_twice(reader: Reader, path: Path) -> None:
    rows = read_rows(path)
    write_rows(path, rows + [row for row in rows if is_of_second(reader, row)])


def with_box(box: object) -> Callable[[Reader, Path], None]:
    def change(reader: Reader, path: Path) -> None:
        rows = read_rows(path)
        for row in rows:
            if is_of_second(reader, row):
                row.update({"bbox": [box]} if "bbox" in row else {"gt_box": box})
        write_rows(path, rows)

    return change


LISTS: dict[str, Callable[[Reader, Path], object]] = {
    "without the clip": without_second,
    "with the clip twice": second_twice,
    "empty": lambda _, path: path.write_bytes(b""),
    "of no rows": lambda _, path: write_rows(
        path, read_rows(path)[:1] if path.suffix == ".csv" and path.stem != "vggsound" else []
    ),
    "no text": lambda _, path: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0"),
    "a folder": lambda _, path: make_folder(path),
}
BOXES = {
    "larger": [100, 100, 300, 300],
    "negative": [-50, -50, 10, 10],
    "turned": [100, 100, 20, 20],
    "of three": [1, 2, 3],
    "a path": "somewhere.png",
}
UNCHANGED: dict[str, Callable[[bytes], bytes]] = {
    "CR": lambda held: held.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "BOM": lambda held: b"\xef\xbb\xbf" + held,
}


def spec_of(reader: Reader, opened: Path) -> str:
    return f"{opened}{reader.part}"


def read_all(reader: Reader, spec: str) -> tuple[dict[str, object], set[str]]:
    """All that is read of every frame, or why not; and the sentences on the source."""
    clips = open_clips(spec, split=reader.split or "train")
    found: dict[str, object] = {}
    for index, id in enumerate(clips.ids):
        try:
            clip = clips[index]
            truth = clips.frame_truth(index) if isinstance(clips, MaskedClips) else None
            inside = None if truth is None else truth.mask().tobytes()
            mask = None if clip.mask is None else clip.mask.tobytes()
            told = (clip.label, clip.boxes, mask, inside, truth and (truth.null, truth.kind))
            found[id] = (clip.frame.tobytes(), clip.sound.tobytes(), *told)
        except UnreadableClip:
            found[id] = "unreadable"
    text = statistics_text(count(spec, reader.split, decode=True), most=None, width=None)
    return found, set(text.splitlines())


class Known:
    """What is read of the undamaged data sets, once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[dict[str, object], set[str]]] = {}

    def of(self, name: str) -> tuple[dict[str, object], set[str]]:
        if name not in self._read:
            opened = READERS[name].write(self._folder / name / "set")
            self._read[name] = read_all(READERS[name], spec_of(READERS[name], opened))
        return self._read[name]

    def copy(self, name: str, folder: Path) -> Path:
        """Where a copy of the data set is opened."""
        self.of(name)
        shutil.copytree(self._folder / name / "set", folder / "set")
        inside = "VPO-MS" if name == "vpo several" else "VPO-SS" if name == "vpo" else ""
        return folder / "set" / inside


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return Known(tmp_path_factory.mktemp("known"))


def check_named(name: str, opened: Path, known: Known) -> str:
    """Refused in one sentence, or every frame that is not as before is named; what was said."""
    reader, (before, said_before) = READERS[name], known.of(name)
    try:
        after, said = read_all(reader, spec_of(reader, opened))
    except HearsightError as error:
        sentence = str(error)
    else:
        return check_unchanged(name, before, after, "\n".join(said - said_before))
    assert "\n" not in sentence
    return sentence


def check_unchanged(
    name: str, before: dict[str, object], after: dict[str, object], new: str
) -> str:
    """Every frame that is not as before is one of the second clip, and is named in `new`."""
    reader = READERS[name]
    changed = [id for id, held in before.items() if after.get(id) != held]
    assert set(after) <= set(before)
    for id in changed:
        clip = id.partition("/")[0] if "/" in id else id.rpartition("_")[0]
        place = clip.rsplit("_", 2)[0] if name == "ref-avs" else clip  # of several expressions
        whole = all(one in changed for one in before if one.startswith(clip))
        assert id in new or (whole and (clip in new or place in new)), (id, new)
        assert reader.is_second(id), (id, new)
    return new


WALK = [
    (name, kind, what)
    for name, reader in READERS.items()
    for kind, damages in OF_KIND.items()
    if getattr(reader, kind)
    for what in damages
]


@pytest.mark.parametrize(("name", "kind", "what"), WALK)
def test_damaged_files_are_named(
    tmp_path: Path, known: Known, name: str, kind: str, what: str
) -> None:
    opened = known.copy(name, tmp_path)
    files = sorted(opened.glob(getattr(READERS[name], kind)))
    for path in files[: max(1, len(files) // 2)]:
        OF_KIND[kind][what](path)
    assert files
    assert check_named(name, opened, known)


LISTED = [
    (name, kind, what)
    for name, reader in READERS.items()
    for kind in ("table", "boxed")
    if getattr(reader, kind)
    for what in [*LISTS, *(BOXES if kind == "boxed" else ())]
]


@pytest.mark.parametrize(("name", "kind", "what"), LISTED)
def test_damaged_lists_are_refused_or_what_changes_is_named(
    tmp_path: Path, known: Known, name: str, kind: str, what: str
) -> None:
    opened = known.copy(name, tmp_path)
    change = LISTS[what] if what in LISTS else with_box(BOXES[what])
    change(READERS[name], opened / getattr(READERS[name], kind))
    check_named(name, opened, known)


@pytest.mark.parametrize("what", UNCHANGED)
@pytest.mark.parametrize(("name", "kind"), dict.fromkeys(each[:2] for each in LISTED))
def test_line_ends_and_byte_order_marks_change_nothing(
    tmp_path: Path, known: Known, name: str, kind: str, what: str
) -> None:
    opened = known.copy(name, tmp_path)
    path = opened / getattr(READERS[name], kind)
    path.write_bytes(UNCHANGED[what](path.read_bytes()))
    assert read_all(READERS[name], spec_of(READERS[name], opened))[0] == known.of(name)[0]


@pytest.mark.parametrize(
    ("name", "kind", "change", "said"),
    [
        ("avss", "table", (",test,v2", ",train,v2"), "twice, and differently"),
        ("s4", "table", ("lion_roar,test", "lion_roar,train"), "twice, and differently"),
        ("s4 boxes", "boxed", ("140", "150"), "twice, and differently"),
        ("vggsound", "boxed", ("0.5", "0.6"), "twice, and differently"),
        ("vggsound table", "table", ("dog,test", "dog,train"), "in two splits"),
        ("vpo", "table", (",val", ",train"), "is of several parts"),
    ],
)
def test_an_id_of_which_a_list_tells_two_things_is_refused_or_named(
    tmp_path: Path, known: Known, name: str, kind: str, change: tuple[str, str], said: str
) -> None:
    opened = known.copy(name, tmp_path)
    path = opened / getattr(READERS[name], kind)
    second_twice(READERS[name], path)
    text = path.read_text()
    at = text.rindex(change[0])
    path.write_text(text[:at] + change[1] + text[at + len(change[0]) :])
    assert said in check_named(name, opened, known)


@pytest.mark.parametrize("name", READERS)
def test_a_file_where_a_folder_is_wanted_is_refused(
    tmp_path: Path, known: Known, name: str, hearsight: Hearsight
) -> None:
    reader, opened = READERS[name], known.copy(name, tmp_path)
    place = next(opened.glob(reader.pictures)).relative_to(opened).parts
    for part in place[: 2 if place[0].endswith("_data") else 1]:
        opened /= part
    shutil.rmtree(opened)
    opened.write_bytes(b"x")
    folder = tmp_path / "set" / {"vpo": "VPO-SS", "vpo several": "VPO-MS"}.get(name, "")
    for command in ("data stats", "data show -o sheet.png"):
        word, *rest = command.split(" -", 1)
        refused(hearsight, f"{word} '{folder}{reader.part}' {''.join(f'-{one}' for one in rest)}")


def test_an_annotation_folder_or_list_of_another_kind_is_no_missing_one(
    tmp_path: Path, known: Known
) -> None:
    for name, place in (("flickr", "anno"), ("is3", "gt_segmentation")):
        opened = known.copy(name, tmp_path / name)
        shutil.rmtree(opened / place)
        (opened / place).write_bytes(b"x")
        assert "is a file, where a folder is wanted" in check_named(name, opened, known)


def test_half_a_folder_of_vggsound_is_counted(tmp_path: Path, known: Known) -> None:
    opened = known.copy("vggsound training", tmp_path)
    next(opened.glob("total_video_3s_audio/zp*Z*.wav")).unlink()
    said = check_named("vggsound training", opened, known)
    assert "1 of 4 frames has no sound: zpWuikVorYZ_000032." in said
    opened = known.copy("flickr", tmp_path / "flickr")
    (opened / "anno/10000130167.xml").unlink()
    assert "1 of 3 clips has no annotation: 10000130167." in check_named("flickr", opened, known)


@pytest.mark.parametrize("name", ["is3", "flat", "vpo boxes"])
def test_a_data_set_below_a_folder_that_may_not_be_listed_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = READERS[name]
    spec = f"{reader.write(tmp_path / 'above' / 'set')}{reader.part}"
    ids, listed = open_clips(spec, split=reader.split or "train").ids, Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder in (tmp_path / "above", tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert open_clips(spec, split=reader.split or "train").ids == ids
