"""How long does painting a film take, against ffmpeg encoding it again with the same settings?

    python benchmarks/painting.py [--full] [--pairs 5] [--film FILM]... [--ffmpeg PATH]

Two films are made, 640x360 with 25 frames a second and 1920x1080 with 30: a camera that shakes over
a picture, something that moves, grain that is new in each frame, and AAC; 60 s and 20 s of them,
with --full 10 minutes and 2; `--film` names one of them, or any other. Ours is the command
`localise FILM -o PAINTED` with the default model, one moment a second and a threshold of -1, so
that every frame is painted; its start counts. ffmpeg encodes with the same encoder, preset and
quality, copies the sound, and has `-threads 2`. Both are run in turns, and medians of ratios are
printed: by the clock, and by processor time, which others' work on the machine does not change as
much.

Two more runs tell what a ratio is made of: `localise FILM` alone, and ffmpeg encoding our painted
film again, since painted pictures take more work to encode than the film did.

Painted films are held against their definition: as many frames, at the same times, and pixels as
`VideoPainter` paints them in RGB, but for what the encoder loses. ffmpeg is the one on PATH, or
that of the PyPI package imageio-ffmpeg.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np
from PIL import Image
from vggsound_import import find_ffmpeg, timed

from hearsight.localising.localise import localise_video
from hearsight.localising.moments import MappedMoment, MomentHeatmap, VideoPainter, to_heatmap
from hearsight.media.read import probe, stream_frames
from hearsight.media.write import OPTIONS

FILMS = {  # width, height, frames a second; seconds, and those of --full
    "640x360": (640, 360, 25, 60, 600),
    "1920x1080": (1920, 1080, 30, 20, 120),
}
LOSS = 4.0  # levels of 255 by which encoded pixels may differ from the painted ones, in the mean
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}


def make_film(path: Path, width: int, height: int, rate: int, seconds: int) -> None:
    """A film as the text above describes it."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    size = (width + 200, height + 200)
    wide = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)) // 2 + 60
    grain = random.integers(0, 12, (height + 64, width + 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        pictures.codec_context.thread_type = "FRAME"
        sounds = output.add_stream("aac", rate=44_100, layout="mono")
        for number in range(rate * seconds):
            x, y = (int(100 + 80 * np.sin(number / step)) for step in (20, 31))
            pixels = wide[y : y + height, x : x + width].copy()
            at = 3 * number % (height - 60)
            pixels[at : at + 60, at : at + 80] = (230, 40, 40)
            y, x = random.integers(0, 64, 2)
            pixels += grain[y : y + height, x : x + width]
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels)))
            if number % rate == 0:
                loudness = random.random()
                noise = loudness * random.normal(0, 0.2, (1, 44_100)).astype(np.float32)
                heard = av.AudioFrame.from_ndarray(noise.clip(-1, 1), format="flt", layout="mono")
                heard.sample_rate, heard.time_base = 44_100, Fraction(1, 44_100)
                heard.pts = number // rate * 44_100
                output.mux(sounds.encode(heard))
        output.mux([*pictures.encode(None), *sounds.encode(None)])


def ours(film: Path, painted: Path | None) -> None:
    """The command, without painting where no file is named."""
    command = [sys.executable, "-m", "hearsight", "localise", str(film), "--threshold", "-1"]
    command += ["-o", str(painted), "--force"] if painted else []
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)


def by_ffmpeg(ffmpeg: str, film: Path, out: Path) -> None:
    """The film, encoded again."""
    options = [word for key, value in OPTIONS["libx264"].items() for word in (f"-{key}", value)]
    coding = ["-c:v", "libx264", *options, "-pix_fmt", "yuv420p", "-c:a", "copy", "-threads", "2"]
    start = [ffmpeg, "-v", "error", "-nostdin", "-y", "-threads", "2", "-i", str(film)]
    subprocess.run([*start, *coding, str(out)], check=True)


def check_painted(film: Path, painted: Path) -> dict[str, float]:
    """Hold a painted film against what `VideoPainter` paints in RGB; mean differences in levels."""
    moments = list(localise_video(film, threshold=-1.0, maps=True))
    localised = []
    for one in moments:
        assert isinstance(one, MappedMoment)
        grid = to_heatmap(one.response) if one.box else np.zeros_like(one.response)
        heatmap = np.rint(grid * 255).astype(np.uint8)
        localised.append(MomentHeatmap(moment=one, heatmap=heatmap))
    painter = VideoPainter(
        style="heat", threshold=-1.0, duration=probe(film).duration, localised=localised
    )
    count, differences, changes = 0, [], []
    for before, after in zip(stream_frames(film), stream_frames(painted), strict=True):
        assert before.time == after.time
        if count % 40 == 0:
            right = painter(before).astype(int)
            differences.append(np.abs(after.pixels - right).mean())
            changes.append(np.abs(before.pixels - right).mean())
        count += 1
    assert max(differences) < LOSS
    return {
        "frames": count,
        "largest mean difference from the definition, levels": round(float(max(differences)), 2),
        "mean change by painting, levels": round(float(np.mean(changes)), 2),
    }


def compare(ffmpeg: str, film: Path, pairs: int) -> dict[str, float | list[float]]:
    """Ratios of the medians of `pairs` runs in turns, and what they are made of, in seconds."""
    painted, again = film.with_name("painted.mp4"), film.with_name("again.mp4")
    runs: dict[str, Callable[[], None]] = {
        "localise -o": lambda: ours(film, painted),
        "ffmpeg": lambda: by_ffmpeg(ffmpeg, film, again),
        "localise alone": lambda: ours(film, None),
        "ffmpeg of the painted film": lambda: by_ffmpeg(ffmpeg, painted, again),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(pairs):
        for name, run in runs.items():
            taken[name].append(timed(run))
    result: dict[str, float | list[float]] = {}
    for kind, index in (("clock", 0), ("processor", 1)):
        mine, peer = ([pair[index] for pair in taken[name]] for name in ("localise -o", "ffmpeg"))
        ratios = sorted(one / other for one, other in zip(mine, peer, strict=True))
        result[f"ratio, {kind}"] = round(median(ratios), 2)
        result[f"least and largest, {kind}"] = [round(ratios[0], 2), round(ratios[-1], 2)]
        for name, times in taken.items():
            result[f"{name}, {kind} s"] = round(median(time[index] for time in times), 2)
    return result | check_painted(film, painted)


def main() -> None:
    """Make the films and print what was measured of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--film", action="append", help=f"{' or '.join(FILMS)}, or a path")
    parser.add_argument("--ffmpeg")
    chosen = parser.parse_args()
    ffmpeg = find_ffmpeg(chosen.ffmpeg)
    if ffmpeg is None:
        print("no ffmpeg to compare with: pip install imageio-ffmpeg, or name one by --ffmpeg")
        return
    for name in chosen.film or FILMS:
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / "film.mp4"
            if name in FILMS:
                width, height, rate, short, full = FILMS[name]
                make_film(film, width, height, rate, full if chosen.full else short)
            else:
                film = film.with_suffix(Path(name).suffix)
                film.symlink_to(Path(name).absolute())
            info = probe(film)
            told = f"{info.width}x{info.height}, {info.duration:.1f} s"
            measured = compare(ffmpeg, film, chosen.pairs)
            print(json.dumps({"film": name, "holds": told, **measured}, indent=1), flush=True)


if __name__ == "__main__":
    main()
