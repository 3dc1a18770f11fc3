"""The published numbers: sources, names, ranges, no number twice, and the project's own pages."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from made_numbers import vggss_boxes

from hearsight.clips.truth import PIXELS, rasterise
from hearsight.errors import HearsightError
from hearsight.scoring.box_scores import centred_disc
from hearsight.scoring.metrics import area_under_curve, ciou, success_rate
from hearsight.scoring.protocol_registry import protocol_names
from hearsight.scoring.protocols import HALF
from hearsight.scoring.published import boards, kind_of, published_numbers, scored_numbers

DOCS = Path(__file__).parents[2] / "docs"
NUMBERS = published_numbers()
BASELINES = ("VGG-H (supervised)", "random")  # of SSL-TIE's authors, named after no paper


def is_own(number: dict[str, str]) -> bool:
    """Whether the paper named is that of the method."""
    name = name_of(number["paper"])
    return number["method"].startswith((name, *BASELINES)) or name == "hearsight"


def name_of(paper: str) -> str:
    return paper.partition(",")[0]


def test_every_number_is_whole_has_a_source_and_stands_once() -> None:
    known = protocol_names()
    for number in NUMBERS:
        assert all(number[name] for name in number if not name.startswith("protocol")), number
        assert number["protocol"] in known or not number["protocol"], number
        assert bool(number["protocol"]) == bool(number["protocol certainty"]), number
        assert number["protocol certainty"] in ("code", "?", "")
        assert number["selected on test"] in ("yes", "no", "?")
        assert number["certainty"] in ("paper", "page", "README", "reported", "notes", "measured")
        assert 0 < float(number["value"]) <= 100
        assert 2018 <= int(number["year"]) <= 2026
    named = ("paper", "table", "method", "training set", "test set", "metric")
    keys = Counter(tuple(number[name] for name in named) for number in NUMBERS)
    assert max(keys.values()) == 1


def test_numbers_of_anothers_method_say_who_reports_them() -> None:
    for number in NUMBERS:
        said = number["source"].startswith(f"as reported by {name_of(number['paper'])}: ")
        assert said != is_own(number), number
        assert (number["certainty"] == "reported") <= said, number
        assert not said or number["certainty"] in ("reported", "notes"), number


def test_the_page_names_every_paper_with_its_numbers_and_those_without() -> None:
    page = (DOCS / "leaderboard.md").read_text(encoding="utf-8")
    counts = Counter(number["paper"] for number in NUMBERS)
    del counts["hearsight"]
    for paper, count in counts.items():
        assert f"| {paper} | {count} | " in page, paper
    without = page.partition("## Papers without a number of their own")[2]
    names = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", without, re.MULTILINE)[1:]
    assert len(names) > 20
    own = {number["method"] for number in NUMBERS if is_own(number)}
    assert not own & set(names)
    reported = {number["method"].partition(" (")[0] for number in NUMBERS if not is_own(number)}
    missing = reported - set(names) - {name.partition(" (")[0] for name in own}
    assert not missing


def test_the_blind_rows_are_those_of_the_pages() -> None:
    pages = {
        "VGG-SS": ((DOCS / "evaluation.md").read_text(encoding="utf-8"), 4),
        "VGGSound-Duet": ((DOCS / "leaderboard.md").read_text(encoding="utf-8"), 1),
        "MUSIC-Duet": ((DOCS / "leaderboard.md").read_text(encoding="utf-8"), 4),
    }
    measured = [number for number in NUMBERS if kind_of(number["method"]) != "model"]
    assert {number["test set"] for number in measured} == set(pages)
    for test_set, (page, count) in pages.items():
        lines: dict[str, list[str]] = {}
        for number in measured:
            if number["test set"] == test_set:
                lines.setdefault(number["method"], []).append(number["value"])
        assert len(lines) == count
        for method, values in lines.items():
            assert f"| {method} | {' | '.join(values)} |" in page


def test_one_disc_in_each_half_of_a_duet_scores_as_on_single_frames() -> None:
    disc = centred_disc() > np.sort(centred_disc(), axis=None)[HALF]
    singles, precisions = [], []
    for boxes in vggss_boxes():
        truth = rasterise(boxes, "union")
        singles.append(ciou(disc, truth))
        within, share = int((disc & truth.inside).sum()), truth.pixels / PIXELS
        found = within / truth.pixels if truth.pixels else 0.0
        # average precision of two levels, marked and not: a step for each
        precisions.append(found * within / int(disc.sum()) + (1 - found) * share)
    duets: list[float] = []
    for halves in zip(singles[: len(singles) // 2], singles[len(singles) // 2 :], strict=True):
        left = list(halves)
        for _ in halves:  # the same map for both sources: each takes the best half that is left
            duets.append(max(left))
            left[left.index(max(left))] = 0.0
    assert sorted(duets) == sorted(singles)
    scores = np.array(duets)
    row = (success_rate(scores, 0.3), area_under_curve(scores), float(np.mean(precisions)))
    known = [
        number["value"]
        for number in NUMBERS
        if number["test set"] == "VGGSound-Duet" and number["certainty"] == "measured"
    ]
    assert [f"{100 * value:.2f}" for value in row] == known


def test_boards_hold_every_number_once_and_the_best_row_first() -> None:
    found = boards()
    shown = [
        row[score]
        for board in found
        for row in board.rows
        for score in board.scores
        if row[score] != "-"
    ]
    assert sorted(shown) == sorted(number["value"] for number in NUMBERS)
    for board in found:
        firsts = [float(row[board.scores[0]].replace("-", "-1")) for row in board.rows]
        assert firsts == sorted(firsts, reverse=True)


def test_scored_rows_are_read_alike_from_both_kinds_of_file(tmp_path: Path) -> None:
    table, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    table.write_text(
        "name,protocol,clips,cIoU@0.5,cIoU@0.5 low,AUC,against\n"
        "mine,lvs,9,0.25,0.1,0.5,\nmine,lvs,,,,,blind: mean truth\n"
    )
    lines.write_text(
        '{"name": "mine", "protocol": "lvs", "clips": 9, "cIoU@0.5": 0.25, "AUC": 0.5}\n'
        '{"name": "mine", "protocol": "lvs", "against": "blind: mean truth"}\n'
    )
    first, second = scored_numbers(f"VGG-SS={table}"), scored_numbers(f"VGG-SS={lines}")
    held = [(one["metric"], one["value"], one["test set"]) for one in first]
    assert held == [("cIoU@0.5", "25.00", "VGG-SS"), ("AUC", "50.00", "VGG-SS")]
    assert [one | {"source": ""} for one in first] == [one | {"source": ""} for one in second]
    board = boards(first)[0]
    assert "mine" in [row["method"] for row in board.rows]
    assert scored_numbers(str(table))[0]["test set"] == "scored: t.csv"


def test_rows_of_another_protocol_have_a_board_of_their_own(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "name,protocol,AUC,precision\nmine,lvs,0.5,\n"
        "mine,negatives,0.7,0.4\nyours,negatives,0.2,0.1\n"
    )
    found = boards([*scored_numbers(f"VGG-SS={table}"), *scored_numbers(str(table))])
    own = {board.test_set: board for board in found[len(boards()) :]}
    negatives = own["VGG-SS, protocol negatives"]
    assert [(row["method"], row["AUC"]) for row in negatives.rows] == [
        ("mine", "70.00"),
        ("yours", "20.00"),
    ]
    assert list(own) == [
        "VGG-SS, protocol negatives",
        "scored: t.csv, protocol lvs",
        "scored: t.csv, protocol negatives",
    ]
    joined = next(board for board in found if board.test_set == "VGG-SS")
    assert [row["AUC"] for row in joined.rows if row["method"] == "mine"] == ["50.00"]
    for board in own.values():
        assert all(row[score] != "-" for row in board.rows for score in board.scores)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.txt", "", "none of .csv"),
        ("t.csv", "", "holds no scores"),
        ("t.csv", "id,value\na,0.5\n", "holds no scores"),
        ("t.csv", "name,protocol,AUC\na,lvs,50.5\n", "fractions from 0 to 1"),
        ("t.csv", "name,protocol,AUC\na,lvs,nan\n", "fractions from 0 to 1"),
        pytest.param(
            *("t.csv", f"name,protocol,AUC\n{'a' * 200_000},lvs,0.5\n", "does not hold a table"),
            id="a cell that is too long",
        ),
        ("t.json", "{", "does not hold JSON lines"),
        ("t.json", "[1]", "JSON lines of rows"),
        ("t.json", '{"name": "a", "protocol": "lvs", "AUC": NaN}', "fractions from 0 to 1"),
    ],
)
def test_files_of_other_things_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(HearsightError, match=said):
        scored_numbers(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "name,protocol,AUC,marks\na,lvs,0.5,3\n"),
        ("t.json", '{"name": "a", "protocol": "lvs", "AUC": 0.5, "marks": 3}'),
    ],
)
def test_marks_that_are_a_number_are_shown_as_they_are(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    own = boards(scored_numbers(str(tmp_path / name)))[-1]
    assert [(row["method"], row["AUC"]) for row in own.rows] == [("a 3", "50.00")]
