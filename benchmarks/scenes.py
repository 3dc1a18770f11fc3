"""Scenes composed per second and core, sound included, against the plain way.

    python benchmarks/scenes.py [--pack menagerie] [--folder PACK] [--scenes 200]

Ours: `Scenes` of 224 and of 96 pixels with 0 to 3 silent objects and 3 s of sound. Plain: the
same objects by Pillow and numpy as one would write it down: every cut-out resized from its full
size onto a layer as large as the frame, layers blended and lit as floats, the sound resampled by
numpy.interp and low-passed by a Fourier transform. Prints one JSON object: scenes per second of
processor time on one thread and the ratio. The sides take turns; the fastest round counts.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hearsight.media.samples import RATE
from hearsight.scenes.composing import draw_area
from hearsight.scenes.pack import Pack
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.scenes.sound_bank import CUTOFF

ROUNDS, SIDES = 12, (224, 96)


def plain_picture(pack: Pack, side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """A background, and one to four cut-outs each on a layer of its own, all in floats."""
    pixels = pack.backgrounds[draw.integers(len(pack.backgrounds))]
    image = Image.fromarray(pixels).resize((side * 5 // 4, side * 5 // 4), Image.Resampling.LANCZOS)
    x, y = (int(edge) for edge in draw.integers(side // 4, size=2))
    canvas = np.asarray(image.crop((x, y, x + side, y + side)), np.float32) / 255
    canvas = np.clip(canvas * draw.uniform(0.7, 1.3), 0, 1)
    for _ in range(1 + draw.integers(4)):
        cutout = Image.fromarray(pack.cutouts[draw.integers(len(pack.cutouts))].pixels)
        scale = min((draw_area(draw) / (cutout.width * cutout.height)) ** 0.5 * side, 1.5)
        size = (max(round(cutout.width * scale), 1), max(round(cutout.height * scale), 1))
        layer = Image.new("RGBA", (side, side))
        place = (int(draw.integers(side)) - size[0] // 2, int(draw.integers(side)) - size[1] // 2)
        layer.paste(cutout.resize(size, Image.Resampling.LANCZOS), place)
        above = np.asarray(layer, np.float32) / 255
        lit = np.clip(above[..., :3] * draw.uniform(0.7, 1.3), 0, 1)
        canvas = canvas * (1 - above[..., 3:]) + lit * above[..., 3:]
    return (canvas * 255).astype(np.uint8)


def plain_sound(pack: Pack, draw: np.random.Generator) -> NDArray[np.int16]:
    """A recording at another pitch, tiled to 3 s, with noise, low-passed."""
    recording = pack.recordings[draw.integers(len(pack.recordings))].samples / 32768
    places = np.arange(0, len(recording) - 1, draw.uniform(0.94, 1.06))
    pitched = np.interp(places, np.arange(len(recording)), recording)
    sound = np.roll(np.resize(pitched, 3 * RATE), draw.integers(3 * RATE))
    sound = sound * draw.uniform(0.25, 1) + draw.normal(0, 0.003, len(sound))
    spectrum = np.fft.rfft(sound)
    spectrum[np.fft.rfftfreq(len(sound), 1 / RATE) > CUTOFF] = 0
    return (np.clip(np.fft.irfft(spectrum, len(sound)), -1, 1) * 32767).astype(np.int16)


def per_second(work: Callable[[int], object], first: int, count: int) -> float:
    """Calls per second of processor time."""
    begin = time.process_time()
    for number in range(first, first + count):
        work(number)
    return count / (time.process_time() - begin)


def main() -> None:
    """Time both sides in turns and print scenes per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="toys")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--scenes", type=int, default=100, help="per round")
    arguments = parser.parse_args()
    pack = load_pack(arguments.pack, arguments.folder, split="train")
    works: dict[str, Callable[[int], object]] = {}
    for side in SIDES:
        scenes = Scenes(pack, ROUNDS * arguments.scenes, size=side)
        works[f"scenes of {side} px"] = scenes.__getitem__
        draw = np.random.default_rng(0)
        works[f"plain, {side} px"] = lambda _, side=side, draw=draw: (  # type: ignore[misc]
            plain_picture(pack, side, draw),
            plain_sound(pack, draw),
        )
    works["sounds alone"] = scenes.sound
    best = dict.fromkeys(works, 0.0)
    for turn in range(ROUNDS):
        for name, work in works.items():
            speed = per_second(work, turn * arguments.scenes, arguments.scenes)
            best[name] = max(best[name], speed)
    result: dict[str, float | str] = {name: round(speed) for name, speed in best.items()}
    for side in SIDES:
        ratio = best[f"scenes of {side} px"] / best[f"plain, {side} px"]
        result[f"ratio at {side} px"] = round(ratio, 1)
    print(json.dumps({"pack": arguments.pack, "classes": len(pack.labels)} | result))


if __name__ == "__main__":
    main()
