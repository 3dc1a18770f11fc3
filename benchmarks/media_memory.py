"""Does memory grow with the length of a video?

    python benchmarks/media_memory.py [--minutes 1 10 30]

For each length a video with sound is made; then its frames are streamed, its sound is streamed and
it is painted, each in a process of its own. The peak is the largest resident set of that process
(VmHWM, so Linux only), Python and the libraries included. What may grow is the index of an MP4
file, about 100 bytes for every frame and sound packet; the frames themselves would take the memory
of the last column.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from hearsight.media.read import Frame, probe, stream_frames, stream_sound
from hearsight.media.write import paint_video, write_video

WIDTH, HEIGHT, RATE = 160, 96, 10


def moving_bars(minutes: int) -> Iterator[np.ndarray]:
    """Frames in which bars move, cheap to make and to encode."""
    bars = np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)
    bars[:, ::8] = bars[::8] = 200
    for number in range(minutes * 60 * RATE):
        yield bars[:, number % WIDTH : number % WIDTH + WIDTH]


def make(path: Path, minutes: int) -> None:
    """Write a video of so many minutes with a tone of 440 Hz."""
    tone = 8000 * np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000)
    sound = np.tile(tone.astype(np.int16), minutes * 60)
    write_video(path, moving_bars(minutes), frame_rate=Fraction(RATE), sound=sound)


def frames(path: Path) -> int:
    """Stream the frames and count them."""
    return sum(1 for _ in stream_frames(path))


def sound(path: Path) -> int:
    """Stream the sound and count its samples."""
    return sum(len(block) for block in stream_sound(path))


def paint(path: Path) -> int:
    """Paint the video and count the frames it has then."""

    def invert(frame: Frame) -> np.ndarray:
        return 255 - frame.pixels

    painted = path.with_stem("painted")
    paint_video(path, painted, invert)
    return round(probe(painted).duration * RATE)


JOBS: dict[str, Callable[[Path], int]] = {"frames": frames, "sound": sound, "paint": paint}


def peak() -> float:
    """The largest resident set this process ever had, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(job: str, path: Path) -> tuple[float, float, int]:
    """Peak in MiB, seconds and what was counted, of one job in a process of its own."""
    begin = time.perf_counter()
    command = [sys.executable, __file__, "--job", job, str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    highest, count = output.split()
    return float(highest), time.perf_counter() - begin, int(count)


def main() -> None:
    """Measure every length and print one row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        count = JOBS[options.job[0]](Path(options.job[1]))
        print(peak(), count)
        return
    print(
        f"{'minutes':>8}"
        + "".join(f"{job + ' MiB':>12}{'s':>7}" for job in JOBS)
        + "  frames decoded MiB"
    )
    peaks: dict[str, list[float]] = {job: [] for job in JOBS}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in options.minutes:
            path = Path(folder) / f"{minutes}.mp4"
            make(path, minutes)
            row = f"{minutes:>8}"
            for job in JOBS:
                highest, seconds, count = measure(job, path)
                expected = minutes * 60 * (16_000 if job == "sound" else RATE)
                assert abs(count / expected - 1) < 0.01, f"{job}: {count} of {expected}"
                peaks[job].append(highest)
                row += f"{highest:>12.1f}{seconds:>7.1f}"
            decoded = minutes * 60 * RATE * WIDTH * HEIGHT * 3 / 2**20
            print(f"{row}{decoded:>20.0f}", flush=True)
    ratios = "".join(f"{values[-1] / values[0]:>12.2f}{'':>7}" for values in peaks.values())
    print(f"{'ratio':>8}{ratios}  (longest : shortest)")


if __name__ == "__main__":
    main()
