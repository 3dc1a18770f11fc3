"""The box around a mask."""

import numpy as np

from hearsight.clips.truth import bounds, box_of


def test_bounds_and_boxes() -> None:
    mask = np.zeros((10, 20), bool)
    assert bounds(mask) == (0, 0, 0, 0)
    mask[2:5, 4:15] = True
    mask[3, 6] = False
    assert bounds(mask) == (4, 2, 15, 5)
    assert box_of(mask) == (0.2, 0.2, 0.75, 0.5)
