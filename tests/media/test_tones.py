"""HDR film is seen, and painted, in ordinary tones and colours."""

import math
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import coloured_video

from hearsight.media.read import frames_at, stream_frames
from hearsight.media.tones import HLG, PQ, hlg_light, ordinary, ordinary_tones, pq_coded, pq_light
from hearsight.media.write import paint_video

GREY = 26.0  # cd/m2, of a grey card beside white of 203 (ITU-R BT.2408, table 1)


def test_light_of_pq_and_hlg_is_that_of_the_recommendations() -> None:
    assert pq_light(np.array([0.0, 1.0])) == pytest.approx([0, 10_000])
    assert pq_coded(np.array([GREY, 203.0, 1000.0])) == pytest.approx([0.38, 0.58, 0.75], abs=0.003)
    light = np.geomspace(0.001, 10_000, 50)
    assert pq_light(pq_coded(light)) == pytest.approx(light, rel=1e-6)
    greys = hlg_light(np.array([[0.38] * 3, [0.75] * 3, [1.0] * 3]))
    assert greys[:, 1] == pytest.approx([GREY, 203, 1000], abs=0.5)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_greys_rise_and_keep_their_light_up_to_the_knee(transfer: int) -> None:
    coded = np.repeat(np.linspace(0, 1, 400)[:, None], 3, axis=1)
    shown = ordinary(coded, transfer)
    assert np.abs(shown - shown[:, :1]).max() < 1e-3  # grey stays grey
    assert np.diff(shown[:, 0]).min() > -1e-9
    assert (shown[0, 0], shown[-1, 0]) == pytest.approx((0, 1), abs=1e-4)
    light = pq_light(coded) if transfer == PQ else hlg_light(coded)
    dark = light[:, 0] < 90
    seen = 203 * shown[dark, 0] ** 2.4  # on a screen whose white is 203 cd/m2
    assert seen == pytest.approx(light[dark, 0], abs=0.05)


def test_a_colour_of_an_ordinary_film_inside_hdr_comes_back() -> None:
    colours = np.array([(150, 60, 60), (40, 120, 30), (20, 30, 140), (120, 120, 40)])
    inside = np.array([in_hdr(colour) for colour in colours])
    assert 255 * ordinary(inside, PQ) == pytest.approx(colours, abs=0.6)
    # the table, and values of 8 bits, are less exact
    table = ordinary_tones(np.rint(255 * inside).astype(np.uint8)[None], PQ)[0]
    assert np.abs(table.astype(int) - colours).max() <= 6


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_the_table_is_the_formula(transfer: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    exact = 255 * ordinary(pixels / 255, transfer)
    assert np.abs(ordinary_tones(pixels, transfer) - exact).mean() < 0.4


def in_hdr(colour: Sequence[int]) -> np.ndarray:
    """A colour of BT.709 in BT.2020 with PQ, white at 203 cd/m2, from 0 to 1."""
    light = 203 * (np.array(colour) / 255) ** 2.4
    to_bt2020 = np.array(  # ITU-R BT.2087-0, 4
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    return np.asarray(pq_coded(to_bt2020 @ light))


@pytest.mark.parametrize("kind", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_film_in_hdr_is_read_and_painted_in_bt709(
    tmp_path: Path, transfer: int, kind: str
) -> None:
    path, tags = tmp_path / "a.mkv", (9, 9, transfer)
    red = tuple(np.rint(255 * in_hdr((150, 60, 60))).astype(int).tolist())
    colour = red if transfer == PQ else (97, 97, 97)
    right = (150, 60, 60) if transfer == PQ else (round(255 * math.pow(GREY / 203, 1 / 2.4)),) * 3
    coloured_video(path, colour, height=96, matrix=9, tags=tags, kind=kind)
    for frame in (next(stream_frames(path)), next(frames_at(path, [0.05]))):
        assert np.abs(frame.pixels[::20, ::20].astype(int) - right).max() <= 6
    target = tmp_path / "b.mp4"
    paint_video(path, target, lambda frame: frame.pixels)
    with av.open(str(target)) as container:
        shown = next(container.decode(video=0))
        assert (shown.colorspace, shown.color_primaries, shown.color_trc) == (1, 1, 1)
    pixels = next(stream_frames(target)).pixels
    assert np.abs(pixels[::20, ::20].astype(int) - right).max() <= 8
