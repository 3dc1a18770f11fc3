"""Accuracy and precision at k: the definitions as loops, ties with fewer items, chance by count."""

from fractions import Fraction
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hearsight.retrieval.retrieval_metrics import (
    accuracy_at,
    best_accuracy,
    best_precision_at,
    chance_accuracy_at,
    chance_precision_at,
    class_mean,
    precision_at,
)

Hits = np.ndarray[Any, np.dtype[np.bool_]]


@settings(deadline=None)  # a busy machine is no failure
@given(
    hits=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12)),
    k=st.integers(1, 14),
)
def test_the_definitions_as_loops(hits: Hits, k: int) -> None:
    accuracy, precision = accuracy_at(hits, k), precision_at(hits, k)
    assert len(accuracy) == len(precision) == len(hits)
    for query, row in enumerate(hits.tolist()):
        right = 0
        for place in range(k):
            if place < len(row) and row[place]:
                right += 1
        assert accuracy[query] == (1 if right else 0)
        assert precision[query] == right / k


@settings(deadline=None)
@given(arrays(np.bool_, (5, 10)))
def test_what_holds_between_them(hits: Hits) -> None:
    assert np.array_equal(accuracy_at(hits, 1), precision_at(hits, 1))
    for k in range(1, 10):
        assert (accuracy_at(hits, k) <= accuracy_at(hits, k + 1)).all()
        assert (precision_at(hits, k) <= accuracy_at(hits, k)).all()


def test_known_values() -> None:
    hits = np.array([[False, True, True, False], [True, False, False, False]])
    assert accuracy_at(hits, 1).tolist() == [0, 1]
    assert accuracy_at(hits, 2).tolist() == [1, 1]
    assert precision_at(hits, 4).tolist() == [0.5, 0.25]
    assert precision_at(hits, 10).tolist() == [0.2, 0.1]  # four places taken, ten asked for
    assert precision_at(hits[:, :0], 5).tolist() == [0, 0]  # nobody there


@pytest.mark.parametrize("available", range(6))
@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_chance_by_counting_every_order(available: int, k: int) -> None:
    for relevant in range(available + 1):
        orders = set(permutations([True] * relevant + [False] * (available - relevant)))
        hits = np.array(list(orders), bool).reshape(len(orders), available)
        r, n = np.array([relevant]), np.array([available])
        assert chance_accuracy_at(r, n, k)[0] == pytest.approx(accuracy_at(hits, k).mean())
        assert chance_precision_at(r, n, k)[0] == pytest.approx(precision_at(hits, k).mean())
        assert best_accuracy(r)[0] == (accuracy_at(hits, available).max() if available else 0)
        assert best_precision_at(r, k)[0] == precision_at(hits, k).max()


def test_chance_in_a_large_gallery() -> None:
    """20 relevant of 500: the share of the C(500, 3) triples that hold one."""
    missed = Fraction(480 * 479 * 478, 500 * 499 * 498)
    found = chance_accuracy_at(np.array([20]), np.array([500]), 3)
    assert found[0] == pytest.approx(float(1 - missed), rel=1e-12)
    few = list(combinations(range(7), 3))
    share = sum(1 for triple in few if min(triple) < 2) / len(few)
    assert chance_accuracy_at(np.array([2]), np.array([7]), 3)[0] == pytest.approx(share)


def test_a_class_counts_once_however_many_clips_it_has() -> None:
    values = np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    classes = np.array([4, 0, 0, 0, 0])  # class 4 has one clip; 1 to 3 have none
    assert class_mean(values, classes) == pytest.approx((0.25 + 1) / 2)
    assert class_mean(values, np.zeros(5, np.int64)) == values.mean()
