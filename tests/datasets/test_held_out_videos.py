"""One's own videos: moments of them, some videos held out whole."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from made_videos import make_videos

from hearsight.clips.clip import Clips
from hearsight.clips.shards import Store
from hearsight.datasets.held_out_videos import open_videos, split_videos, take_moments
from hearsight.datasets.open import is_videos
from hearsight.datasets.videos import video_of
from hearsight.errors import HearsightError


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven: film3 is silent, film10 a copy of film9 by another name."""
    folder = make_videos(tmp_path_factory.mktemp("own") / "films", 10, silent=(3,))
    shutil.copy(folder / "film9.mp4", folder / "film10.mp4")
    return folder


@pytest.fixture(scope="module")
def moments(films: Path) -> Clips:
    return open_videos([str(films)], every=1.0)


@pytest.fixture(scope="module")
def store(moments: Clips, films: Path) -> Store:
    return take_moments(moments, films.parent / "moments")[0]


def videos(ids: list[str]) -> list[str]:
    return [video_of(id) for id in ids]


def test_no_video_is_on_both_sides_and_no_moment_is_lost(moments: Clips, store: Store) -> None:
    split = split_videos(store, moments.ids, seed=4)
    learned, held = set(videos(split.training.ids)), set(videos(split.held_out.ids))
    assert not learned & held
    assert ("film9.mp4" in learned) == ("film10.mp4" in learned)  # they are the same video
    used = sorted([*split.training.ids, *split.held_out.ids])
    assert used == sorted(id for id in moments.ids if video_of(id) != "film3.mp4")
    assert split.quiet == sum(video_of(id) == "film3.mp4" for id in moments.ids) == 3
    assert len(split.names) == 3
    assert len(split.videos) == len(split.held_out)


def test_the_seed_alone_chooses(moments: Clips, store: Store) -> None:
    names = [split_videos(store, moments.ids, seed=seed).names for seed in (4, 4, 5, 6, 7)]
    assert names[0] == names[1]
    assert len({tuple(each) for each in names}) > 1
    # moments of other videos in the store count for nothing
    fewer = [id for id in moments.ids if video_of(id) not in ("film0.mp4", "film1.mp4")]
    split = split_videos(store, fewer, seed=4)
    assert {*split.training.ids, *split.held_out.ids} <= set(fewer)


def test_neighbours_to_learn_from_are_of_different_videos(moments: Clips, store: Store) -> None:
    """The threshold pairs each moment with sounds of its neighbours."""
    learned = videos(split_videos(store, moments.ids, seed=4).training.ids)
    assert all(one != other for one, other in pairwise(learned))


def test_a_held_out_moment_is_that_of_the_video(moments: Clips, store: Store) -> None:
    split = split_videos(store, moments.ids, seed=4)
    for place, id in enumerate(split.held_out.ids):
        assert split.held_out[place].source == video_of(id)
        assert {video_of(id), split.videos[place]} in (
            {video_of(id)},
            {"film9.mp4", "film10.mp4"},
        )


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_videos_are_one_sentence(tmp_path: Path, films: Path, count: int) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number in range(count):
        shutil.copy(films / f"film{number}.mp4", few)
    with pytest.raises(HearsightError, match=f"There are {count} different videos, and 6 are need"):
        open_videos([str(few)])


def test_silent_videos_and_copies_do_not_count(moments: Clips, store: Store) -> None:
    kept = [f"film{number}.mp4" for number in (0, 1, 2, 3, 4, 9, 10)]
    ids = [id for id in moments.ids if video_of(id) in kept]
    with pytest.raises(HearsightError, match="there are 5 different videos"):
        split_videos(store, ids, seed=4)


def test_another_video_of_the_same_name_is_not_mistaken(films: Path, tmp_path: Path) -> None:
    mine = tmp_path / "films"
    shutil.copytree(films, mine)
    clips = open_videos([str(mine)], every=1.0)
    take_moments(clips, tmp_path / "moments")
    shutil.copy(films / "film1.mp4", mine / "film0.mp4")
    with pytest.raises(HearsightError, match=r"holds moments of another 'film0\.mp4'"):
        take_moments(open_videos([str(mine)], every=1.0), tmp_path / "moments")


def test_what_is_a_folder_of_videos(films: Path, store: Store, tmp_path: Path) -> None:
    listed = tmp_path / "some.txt"
    listed.write_text("film0.mp4\n")
    assert is_videos(str(films))
    assert is_videos(f"{films}@{listed}")
    assert is_videos(str(films.parent))
    assert not is_videos(str(store.folder))
    assert not is_videos("toys")
    assert not is_videos("nowhere")
    assert not is_videos(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("id", "video"),
    [
        ("a.mp4", "a.mp4"),
        ("below/a.mp4@12.50", "below/a.mp4"),
        ("a@1.50.mp4@2.00", "a@1.50.mp4"),
        ("a@1.50.mp4", "a@1.50.mp4"),
        ("new\nline.mp4@0.50", "new\nline.mp4"),
    ],
)
def test_the_video_of_a_clip(id: str, video: str) -> None:
    assert video_of(id) == video
