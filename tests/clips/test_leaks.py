"""Clips and videos that are in both of two sets, on made lists and on the field's real ones."""

import json
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_layouts import VGGSOUND_IDS, scoring_layout

from hearsight.clips.leaks import (
    check_comparable,
    check_selection,
    check_training,
    clean,
    find_leak,
    leak_facts,
    leaks_text,
    marks,
    names_test_set,
)
from hearsight.clips.lists import ClipList, ClipName, clip_names, read_list
from hearsight.commands import cli
from hearsight.datasets.open import read_clips
from hearsight.datasets.vggsound import read_vggsound_list
from hearsight.datasets.vggsound_splits import read_vggsound_csv
from hearsight.errors import HearsightError

Shared = Callable[[str], Path]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
youtube = st.text(LETTERS, min_size=11, max_size=11).filter(lambda text: not text.isdigit())


def clip_name(id: str) -> ClipName:
    return clip_names([id])[0]


def listed(path: Path, *lines: str, newline: str = "\n") -> str:
    path.write_text("".join(line + newline for line in lines), newline="")
    return str(path)


# What an id means


@given(youtube, st.integers(0, 99_999))
def test_every_way_to_write_a_clip_means_the_same_clip(video: str, second: int) -> None:
    written = (
        f"{video}_{second:06d}",
        f"{video}_{second:06d}.mp4",
        f"{video}_{second:06d}.WAV",
        f"frames/{video}_{second:06d}.jpg",
        f"{video}_{second}",
        f"{video}_{1000 * second}_{1000 * second + 10_000}",
        f"{video}_{second}.0_{second + 10}.0",
        f"{video}_{second}.0_{second + 10}.0.mp4",
        f"{video}_{second}_{second + 10}.wav",
    )
    expected = ClipName("youtube", video, float(second))
    assert set(clip_names(written)) == {expected}
    assert clip_name(video) == clip_name(f"{video}.mp4") == ClipName("youtube", video)


@pytest.mark.parametrize(
    ("id", "video", "start"),
    [
        ("--PlJNEnf-s_000288", "--PlJNEnf-s", 288.0),
        ("__2MwJ2uHu0_000004.wav", "__2MwJ2uHu0", 4.0),
        ("7XQN9XDnRm4_80000_90000", "7XQN9XDnRm4", 80.0),
        ("-0BIyqJj9ZU_30.5_40.5", "-0BIyqJj9ZU", 30.5),
        ("abc_30_0000_000030", "abc_30_0000", 30.0),  # looks like two numbers, is an id and one
    ],
)
def test_ids_with_lines_in_them(id: str, video: str, start: float) -> None:
    assert clip_name(id) == ClipName("youtube", video, start)


def test_other_ids() -> None:
    assert clip_name("videos/0/0/0/2615133000.mp4") == clip_name("2615133000.jpg")
    assert clip_name("2615133000").kind == "flickr"
    assert clip_name("day/a film.mp4@12.50") == ClipName("other", "day/a film.mp4", 12.5)
    assert clip_name("day/a film.mp4") != clip_name("night/a film.mp4")


# Lists


def test_lists_of_every_form_name_the_same_clips(tmp_path: Path) -> None:
    a, b = VGGSOUND_IDS[:2]
    forms = {
        "ids": [a, b],
        "files": [f"{a}.mp4,elk bugling", f'{b}.mp4,"speech, woman"'],
        "vggsound": [f"{a[:11]},{int(a[12:])},elk,train", f"{b[:11]},{int(b[12:])},woman,test"],
        "audioset": ["# made", f'{a[:11]}, 32.000, 42.000, "/m/1,/m/2"', f"{b[:11]}, 30.0, 40, x"],
        "json": [json.dumps([{"file": id, "class": "c", "bbox": [[0, 0, 1, 1]]} for id in (a, b)])],
        "pairs": ["video,audio,label", f"{a},{b},non-sounding"],
    }
    for name, lines in forms.items():
        found = read_list(Path(listed(tmp_path / name, *lines)))
        assert clip_names(found.ids) == clip_names([a, b]), name
    assert read_list(tmp_path / "files").entries[1].label == "speech, woman"
    assert read_clips(str(tmp_path / "vggsound"), "val").ids == [b]
    flickr = read_list(Path(listed(tmp_path / "flickr", "10000130166,202", "10007936344,0")))
    assert flickr.ids == ["10000130166", "10007936344"]
    assert flickr.entries[0].label is None


@pytest.mark.parametrize(
    "rows",
    [
        'zpWuikVorYg,32,"elk, bugling",train\n-QyGMnE5xjE,3,dog,test\n',
        'zpWuikVorYg,32.0,"elk, bugling",train\n-QyGMnE5xjE,3.0,dog,test\n',
        'zpWuikVorYg, 000032, "elk, bugling", train\n-QyGMnE5xjE, 3, "dog", test\n',
        'zpWuikVorYg,32,"elk, bugling",train\r-QyGMnE5xjE,3,dog,test\r',
        'youtube_id,start,label,split\r\nzpWuikVorYg,32,"elk, bugling",train\r\n'
        "-QyGMnE5xjE,3,dog,test\r\n",
    ],
)
def test_every_reader_gets_the_same_of_vggsounds_csv(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "vggsound.csv"
    path.write_bytes(rows.encode())
    expected = [
        ("zpWuikVorYg_000032", "elk, bugling", "train"),
        ("-QyGMnE5xjE_000003", "dog", "test"),
    ]
    found = read_list(path)
    assert [(*one.ids, one.label, one.split) for one in found.entries] == expected
    assert [(one.id, one.label) for one in read_vggsound_list(path, "test")] == [
        ("-QyGMnE5xjE_000003", "dog")
    ]
    splits = [
        (one.id, one.label, "test" if one.test else "train") for one in read_vggsound_csv(path)
    ]
    assert splits == expected
    found.write(tmp_path / "again.csv", found.entries)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"a\0b", "not a text file"),
        (b"{}", "as vggss.json is"),
        (b"[]", "as vggss.json is"),
        (b'[{"file": "a"}]', "as vggss.json is"),
        (b'[{"file": "a", "class": "c", "bbox": [[1, 2]]}]', "as vggss.json is"),
        (b'[{"file": "a", "cl', "as vggss.json is"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(HearsightError, match=said):
        read_list(tmp_path / "list")


def test_a_layout_counts_as_the_ids_in_it(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path / "vggss")
    assert sorted(read_clips(str(folder), "val").ids) == sorted(VGGSOUND_IDS)
    with pytest.raises(
        HearsightError, match=r"no file or folder 'nope\.txt'; it may be a list of clips"
    ):
        read_clips("nope.txt", "val")
    with pytest.raises(HearsightError, match="Did you mean 'menagerie'"):
        read_clips("menagery", "val")


# Leaks


@given(
    st.lists(st.tuples(youtube, st.integers(0, 3)), max_size=8),
    st.lists(st.tuples(youtube, st.integers(0, 3)), max_size=8),
    st.lists(st.tuples(youtube, st.integers(0, 3), st.integers(0, 3)), max_size=4),
)
def test_leaks_are_those_of_the_definition(
    train: list[tuple[str, int]], test: list[tuple[str, int]], both: list[tuple[str, int, int]]
) -> None:
    train = list(dict.fromkeys(train + [(video, a) for video, a, _ in both]))
    test = list(dict.fromkeys(test + [(video, b) for video, _, b in both]))
    leak = find_leak(
        "a",
        [f"{v}_{s:06d}" for v, s in train],
        "b",
        [f"{v}_{1000 * s}_{9000 + s}" for v, s in test],
    )
    tested = {video for video, _ in test}
    assert leak.clips == tuple(f"{v}_{s:06d}" for v, s in train if (v, s) in test)
    assert leak.siblings == tuple(
        f"{v}_{s:06d}" for v, s in train if (v, s) not in test and v in tested
    )
    assert set(leak.videos) == {v for v, _ in train} & tested
    assert len(leak.videos) == len(set(leak.videos))


def test_what_is_kept_touches_no_test_clip(tmp_path: Path) -> None:
    a, b, c = "AAAAAAAAAAA", "BBBBBBBBBBB", "-C_CCCCCCC-"
    lines = [f"{a}_000030.mp4,dog", f"{a}_000050.mp4,dog", f"{b}_000001.mp4,cat", f"{c}_000001"]
    train = read_clips(listed(tmp_path / "train.csv", *lines, newline="\r\n"), "train")
    tested = [f"{a}_30000_40000.wav", f"{c}_9.0_19.0"]
    leak = find_leak("train", train.ids, "test", tested)
    assert leak.clips == (f"{a}_000030.mp4",)
    assert leak.siblings == (f"{a}_000050.mp4", f"{c}_000001")
    train.write(tmp_path / "clean.csv", clean(train, [leak], by="video"))
    assert (tmp_path / "clean.csv").read_bytes() == f"{lines[2]}\r\n".encode()
    train.write(tmp_path / "clips.csv", clean(train, [leak], by="clip"))
    assert (tmp_path / "clips.csv").read_text().splitlines() == lines[1:]
    again = find_leak("clean", read_clips(str(tmp_path / "clean.csv"), "train").ids, "t", tested)
    assert not again.videos
    with pytest.raises(HearsightError, match="cannot be written"):
        train.write(tmp_path / "none" / "clean.csv", [])
    assert {path.name for path in tmp_path.iterdir()} == {"train.csv", "clean.csv", "clips.csv"}


def test_pairs_and_json_are_cleaned_in_their_own_form(tmp_path: Path) -> None:
    a, b, c = (f"{letter * 11}_000001" for letter in "ABC")
    pairs = read_clips(
        listed(tmp_path / "p", "video,audio,label", f"{a},{b},x", f"{c},{c},x"), "val"
    )
    leak = find_leak("p", pairs.ids, "t", [b])
    pairs.write(tmp_path / "out", clean(pairs, [leak], by="clip"))
    assert (tmp_path / "out").read_text() == f"video,audio,label\n{c},{c},x\n"
    items = [
        {"file": id, "class": "c", "bbox": [[0.1, 0, 0.47812499999999997, 1]]} for id in (a, b)
    ]
    held = read_clips(listed(tmp_path / "j", json.dumps(items)), "val")
    held.write(tmp_path / "out", clean(held, [leak], by="clip"))
    assert (tmp_path / "out").read_text() == json.dumps(items[:1])


def test_sets_that_cannot_be_compared_are_not_called_clean() -> None:
    classes, clips = ["alarm clock ringing"], ["AAAAAAAAAAA_000001"]
    leak = find_leak("classes.txt", classes, "test", clips)
    with pytest.raises(HearsightError, match="'alarm clock ringing'"):
        check_comparable(leak, classes, clips)
    flickr = ["10000130166"]
    for one, two in ((flickr, clips), (clips, flickr), (flickr, [])):
        leak = find_leak("one", one, "two", two)
        assert not leak.comparable
        with pytest.raises(HearsightError, match=r"'one' names clips .*'two' (names|is empty)"):
            check_comparable(leak, one, two)


def test_the_text_names_the_first_twenty() -> None:
    ids = [f"{number:011d}"[:-1] + f"x_{number:06d}" for number in range(30)]
    leak = find_leak("a", ids, "b", ids)
    assert "clips in both: 30: " in leaks_text(leak)
    assert "and 10 more" in leaks_text(leak)
    assert "more" not in leaks_text(leak, most=None)
    assert len(leak.row(20)["clips"]) == 20
    assert len(leak.row()["clips"]) == 30


# The epoch and the test set


@pytest.mark.parametrize(
    ("spec", "is_one"),
    [
        ("stores/vggss-test", True),
        ("Test", True),
        ("flickr_test_250", True),
        ("latest", False),
        ("contested/val", False),
        ("stores/val", False),
        ("toys", False),
    ],
)
def test_test_sets_are_known_by_name(spec: str, is_one: bool) -> None:
    assert names_test_set(spec) is is_one


def test_rows_of_the_test_split_are_a_test_set(tmp_path: Path) -> None:
    listed(tmp_path / "all.csv", "AAAAAAAAAAA,1,dog,train", "BBBBBBBBBBB,2,dog,test")
    listed(tmp_path / "mine.csv", "AAAAAAAAAAA,1,dog,train")
    assert names_test_set(f"{tmp_path}@all.csv")
    assert not names_test_set(f"{tmp_path}@mine.csv")


def test_the_epoch_is_not_chosen_on_the_test_set_unasked() -> None:
    ids = ["AAAAAAAAAAA_000001"]
    same = find_leak("val", ids, "bench", ["AAAAAAAAAAA_000009"])
    apart = find_leak("val", ids, "bench", ["BBBBBBBBBBB_000001"])
    assert check_selection("val", same, allowed=True)
    assert not check_selection("val", apart, allowed=True)
    assert not check_selection("val", None, allowed=False)
    with pytest.raises(HearsightError, match="`select_on_test`") as caught:
        check_selection("val", same, allowed=False)
    assert "\n" not in str(caught.value)
    with pytest.raises(HearsightError, match="'my_test' names a test set"):
        check_selection("my_test", None, allowed=False)


def test_a_run_knows_its_leaks_before_it_begins() -> None:
    train, own = ("store", ["AAAAAAAAAAA_000001", "BBBBBBBBBBB_000001"]), ("own", ["CCCCCCCCCCC"])
    bench = ("bench", ["AAAAAAAAAAA_000001", "BBBBBBBBBBB_000007", "DDDDDDDDDDD_000001"])
    found = check_training(train, own, bench)
    assert found.facts["selected_on_test"] is False
    assert [
        (one["role"], one["test"], one["clips_in_both"], one["videos_in_both"])
        for one in found.facts["leak_check"]
    ] == [("validation", "own", 0, 0), ("test", "bench", 1, 2)]
    assert len(found.warnings) == 1
    assert "1 of the 3 clips of 'bench' (33.3 %)" in found.warnings[0]
    assert "2 of its 3 videos" in found.warnings[0]
    same = check_training(train, bench, bench, select_on_test=True)
    assert same.facts["selected_on_test"] is True
    assert [one["role"] for one in same.facts["leak_check"]] == ["test"]
    assert check_training(train, None, None).facts == {"leak_check": [], "selected_on_test": False}
    with pytest.raises(HearsightError, match="3 of the 3 clips of 'bench'"):
        check_training(train, bench, bench)


def test_checkpoints_are_marked_by_their_facts() -> None:
    leak = find_leak("a", ["AAAAAAAAAAA_000001"], "vggss.json", ["AAAAAAAAAAA_000001"])
    clear = find_leak("a", ["AAAAAAAAAAA_000001"], "flickr", ["10000130166"])
    facts = json.loads(json.dumps({"leak_check": leak_facts({"test": leak})}))
    assert list(marks(facts, epochs=1)) == ["†"]
    assert "1 clip and 1 video of 'vggss.json'" in marks(facts, epochs=1)["†"]
    assert list(marks(facts | {"selected_on_test": True}, epochs=1)) == ["*", "†"]
    assert marks({}, epochs=1) == {}
    assert list(marks({}, epochs=1, from_boxes=True)) == ["§"]
    assert marks({"leak_check": leak_facts({"test": clear})}, epochs=1) == {}


def test_what_was_never_trained_is_not_marked() -> None:
    leak = find_leak("a", ["AAAAAAAAAAA_000001"], "b", ["AAAAAAAAAAA_000001"])
    facts = {"leak_check": leak_facts({"test": leak}), "selected_on_test": True}
    assert marks(facts, epochs=0) == {}


# The field's own lists


@lru_cache(maxsize=3)  # the long ones are tested against several
def read_once(path: Path, split: str) -> ClipList:
    return read_clips(str(path), split)


@pytest.mark.parametrize(
    ("train", "test", "clips", "videos"),
    [
        ("ezvsl/vggss_144k.txt", "lvs/vggss.json", 3709, 3655),
        ("ssltie/train_vggss_190228.txt", "lvs/vggss.json", 4916, 4783),
        (
            "ssltie/openset/openset_train_110_70k.txt",
            "ssltie/openset/openset_test_110_heard_2425.txt",
            2299,
            2245,
        ),
        (
            "ssltie/openset/openset_train_110_70k.txt",
            "ssltie/openset/openset_test_110_unheard_2463.txt",
            0,
            0,
        ),
        # no test clip, but two of its videos at other seconds
        ("ssltie/train_vggss_train_144k.txt", "lvs/vggss.json", 0, 2),
        ("ssltie/train_vggss_train_10k.txt", "lvs/vggss.json", 0, 0),
        ("ezvsl/vggss_heard.txt", "lvs/vggss_test.csv", 0, 1),
        ("ezvsl/flickr_144k.txt", "slavc/flickr_test_plus_silent.csv", 20, 20),
        ("ssltie/train_flickr_10k.txt", "lvs/flickr_test.csv", 2, 2),
    ],
)
def test_leaks_of_the_fields_lists(
    shared: Shared, train: str, test: str, clips: int, videos: int
) -> None:
    learned = read_once(shared(f"metadata/{train}"), "train")
    tested = read_once(shared(f"metadata/{test}"), "val")
    leak = find_leak(train, learned.ids, test, tested.ids)
    assert (len(leak.clips), len(leak.videos)) == (clips, videos)
    check_comparable(leak, learned.ids, tested.ids)


def test_a_cleaned_real_list_is_clean(shared: Shared, tmp_path: Path) -> None:
    train = read_once(shared("metadata/ssltie/openset/openset_train_110_70k.txt"), "train")
    tested = read_once(shared("metadata/ssltie/openset/openset_test_110_heard_2425.txt"), "val")
    leak = find_leak("train", train.ids, "test", tested.ids)
    train.write(tmp_path / "clean.txt", clean(train, [leak], by="video"))
    kept = (tmp_path / "clean.txt").read_text()
    assert kept.count("\n") == 70_000 - 2_299 - 61
    assert all(re.fullmatch(r"[\w-]{11}_\d{6}", line) for line in kept.splitlines()[:100])
    assert not find_leak("c", kept.split(), "t", tested.ids).videos


# The command


def command(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    monkeypatch.setattr(sys, "argv", ["hearsight", "data", *line.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return (ended.value.code, *capsys.readouterr())


def test_the_exit_code_says_whether_there_is_a_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    listed(Path("train"), "AAAAAAAAAAA_000001", "BBBBBBBBBBB_000001", "CCCCCCCCCCC_000001")
    listed(Path("test"), "AAAAAAAAAAA_000001.mp4,dog")
    listed(Path("sibling"), "BBBBBBBBBBB_000090")
    listed(Path("apart"), "DDDDDDDDDDD_000001")
    listed(Path("classes"), "alarm clock ringing")
    for options, code in (
        ("--against test", 1),
        ("--against apart", 0),
        ("--against sibling", 1),
        ("--against sibling --by clip", 0),
        ("--against apart test", 1),
        ("--against apart --against test", 1),
        ("--against test --out clean", 1),
        ("--against classes", 2),
        ("--against nowhere", 2),
        ("--against test --by second", 2),
        ("--against train --out none", 2),
        ("", 2),
    ):
        found, out, err = command(f"check train {options}", monkeypatch, capsys)
        assert found == code, options
        assert (out == "") == (code == 2 and "--out" not in options), options
        assert code != 2 or err.count("\n") == 1
    assert Path("clean").read_text() == "BBBBBBBBBBB_000001\nCCCCCCCCCCC_000001\n"
    assert not Path("none").exists()
    _, out, _ = command("check train --against test sibling --json", monkeypatch, capsys)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["clips_in_both"], row["videos_in_both"]) for row in rows] == [(1, 1), (0, 1)]


def test_a_list_is_found_in_the_folder_of_the_data_or_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("VGG/videos").mkdir(parents=True)
    for name in ("AAAAAAAAAAA_000001", "BBBBBBBBBBB_000001"):
        Path(f"VGG/videos/{name}.mp4").touch()
    Path("VGG/vggsound.csv").write_text("AAAAAAAAAAA,1,dog,train\nBBBBBBBBBBB,1,cat,test\n")
    held = [{"file": "BBBBBBBBBBB_000001", "class": "cat", "bbox": [[0, 0, 1, 1]]}]
    Path("VGG/vggss.json").write_text(json.dumps(held))
    for line in ("VGG --against vggss.json", "VGG/videos --against vggss.json"):
        code, out, err = command(f"check {line}", monkeypatch, capsys)
        assert (code, "vggss.json: 1 clip of 1 video" in out) == (0, True), err
    code, out, err = command("check vggss.json --against VGG", monkeypatch, capsys)
    assert (code, "clips in both: 1: BBBBBBBBBBB_000001" in out) == (1, True), err
    code, _, err = command("check VGG --against gone.json", monkeypatch, capsys)
    assert (code, "there is no file or folder 'gone.json'" in err) == (2, True)


def test_statistics_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    listed(Path("list"), "AAAAAAAAAAA_000001.mp4,dog", "AAAAAAAAAAA_000009.mp4,cat")
    code, out, _ = command("stats list --json", monkeypatch, capsys)
    assert code == 0
    assert json.loads(out)["classes"] == {"dog": 1, "cat": 1}
    code, out, _ = command("stats list", monkeypatch, capsys)
    assert (code, "2 clips of 1 video" in out) == (0, True)
    assert command("stats list --decode", monkeypatch, capsys)[0] == 2
