"""Changes of colour against Pillow, colorsys and scipy."""

import colorsys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter
from torch import Tensor

from hearsight.model import colour

FACTORS = (0.0, 0.6, 1.0, 1.4)


@pytest.fixture
def images() -> Tensor:
    """Four small images of whole 8-bit values: noise, a ramp, greys, pure colours."""
    noise = torch.randint(0, 256, (3, 12, 16), generator=torch.Generator().manual_seed(0))
    ramp = torch.arange(192).view(1, 12, 16) * torch.tensor([1.0, 0.5, 1.25])[:, None, None]
    greys = torch.arange(192).view(1, 12, 16).expand(3, 12, 16)
    pure = torch.cartesian_prod(*[torch.tensor([0, 128, 255])] * 3).T[:, :24].repeat(1, 8)
    return torch.stack([noise, ramp.int(), greys, pure.view(3, 12, 16)]).float() / 255


def as_pillow(image: Tensor) -> Image.Image:
    pixels = (image * 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels.numpy()))


@pytest.mark.parametrize(
    ("change", "enhance"),
    [
        (colour.brighten, ImageEnhance.Brightness),
        (colour.change_contrast, ImageEnhance.Contrast),
        (colour.saturate, ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", FACTORS)
def test_changes_are_pillows(
    images: Tensor, change: Callable[[Tensor, Tensor], Tensor], enhance: type, factor: float
) -> None:
    changed = change(images, torch.full((len(images),), factor))
    for image, ours in zip(images, changed, strict=True):
        known = np.asarray(enhance(as_pillow(image)).enhance(factor), dtype=float) / 255
        assert_allclose(ours.permute(1, 2, 0).numpy(), known, rtol=0, atol=1.5 / 255)


def test_grey_is_pillows(images: Tensor) -> None:
    known = [np.asarray(as_pillow(image).convert("L")) / 255 for image in images]
    assert_allclose(colour.grey(images)[:, 0].numpy(), known, rtol=0, atol=1 / 255)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.03, 0.1, 0.5])
def test_hue_turns_as_in_colorsys(images: Tensor, turn: float) -> None:
    shifted = colour.shift_hue(images, torch.full((len(images),), turn))
    for image, ours in zip(images, shifted, strict=True):
        for pixel, found in zip(image.flatten(1).T, ours.flatten(1).T, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*pixel.tolist())
            known = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            assert found.tolist() == pytest.approx(known, abs=1e-5)


def test_blur_is_scipys_gaussian_filter(images: Tensor) -> None:
    deviations = torch.tensor([0.1, 0.7, 1.3, 2.0])
    reach = int(colour.blur_reach(deviations).max())
    blurred = colour.blur(images, deviations, reach)
    for image, deviation, ours in zip(images, deviations, blurred, strict=True):
        for known, found in zip(image.numpy(), ours.numpy(), strict=True):
            expected = gaussian_filter(known, float(deviation), mode="nearest", truncate=3.0)
            assert_allclose(found, expected, atol=1e-6)


def test_a_wider_reach_than_needed_changes_nothing(images: Tensor) -> None:
    deviations = torch.tensor([0.0, 0.3, 0.5, 1.0])
    assert_allclose(colour.blur(images, deviations, 3), colour.blur(images, deviations, 6))
    assert torch.equal(colour.blur(images, deviations, 3)[0], images[0])


@pytest.mark.parametrize("change", [colour.brighten, colour.change_contrast, colour.saturate])
def test_factor_1_changes_nothing(
    images: Tensor, change: Callable[[Tensor, Tensor], Tensor]
) -> None:
    assert_allclose(change(images, torch.ones(len(images))), images, atol=1e-6)
    assert_allclose(colour.shift_hue(images, torch.zeros(len(images))), images, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        colour.brighten,
        colour.change_contrast,
        colour.saturate,
        colour.shift_hue,
        lambda images, values: colour.blur(images, values, 6),
    ],
)
def test_each_image_has_its_own_value(
    images: Tensor, change: Callable[[Tensor, Tensor], Tensor]
) -> None:
    before, values = images.clone(), torch.tensor([0.1, 0.3, 0.5, 0.2])
    alone = [change(images[i : i + 1], values[i : i + 1]) for i in range(4)]
    assert_allclose(change(images, values), torch.cat(alone), atol=1e-6)
    assert torch.equal(images, before)


def test_normalised_channels_have_imagenets_mean_and_deviation(images: Tensor) -> None:
    for channel in range(3):
        known = (images[:, channel] - colour.MEAN[channel]) / colour.DEVIATION[channel]
        assert_allclose(colour.normalise(images)[:, channel], known, atol=1e-6)
