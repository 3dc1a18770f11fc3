"""Controls in the place of a trunk of sounds: a spectrogram's statistics, and deafness."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hearsight.model.aisfx import BANDS


class SoundControl(nn.Module):
    """What stands where a network of sounds would, without a weight; there is nothing to free."""

    channels: int

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()


class SpectrogramStatistics(SoundControl):
    """The mean and the standard deviation over time of each band of an aiSFX spectrogram.

    They say how much of a localiser's hearing needs no learned ears.
    """

    channels = 2 * BANDS

    def forward(self, spectrograms: Float[Tensor, "a 1 bins times"]) -> Float[Tensor, "a c 1 1"]:
        bands = spectrograms[:, 0]
        both = torch.cat([bands.mean(2), bands.std(2, correction=0)], 1)
        return both[..., None, None]


class Deafness(SoundControl):
    """1 for every sound: what stands behind it knows frames alone, and makes an object map."""

    channels = 1

    def forward(self, spectrograms: Float[Tensor, "a 1 bins times"]) -> Float[Tensor, "a 1 1 1"]:
        return spectrograms.new_ones(len(spectrograms), 1, 1, 1)
