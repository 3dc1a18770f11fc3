"""The class splits of VGGSound: against the released lists, and what is not VGGSound's csv."""

from pathlib import Path

import pytest
from made_layouts import TABLE
from made_numbers import vggsound_classes

from hearsight.datasets.vggsound import read_vggsound_list
from hearsight.datasets.vggsound_splits import (
    HEARD_110,
    UNSEEN_35,
    read_vggsound_csv,
    split_vggsound,
    write_list,
)
from hearsight.errors import HearsightError


def table(folder: Path, text: str = TABLE) -> Path:
    path = folder / "vggsound.csv"
    path.write_text(text)
    return path


def test_every_clip_is_in_its_lists(tmp_path: Path) -> None:
    rows = read_vggsound_csv(table(tmp_path))
    found = split_vggsound(rows)
    assert [row.id for row in found.unseen_35] == [
        "-0p7hKXZ1ww_000120",
        "-2sOH8XovEE_000484",
        "-QyGMnE5xjE_000003",
    ]
    assert {*found.unseen_35, *found.trainval_274} == {*rows}
    assert not {*found.unseen_35} & {*found.trainval_274}
    assert all(row.label in HEARD_110 and not row.test for row in found.train_110)
    assert found.shared_videos == 1


def test_lists_are_read_back(tmp_path: Path) -> None:
    found = split_vggsound(read_vggsound_csv(table(tmp_path)))
    write_list(found.unseen_35, tmp_path / "unseen_35.csv")
    read = read_vggsound_list(tmp_path / "unseen_35.csv")
    assert [(one.id, one.label) for one in read] == [(r.id, r.label) for r in found.unseen_35]
    (tmp_path / "taken").mkdir()
    with pytest.raises(HearsightError, match="taken' cannot be written"):
        write_list(found.unseen_35, tmp_path / "taken")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken", "unseen_35.csv", "vggsound.csv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a_000001,dog\n", "Row 1 of .* is not one of VGGSound's csv"),
        (TABLE + "abc,one,dog,train\n", "Row 7 of"),
        (TABLE + "abc,1,dog,val\n", "Row 7 of"),
        ("abc,1,woof,train\n", "None of the 1 rows has one of the 35 unseen classes"),
        ("", "is empty"),
    ],
)
def test_what_is_not_the_table(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(HearsightError, match=said):
        split_vggsound(read_vggsound_csv(table(tmp_path, text)))


def test_the_unseen_classes_are_those_without_a_released_training_clip() -> None:
    counts = vggsound_classes()
    assert len(counts) == 309
    assert {*UNSEEN_35, *HEARD_110} <= {*counts}
    assert {name for name, row in counts.items() if not row["seen test clips"]} == {*UNSEEN_35}
    assert sum(counts[name]["test clips"] for name in UNSEEN_35) == 1750


def test_the_heard_classes_are_those_of_the_open_set() -> None:
    counts = vggsound_classes()
    assert {name for name, row in counts.items() if row["heard clips"]} == {*HEARD_110}
    assert sum(row["heard clips"] for row in counts.values()) == 2425
    assert len(HEARD_110) == 110
    assert len({*HEARD_110} & {*UNSEEN_35}) == 15
