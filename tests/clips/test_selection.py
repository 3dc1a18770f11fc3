"""Several sources of clips as one, and the clips that a list names, however it writes ids."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_clips import fill, made, picture, tone
from made_models import MadeClips, make_pairs

from hearsight.clips.clip import Clips, DecodedClip, encode_clip
from hearsight.clips.selection import (
    ChosenClips,
    JoinedClips,
    choose,
    name_left_out,
    restrict,
    spread_evenly,
)
from hearsight.datasets.vggsound import VggSsBoxes
from hearsight.errors import HearsightError


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


def test_places_are_spread_from_the_first_to_the_last_without_repeats() -> None:
    assert spread_evenly(10, 4) == [0, 3, 6, 9]
    assert spread_evenly(10, 1) == [0]
    assert spread_evenly(3, 8) == [0, 1, 2]
    assert spread_evenly(0, 8) == []
    for total in (1, 2, 7, 1000):
        for count in (2, 5, 999, 1000):
            places = spread_evenly(total, count)
            assert places == sorted(set(places))
            assert (len(places), places[0], places[-1]) == (min(total, count), 0, total - 1)
            assert set(np.diff(np.diff(places))) <= {-1, 0, 1}  # steps differ by one at most


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
    assert name_left_out(first, "first") == name_left_out(JoinedClips([first]), "first") == []
    joined = JoinedClips([first, Listed("bb", "ccc"), Listed("a", "d")])
    why = "were left out because their ids stand in an earlier source or shard too"
    assert name_left_out(joined, "x y z") == [f"2 of 6 clips of 'x y z' {why}: bb, a."]
    assert name_left_out(joined, "x", most=1) == [f"2 of 6 clips of 'x' {why}: bb and 1 more."]
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


def test_an_id_means_its_own_clip_then_the_same_second_then_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    ids = ("a.mp4", "a", "b.webm", "zpWuikVorYg_000032", "gEvCUcZ6w88_000030")
    clips = Listed(*ids)
    for listed, places in (
        (["a", "a.mp4"], [1, 0]),
        (["b", "zpWuikVorYg_32.0_42.0.wav", "a.wav"], [2, 3, 1]),
        (["zpWuikVorYg,32,dog,train", "gEvCUcZ6w88_30000_40000", "b.mp4"], [3, 4, 2]),
    ):
        path.write_text("\n".join(listed))
        assert choose(clips, path).ids == [ids[place] for place in places]
        assert restrict(clips, path)[0].ids == [ids[place] for place in sorted(places)]
    path.write_text("a\nc.mp4\nzpWuikVorYg_000042\nc.mp4")
    with pytest.raises(HearsightError, match=r"2 of 3 clips .* the first of them 'c\.mp4'"):
        choose(clips, path)
    assert restrict(clips, path)[1] == ["c.mp4", "zpWuikVorYg_000042", "c.mp4"]


def test_the_clips_of_a_list_in_their_own_order(tmp_path: Path) -> None:
    clips = make_pairs(3)
    path = tmp_path / "heard.txt"
    path.write_text("scene 2_1\nelsewhere\nscene 0_0\nscene 2_1\nnowhere\n")
    chosen, unknown = restrict(clips, path)
    assert list(chosen.ids) == ["scene 0_0", "scene 2_1"]
    assert chosen[1].id == "scene 2_1"
    assert unknown == ["elsewhere", "nowhere"]


def test_ids_with_suffixes_and_in_milliseconds(tmp_path: Path) -> None:
    clips = make_pairs(2)
    for place, id in enumerate(["zpWuikVorYg_000032", "gEvCUcZ6w88_000030", "x", "y"]):
        clips.change(place, id=id)
    clips = MadeClips(clips.clips)
    path = tmp_path / "list.csv"
    path.write_text("zpWuikVorYg_000032.mp4\ngEvCUcZ6w88_30000_40000\n")
    chosen, unknown = restrict(clips, path)
    assert (len(chosen), unknown) == (2, [])


def test_lists_of_other_clips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a\nb\n")
    with pytest.raises(HearsightError, match=r"None of the 2 ids .* 'a' there .* 'scene 0_0' here"):
        restrict(make_pairs(1), path)
    with pytest.raises(HearsightError, match=r"cannot be read"):
        restrict(make_pairs(1), tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("name", "count", "missing"),
    [
        ("ezvsl/vggss_heard_test.csv", 2564, 0),
        ("ezvsl/vggss_unheard_test.csv", 2575, 0),
        ("htf/vggss_test_trimmed.csv", 4670, 0),
        ("ssltie/openset/openset_test_110_heard_2425.txt", None, None),
    ],
)
def test_the_real_lists(
    shared: Callable[[str], Path], name: str, count: int | None, missing: int | None
) -> None:
    truth = VggSsBoxes(shared("metadata/lvs/vggss.json"))

    class Named(MadeClips):
        def __init__(self) -> None:
            self.clips, self.ids = [], list(truth.labels)

    chosen, unknown = restrict(Named(), shared(f"metadata/{name}"))
    if count is not None:
        assert (len(chosen), len(unknown)) == (count, missing)
    else:
        assert len(chosen) + len(set(unknown)) == 2425
