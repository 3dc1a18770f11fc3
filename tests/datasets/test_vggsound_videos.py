"""VGGSound as videos beside its lists: which clip lies where, the middle frame, what is unusual."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_media import frequency_of, make_video, number_of, numbered, sine

from hearsight.clips.clip import UnreadableClip, encoded
from hearsight.clips.fingerprint import fingerprint
from hearsight.clips.leaks import find_leak
from hearsight.clips.selection import choose, name_left_out, remarks_in
from hearsight.clips.shard_writer import write_store
from hearsight.clips.shards import Store
from hearsight.datasets.open import name_as_test, open_clips, read_clips, tells_splits
from hearsight.datasets.statistics import count
from hearsight.datasets.vggsound_videos import is_still, read_clip, video_files
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE

WHOLE, SHORT, MUTE, SILENT = "AAAAAAAAAAA", "BBBBBBBBBBB", "CCCCCCCCCCC", "DDDDDDDDDDD"
GONE, BROKEN = "EEEEEEEEEEE", "-FFFFFFFFFF"
ROWS = [
    (WHOLE, 30, "dog barking", "test"),
    (SHORT, 4, "playing banjo, plucked", "train"),
    (MUTE, 10, "raining", "train"),
    (SILENT, 484, "raining", "train"),
    (GONE, 7, "owl hooting", "train"),
    (BROKEN, 0, "thunder", "train"),
]
FPS = 5


def film(path: Path, seconds: int, sound: np.ndarray | None, *, still: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [numbered(1 if still else number) for number in range(FPS * seconds)]
    make_video(path, frames, rate=Fraction(FPS), group=100, sound=sound, sound_rate=16_000)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as mirrors have it, names of three kinds, nested, with what is wrong in them."""
    folder = tmp_path_factory.mktemp("mirror")
    tones = np.concatenate([sine(f, s, 16_000) for f, s in ((200, 3.5), (800, 3.0), (400, 3.5))])
    film(folder / f"videos/{WHOLE}_000030.mp4", 10, tones)
    film(folder / f"videos/a/b/{SHORT}_4.MP4", 4, sine(600, 4, 16_000))
    film(folder / f"videos/{MUTE}_10000_20000.mp4", 2, None)
    film(folder / f"videos/{SILENT}.mp4", 2, np.zeros(32_000, np.float32), still=True)
    (folder / f"videos/{BROKEN}_000000.mp4").write_bytes(b"not a film")
    (folder / f"videos/a/{WHOLE}_30.mp4").write_bytes(b"the same clip again")
    (folder / "videos/holiday.mp4").write_bytes(b"of no list")
    rows = [",".join([id, str(at), f'"{label}"', split]) for id, at, label, split in ROWS]
    (folder / "vggsound.csv").write_text("\n".join(rows) + "\n")
    boxes = [{"file": f"{WHOLE}_000030", "class": "dog", "bbox": [[0.1, 0.2, 0.5, 0.9]]}]
    (folder / "vggss.json").write_text(json.dumps(boxes))
    return folder


def test_the_lists_beside_the_videos_say_what_is_train_and_what_is_test(mirror: Path) -> None:
    for folder in (str(mirror), str(mirror / "videos")):
        assert tells_splits(folder)
        train, test = open_clips(folder), open_clips(folder, split="val")
        assert train.ids == [
            f"{SHORT}_000004",
            f"{MUTE}_000010",
            f"{SILENT}_000484",
            f"{BROKEN}_000000",
        ]
        assert test.ids == [f"{WHOLE}_000030"]
        assert name_as_test(folder) == f"{folder}@test"
    clip = test[0]
    assert (clip.label, clip.boxes) == ("dog", ((0.1, 0.2, 0.5, 0.9),))
    by_csv = open_clips(f"{mirror / 'videos'}@vggsound.csv", split="val")
    assert by_csv.ids == test.ids
    assert by_csv[0].label == "dog barking"


def test_the_frame_is_the_middle_one_and_the_sound_3_s_around_it(mirror: Path) -> None:
    clip = open_clips(str(mirror), split="val")[0]
    assert clip.time == pytest.approx(5.0, abs=0.05)
    assert number_of(clip.frame) == int(clip.time * FPS + 1e-6)
    assert len(clip.sound) == 3 * RATE
    assert frequency_of(clip.sound / 32768, RATE) == pytest.approx(800, abs=1)
    short = open_clips(str(mirror))[0]
    assert short.time == pytest.approx(2.0, abs=0.05)
    assert number_of(short.frame) == int(short.time * FPS + 1e-6)


def test_what_is_missing_short_silent_still_or_mute_is_named(mirror: Path) -> None:
    found = count(str(mirror), decode=True)
    said = " ".join(found.remarks)
    for words in (
        f"1 of 5 clips of '{mirror / 'vggsound.csv'}' has no video: {GONE}_000007.",
        "videos are in no list: videos/",
        "holiday.mp4",
        f"2 clips are shorter than 10 s: {SHORT}_000004, {SILENT}_000484.",
        f"1 clip is silent throughout: {SILENT}_000484.",
        f"1 clip is a still picture: {SILENT}_000484.",
    ):
        assert words in said
    assert set(found.unreadable) == {f"{MUTE}_000010", f"{BROKEN}_000000"}
    assert "has no sound" in found.unreadable[f"{MUTE}_000010"]
    assert "another video holds: videos/a" in " ".join(
        name_left_out(open_clips(str(mirror), split="val"), "x")
    )


def test_an_import_by_processes_equals_reading_and_goes_on(mirror: Path, tmp_path: Path) -> None:
    clips = open_clips(str(mirror))
    written = write_store(clips, tmp_path / "store", workers=2)
    assert (written.added, [one.id for one in written.unreadable]) == (
        2,
        [f"{MUTE}_000010", f"{BROKEN}_000000"],
    )
    assert len(remarks_in(clips)) == 3
    store = Store(tmp_path / "store")
    assert store.ids == [f"{SHORT}_000004", f"{SILENT}_000484"]
    for index, id in enumerate(store.ids):
        assert store.clip(index) == encoded(clips, clips.ids.index(id))
    again = write_store(open_clips(str(mirror)), tmp_path / "store", workers=1)
    assert (again.added, again.present) == (0, 2)


def test_what_is_unusual_about_clips_of_a_list_is_told_by_processes_too(
    mirror: Path, tmp_path: Path
) -> None:
    clips = open_clips(str(mirror))
    (tmp_path / "list.txt").write_text(f"{SILENT}_000484\n{SHORT}_000004")
    for workers in (1, 2):
        chosen = choose(open_clips(str(mirror)), tmp_path / "list.txt")
        written = write_store(chosen, tmp_path / f"{workers}", workers=workers)
        assert written.added == 2
        assert len(remarks_in(chosen)) == 3
        store = Store(tmp_path / f"{workers}")
        for index, id in enumerate((f"{SILENT}_000484", f"{SHORT}_000004")):
            assert store.clip(index) == encoded(clips, clips.ids.index(id))


def test_leaks_are_found_by_the_ids_of_the_lists(mirror: Path) -> None:
    test = read_clips(str(mirror), "val")
    leak = find_leak("train", [f"{WHOLE}_30000_40000", f"{SHORT}_000004"], test.name, test.ids)
    assert leak.clips == (f"{WHOLE}_30000_40000",)


def test_names_are_matched_wherever_the_videos_lie(tmp_path: Path) -> None:
    ids = [f"v{number:010d}" for number in range(500)]
    for half in ("a", "b"):
        (tmp_path / "videos" / half).mkdir(parents=True)
    for number, id in enumerate(ids[:400]):
        (tmp_path / "videos" / "ab"[number % 2] / f"{id}_{number:06d}.mp4").touch()
    rows = [f"{id},{number},dog,train" for number, id in enumerate(ids)]
    (tmp_path / "vggsound.csv").write_text("\n".join(rows))
    clips = open_clips(str(tmp_path / "videos"))
    assert clips.ids == [f"{id}_{number:06d}" for number, id in enumerate(ids[:400])]
    assert "100 of 500 clips" in clips.passed_over[0]


def test_bad_folders_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "vggsound.csv").write_text(f"{WHOLE},30,dog,train\n")
    film(tmp_path / "GGGGGGGGGGG_000001.mp4", 1, sine(300, 1, 16_000))
    with pytest.raises(
        HearsightError, match=r"called like 'AAAAAAAAAAA_000030.mp4', and the video"
    ):
        open_clips(str(tmp_path))
    listed = tmp_path / "twice.json"
    box = {"file": "GGGGGGGGGGG_000001", "class": "a", "bbox": [[0, 0, 1, 1]]}
    listed.write_text(json.dumps([box, box | {"class": "b"}]))
    with pytest.raises(HearsightError, match="twice, and differently"):
        open_clips(f"{tmp_path}@{listed}")
    (tmp_path / "vggsound.csv").unlink()
    listed.write_text(json.dumps([box]))
    assert open_clips(f"{tmp_path}@{listed}").ids == ["GGGGGGGGGGG_000001"]


def test_a_video_that_goes_away_is_an_unreadable_clip(tmp_path: Path) -> None:
    film(tmp_path / f"{WHOLE}_000030.mp4", 1, sine(300, 1, 16_000))
    (tmp_path / "vggsound.csv").write_text(f"{WHOLE},30,dog,train\n")
    clips = open_clips(str(tmp_path))
    (tmp_path / f"{WHOLE}_000030.mp4").unlink()
    with pytest.raises(UnreadableClip, match="does not exist"):
        clips.sound(0)


def test_a_still_picture_is_told_from_a_moving_one() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (2, 360, 640, 3)).astype(np.uint8)
    frame = np.full((360, 640, 3), 100, np.uint8)
    moved = frame.copy()
    moved[100:140, 300:340] += 40
    assert is_still(frame + noise[0], frame + noise[1])
    assert not is_still(frame, moved)
    assert is_still(frame[:8, :8], frame[:8, :8])


def test_files_of_other_kinds_and_hidden_ones_are_no_videos(tmp_path: Path) -> None:
    for name in ("a.mp4", ".b.mp4", "c.txt", ".hidden/d.mp4", "deep/e.WEBM"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(video_files(tmp_path)) == ["a.mp4", "deep/e.WEBM"]


def test_videos_on_another_disk_are_read_through_links(mirror: Path, tmp_path: Path) -> None:
    """Links to the folder, to a part of it, to single files as caches have them, and in circles."""
    disk = tmp_path / "disk"
    shutil.copytree(mirror / "videos", disk / "videos")
    here = tmp_path / "VGGSound"
    here.mkdir()
    for name in ("vggsound.csv", "vggss.json"):
        (here / name).symlink_to(mirror / name)
    (here / "videos").symlink_to(disk / "videos")
    (disk / "videos" / "a" / "up").symlink_to("..")
    (disk / "videos" / "home").symlink_to(here)
    clips, plain = open_clips(str(here)), open_clips(str(mirror))
    assert clips.ids == plain.ids
    assert name_left_out(clips, "x") == [
        said.replace(str(mirror), str(here)) for said in name_left_out(plain, "x")
    ]
    number = clips.ids.index(f"{SHORT}_000004")
    read, wanted = clips[number], plain[number]
    assert np.array_equal(read.frame, wanted.frame)
    assert read.source == wanted.source == f"videos/a/b/{SHORT}_4.MP4"
    assert fingerprint(clips, number) == fingerprint(plain, number)
    cached = tmp_path / "cached"
    (cached / "blobs").mkdir(parents=True)
    shutil.copy(disk / f"videos/a/b/{SHORT}_4.MP4", cached / "blobs" / "0f3a")
    (cached / "snapshot" / "videos").mkdir(parents=True)
    (cached / "snapshot" / "videos" / f"{SHORT}_4.mp4").symlink_to("../../blobs/0f3a")
    (cached / "snapshot" / "vggsound.csv").symlink_to(mirror / "vggsound.csv")
    [clip] = list(map(open_clips(str(cached / "snapshot")).__getitem__, range(1)))
    assert np.array_equal(clip.frame, wanted.frame)


def test_a_broken_link_is_named_and_none_is_taken_for_a_missing_list(
    mirror: Path, tmp_path: Path
) -> None:
    here = tmp_path / "VGGSound"
    shutil.copytree(mirror, here)
    (here / "vggss.json").unlink()
    (here / "vggss.json").symlink_to("/mnt/none/vggss.json")
    with pytest.raises(
        HearsightError, match=r"vggss\.json' is a link to '/mnt/none/vggss\.json', "
    ):
        open_clips(str(here))
    (here / "vggss.json").unlink()
    short = here / f"videos/a/b/{SHORT}_4.MP4"
    short.unlink()
    short.symlink_to(f"/mnt/none/{SHORT}")
    clips = open_clips(str(here))
    with pytest.raises(UnreadableClip, match="does not exist"):
        clips[clips.ids.index(f"{SHORT}_000004")]
    shutil.rmtree(here / "videos")
    (here / "videos").symlink_to("/mnt/none")
    with pytest.raises(
        HearsightError, match=r"videos' is a link to '/mnt/none', which is not there"
    ):
        open_clips(str(here))


def test_a_clip_is_read_as_frame_and_sound_are_by_themselves(mirror: Path) -> None:
    """The order in which they are read, and pictures left out on the way, change nothing."""
    from hearsight.media.read import frames_at, read_sound, stream_frames

    path = mirror / f"videos/{WHOLE}_000030.mp4"
    read = read_clip(path)
    frames = list(stream_frames(path))
    shown = max((each for each in frames if each.time <= read.time), key=lambda each: each.time)
    assert np.array_equal(read.frame, shown.pixels)
    assert np.array_equal(read.first, frames[0].pixels)
    [sought] = frames_at(path, [read.time])
    assert np.array_equal(read.frame, sought.pixels)
    sound = read_sound(path, rate=RATE, start=read.time - 1.5, seconds=3.0)
    assert np.abs(read.sound / 32768 - sound).max() < 1e-4
