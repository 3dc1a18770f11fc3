"""Residual networks, the trunks of frames and sounds in most papers of the field."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from hearsight.model.activation_checkpointing import recomputed
from hearsight.model.distributed import BatchNorm

Norm = Callable[[int], BatchNorm]

BARE = "meta"  # torch's device of tensors that have a shape and no values


def _convolution(inner: int, outer: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False, device=BARE)


def _shortcut(inner: int, outer: int, stride: int, norm: Norm) -> nn.Sequential:
    """Nothing, or a convolution where the number of channels or cells changes."""
    if stride == 1 and inner == outer:
        return nn.Sequential()
    return nn.Sequential(_convolution(inner, outer, 1, stride), norm(outer))


def _activated(
    norm: BatchNorm,
    convolution: nn.Conv2d,
    values: Float[Tensor, "b inner h w"],
    checkpointing: bool,
) -> Float[Tensor, "b outer h2 w2"]:
    """Convolve what is normalised and activated; with checkpointing `values` alone are kept."""
    return recomputed(
        lambda inputs: convolution(relu(norm(inputs), inplace=True)), values, active=checkpointing
    )


def _added(
    inside: Float[Tensor, "b c h w"], shortcut: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    """The activated sum, in the memory of `inside`: gradients of what made it do not need it."""
    return relu(inside.add_(shortcut), inplace=True)


class Block(nn.Module):
    """Basic residual block: two 3 x 3 convolutions (He et al., CVPR 2016, Fig. 5 left)."""

    expansion: ClassVar[int] = 1  # channels of its output per channel of its width
    activation_checkpointing = False

    def __init__(self, inner: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.first = _convolution(inner, width, 3, stride)
        self.first_norm = norm(width)
        self.second = _convolution(width, width, 3, 1)
        self.second_norm = norm(width)
        self.shortcut = _shortcut(inner, width, stride, norm)

    def forward(self, values: Float[Tensor, "b inner h w"]) -> Float[Tensor, "b outer h2 w2"]:
        inside = self.first(values)
        inside = _activated(self.first_norm, self.second, inside, self.activation_checkpointing)
        return _added(self.second_norm(inside), self.shortcut(values))


class Bottleneck(nn.Module):
    """Residual block of a wide network: 1 x 1, 3 x 3, 1 x 1 (He et al., CVPR 2016, Fig. 5 right).

    Differs from the paper: the 3 x 3 convolution has the stride, not the one before it, as in the
    weights that torchvision, timm and the hub have (ResNet-50 "v1.5").
    """

    expansion: ClassVar[int] = 4
    activation_checkpointing = False

    def __init__(self, inner: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        outer = width * self.expansion
        self.first = _convolution(inner, width, 1, 1)
        self.first_norm = norm(width)
        self.second = _convolution(width, width, 3, stride)
        self.second_norm = norm(width)
        self.third = _convolution(width, outer, 1, 1)
        self.third_norm = norm(outer)
        self.shortcut = _shortcut(inner, outer, stride, norm)

    def forward(self, values: Float[Tensor, "b inner h w"]) -> Float[Tensor, "b outer h2 w2"]:
        inside = self.first(values)
        inside = _activated(self.first_norm, self.second, inside, self.activation_checkpointing)
        inside = _activated(self.second_norm, self.third, inside, self.activation_checkpointing)
        return _added(self.third_norm(inside), self.shortcut(values))


class Trunk(nn.Module):
    """A residual network from an image or spectrogram to a grid of features.

    Args:
        channels: of its input.
        widths: channels of each stage, which a bottleneck makes four times as many.
        blocks: residual blocks of each stage.
        strides: of each stage.
        stem: kernel and stride of the first convolution.
        pool: whether 3 x 3 max pooling of stride 2 follows it.
        norm: makes a batch normalisation.
        block: the kind of residual block.
    """

    activation_checkpointing = False

    def __init__(
        self,
        channels: int,
        *,
        widths: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[int],
        stem: tuple[int, int],
        pool: bool,
        norm: Norm,
        block: type[Block | Bottleneck] = Block,
    ) -> None:
        super().__init__()
        inner = widths[0]
        self.stem = _convolution(channels, inner, *stem)
        self.stem_norm = norm(inner)
        self.pool = pool
        self.stages = nn.Sequential()
        for width, count, stride in zip(widths, blocks, strides, strict=True):
            stage = nn.Sequential()
            for at in range(count):
                stage.append(block(inner, width, 1 if at else stride, norm))
                inner = width * block.expansion
            self.stages.append(stage)

    def forward(self, values: Float[Tensor, "b channels y x"]) -> Float[Tensor, "b c h w"]:
        inside = recomputed(self._begin, values, active=self.activation_checkpointing)
        grid: Tensor = self.stages(inside)
        return grid

    def _begin(self, values: Float[Tensor, "b channels y x"]) -> Float[Tensor, "b inner h w"]:
        """The stem and its pooling."""
        inside = relu(self.stem_norm(self.stem(values)), inplace=True)
        return max_pool2d(inside, 3, 2, 1) if self.pool else inside
