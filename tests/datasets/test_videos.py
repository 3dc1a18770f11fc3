"""A folder of videos as clips."""

import json
import os
import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_commands import Hearsight
from made_media import frequency_of, make_sound, make_video, number_of, numbered, sine

from hearsight.clips import shard_writer
from hearsight.clips.clip import Clip, FilmedClips, UnreadableClip, encoded
from hearsight.clips.selection import JoinedClips, choose, name_left_out
from hearsight.clips.shard_writer import StoreWriter, write_store
from hearsight.clips.shards import Store
from hearsight.datasets import videos
from hearsight.datasets.videos import SUFFIXES, NoVideosError, VideoClips, video_of
from hearsight.errors import HearsightError
from hearsight.media.read import ExcerptReader
from hearsight.media.samples import RATE


def sweep(seconds: int, rate: int = 44_100) -> np.ndarray:
    """A tone that tells the time: 200 Hz in the first second, 300 in the next, ..."""
    return np.concatenate([sine(200 + 100 * n, 1.0, rate) for n in range(seconds)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two films, one deeper down, 10 s and 2 s long, at 10 frames per second."""
    videos = tmp_path / "videos"
    (videos / "deeper").mkdir(parents=True)
    frames = [numbered(n) for n in range(100)]
    make_video(videos / "long.mp4", frames, rate=Fraction(10), sound=sweep(10))
    make_video(videos / "deeper" / "short.mkv", frames[:20], rate=Fraction(10), sound=sweep(2))
    return videos


def test_the_middle_frame_and_the_sound_around_it(folder: Path) -> None:
    clips = VideoClips(folder)
    assert clips.ids == ["deeper/short.mkv", "long.mp4"]
    short, long = clips[0], clips[1]
    assert number_of(long.frame) in (49, 50, 51)
    assert long.time == pytest.approx(5.0, abs=0.1)
    assert long.source == "long.mp4"
    assert len(long.sound) == 3 * RATE
    assert np.array_equal(long.sound, clips.sound(1))
    middle = long.sound[int(1.1 * RATE) : int(1.4 * RATE)]  # 4.6 to 4.9 s of the film
    assert frequency_of(middle, RATE) == pytest.approx(600, abs=8)
    assert number_of(short.frame) in (9, 10, 11)
    assert len(short.sound) == pytest.approx(2 * RATE, abs=0.1 * RATE)


def test_a_clip_every_so_many_seconds_moves_inwards_at_the_ends(folder: Path) -> None:
    clips = VideoClips(folder, every=2.0)
    assert clips.ids == ["deeper/short.mkv@1.00", *(f"long.mp4@{t}.00" for t in (1, 3, 5, 7, 9))]
    assert [number_of(clips[n].frame) for n in range(1, 6)] == [10, 30, 50, 70, 90]
    assert {len(clips.sound(n)) for n in range(1, 6)} == {3 * RATE}
    second = slice(int(0.2 * RATE), int(0.8 * RATE))
    heard = [frequency_of(clips.sound(n)[second], RATE) for n in (1, 5)]
    assert heard == [pytest.approx(200, abs=8), pytest.approx(900, abs=12)]
    assert VideoClips(folder, every=7.0).ids == ["deeper/short.mkv", "long.mp4@3.50"]


def test_long_frames_are_shrunk_to_their_shorter_side(folder: Path) -> None:
    assert VideoClips(folder)[0].frame.shape == (48, 64, 3)
    assert VideoClips(folder, side=24)[0].frame.shape == (24, 32, 3)


def test_videos_become_a_store_and_the_unreadable_are_named(folder: Path, tmp_path: Path) -> None:
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("hello")
    (folder / "cut.mp4").write_bytes((folder / "long.mp4").read_bytes()[:3000])
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.mp4").write_text("hidden")
    make_video(folder / "silent.mp4", [numbered(n) for n in range(10)], rate=Fraction(10))
    make_sound(folder / "blind.mp4", sine(440, 1.0, 44_100), 44_100, "aac")
    names = ["blind.mp4", "cut.mp4", "empty.mp4", "silent.mp4", "text.mp4"]
    for every in (None, 2.0):
        written = write_store(VideoClips(folder, every=every), tmp_path / f"store {every}")
        assert [one.id for one in written.unreadable] == names
        reasons = {one.id: one.reason for one in written.unreadable}
        assert "no moving pictures" in reasons["blind.mp4"]
        assert "no sound" in reasons["silent.mp4"]
        assert written.added == (2 if every is None else 6)
    clip = Store(tmp_path / "store None")[1]
    assert (clip.id, clip.source) == ("long.mp4", "long.mp4")
    assert number_of(clip.frame) in (49, 50, 51)


def test_films_are_read_in_runs_of_one_film_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = VideoClips(folder, every=0.5)
    assert isinstance(clips, FilmedClips)
    assert len(clips) == 4 + 20
    for most in (1, 3, 20):
        monkeypatch.setattr(videos, "RUN", most)
        for wanted in ([*range(24)], [3, 4, 5, 6], [23, 2, 3], []):
            runs = clips.runs(wanted)
            assert [index for run in runs for index in run] == wanted
            assert all(len(run) <= most for run in runs)
            assert all((index < 4) == (run[0] < 4) for run in runs for index in run)
    assert clips.runs([*range(24)]) == [[*range(4)], [*range(4, 24)]]


def test_processes_write_the_store_that_one_thread_writes(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.mp4").write_bytes(b"no film")
    clips = VideoClips(folder, every=0.5)
    seen: list[int] = []
    for name, workers in (("one", 1), ("two", 2)):
        done = write_store(
            clips,
            tmp_path / name,
            workers=workers,
            clips_per_shard=5,
            progress=lambda _, count, total: seen.append(count),
        )
        assert (done.added, [error.id for error in done.unreadable]) == (24, ["broken.mp4"])
    assert seen == [*range(1, 26)] * 2
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert one.ids == two.ids
    assert [one.clip(index) for index in range(24)] == [two.clip(index) for index in range(24)]


def test_films_that_a_list_names_are_read_in_runs_too(folder: Path, tmp_path: Path) -> None:
    clips = VideoClips(folder, every=0.5)
    (tmp_path / "list.txt").write_text("\n".join([*clips.ids[20:3:-1], *clips.ids[:3]]))
    chosen = choose(clips, tmp_path / "list.txt")
    assert isinstance(chosen, FilmedClips)
    assert chosen.runs([1, 2, 16, 17, 18, 19]) == [[1, 2, 16], [17, 18, 19]]
    for name, workers in (("one", 1), ("two", 2)):
        assert write_store(chosen, tmp_path / name, workers=workers).added == 20
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert list(two.ids) == chosen.ids
    assert [one.clip(index) for index in range(20)] == [two.clip(index) for index in range(20)]


def test_a_list_in_any_order_opens_each_film_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = VideoClips(folder, every=0.5)
    mixed = [clips.ids[place] for place in np.random.default_rng(0).permutation(24)]
    (tmp_path / "list.txt").write_text("\n".join(mixed))
    chosen = choose(clips, tmp_path / "list.txt")
    alone = {
        id: encoded(VideoClips(folder, every=0.5), place) for place, id in enumerate(clips.ids)
    }
    opened: list[str] = []

    class Counted(ExcerptReader):
        def __init__(self, path: Path, **options: Any) -> None:
            opened.append(path.name)
            super().__init__(path, **options)

    monkeypatch.setattr(videos, "ExcerptReader", Counted)
    for held, most in ((1000, 2), (12, 4), (5, 10)):
        monkeypatch.setattr(shard_writer, "HELD", held)
        opened.clear()
        seen: list[int] = []
        write_store(
            chosen,
            tmp_path / f"{held}",
            clips_per_shard=7,
            progress=lambda _, done, total, seen=seen: seen.append(done),
        )
        assert len(opened) <= most, held
        assert seen == [*range(1, 25)]
        store = Store(tmp_path / f"{held}")
        assert list(store.ids) == mixed
        assert [store.clip(place) for place in range(24)] == [alone[id] for id in mixed]
    monkeypatch.undo()
    write_store(chosen, tmp_path / "apart", workers=2)
    apart = Store(tmp_path / "apart")
    assert [apart.clip(place) for place in range(24)] == [alone[id] for id in mixed]


@pytest.mark.parametrize("every", [None, 2.0])
def test_a_list_that_names_one_film_after_the_other_is_written_as_it_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float | None
) -> None:
    """In whatever order it names the films: no clip waits for another one's turn."""
    clips = VideoClips(folder, every=every)
    listed = [id for name in ("long", "deeper") for id in clips.ids if id.startswith(name)]
    (tmp_path / "list.txt").write_text("\n".join(listed))
    written: list[str] = []
    add = StoreWriter.add

    def note(writer: StoreWriter, clip: Clip, *given: Any) -> bool:
        written.append(clip.id)
        return add(writer, clip, *given)

    def progress(_: str, done: int, total: int | None) -> None:
        assert written == listed[:done]

    monkeypatch.setattr(StoreWriter, "add", note)
    write_store(choose(clips, tmp_path / "list.txt"), tmp_path / "store", progress=progress)
    assert len(written) == len(clips)


def test_the_unreadable_are_named_in_the_order_of_the_list(folder: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"no film")
    names = ["long.mp4", "b.mp4", "deeper/short.mkv", "a.mp4"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    written = write_store(choose(VideoClips(folder), tmp_path / "list.txt"), tmp_path / "store")
    assert [one.id for one in written.unreadable] == ["b.mp4", "a.mp4"]
    assert Store(tmp_path / "store").ids == ["long.mp4", "deeper/short.mkv"]


def test_a_video_gone_since_is_reported(folder: Path) -> None:
    clips = VideoClips(folder, every=2.0)
    (folder / "long.mp4").unlink()
    for read in (clips.sound, clips.__getitem__, partial(encoded, clips)):
        with pytest.raises(UnreadableClip, match=r"clip 'long\.mp4@1\.00' cannot be read"):
            read(1)
    assert clips[0].id == "deeper/short.mkv@1.00"


def formats(folder: Path) -> dict[str, Path]:
    """A short film, in every kind of file that a folder of videos may hold, by its suffix."""
    frames = [numbered(n) for n in range(20)]
    large = [numbered(n, 720, 576) for n in range(5)]
    mpeg2 = {"codec": "mpeg2video", "sound_codec": "mp2"}
    xvid = {"codec": "mpeg4", "sound_codec": "libmp3lame"}
    studio = {"codec": "mpeg2video", "sound_codec": "pcm_s16le", "sound_rate": 48_000}
    made: dict[str, tuple[str, dict[str, Any]]] = {
        ".vob": (".vob", mpeg2),
        ".mpe": (".mpg", mpeg2),
        ".mxf": (".mxf", studio),
        ".3g2": (".3g2", {}),
        ".f4v": (".f4v", {}),
        ".qt": (".mov", {}),
        ".asf": (".asf", {"codec": "msmpeg4v3", "sound_codec": "libmp3lame"}),
        ".divx": (".avi", xvid),
        ".xvid": (".avi", xvid),
        ".ogm": (".ogv", {"codec": "libvpx", "sound_codec": "libopus", "sound_rate": 48_000}),
        ".m2t": (".ts", mpeg2),
        ".mk3d": (".mkv", {}),
    }
    found = {}
    for suffix, (written, options) in made.items():
        found[suffix] = folder / f"film{suffix.upper() if suffix == '.qt' else suffix}"
        rate = options.get("sound_rate", 44_100)
        path = folder / f"made{written}"
        make_video(path, frames, sound=sweep(1, rate), **options).rename(found[suffix])
    found[".dv"] = folder / "film.dv"
    stereo = np.stack([sine(440, 0.2, 48_000)] * 2)
    options = {"codec": "dvvideo", "sound_codec": "pcm_s16le", "sound_rate": 48_000}
    make_video(found[".dv"], large, sound=stereo, **options)
    return found


def test_videos_of_every_suffix_are_read(tmp_path: Path) -> None:
    made = formats(tmp_path)
    clips = VideoClips(tmp_path)
    assert clips.ids == sorted(path.name for path in made.values())
    assert clips.passed_over == []
    for number in range(len(clips)):
        clip = clips[number]
        assert min(clip.frame.shape[:2]) >= 48, clip.id
        assert np.abs(clip.sound).max() > 3_000, clip.id
    listed = {".vob", ".mxf", ".dv", ".3g2", ".asf", ".f4v", ".divx", ".m2v", ".ogm", ".qt"}
    assert listed <= set(SUFFIXES)
    assert set(made) <= set(SUFFIXES)


def test_nothing_in_a_folder_is_passed_over_in_silence(folder: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", "deeper/.hidden.mp4", "deeper/film.xyz", ".cache/a.mp4", "pipe.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        os.mkfifo(folder / name) if name == "pipe.mp4" else (folder / name).write_text("no video")
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "long.mp4", tmp_path / "elsewhere" / "far.mp4")
    (folder / "away").symlink_to(tmp_path / "elsewhere")
    (folder / "deeper" / "back").symlink_to(folder)
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    clips = VideoClips(folder)
    assert clips.ids == ["away/far.mp4", "deeper/short.mkv", "long.mp4"]
    why = (
        "passed over, being hidden, no files, links that lead back or nowhere, or no videos by "
        "their suffix"
    )
    names = ".cache/, notes.txt, deeper/.hidden.mp4, deeper/film.xyz, deeper/back/ and 2 more"
    assert name_left_out(clips, "mine") == [
        f"'mine': 7 of the files and folders there were {why}: {names}."
    ]
    joined = JoinedClips([clips, clips])
    assert len(name_left_out(joined, "mine")) == 3
    (tmp_path / "list").write_text("long.mp4\n")
    assert name_left_out(choose(clips, tmp_path / "list"), "mine") == []


def test_import_names_what_it_passes_over(folder: Path, hearsight: Hearsight) -> None:
    (folder / "a\nb.doc").write_text("no video")
    code, out, err = hearsight(f"data import {folder} --out store --workers 1")
    assert (code, json.loads(out)["added"]) == (0, 2)
    assert "1 of the files and folders there was passed over" in err
    assert ": a b.doc." in err


def test_folders_without_videos_are_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no folder .*nowhere"):
        VideoClips(tmp_path / "nowhere")
    with pytest.raises(NoVideosError, match="holds no videos"):
        VideoClips(tmp_path)
    for wrong in (
        *({"every": value} for value in (0.0, 1e-320, float("nan"), float("inf"))),
        {"seconds": -1.0},
        {"side": 0},
    ):
        with pytest.raises(HearsightError, match="must be a number from"):
            VideoClips(tmp_path, **wrong)


def test_clips_close_to_each_other_have_ids_of_their_own(folder: Path) -> None:
    for every in (0.01, 0.0125, 0.019, 0.02, 0.03):
        clips = VideoClips(folder, every=every)
        assert len(clips) > 12 / every - 2
        assert len(set(clips.ids)) == len(clips)
        assert {video_of(id) for id in clips.ids} == {"deeper/short.mkv", "long.mp4"}
    clips = VideoClips(folder, every=0.01)
    assert clips.ids[:3] == [f"deeper/short.mkv@0.{each}" for each in ("005", "015", "025")]
    assert clips[205].time == pytest.approx(float(clips.ids[205].partition("@")[2]))
