"""How a moment of the library is played, by what its file holds."""

from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from made_media import make_video, numbered, sine
from PIL import Image

from hearsight.progress import no_progress
from hearsight.serving.searching import plays
from hearsight.serving.state import Settings, State

RATE = 44_100
SOUND = sine(440.0, 1.0, RATE).astype(np.float32)


def how(path: Path) -> tuple[str, bool]:
    """As what a file is played, and whether as it is or in clips."""
    state = State(Settings())
    state.names["row"] = str(path)
    found = plays(state, no_progress, row="row")
    assert found is not None
    return found["kind"], found["whole"]


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels", "whole"),
    [
        (".mp4", "libx264", "yuv420p", True),
        (".mp4", "libx264", "yuv444p", False),
        (".mov", "mpeg4", "yuv420p", False),
        (".mkv", "libx264", "yuv420p", False),
    ],
)
def test_a_film_is_played_with_its_picture_also_where_browsers_play_only_its_sound(
    tmp_path: Path, suffix: str, codec: str, pixels: str, whole: bool
) -> None:
    frames = [numbered(number, 64, 48) for number in range(25)]
    path = tmp_path / f"a{suffix}"
    make_video(path, frames, codec=codec, kind=pixels, sound=SOUND, sound_rate=RATE)
    assert how(path) == ("video", whole)


def test_a_sound_is_played_as_one_and_a_picture_not_at_all(tmp_path: Path) -> None:
    for suffix, whole in ((".wav", True), (".flac", True), (".aiff", False)):
        soundfile.write(tmp_path / f"a{suffix}", SOUND, RATE)
        assert how(tmp_path / f"a{suffix}") == ("sound", whole)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert how(tmp_path / "a.png") == ("picture", False)
