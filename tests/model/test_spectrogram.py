"""The front ends against the released numbers, scipy, and their definition as loops."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from made_numbers import array, read_numbers
from numpy.testing import assert_allclose
from scipy import signal
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.model.aisfx import SoundEffectSpectrogram
from hearsight.model.spectrogram import LogSpectrogram, MelSpectrogram, fit, mel_triangles

FRONT_ENDS = [
    MelSpectrogram(),
    MelSpectrogram(seconds=3.0, hop=360, bins=64),
    MelSpectrogram(seconds=3.0, fft=401, hop=160, bins=64),  # an odd frame: one fewer fits
    LogSpectrogram(),
    LogSpectrogram(seconds=3.0),
]


@pytest.fixture
def pcm() -> Tensor:
    """Three sounds of 3 s: noise under a slow swell."""
    noise = np.random.default_rng(0).standard_normal((3, 48_000))
    swell = np.sin(np.linspace(0, np.pi, 48_000)) * np.array([[100], [1000], [9000]])
    return torch.from_numpy((noise * swell).clip(-32768, 32767).astype(np.int16))


def test_mel_spectrogram_gives_the_released_decibels() -> None:
    """Some values, and the mean of every filter and every time."""
    known = read_numbers("ssl_tie_mel")
    times = np.arange(48_000) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * 440 * times)
    wave += 0.2 * np.sin(2 * np.pi * (200 + 1000 * times) * times)
    wave += 0.05 * np.random.RandomState(7).standard_normal(48_000)
    whole = np.clip(np.round(32_767 * wave), -32_768, 32_767).astype(np.int64)
    assert whole.sum() == pytest.approx(known["pcm_sum"], abs=10)  # sines may differ by rounding
    assert (whole**2).sum() == pytest.approx(known["pcm_squares"], rel=1e-6)
    pcm = torch.from_numpy(whole.astype(np.int16))[None]
    front_end = MelSpectrogram()
    decibels = front_end(pcm)[0, 0].double().numpy()
    assert_allclose(decibels[::8, ::21], array(known["db"]), rtol=0, atol=0.01)
    assert_allclose(decibels.mean(1), array(known["db_of_each_filter"]), rtol=0, atol=0.01)
    assert_allclose(decibels.mean(0), array(known["db_of_each_time"]), rtol=0, atol=0.01)
    assert front_end.waveforms(pcm).double().sum().item() == pytest.approx(known["samples_sum"])
    rows = front_end.power(front_end.waveforms(pcm)).double().sum(-1)[0, 0].numpy()
    assert_allclose(rows, array(known["power_rowsum"]), rtol=5e-4)
    sums = mel_triangles(512, 257).sum(1).numpy()
    assert_allclose(sums, array(known["mel_fb_colsum"]), atol=1e-4)


def test_28_of_the_257_mel_filters_are_empty() -> None:
    assert (mel_triangles(512, 257).sum(1) == 0).sum() == 28
    silence = MelSpectrogram()(torch.zeros(1, 160, dtype=torch.int16))
    assert silence.shape == (1, 1, 257, 670)
    assert (silence == -100).all()


def test_mel_spectrogram_is_its_definition() -> None:
    """One frame, one filter, one frequency at a time, in double precision."""
    front_end = MelSpectrogram(seconds=0.01, fft=32, hop=40, bins=5)
    samples = [math.sin(0.3 * t) / 2 + 0.2 * math.cos(1.1 * t) for t in range(160)]
    found = front_end.power(torch.tensor([samples]))[0, 0]

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 32) for n in range(32)]
    edges = [700 * (10 ** (mel(8000) * i / 6 / 2595) - 1) for i in range(7)]
    for time in range(front_end.shape[1]):
        places = [abs(time * 40 - 16 + n) for n in range(32)]
        frame = [samples[318 - p if p > 159 else p] for p in places]
        for band in range(5):
            total = 0.0
            for k in range(17):
                turn = [2 * math.pi * k * n / 32 for n in range(32)]
                real = sum(x * w * math.cos(a) for x, w, a in zip(frame, window, turn, strict=True))
                odd = sum(x * w * math.sin(a) for x, w, a in zip(frame, window, turn, strict=True))
                hertz, (low, middle, high) = 500.0 * k, edges[band : band + 3]
                height = min((hertz - low) / (middle - low), (high - hertz) / (high - middle))
                total += max(0.0, height) * (real**2 + odd**2) / sum(w * w for w in window)
            assert found[band, time].item() == pytest.approx(total, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("seconds", [10.0, 3.0])
def test_log_spectrogram_is_scipys(pcm: Tensor, seconds: float) -> None:
    front_end = LogSpectrogram(seconds=seconds)
    sounds = np.tile(pcm.numpy() / 32768, 4)[:, : round(seconds * RATE)]
    _, _, power = signal.spectrogram(sounds, RATE, nperseg=512, noverlap=274)
    found = front_end.power(front_end.waveforms(pcm))[:, 0].numpy()
    assert_allclose(found, power, rtol=1e-3, atol=1e-13)
    assert_allclose(front_end(pcm)[:, 0].numpy(), np.log(power + 1e-7) / 12, rtol=0, atol=1e-5)


def test_log_spectrogram_follows_scipy_for_other_settings(pcm: Tensor) -> None:
    for fft, overlap, taper in [(256, 0, 1.0), (301, 100, 0.5), (400, 399 - 39, 0.0)]:
        front_end = LogSpectrogram(seconds=0.5, fft=fft, overlap=overlap, taper=taper)
        heard = front_end.waveforms(pcm)
        _, _, power = signal.spectrogram(
            heard.double().numpy(), RATE, window=("tukey", taper), nperseg=fft, noverlap=overlap
        )
        assert_allclose(front_end.power(heard)[:, 0].numpy(), power, rtol=1e-3, atol=1e-13)


def test_shapes_of_the_field() -> None:
    assert MelSpectrogram().shape == (257, 670)
    assert LogSpectrogram().shape == (257, 671)
    assert LogSpectrogram(seconds=3.0).shape == (257, 200)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize("samples", [1, 1_600, 47_999, 160_000, 200_001])
def test_sounds_of_any_length_give_one_shape(
    front_end: MelSpectrogram | LogSpectrogram, samples: int
) -> None:
    pcm = torch.full((2, samples), 1000, dtype=torch.int16)
    spectrograms = front_end(pcm)
    assert spectrograms.shape == (2, 1, *front_end.shape)
    assert spectrograms.isfinite().all()


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_sound_does_not_depend_on_its_batch(
    front_end: MelSpectrogram | LogSpectrogram, pcm: Tensor
) -> None:
    batch = front_end(pcm.repeat(3, 1))
    alone = torch.cat([front_end(sound[None]) for sound in pcm])
    assert torch.allclose(batch, alone.repeat(3, 1, 1, 1), atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_gpu_gives_the_same(front_end: MelSpectrogram | LogSpectrogram, pcm: Tensor) -> None:
    with torch.autocast("cuda", torch.bfloat16):
        ours = front_end(pcm.cuda())
    assert ours.is_cuda
    assert_allclose(ours.cpu(), front_end(pcm), rtol=0, atol=0.01)


def test_short_sounds_are_repeated_and_long_ones_cut_to_their_middle() -> None:
    pcm = torch.arange(7, dtype=torch.int16)[None]
    assert (fit(pcm, 17) * 32768).tolist() == [[*range(7), *range(7), *range(3)]]
    assert (fit(pcm, 4) * 32768).tolist() == [[1, 2, 3, 4]]
    assert fit(torch.tensor([[-32768, 32767]], dtype=torch.int16), 2).tolist() == [
        [-1, 32767 / 32768]
    ]


def test_doubling_a_sound_adds_6_decibels(pcm: Tensor) -> None:
    quiet, loud = MelSpectrogram()(pcm), MelSpectrogram()(pcm.clamp(-16384, 16383) * 2)
    heard = (pcm.abs().amax(1) < 16384)[:, None, None, None] & (quiet > -90)
    assert heard.any()
    assert_allclose((loud - quiet)[heard].numpy(), 20 * math.log10(2), atol=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MelSpectrogram(hop=0),
        lambda: MelSpectrogram(bins=0),
        lambda: MelSpectrogram(seconds=0.01),
        lambda: MelSpectrogram(fft=1),
        lambda: LogSpectrogram(seconds=-1.0),
        lambda: LogSpectrogram(overlap=512),
        lambda: LogSpectrogram(taper=2.0),
        lambda: MelSpectrogram(seconds=1e305),
        lambda: LogSpectrogram(seconds=math.nan),
        lambda: SoundEffectSpectrogram(seconds=1e305),
        lambda: SoundEffectSpectrogram(seconds=3600.0),
        lambda: MelSpectrogram(bins=2_049),
        lambda: MelSpectrogram(bins=10**20),
        lambda: MelSpectrogram(hop=10**20),
        lambda: MelSpectrogram(seconds=3600.0, fft=16_385),
        lambda: MelSpectrogram(seconds=3600.0, hop=1),
        lambda: MelSpectrogram(seconds=3600.0, bins=2_048),
        lambda: LogSpectrogram(seconds=3600.0, fft=16_385),
        lambda: LogSpectrogram(seconds=3600.0, overlap=511),
    ],
)
def test_impossible_settings_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(HearsightError, match="spectrogram"):
        make()


def test_an_hour_is_taken_with_the_settings_of_the_field() -> None:
    assert MelSpectrogram(seconds=3600.0).shape == (257, 241_005)
    assert MelSpectrogram(seconds=3600.0, hop=160, bins=128).shape == (128, 360_001)
    assert LogSpectrogram(seconds=3600.0).shape == (257, 242_015)
    assert SoundEffectSpectrogram(seconds=3000.0).shape == (96, 129_200)


def test_a_sound_without_samples_is_refused() -> None:
    with pytest.raises(HearsightError, match="without a single sample"):
        MelSpectrogram()(torch.zeros(1, 0, dtype=torch.int16))
