"""Mel and log spectrograms of 16-bit samples, batched, on CPU and GPU.

Front ends have three stages that can be called one by one, since training mixes waveforms and
masks power spectrograms:

    waveforms   samples of any length -> `seconds` of them in [-1, 1]
    power       waveforms -> power per band and time
    finish      power -> the encoder's input: decibels or scaled logarithms

A spectrogram is "b 1 bins times", lowest band first.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from jaxtyping import Float, Int16
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.media.samples import RATE, fit_length

QUIETEST = 1e-10  # power at -100 dB, the least of a decibel spectrogram
MOST_SECONDS = 3600  # of a sound, which is computed with as a whole
MOST_FFT = 16_384  # samples per frame: a second
MOST_BINS = 2_048  # mel bands; the methods of the field have up to 257
MOST_VALUES = 2**28  # of all frames of a sound, or of its spectrogram: 1 GiB each
CACHED_SOUNDS = 4  # per pass on a CPU: frames of 10 s take 1.4 MB per sound


class FrontEnd(ABC):
    """The three stages of a front end, of which `power` and `finish` are its own."""

    __slots__ = ()

    seconds: float

    def waveforms(self, pcm: Int16[Tensor, "b n"]) -> Float[Tensor, "b samples"]:
        """`seconds` of sound at `RATE`, in [-1, 1], of sounds of any length.

        Raises:
            HearsightError: sounds without a sample.
        """
        return fit(pcm, round(self.seconds * RATE))

    @abstractmethod
    def power(self, waveforms: Float[Tensor, "b samples"]) -> Float[Tensor, "b 1 bins times"]:
        """Power per band and time."""

    @abstractmethod
    def finish(self, power: Float[Tensor, "b 1 bins times"]) -> Float[Tensor, "b 1 bins times"]:
        """The input of the encoder."""

    def __call__(self, pcm: Int16[Tensor, "b n"]) -> Float[Tensor, "b 1 bins times"]:
        """All three stages."""
        return self.finish(self.power(self.waveforms(pcm)))


@dataclass(slots=True, kw_only=True)
class MelSpectrogram(FrontEnd):
    """Mel spectrogram in decibels; the defaults are SSL-TIE's 257 x 670 for 10 s.

    Hann window, centred frames (reflect padding), power divided by the window's energy,
    triangular filters without area norm on the mel scale 2595 log10(1 + f / 700), then
    10 log10(power), nothing below -100 dB.

    Source: SSL-TIE, Liu et al., ACM MM 2022, as released. With its defaults the lowest filters
    are narrower than the step between two frequencies: 28 of the 257 are empty, at -100 dB.

    Raises:
        HearsightError: a value out of range.
    """

    seconds: float = 10.0  # of input; shorter sounds are repeated, longer ones cut to their middle
    fft: int = 512  # samples per frame
    hop: int = 239  # samples between two frames
    bins: int = 257  # mel bands, from 0 Hz to half the sample rate

    def __post_init__(self) -> None:
        _check(self.seconds, self.fft)
        for name, most in (("hop", MOST_SECONDS * RATE), ("bins", MOST_BINS)):
            if not 1 <= getattr(self, name) <= most:
                raise HearsightError(
                    f"spectrogram.{name} must be 1 to {most:,}, not {getattr(self, name)}."
                )
        check_size(self.seconds, self.shape, self.fft, remedy="set spectrogram.hop higher, or ")

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and times of every spectrogram."""
        return self.bins, (round(self.seconds * RATE) - self.fft % 2) // self.hop + 1

    def power(self, waveforms: Float[Tensor, "b samples"]) -> Float[Tensor, "b 1 bins times"]:
        """Power per mel band, of each frame divided by the energy of its window."""
        device = waveforms.device
        window = hann(self.fft, device)
        filters = mel_filters(self.fft, self.bins, device)
        power = waveforms.new_empty(len(waveforms), 1, *self.shape)
        with torch.autocast(device.type, enabled=False):
            for part in _passes(waveforms):
                frames = _centred(waveforms[part], self.fft // 2).unfold(-1, self.fft, self.hop)
                spectrum = torch.view_as_real(torch.fft.rfft(frames * window))
                squares = spectrum.flatten(2).square_().transpose(1, 2)
                for bands, heard, weights in filters:
                    power[part, 0, bands] = weights @ squares[:, heard]
        return power

    def finish(self, power: Float[Tensor, "b 1 bins times"]) -> Float[Tensor, "b 1 bins times"]:
        """Decibels, at least -100."""
        return power.clamp(min=QUIETEST).log10_().mul_(10)


@dataclass(slots=True, kw_only=True)
class LogSpectrogram(FrontEnd):
    """Log power spectrogram: 257 x 671 for the 10 s of LVS, 257 x 200 for the 3 s of EZ-VSL.

    Power density per hertz as `scipy.signal.spectrogram` computes it: mean of each frame
    subtracted, Tukey window, no padding, one-sided; then log(power + 1e-7) / 12.

    Source: LVS, Chen et al., CVPR 2021 (10 s); EZ-VSL, Mo and Morgado, ECCV 2022 (3 s); both as
    released.

    Raises:
        HearsightError: a value out of range.
    """

    seconds: float = 10.0  # of input; shorter sounds are repeated, longer ones cut to their middle
    fft: int = 512  # samples per frame
    overlap: int = 274  # samples shared by two frames
    taper: float = 0.25  # share of the window in its two cosine flanks
    floor: float = 1e-7  # power added before the logarithm
    divisor: float = 12.0  # of the logarithm

    def __post_init__(self) -> None:
        _check(self.seconds, self.fft)
        if not 0 <= self.overlap < self.fft:
            raise HearsightError(
                f"spectrogram.overlap must lie in 0..{self.fft - 1}, not {self.overlap}."
            )
        if not 0 <= self.taper <= 1 or self.floor <= 0 or self.divisor <= 0:
            raise HearsightError(
                "spectrogram.taper must lie in [0, 1], spectrogram.floor and .divisor above 0."
            )
        remedy = "set spectrogram.overlap lower, or "
        check_size(self.seconds, self.shape, self.fft, remedy=remedy)

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and times of every spectrogram."""
        hop = self.fft - self.overlap
        return self.fft // 2 + 1, (round(self.seconds * RATE) - self.fft) // hop + 1

    def power(self, waveforms: Float[Tensor, "b samples"]) -> Float[Tensor, "b 1 bins times"]:
        """Power per hertz."""
        device = waveforms.device
        window = tukey(self.fft, self.taper, device)
        doubled = one_sided(self.fft, device)
        power = waveforms.new_empty(len(waveforms), 1, *self.shape)
        for part in _passes(waveforms):
            frames = waveforms[part].unfold(-1, self.fft, self.fft - self.overlap)
            frames = (frames - frames.mean(-1, keepdim=True)).mul_(window)
            spectrum = torch.fft.rfft(frames)
            squares = spectrum.real.square() + spectrum.imag.square()
            power[part, 0] = squares.mul_(doubled).transpose(1, 2)
        return power

    def finish(self, power: Float[Tensor, "b 1 bins times"]) -> Float[Tensor, "b 1 bins times"]:
        """log(power + floor) / divisor."""
        return (power + self.floor).log_().div_(self.divisor)


def fit(pcm: Int16[Tensor, "b n"], samples: int) -> Float[Tensor, "b samples"]:
    """Waveforms in [-1, 1]: shorter ones repeated from their start, longer ones cut to the middle.

    Differs from the released code: of a longer sound SSL-TIE and LVS take the first 10 s; their
    sounds are never longer.

    Raises:
        HearsightError: sounds without a sample.
    """
    if not pcm.shape[1]:
        raise HearsightError("A sound without a single sample has no spectrogram.")
    part, times = fit_length(pcm.shape[1], samples)
    waveforms = pcm[:, part].float() * (1 / 32768)
    return waveforms if times == 1 else waveforms.repeat(1, times)[:, :samples]


def mel_triangles(fft: int, bins: int) -> Float[Tensor, "bins frequencies"]:
    """Triangular filters of height 1, evenly spaced on the mel scale from 0 Hz to half of `RATE`.

    Each rises from the centre of the one below to its own and falls to the centre of the next.
    Returned are their values at the `fft // 2 + 1` frequencies, in float64.

    Source: mel = 2595 log10(1 + f / 700), as in HTK.
    """
    highest = 2595 * torch.log10(torch.tensor(1 + RATE / 2 / 700, dtype=torch.float64))
    mels = highest * torch.linspace(0, 1, bins + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequencies = torch.linspace(0, RATE / 2, fft // 2 + 1, dtype=torch.float64)
    return triangular_filters(frequencies, edges)


def triangular_filters(
    places: Float[Tensor, " frequencies"], edges: Float[Tensor, " edges"]
) -> Float[Tensor, "bins frequencies"]:
    """Triangles of height 1 at some places: from each edge to the next but one, the peak between.

    edges: rising, two more than there are triangles; in the unit of `places`.
    """
    gaps = edges.diff()[:, None]
    rising = (places - edges[:-2, None]) / gaps[:-1]
    falling = (edges[2:, None] - places) / gaps[1:]
    return torch.minimum(rising, falling).clamp(min=0)


@cache
def mel_filters(
    fft: int, bins: int, device: torch.device
) -> list[tuple[slice, slice, Float[Tensor, "some few"]]]:
    """`mel_triangles` in float32 as blocks: bands, the rows of the spectrum they cover, weights.

    These are rows of (real, imaginary, real, ...) squares. Each frequency lies in two triangles,
    so on a CPU twelve narrow products take less than half the time of one wide one; a GPU does
    the wide one.
    """
    triangles = mel_triangles(fft, bins).repeat_interleave(2, dim=1)
    count = min(12, bins) if device.type == "cpu" else 1
    blocks = []
    for first, last in pairwise(bins * i // count for i in range(count + 1)):
        heard = triangles[first:last].any(dim=0).nonzero().flatten().tolist() or [0]
        low, high = heard[0], heard[-1] + 1
        weights = triangles[first:last, low:high].float().to(device).contiguous()
        blocks.append((slice(first, last), slice(low, high), weights))
    return blocks


@cache
def hann(fft: int, device: torch.device) -> Float[Tensor, " fft"]:
    """Periodic Hann window of energy 1."""
    window = torch.hann_window(fft, dtype=torch.float64)
    return (window / window.square().sum().sqrt()).float().to(device)


@cache
def tukey(fft: int, taper: float, device: torch.device) -> Float[Tensor, " fft"]:
    """Periodic Tukey window, scaled so that the squared spectrum is power per hertz."""
    place = torch.linspace(0, 1, fft + 1, dtype=torch.float64)[:-1]
    flank = (torch.minimum(place, 1 - place) / (taper / 2)).clamp(max=1) if taper else 1 + 0 * place
    window = (1 - torch.cos(torch.pi * flank)) / 2
    return (window / (RATE * window.square().sum()).sqrt()).float().to(device)


@cache
def one_sided(fft: int, device: torch.device) -> Float[Tensor, " frequencies"]:
    """Factors of a one-sided spectrum: 2, but 1 at 0 Hz and at half the rate."""
    factors = torch.full((fft // 2 + 1,), 2.0, dtype=torch.float32, device=device)
    factors[0] = 1
    if fft % 2 == 0:
        factors[-1] = 1
    return factors


def _passes(waveforms: Float[Tensor, "b samples"]) -> list[slice]:
    """Slices of the batch: on a CPU so small that their frames stay in its cache."""
    size = CACHED_SOUNDS if waveforms.device.type == "cpu" else max(1, len(waveforms))
    return [slice(start, start + size) for start in range(0, len(waveforms), size)]


def _centred(waveforms: Float[Tensor, "b samples"], half: int) -> Float[Tensor, "b more"]:
    """Waveforms with `half` samples of reflect padding at each end; faster than `pad`."""
    before, after = waveforms[:, 1 : half + 1], waveforms[:, -half - 1 : -1]
    return torch.cat([before.flip(1), waveforms, after.flip(1)], dim=1)


def _check(seconds: float, fft: int) -> None:
    """Refuse lengths that hold no frame, or cannot be held."""
    if not 2 <= fft <= MOST_FFT:
        raise HearsightError(f"spectrogram.fft must be 2 to {MOST_FFT:,}, not {fft}.")
    check_seconds(seconds)
    if round(seconds * RATE) < fft:
        raise HearsightError(
            f"spectrogram.seconds must hold a frame of {fft / RATE} s, not {seconds}."
        )


def check_size(seconds: float, shape: tuple[int, int], fft: int, *, remedy: str = "") -> None:
    """Refuse frames or spectrograms of more than `MOST_VALUES`.

    Args:
        seconds: of a sound.
        shape: bands and times of its spectrogram.
        fft: samples of a frame.
        remedy: what else can be done, before the end of the sentence, which takes fewer seconds.

    Raises:
        HearsightError: there are more.
    """
    bins, times = shape
    if times * max(bins, fft) > MOST_VALUES:
        raise HearsightError(
            f"The {seconds:g} s of spectrogram.seconds have {times:,} frames of {fft:,} samples "
            f"and {bins:,} bins, more than can be held: {remedy}take fewer seconds."
        )


def check_seconds(seconds: float) -> None:
    """Refuse a length of sounds that is not above 0, or above `MOST_SECONDS`.

    Raises:
        HearsightError: it is.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise HearsightError(
            f"spectrogram.seconds must be above 0 and at most {MOST_SECONDS:,}, not {seconds}."
        )
