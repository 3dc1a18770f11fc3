"""Networks as others define and name them, written plainly: what imported weights must equal."""

from collections import OrderedDict

import torch
from made_numbers import read_numbers
from torch import Tensor, nn
from torch.nn.functional import normalize


class PlainBlock(nn.Module):
    """A residual block by torchvision's names; of a ResNet-50 where it has a `conv3`."""

    def __init__(self, inner: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        outer = 4 * width if bottleneck else width
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        channels = (inner, width, width, outer) if bottleneck else (inner, width, outer)
        for at, kernel in enumerate(kernels):
            step = stride if at == (1 if bottleneck else 0) else 1
            layer = nn.Conv2d(channels[at], channels[at + 1], kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{at + 1}", layer)
            setattr(self, f"bn{at + 1}", nn.BatchNorm2d(channels[at + 1]))
        self.count = len(kernels)
        if stride != 1 or inner != outer:
            self.downsample = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, values: Tensor) -> Tensor:
        inside = values
        for at in range(1, self.count + 1):
            inside = getattr(self, f"bn{at}")(getattr(self, f"conv{at}")(inside))
            inside = inside.relu() if at < self.count else inside
        beside = self.downsample(values) if hasattr(self, "downsample") else values
        return (inside + beside).relu()


class PlainResNet(nn.Module):
    """A ResNet by torchvision's names; its forward gives the grid before pooling.

    first: the name of the layer that is used first.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        strides: tuple[int, ...] = (1, 2, 2, 2),
        channels: int = 3,
        bottleneck: bool = False,
        first: str = "conv1",
    ) -> None:
        super().__init__()
        self.first = first
        inner = widths[0]
        setattr(self, first, nn.Conv2d(channels, inner, 7, 2, 3, bias=False))
        self.bn1 = nn.BatchNorm2d(inner)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for at, (width, count, stride) in enumerate(zip(widths, blocks, strides, strict=True), 1):
            stage = []
            for number in range(count):
                step = 1 if number else stride
                stage.append(PlainBlock(inner, width, step, bottleneck=bottleneck))
                inner = 4 * width if bottleneck else width
            setattr(self, f"layer{at}", nn.Sequential(*stage))
        self.count = len(widths)
        self.fc = nn.Linear(inner, 10)

    def forward(self, values: Tensor) -> Tensor:
        inside = self.maxpool(self.bn1(getattr(self, self.first)(values)).relu())
        for at in range(1, self.count + 1):
            inside = getattr(self, f"layer{at}")(inside)
        return inside


class PlainMethod(nn.Module):
    """The networks of a released method, and the maps that it is scored by.

    method: as `hearsight import-weights --method`.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        grid = method in ("lvs", "ssl-align")
        strides = (1, 2, 2, 1) if grid else (1, 2, 2, 2)
        first = "conv1_a" if grid else "conv1"
        self.imgnet = PlainResNet((2, 2, 2, 2), strides=strides)
        self.audnet = PlainResNet((2, 2, 2, 2), strides=strides, channels=1, first=first)
        self.names: tuple[tuple[str, str], ...] = ()
        if grid:  # one class stands for both, with a first layer for each kind of input
            self.imgnet.conv1_a = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
            self.audnet.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            for network in (self.imgnet, self.audnet):
                network.conv1_flow = nn.Conv2d(6, 64, 7, 2, 3, bias=False)
        else:
            numbers = ("1", "2") if method == "slavc" else ("",)
            self.names = tuple((f"img_proj{each}", f"aud_proj{each}") for each in numbers)
            for frames, sounds in self.names:
                setattr(self, frames, nn.Conv2d(512, 512, 1))
                setattr(self, sounds, nn.Linear(512, 512))

    def forward(self, frames: Tensor, spectrograms: Tensor) -> Tensor:
        grids, sounds = self.imgnet(frames), self.audnet(spectrograms).amax((2, 3))
        if not self.names:
            return cosines(grids, sounds)
        maps = [cosines(getattr(self, a)(grids), getattr(self, b)(sounds)) for a, b in self.names]
        return torch.stack(maps).mean(0)


def cosines(grids: Tensor, sounds: Tensor) -> Tensor:
    """The cosine of each place of each frame with that frame's own sound."""
    return (normalize(grids, dim=1) * normalize(sounds, dim=1)[:, :, None, None]).sum(1)


@torch.no_grad()
def fill(network: nn.Module, seed: int = 3) -> nn.Module:
    """Give a network random weights and statistics as of one that was trained; in evaluation."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            value.zero_()
            continue
        if value.dim() > 1:
            fan = value[0].numel()
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5)
        else:
            spread = torch.rand(value.shape, generator=generator)
            value.copy_(0.5 + spread if "var" in name or "weight" in name else spread - 0.5)
    return network.eval()


def released_entries() -> OrderedDict[str, Tensor]:
    """A model file of SSL-TIE's released layout, all 257 entries of it.

    Each holds one number in every place, which is saved once: files of 90 MB take their time.
    """
    known = read_numbers("ssl_tie_forward")
    entries = zip(known["state_keys"], known["state_shapes"], strict=True)
    return OrderedDict(
        (key, torch.tensor(0 if key.endswith("tracked") else len(key) / 1000).expand(shape))
        for key, shape in entries
    )
