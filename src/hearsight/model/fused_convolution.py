"""Convolutions with their activation in one pass over the values, by oneDNN's packed weights.

torch's own convolution brings its weights into the layout of oneDNN in every call, adds the bias
and applies the activation in passes of their own. Here each frozen weight is brought there once.
Sums are those of the same kernels, so that results are equal up to rounding.
"""

import platform
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, relu, relu6

Activation = Literal["none", "relu", "relu6"]

FUSED = {"none": ("none", [], ""), "relu": ("relu", [], ""), "relu6": ("hardtanh", [0.0, 6.0], "")}
AVAILABLE = (  # operations that torch's compiler uses; tried on x86 alone
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and platform.machine().lower() in ("x86_64", "amd64")
    and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")
)


def activate(values: Tensor, activation: Activation) -> Tensor:
    """The activation of values that nothing else needs."""
    if activation == "none":
        return values
    return relu(values, inplace=True) if activation == "relu" else relu6(values, inplace=True)


class FusedConvolutions:
    """Convolutions with their activation; a weight is packed when it is first used."""

    def __init__(self) -> None:
        self._packed: dict[tuple[nn.Module, tuple[int, int]], Tensor] = {}

    def __call__(
        self,
        layer: nn.Conv2d,
        values: Float[Tensor, "b inner h w"],
        activation: Activation,
        *,
        padding: tuple[int, ...] | None = None,
        grown: tuple[int, int] = (0, 0),
    ) -> Float[Tensor, "b outer h2 w2"]:
        """The activation of a convolution, in the layout channels_last.

        Args:
            layer: its zeros around the values are those of `padding`, if that is given.
            values: in any layout, fastest in channels_last.
            activation: of the sums.
            padding: zeros above and below, and left and right.
            grown: zeros before the kernel, above and left.
        """
        padding = (*layer.padding,) if padding is None else padding
        weight = self._packed.get((layer, grown))
        if weight is None:  # two threads may do it twice
            weight = _packed(layer, values.shape, padding, grown)
            self._packed[layer, grown] = weight
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            values.contiguous(memory_format=torch.channels_last),
            weight,
            layer.bias,
            padding,
            layer.stride,
            layer.dilation,
            layer.groups,
            *FUSED[activation],
        )
        return found


@torch.no_grad()
def _packed(
    layer: nn.Conv2d, shape: torch.Size, padding: tuple[int, ...], grown: tuple[int, int]
) -> Tensor:
    above, left = grown
    weight = pad(layer.weight, (left, 0, above, 0)) if any(grown) else layer.weight
    reorder = torch.ops.mkldnn._reorder_convolution_weight
    found: Tensor = reorder(weight, padding, layer.stride, layer.dilation, layer.groups, shape)
    return found


_Kept: TypeAlias = tuple[list[tuple[int, int]], list[Tensor], FusedConvolutions | None]
"""Addresses and versions of weights, the weights, and what was made of them."""


class PackedWeights:
    """Keeps a network's packed weights for as long as its weights stay as they are.

    Nothing is kept in copies of the network or in files. A weight that is written to behind
    torch's back, through `weight.data`, is not noticed.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedWeights, ()

    def of(self, network: nn.Module, values: Tensor) -> FusedConvolutions | None:
        """The convolutions that give `network(values)` faster; None where torch's own are wanted.

        They are where a gradient is, or a graph is made, on other devices and in other precisions,
        and where weights or values are not finite: the fused activation makes 0 of NaN.
        """
        if not _may_fuse(values):
            return None
        weights = list(network.parameters())
        if any(one.is_inference() for one in weights):  # they tell no version
            return None
        if torch.is_grad_enabled() and any(one.requires_grad for one in (values, *weights)):
            return None
        state = [(one.data_ptr(), one._version) for one in weights]
        kept = self._kept
        if kept is None or kept[0] != state:
            # with the weights, so that no other ones take their place in memory
            aliases = [one.detach() for one in weights]
            self._kept = kept = state, aliases, FusedConvolutions() if _sound(weights) else None
        return kept[2] if values.sum().isfinite() else None


def _may_fuse(values: Tensor) -> bool:
    return bool(
        AVAILABLE
        and torch.backends.mkldnn.enabled
        and values.device.type == "cpu"
        and values.dtype == torch.float32
        and values.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.compiler.is_exporting()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )


def _sound(weights: Sequence[Tensor]) -> bool:
    """Whether all are finite, of single precision and on the CPU."""
    return all(
        one.device.type == "cpu" and one.dtype == torch.float32 and bool(one.sum().isfinite())
        for one in weights
    )
