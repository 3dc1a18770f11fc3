"""Text files of others: read, or refused in a sentence by whoever wants them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made_layouts import scoring_layout, vggss, xml

from hearsight.clips.clip import UnreadableClip
from hearsight.clips.lists import read_list
from hearsight.clips.selection import JoinedClips, restrict
from hearsight.clips.shards import decode_facts
from hearsight.datasets.extended_test_sets import read_extended
from hearsight.datasets.flickr import read_flickr_list
from hearsight.datasets.folders import read_entries
from hearsight.datasets.open import read_clips
from hearsight.datasets.statistics import count
from hearsight.datasets.vggsound import VggSsBoxes, open_vggsound, read_vggsound_list
from hearsight.datasets.vggsound_splits import read_vggsound_csv
from hearsight.errors import HearsightError
from hearsight.files.text import (
    count_and_name,
    counted,
    first_names,
    is_text,
    parse_json,
    read_text,
    rows_of,
)
from hearsight.scenes.menagerie import read_menagerie

DEEP = b"[" * 100_000
HUGE = b'"' + b"x" * 200_000 + b'",b\n'
NO_TEXT = json.dumps([{"file": "a\ud800", "class": "c", "bbox": [[0, 0, 1, 1]]}]).encode()
ZERO = json.dumps([{"file": "a\0b", "class": "c", "bbox": [[0, 0, 1, 1]]}]).encode()
HALF = json.dumps(["AAAAAAAAAAA_000001", "\udfff"]).encode()
VAST = json.dumps([{"file": "a", "class": "c", "bbox": [[0, 0, 1, 10**400]]}]).encode()
NUL = b"AAAAAAAAAAA_000001,a\0b\n"
READERS: dict[str, Callable[[Path], object]] = {
    "a list": read_list,
    "statistics": lambda path: count(str(path)),
    "leaks": lambda path: read_clips(str(path), "train"),
    "ids to score": lambda path: restrict(JoinedClips([]), path),
    "single clips": read_entries,
    "VGGSound": read_vggsound_list,
    "VGGSound's csv": read_vggsound_csv,
    "Flickr": read_flickr_list,
    "extended": read_extended,
    "vggss.json": VggSsBoxes,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [DEEP, HUGE, NO_TEXT, HALF, VAST, NUL, b"\xff\xfe", b""])
def test_every_reader_refuses_in_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(HearsightError) as caught:
        READERS[name](path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READERS)
def test_a_folder_is_no_list(tmp_path: Path, name: str) -> None:
    with pytest.raises(HearsightError):
        READERS[name](tmp_path)


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list"
    for content, said in (
        (DEEP, r"as vggss\.json is"),
        (HUGE, "no table of cells: field larger than field limit"),
        (NO_TEXT, r'a name that is no text: \{"file": "a\\ud800"'),
        (HALF, r'a name that is no text: "\\udfff"'),
        (ZERO, r"a name that is no text: "),
        (VAST, r"as vggss\.json is"),
        (NUL, "not a text file"),
    ):
        path.write_bytes(content)
        with pytest.raises(HearsightError, match=said):
            read_list(path)


def test_a_number_of_any_length_is_only_a_name(tmp_path: Path) -> None:
    path = tmp_path / "list"
    long = "9" * 5_000
    path.write_text(f"AAAAAAAAAAA_{long}_{long}\nAAAAAAAAAAA,{long},{long},x\nAAAAAAAAAAA_1\n")
    assert count(str(path)).clips == 3
    path.write_text(f"AAAAAAAAAAA,{long},dog,train\nAAAAAAAAAAA,²,dog,train\n")
    assert len(read_vggsound_list(path)) == 1  # neither is a second, both are the same video
    with pytest.raises(HearsightError, match="Row 1 of"):
        read_vggsound_csv(path)


def test_boxes_of_no_number_damage_their_clip_alone(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path / "layout")
    (folder / "anno").mkdir()
    clips = open_vggsound(folder)
    for number, edge in enumerate(("1e400", "1" * 400)):
        (folder / "anno" / f"{clips.ids[number]}.xml").write_text(xml((0, 0, 1, edge)))
    clips = open_vggsound(folder)
    for number in range(2):
        with pytest.raises(UnreadableClip, match="boxes are damaged"):
            clips.annotation(number)
    with pytest.raises(HearsightError, match=r"as vggss\.json is"):
        VggSsBoxes(vggss(tmp_path / "v.json", [{"file": 5, "class": "c", "bbox": []}]))


def test_facts_in_a_store_are_refused_by_value() -> None:
    for facts in (DEEP, b'{"boxes": [[0, 0, 1, 1' + b"0" * 400 + b"]]}"):
        with pytest.raises(ValueError, match=r"nested too deeply|not four numbers"):
            decode_facts(facts, "a")


def test_a_pack_whose_table_is_no_text_is_refused(tmp_path: Path) -> None:
    for content in (b"kind,file,class,split\ncutout,a\0b,x,train\n", b"\xff\xfe", HUGE):
        (tmp_path / "pack.csv").write_bytes(content)
        with pytest.raises(HearsightError, match=r"pack\.csv"):
            read_menagerie(tmp_path, split="train")


def test_cells_and_text_are_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes("\ufeffa, 'b' ,\"c,\nd\"\r\n\r\n".encode())
    assert [row.cells for row in rows_of(read_text(path), path)] == [["a", "'b'", "c,\nd"]]
    assert is_text("ü")
    assert not is_text(os.fsdecode(b"\xff.txt"))
    assert parse_json(b'{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="deeply"):
        parse_json(DEEP)


def test_the_first_names_and_how_many_more() -> None:
    names = [str(number) for number in range(1_500)]
    assert first_names(names, 2) == "0, 1 and 1,498 more"
    assert first_names(names[:3], 2, separator="; ") == "0; 1 and 1 more"
    assert first_names(names[:2], 2) == first_names(names[:2], None) == "0, 1"
    assert first_names([], 2) == ""


def test_what_is_counted_is_said_of_one_or_of_several() -> None:
    assert [counted(number, "clip") for number in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
    assert counted(1_204, "class", "classes") == "1,204 classes"
    said = "clip has no sound", "clips have no sound"
    assert count_and_name([], *said) == []
    assert count_and_name(["a"], *said) == ["1 clip has no sound: a."]
    assert count_and_name(["a", "b\n"], *said) == ["2 clips have no sound: a, b."]
    many = count_and_name([*"abcdefg"], "clips is dark", "clips are dark", total=1_000)
    assert many == ["7 of 1,000 clips are dark: a, b, c, d, e and 2 more."]
