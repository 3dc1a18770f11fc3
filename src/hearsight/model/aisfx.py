"""The aiSFX network, the pretrained trunk of sounds, and the spectrogram that it hears.

Source: Ma and Lerch, Representation Learning for the Automatic Indexing of Sound Effects
Libraries, ISMIR 2022; weights of the PyPI package aisfx 0.1.2 (CC BY 4.0).
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.model.fused_convolution import PackedWeights
from hearsight.model.spectrogram import FrontEnd, check_seconds, check_size, triangular_filters

WIDTHS = (64, 128, 256, 512)  # channels of each block
EPSILON = 1e-5  # of the batch normalisation
HEARD_RATE = 44_100  # samples per second of the sounds that the network learned from
WINDOW, HOP, BANDS = 2048, 1024, 96  # samples of a frame and between two; mel bands
LOUDEST = 9.457798957824707  # the largest logarithm in the network's training data
GAIN = 1e4  # of the power before the logarithm
QUIETEST = 1e-5  # peak of a sound, below which it is not amplified to full scale


@dataclass(slots=True, kw_only=True)
class SoundEffectSpectrogram(FrontEnd):
    """The aiSFX network's spectrogram: 96 mel bands from 0 to 22,050 Hz, 23 ms apart.

    Sounds are brought to 44,100 samples a second and to a peak of 1. Hann window of 2048 samples,
    centred frames (zeros beyond the ends), power, triangles that are linear in mel =
    1127 ln(1 + f / 700) and of unit sum, then log10(10^4 power + 1) / 9.4578. Bands above half of
    `RATE` hear nothing here.

    Raises:
        HearsightError: a value out of range.
    """

    seconds: float = 3.0  # of input; shorter sounds are repeated, longer ones cut to their middle

    def __post_init__(self) -> None:
        check_seconds(self.seconds)
        if round(self.seconds * RATE) < 8 * HOP:
            raise HearsightError(
                f"spectrogram.seconds must be at least {8 * HOP / RATE:.2f}, not {self.seconds}."
            )
        check_size(self.seconds, self.shape, WINDOW)

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and times of every spectrogram."""
        return BANDS, round(round(self.seconds * RATE) * HEARD_RATE / RATE) // HOP + 1

    def power(self, waveforms: Float[Tensor, "b samples"]) -> Float[Tensor, "b 1 bins times"]:
        """Mean power per band."""
        device = waveforms.device
        window = torch.hann_window(WINDOW, periodic=False, dtype=torch.float32, device=device)
        with torch.autocast(device.type, enabled=False):
            heard = resample(waveforms)
            heard = heard / heard.abs().amax(1, keepdim=True).clamp(min=QUIETEST)
            frames = pad(heard, (WINDOW // 2, WINDOW // 2)).unfold(-1, WINDOW, HOP)
            power = torch.fft.rfft(frames * window).abs().square()
            bands: Tensor = (power @ mel_weights(device)).transpose(1, 2)[:, None]
        return bands

    def finish(self, power: Float[Tensor, "b 1 bins times"]) -> Float[Tensor, "b 1 bins times"]:
        """log10(10^4 power + 1) / 9.4578: 0 for silence, 1 for the loudest band learned from."""
        return (GAIN * power + 1).log10_().div_(LOUDEST)


def resample(waveforms: Float[Tensor, "b samples"]) -> Float[Tensor, "b more"]:
    """Waveforms at `RATE` as they are at `HEARD_RATE`, through their spectrum, as if periodic."""
    samples = waveforms.shape[1]
    more = round(samples * HEARD_RATE / RATE)
    spectrum = torch.fft.rfft(waveforms)
    spectrum = pad(spectrum, (0, more // 2 + 1 - spectrum.shape[1]))
    resampled: Tensor = torch.fft.irfft(spectrum, more) * (more / samples)
    return resampled


@cache
def mel_weights(device: torch.device) -> Float[Tensor, "frequencies bins"]:
    """The triangular filters of unit sum, a column each, computed in double precision."""
    frequencies = torch.linspace(0, HEARD_RATE / 2, WINDOW // 2 + 1, dtype=torch.float64)
    mels = (1 + frequencies / 700).log()
    edges = torch.linspace(0, 1, BANDS + 2, dtype=torch.float64) * mels[-1]
    filters = triangular_filters(mels, edges)
    return (filters / filters.sum(1, keepdim=True)).T.float().to(device)


class SoundEffectNetwork(nn.Module):
    """Spectrograms to 768 values: means of the third block, and of the fourth largest ones.

    Batch normalisation is folded into the convolutions. The mean of the third block over time and
    bands tells recordings apart best; of the fourth the mean over time, then the largest of the
    bands, is the network's own output.
    """

    channels = WIDTHS[2] + WIDTHS[3]

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inner, outer, 3, padding=1, device="meta"),
                nn.ReLU(inplace=True),
                nn.Conv2d(outer, outer, 3, padding=1, device="meta"),
                nn.ReLU(inplace=True),
            )
            for inner, outer in pairwise((1, *WIDTHS))
        )
        self.packed = PackedWeights()

    def forward(self, spectrograms: Float[Tensor, "a 1 bins times"]) -> Float[Tensor, "a c 1 1"]:
        inside = spectrograms.transpose(2, 3)
        fused = self.packed.of(self, inside)
        means = inside
        for number, block in enumerate(self.blocks):
            for layer in block.children():
                if fused is None:
                    inside = layer(inside).contiguous(memory_format=torch.channels_last)  # faster
                elif isinstance(layer, nn.Conv2d):
                    inside = fused(layer, inside, "relu")
            if number < 3:
                inside = max_pool2d(inside, 2)
            if number == 2:
                means = inside.mean((2, 3))
        return torch.cat([means, inside.mean(2).amax(2)], 1)[..., None, None]


def released_names() -> dict[str, tuple[str, str]]:
    """Each convolution by our name: its released name, and that of its batch normalisation."""
    return {
        f"blocks.{block}.{2 * at}": (f"{place}.conv{at + 1}", f"{place}.bn{at + 1}")
        for block in range(len(WIDTHS))
        for at in range(2)
        for place in (f"embedding_net.conv_block{block + 1}",)
    }
