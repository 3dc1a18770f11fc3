"""Fused convolutions give what torch's own give, up to rounding, and only where they may."""

import pickle
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, relu6

from hearsight.model.aisfx import SoundEffectNetwork
from hearsight.model.efficientnet import EfficientNetLite0, Pointwise, SamePadded
from hearsight.model.fused_convolution import (
    AVAILABLE,
    Activation,
    FusedConvolutions,
    PackedWeights,
)

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="torch has no oneDNN for x86 here")

ROUNDING = torch.finfo(torch.float32).eps / 2
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda values: values,
    "relu": relu,
    "relu6": relu6,
}


@pytest.fixture(autouse=True)
def no_gradient() -> Iterator[None]:
    with torch.no_grad():
        yield


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep values near 1 over many layers, and biases that ReLU6 cuts at both ends."""
    generator = torch.Generator().manual_seed(seed)
    network.to_empty(device="cpu")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            assert layer.bias is not None
            nn.init.normal_(layer.bias, generator=generator)
    return network.eval().requires_grad_(False)


def layers() -> list[tuple[nn.Conv2d, Activation]]:
    made: list[tuple[nn.Conv2d, Activation]] = [
        (Pointwise(inner, outer), activation)
        for inner, outer in ((3, 5), (16, 96), (112, 40))
        for activation in ACTIVATIONS
    ]
    for kernel, stride, dilation in ((3, 1, 1), (5, 1, 2), (3, 2, 1), (5, 2, 1)):
        one = SamePadded(24, 24, kernel, stride, groups=24, dilation=dilation)
        made.append((one, "relu6"))
    made.append((SamePadded(3, 32, 3, 2), "relu6"))
    return made


@pytest.mark.parametrize("number", range(len(layers())))
def test_a_layer_is_its_definition_within_the_bound_of_rounding(number: int) -> None:
    """|sum computed - sum| <= n u / (1 - n u) times the sum of magnitudes, in whatever order."""
    layer, activation = layers()[number]
    drawn(layer, number)
    exact = deepcopy(layer).double()
    magnitudes = deepcopy(exact)
    for one in (magnitudes.weight, magnitudes.bias):
        assert one is not None
        one.abs_()
    terms = layer.weight[0].numel() + 1
    share = terms * ROUNDING / (1 - terms * ROUNDING)
    generator = torch.Generator().manual_seed(number)
    fused = FusedConvolutions()
    for rows, (height, width) in product((1, 3), ((7, 8), (8, 7), (5, 5), (14, 25))):
        values = torch.randn(rows, layer.in_channels, height, width, generator=generator) * 3
        found = layer(values, fused, activation)
        assert found.shape == exact(values.double()).shape
        bound = sums(magnitudes, values.double().abs()) * share
        wanted = ACTIVATIONS[activation](sums(exact, values.double()))
        assert ((found.double() - wanted).abs() <= bound + ROUNDING * wanted.abs()).all()


def sums(layer: nn.Conv2d, values: Tensor) -> Tensor:
    """The convolution before its activation, padded as TensorFlow does."""
    sides = []
    for length, kernel, stride, dilation in zip(
        values.shape[:1:-1], layer.kernel_size, layer.stride, layer.dilation, strict=True
    ):
        rest = (-(-length // stride) - 1) * stride + (kernel - 1) * dilation + 1 - length
        sides += [max(rest, 0) // 2, max(rest, 0) - max(rest, 0) // 2]
    padded = nn.functional.pad(values, sides)
    return nn.functional.conv2d(
        padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups
    )


NETWORKS = {"frames": EfficientNetLite0, "sounds": SoundEffectNetwork}
SHAPES = {
    "frames": [(1, 3, 224, 400), (3, 3, 96, 160), (2, 3, 225, 33), (1, 3, 50, 97)],
    "sounds": [(1, 1, 96, 130), (3, 1, 96, 87), (8, 1, 96, 130)],
}


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
)
def test_a_network_is_as_near_to_double_precision_as_without(
    name: str, shape: tuple[int, ...]
) -> None:
    network = drawn(NETWORKS[name]())
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    exact = deepcopy(network).double()(values.double())
    found = network(values)
    assert network.packed.of(network, values) is not None  # type: ignore[operator, union-attr]
    with torch.enable_grad():
        plain = network(values.clone().requires_grad_()).detach()
    assert found.shape == plain.shape == exact.shape
    assert not torch.equal(found, torch.zeros_like(found))
    scale = exact.abs().max()
    assert (found - exact).abs().max() <= 1e-5 * scale
    error, usual = ((one - exact).square().mean().sqrt() for one in (found, plain))
    assert error <= 2 * usual


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_not_finite_is_not_lost(name: str) -> None:
    """The fused activation makes 0 of NaN."""
    values = torch.randn(SHAPES[name][1], generator=torch.Generator().manual_seed(2))
    network = drawn(NETWORKS[name]())
    assert network(values).isfinite().all()
    broken = values.clone()
    broken[0, 0, 40, 40] = torch.nan
    assert network(broken).isnan().any()
    for bad in (torch.nan, torch.inf):
        network = drawn(NETWORKS[name]())
        first = next(network.parameters())
        network(values)
        first[0, 0, 0, 0] = bad
        with torch.enable_grad():  # torch's own ReLU6 makes 6 of infinity
            plain = network(values.clone().requires_grad_())
        assert torch.equal(network(values).isfinite(), plain.isfinite())
        assert bad == torch.inf or not plain.isfinite().all()


def test_new_weights_are_noticed_however_they_come() -> None:
    network = drawn(SoundEffectNetwork())
    values = torch.randn(1, 1, 96, 40, generator=torch.Generator().manual_seed(3))

    def check() -> Tensor:
        found = network(values)
        fresh = SoundEffectNetwork().to_empty(device="cpu")
        fresh.load_state_dict(network.state_dict())
        assert torch.equal(found, fresh(values))
        return found

    seen = [check()]
    network.blocks[1][2].weight.mul_(1.5)  # type: ignore[index, union-attr, operator]
    seen.append(check())
    other = drawn(SoundEffectNetwork(), seed=9)
    network.load_state_dict(other.state_dict())
    seen.append(check())
    another = drawn(SoundEffectNetwork(), seed=8)
    network.load_state_dict(another.state_dict(), assign=True)
    seen.append(check())
    network.double().float()
    check()
    network.blocks[3][0].bias = nn.Parameter(torch.ones(512))  # type: ignore[index, union-attr]
    seen.append(check())
    for _ in range(3):  # addresses of freed weights may come again
        network.blocks[0][0].weight.data = network.blocks[0][0].weight.data * 1.1  # type: ignore
        seen.append(check())
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_an_optimiser_is_noticed_and_gradients_are_those_of_torch() -> None:
    network = drawn(EfficientNetLite0())
    network.blocks[15].requires_grad_(True)  # type: ignore[union-attr, index]
    weight = network.blocks[15].project.weight  # type: ignore[union-attr, index]
    values = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    before = network(values)
    with torch.enable_grad():
        loss = network(values).square().mean()
        loss.backward()
    assert weight.grad.abs().max() > 0  # type: ignore[union-attr]
    torch.optim.Adam([weight], lr=0.1).step()
    after = network(values)
    assert (after - before).abs().max() > 0.1
    fresh = EfficientNetLite0().to_empty(device="cpu")
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(after, fresh(values))


def test_packed_weights_are_in_no_copy_and_no_file() -> None:
    network = drawn(SoundEffectNetwork())
    values = torch.ones(1, 1, 96, 40)
    found = network(values)
    names = set(network.state_dict())
    assert all(name.rsplit(".", 1)[1] in ("weight", "bias") for name in names)
    for copied in (deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert copied.packed is not network.packed
        assert copied.packed._kept is None
        assert torch.equal(copied(values), found)


def test_it_is_left_to_torch_where_a_gradient_or_a_precision_is_wanted() -> None:
    network, packed = drawn(EfficientNetLite0()), PackedWeights()
    values = torch.ones(1, 3, 32, 32)
    assert packed.of(network, values) is not None
    with torch.enable_grad():
        assert packed.of(network, values) is not None  # all is frozen
        assert packed.of(network, values.clone().requires_grad_()) is None
        network.blocks[3].requires_grad_(True)  # type: ignore[union-attr, index]
        assert packed.of(network, values) is None
    assert packed.of(network, values) is not None
    assert packed.of(network, values[:0]) is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert packed.of(network, values) is None
    assert packed.of(network.double(), values.double()) is None
    assert packed.of(network, values) is None
