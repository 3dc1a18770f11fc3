"""What it costs to build hearsight into something else: cold starts, repeated calls, weight.

    python benchmarks/embedding_costs.py                        this checkout
    python benchmarks/embedding_costs.py --before OLD_CHECKOUT  another one too, and the ratio

Processor seconds of whole processes, the least of some rounds in which both checkouts take turns: a
machine that is busy with other things makes the clock's seconds grow, and these little. One thread,
the model that comes with the package. Packages and their size are those that the base installation
asks for, as they are installed here. Prints one JSON object.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import soundfile
from packaging.requirements import Requirement
from PIL import Image

HERE = Path(__file__).resolve().parents[1]
MAKE_LIBRARY = """
from fractions import Fraction
import numpy as np
from hearsight.library.indexing import index_videos
from hearsight.media.write import write_video
random = np.random.default_rng(0)
frames = [random.integers(0, 256, (180, 320, 3), np.uint8)] * 100
sound = (0.1 * random.standard_normal(20 * 16_000)).astype(np.float32)
write_video("film.mp4", frames, frame_rate=Fraction(5), sound=sound)
index_videos("made.library", ["film.mp4"])
"""
TEN_CALLS = """
import hearsight
if hasattr(hearsight, "LoadedModel"):
    model = hearsight.load_model("ssl_tie:small")
    localise = model.localise_image
else:
    localise = hearsight.localise_image
for _ in range(10):
    localise("street.png", "street.wav")
"""
COMMAND = "import sys\nfrom hearsight.commands.cli import main\nsys.argv[1:] = {}\nmain()"
PROGRAMS = {
    "import torch alone, s": "import torch",
    "cold localise of a picture, s": COMMAND.format(
        ["localise", "street.png", "--sound", "street.wav", "--threads", "1"]
    ),
    "cold search -k 1, s": COMMAND.format(
        ["search", "made.library", "--sound", "street.wav", "-k", "1", "--threads", "1"]
    ),
    "cold similar -k 1, s": COMMAND.format(
        ["similar", "made.library", "film.mp4", "--at", "5", "-k", "1"]
    ),
    "ten calls of localise_image, s": TEN_CALLS,
}


def run(code: str, checkout: Path, folder: Path) -> float:
    """Processor seconds of a program that imports hearsight from a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def required(checkout: Path) -> set[str]:
    """The packages of the base installation, all that they need in turn included."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, found = list(project["dependencies"]), set()
    while waiting:
        wanted = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        try:
            waiting += distribution(name).requires or []
        except PackageNotFoundError:  # such as what the CPU build of torch does without
            continue
        found.add(name)
    return found


def size(packages: set[str]) -> float:
    """Megabytes of the files that these packages installed."""
    files = [file for name in packages for file in distribution(name).files or []]
    paths = {Path(str(file.locate())).resolve() for file in files}
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    checkouts = {"after": HERE}
    if options.before is not None:
        checkouts = {"before": options.before.resolve(), **checkouts}
    results: dict[str, dict[str, float]] = {name: {} for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (240, 320, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "street.png")
        soundfile.write(folder / "street.wav", 0.1 * random.standard_normal(48_000), 16_000)
        run(MAKE_LIBRARY, HERE, folder)
        for _ in range(options.rounds):
            for name, code in PROGRAMS.items():
                for which, checkout in checkouts.items():
                    taken = run(code, checkout, folder)
                    results[name][which] = min(taken, results[name].get(which, taken))
    weight: dict[str, dict[str, float]] = {"packages": {}, "installed, MB": {}}
    for which, checkout in checkouts.items():
        packages = required(checkout)
        weight["packages"][which] = len(packages)
        weight["installed, MB"][which] = size(packages)
    results |= weight
    for numbers in results.values():
        if "before" in numbers:
            numbers["ratio"] = numbers["after"] / numbers["before"]
    print(
        json.dumps(
            {
                name: {which: round(number, 2) for which, number in numbers.items()}
                for name, numbers in results.items()
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
