"""Sounds as 16-bit samples: rounded and clipped, fitted to a length, added."""

import numpy as np

from hearsight.media.samples import fit_sound, mix, round_samples, to_samples


def test_samples_are_the_nearest_and_loud_ones_are_clipped() -> None:
    sound = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    assert np.array_equal(to_samples(sound / np.float32(32768)), sound)
    assert to_samples(np.array([2.0, -2.0, 0.0])).tolist() == [32767, -32768, 0]
    assert round_samples(np.array([40_000.0, -40_000.0, 1.6])).tolist() == [32767, -32768, 2]


def test_a_sound_is_cut_in_the_middle_or_repeated() -> None:
    sound = np.arange(10, dtype=np.int16)
    assert fit_sound(sound, 4).tolist() == [3, 4, 5, 6]
    assert fit_sound(sound, 10).tolist() == [*range(10)]
    assert fit_sound(sound, 23).tolist() == [*range(10), *range(10), 0, 1, 2]
    assert fit_sound(sound[:0], 3).tolist() == [0, 0, 0]


def test_sounds_are_added() -> None:
    first, second = np.array([1, 2, 30_000], np.int16), np.array([10, -2, 9_000, 5], np.int16)
    assert mix([first, second]).tolist() == [11, 0, 32767]
