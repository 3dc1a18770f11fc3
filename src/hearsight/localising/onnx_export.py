"""A model as ONNX files: frame encoder, sound encoder and response, for onnxruntime without torch.

The spectrogram stays outside: config.json holds its numbers, and all else that `localise_image`
counts with. (Inside a graph a short-time Fourier transform of 400 points is 30 times slower than
torch's, and its noise 57 dB above numpy's.)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hearsight.checkpoints.checkpoint import Model, find_model, load_model
from hearsight.checkpoints.export_model import write_papers
from hearsight.checkpoints.model_folder import CONFIG
from hearsight.errors import HearsightError, needs
from hearsight.files.output import check_folder, written_folder
from hearsight.localising.localise import SOUND_SECONDS, STEP, STRETCH, threshold_of
from hearsight.localising.moments import RASTER
from hearsight.localising.painting import LEVEL
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import QUIET
from hearsight.model import aisfx
from hearsight.model.colour import DEVIATION, MEAN
from hearsight.model.encoders import Encoders
from hearsight.model.spectrogram import QUIETEST, MelSpectrogram
from hearsight.progress import Progress, no_progress
from hearsight.recipes.recipe import Recipe, Spectrogram
from hearsight.version import __version__

OPSET = 20
CLOSE = 1e-4  # cosine, between a response by onnxruntime and one by torch
GRAPHS = ("frames", "sounds", "response")
USE = """Run by onnxruntime, without torch:

| file | takes | gives |
|---|---|---|
| `frames.onnx` | `frames` (b, 3, height, width), as `config.json` says | `grids` (b, c, h, w) |
| `sounds.onnx` | `spectrograms` (a, 1, bins, times) | `vectors` (a, c) |
| `response.onnx` | `grids` and `vectors` | `responses` (b, a, h, w), cosines |

`config.json` holds the numbers of the spectrogram, of frames and of sound windows."""


class FrameEncoder(nn.Module):
    """`Encoders.embed_frames` as a network of its own."""

    def __init__(self, encoders: Encoders) -> None:
        super().__init__()
        self.encoders = encoders

    def forward(self, frames: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b c h w"]:
        return self.encoders.embed_frames(frames)


class SoundEncoder(nn.Module):
    """`Encoders.embed_sounds` as a network of its own."""

    def __init__(self, encoders: Encoders) -> None:
        super().__init__()
        self.encoders = encoders

    def forward(self, spectrograms: Float[Tensor, "a 1 bins times"]) -> Float[Tensor, "a c"]:
        return self.encoders.embed_sounds(spectrograms)


class Response(nn.Module):
    """`Encoders.respond` as a network of its own, without the weights."""

    def __init__(self, encoders: Encoders) -> None:
        super().__init__()
        self.respond = [encoders.respond]  # in a list, which torch takes for no part of it

    def forward(
        self, grids: Float[Tensor, "b c h w"], vectors: Float[Tensor, "a c"]
    ) -> Float[Tensor, "b a h w"]:
        return self.respond[0](grids, vectors)


def export_onnx(
    source: str | Path, folder: Path, *, force: bool = False, progress: Progress = no_progress
) -> list[Path]:
    """Write a model as frames.onnx, sounds.onnx, response.onnx, config.json; all of them or none.

    The graphs take any number of frames of any size, and of spectrograms of any length. Their
    responses are compared with torch's before the folder appears.

    Args:
        source: as `find_model` takes it.
        folder: new or empty; its parent must exist.
        force: write into a folder that is not empty, over files of the same names.
        progress: of the stage "exporting", in graphs.

    Returns:
        The files written: card and notices too.

    Raises:
        HearsightError: as `load_model`, the extra `onnx` is not installed, the folder cannot be
            written, or onnxruntime gives other responses than torch.
    """
    check_folder(folder, force=force)
    with needs("onnx", "Export to ONNX"):
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter asks for it late
    path = find_model(source)
    model = load_model(path)
    with written_folder(folder, CONFIG) as part, torch.no_grad():
        files = [part / f"{graph}.onnx" for graph in GRAPHS]
        progress("exporting", 0, len(GRAPHS))
        for done, graph in enumerate(GRAPHS, 1):
            _export(graph, model, files[done - 1])
            progress("exporting", done, len(GRAPHS))
        _check_close(model, [onnxruntime.InferenceSession(file) for file in files])
        (part / CONFIG).write_text(json.dumps(config_of(model), indent=2) + "\n", "utf-8")
        write_papers(part, model, path, use=USE)
        written = [file.relative_to(part) for file in sorted(part.rglob("*")) if file.is_file()]
    return [folder / name for name in written]


def config_of(model: Model) -> dict[str, Any]:
    """All numbers that localising a picture and a sound needs beside the graphs."""
    recipe = model.recipe
    return {
        "library_name": "hearsight",
        "format": "onnx",
        "version": __version__,
        "name": recipe.name,
        "threshold": threshold_of(model.facts),  # cosine
        "frame": {  # shorter side, step of the longer side and its most, RGB in [0, 1]
            "side": recipe.frame_size,
            "step": STEP,
            "stretch": STRETCH,
            "mean": list(MEAN),
            "deviation": list(DEVIATION),
        },
        "sound": {  # samples per second, seconds around a moment, dBFS of silence
            "rate": RATE,
            "seconds": min(SOUND_SECONDS, recipe.spectrogram.seconds),
            "quiet": QUIET,
        },
        "spectrogram": spectrogram_numbers(recipe.spectrogram),
        "region": {"raster": RASTER, "level": LEVEL},  # pixels, share of the peak
    }


def spectrogram_numbers(spectrogram: Spectrogram) -> dict[str, Any]:
    """The kind and every number of a front end, those that no recipe changes included."""
    fixed: dict[str, Any] = {}
    if isinstance(spectrogram, MelSpectrogram):
        fixed = {"least_power": QUIETEST}
    elif isinstance(spectrogram, aisfx.SoundEffectSpectrogram):
        fixed = {
            "rate": aisfx.HEARD_RATE,
            "fft": aisfx.WINDOW,
            "hop": aisfx.HOP,
            "bins": aisfx.BANDS,
            "least_peak": aisfx.QUIETEST,
            "gain": aisfx.GAIN,
            "divisor": aisfx.LOUDEST,
        }
    kind = {"kind": type(spectrogram).__name__}
    return kind | asdict(spectrogram) | fixed | {"shape": list(spectrogram.shape)}


def _examples(recipe: Recipe, frames: int, sounds: int, wide: int) -> tuple[Tensor, Tensor]:
    """Noise in the shape of frames, `wide` pixels wider than high, and of spectrograms."""
    noise = torch.Generator().manual_seed(0)
    side = recipe.frame_size
    seen = torch.randn(frames, 3, side, side + wide, generator=noise)
    samples = round(recipe.spectrogram.seconds * RATE)
    pcm = torch.randn(sounds, samples, generator=noise).mul_(3000).to(torch.int16)
    return seen, recipe.spectrogram(pcm)


def _export(graph: str, model: Model, file: Path) -> None:
    """Write one of the graphs."""
    encoders = model.encoders
    frames, spectrograms = _examples(model.recipe, 2, 3, wide=16)  # no two sizes are alike
    inputs: dict[str, tuple[Tensor, tuple[int, ...]]]
    if graph == "frames":
        inputs = {"frames": (frames, (0, 2, 3))}
        write_graph(FrameEncoder(encoders), inputs, "grids", file)
    elif graph == "sounds":
        inputs = {"spectrograms": (spectrograms, (0, 3))}
        write_graph(SoundEncoder(encoders), inputs, "vectors", file)
    else:
        grids, vectors = encoders.embed_frames(frames), encoders.embed_sounds(spectrograms)
        inputs = {"grids": (grids, (0, 2, 3)), "vectors": (vectors, (0,))}
        write_graph(Response(encoders), inputs, "responses", file)


def write_graph(
    network: nn.Module,
    inputs: Mapping[str, tuple[Tensor, tuple[int, ...]]],
    result: str,
    file: Path,
) -> None:
    """Write a network as an ONNX file.

    inputs: by name, in order: an example and the dimensions that may have any size, which are of
    different sizes, above 1, in the examples. result: the name of the output.
    """
    free = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        network.eval(),
        tuple(example for example, _ in inputs.values()),
        dynamo=True,
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=[result],
        dynamic_shapes=tuple(dict.fromkeys(sizes, free) for _, sizes in inputs.values()),
        verbose=False,
    )
    assert program is not None
    program.save(file)


def _check_close(model: Model, sessions: Sequence[Any]) -> None:
    """Refuse graphs whose responses at a size of their own are not those of torch."""
    frames, spectrograms = _examples(model.recipe, 3, 2, wide=33)
    see, hear, respond = sessions
    (grids,) = see.run(None, {"frames": frames.numpy()})
    (vectors,) = hear.run(None, {"spectrograms": spectrograms.numpy()})
    (responses,) = respond.run(None, {"grids": grids, "vectors": vectors})
    gap = (torch.from_numpy(responses) - model.encoders(frames, spectrograms)).abs().max().item()
    if not gap <= CLOSE:  # nor where one is not a number
        raise HearsightError(
            f"The responses by onnxruntime differ from torch's by {gap:.2g}, more than {CLOSE:g}: "
            "nothing was written."
        )
