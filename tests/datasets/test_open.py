"""Clips by the name a user gives them."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import fill
from made_layouts import VGGSOUND_IDS as IDS
from made_layouts import flickr_layout, scoring_layout, training_layout, vggss, xml
from made_media import make_video, numbered, sine

from hearsight.clips.clip import Clips
from hearsight.datasets.open import is_composed, open_clips, open_joined
from hearsight.errors import HearsightError
from hearsight.scenes.hard_scenes import HardScenes
from hearsight.scenes.scenes import Scenes
from hearsight.studies.comparison import open_data


def test_a_store(tmp_path: Path) -> None:
    fill(tmp_path, range(4))
    assert open_clips(str(tmp_path)).ids == [f"clip {n}" for n in range(4)]


def test_some_clips_of_a_store_by_a_list(tmp_path: Path) -> None:
    fill(tmp_path / "store", range(4))
    (tmp_path / "beside.txt").write_text("clip 3\nclip 1\n")
    chosen = open_clips(f"{tmp_path / 'store'}@beside.txt")
    assert (chosen.ids, chosen[0].id) == (["clip 3", "clip 1"], "clip 3")
    (tmp_path / "store" / "inside.txt").write_text("clip 2\nclip 9\nclip 8")
    with pytest.raises(HearsightError, match=r"2 of 3 clips in .* the first of them 'clip 9'"):
        open_clips(f"{tmp_path / 'store'}@inside.txt")
    with pytest.raises(HearsightError, match=r"no list 'none\.txt'"):
        open_clips(f"{tmp_path / 'store'}@none.txt")
    with pytest.raises(HearsightError, match="no folder"):
        open_clips(f"{tmp_path / 'nowhere'}@{tmp_path / 'beside.txt'}")


@pytest.mark.parametrize("written", ["one.mp4\nsub/two.mkv\n", "one\nsub/two.mkv\n"])
def test_a_list_chooses_among_videos(tmp_path: Path, written: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("one.mp4", "sub/two.mkv", "three.mp4"):
        make_video(tmp_path / name, [numbered(1)] * 3, sound=sine(440, 0.2, 44_100))
    (tmp_path / "list.txt").write_text(written)
    assert open_clips(f"{tmp_path}@list.txt").ids == ["one.mp4", "sub/two.mkv"]


def test_a_list_means_the_name_as_it_is_written_before_any_other(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mp4.mp4"):
        make_video(tmp_path / name, [numbered(1)] * 3, sound=sine(440, 0.2, 44_100))
    (tmp_path / "list.txt").write_text("a.mp4.mp4\na.mp4\n")
    assert open_clips(f"{tmp_path}@list.txt").ids == ["a.mp4.mp4", "a.mp4"]
    (tmp_path / "list.txt").write_text("b.mp4\n")
    with pytest.raises(HearsightError, match=r"the first of them 'b\.mp4'"):
        open_clips(f"{tmp_path}@list.txt")


def test_a_folder_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    fill(tmp_path / "me@home", range(2))
    assert len(open_clips(str(tmp_path / "me@home"))) == 2


def test_layouts_are_known_by_what_lies_in_them(tmp_path: Path) -> None:
    training = training_layout(tmp_path / "training")
    assert open_clips(str(training)).ids == sorted(IDS)
    (training / "list.txt").write_text(f"{IDS[2]}\n")
    assert open_clips(f"{training}@list.txt").ids == [IDS[2]]
    made_test = scoring_layout(tmp_path / "test")
    assert open_clips(str(made_test))[0].boxes is None
    (made_test / "anno").mkdir()
    box = (0.1, 0.2, 0.3, 0.4)
    for id in IDS:
        (made_test / "anno" / f"{id}.xml").write_text(xml(box))
    assert open_clips(str(made_test))[0].boxes == (box,)
    lvs = scoring_layout(tmp_path / "lvs", "frames")
    vggss(lvs / "vggss.json", [{"file": IDS[1], "class": "dog", "bbox": [box]}])
    assert (open_clips(str(lvs)).ids, open_clips(str(lvs))[0].boxes) == ([IDS[1]], (box,))
    flickr = flickr_layout(tmp_path / "flickr")
    boxes = open_clips(str(flickr))[0].boxes
    assert boxes is not None
    assert len(boxes) == 3


def test_a_list_with_splits_follows_the_split(tmp_path: Path) -> None:
    training_layout(tmp_path)
    lines = [
        f"{id[:11]},{int(id[12:])},dog,{split}"
        for id, split in zip(IDS, ("train", "test", "train"), strict=True)
    ]
    (tmp_path / "vggsound.csv").write_text("\n".join(lines))
    spec = f"{tmp_path}@vggsound.csv"
    assert open_clips(spec).ids == [IDS[0], IDS[2]]
    assert open_clips(spec, split="val").ids == [IDS[1]]


def test_videos(tmp_path: Path) -> None:
    frames = [numbered(n) for n in range(40)]
    make_video(tmp_path / "a.mp4", frames, rate=Fraction(10), sound=sine(440, 4.0, 44_100))
    assert open_clips(str(tmp_path)).ids == ["a.mp4"]
    assert len(open_clips(str(tmp_path), every=1.0)) == 4


def test_scenes_are_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_scenes = fill(tmp_path, range(2))
    asked: list[tuple[Any, ...]] = []

    def open_scenes(name: str, folder: Path | None, **options: Any) -> Clips:
        asked.append((name, folder, *options.values()))
        assert list(options) == [
            *("split", "seed", "size", "count", "classes", "silent", "endless", "looks", "kind")
        ]
        return made_scenes

    monkeypatch.setattr("hearsight.scenes.scenes.open_scenes", open_scenes)
    assert open_clips("toys") is made_scenes
    open_clips("menagerie", split="val", seed=3, size=64)
    open_clips("menagerie:my/pack", split="val", count=7, classes=5, silent=(1, 2))
    open_clips("hard:bazaar:my/pack", looks=3)
    assert asked == [
        ("toys", None, "train", 0, 224, 10_000, None, (0, 3), True, 1, Scenes),
        ("menagerie", None, "val", 3, 64, 500, None, (0, 3), False, 1, Scenes),
        ("menagerie", Path("my/pack"), "val", 0, 224, 7, 5, (1, 2), False, 1, Scenes),
        ("bazaar", Path("my/pack"), "train", 0, 224, 10_000, None, (0, 3), True, 3, HardScenes),
    ]


@pytest.mark.parametrize(
    ("option", "value"),
    [("seed", 1), ("size", 64), ("count", 5), ("classes", 2), ("silent", (0, 3)), ("looks", 2)],
)
def test_what_is_said_of_scenes_is_refused_for_other_clips(
    tmp_path: Path, option: str, value: object
) -> None:
    fill(tmp_path, range(2))
    given: dict[str, Any] = {option: value}
    with pytest.raises(HearsightError, match=f"is not composed of scenes: leave `{option}` out"):
        open_clips(str(tmp_path), **given)
    (tmp_path / "list.txt").write_text("clip 1\n")
    with pytest.raises(HearsightError, match=f"leave `{option}` out"):
        open_clips(f"{tmp_path}@list.txt", **given)


def test_an_unknown_split_of_a_folder_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, range(2))
    with pytest.raises(HearsightError, match=r"train or val, not 'vall'.*Did you mean 'val'"):
        open_clips(str(tmp_path), split="vall")


def test_silent_objects_hold_for_pairs_duets_and_offscreen_scenes_too() -> None:
    for kind, silent in (("pairs", (2, 2)), ("duets", (1, 1)), ("offscreen", (0, 1))):
        clips: Any = open_clips(f"{kind}:toys", split="val", size=48, count=2, silent=silent)
        assert getattr(clips, "pairs", clips).silent == silent
    with pytest.raises(HearsightError, match="at least one silent object"):
        open_clips("pairs:toys", split="val", size=48, count=2, silent=(0, 3))


@pytest.mark.parametrize("kind", ["pairs", "duets", "offscreen"])
def test_looks_are_refused_where_there_is_one(kind: str) -> None:
    with pytest.raises(HearsightError, match=rf"'{kind}:toys' has one look .* leave `looks` out"):
        open_clips(f"{kind}:toys", split="val", size=48, count=2, looks=2)


def test_toys_are_clips() -> None:
    clips = open_clips("toys", split="val", size=64, count=2)
    assert isinstance(clips, Clips)
    assert clips[1].frame.shape == (64, 64, 3)
    assert np.array_equal(clips[1].sound, clips.sound(1))


def test_several_joined(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(3))
    fill(tmp_path / "b", range(2, 6))
    joined = open_joined([str(tmp_path / "a"), str(tmp_path / "b")])
    assert joined.ids == [f"clip {n}" for n in range(6)]
    assert open_joined([str(tmp_path / "a")]).ids == joined.ids[:3]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("menagery", "names no clips.*Did you mean 'menagerie'"),
        ("toys:folder", "names no clips"),
        ("", "names no clips"),
        ("no/such/folder", "names no clips"),
        ("menagerie:no/such/folder", "no/such/folder"),
    ],
)
def test_names_of_nothing(spec: str, words: str) -> None:
    with pytest.raises(HearsightError, match=words):
        open_clips(spec)


def test_a_folder_named_like_a_pack_with_a_folder_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path("toys:mine"), range(3))
    assert not is_composed("toys:mine")
    assert len(open_joined(["toys:mine"], count=2, silent=(1, 2))) == 3  # as said of scenes alone
    with pytest.raises(HearsightError, match="'toys:mine' has no held-out clips"):
        open_data(["toys:mine"], None, size=32, epoch=None, count=None, classes=None)
    Path("toys").mkdir()
    assert is_composed("toys")
    with pytest.raises(HearsightError, match="neither shards"):
        open_clips("./toys")


def test_a_folder_of_nothing_says_what_it_might_hold(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"neither shards .* nor videos"):
        open_clips(str(tmp_path))
    (tmp_path / "file.tar").mkdir()
    with pytest.raises(HearsightError):
        open_clips(str(tmp_path))
