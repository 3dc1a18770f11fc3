"""What does indexing hours of film take against another checkout, and what must it take?

    python benchmarks/long_film.py --minutes 10 120 480 [--before CHECKOUT] [--pairs 1]
        [--film FILM...] [--ffmpeg PATH]

Films of 640x360 with 25 frames a second are made, with a key frame every 2 s; films that are named
are repeated instead until they last as long. Each is indexed by the command, with `ssl_tie:small`
on one thread, in a process of its own for each checkout: processor seconds, its start included,
bytes that it asked the system for as a share of the file, and its largest resident set (VmHWM; so
Linux only). Both are asserted to make as many moments; of several pairs, in turns, the medians are
told, and the least and largest of their ratios. Beside it stands what any build has to do
that reads the sound, takes a frame every 3 s and gives the same digits: decoding, resampling and
scaling as in `indexing.py`, and the network, measured on some moments. Prints one JSON object for
each film.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from indexing import SIDE, needed, repeat
from vggsound_import import RATE as FRAME_RATE
from vggsound_import import film, find_ffmpeg, timed

from hearsight.library.extraction import digest
from hearsight.library.lance_table import MomentTable
from hearsight.localising.localise import EncoderFrame
from hearsight.media.samples import RATE
from hearsight.retrieval.embeddings import load_embedder

MODEL = "ssl_tie:small"
HERE = Path(__file__).resolve().parents[1]
MOMENTS = 64  # embedded to measure the network
COMMAND = """
import pathlib, runpy, sys
sys.argv[0] = "hearsight"
try:
    runpy.run_module("hearsight", run_name="__main__", alter_sys=True)
finally:
    print(pathlib.Path("/proc/self/io").read_text(), pathlib.Path("/proc/self/status").read_text())
"""


def make_film(folder: Path, ffmpeg: str, minutes: int, given: Path | None) -> Path:
    """A film that was given, or a short one, repeated without encoding it again."""
    short = given or folder / "short.mp4"
    if not short.exists():
        film(short, 2, group=2 * FRAME_RATE)
    path = folder / f"{minutes} minutes{short.suffix}"
    repeat(short, path, ffmpeg, minutes)
    return path


def index(checkout: Path, path: Path, library: Path) -> dict[str, Any]:
    """The command in a process of its own."""
    command = ["index", str(library), str(path), "--model", MODEL, "--threads", "1", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *command],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    table = MomentTable.open(str(library))
    assert table is not None
    return {
        "moments": len(table),
        "processor_s": round(spent, 1),
        "files_read": round(int(facts["rchar"]) / path.stat().st_size, 2),
        "peak_mib": round(int(facts["VmHWM"].split()[0]) / 1024),
    }


def medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Of each figure."""
    return {name: round(float(np.median([run[name] for run in runs])), 2) for name in runs[0]}


def ratios_of(after: list[dict[str, Any]], before: list[dict[str, Any]], name: str) -> list[float]:
    """The median, the least and the largest ratio of a figure in pairs."""
    found = [one[name] / other[name] for one, other in zip(after, before, strict=True)]
    return [round(float(each), 2) for each in (np.median(found), min(found), max(found))]


def cannot_be_saved(path: Path, moments: int) -> dict[str, float]:
    """Processor seconds of its parts, each by itself."""
    sound, frames, resampling, scaling = needed(path)
    embedder = load_embedder(MODEL)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (MOMENTS, SIDE, 398, 3), np.uint8)
    seen = [EncoderFrame(pixels=each, height=360, width=640) for each in pixels]
    heard = list(0.1 * random.standard_normal((MOMENTS, 3 * RATE)).astype(np.float32))
    embedder.moments(seen[:2], heard[:2])
    network = min(timed(lambda: embedder.moments(seen, heard))[1] for _ in range(3))
    parts = {
        "sound": sound,
        "key frames": frames,
        "resampling": resampling,
        "scaling": scaling,
        "network": network * moments / MOMENTS,
        "digest": min(timed(lambda: digest(path))[1] for _ in range(2)),
    }
    return {name: round(seconds, 1) for name, seconds in parts.items()}


def main() -> None:
    """Make the films, and print what they take."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, nargs="+", default=[10, 120])
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--film", type=Path, nargs="+", default=[None])
    parser.add_argument("--ffmpeg")
    chosen = parser.parse_args()
    ffmpeg = find_ffmpeg(chosen.ffmpeg)
    if ffmpeg is None:
        print("no ffmpeg to make films with: pip install imageio-ffmpeg, or name one by --ffmpeg")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, (given, minutes) in enumerate(product(chosen.film, chosen.minutes)):
            path = make_film(folder, ffmpeg, minutes, given)
            figures: dict[str, Any] = {"film": given and given.name, "minutes": minutes}
            after, before = [], []
            for pair in range(chosen.pairs):
                after.append(index(HERE, path, folder / f"{number} after {pair}"))
                if chosen.before is not None:
                    checkout = chosen.before.resolve()
                    before.append(index(checkout, path, folder / f"{number} before {pair}"))
                    assert before[-1]["moments"] == after[-1]["moments"]
            figures["after"] = medians(after)
            least = cannot_be_saved(path, figures["after"]["moments"])
            figures["cannot_be_saved"] = least | {"all": round(sum(least.values()), 1)}
            if before:
                figures["before"] = medians(before)
                figures["ratios"] = {
                    name: ratios_of(after, before, name)
                    for name in ("processor_s", "files_read", "peak_mib")
                }
                least_share = sum(least.values()) / figures["before"]["processor_s"]
                figures["cannot_be_less_than"] = round(least_share, 2)
            print(json.dumps(figures), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
