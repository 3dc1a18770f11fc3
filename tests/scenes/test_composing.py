"""Layouts: sizes, places and occlusion of sprites."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_packs import flat_cutout
from PIL import Image

from hearsight.clips.truth import box_of
from hearsight.scenes.composing import (
    AREAS,
    LEAST_VISIBLE,
    SOLID,
    Layout,
    PlacedSprite,
    Sprite,
    cover,
    draw_area,
    draw_layout,
    draw_light,
    draw_scaled_sprite,
    paste,
    relight,
    scale_sprite,
)


def stream(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, 0]))


def test_areas_are_drawn_with_their_quantiles() -> None:
    generator = stream(0)
    areas = [draw_area(generator) for _ in range(4000)]
    for chance, area in AREAS[1:-1]:
        assert np.quantile(areas, chance) == pytest.approx(area, rel=0.06)
    assert min(areas) >= AREAS[0][1] - 1e-9
    assert max(areas) <= AREAS[-1][1]


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (30, 30), (256, 26)])
def test_a_view_keeps_proportions_and_has_its_area(shape: tuple[int, int]) -> None:
    sprite = Sprite(flat_cutout((1, 2, 3), *shape))
    generator = stream(1)
    aspect = shape[0] / shape[1]
    for area in (0.02, 0.09, 0.3, 0.6, 0.9):
        shown = draw_scaled_sprite(generator, sprite, area, 200)
        rows, columns = shown.alpha.shape
        assert max(rows, columns) <= 200
        inside = area <= min(aspect, 1 / aspect)
        if inside:
            assert columns / rows == pytest.approx(aspect, rel=0.15)
        most = min(2 * min(aspect, 1 / aspect), 1)
        assert rows * columns / 200**2 == pytest.approx(min(area, most), rel=0.08)


def test_an_object_too_long_for_the_frame_shows_the_part_inside() -> None:
    """A bar, its left half red and its right half blue: what shows is cut, not squeezed."""
    pixels = np.full((20, 200, 4), 255, np.uint8)
    pixels[:, :100, 1:3] = 0
    pixels[:, 100:, :2] = 0
    shown = scale_sprite(Sprite(pixels), (400.0, 40.0), (0.25, 0.0, 0.75, 1.0))
    assert shown.alpha.shape == (40, 200)
    colours = np.asarray(shown.colours.convert("RGB"))
    assert (colours[:, :95] == (255, 0, 0)).all()
    assert (colours[:, 105:] == (0, 0, 255)).all()
    mirrored = scale_sprite(Sprite(pixels), (400.0, 40.0), (0.0, 0.0, 0.5, 1.0), mirrored=True)
    assert (np.asarray(mirrored.colours.convert("RGB"))[:, 5:] == (255, 0, 0)).all()


def test_a_sprite_leaves_its_cutout_alone_and_has_no_dark_seam() -> None:
    pixels = flat_cutout((250, 240, 230), 80, 80)
    before = pixels.copy()
    pixels.flags.writeable = False
    shown = scale_sprite(Sprite(pixels), (37.0, 37.0))
    assert (pixels == before).all()
    colours = np.asarray(shown.colours.convert("RGB")).astype(int)
    assert np.abs(colours[shown.alpha > 0] - (250, 240, 230)).max() <= 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 4))
def test_every_object_is_seen_well_enough(seed: int, silent: int) -> None:
    """Painted one over the other, pixel by pixel, each keeps its share; all lie in the frame."""
    sprites = [Sprite(flat_cutout((9, 9, 9), 20 + 30 * k, 90 - 15 * k)) for k in range(silent + 1)]
    layout = draw_layout(stream(seed), sprites, 64)
    assert len(layout.order) == silent + 1
    owners = np.full((64, 64), -1)
    solids = [placed.sprite.alpha >= SOLID for placed in layout.order]
    for number, (placed, solid) in enumerate(zip(layout.order, solids, strict=True)):
        assert owners[placed.window].shape == solid.shape
        owners[placed.window][solid] = number
    for number, solid in enumerate(solids):
        least = LEAST_VISIBLE[0] if number == layout.source else LEAST_VISIBLE[1]
        assert (owners == number).sum() >= least * solid.sum() > 0
    mask = layout.mask()
    assert (mask == (owners == layout.source)).mean() > 0.97
    assert box_of(mask)[0] < box_of(mask)[2]


def test_a_layout_refuses_what_hides_too_much() -> None:
    square = scale_sprite(Sprite(np.full((20, 20, 4), 255, np.uint8)), (20.0, 20.0))
    half = scale_sprite(Sprite(np.full((20, 10, 4), 255, np.uint8)), (10.0, 20.0))
    layout = Layout(40, 40)
    assert layout.add(PlacedSprite(square, 5, 5), front=True)
    assert not layout.add(PlacedSprite(half, 8, 5), front=True)  # would hide half of the source
    assert not layout.add(PlacedSprite(half, 8, 5), front=False)  # would be hidden itself
    assert layout.add(PlacedSprite(half, 20, 5), front=True)  # hides a quarter
    assert layout.mask().sum() == 300
    assert layout.add(PlacedSprite(half, 0, 5), front=False)  # half of it shows
    assert layout.source == 1
    assert layout.mask().sum() == 300
    assert not layout.add(PlacedSprite(half, 5, 20), front=True)  # the source has no more to give


def test_a_light_moves_colours_towards_one() -> None:
    image = Image.new("RGB", (4, 4), (100, 100, 100))
    assert relight(image, ((200, 100, 0), 0.5)).getpixel((0, 0)) == (150, 100, 50)
    for seed in range(50):
        colour, strength = draw_light(stream(seed))
        assert 0 <= min(colour) <= max(colour) <= 255
        assert -0.25 <= strength <= 0.35


def test_paint_blends_by_alpha() -> None:
    canvas = Image.new("RGB", (8, 8), (0, 0, 100))
    pixels = np.full((2, 2, 4), 200, np.uint8)
    placed = PlacedSprite(scale_sprite(Sprite(pixels), (2.0, 2.0)), 3, 4)
    paste(canvas, placed, ((0, 0, 0), 0.0))
    expected = np.full((8, 8, 3), (0, 0, 100))
    expected[4:6, 3:5] = (157, 157, 178)
    assert np.abs(np.asarray(canvas).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(50, 50), (64, 32), (30, 90)])
def test_a_background_just_covers_the_frame(size: tuple[int, int]) -> None:
    image = cover(np.zeros((60, 80, 3), np.uint8), size)
    assert image.width >= size[0]
    assert image.height >= size[1]
    assert image.width == size[0] or image.height == size[1]
