"""Clips loaded per second and core: ours against the plain way, one sample at a time.

    python benchmarks/loader.py [--rounds 8]

The clips: frames of 500 x 281 pixels (JPEG, quality 90) and 3 s of sound. Ours: a store read at
random through `Batches` (without worker processes, so that their work is counted here), then, on
the training device, a random look of every frame at 224 pixels and the masked mel spectrogram of
10 s, both batched. Plain: single files; for each sample the JPEG decoded twice by Pillow (the
released loader keeps an untouched copy), the look by Pillow as torchvision does it, the masked
spectrogram by scipy, all in the worker, and the samples stacked. Neither side mixes sounds.

"loading": what a worker has to do. Ours is decode and collate alone, since the rest runs on the
training device; the plain way has nothing to leave to it. "all on one core": ours with look and
spectrogram on the same core, which is the same work as the plain way. Sounds are stored as FLAC,
as `hearsight data` writes them, and as WAV, which a store may hold too.

Made-up frames with the detail of photographs (about 30 KB each), all files in the system's cache.
One thread, processor time, the sides in turns; the fastest round counts. Prints one JSON object.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import io
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from transforms import plain_mask, plain_mel  # benchmarks/transforms.py

from hearsight.clips.clip import Clip, encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.media.picture import decode_picture
from hearsight.media.samples import RATE
from hearsight.media.sound_file import decode_sound_file
from hearsight.model.colour import DEVIATION, MEAN
from hearsight.model.spectrogram import mel_triangles
from hearsight.recipes.catalogue import load_recipe
from hearsight.training.batches import Batch, Batches, collate
from hearsight.training.step import draw, prepare_frames, prepare_sounds

CLIPS, BATCH, SIDE = 64, 32, 224
WIDTH, HEIGHT = 500, 281
TARGET = 5.0
Works = dict[str, Callable[[], int]]  # each returns how many clips it handled


def make_clip(number: int) -> Clip:
    """A frame as hard to decode as a photograph, and tones with noise, as FLAC."""
    generator = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (9, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = Image.fromarray(generator.integers(112, 145, (141, 250, 3), dtype=np.uint8))
    detail = np.asarray(grain.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), dtype=np.int16)
    frame = np.clip(smooth + detail - 128, 0, 255).astype(np.uint8)
    times = np.arange(3 * RATE) / RATE
    tones = sum(3000 * np.sin(2 * np.pi * f * times) for f in generator.uniform(100, 3000, 4))
    sound = (tones + generator.normal(0, 100, len(times))).astype(np.int16)
    return encode_clip(f"clip{number:04d}", frame, sound)


def as_wav(clip: Clip) -> Clip:
    """The same clip with its sound as a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, decode_sound_file(clip.sound), RATE, format="WAV", subtype="PCM_16")
    return replace(clip, sound=file.getvalue())


def write_clips(folder: Path) -> list[Clip]:
    """Two stores, and the same clips as single files as VGGSound lies on disk."""
    clips = [make_clip(number) for number in range(CLIPS)]
    with StoreWriter(folder / "flac") as flac, StoreWriter(folder / "wav") as wav:
        for clip in clips:
            flac.add(clip)
            wav.add(as_wav(clip))
            (folder / f"{clip.id}.jpg").write_bytes(clip.frame)
            (folder / f"{clip.id}.wav").write_bytes(as_wav(clip).sound)
    return clips


def ours(folder: Path, clips: list[Clip]) -> Works:
    """Loading, the work on the device, and the parts of loading."""
    recipe = load_recipe("ssl_tie")
    recipe.batch_size = BATCH
    generator = torch.Generator().manual_seed(0)
    epochs = {kind: Batches(Store(folder / kind), recipe, workers=0) for kind in ("flac", "wav")}
    batch = next(iter(epochs["flac"].epoch(0)))
    assert batch is not None
    items = [epochs["flac"].items[slot] for slot in epochs["flac"].slots(0, 0, None)[0]]
    first, wav = clips[:BATCH], [as_wav(clip) for clip in clips[:BATCH]]

    def load(kind: str) -> list[Batch | None]:
        return list(epochs[kind].epoch(0))

    def look(loaded: Batch) -> int:
        prepare_frames(recipe, loaded, draw(recipe, len(loaded), 0, generator).appearance)
        return len(loaded)

    def hear(loaded: Batch) -> int:
        prepare_sounds(recipe, loaded, draw(recipe, len(loaded), 0, generator))
        return len(loaded)

    def everything(kind: str) -> int:
        return sum(look(one) * hear(one) // len(one) for one in load(kind) if one is not None)

    return {
        "loading, FLAC": lambda: BATCH * len(load("flac")),
        "loading, WAV": lambda: BATCH * len(load("wav")),
        "part: JPEG": lambda: len([decode_picture(clip.frame) for clip in first]),
        "part: FLAC": lambda: len([decode_sound_file(clip.sound) for clip in first]),
        "part: WAV": lambda: len([decode_sound_file(clip.sound) for clip in wav]),
        "part: collate": lambda: len(collate(items, 3.0, mixing=False) or ()),
        "part: look": lambda: look(batch),
        "part: spectrogram": lambda: hear(batch),
        "all on one core, FLAC": lambda: everything("flac"),
        "all on one core, WAV": lambda: everything("wav"),
    }


def plain_crop(image: Image.Image) -> Image.Image:
    """A random box of 30 to 100 % of the frame, resized."""
    for _ in range(10):
        area = random.uniform(0.3, 1) * image.width * image.height
        ratio = (4 / 3) ** random.uniform(-1, 1)
        width, height = (round((area * r) ** 0.5) for r in (ratio, 1 / ratio))
        if width <= image.width and height <= image.height:
            break
    else:
        width = height = image.height
    x, y = random.randint(0, image.width - width), random.randint(0, image.height - height)
    box = (x, y, x + width, y + height)
    return image.crop(box).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def turn_hue(image: Image.Image) -> Image.Image:
    """Turn the hue by at most a tenth of the circle."""
    hue, saturation, value = image.convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(random.randint(-25, 25) % 256)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


def plain_look(image: Image.Image) -> torch.Tensor:
    """The released transforms of one frame by Pillow."""
    image = plain_crop(image)
    if random.random() < 0.8:
        changes: list[Callable[[Image.Image], Image.Image]] = [
            lambda one: ImageEnhance.Brightness(one).enhance(random.uniform(0.6, 1.4)),
            lambda one: ImageEnhance.Contrast(one).enhance(random.uniform(0.6, 1.4)),
            lambda one: ImageEnhance.Color(one).enhance(random.uniform(0.6, 1.4)),
            turn_hue,
        ]
        random.shuffle(changes)
        for change in changes:
            image = change(image)
    if random.random() < 0.2:
        image = image.convert("L").convert("RGB")
    if random.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2)))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
    mean, deviation = torch.tensor(MEAN)[:, None, None], torch.tensor(DEVIATION)[:, None, None]
    return pixels.sub_(mean).div_(deviation)


def plain(folder: Path, clips: list[Clip]) -> Works:
    """A batch as a loop over samples, and its parts."""
    random.seed(0)
    paths = [folder / clip.id for clip in clips[:BATCH]]
    window = torch.hann_window(512).numpy() / np.float32(192**0.5)
    triangles = mel_triangles(512, 257).float().numpy()
    frame = Image.open(paths[0].with_suffix(".jpg")).convert("RGB")
    pcm = soundfile.read(paths[0].with_suffix(".wav"), dtype="int16")[0]

    def decode(path: Path) -> Image.Image:
        image, _ = (Image.open(path.with_suffix(".jpg")).convert("RGB") for _ in range(2))
        return image

    def hear(samples: NDArray[np.int16]) -> torch.Tensor:
        spectrogram = plain_mel(samples, window, triangles)
        masked = plain_mask(spectrogram) if random.random() < 0.8 else spectrogram
        return torch.from_numpy(masked)[None]

    def everything() -> int:
        frames, spectrograms = [], []
        for path in paths:
            frames.append(plain_look(decode(path)))
            spectrograms.append(hear(soundfile.read(path.with_suffix(".wav"), dtype="int16")[0]))
        return len(torch.stack(frames)) * len(torch.stack(spectrograms)) // BATCH

    return {
        "plain": everything,
        "plain, part: JPEG twice": lambda: len([decode(path) for path in paths]),
        "plain, part: look": lambda: len([plain_look(frame) for _ in paths]),
        "plain, part: spectrogram": lambda: len([hear(pcm) for _ in paths]),
    }


def main() -> None:
    """Time all works in turns; print milliseconds per clip and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.empty(7_900_000).fill_(0)  # as after a training step: freed memory stays in the process
    with tempfile.TemporaryDirectory() as name:
        clips = write_clips(Path(name))
        works = ours(Path(name), clips) | plain(Path(name), clips)
        best = dict.fromkeys(works, float("inf"))
        for _ in range(rounds):
            for part, work in works.items():
                begin = time.process_time()
                count = work()
                best[part] = min(best[part], 1000 * (time.process_time() - begin) / count)
    report: dict[str, object] = {f"{part}, ms": round(ms, 2) for part, ms in best.items()}
    for part in ("loading, FLAC", "loading, WAV", "all on one core, FLAC", "all on one core, WAV"):
        report[f"ratio, {part}"] = round(best["plain"] / best[part], 1)
        report[f"clips per second and core, {part}"] = round(1000 / best[part])
    report["JPEG, bytes"] = round(sum(len(clip.frame) for clip in clips) / CLIPS)
    report["target"] = TARGET
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
