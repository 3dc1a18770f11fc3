"""Tables: nothing is cut in the terminal, files are written whole or not at all."""

import csv
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from hearsight.files.tables import (
    ROW_FILES,
    cell,
    markdown_table,
    rounded,
    text_table,
    wrapped_pairs,
    write_rows,
)

ROWS = [
    {"name": "model", "clips": 7, "cIoU@0.5": 0.25},
    {"name": "ceiling", "clips": 7, "cIoU@0.5": None},
]


def test_values_in_cells() -> None:
    assert [cell(value) for value in ("word", 12, 0.12345, None)] == ["word", "12", "12.35", "-"]
    assert cell(0.12345, 1) == "12.3"
    assert rounded({"name": "x", "share": 1 / 3, "clips": 3}) == {
        "name": "x",
        "share": 0.33333,
        "clips": 3,
    }


def test_a_table_with_caption_and_footnotes() -> None:
    text = text_table(ROWS, caption="protocol lvs", footnotes=["* untrained"])
    lines = text.splitlines()
    assert [line.split() for line in lines[3:5]] == [
        ["│", "model", "│", "7", "│", "25.00", "│"],
        ["│", "ceiling", "│", "7", "│", "-", "│"],
    ]
    assert lines[-2].strip() == "protocol lvs"
    assert lines[-1] == "* untrained"


def test_columns_of_words_stand_left_and_numbers_right() -> None:
    rows = [{"name": "a", "n": 1}, {"name": "longer", "n": 1_000}]
    assert "│ a      │    1 │" in text_table(rows)
    assert "│      a │ 1    │" in text_table(rows, left=("n",))


def test_no_cell_is_cut_however_narrow_the_terminal() -> None:
    name = "runs/[a]/" + 60 * "x"
    text = text_table([{"name": name, "several words": 0.5}], width=20)
    pieces = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert "".join(pieces) == name  # brackets are no markup
    assert name in text_table([{"name": name, "several words": 0.5}], width=None)
    assert "several words" not in text  # the header is wrapped between words
    wide = text_table([{"name": "犬の鳴き声", "clips": 1}], width=5)
    assert "犬の鳴き声" in wide


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("width", [20, 60, 80, 120, 400, None])
def test_every_number_is_found_again_at_every_width(width: int | None, ruled: bool) -> None:
    rows = [
        {"name": f"run {row}, of an evening in May", "clips": 5158}
        | {f"score {at}": (100 * row + at) / 10_000 for at in range(12)}
        for row in range(3)
    ]
    text = text_table(rows, width=width, ruled=ruled)
    lines = text.splitlines()
    for row in rows:
        for name, value in row.items():
            assert name == "name" or cell(value) in text.split()
    if width is None:
        assert sum(line.count("May") for line in lines) == 3
    elif width >= 60:
        assert max(map(len, lines)) <= width
    if width == 80:  # parts of the same number of columns
        heads = [line.count("score") for line in lines if "score" in line]
        assert len(heads) == 2
        assert abs(heads[0] - heads[1]) <= 1


def test_groups_end_with_a_line() -> None:
    rows = [{"name": letter} for letter in "abcd"]
    lines = text_table(rows, groups=[1, 3]).splitlines()
    assert [at for at, line in enumerate(lines) if line.startswith("├")] == [4]
    assert lines[3].split()[1] == "a"


def test_a_table_in_markdown_keeps_its_columns_whatever_is_in_a_cell() -> None:
    assert markdown_table(["", "score"], [["a|b", "1"], ["", ""]]) == [
        "| | score |",
        "|---|---|",
        r"| a\|b | 1 |",
        "| | |",
    ]


def test_a_table_ruled_below_its_header_alone() -> None:
    lines = text_table(ROWS, title="lvs", ruled=False).splitlines()
    assert lines[0].strip() == "lvs"
    assert sum("─" in line for line in lines) == 1
    assert not any("│" in line for line in lines)


def test_floats_are_rounded_and_lose_their_sign_at_zero() -> None:
    row = {"time": 1.0006, "score": -0.0004, "name": "a", "box": None, "count": 3}
    assert str(rounded(row, 3)) == str(row | {"time": 1.001, "score": 0.0})


def test_pairs_stand_in_two_columns_and_long_texts_go_on_below() -> None:
    pairs = {"a": "short", "longer name": "one two " * 20, "word": "x" * 90}
    lines = wrapped_pairs(pairs, width=60).splitlines()
    assert lines[0] == "a            short"
    assert lines[1].startswith("longer name  one two one two")
    assert lines[2].startswith(" " * 13 + "one two")
    assert lines[-1] == "word         " + "x" * 90
    assert max(map(len, lines[:-1])) <= 60
    joined = " ".join(line.strip() for line in lines[1:-1])
    assert joined.removeprefix("longer name  ").split() == ["one", "two"] * 20


@pytest.mark.parametrize("ending", ROW_FILES)
def test_rows_in_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows{ending}"
    write_rows([{"name": "a\udcff", "n": 1}, {"name": "b", "more": 0.1}], path)
    if ending == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            held = list(csv.DictReader(file))
        assert held == [
            {"name": "a\\udcff", "n": "1", "more": ""},
            {"name": "b", "n": "", "more": "0.1"},
        ]
    else:
        assert pq.read_table(path).to_pylist() == [
            {"name": "a\\udcff", "n": 1, "more": None},
            {"name": "b", "n": None, "more": 0.1},
        ]
    assert list(tmp_path.iterdir()) == [path]
