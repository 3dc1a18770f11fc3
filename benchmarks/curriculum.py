"""What the mixing curriculum costs: its share of an epoch, and the exact search without its matrix.

    python benchmarks/curriculum.py [--batches 6] [--vectors 20000]

The share: `ssl_tie:small` on scenes composed of toys, by the trainer's own methods. Before an epoch
every sound is composed, embedded and matched with its nearest other; then the epoch is trained with
these partners, whose sounds are composed too, and once more without partners. Without worker
processes, so that all work is counted. Embedding grows with the clips as training does, so its
share holds for any number; the search grows with their square and is told apart.

The search: `nearest_other` of as many vectors of 512 numbers against the plain way, the
whole matrix of scores at once, each in a process of its own: processor seconds, and by how much the
process grew at its peak, the vectors themselves not counted. Both must find the same. What is said
of 144,000 vectors is computed from that, not measured: time by the square of the count, the matrix
by its size. A block keeps its size whatever the count above 16,384.

One thread, processor time. Prints one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import torch

from hearsight.model.nearest import nearest_other
from hearsight.recipes.catalogue import load_recipe
from hearsight.scenes.scenes import open_scenes
from hearsight.training.batches import COMPOSED
from hearsight.training.run import Run
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.trainer import train_epoch

WIDTH, LARGE = 512, 144_000


def shares(folder: Path, batches: int) -> dict[str, float]:
    """Processor time of finding partners and of training an epoch with and without them."""
    recipe = replace(load_recipe("ssl_tie:small"), epochs=10)
    clips = open_scenes(
        "toys",
        size=round(recipe.frame_size * COMPOSED),
        count=batches * recipe.batch_size,
        seconds=recipe.spectrogram.seconds,
        endless=True,
    )
    run = Run(recipe, clips, folder, TrainingOptions(device="cpu", workers=0, log_every=10**6))
    run.position.epoch = 5
    run.position.batch = batches - 1
    train_epoch(run)  # what is done once per process
    times = {}
    for name in ("finding partners", "training with partners", "training without"):
        if name == "training without":
            run.position.partners = None
        begin = time.process_time()
        if name == "finding partners":
            run.find_partners()
        else:
            run.position.batch = 0
            train_epoch(run)
        times[name] = (time.process_time() - begin) / len(clips)
    run.log.close()
    found, mixed, alone = times.values()
    result = {f"{name}, ms per clip": round(1000 * t, 2) for name, t in times.items()}
    return result | {
        "share of an epoch that finding partners takes": round(found / (found + mixed), 4),
        "epoch with the curriculum : epoch without": round((found + mixed) / alone, 3),
    }


def whole_matrix(vectors: torch.Tensor) -> torch.Tensor:
    """The nearest other by all scores at once."""
    scores = vectors @ vectors.T
    scores.fill_diagonal_(-torch.inf)
    return scores.argmax(dim=1)


def peak() -> int:
    """The most memory this process held since `forget_peak`, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Start anew: a process inherits the peak of the one that started it (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def search(form: str, count: int) -> None:
    """Print seconds, growth in bytes and a checksum of what was found."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(count, WIDTH, generator=generator)
    vectors /= vectors.norm(dim=1, keepdim=True)
    way = {"blocks": nearest_other, "matrix": whole_matrix}[form]
    way(vectors[:64])
    forget_peak()
    before, begin = peak(), time.process_time()
    found = way(vectors)
    seconds = time.process_time() - begin
    print(json.dumps([seconds, peak() - before, crc32(found.numpy().tobytes())]))


def compare(count: int) -> dict[str, float]:
    """Both forms of the search, each in a new process, and what follows for `LARGE` vectors."""
    found = {}
    for form in ("blocks", "matrix"):
        command = [sys.executable, __file__, "--search", form, str(count)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[form] = json.loads(output)
    assert found["blocks"][2] == found["matrix"][2], "the two searches found different sounds"
    result = {}
    for form, (seconds, growth, _) in found.items():
        result[f"{form}, {count} vectors: s"] = round(seconds, 2)
        result[f"{form}, {count} vectors: MiB"] = round(growth / 2**20)
    growths = [growth for _, growth, _ in found.values()]
    result["memory, matrix : blocks"] = round(growths[1] / growths[0], 1)
    more = (LARGE / count) ** 2
    result[f"blocks, {LARGE} vectors, computed: s"] = round(found["blocks"][0] * more)
    result[f"matrix, {LARGE} vectors, computed: MiB"] = round(4 * LARGE**2 / 2**20)
    return result


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=6, help="of the epoch")
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--search", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        search(arguments.search[0], int(arguments.search[1]))
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report = shares(Path(folder), arguments.batches)
    print(json.dumps(report | compare(arguments.vectors), indent=1))


if __name__ == "__main__":
    main()
