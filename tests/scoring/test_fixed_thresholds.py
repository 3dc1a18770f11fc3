"""ACL's rule: 19 fixed thresholds, a row each, and the best of them on the clips scored."""

import numpy as np
import pytest
from made_models import MadeClips, make_pairs

from hearsight.clips.truth import SIDE
from hearsight.scoring.fixed_thresholds import LEVELS, best_level
from hearsight.scoring.results import Results
from hearsight.scoring.saved_map_scores import evaluate_maps
from hearsight.scoring.score_table import tabulate

GENERATOR = np.random.default_rng(2)


def blurred(clips: MadeClips) -> dict[str, np.ndarray]:
    """Maps of the canvas's size, brighter in the box, of values with two digits."""
    maps = {}
    for index, id in enumerate(clips.ids):
        values = np.round(0.6 * GENERATOR.random((SIDE, SIDE)), 2)
        for x0, y0, x1, y1 in clips[index].boxes or ():
            rows, columns = (slice(int(a * SIDE), int(b * SIDE)) for a, b in ((y0, y1), (x0, x1)))
            values[rows, columns] += np.round(GENERATOR.uniform(0.1, 0.4), 2)
        maps[id] = values.astype(np.float32)
    return maps


@pytest.fixture(scope="module")
def found() -> tuple[Results, np.ndarray]:
    """The results, and cIoU by their definition, of each clip at each threshold."""
    clips = make_pairs(2)
    maps, cious = blurred(clips), []
    for index, id in enumerate(clips.ids):
        truth = np.zeros((SIDE, SIDE))
        for x0, y0, x1, y1 in clips[index].boxes or ():
            truth[int(y0 * SIDE) : int(y1 * SIDE), int(x0 * SIDE) : int(x1 * SIDE)] = 1
        own = []
        for level in LEVELS:
            marks = (maps[id] >= np.float32(level)).astype(float)
            own.append((marks * truth).sum() / (truth.sum() + (marks * (truth == 0)).sum()))
        cious.append(own)
    return evaluate_maps(maps, clips, "acl", name="acl net"), np.array(cious)


def auc(cious: np.ndarray) -> float:
    curve = [np.mean(cious >= 0.05 * i) for i in range(21)]
    return float(np.trapezoid(curve, [0.05 * i for i in range(21)]))


def test_every_threshold_has_its_row(found: tuple[Results, np.ndarray]) -> None:
    results, cious = found
    assert LEVELS[2] == 0.15
    rows = {row["name"]: row for row in results.rows}
    for place, level in enumerate(LEVELS):
        row = rows[f"acl net at {level:.2f}"]
        assert row["threshold"] == f"{level:.2f}"
        assert row["selected"] is None
        assert row["cIoU@0.5"] == pytest.approx(np.mean(cious[:, place] >= 0.5))
        assert row["AUC"] == pytest.approx(auc(cious[:, place]), abs=1e-5)


def test_the_best_threshold_on_the_test_is_marked_as_such(
    found: tuple[Results, np.ndarray],
) -> None:
    results, cious = found
    best = int(np.argmax([auc(one) for one in cious.T]))
    row = results.rows[0]
    assert (row["name"], row["threshold"], row["selected"]) == (
        "acl net",
        f"{LEVELS[best]:.2f}",
        "on test",
    )
    assert row["AUC"] == pytest.approx(auc(cious[:, best]), abs=1e-5)
    assert "was selected on the clips that are scored" in results.notes[0]
    assert all(one["selected"] == "on test" for one in results.rows[20:])
    assert [one["name"] for one in results.rows[20:]] == [
        "blind: centred disc",
        "blind: mean truth",
        "blind: whole image",
        "ceiling",
    ]
    assert results.rows[-1]["cIoU@0.5"] == 1


def test_the_best_threshold_is_that_of_the_highest_auc_and_the_lowest_of_several() -> None:
    cious = np.zeros((2, len(LEVELS)))
    cious[:, 3], cious[:, 7], cious[:, 9] = (0.5, 0.5), (0.95, 0.45), (0.95, 0.45)
    assert best_level(cious) == 7  # though at 3 more clips reach 0.5


def test_rows_beside_the_selected_one_are_shown_and_not_compared(
    found: tuple[Results, np.ndarray],
) -> None:
    table = tabulate([found[0]], draws=50)
    assert len(table.rows) == 24
    assert all("AUC low" in row for row in table.rows)
    assert [row["name"] for row in table.differences] == ["acl net"]


def test_a_map_of_the_threshold_itself_is_marked() -> None:
    clips = make_pairs(1)
    flat = {id: np.full((7, 7), 0.5, np.float32) for id in clips.ids}
    rows = {row["threshold"]: row for row in evaluate_maps(flat, clips, "acl").rows[1:20]}
    assert rows["0.50"]["AUC"] == rows["0.05"]["AUC"] > rows["0.55"]["AUC"] == pytest.approx(0.025)
