"""Random reads of a store: decoded clips per second, beside the same clips as single files.

    python benchmarks/stores.py

2,000 clips of 256 x 256 pixels (JPEG) and 3 s of noisy tones (FLAC in the store, WAV as single
files, as VGGSound lies on disk). The files are in the system's cache on both sides. Writing is
timed too. Prints one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from hearsight.clips.clip import Clip, Clips, encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.datasets.vggsound import open_vggsound
from hearsight.media.samples import RATE

CLIPS = 2000
READS = 2000
VARIANTS = 50  # different clips; their files are written again and again


def make_clips() -> list[Clip]:
    """Frames with the detail of photographs, sounds that FLAC shortens as it does speech."""
    generator = np.random.default_rng(0)
    times = np.arange(3 * RATE) / RATE
    made = []
    for number in range(VARIANTS):
        coarse = generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((256, 256)), dtype=np.int16)
        frame = np.clip(smooth + generator.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)
        tones = sum(3000 * np.sin(2 * np.pi * f * times) for f in generator.uniform(100, 3000, 4))
        sound = (tones + generator.normal(0, 100, len(times))).astype(np.int16)
        made.append(encode_clip(str(number), frame, sound))
    return made


def write_both(folder: Path, made: list[Clip]) -> float:
    """A store and a VGGSound layout of the same clips; seconds that the store took."""
    begin = time.perf_counter()
    with StoreWriter(folder / "store") as writer:
        for number in range(CLIPS):
            clip = made[number % VARIANTS]
            writer.add(Clip(id=f"c{number:06d}", frame=clip.frame, sound=clip.sound))
    seconds = time.perf_counter() - begin
    sounds = folder / "plain" / "total_video_3s_audio"
    sounds.mkdir(parents=True)
    decoded = [clip.decode().sound for clip in made]
    for number in range(CLIPS):
        frames = folder / "plain" / "total_video_frames" / f"c{number:06d}"
        frames.mkdir(parents=True)
        (frames / "125.jpg").write_bytes(made[number % VARIANTS].frame)
        wav = sounds / f"c{number:06d}.wav"
        soundfile.write(wav, decoded[number % VARIANTS], RATE, subtype="PCM_16")
    return seconds


def read(clips: Clips, seed: int) -> int:
    """Read clips at random."""
    for index in np.random.default_rng(seed).integers(0, CLIPS, READS).tolist():
        clips[index]
    return READS


def listen(clips: Clips, seed: int) -> int:
    """Read sounds at random."""
    for index in np.random.default_rng(seed).integers(0, CLIPS, READS).tolist():
        clips.sound(index)
    return READS


def per_second(work: Callable[[Clips, int], int], clips: Clips, processes: int) -> float:
    """Reads per second of so many processes together."""
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.starmap(work, [(clips, 0)] * processes)
        begin = time.perf_counter()
        count = sum(pool.starmap(work, [(clips, seed) for seed in range(processes)]))
        return round(count / (time.perf_counter() - begin))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writing = write_both(folder, make_clips())
        begin = time.perf_counter()
        store = Store(folder / "store")
        opening = time.perf_counter() - begin
        plain = open_vggsound(folder / "plain")
        found = {
            "written_per_second": round(CLIPS / writing),
            "opened_seconds": round(opening, 4),
            "store_1_process": per_second(read, store, 1),
            "store_2_processes": per_second(read, store, 2),
            "store_sounds_1_process": per_second(listen, store, 1),
            "single_files_1_process": per_second(read, plain, 1),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
