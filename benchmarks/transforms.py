"""Augmentation and spectrograms: ours, batched, against Pillow and numpy one sample at a time.

    python benchmarks/transforms.py [--device cuda] [--batch 32]

Ours: random appearance (crop, colours, grey, blur, mirror) of 299-pixel frames to 224 pixels, one
released warp, mel spectrogram of 10 s with a random mask. Plain: the same work, with the same
probabilities, by Pillow (appearance) and scipy (warp of three channels, spectrogram) per sample.
Prints one JSON object: milliseconds per sample of each part, their sums and the ratio. The two
sides take turns, so that both meet the same load of the machine; the fastest round counts.
On a CPU: one thread, processor time.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from scipy.ndimage import affine_transform

from hearsight.model.augmentation import Appearance, SpectrogramMask, Warp, WarpDraw
from hearsight.model.colour import DEVIATION, MEAN
from hearsight.model.spectrogram import MelSpectrogram, mel_triangles

SIDE, CANVAS, ROUNDS, PLAIN_SAMPLES = 224, 299, 12, 8
Parts = dict[str, Callable[[], Any]]


def ours(batch: int, device: torch.device) -> Parts:
    """Each part of the batched chain, on its own input."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (batch, CANVAS, CANVAS, 3), generator=generator)
    frames = noise.byte().to(device).permute(0, 3, 1, 2)
    sizes = torch.full((batch, 2), CANVAS, device=device)
    pcm = (torch.randn(batch, 48_000, generator=generator) * 3000).short().to(device)
    images = torch.rand(batch, 3, SIDE, SIDE, device=device)
    front_end = MelSpectrogram()
    power = front_end.power(front_end.waveforms(pcm))
    half = batch // 2  # half of all batches are shrunk

    def warp() -> None:
        for rows, scale in ((slice(0, half), 1.0), (slice(half, batch), 0.5)):
            count = len(images[rows])
            drawn = Warp().draw(count, generator)
            zooms = torch.full((count,), scale)
            shrunk = WarpDraw(
                degrees=drawn.degrees, zooms=zooms, mirrored=drawn.mirrored, resize=scale
            )
            shrunk.to(device)(images[rows])

    return {
        "appearance": lambda: Appearance().draw(batch, generator).to(device)(frames, sizes, SIDE),
        "warp": warp,
        "mel": lambda: front_end(pcm),
        "mask": lambda: SpectrogramMask().draw(batch, generator).to(device)(power),
    }


def plain_appearance(frame: Image.Image) -> NDArray[np.float32]:
    """The appearance of one frame, changed by Pillow."""
    area = random.uniform(0.3, 1) * CANVAS**2
    ratio = 2 ** random.uniform(-0.4, 0.4)
    width, height = (min(CANVAS, round((area * r) ** 0.5)) for r in (ratio, 1 / ratio))
    x0, y0 = random.randint(0, CANVAS - width), random.randint(0, CANVAS - height)
    image = frame.crop((x0, y0, x0 + width, y0 + height))
    image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if random.random() < 0.8:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(random.uniform(0.6, 1.4))
        hue, saturation, value = image.convert("HSV").split()
        turned = (np.asarray(hue).astype(np.int16) + random.randint(-25, 25)) % 256
        channels = (Image.fromarray(turned.astype(np.uint8)), saturation, value)
        image = Image.merge("HSV", channels).convert("RGB")
    if random.random() < 0.2:
        image = image.convert("L").convert("RGB")
    if random.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2)))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(image, dtype=np.float32) / 255
    return ((pixels - np.float32(MEAN)) / np.float32(DEVIATION)).transpose(2, 0, 1)


def plain_warp(image: NDArray[np.float32], scale: float) -> list[NDArray[np.float32]]:
    """Rotate and shrink the three channels of one image, then halve it if it shrinks."""
    angle = np.deg2rad(random.randint(-30, 30))
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    offset = SIDE / 2 - back @ np.array([SIDE / 2, SIDE / 2])
    turned = [affine_transform(channel, back, offset, order=1) for channel in image]
    if scale == 1:
        return turned
    return [(c[::2, ::2] + c[1::2, ::2] + c[::2, 1::2] + c[1::2, 1::2]) / 4 for c in turned]


def plain_mel(
    pcm: NDArray[np.int16], window: NDArray[np.float32], triangles: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The spectrogram of one sound."""
    samples = np.tile(pcm.astype(np.float32) / 32768, 4)[:160_000]
    padded = np.pad(samples, 256, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::239] * window
    power = np.abs(scipy.fft.rfft(frames)) ** 2
    decibels: NDArray[np.float32] = 10 * np.log10(np.maximum(triangles @ power.T, 1e-10))
    return decibels


def plain_mask(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two silent bands on one spectrogram."""
    masked = power.copy()
    width, height = random.randint(0, 180), random.randint(0, 35)
    start, low = random.randint(0, 670 - width), random.randint(0, 257 - height)
    masked[:, start : start + width] = 0
    masked[low : low + height] = 0
    return masked


def plain() -> Parts:
    """Each part of the plain chain, for `PLAIN_SAMPLES` samples in a loop."""
    random.seed(0)
    noise = np.random.default_rng(0)
    frame = Image.fromarray(noise.integers(0, 256, (CANVAS, CANVAS, 3), dtype=np.uint8))
    image = noise.random((3, SIDE, SIDE), dtype=np.float32)
    pcm = (noise.standard_normal(48_000) * 3000).astype(np.int16)
    window = torch.hann_window(512).numpy() / np.float32(192**0.5)
    triangles = mel_triangles(512, 257).float().numpy()
    power = noise.random((257, 670), dtype=np.float32)
    samples = range(PLAIN_SAMPLES)
    return {
        "appearance": lambda: [plain_appearance(frame) for _ in samples],
        "warp": lambda: [plain_warp(image, 1.0 if i % 2 else 0.5) for i in samples],
        "mel": lambda: [plain_mel(pcm, window, triangles) for _ in samples],
        "mask": lambda: [plain_mask(power) for _ in samples],
    }


def clock(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds of one call: of the processor, or of the wall clock for a GPU."""
    if device.type == "cpu":
        begin = time.process_time()
        work()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    """Time both sides in turns and print milliseconds per sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.empty(7_900_000).fill_(0)  # as after a training step: freed memory stays in the process
    device, cpu = torch.device(arguments.device), torch.device("cpu")
    sides = {
        "ours": (ours(arguments.batch, device), device, arguments.batch),
        "plain": (plain(), cpu, PLAIN_SAMPLES),
    }
    best = {side: dict.fromkeys(parts, float("inf")) for side, (parts, _, _) in sides.items()}
    for _ in range(ROUNDS):
        for side, (parts, where, samples) in sides.items():
            for name, work in parts.items():
                best[side][name] = min(best[side][name], 1000 * clock(work, where) / samples)
    totals = {side: sum(times.values()) for side, times in best.items()}
    report = {
        "device": str(device),
        "batch": arguments.batch,
        **{
            f"{side}_ms": {k: round(v, 4) for k, v in times.items()} for side, times in best.items()
        },
        **{f"{side}_total_ms": round(total, 4) for side, total in totals.items()},
        "ratio": round(totals["plain"] / totals["ours"], 2),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
