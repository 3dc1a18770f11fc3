"""Looks of a cut-out stay whole, keep their colours at the edge, and follow their seed."""

import numpy as np
from jaxtyping import UInt8

from hearsight.scenes.cutout_variants import deform, recolour, vary
from hearsight.scenes.pack import Cutout, Pack, Recording
from hearsight.scenes.scenes import Scenes


def disc(colour: tuple[int, int, int] = (200, 120, 40)) -> UInt8[np.ndarray, "60 90 4"]:
    """An opaque ellipse on invisible white."""
    y, x = np.mgrid[:60, :90]
    inside = ((x - 44.5) / 45) ** 2 + ((y - 29.5) / 30) ** 2 <= 1
    pixels = np.full((60, 90, 4), 255, np.uint8)
    pixels[..., 3] = 255 * inside
    pixels[inside, :3] = colour
    return pixels


def test_all_of_the_object_stays_in_the_picture() -> None:
    for seed in range(40):
        found = deform(disc(), np.random.default_rng(seed))
        seen = found[..., 3]
        assert not seen[0].any()
        assert not seen[-1].any()
        assert not seen[:, 0].any()
        assert not seen[:, -1].any()
        # turning and stretching keep the area, shearing changes it by 1 - shear * tilt at most
        share = (seen >= 128).sum() / (disc()[..., 3] >= 128).sum()
        assert 0.97 < share < 1.03


def test_nothing_comes_in_from_where_nothing_is_seen() -> None:
    for seed in range(10):
        found = deform(disc(), np.random.default_rng(seed))
        solid = found[found[..., 3] >= 64][:, :3].astype(int)
        assert abs(solid - (200, 120, 40)).max() <= 4  # the white around it is not mixed in


def test_colours_change_and_the_outline_does_not() -> None:
    before = disc()
    looks = [recolour(before, np.random.default_rng(seed)) for seed in range(20)]
    for look in looks:
        assert np.array_equal(look[..., 3], before[..., 3])
    middles = np.array([look[30, 45, :3] for look in looks], float)
    assert middles.std(0).min() > 10


def test_a_grey_object_may_be_tinted_and_a_black_one_stays_black() -> None:
    assert not recolour(disc((0, 0, 0)), np.random.default_rng(1))[30, 45, :3].any()


def test_the_same_seed_gives_the_same_look() -> None:
    one, same, other = (vary(disc(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_a_pixel_is_an_object_too() -> None:
    assert vary(np.full((1, 1, 4), 255, np.uint8), np.random.default_rng(0)).shape[2] == 4


def test_scenes_show_all_looks_and_repeat_them() -> None:
    pack = Pack(
        name="made",
        split="train",
        cutouts=(Cutout(id="disc", label="disc", pixels=disc()),),
        recordings=(Recording(id="hum", label="disc", samples=np.full(16_000, 900, np.int16)),),
        backgrounds=(np.zeros((64, 64, 3), np.uint8),),
    )
    scenes = [Scenes(pack, 30, size=64, silent=(0, 0), seed=1, looks=looks) for looks in (4, 4, 1)]
    frames = [np.stack([one[i].frame for i in range(30)]) for one in scenes]
    assert np.array_equal(frames[0], frames[1])
    spreads = []
    for one in scenes[1:]:
        boxes = [one[i].boxes[0] for i in range(30)]
        large = [(x1 - x0) / (y1 - y0) for x0, y0, x1, y1 in boxes if 0.2 < x1 - x0 < 0.9]
        spreads.append(np.std(large))
    assert spreads[0] > 0.1 > spreads[1]
