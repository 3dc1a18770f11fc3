"""Pairs of scenes: one picture, two objects that sound in turn; duets in which both sound."""

import pickle

import numpy as np
import pytest
from made_packs import LABELS, make_pack

from hearsight.clips.clip import Clips, encoded
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.scenes.pack import Pack
from hearsight.scenes.pairs import Duets, Pairs
from hearsight.scenes.scenes import Scenes
from hearsight.scoring.interactive import groups_of

SHADES = ((250, 20, 20), (20, 250, 20), (20, 20, 250), (250, 250, 20))
COLOURS = dict(zip(LABELS, SHADES, strict=True))


@pytest.fixture(scope="module")
def pack() -> Pack:
    return make_pack(COLOURS)


@pytest.fixture(scope="module")
def pairs(pack: Pack) -> Pairs:
    return Pairs(pack, 6, size=64, seed=3, seconds=0.5)


def test_both_members_show_one_picture(pairs: Pairs) -> None:
    assert isinstance(pairs, Clips)
    assert len(pairs) == len(set(pairs.ids)) == 12
    for scene in range(6):
        first, second = pairs[2 * scene], pairs[2 * scene + 1]
        assert (first.id[-2:], second.id[-2:]) == ("_0", "_1")
        assert first.id[:-2] == second.id[:-2]
        assert np.array_equal(first.frame, second.frame)
        assert first.label != second.label
        assert not np.array_equal(first.sound, second.sound)
        assert first.mask is not None
        assert second.mask is not None
        assert not (first.mask & second.mask).any()
        assert first.boxes != second.boxes
    assert len(groups_of(pairs.ids)) == 6
    assert pairs[-1].id == pairs.ids[11]


def test_the_first_member_is_the_scene_itself(pack: Pack, pairs: Pairs) -> None:
    scenes = Scenes(pack, 6, size=64, silent=(1, 3), seed=3, seconds=0.5)
    for scene in range(6):
        one, other = scenes[scene], pairs[2 * scene]
        assert np.array_equal(one.frame, other.frame)
        assert np.array_equal(one.sound, other.sound)
        assert np.array_equal(one.mask, other.mask)
        assert (one.label, one.boxes) == (other.label, other.boxes)


def test_the_second_mask_is_on_the_second_object(pairs: Pairs) -> None:
    for index in range(1, 12, 2):
        clip = pairs[index]
        assert clip.mask is not None
        assert clip.label is not None
        inside = clip.frame[clip.mask].astype(float).mean(0)
        colour = np.array(COLOURS[clip.label], float)
        # a light of any strength leaves the order of strong and weak channels
        assert inside[colour > 100].min() > inside[colour < 100].max()
        assert clip.source.startswith(clip.label)


def test_sounds_come_alone_and_in_any_process(pairs: Pairs) -> None:
    twin = pickle.loads(pickle.dumps(pairs))
    for index in (0, 1, 7):
        assert np.array_equal(pairs.sound(index), pairs[index].sound)
        assert np.array_equal(twin[index].frame, pairs[index].frame)
    stored = encoded(pairs, 1).decode()
    assert stored.id == pairs.ids[1]
    assert np.array_equal(stored.sound, pairs[1].sound)


def test_a_duet_is_the_sum_of_both(pairs: Pairs) -> None:
    duets = Duets(pairs)
    assert isinstance(duets, Clips)
    assert len(duets) == 6
    both, first, second = duets[2], pairs[4], pairs[5]
    assert both.id == first.id[:-2] == duets.ids[2]
    total = first.sound.astype(np.int32) + second.sound
    assert np.array_equal(both.sound, total.clip(-32768, 32767))
    assert np.array_equal(duets.sound(2), both.sound)
    assert both.boxes == (*(first.boxes or ()), *(second.boxes or ()))
    assert first.mask is not None
    assert second.mask is not None
    assert np.array_equal(both.mask, first.mask | second.mask)
    with pytest.raises(IndexError):
        duets[6]


def test_pairs_by_name() -> None:
    pairs = open_clips("pairs:toys", split="val", size=48, count=3)
    assert list(pairs.ids)[:2] == ["toys-val-0-0000000_0", "toys-val-0-0000000_1"]
    duets = open_clips("duets:toys", split="val", size=48, count=3)
    assert len(duets) == 3
    with pytest.raises(HearsightError, match=r"Unknown pack 'zoo'"):
        open_clips("pairs:zoo")
    with pytest.raises(HearsightError, match="'duets' names no clips"):
        open_clips("duets")


def test_a_pair_needs_two_objects(pack: Pack) -> None:
    with pytest.raises(HearsightError, match="at least one silent object"):
        Pairs(pack, 1, silent=(0, 2))
