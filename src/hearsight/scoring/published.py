"""Published numbers of the field with their sources, beside numbers that were scored here.

The facts are in `published_numbers.csv`, one number a line, in per cent as they were printed.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.clips.leaks import MARKS, SELECTED
from hearsight.errors import HearsightError
from hearsight.files.tables import Row, cell
from hearsight.files.text import parse_json, read_text
from hearsight.scoring.results import BLIND, CEILING, MARKED, marked_name
from hearsight.scoring.score_table import score_columns

FACTS = Path(__file__).with_name("published_numbers.csv")
SCORED_FILES = (".csv", ".json", ".jsonl")  # of `evaluate` and `score`, by --out and --json
WORDS = ("method", "training set", "protocol", "certainty")  # columns that tell what a row is
SOURCES = ("table", "paper", "year", "selected on test", "source")
UNSURE = "?"  # behind what is not known for certain
NOTES = (
    "In per cent, as printed. Compare numbers of one protocol only: other thresholds alone move a "
    "score by up to 35 points.",
    "protocol: as best known from released code; ? where the paper or README does not say it, "
    "- where nothing is known of it. The blind rows neither hear nor learn.",
    "selected on test: whether the released code keeps the epoch that is best on a test set.",
    "table: ? where it is not known which table or text of the paper holds the number.",
    "certainty: paper = printed there, page = on the authors' page or poster of it, README = of "
    "the authors' repository, reported = of another's method, by the authors of the paper named, "
    "notes = in a reader's notes of it, the least certain, measured = by this package on the "
    "published truths, scored = by you.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The rows of one test set, the best first.

    rows: all with the same columns, as text: `WORDS`, then scores in per cent, then `SOURCES`;
    methods with their marks. scores: the columns of scores.
    """

    test_set: str
    scores: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


def board_notes(boards: Iterable[Board]) -> list[str]:
    """What is to be said of some boards, the meaning of the marks in them last."""
    names = [row["method"].split() for board in boards for row in board.rows]
    found = [sign for sign in MARKS if any(sign in words for words in names)]
    return [*NOTES, *(f"{sign} {MARKS[sign]}." for sign in found)]


def published_numbers() -> list[dict[str, str]]:
    """The facts, one number each: method, paper, table, test set, metric, value, source, ..."""
    return list(csv.DictReader(io.StringIO(read_text(FACTS), newline="")))


def kind_of(method: str) -> str:
    """`blind` or `ceiling` for such a row, else `model`."""
    if method == CEILING:
        return CEILING
    return "blind" if method.startswith(BLIND) else "model"


def boards(scored: Iterable[Mapping[str, str]] = ()) -> list[Board]:
    """One board for each test set, the published ones first.

    Scored rows stand among the published ones of a test set where some have their protocol; those
    of any other protocol have a board of their own, as equal names are other measures there.

    Args:
        scored: numbers beside the published ones, with the same columns: see `scored_numbers`.
    """
    published, given = published_numbers(), list(scored)
    known = {(number["test set"], number["protocol"]) for number in published}
    grouped: dict[str, list[Mapping[str, str]]] = {}
    for number in published:
        grouped.setdefault(number["test set"], []).append(number)
    for own in given:
        test_set, protocol = own["test set"], own["protocol"]
        joins = (test_set, protocol) in known
        title = test_set if joins else f"{test_set}, protocol {protocol}"
        grouped.setdefault(title, []).append(own)
    return [_board(test_set, numbers) for test_set, numbers in grouped.items()]


def _board(test_set: str, numbers: Sequence[Mapping[str, str]]) -> Board:
    scores = tuple(dict.fromkeys(number["metric"] for number in numbers))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for number in numbers:
        key = (number.get(MARKED, ""), *(number[name] for name in (*WORDS, *SOURCES)))
        row = rows.setdefault(key, _empty_row(number, scores))
        row[number["metric"]] = number["value"]
    ordered = sorted(rows.values(), key=lambda row: value_of(row[scores[0]]), reverse=True)
    return Board(test_set=test_set, scores=scores, rows=tuple(ordered))


def _empty_row(number: Mapping[str, str], scores: Sequence[str]) -> dict[str, str]:
    protocol = number["protocol"] or cell(None)
    unsure = UNSURE if number["protocol certainty"] == UNSURE else ""
    return {
        **{name: number[name] for name in WORDS},
        "method": marked_name({**number, "name": number["method"]}),
        "protocol": protocol + unsure,
        **dict.fromkeys(scores, cell(None)),
        **{name: number[name] for name in SOURCES},
    }


def value_of(text: str) -> float:
    """A score of a board as a number, below all others where there is none."""
    return -1.0 if text == cell(None) else float(text)


def scored_numbers(named: str) -> list[dict[str, str]]:
    """Numbers of a file that `evaluate` or `score` wrote, with the columns of the published ones.

    Args:
        named: the file, as FILE or TEST SET=FILE; without a test set the file's name stands for it.

    Raises:
        HearsightError: there is no such file, or it does not hold scores.
    """
    test_set, equals, name = named.partition("=")
    path = Path(name if equals and not Path(named).exists() else named)
    test_set = test_set if equals and str(path) == name else f"scored: {path.name}"
    rows = [row for row in _rows_of(path) if "against" not in row or row["against"] is None]
    if not rows or not all(row.get("name") and row.get("protocol") for row in rows):
        raise HearsightError(
            f"'{path}' holds no scores: give a file of `evaluate` or `score`, by --out or --json."
        )
    found = [
        _scored_number(row, metric, test_set.strip(), path)
        for row in rows
        for metric in score_columns(rows)
        if isinstance(row.get(metric), float)
    ]
    if not found or not all(0 <= float(number["value"]) <= 100 for number in found):
        raise HearsightError(f"'{path}' holds no scores, which are fractions from 0 to 1.")
    return found


def _scored_number(row: Row, metric: str, test_set: str, path: Path) -> dict[str, str]:
    signs = str(row.get(MARKED) or "")
    return {
        "method": str(row["name"]),
        MARKED: signs,
        "paper": cell(None),
        "year": cell(None),
        "table": cell(None),
        "training set": cell(None),
        "test set": test_set,
        "metric": metric,
        "value": cell(row[metric]),
        "protocol": str(row["protocol"]),
        "protocol certainty": "code",
        "selected on test": "yes" if SELECTED in signs else UNSURE,
        "certainty": "scored",
        "source": path.name,
    }


def _rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, numbers as int or float, None where a cell is empty."""
    if path.suffix.lower() not in SCORED_FILES:
        raise HearsightError(f"'{path}' is none of {', '.join(SCORED_FILES)}.")
    text = read_text(path)
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        try:
            return [
                {str(name): _parse_cell(value) for name, value in row.items() if name is not None}
                for row in reader
            ]
        except csv.Error as error:
            raise HearsightError(f"'{path}' does not hold a table: {error}.") from error
    try:
        rows = [parse_json(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise HearsightError(f"'{path}' does not hold JSON lines: {error}.") from error
    if not all(isinstance(row, dict) for row in rows):
        raise HearsightError(f"'{path}' does not hold JSON lines of rows.")
    return rows


def _parse_cell(text: str | None) -> str | int | float | None:
    """A cell of a .csv: whole numbers are counts, others scores."""
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
