"""Extended test sets: frames of one clip with sounds of another; layouts and the real lists."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_layouts import FLICKR_IDS, VGGSOUND_IDS, flickr_layout, scoring_layout, vggss

from hearsight.clips.clip import UnreadableClip
from hearsight.datasets.extended_test_sets import ExtendedClips, is_extended, read_extended
from hearsight.datasets.open import open_clips, open_joined
from hearsight.errors import HearsightError

A, B, C = VGGSOUND_IDS
ROWS = f"video,audio,label\n{A},{B},non-sounding\n{B},{B},non-sounding\n{A},{C},sounding\n"


def test_frames_and_sounds_of_different_clips(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path / "vgg")
    (tmp_path / "silent.csv").write_text(ROWS + f"{A},{B},non-sounding\n")
    clips = open_clips(f"{folder}@silent.csv", split="val")
    assert isinstance(clips, ExtendedClips)
    assert clips.ids == [f"{A}~{B}", f"{B}~{B}"]
    vggss(
        folder / "vggss.json",
        [{"file": id, "class": "cow", "bbox": [[0, 0, 1, 1]]} for id in (A, B)],
    )
    own = {clip.id: clip for clip in (open_clips(str(folder))[i] for i in range(2))}
    clip = clips[0]
    assert clip.boxes == ()
    assert np.array_equal(clip.frame, own[A].frame)
    assert np.array_equal(clip.sound, own[B].sound)
    assert np.array_equal(clips.sound(0), own[B].sound)
    assert clips.clip(0).decode().boxes == ()
    both = open_joined([str(folder), f"{folder}@silent.csv"], split="val")
    assert len(both) == 4


def test_the_layout_of_flickr(tmp_path: Path) -> None:
    folder = flickr_layout(tmp_path / "flickr")
    (folder / "silent.csv").write_text(
        f"video,audio,label\n{FLICKR_IDS[0]},{FLICKR_IDS[1]},non-sounding\n"
    )
    clips = open_clips(f"{folder}@silent.csv")
    assert clips.ids == [f"{FLICKR_IDS[0]}~{FLICKR_IDS[1]}"]
    assert clips[0].boxes == ()


def test_files_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path)
    rows = (
        f"video,audio,label\ngone,{B},non-sounding\n{A},gone,non-sounding\n{A},{B},non-sounding\n"
    )
    (folder / "silent.csv").write_text(rows)
    clips = open_clips(f"{folder}@silent.csv")
    for index, said in ((0, "gone.jpg"), (1, "gone.wav")):
        with pytest.raises(UnreadableClip, match=said):
            clips[index]
    (folder / "frame" / f"{A}.jpg").write_bytes(b"no picture")
    (folder / "audio" / f"{B}.wav").write_bytes(b"RIFF....WAVE")
    with pytest.raises(UnreadableClip, match="not a picture"):
        clips[2]
    with pytest.raises(UnreadableClip, match=f"{A}~{B}"):
        clips.sound(2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with video,audio,label"),
        (f"{A}\n", "does not begin with"),
        ("video,audio,label\n", "no row of the label 'non-sounding'"),
        (f"video,audio,label\n{A},{B},sounding\n", "no row of the label"),
        (f"video,audio,label\n{A},{B}\n", "has a row without"),
    ],
)
def test_lists_of_another_form(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(HearsightError, match=said):
        read_extended(path)
    with pytest.raises(HearsightError, match="cannot be read"):
        read_extended(tmp_path / "none.csv")


def test_folders_without_such_files(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path)
    (folder / "silent.csv").write_text(f"video,audio,label\ngone,{B},non-sounding\n")
    with pytest.raises(HearsightError, match=r"None of 1 clips has a frame: no '.*gone.jpg'"):
        open_clips(f"{folder}@silent.csv")
    assert not is_extended(folder / "frame")


def test_several_clips_of_a_video_are_refused_for_a_list_of_pairs(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path)
    (folder / "silent.csv").write_text(f"video,audio,label\n{A},{B},non-sounding\n")
    assert len(open_clips(f"{folder}@silent.csv")) == 1
    with pytest.raises(HearsightError, match="leave `every` out"):
        open_clips(f"{folder}@silent.csv", every=1.0)


@pytest.mark.parametrize(
    ("name", "rows", "alike"),
    [("vggss_test_plus_silent.csv", 5158, 379), ("flickr_test_plus_silent.csv", 250, 0)],
)
def test_the_real_lists(shared: Callable[[str], Path], name: str, rows: int, alike: int) -> None:
    path = shared(f"metadata/slavc/{name}")
    assert is_extended(path)
    pairs = read_extended(path)
    assert sum(video == audio for video, audio in pairs) == alike
    assert len(pairs) == rows
    tests = shared("metadata/lvs/vggss_test.csv").read_text().split()
    if rows > 1000:
        assert sum(video in set(tests) for video in {video for video, _ in pairs}) == 4779
