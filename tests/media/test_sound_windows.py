"""Windows cut from a stream are the windows cut from the whole sound."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_media import sine

from hearsight.media.samples import RATE
from hearsight.media.sound_windows import levels, loudest_window, sound_windows


def in_blocks(sound: np.ndarray, size: int) -> list[np.ndarray]:
    return [sound[start : start + size] for start in range(0, len(sound), size)]


@settings(max_examples=60, deadline=None)
@given(
    total=st.integers(0, 6 * RATE),
    size=st.integers(700, 3 * RATE),
    every=st.floats(0.05, 4.0),
    seconds=st.sampled_from([0.1, 0.7, 2.0]),
)
def test_windows_of_a_stream_are_those_of_the_whole_sound(
    total: int, size: int, every: float, seconds: float
) -> None:
    sound = np.sin(np.arange(total) * 0.1).astype(np.float32)
    times = [every * index for index in range(1 + int(7 / every))]
    length, half = round(seconds * RATE), min(RATE, round(seconds * RATE)) // 2
    for time, heard in zip(
        times, sound_windows(in_blocks(sound, size), times, seconds), strict=True
    ):
        middle = round(time * RATE)
        start = max(0, min(middle - length // 2, total - length))
        expected = sound[start : start + length] if total else np.zeros(length, np.float32)
        assert np.array_equal(heard.samples, expected)
        around = sound[max(0, middle - half) : max(0, middle + half)]
        if not around.any():
            assert heard.level == -math.inf
        else:
            power = np.mean(around.astype(np.float64) ** 2)
            assert heard.level == pytest.approx(10 * math.log10(power), abs=1e-6)


def test_full_scale_is_0_and_a_thousandth_is_minus_60_dbfs() -> None:
    for gain, level in ((1.0, 0.0), (0.001, -60.0)):
        square = gain * np.sign(np.sin(np.arange(RATE) + 0.5)).astype(np.float32)
        heard = next(iter(sound_windows([square], [0.5], 1.0)))
        assert heard.level == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize("size", [700, 1600, 5000])
def test_levels_are_those_of_the_parts_of_the_whole_sound(size: int) -> None:
    whole = np.concatenate([sine(440.0, 0.25, RATE), np.zeros(3000, np.float32)])
    found = levels(in_blocks(whole, size), 0.1)
    parts = [whole[at : at + 1600].astype(float) for at in range(0, len(whole), 1600)]
    assert len(found) == len(parts)
    for level, part in zip(found, parts, strict=True):
        power = (part**2).mean()
        assert level == pytest.approx(10 * np.log10(power) if power else -np.inf, abs=1e-3)
    assert levels([], 0.1) == []


def test_after_the_end_of_the_sound_there_is_silence() -> None:
    heard = list(sound_windows([np.ones(2 * RATE, np.float32)], [1.0, 2.4, 2.6, 9.0], 3.0))
    assert [h.level > -1 for h in heard] == [True, True, False, False]
    assert all(len(h.samples) == 2 * RATE for h in heard)


def test_a_long_sound_is_heard_in_the_memory_of_a_block() -> None:
    blocks = (np.zeros(10 * RATE, np.float32) for _ in range(180))
    tracemalloc.start()
    count = sum(
        1 for _ in sound_windows(blocks, (float(second) for second in range(0, 1800, 2)), 3.0)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 900
    assert peak < 5_000_000  # bytes; the whole sound is 115 MB


def test_windows_come_before_the_rest_of_the_sound_is_read() -> None:
    endless = (np.ones(RATE, np.float32) for _ in itertools.count())
    heard = list(itertools.islice(sound_windows(endless, itertools.count(0.0), 3.0), 20))
    assert [h.time for h in heard] == list(map(float, range(20)))


@pytest.mark.parametrize("size", [1000, RATE, 20 * RATE])
@pytest.mark.parametrize(("begin", "middle"), [(0, 1.5), (6, 7.5), (8, 8.5)])
def test_the_loudest_window_is_found_wherever_it_is(size: int, begin: int, middle: float) -> None:
    sound = np.full(10 * RATE, 0.01, np.float32)
    sound[begin * RATE : (begin + 3) * RATE] = 0.5
    heard = loudest_window(in_blocks(sound, size), 3.0)
    assert heard.time == middle
    assert len(heard.samples) == 3 * RATE


def test_a_sound_shorter_than_the_window_counts_whole() -> None:
    heard = loudest_window([np.ones(1600, np.float32)], 3.0)
    assert len(heard.samples) == 1600
    assert heard.time == pytest.approx(0.05)
    assert loudest_window([], 3.0).level == -math.inf
