"""What browsers play is told by codecs; clips show and sound what the video does."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_media import frequency_of, make_video, number_of, numbered, sine

from hearsight.errors import HearsightError
from hearsight.media.read import probe, read_sound, stream_frames
from hearsight.pages.playable import RATE, SIDE, copy_playable, is_playable, make_clip

TONE = sine(440, 1.0, 48_000)
KINDS: list[tuple[str, bool, dict[str, Any]]] = [
    ("plain.mp4", True, {}),
    ("plain.MOV", True, {}),
    ("plain.m4v", True, {}),
    ("sounding.mp4", True, {"sound": TONE, "sound_rate": 48_000}),
    ("open.webm", True, {"codec": "libvpx-vp9"}),
    ("part-2.mp4", False, {"codec": "mpeg4"}),
    ("hevc.mp4", False, {"codec": "libx265"}),
    ("rich.mp4", False, {"kind": "yuv444p"}),
    ("old.avi", False, {}),
    ("matroska.mkv", False, {}),
    ("cinema.mp4", False, {"sound": TONE, "sound_rate": 48_000, "sound_codec": "ac3"}),
]


@pytest.mark.parametrize(("name", "plays", "made"), KINDS, ids=[kind[0] for kind in KINDS])
def test_codecs_decide_and_clips_of_the_others_play(
    tmp_path: Path, name: str, plays: bool, made: dict[str, Any]
) -> None:
    path = make_video(tmp_path / name, [numbered(number) for number in range(12)], **made)
    assert is_playable(path) is plays
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(make_clip(path, 0.0, 0.4))
    assert is_playable(clip)
    assert [number_of(frame.pixels) for frame in stream_frames(clip)] == [*range(10)]


@pytest.mark.parametrize("name", ["part-2.mp4", "matroska.mkv", "cinema.mp4"])
def test_a_copy_shows_every_frame_at_its_time_and_plays(tmp_path: Path, name: str) -> None:
    made = next(made for kind, _, made in KINDS if kind == name)
    path = make_video(tmp_path / name, [numbered(number) for number in range(12)], **made)
    told: list[tuple[str, int, int | None]] = []
    copy_playable(path, tmp_path / "copy.mp4", progress=lambda *said: told.append(said))
    assert is_playable(tmp_path / "copy.mp4")
    assert told[-1][:2] == ("making a copy that browsers play", 12)
    before, after = list(stream_frames(path)), list(stream_frames(tmp_path / "copy.mp4"))
    assert [number_of(frame.pixels) for frame in after] == [*range(12)]
    assert [frame.time for frame in after] == pytest.approx(
        [frame.time for frame in before], abs=0.001
    )
    if "sound" in made:
        heard = read_sound(tmp_path / "copy.mp4", rate=48_000)
        assert frequency_of(heard, 48_000) == pytest.approx(440, abs=2)


def test_a_name_does_not_make_a_kind(tmp_path: Path) -> None:
    frames = [numbered(number) for number in range(3)]
    inside = make_video(tmp_path / "film.mkv", frames).rename(tmp_path / "film.mp4")
    assert not is_playable(inside)
    (tmp_path / "torn.mp4").write_text("torn")
    with pytest.raises(HearsightError, match="is not a media file"):
        is_playable(tmp_path / "torn.mp4")


def test_a_clip_is_the_part_that_was_asked_for_and_small(tmp_path: Path) -> None:
    frames = [numbered(number, 640, 480) for number in range(30)]
    tone = np.concatenate([sine(440, 0.4, 48_000), sine(1000, 0.8, 48_000)])
    path = make_video(
        tmp_path / "film.avi",
        frames,
        rate=Fraction(25),
        codec="mpeg4",
        sound=tone,
        sound_rate=48_000,
        sound_codec="pcm_s16le",
    )
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(make_clip(path, 0.48, 0.4))
    info = probe(clip)
    assert (info.width, info.height) == (320, SIDE)
    assert [number_of(frame.pixels) for frame in stream_frames(clip)] == [*range(12, 22)]
    heard = read_sound(clip, rate=RATE)
    assert frequency_of(heard, RATE) == pytest.approx(1000, abs=5)
    assert len(heard) == pytest.approx(0.4 * RATE, abs=0.05 * RATE)
    clip.write_bytes(make_clip(path, 0.88, 3.0))  # the film ends before
    assert [number_of(frame.pixels) for frame in stream_frames(clip)] == [*range(22, 30)]
    clip.write_bytes(make_clip(path, 9.0, 3.0))
    assert [number_of(frame.pixels) for frame in stream_frames(clip)] == [29]
