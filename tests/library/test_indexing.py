"""Indexing adds each video once and whole, and pruning removes those that no longer exist."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pytest
import soundfile
from lancedb.table import AsyncTable
from made_library import RATE, make_clip, tiny_model
from made_media import add_sound, coded_pictures, join_pictures, numbered, sine
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.library import extraction, ray_engine
from hearsight.library.extraction import Extractor, moment_times
from hearsight.library.indexing import index_videos
from hearsight.library.lance_calls import run
from hearsight.library.lance_table import MODALITIES, LibraryInfo, MomentTable, sole_writer
from hearsight.library.library import Library
from hearsight.library.thumbnails import decode_heatmap
from hearsight.localising.localise import localise_video, prepare_whole_frame
from hearsight.localising.moments import to_heatmap
from hearsight.media.picture import decode_picture
from hearsight.media.read import frames_at, read_sound, stream_frames
from hearsight.media.write import write_video
from hearsight.retrieval.embeddings import load_embedder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for number, seconds in enumerate((10.0, 7.0, 3.0, 1.0)):
        make_clip(folder / f"{number}.mp4", number, seconds)
    return folder


@pytest.fixture
def videos(made: Path, tmp_path: Path) -> Path:
    """Four videos of 10, 7, 3 and 1 s, one of them in a folder below."""
    folder = tmp_path / "videos"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for path in made.iterdir():
        shutil.copy2(path, folder / path.name)
    (folder / "3.mp4").rename(folder / "below" / "3.MP4")
    shutil.copy2(made / "0.mp4", folder / ".hidden" / "4.mp4")
    (folder / "notes.txt").write_text("no video")
    return folder


def read(library: Path) -> list[dict[str, Any]]:
    """All rows, by file and time."""
    table = MomentTable.open(str(library))
    assert table is not None
    columns = [name for name in table.schema.names if name != "modified"]
    return [
        row for file in sorted(table.files()) for row in table.moments(file, columns).to_pylist()
    ]


def place(row: dict[str, Any]) -> tuple[str, int]:
    return row["file"], row["number"]


def names(library: Path) -> list[str]:
    return [Path(row["file"]).name for row in read(library)]


EXTRACT = extraction.extract_moments
WHOLE = ["0.mp4"] * 4 + ["1.mp4"] * 3 + ["2.mp4", "3.MP4"]


def test_moments_are_the_middles_of_segments() -> None:
    assert moment_times(10.0, 3.0) == [1.5, 4.5, 7.5, 9.5]
    assert moment_times(9.0, 3.0) == [1.5, 4.5, 7.5]
    assert moment_times(9.02, 3.0) == [1.5, 4.5, 7.5]
    assert moment_times(1.0, 3.0) == [0.5]
    assert moment_times(0.0, 3.0) == [0.0]


def film_of_keys(path: Path) -> Path:
    """20 s of 5 frames a second, each of another grey, key frames 0.8 s apart but for one gap."""
    frames = [np.full((48, 64, 3), 2 * number, np.uint8) for number in range(100)]
    keys = [0, 4, 8, 12, 16, 60, 64, 68, 72, 76, 80, 84, 88, 92, 96]
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=5, options={"crf": "8"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.codec_context.gop_size = 300
        sounds = output.add_stream("aac", rate=RATE, layout="mono")
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pict_type = av.video.frame.PictureType.I if number in keys else 0
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        rising = np.arange(20 * RATE) / RATE
        heard = (0.025 * rising * np.sin(2 * np.pi * 440 * rising)).astype(np.float32)
        add_sound(output, sounds, np.atleast_2d(heard), RATE)
    return path


def test_moments_are_at_key_frames_near_the_middles(model: Path, tmp_path: Path) -> None:
    film = film_of_keys(tmp_path / "film.mp4")
    index_videos(tmp_path / "library", [film], model=model)
    rows = read(tmp_path / "library")
    times = [row["time"] for row in rows]
    # keys at 1.6, 12.8, 16 and 18.8 (19.2 lies further); none between 3.2 and 12 s
    assert times == pytest.approx([1.6, 4.5, 7.5, 10.5, 13.6, 16.8, 19.2], abs=0.03)
    assert times[1:4] == [4.5, 7.5, 10.5]
    embedder = load_embedder(model)
    whole = list(stream_frames(film))
    for row in rows:
        shown = [frame for frame in whole if frame.time <= row["time"]][-1]
        seen = embedder.frames([prepare_whole_frame(shown.pixels, embedder.side)])[0]
        assert row["image"] == pytest.approx(seen.tolist(), abs=1e-6)
        begin = min(max(row["time"] - 1.5, 0.0), 17.0)
        sound = read_sound(film, rate=16_000, start=begin, seconds=3.0)
        assert row["sound"] == pytest.approx(embedder.sounds([sound])[0].tolist(), abs=1e-3)
        grey = decode_picture(row["thumbnail"]).mean()
        assert grey == pytest.approx(shown.pixels.mean(), abs=3)


def test_moments_of_an_older_library_stay_at_the_middles(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_of_keys(tmp_path / "film.mp4")
    library = tmp_path / "library"
    with monkeypatch.context() as before:  # as hearsight made libraries before
        before.setattr("hearsight.library.indexing.LibraryInfo", partial(LibraryInfo, format=3))
        index_videos(library, [film], model=model)
    shutil.copy(film, tmp_path / "more.mp4")
    with (tmp_path / "more.mp4").open("ab") as file:
        file.write(bytes([0, 0, 0, 8]) + b"free")  # another file, the same film
    index_videos(library, [tmp_path / "more.mp4"])
    rows = read(library)
    assert [row["time"] for row in rows] == 2 * moment_times(20.0, 3.0)
    frames = list(frames_at(film, moment_times(20.0, 3.0)))
    for row, frame in zip(rows, 2 * frames, strict=True):
        grey = decode_picture(row["thumbnail"]).mean()
        assert grey == pytest.approx(frame.pixels.mean(), abs=3)


def test_rows_hold_what_was_seen_and_heard(videos: Path, model: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    done = index_videos(library, [videos], model=model)
    assert (done.added, done.moments, done.unreadable) == (4, 9, {})
    rows = read(library)
    assert names(library) == WHOLE
    assert [row["time"] for row in rows[:4]] == [1.5, 4.5, 7.5, pytest.approx(9.5, abs=0.05)]
    assert [row["number"] for row in rows[:4]] == [0, 1, 2, 3]
    embedder = load_embedder(model)
    video = videos / "0.mp4"
    sound = read_sound(video, rate=16_000, start=3.0, seconds=3.0)
    frame = next(frames_at(video, [4.5])).pixels
    assert rows[1]["sound"] == pytest.approx(embedder.sounds([sound])[0].tolist(), abs=1e-5)
    seen = embedder.frames([prepare_whole_frame(frame, embedder.side)])[0]
    assert rows[1]["image"] == pytest.approx(seen.tolist(), abs=1e-5)
    assert np.linalg.norm(rows[1]["image"]) == pytest.approx(1, abs=1e-5)
    assert rows[1]["level"] == pytest.approx(-9, abs=0.5)  # a sine of half the full scale
    thumbnail = decode_picture(rows[1]["thumbnail"])
    assert thumbnail.shape == frame.shape
    assert thumbnail.mean((0, 1)) == pytest.approx(frame.mean((0, 1)), abs=4)
    assert rows[1]["size"] == video.stat().st_size


def test_known_content_is_not_extracted_again(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos], model=model)
    before = read(library)
    extracted = []

    def note(path: Path, *rest: Any) -> Any:
        extracted.append(path.name)
        return EXTRACT(path, *rest)

    monkeypatch.setattr(extraction, "extract_moments", note)
    assert index_videos(library, [videos, videos / "0.mp4"]).unchanged == 4
    os.utime(videos / "0.mp4")
    (videos / "1.mp4").rename(videos / "moved.mp4")
    done = index_videos(library, [videos], prune=True)
    assert (done.copied, done.unchanged, done.removed, done.moments) == (2, 2, 1, 9)
    assert extracted == []
    after = read(library)
    for row in before:
        row["file"] = row["file"].replace("1.mp4", "moved.mp4")
    assert sorted(before, key=place) == sorted(after, key=place)
    make_clip(videos / "0.mp4", 6, 4.0)
    make_clip(videos / "new.mp4", 5, 3.0)
    done = index_videos(library, [videos])
    assert (done.changed, done.added, done.unchanged, done.moments) == (1, 1, 3, 8)
    assert sorted(extracted) == ["0.mp4", "new.mp4"]
    assert names(library).count("0.mp4") == 2


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_files_that_swap_names_swap_moments(
    videos: Path, model: Path, tmp_path: Path, seconds: float
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos], model=model)
    before = read(library)
    (videos / "0.mp4").rename(videos / "kept")
    (videos / "1.mp4").rename(videos / "0.mp4")
    (videos / "kept").rename(videos / "1.mp4")
    index_videos(library, [videos], commit_seconds=seconds)
    swapped = {"0.mp4": "1.mp4", "1.mp4": "0.mp4"}
    for row in before:
        path = Path(row["file"])
        row["file"] = str(path.with_name(swapped.get(path.name, path.name)))
    assert sorted(read(library), key=place) == sorted(before, key=place)


def test_prune_removes_only_missing_files_below_the_sources(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    library, other = tmp_path / "library", tmp_path / "other"
    other.mkdir()
    make_clip(other / "far.mp4", 4, 3.0)
    index_videos(library, [videos, other / "far.mp4"], model=model)
    (videos / "0.mp4").unlink()
    (other / "far.mp4").unlink()
    assert index_videos(library, [videos]).moments == 10  # nothing goes unless asked
    assert index_videos(library, [videos], prune=True).removed == 1
    assert set(names(library)) == {"1.mp4", "2.mp4", "3.MP4", "far.mp4"}
    assert index_videos(library, [], prune=True).removed == 1
    assert "far.mp4" not in names(library)


def test_prune_accepts_sources_that_are_missing_or_emptied(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    library, empty = tmp_path / "library", tmp_path / "empty"
    empty.mkdir()
    index_videos(library, [videos], model=model)
    (videos / "0.mp4").unlink()
    (videos / "below" / "3.MP4").unlink()
    for source, said in (
        (videos / "0.mp4", "There is no file or folder"),
        (videos / "below", "holds no videos"),
    ):
        with pytest.raises(HearsightError, match=said):
            index_videos(library, [source])
        assert index_videos(library, [source], prune=True).removed == 1
        with pytest.raises(HearsightError, match=said):  # now it is not known any more
            index_videos(library, [source], prune=True)
    for source in (tmp_path / "absent", empty, tmp_path / "vid"):
        with pytest.raises(HearsightError):
            index_videos(library, [videos, source], prune=True)
    assert set(names(library)) == {"1.mp4", "2.mp4"}
    shutil.rmtree(videos)
    assert index_videos(library, [videos], prune=True).removed == 2
    assert names(library) == []


def test_a_file_that_cannot_be_reached_is_not_missing(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_videos(tmp_path / "library", [videos], model=model)
    stat = Path.stat

    def refuse(path: Path, **options: Any) -> Any:  # root may look where others may not
        if path.name == "0.mp4":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    assert index_videos(tmp_path / "library", [], prune=True).removed == 0
    with pytest.raises(HearsightError, match=r"0\.mp4' cannot be read: Permission denied"):
        index_videos(tmp_path / "library", [videos / "0.mp4"])


def test_a_file_out_of_reach_is_named_and_the_rest_goes_in(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refuse(path: Path, **options: Any) -> Any:  # as in a folder that may be listed alone
        if path.name == "0.mp4":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    summary = index_videos(tmp_path / "library", [videos], model=model)
    assert summary.added == 3
    [(name, reason)] = summary.unreadable.items()
    assert (Path(name).name, "Permission denied" in reason) == ("0.mp4", True)
    assert names(tmp_path / "library") == WHOLE[4:]


def test_broken_files_are_named_and_the_rest_goes_in(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    (videos / "torn.mp4").write_bytes((videos / "0.mp4").read_bytes()[:300])
    (videos / "empty.mkv").touch()
    (videos / "text.avi").write_text("not a video at all")
    shutil.copy2(videos / "0.mp4", os.fsencode(videos) + b"/\xff.mp4")
    (videos / "nowhere.mp4").symlink_to(tmp_path / "missing")
    done = index_videos(tmp_path / "library", [videos], model=model)
    assert done.added == 4
    assert names(tmp_path / "library") == WHOLE
    broken = {name.rsplit("/")[-1]: reason for name, reason in done.unreadable.items()}
    assert set(broken) == {"torn.mp4", "empty.mkv", "text.avi", "\udcff.mp4", "nowhere.mp4"}
    assert "is empty" in broken["empty.mkv"]
    assert "UTF-8" in broken["\udcff.mp4"]


class UnsendableError(Exception):
    """One that cannot be pickled, as an error of a decoder may be."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}\n{second}")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("negative dimensions"), "It failed: ValueError: negative dimensions"),
        (MemoryError(), "There is not enough memory for this."),
        (UnsendableError("one", "two"), "It failed: UnsendableError: one two"),
        (OSError(95, "Operation not supported"), "Operation not supported."),
        (HearsightError("No frame can be decoded."), "No frame can be decoded."),
    ],
)
def test_a_film_with_which_a_decoder_fails_is_named_and_the_rest_goes_in(
    videos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    def fail(path: Path, *rest: Any) -> Any:
        if path.name == "1.mp4":
            raise error
        return EXTRACT(path, *rest)

    monkeypatch.setattr(extraction, "extract_moments", fail)
    done = index_videos(tmp_path / "library", [videos], model=model)
    assert done.unreadable == {str(videos / "1.mp4"): said}
    assert names(tmp_path / "library") == [name for name in WHOLE if name != "1.mp4"]
    monkeypatch.setattr(ray_engine, "extract_moments", fail)
    table = MomentTable.open(str(tmp_path / "library"))
    assert table is not None
    extractor = Extractor(info=table.info, embedder=load_embedder(model, "cpu"))
    assert ray_engine._task(str(videos / "1.mp4"), extractor, "cpu") == said


def test_a_film_that_changes_size_is_indexed(model: Path, tmp_path: Path) -> None:
    parts = [
        coded_pictures([numbered(n, *size) for n in range(30)], aspect=aspect)
        for size, aspect in (((64, 48), Fraction(2)), ((128, 96), None), ((48, 96), None))
    ]
    path = join_pictures(tmp_path / "a.mkv", *parts)
    done = index_videos(tmp_path / "library", [path], model=model, every=1.0)
    assert (done.added, done.unreadable) == (1, {})
    sizes = {decode_picture(row["thumbnail"]).shape for row in read(tmp_path / "library")}
    assert sizes == {(48, 128, 3)}


def test_a_run_that_can_read_nothing_fails_and_leaves_nothing(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.mp4").write_text("not a video at all")
    unnamed = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.mp4"))
    (folder / "6.mp4").rename(unnamed)
    said = r"nothing could be read: \udcff\.mp4: .*3\.mp4: .*; and 2 more\.$"
    nest = tmp_path / "new" / "deep"
    with pytest.raises(HearsightError, match=said):
        index_videos(nest / "library", [folder], model=model)
    assert not nest.parent.exists()
    here = tmp_path / "here"
    here.mkdir()
    with pytest.raises(HearsightError, match=r"1\.mp4: .*is not a media file"):
        index_videos(here, [folder / "1.mp4"], model=model)
    assert list(here.iterdir()) == []
    index_videos(here, [videos], model=model)
    with pytest.raises(HearsightError, match="nothing could be read"):
        index_videos(here, [folder])
    assert names(here) == WHOLE
    with pytest.raises(HearsightError, match="UTF-8"):
        index_videos(nest / "library", [unnamed])


def test_a_failure_before_the_first_file_leaves_nothing(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    def fail(*_: Any) -> Any:
        raise HearsightError("No engine.")

    with pytest.raises(HearsightError, match="No engine"):
        index_videos(tmp_path / "library", [videos], model=model, engine=fail)
    assert not (tmp_path / "library").exists()


def test_pipes_broken_links_and_impossible_durations_are_reported(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(videos / "pipe.mp4")
    (videos / "gone.mp4").symlink_to("/nowhere/film.mp4")
    honest = extraction.probe

    def claim(path: Path) -> Any:
        return replace(honest(path), duration=1e13 if path.name == "0.mp4" else 3.0)

    monkeypatch.setattr(extraction, "probe", claim)
    done = index_videos(tmp_path / "library", [videos], model=model)
    assert done.unreadable == {
        str(videos / "pipe.mp4"): "It is a pipe or a device, not a file.",
        str(videos / "gone.mp4"): f"'{videos / 'gone.mp4'}' is a link to '/nowhere/film.mp4', which"
        " is not there.",
        str(videos / "0.mp4"): "It claims to last 10000000000000 seconds.",
    }
    assert done.added == 3


def test_a_video_without_sound_counts_as_silent(model: Path, tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 128, np.uint8)] * 16
    write_video(tmp_path / "mute.mp4", frames, frame_rate=Fraction(4))
    done = index_videos(tmp_path / "library", [tmp_path / "mute.mp4"], model=model)
    assert done.moments == 2
    assert [row["level"] for row in read(tmp_path / "library")] == [None, None]


def test_sounds_and_pictures_are_moments_with_one_vector(model: Path, tmp_path: Path) -> None:
    folder, library = tmp_path / "media", tmp_path / "library"
    folder.mkdir()
    make_clip(folder / "film.mp4", 1, 6.0)
    soundfile.write(folder / "tone.wav", sine(440.0, 7.0, RATE), RATE)
    soundfile.write(folder / "beep.flac", sine(880.0, 0.5, RATE), RATE)
    Image.fromarray(numbered(3)).save(folder / "red.png")
    Image.fromarray(numbered(5)).save(folder / "photo.JPG", format="JPEG")
    (folder / "torn.jpg").write_bytes((folder / "photo.JPG").read_bytes()[:400])
    (folder / "torn.mp3").write_bytes(b"\xff\xfb" + b"x" * 300)
    (folder / "notes.txt").touch()
    done = index_videos(library, [folder], model=model, every=3.0)
    assert (done.added, done.moments) == (5, 2 + 3 + 1 + 2)
    assert (done.videos, done.sounds, done.pictures) == (1, 2, 2)
    kinds = Library.open(library).table.file_kinds()
    assert {Path(name).name: kind for name, kind in kinds.items()} == {
        "film.mp4": "video",
        **dict.fromkeys(("tone.wav", "beep.flac"), "sound"),
        **dict.fromkeys(("red.png", "photo.JPG"), "picture"),
    }
    assert sorted(Path(name).name for name in done.unreadable) == ["torn.jpg", "torn.mp3"]
    assert done.passed_over.names == ["notes.txt"]
    embedder = load_embedder(model)
    for row in read(library):
        name = Path(row["file"]).name
        wanted = {"film.mp4": "video", "tone.wav": "sound", "beep.flac": "sound"}
        assert row["kind"] == wanted.get(name, "picture")
        assert decode_picture(row["thumbnail"]).shape[0] in (144, 48)
        assert (row["image"] is None) == (row["kind"] == "sound")
        assert (row["sound"] is None) == (row["kind"] == "picture")
        assert (row["level"] is None) == (row["kind"] == "picture")
        assert (row["confidence"] is None) == (row["kind"] != "video")
        if name == "red.png":
            frame = prepare_whole_frame(numbered(3), embedder.side)
            assert row["time"] == 0
            assert np.dot(row["image"], embedder.frames([frame])[0]) == pytest.approx(1, abs=1e-5)
        if name == "beep.flac":
            heard = embedder.sounds([sine(880.0, 0.5, RATE)])[0]
            assert np.dot(row["sound"], heard) == pytest.approx(1, abs=1e-3)
    again = index_videos(library, [folder])
    assert (again.unchanged, again.added, again.moments) == (5, 0, 8)
    (folder / "tone.wav").rename(folder / "moved.wav")
    (folder / "red.png").unlink()
    last = index_videos(library, [folder], prune=True)
    assert (last.copied, last.removed, last.sounds, last.pictures) == (1, 2, 2, 1)


def test_boxes_are_those_of_localise(videos: Path, tmp_path: Path) -> None:
    finds = tiny_model(tmp_path / "finds.safetensors", threshold=-1.0)
    index_videos(tmp_path / "library", [videos / "0.mp4"], every=2.0, model=finds)
    rows = read(tmp_path / "library")
    assert {row["confidence"] != 0 for row in rows} == {True}
    localised = localise_video(videos / "0.mp4", every=1.0, maps=True, model=finds)
    found = {moment.time: moment for moment in localised}
    for row in rows:
        moment = found[row["time"]]
        assert row["confidence"] == pytest.approx(moment.confidence, abs=1e-4)
        assert (row["box"] is None) == (moment.box is None)
        if moment.box is not None:
            assert np.multiply(row["box"], (64, 48, 64, 48)) == pytest.approx(moment.box, abs=1.01)
        assert (row["heatmap"] is None) == (row["box"] is None)
        if row["heatmap"] is not None:
            heatmap = decode_heatmap(row["heatmap"]) / 255
            assert heatmap == pytest.approx(to_heatmap(moment.response), abs=0.01)
    assert any(row["heatmap"] for row in rows)


def test_a_library_without_heat_goes_on_without(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    with monkeypatch.context() as before:  # as hearsight made libraries before
        before.setattr("hearsight.library.indexing.LibraryInfo", partial(LibraryInfo, format=2))
        index_videos(library, [videos / "0.mp4"], model=model)
    index_videos(library, [videos / "1.mp4"])
    assert {"kind", "box"} <= read(library)[0].keys()
    assert "heatmap" not in read(library)[0]
    found = Library.open(library).similar(videos / "0.mp4", 1.0, k=3)
    assert [one.heatmap for one in found] == [None] * 3


def test_a_library_of_an_older_hearsight_goes_on_with_videos(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    Image.fromarray(numbered(3)).save(videos / "red.png")
    with monkeypatch.context() as before:  # as it made libraries
        before.setattr("hearsight.library.indexing.LibraryInfo", partial(LibraryInfo, format=1))
        index_videos(library, [videos / "0.mp4"], model=model)
    assert "kind" not in read(library)[0]
    with pytest.warns(UserWarning, match="made by an older hearsight: it takes videos alone"):
        done = index_videos(library, [videos])
    assert (done.added, done.unchanged, done.videos, done.pictures) == (3, 1, 4, 0)
    assert "red.png" in done.passed_over.names
    with (
        pytest.warns(UserWarning, match="older"),
        pytest.raises(HearsightError, match=r"It is a picture, and .* index it into a new one"),
    ):
        index_videos(library, [videos / "red.png"])
    opened = Library.open(library)
    found = opened.search(image=videos / "red.png", k=3)
    assert [(one.kind, one.box) for one in found] == [("video", None)] * 3
    assert len(opened.similar(videos / "0.mp4", 1.0, k=3)) == 3


def test_a_picture_is_told_by_its_content(model: Path, tmp_path: Path) -> None:
    grey = Image.new("RGB", (64, 48), "grey")
    pictures = [tmp_path / f"still.{kind}" for kind in ("png", "jpg", "bmp", "webp", "gif", "mp4")]
    for path in pictures:
        grey.save(path, format="png" if path.suffix == ".mp4" else None)
    grey.save(
        tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")]
    )
    done = index_videos(tmp_path / "library", [*pictures, tmp_path / "moving.gif"], model=model)
    assert (done.added, done.pictures, done.moments) == (7, 7, 7)


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(path: Path, *rest: Any) -> Any:
        def late(share: float) -> None:
            os.utime(path, (1, 1))

        return EXTRACT(path, rest[0], late)

    monkeypatch.setattr(extraction, "extract_moments", change)
    with pytest.raises(HearsightError, match=r"0\.mp4: It changed while it was read"):
        index_videos(tmp_path / "library", [videos / "0.mp4"], model=model)


def test_a_library_is_bound_to_its_model_and_its_spacing(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos / "2.mp4"], model=model, every=1.0)
    other = tiny_model(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(HearsightError, match="vectors of two models cannot be compared"):
        index_videos(library, [videos], model=other)
    with pytest.raises(HearsightError, match="a moment every 1 s, not every 2 s"):
        index_videos(library, [videos], every=2.0)
    assert len(names(library)) == 3
    same = shutil.copy2(model, tmp_path / "copy.safetensors")
    assert index_videos(library, [videos / "3.mp4" / ".." / "2.mp4"], model=same).unchanged == 1


def test_mistakes_are_refused_and_leave_nothing(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    (tmp_path / "empty").mkdir()
    for sources, said in (
        ([tmp_path / "empty"], "holds no videos"),
        ([videos, tmp_path / "absent"], "There is no file or folder"),
        ([], "Name the videos"),
    ):
        with pytest.raises(HearsightError, match=said):
            index_videos(library, sources, model=model)
        assert not library.exists()
    with pytest.raises(HearsightError, match="There is no library"):
        index_videos(library, [], optimize=True)
    for every in (0.0, 1e-9, -1.0, float("nan"), float("inf")):
        with pytest.raises(HearsightError, match=r"`every` must be .* from 0\.01 up"):
            index_videos(library, [videos], model=model, every=every)
    with pytest.raises(HearsightError, match="`batch_size` must be at least 1"):
        index_videos(library, [videos], model=model, batch_size=0)
    with pytest.raises(HearsightError, match="neither a checkpoint file nor a model"):
        index_videos(library, [videos], model="ssl_tie:smal")


def test_closed_folders(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (videos / "closed").mkdir()
    shutil.copy2(videos / "0.mp4", videos / "closed" / "5.mp4")
    scan = os.scandir

    def refuse(path: Any = ".") -> Any:  # root may open what others may not
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", lambda path: [entry.name for entry in refuse(path)])
    done = index_videos(tmp_path / "library", [videos], model=model)
    assert done.unreadable == {
        str(videos / "closed"): "the folder cannot be read: Permission denied."
    }
    assert done.added == 4
    with pytest.raises(HearsightError, match="closed' cannot be read: Permission denied"):
        index_videos(tmp_path / "library", [videos / "closed"], model=model)


def test_a_second_writer_is_refused_and_loses_nothing(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos / "0.mp4"], model=model)
    with (
        sole_writer(str(library)),
        pytest.raises(HearsightError, match="another process is writing"),
    ):
        index_videos(library, [videos])
    assert index_videos(library, [videos]).added == 3
    assert names(library) == WHOLE


def test_an_interruption_keeps_whole_files(
    videos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path, *rest: Any) -> Any:
        if path.name == "1.mp4":
            raise KeyboardInterrupt
        return EXTRACT(path, *rest)

    monkeypatch.setattr(extraction, "extract_moments", interrupt)
    with pytest.raises(KeyboardInterrupt):
        index_videos(tmp_path / "library", [videos], model=model)
    assert names(tmp_path / "library") == ["0.mp4"] * 4
    monkeypatch.setattr(extraction, "extract_moments", EXTRACT)
    index_videos(tmp_path / "library", [videos])
    assert names(tmp_path / "library") == WHOLE


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("real", [False, True])
def test_an_interruption_of_a_commit_loses_nothing_that_was_committed(
    videos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    real: bool,
    late: bool,
    changed: bool,
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos] if changed else [videos / "2.mp4"], model=model)
    for path in videos.glob("[01].mp4"):
        path.write_bytes(path.read_bytes() + b"changed")
    write, calls = MomentTable._at_newest, []

    def interrupt() -> None:
        if real:
            signal.raise_signal(signal.SIGINT)
        else:
            raise KeyboardInterrupt

    def interrupted(table: MomentTable, failure: str, work: Callable[..., Any]) -> Any:
        if not work.__qualname__.startswith("MomentTable.append"):
            return write(table, failure, work)
        calls.append(work)
        if len(calls) == 2 and not late:
            interrupt()
        done = write(table, failure, work)
        if len(calls) == 2 and late:
            interrupt()
        return done

    monkeypatch.setattr(MomentTable, "_at_newest", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            index_videos(library, [videos / "0.mp4", videos / "1.mp4"], commit_seconds=0.0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    held = names(library)
    assert held.count("0.mp4") == 4
    assert held.count("1.mp4") == (3 if real or late else 0)
    monkeypatch.undo()
    done = index_videos(library, [videos])
    assert (done.changed, done.moments) == (0, 9)
    assert names(library) == WHOLE


def test_an_engine_that_fails_later_keeps_what_is_finished(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    def fail(files: Any, *rest: Any) -> Any:
        yield files[0], EXTRACT(files[0], rest[0], lambda share: None)
        raise RuntimeError("No more engine.")

    with pytest.raises(RuntimeError, match="No more engine"):
        index_videos(tmp_path / "library", [videos], model=model, engine=fail)
    assert names(tmp_path / "library") == ["0.mp4"] * 4
    index_videos(tmp_path / "library", [videos])
    assert names(tmp_path / "library") == WHOLE


def add_made_up(table: MomentTable, file: str, vectors: np.ndarray) -> None:
    """Commit moments of a file whose sounds and pictures have these vectors."""
    count = len(vectors)
    values = {"file": [file] * count, "time": np.arange(float(count))}
    values |= {modality: list(vectors) for modality in MODALITIES}
    held = [pa.array(values.get(one.name, [None] * count), one.type) for one in table.schema]
    table.append([pa.RecordBatch.from_arrays(held, schema=table.schema)], [])


def directions(count: int, channels: int) -> np.ndarray:
    """Vectors of length 1."""
    vectors = np.random.default_rng(0).normal(size=(count, channels)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_vector_index_is_built_when_needed(videos: Path, model: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"

    def has_index() -> bool:
        return any((library / "moments.lance" / "_indices").glob("*"))

    index_videos(library, [videos], model=model)
    table = MomentTable.open(str(library))
    assert table is not None
    add_made_up(table, "/more", directions(273, table.info.channels))
    assert not has_index()
    done = index_videos(library, [], optimize=True)
    assert not has_index()
    assert done.moments == 282
    index_videos(library, [videos], index_from=270)
    assert has_index()


def made_up(library: Path) -> tuple[MomentTable, np.ndarray]:
    """4,000 moments of 4 files, in 4 commits, and their vectors."""
    facts = {"model": "m", "recipe": "r", "fingerprint": "0", "every": 3.0, "seconds": 3.0}
    table = MomentTable.create(str(library), LibraryInfo(channels=16, **facts))
    vectors = directions(4000, 16)
    for part in range(4):
        add_made_up(table, f"/{part}", vectors[part::4])
    return table, vectors


def test_the_vector_index_keeps_its_lists_when_files_are_joined(tmp_path: Path) -> None:
    table, vectors = made_up(tmp_path / "library")
    for _ in range(2):  # built, then built anew
        index_videos(table.library, [], optimize=True, index_from=4000)
        again = MomentTable.open(table.library)
        assert again is not None
        search = again._table.vector_search(vectors[0]).column("sound").limit(1)
        plan = run(search.analyze_plan())
        assert re.findall(r"partitions_ranked=(\d+)", plan) == ["4"]
        assert run(again._table.stats())["fragment_stats"]["num_fragments"] == 1


@pytest.mark.parametrize("optimize", [True, False])
def test_the_vector_index_is_built_where_there_is_no_space_to_join_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimize: bool
) -> None:
    table, _ = made_up(tmp_path / "library")

    async def full(self: AsyncTable, **_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(AsyncTable, "optimize", full)
    monkeypatch.setattr("hearsight.library.indexing.missing_files", lambda known, sources: [])
    asked = pytest.raises(HearsightError, match="cannot be written: No space left")
    with asked if optimize else nullcontext():
        index_videos(table.library, [], optimize=optimize, prune=True, index_from=4000)
    assert not table.needs_vector_index(4000)


KILLED = """
import sys
from hearsight.library import extraction
from hearsight.library.indexing import index_videos
extract = extraction.extract_moments
def slowly(path, *rest):
    print(path.name, flush=True)
    return extract(path, *rest)
extraction.extract_moments = slowly
index_videos(sys.argv[1], sys.argv[2:3], model=sys.argv[3], every=0.1, commit_seconds=0.0)
print("end", flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_a_library_that_the_next_run_completes(
    made: Path, model: Path, tmp_path: Path
) -> None:
    folder, library = tmp_path / "videos", tmp_path / "library"
    folder.mkdir()
    for number in range(12):
        shutil.copy2(made / f"{number % 3}.mp4", folder / f"{number:02}.mp4")
    for number, path in enumerate(sorted(folder.iterdir())):  # no two of the same content
        path.write_bytes(path.read_bytes() + bytes(number))
    kills, held = 0, 0
    command = [sys.executable, "-c", KILLED, str(library), str(folder), str(model)]
    for delay in (0.0, 0.03, 0.1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3):
                process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        found = names(library)
        assert set(found) <= {f"{number:02}.mp4" for number in range(12)}
        for name in set(found):
            assert found.count(name) == (100, 70, 30)[int(name[:2]) % 3]
        assert len(found) >= held
        held = len(found)
    assert kills == 3
    assert held > 0
    index_videos(library, [folder])
    whole = names(library)
    assert len(whole) == 4 * (100 + 70 + 30)
    assert len(set(whole)) == 12


def test_a_folder_behind_a_link_is_indexed_once_and_known_by_the_path_through_it(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "disk").symlink_to(videos)
    (here / "again").symlink_to(videos)
    (videos / "up").symlink_to(here)
    done = index_videos(tmp_path / "library", [here], model=model)
    (videos / "up").unlink()
    assert done.added == 4
    places = {Path(row["file"]).parts[: len(here.parts) + 1] for row in read(tmp_path / "library")}
    assert places == {(here / "again").parts}
    assert {"disk/", "again/up/"} <= set(done.passed_over.names)
    assert index_videos(tmp_path / "library", [here], model=model).unchanged == 4


@pytest.mark.parametrize("linked_first", [False, True])
def test_a_film_with_a_second_way_through_a_link_is_indexed_once(
    linked_first: bool, videos: Path, model: Path, tmp_path: Path
) -> None:
    here, library = tmp_path / "here", tmp_path / "library"
    here.mkdir()
    (here / "disk").symlink_to(videos)
    first, second = (here, videos) if linked_first else (videos, here)
    done = index_videos(tmp_path / "together", [first, second], model=model)
    assert (done.added, done.copied, done.videos) == (4, 0, 4)
    index_videos(library, [first], model=model)
    held = {row["file"] for row in read(library)}
    done = index_videos(library, [second])
    assert (done.unchanged, done.added, done.copied, done.videos) == (4, 0, 0, 4)
    assert {row["file"] for row in read(library)} == held
    assert {Path(name).is_relative_to(here) for name in held} == {linked_first}
    shutil.copy(next(videos.rglob("*.mp4")), videos / "a copy.mp4")  # is another file
    assert index_videos(library, [second]).copied == 1
