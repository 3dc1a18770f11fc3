"""Thumbnails of strips, which JPEG cannot hold as long as they are."""

import numpy as np
import pytest

from hearsight.library.thumbnails import SIDE, small_picture, small_picture_of_scaled
from hearsight.localising.localise import scale_whole_frame
from hearsight.media.picture import decode_picture


@pytest.mark.parametrize("shape", [(1, 70_000), (70_000, 1), (150, 70_000), (70_000, 150)])
def test_of_a_strip_of_any_length_the_whole_is_shown(shape: tuple[int, int]) -> None:
    """Its first half is dark, its second bright."""
    height, width = shape
    long = max(shape)
    half = np.repeat(np.uint8([40, 200]), long // 2)
    strip = np.broadcast_to(half if width == long else half[:, None], shape)
    frame = np.stack([strip] * 3, -1)
    made = [small_picture(frame)]
    if min(shape) > SIDE:
        copied = small_picture_of_scaled(scale_whole_frame(frame, 224), height, width)
        assert copied is not None
        made.append(copied)
    for shown in map(decode_picture, made):
        assert min(shown.shape[:2]) == min(*shape, SIDE)
        assert max(shown.shape[:2]) <= 3000
        along = shown.mean((0, 2)) if width == long else shown.mean((1, 2))
        first, second = np.split(along, 2)
        assert np.median(first) == pytest.approx(40, abs=4)
        assert np.median(second) == pytest.approx(200, abs=4)
