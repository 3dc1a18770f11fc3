"""Tables of scores: every number is found again at every width, and nothing is wider than that."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from made_evaluations import results_of_every_kind

from hearsight.files.tables import cell
from hearsight.scoring.results import Results
from hearsight.scoring.score_table import (
    CONFIDENCE,
    NAMES,
    ScoreTable,
    score_columns,
    shown,
    shown_differences,
    table_text,
    tabulate,
)

LONG = "runs/a rather long name of a run, of an evening in May"
WIDTHS = (60, 80, 120, None)  # None is a pipe


def renamed(results: Results, name: str) -> Results:
    """The same results of a model of another name."""

    def new(old: str) -> str:
        return re.sub("^model", name, old)

    rows = tuple({**row, "name": new(row["name"])} for row in results.rows)
    records = {new(row): found for row, found in results.records.items()}
    return replace(results, rows=rows, records=records)


@pytest.fixture(scope="module")
def tables() -> dict[str, ScoreTable]:
    """Two models under one protocol of every kind."""
    return {
        name: tabulate([renamed(found, "first"), renamed(found, LONG)], draws=50)
        for name, found in results_of_every_kind().items()
    }


def words(text: str) -> Counter[str]:
    return Counter(re.split(r"\s+", text))


def numbers(table: ScoreTable, *, only: set[str] | None = None) -> Counter[str]:
    """The words of the cells of a table's rows, without names."""
    rows, _ = shown(table.rows)
    cells = [
        value
        for row in rows
        for name, value in row.items()
        if name not in NAMES and (only is None or name in only)
    ]
    return words(" ".join(cells))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_whole_table_holds_every_number_at_every_width(
    tables: dict[str, ScoreTable], width: int | None
) -> None:
    for table in tables.values():
        text = table_text(table, wide=True, width=width)
        found = words(text)
        assert numbers(table) <= found
        for line in shown_differences(table):
            assert words(" ".join(v for k, v in line.items() if k not in NAMES)) <= found
        for row in table.rows:  # against the rows themselves
            for name in score_columns(table.rows):
                assert cell(row[name]) in found
        lines = text.splitlines()
        if width is not None:
            assert max(map(len, lines)) <= width
        else:  # a line for each row
            assert sum(line.startswith(f"{LONG}") for line in lines) >= len(table.rows) // 4


@pytest.mark.parametrize("width", WIDTHS)
def test_a_narrow_table_names_what_it_leaves_out_and_holds_the_rest(
    tables: dict[str, ScoreTable], width: int | None
) -> None:
    for table in tables.values():
        text = table_text(table, width=width)
        told = re.search(r"Not shown: (.*) \(--wide shows them\)\.", " ".join(text.split()))
        left_out = set(told[1].split(", ")) if told else set()
        rows, _ = shown(table.rows)
        assert left_out <= {*rows[0], f"other {CONFIDENCE}"}
        first = score_columns(table.rows)[0]
        kept = {name for name in rows[0] if name not in left_out and CONFIDENCE not in name}
        assert first in kept
        assert numbers(table, only={*kept, f"{first}\n{CONFIDENCE}"}) <= words(text)
        if f"other {CONFIDENCE}" not in left_out:
            intervals = {name for name in rows[0] if CONFIDENCE in name}
            assert numbers(table, only=intervals) <= words(text)
        assert max(map(len, text.splitlines())) <= (width or 80)
        wide = table_text(table, width=500)
        assert "Not shown" not in wide


def test_f_of_negative_sounds_stands_first_though_it_is_computed_last(
    tables: dict[str, ScoreTable],
) -> None:
    text = table_text(tables["negatives"])
    header = text.splitlines()[3:8]
    assert any("F_LOC" in line and "F_AUC" in line for line in header)


def test_models_are_compared_with_the_first_and_with_the_best_blind_row(
    tables: dict[str, ScoreTable],
) -> None:
    table = tables["lvs"]
    scores = {row["name"]: row["cIoU@0.5"] for row in table.rows}
    blind = max((name for name in scores if name.startswith("blind")), key=lambda n: scores[n])
    pairs = [(row["name"], row["against"]) for row in table.differences]
    assert pairs == [(LONG, "first"), ("first", blind), (LONG, blind)]
    for row in table.differences:
        gap = scores[row["name"]] - scores[row["against"]]
        assert row["difference cIoU@0.5"] == pytest.approx(gap, abs=1e-5)
        assert row["protocol"] == "lvs"
    rows = [row["name"] for row in tables["duets"].rows]
    pairs = [(row["name"], row["against"]) for row in tables["duets"].differences]
    assert pairs[:2] == list(zip(rows[2:4], rows[:2], strict=True))  # like with like


def test_what_is_the_same_in_all_rows_is_said_once_above(tables: dict[str, ScoreTable]) -> None:
    text = table_text(tables["slavc-extended"], wide=True, width=None)
    assert "; clips: 7; sounding: 5; " in text.splitlines()[0]
    assert "sounding" not in text.splitlines()[2]
    assert {"clips", "sounding", "protocol"} <= tables["slavc-extended"].rows[0].keys()


def test_rows_of_other_clips_are_not_compared() -> None:
    found = renamed(results_of_every_kind()["lvs"], "first")
    other = replace(found, units=found.units[::-1])
    pairs = [row["against"] for row in tabulate([found, other], draws=20).differences]
    assert "first" not in pairs


def test_results_without_records_have_a_table_without_intervals() -> None:
    found = renamed(results_of_every_kind()["lvs"], "first")
    bare = Results(
        protocol="lvs", caption="protocol lvs", rows=found.rows, notes=(), clips=found.clips
    )
    table = tabulate([bare])
    assert (list(table.rows), table.differences) == (list(found.rows), ())
    assert CONFIDENCE not in table_text(table)
