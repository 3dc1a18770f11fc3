"""How long moments last, and which make one stretch: checked against definitions as loops."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_moments import BOXES, FILM, NTSC, moment, moments

from hearsight.errors import HearsightError
from hearsight.exports.intervals import (
    frame_at,
    frame_number,
    lasting,
    one_per_frame,
    rate_of,
    stretches,
)
from hearsight.localising.moments import Moment


def test_a_moment_lasts_until_the_next_or_so_long_or_to_the_end() -> None:
    found = [moment(time, BOXES[0]) for time in (0.0, 1.0, 4.0, 9.5)]
    assert [part.end for part in lasting(found, FILM)] == [1.0, 4.0, 9.5, 10.0]
    assert [part.end for part in lasting(found, FILM, 2.0)] == [1.0, 3.0, 6.0, 10.0]
    assert [part.joins(FILM) for part in lasting(found, FILM, 2.0)] == [True, False, False, True]
    assert [part.end for part in lasting([moment(10.5, None)], FILM, 2.0)] == [10.5]


gaps = st.lists(st.sampled_from([0.5, 1.0, 1.5, 3.0]), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(gaps, st.sampled_from([None, 0.5, 1.0]), st.randoms())
def test_stretches_are_the_runs_of_moments_with_a_source(
    steps: list[float], every: float | None, random: Random
) -> None:
    times = np.cumsum([0.0, *steps]).tolist()
    flags = [random.random() < 0.6 for _ in times]
    film = replace(FILM, duration=times[-1] + 0.75)
    found = [
        moment(time, BOXES[0] if flag else None, film, 0.3 + 0.01 * place)
        for place, (time, flag) in enumerate(zip(times, flags, strict=True))
    ]
    given_stretches = list(stretches(found, film, every))
    grid = np.arange(0.0, film.duration, 0.125) + 0.0625
    for time in grid:
        last = max(one.time for one in found if one.time <= time)
        at = next(one for one in found if one.time == last)
        sounds = at.box is not None and (every is None or time < at.time + every)
        inside = [one for one in given_stretches if one.start <= time < one.end]
        assert len(inside) == sounds
        if sounds:
            within = [one for one in found if inside[0].start <= one.time < inside[0].end]
            assert inside[0].best == max(within, key=lambda one: one.confidence)
    for one, after in pairwise(given_stretches):
        assert one.end < after.start  # those that touch are one


def test_a_label_names_the_best_moment_of_its_stretch() -> None:
    first = next(stretches(moments(), FILM, 1.0))
    assert (first.start, first.end) == (0.0, 2.0)
    assert first.label == "sound source 0.37, box 20 20 110 220"


def test_the_frame_at_a_time_is_the_one_that_is_shown_then() -> None:
    for rate in (Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(907, 61)):
        for number in (0, 1, 2, 29, 30, 100_000, 1_000_003):
            begin = number / rate
            assert frame_at(float(begin), rate) == number
            assert frame_at(float(begin + Fraction(9, 10) / rate), rate) == number


def test_a_moment_without_a_number_takes_that_of_its_time() -> None:
    assert frame_number(replace(moment(2.0, None), frame=None), NTSC) == 59
    assert frame_number(replace(moment(2.0, None), frame=7), NTSC) == 7


def test_moments_closer_than_frames_share_one() -> None:
    found: list[Moment] = [moment(place / 100, None) for place in range(12)]
    assert [one.frame for one in one_per_frame(found, FILM)] == [0, 1, 2]


def test_without_a_rate_it_is_said() -> None:
    with pytest.raises(HearsightError, match="no frame rate"):
        rate_of(replace(FILM, frame_rate=None))
