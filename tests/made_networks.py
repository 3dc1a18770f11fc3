"""Weights of networks by the names that others gave them."""

import torch
from torch import Tensor


def resnet_18() -> dict[str, Tensor]:
    """Weights by torchvision's names, small enough to keep values in range."""
    torch.manual_seed(1)
    found: dict[str, Tensor] = {}

    def norm(name: str, channels: int) -> None:
        found[f"{name}.weight"] = torch.rand(channels) + 0.5
        found[f"{name}.bias"] = torch.randn(channels) / 10
        found[f"{name}.running_mean"] = torch.randn(channels) / 10
        found[f"{name}.running_var"] = torch.rand(channels) + 0.5
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def convolution(name: str, inner: int, outer: int, kernel: int) -> None:
        found[f"{name}.weight"] = (
            torch.randn(outer, inner, kernel, kernel) / (inner * kernel**2) ** 0.5
        )

    convolution("conv1", 3, 64, 7)
    norm("bn1", 64)
    inner = 64
    for layer, outer in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{layer}.{block}"
            convolution(f"{name}.conv1", inner, outer, 3)
            norm(f"{name}.bn1", outer)
            convolution(f"{name}.conv2", outer, outer, 3)
            norm(f"{name}.bn2", outer)
            if inner != outer:
                convolution(f"{name}.downsample.0", inner, outer, 1)
                norm(f"{name}.downsample.1", outer)
            inner = outer
    found["fc.weight"], found["fc.bias"] = torch.randn(1000, 512), torch.randn(1000)
    return found
