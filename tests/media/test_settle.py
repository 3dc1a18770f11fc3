"""Tests of hearsight.media.settle: holes, new beginnings and wrong stamps told apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.media.settle import JITTER, LASTING, LONGEST_HOLE, OVERLAP, Settler, Stamped

RATE, LENGTH = 16_000, 320  # a packet of 20 ms


def places(stamps: list[int | None], length: int = LENGTH) -> list[int]:
    return [s.place for s in Settler((Stamped(each, length) for each in stamps), float(RATE))]


def restarts(stamps: list[int | None]) -> list[int]:
    settled = Settler((Stamped(each, LENGTH) for each in stamps), float(RATE))
    return [number for number, each in enumerate(settled) if each.restart]


def line(count: int, begin: int = 0) -> list[int | None]:
    return [begin + LENGTH * number for number in range(count)]


@pytest.mark.parametrize("begin", [0, 10 * RATE, -RATE, 1 << 40])
def test_a_clock_that_goes_on_is_kept(begin: int) -> None:
    assert places(line(100, begin)) == line(100, begin)


@pytest.mark.parametrize("wrong", [2.0, 600.0, 90_000.0, -2.0, 0.2, None])
@pytest.mark.parametrize("where", [0, 1, 50, 98])
def test_one_wrong_stamp_moves_nothing(wrong: float | None, where: int) -> None:
    stamps = line(100)
    stamps[where] = None if wrong is None else where * LENGTH + round(wrong * RATE)
    if where == 0 and wrong is not None and wrong < 0:
        assert places(stamps)[1:] == line(100)[1:]  # a first packet may well come before a hole
    else:
        assert places(stamps) == line(100)


def test_a_wrong_stamp_at_the_very_end_moves_nothing() -> None:
    stamps = line(100)
    stamps[-1] = 600 * RATE
    assert places(stamps) == line(100)


def test_packets_that_return_within_a_second_were_wrong_and_later_ones_a_hole() -> None:
    for packets, wrong in ((49, True), (52, False)):  # 20 ms each
        stamps = line(200)
        for number in range(50, 50 + packets):
            stamps[number] = LENGTH * number + 2 * RATE
        assert (places(stamps)[50] == LENGTH * 50) is wrong
    assert LASTING == 1.0


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        (0.06, True),
        (5.0, True),
        (LONGEST_HOLE - 1, True),
        (LONGEST_HOLE + 1, False),
        (-0.06, True),
        (0.02 - OVERLAP, True),
        (-0.02 - OVERLAP, False),
        (-3.0, False),
        (-95_443.7, False),
    ],
)
def test_a_step_that_lasts_is_a_hole_or_a_new_beginning(step: float, kept: bool) -> None:
    moved = round(step * RATE)
    stamps = [*line(100), *line(100, 100 * LENGTH + moved)]
    assert places(stamps) == (stamps if kept else line(200))
    assert restarts(stamps) == ([] if kept else [100])


def test_holes_after_a_new_beginning_stay_holes() -> None:
    stamps = [*line(100), *line(100), *line(100, 100 * LENGTH + RATE)]
    assert places(stamps) == [*line(200), *line(100, 200 * LENGTH + RATE)]


def test_a_small_step_counts_if_it_lasts_unchanged() -> None:
    step = round(0.016 * RATE)
    stamps = [LENGTH * 0, *line(199, LENGTH + step)]
    assert places(stamps) == stamps


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1 << 30))
def test_an_unsteady_clock_leaves_no_gaps(seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-0.4, 0.4, 300) * JITTER * RATE
    noise[0] = 0
    stamps = [int(LENGTH * number + each) for number, each in enumerate(noise)]
    steps = np.diff(places(stamps)) - LENGTH
    assert np.abs(steps).max() <= JITTER * RATE
    assert (steps != 0).mean() < 0.05


@settings(deadline=None, max_examples=30)
@given(st.lists(st.one_of(st.none(), st.integers(-(1 << 45), 1 << 45)), max_size=40))
def test_every_packet_gets_a_place_whatever_is_stated(stamps: list[int | None]) -> None:
    assert len(places(stamps)) == len(stamps)
