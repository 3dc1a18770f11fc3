"""What a GPU makes of the released configuration, and how much of the GPU that is.

    python benchmarks/gpu.py           on a machine with a GPU
    python benchmarks/gpu.py --tiny    the same lines on a CPU, in small; the numbers mean nothing

For batches of 32 and 256 clips, in fp32 and in bf16 + channels_last + compile: samples per second
of whole training steps (copy of the batch to the GPU, draws, look, spectrogram, both branches,
gradients, Adam; mixing on, as from the second epoch), peak memory, and the share of the peak that
products of 8192 x 8192 matrices reach on the same GPU in the same precision. A step's work is
counted in multiplications and additions of convolutions and products, gradients included, by torch.
In fp32 cuDNN's convolutions use TF32 unless told otherwise, so their peak is that of TF32; the
peak without it is printed too.

Then, for an epoch of 144,000 clips: seconds of its steps, of embedding all sounds and of the
search for each one's nearest other, 144,000 x 512. Loading from disk is not part of it:
benchmarks/loader.py says how many cores can feed so many samples per second.

Needs torch, numpy, accelerate, safetensors, jaxtyping, Pillow and soundfile, and `src` on the
path. Prints one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import nearest_other
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.batches import Batch
from hearsight.training.step import Step, compile_networks, draw

EPOCH = 144_000  # clips
WIDTH, HEIGHT, SAMPLES = 500, 281, 48_000  # of a clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is measured, and how long."""

    recipe: str = "ssl_tie"
    batches: tuple[int, ...] = (32, 256)
    steps: int = 20  # timed, after `warm_up` others, in which all sizes of frames get compiled
    warm_up: int = 10
    matrix: int = 8192  # side of the matrices whose product gives the peak
    epoch: int = EPOCH
    width: int = 512  # of the embeddings that are searched


def wait(device: torch.device) -> None:
    """Until the device has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device, times: int) -> float:
    """Seconds of one of so many calls, by the clock."""
    wait(device)
    begin = time.perf_counter()
    for _ in range(times):
        work()
    wait(device)
    return (time.perf_counter() - begin) / times


def matrix_peak(device: torch.device, side: int, kind: torch.dtype, precision: str) -> float:
    """Operations per second of square matrix products; `precision` is that of fp32 products."""
    torch.set_float32_matmul_precision(precision)
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    for _ in range(3):
        a @ b
    rate = 2 * side**3 / seconds(lambda: a @ b, device, 10)
    torch.set_float32_matmul_precision("highest")
    return rate


def make_batch(count: int, device: torch.device) -> Batch:
    """Clips of noise in the memory of the host, as a loader leaves them there."""
    generator = np.random.default_rng(0)
    frames = torch.from_numpy(generator.integers(0, 256, (count, 3, HEIGHT, WIDTH), dtype=np.uint8))
    sounds, partners = (
        torch.from_numpy(generator.integers(-9000, 9000, (count, SAMPLES), dtype=np.int16))
        for _ in range(2)
    )
    sizes = torch.tensor([[HEIGHT, WIDTH]] * count)
    tensors = [frames, sizes, sounds, partners]
    if device.type == "cuda":
        tensors = [tensor.pin_memory() for tensor in tensors]
    return Batch(
        ids=tuple(map(str, range(count))),
        frames=tensors[0],
        sizes=tensors[1],
        sounds=tensors[2],
        partners=tensors[3],
    )


class Training:
    """Steps of a recipe, as the trainer takes them."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        torch.manual_seed(recipe.seed)
        self.encoders = place(
            Encoders(recipe.encoder), device, channels_last=recipe.channels_last
        ).train()
        self.model = Step(recipe, self.encoders)
        self.optimiser = torch.optim.Adam(
            self.encoders.parameters(),
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        self.batch = make_batch(recipe.batch_size, device)
        self.generator = torch.Generator().manual_seed(recipe.seed)

    def compile(self) -> None:
        """Compile the trunks, as the trainer does."""
        compile_networks(self.encoders)

    def step(self) -> None:
        """One step of the second epoch, in which sounds are mixed."""
        draws = draw(self.recipe, len(self.batch), 1, self.generator)
        half = self.recipe.precision == "bf16"
        autocast = torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext()
        with autocast:
            terms = self.model(self.batch.to(self.device), draws.to(self.device))
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def embed(self) -> None:
        """Embed the sounds of a batch, as the mixing curriculum does."""
        self.encoders.eval()
        with torch.no_grad():
            pcm = self.batch.sounds.to(self.device)
            self.encoders.embed_sounds(self.recipe.spectrogram(pcm))
        self.encoders.train()


def work_of(training: Training, steps: int) -> float:
    """Operations of a step: the mean, since some draws shrink the frames and others do not."""
    with FlopCounterMode(display=False) as counter:
        for _ in range(steps):
            training.step()
    return counter.get_total_flops() / steps


def measure_steps(
    recipe: Recipe, device: torch.device, settings: Settings, peak: float
) -> dict[str, float]:
    """Speed, share of the peak and memory of one configuration."""
    work = work_of(Training(replace(recipe, batch_size=2), device), 16) / 2
    training = Training(recipe, device)
    if recipe.compile:
        training.compile()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(settings.warm_up):
        training.step()
    rate = recipe.batch_size / seconds(training.step, device, settings.steps)
    training.embed()
    embedded = recipe.batch_size / seconds(training.embed, device, settings.steps)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return {
        "samples/s": round(rate, 1),
        "operations per sample, 10^9": round(work / 1e9, 1),
        "share of the matrix peak": round(rate * work / peak, 4),
        "peak memory, GiB": round(memory / 2**30, 2),
        "seconds of an epoch's steps": round(settings.epoch / rate, 1),
        "seconds to embed an epoch's sounds": round(settings.epoch / embedded, 1),
    }


def measure(device: torch.device, settings: Settings) -> dict[str, object]:
    """Every number, in the order of the docstring."""
    peaks = {
        "bf16": matrix_peak(device, settings.matrix, torch.bfloat16, "highest"),
        "TF32": matrix_peak(device, settings.matrix, torch.float32, "high"),
        "fp32": matrix_peak(device, settings.matrix, torch.float32, "highest"),
    }
    cuda = device.type == "cuda"
    report: dict[str, object] = {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "torch": torch.__version__,
        "matrix peak, 10^12/s": {kind: round(rate / 1e12, 2) for kind, rate in peaks.items()},
    }
    for count in settings.batches:
        recipe = replace(load_recipe(settings.recipe), batch_size=count, channels_last=False)
        fast = replace(recipe, precision="bf16", channels_last=True, compile=True)
        report[f"batch {count}, fp32"] = measure_steps(recipe, device, settings, peaks["TF32"])
        report[f"batch {count}, bf16 + channels_last + compile"] = measure_steps(
            fast, device, settings, peaks["bf16"]
        )
    vectors = torch.nn.functional.normalize(
        torch.randn(settings.epoch, settings.width, device=device), dim=1
    )
    nearest_other(vectors[:4096])
    report[f"seconds of the search, {settings.epoch} x {settings.width}"] = round(
        seconds(lambda: nearest_other(vectors), device, 1), 3
    )
    return report


TINY = Settings(
    recipe="ssl_tie:small", batches=(4,), steps=2, warm_up=1, matrix=256, epoch=2000, width=96
)


def main() -> None:
    """Measure and print, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a small network on the CPU")
    if parser.parse_args().tiny:
        print(json.dumps(measure(torch.device("cpu"), TINY), indent=1))
    elif torch.cuda.is_available():
        print(json.dumps(measure(torch.device("cuda"), Settings()), indent=1))
    else:
        print(
            "No GPU is here: this benchmark needs one that torch can use, with bf16 and about "
            "64 GiB of memory for the fp32 batch of 256, for about ten minutes."
        )


if __name__ == "__main__":
    main()
