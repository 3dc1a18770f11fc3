"""How fast is a film read for a library, against ffmpeg taking a small JPEG every 3 s?

    python benchmarks/indexing.py [--minutes 10] [--pairs 5] [--ffmpeg PATH] [--film FILM...]

Films of 640x360 with 25 frames a second are made, H.264 with B-frames and AAC, with a key frame
every 1, 2 and 10 s; others can be named. Ours is what `hearsight index` does with a film before the
model sees it: for a moment every 3 s the frame, scaled for the model and as a thumbnail, and the
3 s of sound around it, decoded to 16 kHz. ffmpeg's is `-vf fps=1/3,scale=-2:144` to JPEG, which
decodes every picture and no sound. Both are run in turns; ratios are medians, of the clock and of
the processor, which others' work on the machine changes less. All frames are asserted to be those
of a whole decode. What the model needs comes on top, and is measured once, as is reading the file
for its digest. ffmpeg is the one on PATH, or that of the PyPI package imageio-ffmpeg.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from vggsound_import import RATE, SECONDS, film, find_ffmpeg, timed

from hearsight.library import extraction
from hearsight.library.indexing import EVERY, index_videos
from hearsight.media.read import VideoReader, probe, stream_frames

SIDE = 224  # pixels, of the model's frames


def make_films(folder: Path, ffmpeg: str, minutes: int) -> list[Path]:
    """A film for each distance of key frames: a short one, repeated without encoding it again."""
    films = []
    for seconds in (1, 2, 10):
        short, path = folder / f"short {seconds}.mp4", folder / f"a key every {seconds} s.mp4"
        film(short, seconds, group=RATE * seconds)
        loop = ["-stream_loop", str(60 * minutes // SECONDS - 1), "-i", str(short)]
        subprocess.run([ffmpeg, "-v", "error", *loop, "-c", "copy", str(path)], check=True)
        films.append(path)
    return films


def read_media(path: Path) -> None:
    """All that is decoded of a film, and scaled and encoded, on its way into a library."""
    given: Any = SimpleNamespace(
        embedder=SimpleNamespace(side=SIDE),
        info=SimpleNamespace(every=EVERY, seconds=EVERY),
        batch=16,
    )
    _, _, moments = extraction._read(path, given)
    deque(moments, 0)


def assert_equal(path: Path) -> None:
    """Each moment's frame is the last of a whole decode that is shown by then."""
    times = extraction.moment_times(probe(path).duration, EVERY)
    whole = stream_frames(path)
    shown = following = next(whole)
    with VideoReader(path, threaded=False) as video:
        for time, found in zip(times, video.frames_at(times), strict=True):
            while following is not None and following.time <= time:
                shown, following = following, next(whole, None)
            assert found.time == shown.time
            assert (found.pixels == shown.pixels).all()


def bytes_read() -> int:
    """What this process has asked the system for so far; only on Linux, else 0."""
    counts = Path("/proc/self/io")
    return int(counts.read_text().split("rchar: ")[1].split()[0]) if counts.exists() else 0


def compare(path: Path, ffmpeg: str, pairs: int, folder: Path) -> None:
    """Print the ratios for one film."""
    assert_equal(path)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    small = ["-vf", f"fps=1/{EVERY:g},scale=-2:144", str(out / "%d.jpg")]
    command = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(path), *small]
    ours, theirs = [], []
    for _ in range(pairs):
        before = bytes_read()
        ours.append(timed(lambda: read_media(path)))
        read = (bytes_read() - before) / path.stat().st_size
        theirs.append(timed(lambda: subprocess.run(command, check=True)))
    clock, work = (
        median(mine[at] / other[at] for mine, other in zip(ours, theirs, strict=True))
        for at in (0, 1)
    )
    print(
        f"{path.stem}: {clock:.2f}x the time of ffmpeg, {work:.2f}x its processor time"
        f" ({median(one[1] for one in ours):.1f} s against {median(one[1] for one in theirs):.1f});"
        f" {read:.2f}x the file read",
        flush=True,
    )


def main() -> None:
    """Make the films, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--ffmpeg")
    parser.add_argument("--film", type=Path, nargs="*")
    chosen = parser.parse_args()
    ffmpeg = find_ffmpeg(chosen.ffmpeg)
    if ffmpeg is None:
        print("no ffmpeg to compare with: pip install imageio-ffmpeg, or name one by --ffmpeg")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        films = chosen.film or make_films(folder, ffmpeg, chosen.minutes)
        for path in films:
            compare(path, ffmpeg, chosen.pairs, folder)
        clock, work = timed(lambda: index_videos(folder / "library", [films[0]]))
        print(f"{films[0].stem}, the whole index, model included: {clock:.1f} s, {work:.1f} s")


if __name__ == "__main__":
    main()
