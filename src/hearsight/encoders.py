"""From pixels and spectrograms to vectors: a frame becomes a grid of them, a sound becomes one.

Both encoders are residual networks of the ResNet-18 family, trained from scratch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, batch_norm, max_pool2d, relu

from hearsight.errors import HearsightError
from hearsight.response import response


@dataclass(slots=True, kw_only=True)
class Encoder:
    """The shape of the two networks; the defaults are SSL-TIE's.

    Source
        SSL-TIE as released: ResNet-18 (He et al., CVPR 2016) with stride 1 in its last stage and
        no projection head; a frame of 3 x 224 x 224 gives 512 x 14 x 14, a spectrogram of
        1 x 257 x 670 gives 512 x 17 x 42, of which the largest value per channel is kept.
    Differs from the released code
        When a clip's frame is seen twice (plain and warped) its sound is embedded once, not twice
        with the same result. Running statistics of the sound network then move once a step;
        `sound_momentum` 0.19 = 1 - 0.9^2 moves them as far as two updates at 0.1 do.

    Raises:
        HearsightError: a width, stride or kernel that makes no network.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels of each stage; the last embeds
    blocks: tuple[int, ...] = (2, 2, 2, 2)  # residual blocks of each stage
    strides: tuple[int, ...] = (1, 2, 2, 1)  # of each stage, for frames
    sound_strides: tuple[int, ...] = (1, 2, 2, 1)  # of each stage, for spectrograms
    stem_kernel: int = 7  # pixels, odd
    stem_stride: int = 2
    stem_pool: bool = True  # halve once more by a 3 x 3 maximum
    momentum: float = 0.1  # share of the newest batch in the running statistics of frames
    sound_momentum: float = 0.1  # the same for sounds; 0.19 repeats the released two updates
    sync_batch_norm: bool = True  # with several processes: statistics of the joined batch

    def __post_init__(self) -> None:
        per_stage = (self.widths, self.blocks, self.strides, self.sound_strides)
        if len({len(values) for values in per_stage}) != 1 or not self.widths:
            raise HearsightError(
                "encoder.widths, blocks, strides and sound_strides need one number per stage each."
            )
        if min(self.stem_stride, *(n for values in per_stage for n in values)) < 1:
            raise HearsightError("The widths, blocks and strides of encoder must be at least 1.")
        if self.stem_kernel < 1 or self.stem_kernel % 2 == 0:
            raise HearsightError(
                f"encoder.stem_kernel must be odd and positive, not {self.stem_kernel}."
            )
        if not (0 < self.momentum <= 1 and 0 < self.sound_momentum <= 1):
            raise HearsightError("encoder.momentum and sound_momentum must lie in (0, 1].")


class _Gather(torch.autograd.Function):
    """`gather` and its gradient: what every process asks of this process's values, summed."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[dist.get_rank()]


def process_count() -> int:
    """How many processes train together; 1 where torch.distributed is not in use."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(values: Float[Tensor, "n c"]) -> Float[Tensor, "processes n c"]:
    """The values of all processes in order of rank, with gradients back to each of them.

    Every process must give the same shape. The gradient that arrives in a process is that of the
    SUM of all processes' losses, so averaging gradients (as DistributedDataParallel does) gives
    that of their mean.
    """
    if process_count() == 1:
        return values[None]
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]
    return gathered


class BatchNorm(nn.Module):
    """Batch normalisation over all processes, on CPU and GPU alike.

    In training with several processes (each with an equally large part of the batch) mean and
    variance are those of the joined batch, with gradients through both; torch's SyncBatchNorm
    does the same on GPUs only. The gain starts from N(1, 0.02), the offset from 0.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, momentum: float, synchronised: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum = momentum
        self.synchronised = synchronised
        self.epsilon = 1e-5

    def forward(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if self.training and self.synchronised and process_count() > 1:
            return self._joined(values)
        return batch_norm(
            values,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.epsilon,
        )

    def _joined(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        exact = values.to(self.weight.dtype)
        moments = torch.var_mean(exact, dim=(0, 2, 3), correction=0)
        variances, means = gather(torch.stack(moments)).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        with torch.no_grad():
            count = values.numel() // values.shape[1] * process_count()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        gain = (self.weight * (variance + self.epsilon).rsqrt())[:, None, None]
        return ((exact - mean[:, None, None]) * gain + self.bias[:, None, None]).to(values.dtype)


Norm = Callable[[int], BatchNorm]


def _convolution(inner: int, outer: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut past them (He et al., CVPR 2016, Fig. 5 left)."""

    def __init__(self, inner: int, outer: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.first = _convolution(inner, outer, 3, stride)
        self.first_norm = norm(outer)
        self.second = _convolution(outer, outer, 3, 1)
        self.second_norm = norm(outer)
        self.shortcut = nn.Sequential()
        if stride != 1 or inner != outer:
            self.shortcut.extend([_convolution(inner, outer, 1, stride), norm(outer)])

    def forward(self, values: Float[Tensor, "b inner h w"]) -> Float[Tensor, "b outer h2 w2"]:
        inside = relu(self.first_norm(self.first(values)), inplace=True)
        inside = self.second_norm(self.second(inside))
        return relu(inside + self.shortcut(values), inplace=True)


class Trunk(nn.Module):
    """A residual network from pixels to a grid of vectors."""

    def __init__(
        self, channels: int, encoder: Encoder, strides: tuple[int, ...], norm: Norm
    ) -> None:
        super().__init__()
        width = encoder.widths[0]
        self.stem = _convolution(channels, width, encoder.stem_kernel, encoder.stem_stride)
        self.stem_norm = norm(width)
        self.pool = encoder.stem_pool
        self.stages = nn.Sequential()
        for outer, count, stride in zip(encoder.widths, encoder.blocks, strides, strict=True):
            blocks = [Block(width, outer, stride, norm)]
            blocks += [Block(outer, outer, 1, norm) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*blocks))
            width = outer

    def forward(self, values: Float[Tensor, "b channels y x"]) -> Float[Tensor, "b c h w"]:
        inside = relu(self.stem_norm(self.stem(values)), inplace=True)
        if self.pool:
            inside = max_pool2d(inside, 3, 2, 1)
        grid: Tensor = self.stages(inside)
        return grid


class Encoders(nn.Module):
    """The frame network and the sound network of one model.

    Convolutions start from N(0, 2 / fan_out), gains of batch normalisation from N(1, 0.02), drawn
    by torch's global generator.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()

        def norm(momentum: float) -> Norm:
            return lambda channels: BatchNorm(
                channels, momentum=momentum, synchronised=encoder.sync_batch_norm
            )

        self.frames = Trunk(3, encoder, encoder.strides, norm(encoder.momentum))
        self.sounds = Trunk(1, encoder, encoder.sound_strides, norm(encoder.sound_momentum))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BatchNorm):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def embed_frames(self, frames: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b c h w"]:
        """A vector for every place of every frame; not normalised."""
        grid: Tensor = self.frames(frames)
        return grid

    def embed_sounds(self, spectrograms: Float[Tensor, "a 1 bins times"]) -> Float[Tensor, "a c"]:
        """A vector for every sound: the largest value of each channel; not normalised."""
        return adaptive_max_pool2d(self.sounds(spectrograms), 1).flatten(1)

    def forward(
        self, frames: Float[Tensor, "b 3 y x"], spectrograms: Float[Tensor, "a 1 bins times"]
    ) -> Float[Tensor, "b a h w"]:
        """The response map of every frame to every sound, cosines in [-1, 1]."""
        return response(self.embed_frames(frames), self.embed_sounds(spectrograms))
