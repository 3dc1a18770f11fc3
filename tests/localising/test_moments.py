"""Boxes stand around the region that a flood from the peak would fill; paintings blend."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_media import luma_and_chroma, planes_of, smooth
from PIL import Image

from hearsight.localising import painting
from hearsight.localising.moments import (
    STYLES,
    Moment,
    MomentHeatmap,
    VideoPainter,
    connected,
    paint,
    paint_between,
    region_box,
    to_heatmap,
)
from hearsight.media.pixels import coded
from hearsight.media.read import Frame
from hearsight.media.veils import Veils


def flood(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """`connected` by its definition: from each seed over the edges of pixels."""
    inside = np.zeros_like(mask)
    waiting = [tuple(place) for place in np.argwhere(mask & seed)]
    while waiting:
        y, x = waiting.pop()
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not inside[y, x]:
            inside[y, x] = True
            waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return inside


masks = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@settings(max_examples=100, deadline=None)
@given(mask=masks, data=st.data())
def test_connected_is_a_flood(mask: np.ndarray, data: st.DataObject) -> None:
    seed = data.draw(arrays(bool, mask.shape))
    assert np.array_equal(connected(mask, seed), flood(mask, seed))


def test_a_heatmap_goes_from_0_to_1_and_a_flat_map_is_1() -> None:
    scaled = to_heatmap(np.array([[-0.5, 0.0], [0.25, 0.5]], np.float32))
    assert scaled.tolist() == [[0.0, 0.5], [0.75, 1.0]]
    assert (to_heatmap(np.full((3, 3), 0.2, np.float32)) == 1).all()


@pytest.mark.parametrize(("height", "width"), [(360, 640), (120, 120), (1080, 1920), (97, 31)])
def test_the_box_is_where_the_peak_is_in_pixels_of_the_frame(height: int, width: int) -> None:
    heatmap = np.zeros((10, 20), np.float32)
    heatmap[2:6, 12:18] = 1.0
    heatmap[8:, :4] = 0.9  # another region, not connected with the peak
    heatmap[3, 14] = 1.01
    box, share = region_box(heatmap, height, width)
    expected = np.array([12 / 20 * width, 2 / 10 * height, 18 / 20 * width, 6 / 10 * height])
    assert np.abs(np.array(box) - expected).max() <= 0.012 * max(height, width) + 1
    assert share == pytest.approx(0.12, abs=0.03)


def test_a_flat_map_is_the_whole_frame() -> None:
    assert region_box(np.ones((7, 7), np.float32), 360, 640) == ((0, 0, 640, 360), 1.0)


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_single_cell_in_a_corner_gives_a_box_inside_the_frame(corner: tuple[int, int]) -> None:
    heatmap = np.zeros((12, 12), np.float32)
    heatmap[corner] = 1.0
    (x0, y0, x1, y1), share = region_box(heatmap, 101, 53)
    assert 0 <= x0 < x1 <= 53
    assert 0 <= y0 < y1 <= 101
    assert 0 < share < 0.05
    assert (x0 == 0) == (corner[1] == 0)
    assert (y1 == 101) == (corner[0] == -1)


def localised(time: float, box: tuple[int, int, int, int] | None, value: int) -> MomentHeatmap:
    moment = Moment(time=time, box=box, confidence=0.7 if box else 0.0, share=0.25 if box else 0.0)
    return MomentHeatmap(moment=moment, heatmap=np.full((4, 4), value if box else 0, np.uint8))


SEEN, UNSEEN = localised(1.0, (10, 10, 30, 30), 255), localised(2.0, None, 0)
PIXELS = np.full((60, 80, 3), 90, np.uint8)


def test_heat_fades_from_a_source_to_none() -> None:
    change = [
        int(np.abs(paint_between(PIXELS, SEEN, UNSEEN, w, "heat").astype(int) - 90).sum())
        for w in (0.0, 0.3, 0.5, 0.7, 1.0)
    ]
    assert change == sorted(change, reverse=True)
    assert change[-1] == 0


def test_boxes_move_between_two_moments_and_a_lone_one_stays_for_its_half() -> None:
    moved = localised(2.0, (30, 20, 50, 40), 255)
    middle = paint_between(PIXELS, SEEN, moved, 0.5, "box")
    assert np.array_equal(middle, painting.box(PIXELS, (20, 15, 40, 35), label="0.70"))
    assert np.array_equal(
        paint_between(PIXELS, SEEN, UNSEEN, 0.4, "box"), paint(PIXELS, SEEN, "box")
    )
    assert np.array_equal(paint_between(PIXELS, SEEN, UNSEEN, 0.6, "box"), PIXELS)


@pytest.mark.parametrize("style", ["heat", "contour", "box"])
def test_without_a_source_the_picture_stays_as_it_is(style: str) -> None:
    assert np.array_equal(paint(PIXELS, UNSEEN, style), PIXELS)


@pytest.mark.parametrize("strip", painting.STRIPS)
def test_a_video_is_painted_by_its_moments_in_time(strip: str) -> None:
    painter = VideoPainter(
        style="heat", strip=strip, threshold=0.4, duration=4.0, localised=[SEEN, UNSEEN]
    )
    picture = slice(0, {"none": 60, "thin": 57, "full": 50}[strip])  # above the timeline
    for time, like in ((0.0, SEEN), (1.0, SEEN), (2.0, UNSEEN), (3.9, UNSEEN)):
        painted = painter(Frame(time, PIXELS))
        assert np.array_equal(painted[picture], paint(PIXELS, like, "heat")[picture])
        assert np.array_equal(painted, paint(PIXELS, like, "heat")) == (strip == "none")
    between = painter(Frame(1.25, PIXELS))
    assert np.array_equal(
        between[picture], paint_between(PIXELS, SEEN, UNSEEN, 0.25, "heat")[picture]
    )


@pytest.mark.parametrize("strip", painting.STRIPS)
@pytest.mark.parametrize("matrix", [1, 6])
def test_a_veil_shows_what_the_painter_paints(strip: str, matrix: int) -> None:
    height, width = 180, 320
    grids = np.random.default_rng(0).integers(0, 256, (3, 3, 5), dtype=np.uint8)
    moments = [
        replace(localised(float(at), (9, 9, 99, 99), 0), heatmap=grown(grid))
        for at, grid in enumerate(grids)
    ]
    moments.append(replace(localised(3.0, None, 0), heatmap=np.zeros((12, 20), np.uint8)))
    painter = VideoPainter(
        style="heat", strip=strip, threshold=0.4, duration=4.0, localised=moments
    )
    above = height - {"none": 0, "thin": 4, "full": 16}[strip]
    pixels, veils = smooth(width, height), Veils(width, height, matrix)
    for time in (0.0, 0.7, 2.1, 3.0):
        laid = veils.lay(painter.veil(time, height, width), coded(pixels, matrix))
        right = luma_and_chroma(painter(Frame(time, pixels)), matrix)
        errors = [np.abs(one - other) for one, other in zip(planes_of(laid), right, strict=True)]
        assert max(error.mean() for error in errors) < 0.5
        assert errors[0].max() <= 3
        for error in errors[1:]:
            assert error[: above // 2].max() <= 3
            assert (
                error.max() <= 10
            )  # where colours of the timeline meet within one pixel of chroma


def grown(grid: np.ndarray) -> np.ndarray:
    """A heatmap of 12 x 20 places from a grid of a quarter as many."""
    return np.asarray(Image.fromarray(grid).resize((20, 12), Image.Resampling.BICUBIC))


def test_a_frame_without_a_source_has_no_veil_but_the_timeline() -> None:
    painter = VideoPainter(style="heat", threshold=0.4, duration=4.0, localised=[UNSEEN])
    veil = painter.veil(1.0, 60, 80)
    assert veil.picture is None
    assert veil.strip is not None
    painter.strip = "none"
    assert painter.veil(1.0, 60, 80) == (None, None)


def test_only_heat_is_a_veil() -> None:
    for style in STYLES:
        painter = VideoPainter(style=style, threshold=0.4, duration=4.0)
        assert (painter.veiler is not None) == (style == "heat")
