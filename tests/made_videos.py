"""A folder of small videos to learn from: each has a colour and a tone of its own."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from made_media import make_video, numbered, sine

RATE = 16_000
SECONDS = 3


def make_videos(folder: Path, count: int, *, silent: tuple[int, ...] = ()) -> Path:
    """Videos `film0.mp4`, ... of 3 s at 5 frames per second; some of them without a sound."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        tone = sine(200 + 150 * number, SECONDS, RATE)
        make_video(
            folder / f"film{number}.mp4",
            [numbered(32 * number + 7, 48, 32)] * (5 * SECONDS),
            rate=Fraction(5),
            sound=np.zeros_like(tone) if number in silent else tone,
            sound_rate=RATE,
        )
    return folder
