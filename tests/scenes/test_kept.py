"""What is kept of arrays that are read-only."""

import gc

import numpy as np

from hearsight.scenes.kept import Kept
from hearsight.scenes.scenes import Scenes, load_pack


def test_of_an_array_that_is_read_only_it_is_made_once_as_long_as_the_array_is_there() -> None:
    made: list[float] = []

    def total(values: np.ndarray, factor: float) -> float:
        made.append(factor)
        return float(values.sum() * factor)

    kept, values = Kept(total), np.arange(4)
    assert (kept(values, 2.0), kept(values, 2.0)) == (12.0, 12.0)
    values[0] = 1
    assert (kept(values, 2.0), made) == (14.0, [2.0] * 3)  # it could change, and did
    values.flags.writeable = False
    assert [kept(values, factor) for factor in (2.0, 3.0, 2.0)] == [14.0, 21.0, 14.0]
    assert made == [2.0] * 3 + [2.0, 3.0]
    assert len(kept.made) == 2
    del values
    gc.collect()
    assert not kept.made


def test_a_part_of_an_array_that_can_be_written_to_may_change() -> None:
    kept, whole = Kept(lambda values: float(values.sum())), np.arange(4.0)
    part = whole[1:]
    part.flags.writeable = False
    assert kept(part) == 6.0
    whole[1] = 11
    assert kept(part) == 16.0
    whole.flags.writeable = False
    assert (kept(part), kept(part)) == (16.0, 16.0)
    assert len(kept.made) == 1


def test_what_scenes_share_cannot_be_written_to() -> None:
    one, other = (
        Scenes(load_pack("toys", split="val", classes=2), 2, size=size) for size in (40, 64)
    )
    for loop, same in zip(one._bank.loops, other._bank.loops, strict=True):
        assert loop is same
        assert not loop.flags.writeable
    assert one._bank.noise is other._bank.noise
    assert not one._bank.noise.flags.writeable
