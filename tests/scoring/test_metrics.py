"""The metrics: their definitions as loops, known answers, symmetries."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.clips.truth import TruthMask
from hearsight.scoring.metrics import (
    area_under_curve,
    best_possible,
    ciou,
    order_statistics,
    pointing,
    success_rate,
    whole_image_ciou,
)

SEEDS = st.integers(0, 2**32 - 1)


def draw(seed: int, n: int = 3, side: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    marks = generator.random((n, side, side)) < generator.random((n, 1, 1))
    truths = generator.integers(0, 3, (n, side, side)) / 2
    return marks, truths * (generator.random((n, 1, 1)) < 0.8)


def truth_of(weights: np.ndarray) -> TruthMask:
    return TruthMask.of(weights > 0, weights == 1)


def each_ciou(marks: np.ndarray, truths: np.ndarray) -> list[float]:
    return [ciou(m, truth_of(t)) for m, t in zip(marks, truths, strict=True)]


def ciou_by_loops(marks: np.ndarray, truth: np.ndarray) -> float:
    shared = joined = 0.0
    for marked, weight in zip(marks.flat, truth.flat, strict=True):
        shared += marked * weight
        joined += weight + (marked and weight == 0)
    return shared / joined if joined else 0.0


@given(SEEDS)
def test_ciou_is_its_definition(seed: int) -> None:
    marks, truths = draw(seed)
    wanted = [ciou_by_loops(m, t) for m, t in zip(marks, truths, strict=True)]
    assert each_ciou(marks, truths) == wanted


@given(SEEDS)
def test_the_whole_image_scores_as_a_marking_of_all_of_it(seed: int) -> None:
    _, truths = draw(seed)
    found = [whole_image_ciou(truth_of(one)) for one in truths]
    assert found == pytest.approx(each_ciou(np.ones_like(truths, np.bool_), truths))


@given(SEEDS)
def test_ciou_does_not_know_left_from_right(seed: int) -> None:
    marks, truths = draw(seed)
    assert each_ciou(marks, truths) == each_ciou(marks[:, :, ::-1], truths[:, :, ::-1])
    assert each_ciou(marks, truths) == each_ciou(marks.mT, truths.mT)


def test_known_ciou() -> None:
    truth = np.zeros((1, 4, 4))
    truth[0, :2] = 1
    assert each_ciou(truth > 0, truth) == [1]
    assert each_ciou(truth == 0, truth) == [0]
    assert each_ciou(np.ones((1, 4, 4), bool), truth) == [0.5]
    assert each_ciou(np.zeros((1, 4, 4), bool), truth) == [0]
    nothing = np.zeros((1, 4, 4))
    assert each_ciou(truth > 0, nothing) == [0]
    assert each_ciou(nothing > 0, nothing) == [0]


def test_a_truth_of_halves_counts_in_the_sums_and_not_in_the_union() -> None:
    truth = np.array([[[0.5, 0.5, 1.0, 0.0]]])
    marks = np.array([[[True, False, True, True]]])
    assert ciou(marks[0], truth_of(truth[0])) == (0.5 + 1.0) / (2.0 + 1.0) == 0.5


def test_a_truth_gives_its_weights_back() -> None:
    weights = np.array([[0, 0.5], [1, 1]], np.float32)
    truth = truth_of(weights)
    assert (truth.pixels, truth.weight) == (3, 2.5)
    assert np.array_equal(truth.weights(), weights)
    union = TruthMask.of(weights > 0)
    assert (union.pixels, union.weight) == (3, 3)
    assert np.array_equal(union.weights(), (weights > 0).astype(np.float32))


@pytest.mark.parametrize(
    ("scores", "rate", "area"),
    [([1.0, 1.0], 1.0, 1.0), ([0.0], 0.0, 0.025), ([0.5], 1.0, 0.525), ([0.5, 0.0], 0.5, 0.275)],
)
def test_known_rates_and_areas(scores: list[float], rate: float, area: float) -> None:
    assert success_rate(np.array(scores)) == rate
    assert area_under_curve(np.array(scores)) == pytest.approx(area, abs=1e-12)


def test_thresholds_are_the_floating_products() -> None:
    # 0.05 * 3 is 0.15000000000000002: a score of 0.15 does not reach it
    assert area_under_curve(np.array([0.15])) < area_under_curve(np.array([0.05 * 3]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_area_is_its_definition(scores: list[float]) -> None:
    rates = [sum(s >= 0.05 * i for s in scores) / len(scores) for i in range(21)]
    wanted = sum((a + b) / 2 * 0.05 for a, b in pairwise(rates))
    assert area_under_curve(np.array(scores)) == pytest.approx(wanted, abs=1e-12)


def test_pointing_takes_the_first_peak() -> None:
    maps = np.zeros((3, 2, 2))
    maps[0, 1, 1] = maps[1, 0, 0] = 1
    truths = np.zeros((3, 2, 2))
    truths[:, 1, 1] = 0.5
    whole = map(truth_of, truths)
    assert list(map(pointing, maps, whole)) == [True, False, False]
    turned = map(truth_of, truths[:2, ::-1, ::-1])
    assert list(map(pointing, maps[:2, ::-1, ::-1], turned)) == [True, False]


@given(SEEDS)
def test_no_marking_beats_the_best_possible(seed: int) -> None:
    marks, truths = draw(seed)
    for marking, truth in zip(marks, truths, strict=True):
        best = best_possible(truth_of(truth), int(marking.sum()))
        assert ciou(marking, truth_of(truth)) <= best
        order = np.argsort(-truth, axis=None, kind="stable")[: int(marking.sum())]
        ideal = np.zeros(truth.size, bool)
        ideal[order] = True
        assert ciou(ideal.reshape(truth.shape), truth_of(truth)) == best


def test_best_possible_of_whole_truths() -> None:
    inside = np.zeros((10, 10), bool)
    assert best_possible(TruthMask.of(inside), 50) == 0
    inside[:2] = True
    assert best_possible(TruthMask.of(inside), 50) == 20 / 50
    assert best_possible(TruthMask.of(inside), 10) == 10 / 20
    assert best_possible(TruthMask.of(inside), 20) == 1


@given(st.lists(st.floats(-1, 1, width=32), min_size=1), st.data())
def test_elements_are_those_of_the_sorted_values(values: list[float], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=4))
    array = np.array(values, np.float32)
    assert order_statistics(array, places) == np.sort(array)[places].tolist()


@pytest.mark.parametrize("kind", ["noise", "smooth", "ties", "misleading", "alike"])
def test_elements_of_many_values(kind: str) -> None:
    noise = np.random.default_rng(1).standard_normal(50_176).astype(np.float32)
    values = {
        "noise": noise,
        "smooth": np.sin(np.arange(50_176, dtype=np.float32) / 900),
        "ties": noise.round(1),
        "misleading": np.where(np.arange(50_176) % 83 == 0, noise + 9, noise),
        "alike": np.full_like(noise, 0.25),
    }[kind]
    before, places = values.copy(), [25_088, 0, 50_175, 40_000, 17]
    assert order_statistics(values, places) == np.sort(values)[places].tolist()
    assert np.array_equal(values, before)
