"""Localising a 640x360 video of 25 frames per second, with and without painting it.

    python benchmarks/localise.py            speed, as a multiple of real time
    python benchmarks/localise.py --memory   peak memory for 1 and for 20 minutes of video

Two threads; encoders of the size of `ssl_tie:small`, not trained: the answers mean nothing, the
work is the same. The threshold is -1, so that every frame is painted. One moment per second, as
the command does by default, and ten. Decoding, sound and encoding of the painted video count.
Prints one JSON object. On a machine that is busy with other things the clock's seconds grow; the
processor's stay.
"""

import os

os.environ["OMP_NUM_THREADS"] = "2"

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from hearsight.checkpoints.checkpoint import save_checkpoint
from hearsight.localising.localise import localise_video
from hearsight.media.write import write_video
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe

SECONDS = 20


def pictures(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Smooth colours that drift, with some grain: neither trivial nor pure noise to decode."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    grain = generator.integers(0, 12, (4, height, width, 3), dtype=np.uint8)
    waves = 100 + 80 * np.sin(np.stack([x / 40, y / 30, (x + y) / 50], 2))
    for index in range(count):
        yield np.roll(waves.astype(np.uint8), index, axis=1) + grain[index % 4]


def make_video(path: Path, seconds: int, height: int, width: int, rate: int) -> None:
    """A made video with noise of changing loudness for its sound."""
    generator = np.random.default_rng(1)
    loudness = np.repeat(generator.random(seconds), 16_000)
    sound = (0.3 * loudness * generator.standard_normal(seconds * 16_000)).astype(np.float32)
    frames = pictures(seconds * rate, height, width)
    write_video(path, frames, frame_rate=Fraction(rate), sound=np.clip(sound, -1, 1))


def make_model(path: Path) -> None:
    """Untrained encoders of the demo's size."""
    torch.manual_seed(0)
    recipe = load_recipe("ssl_tie:small")
    save_checkpoint(path, Encoders(recipe.encoder), recipe)


def timed(
    video: Path, model: Path, every: float, overlay: Path | None, style: str
) -> tuple[float, float]:
    """Seconds for the whole video, by the clock and of the processor."""
    begin, worked = time.perf_counter(), time.process_time()
    for _ in localise_video(
        video, model=model, every=every, overlay=overlay, style=style, threshold=-1.0, device="cpu"
    ):
        pass
    return time.perf_counter() - begin, time.process_time() - worked


def speed(folder: Path) -> dict[str, float | str]:
    """Multiples of real time."""
    video, model = folder / "video.mp4", folder / "model.safetensors"
    make_video(video, SECONDS, 360, 640, 25)
    make_model(model)
    painted = folder / "painted.mp4"
    timed(video, model, 10.0, None, "heat")  # what is done once per process
    cases = {
        "1 moment per second": (1.0, None, "heat"),
        "10 moments per second": (0.1, None, "heat"),
        "1 moment per second, heat painted": (1.0, painted, "heat"),
        "1 moment per second, contour painted": (1.0, painted, "contour"),
        "1 moment per second, box painted": (1.0, painted, "box"),
    }
    result: dict[str, float | str] = {"video": f"640x360, 25 frames/s, {SECONDS} s"}
    for name, case in cases.items():
        seconds, worked = timed(video, model, *case)
        result[f"{name}: frames/s"] = round(25 * SECONDS / seconds, 1)
        result[f"{name}: times real time"] = round(SECONDS / seconds, 2)
        result[f"{name}: processor seconds per second of video"] = round(worked / SECONDS, 3)
    return result


def peak(minutes: int) -> int:
    """Peak memory in MiB of a new process that localises and paints so many minutes."""
    command = [sys.executable, __file__, "--peak", str(minutes)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_peak(folder: Path, minutes: int) -> None:
    """Print this process's growth while it localises and paints, in MiB."""
    video, model = folder / "video.mp4", folder / "model.safetensors"
    make_model(model)
    script = f"import sys; sys.argv = ['']; import runpy; m = runpy.run_path({__file__!r}); "
    script += f"from pathlib import Path; m['make_video'](Path({str(video)!r}), {60 * minutes}, "
    subprocess.run([sys.executable, "-c", script + "90, 160, 4)"], check=True)
    timed(video, model, 1.0, folder / "painted.mp4", "heat")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    """Measure speed, or memory, and print it."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "--peak" in sys.argv:
            measure_peak(folder, int(sys.argv[-1]))
        elif "--memory" in sys.argv:
            short, long = peak(1), peak(20)
            print(
                json.dumps(
                    {
                        "peak for 1 minute, MiB": short,
                        "peak for 20 minutes, MiB": long,
                        "ratio": round(long / short, 3),
                    }
                )
            )
        else:
            print(json.dumps(speed(folder), indent=1))


if __name__ == "__main__":
    main()
