"""Composed scenes: the same every time, with truth that is exact."""

import hashlib

import pytest

from hearsight.datasets.scenes import Pack, Scenes, load_pack


@pytest.fixture(scope="module")
def toys() -> Pack:
    return load_pack("toys", split="val", classes=4)


def digest(scenes: Scenes, index: int) -> str:
    clip = scenes[index]
    assert clip.mask is not None
    return hashlib.sha256(
        clip.frame.tobytes() + clip.sound.tobytes() + clip.mask.tobytes()
    ).hexdigest()


def test_a_seed_gives_the_same_bytes_in_any_order(toys: Pack) -> None:
    one, other = (Scenes(toys, 8, size=64, seed=3) for _ in range(2))
    forward = [digest(one, index) for index in range(8)]
    backward = [digest(other, index) for index in reversed(range(8))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 8
