"""Lists name the same clips however people and programs wrote them."""

import json
import shutil
from pathlib import Path

import pytest
from made_commands import Hearsight
from made_layouts import scoring_layout

from hearsight.clips.list_heads import columns_of
from hearsight.clips.lists import clip_names, read_list, read_pairs
from hearsight.datasets.extended_test_sets import is_extended
from hearsight.datasets.flickr import read_flickr_list
from hearsight.datasets.open import open_clips
from hearsight.datasets.vggsound import VggSsBoxes, open_vggsound, read_vggsound_list
from hearsight.datasets.vggsound_splits import read_vggsound_csv
from hearsight.errors import HearsightError

ELK, DOG = "zpWuikVorYg", "-QyGMnE5xjE"
ROWS = [(f"{ELK}_000032", "elk, bugling", "train"), (f"{DOG}_000003", "dog", "test")]
PLAIN = f'{ELK},32,"elk, bugling",train\n{DOG},3,dog,test\n'

WRITTEN = {
    "plain": PLAIN,
    "CR": PLAIN.replace("\n", "\r"),
    "CR CR LF": PLAIN.replace("\n", "\r\r\n"),
    "a mark before it": "\ufeff" + PLAIN,
    "files joined, marks and heads in the middle": "\ufeffid,start,label,split\n"
    + PLAIN.replace("\n", "\n\ufeffid,start,label,split\n", 1),
    "UTF-16": ("\ufeff" + PLAIN).encode("utf-16-le"),
    "semicolons": f"{ELK};32;elk, bugling;train\n{DOG};3;dog;test\n",
    "semicolons, told": f"sep=;\n{ELK};32;elk, bugling;train\n{DOG};3;dog;test\n",
    "tabs": f"{ELK}\t32\telk, bugling\ttrain\n{DOG}\t3\tdog\ttest\n",
    "blanks before and after quotes": f'{ELK}, 32, "elk, bugling" , train\n'
    f'"{DOG}" , 3, "dog", test',
    "a label with a comma, not in quotes": f"{ELK},32,elk, bugling,train\n{DOG},3,dog,test\n",
    "a line end in quotes": f'{ELK},32,"elk,\r\nbugling",train\r\n{DOG},3,dog,test\r\n',
    "seconds with fractions": PLAIN.replace("32", "32.0").replace("3,", "3.000,"),
    "seconds with a comma": f"{ELK};32,0;elk, bugling;train\n{DOG};3,00;dog;test\n",
    "seconds with zeros before": PLAIN.replace("32", "000032").replace(",3,", ",03,"),
    "other case": PLAIN.replace("train", "Train").replace("test", " TEST "),
    "other words": PLAIN.replace("train", "training").replace("test", "evaluation"),
    "commas at the end": PLAIN.replace("\n", ",,\n"),
    "comments and empty rows": f"# YTID, start\n\n ,,,\n  # more\n{PLAIN}\n\n",
    "kept from being formulas": f'="{ELK}",32,"elk, bugling",train\n=-QyGMnE5xjE,3,dog,test\n',
    "kept from being a formula": f"{PLAIN.splitlines()[0]}\n'{DOG},3,dog,test\n",
    "files": PLAIN.replace(ELK, f"{ELK}.mp4").replace(DOG, f"{DOG}.MP4"),
    "VGGSound's head": f"youtube_id,start,label,split\n{PLAIN}",
    "a head with blanks": f"YouTube ID , Start Seconds,Label,Train/Test Split\n{PLAIN}",
    "a head with units": f"VIDEO-ID,Start (s),Class_Name,Subset\n{PLAIN}",
    "a head in quotes": f'"# youtube id","start","label","set"\n{PLAIN}'.replace("# ", ""),
    "name,category,split": f'name,category,split\n{ELK}_000032,"elk, bugling",train\n'
    f"{DOG}_000003,dog,test\n",
    "another order": f'Label;Split;Start;Video\n"elk, bugling";train;32;{ELK}\ndog;test;3;{DOG}\n',
    "a running number": f",video_id,start,label,split\n0,{ELK},32,elk, bugling,train\n"
    f"1,{DOG},3,dog,test\n",
    "a running number called id": f"id,youtube_id,start,label,split\n"
    f"0,{ELK},32,elk, bugling,train\n1,{DOG},3,dog,test\n",
    "a second beside an id that has it": "clip,time,label,split\n"
    f"{ELK}_000032,32,elk, bugling,train\n{DOG}_000003,3,dog,test\n",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_every_reader_gets_the_same_however_it_is_written(tmp_path: Path, written: str) -> None:
    path = tmp_path / "vggsound.csv"
    content = WRITTEN[written]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_list(path)
    assert [(*one.ids, one.label, one.split) for one in found.entries] == ROWS
    for split, row in (("train", ROWS[0]), ("test", ROWS[1])):
        assert [(one.id, one.label) for one in read_vggsound_list(path, split)] == [row[:2]]
    rows = read_vggsound_csv(path)
    assert [(one.id, one.label, "test" if one.test else "train") for one in rows] == ROWS
    found.write(tmp_path / "again.csv", found.entries)
    again = read_list(tmp_path / "again.csv")
    assert [(one.ids, one.label, one.split) for one in again.entries] == [
        (one.ids, one.label, one.split) for one in found.entries
    ]


@pytest.mark.parametrize("written", WRITTEN)
def test_no_leak_is_missed_however_it_is_written(hearsight: Hearsight, written: str) -> None:
    content = WRITTEN[written]
    Path("test.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    Path("train.txt").write_text(f"AAAAAAAAAAA_000001\n{DOG}_3000_13000\n")
    code, out, _ = hearsight("data check train.txt --against test.csv")
    assert code == 1
    assert f"clips in both: 1: {DOG}_3000_13000" in out


def test_carriage_returns_alone_hide_no_leak(hearsight: Hearsight) -> None:
    rows = ["abcdefghijk,1,people marching,{}", '-0BIyqJj9ZU,30,"chicken, rooster",{}']
    test = [*(row.format("test") for row in rows), "_0abcdefghi,0,playing drum,train"]
    Path("test.csv").write_bytes("\r".join([*test, ""]).encode())
    Path("train.csv").write_text("\n".join(row.replace(",test", ",train") for row in test))
    code, out, _ = hearsight("data check train.csv --against test.csv --json")
    found = json.loads(out)
    assert (code, found["test_clips"], found["clips_in_both"]) == (1, 2, 2)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_layout_takes_the_same_rows(tmp_path: Path, written: str) -> None:
    scoring_layout(tmp_path)
    for kind in ("frame/{}.jpg", "audio/{}.wav"):
        there = tmp_path / kind.format(f"{ELK}_000032")
        shutil.copy(there, tmp_path / kind.format(f"{DOG}_000003"))
    content = WRITTEN[written]
    listed = tmp_path / "list.csv"
    listed.write_bytes(content if isinstance(content, bytes) else content.encode())
    for split, row in (("train", ROWS[0]), ("val", ROWS[1])):
        clips = open_clips(f"{tmp_path}@list.csv", split=split)
        assert [(clips.ids[0], clips[0].label)] == [row[:2]]


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path: Path) -> None:
    for rows in (
        f'{ELK},32,"elk,train\n{DOG},3,dog,test\n',
        f'{ELK},32,"elk,train\n{DOG},3,"dog",test\n',
    ):
        (tmp_path / "list").write_text(rows)
        with pytest.raises(HearsightError, match=r"a quote in line 1 that is not closed\.$"):
            read_list(tmp_path / "list")


def test_an_id_that_a_spreadsheet_destroyed_is_said(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{ELK},32,elk,train\n#NAME?,3,dog,test\n")
    with pytest.raises(HearsightError, match=r"has #NAME\? instead of an id in the row '#NAME\?,3"):
        read_list(tmp_path / "list")


def test_names_of_own_videos_keep_their_signs(tmp_path: Path) -> None:
    names = ["holiday; part 1.mp4", "it's\ta day.mov", "-5 degrees.mp4", "=2.mp4", "#1 hit.mp4"]
    (tmp_path / "list").write_text("\n".join([*names[:4], f'"{names[4]}"']))
    assert read_list(tmp_path / "list").ids == names


def test_a_head_is_found_and_a_row_is_none() -> None:
    for head in ("video_id,start_seconds,label,split", "YTID", "Name,Category", "Label,Clip ID"):
        assert columns_of(head.split(",")) is not None, head
    for row in (f"{ELK},32,video,train", f"{ELK},32,class,test", "holiday.mp4", "label,split", ""):
        assert columns_of(row.split(",")) is None, row


@pytest.mark.parametrize(
    ("row", "id"),
    [
        (f"https://www.youtube.com/watch?v={DOG}&t=30s,dog", f"{DOG}_000030"),
        (f"https://youtube.com/watch?feature=share&v={DOG}#t=7,dog", f"{DOG}_000007"),
        (f"http://m.youtube.com/watch?v={DOG},30.0,dog,train", f"{DOG}_000030"),
        (f"https://youtu.be/{DOG}?t=40&si=x", f"{DOG}_000040"),
        (f"youtu.be/{DOG}", DOG),
        (f"https://www.youtube.com/embed/{DOG}?start=3", f"{DOG}_000003"),
        (f"https://www.youtube.com/shorts/{DOG}, 30, 40, dog", f"{DOG}_30_40"),
        (f"https://youtu.be/{DOG}?t=1m30s", DOG),
        (f"https://youtu.be/{DOG}x", f"https://youtu.be/{DOG}x"),
        (f"https://example.org/{DOG}", f"https://example.org/{DOG}"),
    ],
)
def test_the_address_of_a_video_means_the_video(tmp_path: Path, row: str, id: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{row}\n{ELK},32,elk,train\n")
    assert read_list(path).ids[0] == id
    for head in ("url,start,label", "YouTube URL,Start,Label", "video_url,start,label"):
        path.write_text(f"{head}\nhttps://youtu.be/{DOG},30,dog\n")
        assert read_list(path).ids == [f"{DOG}_000030"], head


def test_pairs_are_known_by_a_head_of_any_case(tmp_path: Path) -> None:
    path = tmp_path / "list"
    for head in ("video,audio,label", "Video,Audio,Label", '"VIDEO" ; audio ; label'):
        sign = ";" if ";" in head else ","
        path.write_text(f"{head}\n{sign.join([ELK, DOG, 'non-sounding'])}\n")
        assert is_extended(path)
        assert read_pairs(path) == [[ELK, DOG, "non-sounding"]]
        assert read_list(path).entries[0].ids == (ELK, DOG)


def test_names_of_files_and_folders_of_any_system_mean_the_clip() -> None:
    for id in ("{}.MOV", "{}.m4a", "{}.opus", r"frames\0\{}.JPG", "a/b/{}.npy"):
        assert clip_names([id.format(f"{ELK}_000032")]) == clip_names([f"{ELK}_32000_42000"])


def test_flickrs_names_lose_the_suffix_of_a_picture(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("10000130166.JPG\n10007936344.jpeg,12\n2615133000.mp4\n")
    named = [one.id for one in read_flickr_list(tmp_path / "list")]
    assert named == ["10000130166", "10007936344", "2615133000.mp4"]


def test_a_class_null_is_none(tmp_path: Path) -> None:
    scoring_layout(tmp_path)
    ids = [f"{ELK}_000032", "gEvCUcZ6w88_000030"]
    held = [{"file": id, "class": None, "bbox": [[0, 0, 1, 1]]} for id in ids]
    held[1]["class"] = "dog"
    (tmp_path / "vggss.json").write_text(json.dumps(held))
    assert [one.label for one in read_list(tmp_path / "vggss.json").entries] == [None, "dog"]
    clips = open_vggsound(tmp_path)
    assert [clips.annotation(number)[0] for number in range(2)] == [None, "dog"]


def test_boxes_given_twice_are_taken_if_they_are_the_same(tmp_path: Path) -> None:
    one = {"file": f"{ELK}_000032", "class": "elk", "bbox": [[0, 0, 1, 1]]}
    path = tmp_path / "vggss.json"
    path.write_text(json.dumps([one, one]))
    assert VggSsBoxes(path).boxes(one["file"]) == ((0, 0, 1, 1),)
    for other in (one | {"class": "dog"}, one | {"bbox": [[0, 0, 1, 0.5]]}):
        path.write_text(json.dumps([one, other]))
        with pytest.raises(
            HearsightError, match=f"the clip '{one['file']}' twice, and differently"
        ):
            VggSsBoxes(path)
