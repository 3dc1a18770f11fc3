"""How fast is a film read for a library, against ffmpeg taking a small JPEG every 3 s?

    python benchmarks/indexing.py [--minutes 10] [--pairs 5] [--ffmpeg PATH] [--film FILM...]

Films of 640x360 with 25 frames a second are made, H.264 with B-frames and AAC, with a key frame
every 1, 2 and 10 s; others can be named. Ours is what `hearsight index` does with a film before the
model sees it: for a moment every 3 s the frame (a key frame where one lies near), scaled for the
model and as a thumbnail, and the 3 s of sound around it, decoded to 16 kHz. ffmpeg's is
`-vf fps=1/3,scale=-2:144` to JPEG, which decodes every picture and no sound. Both are run in turns;
ratios are medians, of the clock and of the processor, which others' work on the machine changes
less. All frames are asserted to be those of a whole decode. Beside it stands what of ours cannot be
saved: the packets of the sound and of those key frames decoded and let go, the sound resampled, and
the frames scaled for the model by Pillow. What the model needs comes on top, and is measured once,
as is reading the file for its digest. ffmpeg is the one on PATH, or that of the PyPI package
imageio-ffmpeg.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import subprocess
import tempfile
from collections import deque
from math import ceil
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import soxr
from vggsound_import import RATE as FRAME_RATE
from vggsound_import import film, find_ffmpeg, timed

from hearsight.library import extraction
from hearsight.library.indexing import EVERY, index_videos
from hearsight.localising.localise import scale_whole_frame
from hearsight.media.near_frames import frames_near
from hearsight.media.read import probe, stream_frames
from hearsight.media.samples import RATE

SIDE = 224  # pixels, of the model's frames


def repeat(short: Path, path: Path, ffmpeg: str, minutes: int) -> None:
    """Write a film again and again until it lasts so long, without encoding it again."""
    loop = ["-stream_loop", str(ceil(60 * minutes / probe(short).duration) - 1), "-i", str(short)]
    subprocess.run([ffmpeg, "-v", "error", *loop, "-c", "copy", str(path)], check=True)


def make_films(folder: Path, ffmpeg: str, minutes: int) -> list[Path]:
    """A film for each distance of key frames: a short one, repeated without encoding it again."""
    films = []
    for seconds in (1, 2, 10):
        short, path = folder / f"short {seconds}.mp4", folder / f"a key every {seconds} s.mp4"
        film(short, seconds, group=FRAME_RATE * seconds)
        repeat(short, path, ffmpeg, minutes)
        films.append(path)
    return films


def read_media(path: Path) -> None:
    """All that is decoded of a film, and scaled and encoded, on its way into a library."""
    given: Any = SimpleNamespace(
        embedder=SimpleNamespace(side=SIDE),
        info=SimpleNamespace(every=EVERY, seconds=EVERY, keyed=True),
        batch_size=16,
    )
    _, _, moments = extraction._read(path, given)
    deque(moments, 0)


def wanted(path: Path) -> list[tuple[float, float]]:
    """The middle of each segment, and how far from it a key frame may lie."""
    middles = extraction.moment_times(probe(path).duration, EVERY)
    return [
        (time, extraction.NEAR * (time - EVERY * number)) for number, time in enumerate(middles)
    ]


def assert_equal(path: Path) -> None:
    """Each moment's frame is the last of a whole decode that is shown by then."""
    whole = stream_frames(path)
    shown = following = next(whole)
    for near in frames_near(path, wanted(path)):
        while following is not None and following.time <= near.time:
            shown, following = following, next(whole, None)
        assert near.frame.time == shown.time
        assert (near.frame.pixels == shown.pixels).all()


def needed(path: Path) -> list[float]:
    """Processor seconds of what any reader has to do: decoding sound and key frames, resampling,
    scaling.
    """
    asked = wanted(path)
    near = [one.time for one in frames_near(path, asked)]
    frame = next(stream_frames(path)).pixels

    def decode(kind: str) -> None:
        with av.open(str(path)) as file:
            stream = file.streams.video[0] if kind == "video" else file.streams.audio[0]
            stream.codec_context.thread_type = "NONE"
            times = near if kind == "video" else [0.0]
            for time, (middle, _) in zip(times, asked, strict=False):
                if kind == "video" and time == middle:
                    continue  # not a key frame
                file.seek(round(time / stream.time_base), stream=stream)
                for packet in file.demux(stream):
                    stream.codec_context.decode(packet)
                    if kind == "video":
                        stream.codec_context.decode(None)
                        break

    def resample() -> None:
        rate = probe(path).sound_rate or RATE
        resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
        for _ in range(int(probe(path).duration)):
            resampler.resample_chunk(np.zeros(rate, np.float32))

    def scale() -> None:
        for _ in near:
            scale_whole_frame(frame, SIDE)

    work = [lambda: decode("audio"), lambda: decode("video"), resample, scale]
    return [min(timed(each)[1] for _ in range(3)) for each in work]


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
    parts = needed(path)
    print(
        f"  it cannot be less than {sum(parts) / median(one[1] for one in theirs):.2f}x: of the"
        f" processor {parts[0]:.2f} s to decode the sound, {parts[1]:.2f} s the key frames,"
        f" {parts[2]:.2f} s to resample, {parts[3]:.2f} s to scale frames",
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
