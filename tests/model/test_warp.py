"""One draw warps frame and map alike: the released numbers, the draws, a pointwise model."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_numbers import array, read_numbers
from numpy.testing import assert_allclose
from torch import Tensor

from hearsight.model.augmentation import Warp, WarpDraw


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("case", "abcde")
def test_a_move_is_the_released_one(case: str) -> None:
    """Every 7th pixel of the images, the whole maps."""
    known = read_numbers("ssl_tie_warp")[case]
    n, y, x = np.mgrid[:2, :224, :224]
    image = [np.sin((c + 1) * x / 20) + np.cos((n + 1) * y / 15) for c in range(3)]
    n, y, x = np.mgrid[:2, :14, :14]
    small = torch.from_numpy(np.sin((n + 1) * x / 3) + np.cos((n + 2) * y / 4)).float()[:, None]
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    scale = float(known["scale"])
    move = WarpDraw(
        degrees=torch.tensor(known["angles"]),
        zooms=torch.full((2,), scale),
        mirrored=torch.full((2,), known["flip"]),
        resize=scale,
    )
    frames = move(torch.from_numpy(np.stack(image, 1)).float())
    shape = known["image_shape"]  # of the released numbers: of some cases one channel alone
    assert list(frames.shape[2:]) == shape[2:]
    some = frames[:, : shape[1], 3::7, 3::7]
    assert_allclose(some, array(known["image"]), rtol=0, atol=1e-4)
    for ours, name in ((move(small, 224), "map"), (move(large, 224), "map28")):
        assert_allclose(ours[:, 0], array(known[name]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", ["released", "per_image"])
def test_moves_are_drawn_as_the_form_says(form: Any) -> None:
    moves = [Warp(form=form).draw(20, seeded(seed)) for seed in range(400)]
    degrees = torch.stack([move.degrees for move in moves])
    assert set(degrees.unique().tolist()) == set(range(-30, 31))
    assert degrees.abs().mean() == pytest.approx(930 / 61, abs=0.5)
    shrunk = torch.stack([move.zooms for move in moves]) == 0.5
    mirrored = torch.stack([move.mirrored for move in moves])
    for chosen in (shrunk, mirrored):
        assert chosen.float().mean() == pytest.approx(0.5, abs=0.08)
        alike = (chosen == chosen[:, :1]).all(1)
        assert alike.all() if form == "released" else not alike.any()
    resized = [move.resize for move in moves]
    assert resized == [0.5 if form == "released" and s[0] else 1.0 for s in shrunk]
    assert not torch.equal(shrunk[:, 0], mirrored[:, 0])


def test_a_released_move_shrinks_frame_and_map_alike() -> None:
    move = Warp(shrink_probability=1.0).draw(3, seeded(0))
    assert move(torch.rand(3, 3, 96, 96)).shape == (3, 3, 48, 48)
    assert move(torch.rand(3, 1, 12, 12), 96).shape == (3, 1, 6, 6)


def smooth_image(seed: int, side: int) -> Tensor:
    """A (1 3 side side) image of a few slow waves."""
    place = (torch.arange(side) + 0.5) / side * math.pi
    waves = torch.stack([torch.cos(u * place) for u in range(2)])
    amount = torch.randn(3, 2, 2, generator=seeded(seed))
    return torch.einsum("cuv,uy,vx->cyx", amount, waves, waves)[None]


def pointwise_model(images: Tensor, grid: int) -> Tensor:
    """A model without neighbourhoods: each cell's mean colour, weighed by the sound."""
    means = torch.nn.functional.adaptive_avg_pool2d(images, grid)
    return torch.einsum("bcyx,c->byx", means, torch.tensor([0.5, -1.0, 0.7]))[:, None]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), degrees=st.integers(0, 180))
def test_a_pointwise_map_follows_its_image_exactly(seed: int, count: int, degrees: int) -> None:
    """At the image's own resolution there is nothing to interpolate differently."""
    for form in ("released", "per_image"):
        move = Warp(form=form, degrees=float(degrees)).draw(count, seeded(seed))
        images = torch.randn(count, 3, 32, 32, generator=seeded(seed))
        gap = move(pointwise_model(images, 32)) - pointwise_model(move(images), move_side(move, 32))
        assert gap.abs().max() < 1e-4


def move_side(move: WarpDraw, side: int) -> int:
    return round(move.resize * side)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_coarse_map_follows_its_image_within_the_frame(seed: int) -> None:
    """On a 14 x 14 grid, away from where the outside enters and within what shrinking blurs."""
    for form in ("released", "per_image"):
        move = Warp(form=form).draw(1, seeded(seed))
        image, side = smooth_image(seed, 112), move_side(move, 112)
        grid = move_side(move, 14)
        followed = move(pointwise_model(image, 14), 112)
        moved = pointwise_model(move(image), grid)
        inside = torch.nn.functional.adaptive_avg_pool2d(move(torch.ones(1, 1, 112, 112)), grid)
        shrunk = move(torch.nn.functional.pad(torch.ones(1, 1, 12, 12), (1, 1, 1, 1)), 112)
        kept = (inside > 0.999) & (shrunk > 0.999)
        assert kept.any()
        assert moved.shape == followed.shape
        assert side % grid == 0
        assert (followed - moved)[kept].abs().max() < 0.1 * pointwise_model(image, 14).std() + 0.01
