"""Distributions of the draws; one draw changes frame and map alike."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_numbers import array, read_numbers
from numpy.testing import assert_allclose
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.media.picture import resize_bicubic
from hearsight.model import augmentation, colour, resampling
from hearsight.model.augmentation import (
    Appearance,
    AppearanceDraw,
    MaskDraw,
    Mixing,
    SpectrogramMask,
    Warp,
    centre_crop,
    evaluation_frame,
)
from hearsight.model.spectrogram import MelSpectrogram

MANY = 4000
SETTINGS = [
    Appearance(),
    Warp(),
    Warp(form="per_image"),
    SpectrogramMask(times=20, bins=5),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames_and_sizes(count: int, filling: int = 0) -> tuple[Tensor, Tensor]:
    """Noise frames of several sizes in canvases of 40 x 50, the rest filled with one value."""
    frames = torch.randint(0, 256, (count, 3, 40, 50), generator=seeded(), dtype=torch.uint8)
    sizes = torch.tensor([[40, 30], [25, 50], [33, 33], [40, 50]]).repeat(count, 1)[:count]
    for frame, (height, width) in zip(frames, sizes.tolist(), strict=True):
        frame[:, height:] = filling
        frame[:, :, width:] = filling
    return frames, sizes


def apply(drawn: Any, start: int, stop: int, device: str = "cpu") -> Tensor:
    """The drawn object applied to the rows `start` to `stop` of an input it takes."""
    if isinstance(drawn, AppearanceDraw):
        frames, sizes = frames_and_sizes(stop)
        return drawn(frames[start:].to(device), sizes[start:].to(device), 16)
    rows, columns = (30, 40) if isinstance(drawn, MaskDraw) else (9, 9)
    values = torch.arange(1.0, stop * rows * columns + 1) / (rows * columns)
    return drawn(values.view(stop, 1, rows, columns)[start:].to(device))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: type(s).__name__)
@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 20), data=st.data())
def test_a_part_of_the_joined_draw_is_the_whole_in_part(
    setting: Any, count: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    whole = setting.draw(count, seeded(7))
    part = setting.draw(count, seeded(7)).part(start, stop).to("cpu")
    assert_allclose(apply(part, start, stop), apply(whole, 0, count)[start:stop], atol=1e-5)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: type(s).__name__)
def test_draws_follow_the_seed_alone(setting: Any) -> None:
    first, second, other = (apply(setting.draw(8, seeded(s)), 0, 8) for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: type(s).__name__)
def test_a_gpu_gives_the_same(setting: Any) -> None:
    drawn = setting.draw(30, seeded())
    ours = apply(drawn.to("cuda"), 0, 30, "cuda")
    assert ours.is_cuda
    assert_allclose(ours.cpu(), apply(drawn, 0, 30), atol=1e-3)


# Appearance


def test_padding_is_never_seen() -> None:
    looks = Appearance().draw(32, seeded())
    black, white = (frames_and_sizes(32, filling) for filling in (0, 255))
    assert torch.equal(looks(*black, 24), looks(*white, 24))
    assert torch.equal(centre_crop(*black, 24), centre_crop(*white, 24))


def test_crops_have_the_drawn_shares_and_shapes() -> None:
    looks = Appearance().draw(MANY, seeded())
    x0, y0, x1, y1 = looks.boxes(torch.tensor([[400, 400]]).repeat(MANY, 1)).unbind(1)
    assert (x0 >= 0).all()
    assert (y0 >= 0).all()
    assert (x1 <= 400).all()
    assert (y1 <= 400).all()
    share, ratio = (x1 - x0) * (y1 - y0) / 160_000, (x1 - x0) / (y1 - y0)
    assert share.min() > 0.295
    assert share.max() > 0.95
    assert 0.5 < share.mean() < 0.65  # large ones fit less often
    assert ratio.min() > 0.74
    assert ratio.max() < 1.35
    assert ratio.log().mean() == pytest.approx(0, abs=0.01)
    assert (x0 / (400 - (x1 - x0)).clamp(min=1)).mean() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(x0, x0.round())


def test_a_frame_into_which_no_box_fits_gives_its_middle() -> None:
    boxes = Appearance().draw(50, seeded()).boxes(torch.tensor([[10, 200], [200, 10]] * 25))
    assert (boxes[::2] == torch.tensor([93, 0, 106, 10])).all()
    assert (boxes[1::2] == torch.tensor([0, 93, 10, 106])).all()


def test_each_change_is_drawn_with_its_probability() -> None:
    looks = Appearance().draw(MANY, seeded())
    assert looks.coloured.float().mean() == pytest.approx(0.8, abs=0.02)
    assert looks.greyed.float().mean() == pytest.approx(0.2, abs=0.02)
    assert (looks.deviations > 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert looks.mirrored.float().mean() == pytest.approx(0.5, abs=0.03)
    blurred = looks.deviations[looks.deviations > 0]
    assert blurred.min() >= 0.1
    assert blurred.max() <= 2
    assert blurred.mean() == pytest.approx(1.05, abs=0.05)
    shades = looks.shades[looks.coloured]
    assert (shades[:, :3] - 1).abs().max() <= 0.4 + 1e-6
    assert shades[:, 3].abs().max() <= 0.1
    assert shades.std(0).tolist() == pytest.approx([0.8 / 12**0.5] * 3 + [0.2 / 12**0.5], rel=0.05)
    assert (looks.shades[~looks.coloured] == torch.tensor([1.0, 1, 1, 0])).all()
    orders = {Appearance().draw(1, seeded(seed)).order for seed in range(200)}
    assert len(orders) == 24


def test_a_look_is_its_changes_in_order() -> None:
    frames, sizes = frames_and_sizes(20)
    looks = Appearance().draw(20, seeded(3))
    ours = looks(frames, sizes, 20)
    cropped = resampling.crop(frames, looks.boxes(sizes), looks.mirrored, 20)
    changes = [colour.brighten, colour.change_contrast, colour.saturate, colour.shift_hue]
    for index in range(20):
        image = cropped[index : index + 1]
        if looks.coloured[index]:
            for number in looks.order:
                image = changes[number](image, looks.shades[index : index + 1, number])
        if looks.greyed[index]:
            image = colour.grey(image).expand(-1, 3, -1, -1)
        if looks.deviations[index]:
            image = colour.blur(image, looks.deviations[index : index + 1], 6)
        assert_allclose(ours[index], colour.normalise(image)[0], atol=1e-5)


def test_without_changes_a_look_is_plain() -> None:
    frames = torch.randint(0, 256, (3, 3, 32, 32), generator=seeded(), dtype=torch.uint8)
    sizes = torch.full((3, 2), 32)
    still = Appearance(
        smallest_crop=1.0,
        narrowest_crop=1.0,
        colour_probability=0.0,
        grey=0.0,
        blur=0.0,
        mirror=0.0,
    )
    known = colour.normalise(frames.float() / 255)
    assert_allclose(still.draw(3, seeded())(frames, sizes, 32), known, atol=1e-4)
    assert_allclose(centre_crop(frames, sizes, 32), known, atol=1e-4)


def test_plain_is_the_middle_square() -> None:
    frames = torch.randint(0, 256, (1, 3, 32, 40), generator=seeded(), dtype=torch.uint8)
    sizes = torch.tensor([[32, 40]])
    known = colour.normalise(frames[..., 4:36].float() / 255)
    assert_allclose(centre_crop(frames, sizes, 32), known, atol=1e-4)


def test_a_test_frame_is_the_released_one() -> None:
    """Some pixels, and the mean of every row and column."""
    known = read_numbers("ssl_tie_evaluation_frame")
    y, x = np.mgrid[:281, :500]
    rgb = np.stack([x * 255 // 499, y * 255 // 280, 255 * ((x // 25 + y // 25) % 2)], -1)
    frame = evaluation_frame(rgb.astype(np.uint8), 224).numpy().astype(float)
    assert_allclose(frame[:, 3::7, 3::7], array(known["pixels"]), rtol=0, atol=1e-6)
    assert_allclose(frame.mean(2), array(known["of_each_row"]), rtol=0, atol=1e-6)
    assert_allclose(frame.mean(1), array(known["of_each_column"]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(50, 50), (31, 90), (90, 31), (1, 1)])
def test_any_frame_can_be_tested_on(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 128, dtype=np.uint8)
    ours = evaluation_frame(frame, 32)
    assert ours.shape == (3, 32, 32)
    assert ours.amax((1, 2)).tolist() == ours.amin((1, 2)).tolist()


@pytest.mark.parametrize("shape", [(1, 300_000), (300_000, 1), (7, 1000), (1000, 7)])
def test_of_a_strip_only_what_is_seen_is_resized(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of the first would take 92 million pixels of 32 to a side."""
    asked = []

    def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
        asked.append(width * height)
        return resize_bicubic(pixels, width, height)

    long = max(shape)
    waves = 128 + 100 * np.sin((np.arange(long) - (long - 1) / 2) / (4 * min(shape)))
    strip = np.broadcast_to(np.round(waves), sorted(shape)).astype(np.uint8)
    frame = np.stack([strip if shape[1] == long else strip.T] * 3, -1)
    monkeypatch.setattr(augmentation, "resize_bicubic", resized)
    ours = evaluation_frame(frame, 32)
    assert max(asked) <= 32 * 32 * 64
    if long == 1000:
        monkeypatch.setattr(augmentation, "LONGEST", long)
        assert_allclose(ours.numpy(), evaluation_frame(frame, 32).numpy(), rtol=0, atol=0.04)
    middle = frame[shape[0] // 2, shape[1] // 2] / 255
    assert ours.shape == (3, 32, 32)
    found = ours[:, 16, 16].numpy() * np.array(colour.DEVIATION) + np.array(colour.MEAN)
    assert_allclose(found, middle, rtol=0, atol=0.1)


# Spectrogram mask


def test_masks_are_their_definition() -> None:
    masks = SpectrogramMask(times=20, bins=5).draw(50, seeded())
    power = torch.rand(50, 1, 30, 40, generator=seeded()) + 1
    for found, given_, widths, places in zip(
        masks(power), power, masks.widths.tolist(), masks.places.tolist(), strict=True
    ):
        known = given_.clone()
        bin_, time = (
            int(p * (n - w + 1)) for p, n, w in zip(places, (30, 40), widths, strict=True)
        )
        known[:, bin_ : bin_ + widths[0]] = 0
        known[:, :, time : time + widths[1]] = 0
        assert torch.equal(found, known)


def test_masks_are_drawn_with_their_widths_and_probability() -> None:
    masks = SpectrogramMask().draw(MANY, seeded())
    masked = (masks.widths > 0).any(1)
    assert masked.float().mean() == pytest.approx(0.8, abs=0.02)
    bins, times = masks.widths[masked].unbind(1)
    assert (bins.max().item(), times.max().item()) == (35, 180)
    assert bins.float().mean() == pytest.approx(17.5, abs=0.7)
    assert times.float().mean() == pytest.approx(90, abs=3.5)


def test_masked_cells_are_100_decibels_down() -> None:
    front_end = MelSpectrogram(seconds=3.0, hop=360, bins=64)
    loud = torch.randn(4, 48_000, generator=seeded()).clamp(-1, 1)
    masks = SpectrogramMask(times=36, bins=9, probability=1.0).draw(4, seeded())
    decibels = front_end.finish(masks(front_end.power(loud)))
    masked = masks(torch.ones_like(decibels)) == 0
    assert masked.any()
    assert (decibels[masked] == -100).all()
    assert torch.equal(decibels[~masked], front_end.finish(front_end.power(loud))[~masked])


def test_a_mask_is_never_wider_than_its_spectrogram() -> None:
    masks = SpectrogramMask(probability=1.0).draw(20, seeded())
    assert masks(torch.ones(20, 1, 10, 20)).shape == (20, 1, 10, 20)


# Mixing


def test_both_schedules() -> None:
    paper, released = Mixing(schedule="paper"), Mixing()
    assert paper.strength(0, 80) == (0, 0)
    assert paper.strength(79, 80) == (0.65, 1)
    assert paper.strength(40, 81) == pytest.approx((0.325, 1))
    assert released.strength(0, 80) == (0, 0)
    assert released.strength(1, 80) == pytest.approx((0.01, 0.11))
    assert released.strength(50, 80) == pytest.approx((0.5, 0.6))
    assert released.strength(1000, 1001) == (1, 1)
    assert paper.strength(0, 1) == (0, 0)


def test_mixes_are_their_definition() -> None:
    mixing = Mixing()
    blend = mixing.draw(MANY, seeded(), 40, 80)
    alpha, probability = mixing.strength(40, 80)
    mixed = blend.shares > 0
    assert mixed.float().mean() == pytest.approx(probability, abs=0.03)
    assert blend.shares[mixed].tolist() == pytest.approx([alpha] * int(mixed.sum()))
    own, other = torch.randn(2, MANY, 5, generator=seeded())
    found = blend(own, other)
    assert torch.equal(found[~mixed], own[~mixed])
    assert_allclose(found[mixed], (1 - alpha) * own[mixed] + alpha * other[mixed], atol=1e-6)
    part = mixing.draw(MANY, seeded(), 40, 80).part(10, 30)
    assert torch.equal(part(own[10:30], other[10:30]), found[10:30])


def test_the_first_epoch_mixes_nothing() -> None:
    for schedule in ("released", "paper"):
        assert (Mixing(schedule=schedule).draw(100, seeded(), 0, 80).shares == 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Appearance(smallest_crop=1.5),
        lambda: Appearance(hue=0.6),
        lambda: Appearance(blur=-0.1),
        lambda: Appearance(least_blur=3.0),
        lambda: Warp(shrink=0.0),
        lambda: Warp(degrees=-1.0),
        lambda: Warp(mirror=2.0),
        lambda: SpectrogramMask(times=-1),
        lambda: SpectrogramMask(probability=math.nan),
        lambda: Mixing(strongest=1.1),
    ],
)
def test_values_outside_their_range_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(HearsightError, match="must lie between"):
        make()
