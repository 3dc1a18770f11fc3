"""Several sources of clips as one."""

from pathlib import Path

import numpy as np
import pytest
from made_clips import fill, made, picture, tone

from hearsight.clips.clip import Clips, DecodedClip, encode_clip
from hearsight.clips.joined import ChosenClips, JoinedClips, name_repeated


class Listed:
    """Clips held in a list."""

    def __init__(self, *ids: str, source: str = "") -> None:
        self.ids = list(ids)
        self._source = source

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        id = self.ids[index]
        return DecodedClip(id=id, frame=picture(), sound=self.sound(index), source=self._source)

    def sound(self, index: int) -> np.ndarray:
        return tone(100, seed=len(self.ids[index]))


def test_joined_clips_keep_the_first_of_equal_ids_and_name_the_rest() -> None:
    joined = JoinedClips([Listed("a", "bb", source="1"), Listed("bb", "ccc", source="2")])
    assert isinstance(joined, Clips)
    assert joined.ids == ["a", "bb", "ccc"]
    assert joined.repeated == ["bb"]
    assert [joined[n].source for n in range(len(joined))] == ["1", "1", "2"]
    assert all(np.array_equal(joined[n].sound, joined.sound(n)) for n in range(3))
    assert joined[-1].id == "ccc"
    with pytest.raises(IndexError):
        joined[3]


def test_chosen_clips_keep_their_order() -> None:
    chosen = ChosenClips(Listed("a", "bb", "ccc"), [2, 0])
    assert isinstance(chosen, Clips)
    assert [chosen[n].id for n in range(len(chosen))] == chosen.ids == ["ccc", "a"]
    assert np.array_equal(chosen.sound(0), tone(100, seed=3))


def test_clips_left_out_for_their_ids_are_counted_and_named() -> None:
    first = Listed("a", "bb")
    assert name_repeated(first, "first") == name_repeated(JoinedClips([first]), "first") == []
    joined = JoinedClips([first, Listed("bb", "ccc"), Listed("a", "d")])
    why = "were left out because their ids stand in an earlier source or shard too"
    assert name_repeated(joined, "x y z") == [f"2 of 6 clips of 'x y z' {why}: bb, a."]
    assert name_repeated(joined, "x", most=1) == [f"2 of 6 clips of 'x' {why}: bb and 1 more."]
    again = JoinedClips([joined, Listed("d", "e")])
    assert again.repeated == ["bb", "a", "d"]
    assert ChosenClips(again, [0, 2]).repeated == ["a"]


class Endless(Listed):
    """Clips that change by epoch."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def test_joined_clips_hand_on_the_epoch_and_the_encoded_clip() -> None:
    endless = Endless("a", "bb")
    joined = JoinedClips([Listed("ccc"), ChosenClips(endless, [1])])
    joined.set_epoch(3)
    assert endless.epoch == 3
    assert joined.clip(1) == encode_clip("bb", picture(), tone(100, seed=2))


def test_several_stores_joined_are_one(tmp_path: Path) -> None:
    joined = JoinedClips([fill(tmp_path / "a", range(5)), fill(tmp_path / "b", range(3, 9))])
    assert joined.ids == [f"clip {n}" for n in range(9)]
    assert joined.repeated == ["clip 3", "clip 4"]
    assert all(np.array_equal(joined[n].sound, made(n).decode().sound) for n in range(9))
