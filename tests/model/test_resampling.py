"""Crops and rotations against Pillow and their definition, one pixel at a time."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from torch import Tensor

from hearsight.model import resampling

UPRIGHT = torch.zeros(1, dtype=torch.bool)


@pytest.fixture
def frame() -> Tensor:
    noise = torch.randint(0, 256, (1, 3, 20, 30), generator=torch.Generator().manual_seed(0))
    return noise.byte()


@pytest.mark.parametrize("box", [(0, 0, 30, 20), (5, 3, 17, 19), (29, 0, 30, 20), (7, 7, 8, 8)])
def test_an_enlarged_crop_is_pillows(frame: Tensor, box: tuple[int, int, int, int]) -> None:
    side = 32
    ours = resampling.crop(frame, torch.tensor([box]).float(), UPRIGHT, side)[0]
    for channel, found in zip(frame[0].numpy(), ours, strict=True):
        exact = Image.fromarray(channel.astype(np.float32)).crop(box)
        known = np.asarray(exact.resize((side, side), Image.Resampling.BILINEAR)) / 255
        assert_allclose(found, known, atol=1e-5)


def test_a_reduced_crop_takes_the_four_nearest_pixels(frame: Tensor) -> None:
    x0, y0, x1, y1, side = 3, 2, 25, 19, 7
    ours = resampling.crop(frame, torch.tensor([[x0, y0, x1, y1]]).float(), UPRIGHT, side)[0]
    for row in range(side):
        for column in range(side):
            y = y0 + (row + 0.5) / side * (y1 - y0) - 0.5
            x = x0 + (column + 0.5) / side * (x1 - x0) - 0.5
            top, left = math.floor(y), math.floor(x)
            corners = frame[0, :, top : top + 2, left : left + 2].double() / 255
            down = torch.tensor([top + 1 - y, y - top], dtype=torch.float64)
            right = torch.tensor([left + 1 - x, x - left], dtype=torch.float64)
            known = torch.einsum("cyx,y,x->c", corners, down, right)
            assert_allclose(ours[:, row, column], known, atol=1e-5)


def test_a_mirrored_crop_is_the_crop_mirrored(frame: Tensor) -> None:
    boxes = torch.tensor([[2.0, 1, 20, 18], [0, 0, 30, 20]])
    both = frame.repeat(2, 1, 1, 1)
    plain = resampling.crop(both, boxes, torch.tensor([False, False]), 16)
    mirrored = resampling.crop(both, boxes, torch.tensor([True, False]), 16)
    assert_allclose(mirrored[0], plain[0].flip(-1), atol=1e-6)
    assert torch.equal(mirrored[1], plain[1])


def test_a_frame_of_one_pixel_fills_the_crop() -> None:
    frame = torch.full((1, 3, 1, 1), 51, dtype=torch.uint8)
    ours = resampling.crop(frame, torch.tensor([[0.0, 0, 1, 1]]), UPRIGHT, 4)
    assert_allclose(ours, 0.2, rtol=1e-6)


def turned_pixel(image: Tensor, x: float, y: float) -> float:
    """Bilinear value of a (h w) image; 0 outside."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += image[row, column].item() * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


@pytest.mark.parametrize(("degrees", "zoom", "mirrored"), [(30, 1.0, False), (-17, 0.5, True)])
def test_rotation_is_its_definition(degrees: int, zoom: float, mirrored: bool) -> None:
    """Each pixel looks back along the inverse rotation about (side / 2, side / 2)."""
    side = 12
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(1))
    ours = resampling.rotate(
        image,
        torch.tensor([float(degrees)]),
        torch.tensor([zoom]),
        torch.tensor([mirrored]),
        canvas=side,
        side=side,
    )[0, 0]
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    for row in range(side):
        for column in range(side):
            x = (side - 1 - column if mirrored else column) - side / 2
            y = row - side / 2
            known = turned_pixel(
                image[0, 0], side / 2 + cos * x - sin * y, side / 2 + sin * x + cos * y
            )
            assert ours[row, column].item() == pytest.approx(known, abs=1e-5)


@pytest.mark.parametrize(("canvas", "side"), [(96, 48), (96, 12), (24, 36), (30, 7)])
def test_the_canvas_is_resized_after_the_rotation(canvas: int, side: int) -> None:
    image = torch.rand(2, 2, canvas, canvas, generator=torch.Generator().manual_seed(1))
    move = (torch.tensor([25.0, -4]), torch.tensor([0.5, 1]), torch.tensor([True, False]))
    whole = resampling.rotate(image, *move, canvas=canvas, side=canvas)
    known = torch.nn.functional.interpolate(whole, size=(side, side), mode="bilinear")
    ours = resampling.rotate(image, *move, canvas=canvas, side=side)
    assert_allclose(ours, known, atol=1e-5)


def test_a_turn_of_zero_changes_nothing() -> None:
    image = torch.rand(2, 3, 14, 14)
    still = (torch.zeros(2), torch.ones(2), torch.zeros(2, dtype=torch.bool))
    assert_allclose(resampling.rotate(image, *still, canvas=14, side=14), image, atol=1e-5)
    mirrored = resampling.rotate(image, *still[:2], ~still[2], canvas=14, side=14)
    assert_allclose(mirrored, image.flip(-1), atol=1e-5)


def test_gradients_flow_through_a_rotation() -> None:
    image = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    move = (torch.tensor([20.0]), torch.tensor([0.5]), torch.tensor([True]))
    assert torch.autograd.gradcheck(
        lambda x: resampling.rotate(x, *move, canvas=16, side=4), [image], atol=1e-4
    )
