"""Excerpts of recordings: bandwidth, pitch, loudness, loops."""

import numpy as np
import pytest
from jaxtyping import Float64, Int16
from made_packs import tone

from hearsight.media.samples import RATE
from hearsight.scenes.sound_bank import (
    CUTOFF,
    GAIN,
    LOUDNESS,
    OVERSAMPLING,
    PITCH,
    PITCHES,
    SoundBank,
)


def stream(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, 7]))


def noise(seconds: float, seed: int = 0) -> Int16[np.ndarray, " samples"]:
    samples = round(seconds * RATE)
    return np.random.default_rng(seed).normal(0, 5000, samples).astype(np.int16)


def spectrum(
    sound: np.ndarray,
) -> tuple[Float64[np.ndarray, " bins"], Float64[np.ndarray, " bins"]]:
    """Hertz and power."""
    power = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(len(sound)))) ** 2
    return np.fft.rfftfreq(len(sound), 1 / RATE), power


def root_mean_square(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean((sound / 32767) ** 2)))


@pytest.mark.parametrize("seconds", [0.005, 0.14, 1.0, 7.7])
def test_nothing_plays_above_the_cutoff(seconds: float) -> None:
    """Not even the seam of a short loop, played many times over."""
    bank = SoundBank([noise(seconds)])
    for seed in range(4):
        hertz, power = spectrum(bank.play(stream(seed), 0, 3 * RATE))
        assert power[hertz > 1.02 * CUTOFF].sum() < 1e-4 * power.sum()


def test_the_cutoff_can_be_chosen() -> None:
    bank = SoundBank([noise(4.0)], cutoff=6000.0)
    hertz, power = spectrum(bank.play(stream(0), 0, 3 * RATE))
    assert power[hertz > 4500].sum() > 0.05 * power.sum()
    assert power[hertz > 6200].sum() < 1e-4 * power.sum()


def test_pitches_lie_within_six_percent_on_both_sides() -> None:
    bank = SoundBank([tone(1000, 5.0)])
    peaks = []
    for seed in range(60):
        hertz, power = spectrum(bank.draw_part(stream(seed), 0, 3 * RATE))
        peaks.append(float(hertz[power.argmax()]))
    assert 1000 * (1 - PITCH) - 1 <= min(peaks) < 960
    assert 1040 < max(peaks) <= 1000 * (1 + PITCH) + 1
    assert len(set(peaks)) > PITCHES / 2


def test_recordings_are_equally_loud_and_gains_differ() -> None:
    quiet, loud = noise(2.0), noise(2.0, seed=1)
    bank = SoundBank([(quiet // 50).astype(np.int16), loud])
    for number in range(2):
        levels = [root_mean_square(bank.draw_part(stream(s), number, 3 * RATE)) for s in range(5)]
        assert levels == pytest.approx([LOUDNESS] * 5, rel=0.1)
    played = [root_mean_square(bank.play(stream(s), 0, 3 * RATE)) for s in range(60)]
    decibels = 20 * np.log10(np.array(played) / LOUDNESS)
    assert GAIN[0] - 0.5 < decibels.min() < -9
    assert -3 < decibels.max() < GAIN[1] + 0.5


def test_a_short_recording_is_tiled_and_a_long_one_cropped_at_random() -> None:
    """The loop of a second comes again after as many samples as its pitch says."""
    bank = SoundBank([noise(1.0), noise(7.7)])
    loop = len(bank.loops[0]) / OVERSAMPLING
    for seed in range(5):
        sound = bank.draw_part(stream(seed), 0, 3 * RATE).astype(float)
        lags = range(round(loop / (1 + PITCH)) - 2, round(loop / (1 - PITCH)) + 3)
        likeness = [np.corrcoef(sound[lag:], sound[:-lag])[0, 1] for lag in lags]
        assert max(likeness) > 0.9
    crops = {bank.draw_part(stream(seed), 1, RATE).tobytes() for seed in range(10)}
    assert len(crops) == 10


def test_a_silent_recording_plays_as_silence() -> None:
    bank = SoundBank([np.zeros(4000, np.int16)])
    assert np.abs(bank.draw_part(stream(0), 0, RATE)).max() == 0


def test_noise_has_the_same_bandwidth_and_any_length() -> None:
    bank = SoundBank([noise(0.1)])
    noise_part = bank.draw_noise(stream(0), 20 * RATE)
    hertz, power = spectrum(noise_part)
    assert power[hertz > 1.02 * CUTOFF].sum() < 1e-6 * power.sum()
    assert float(np.sqrt(np.mean(noise_part**2))) == pytest.approx(1, rel=0.05)
