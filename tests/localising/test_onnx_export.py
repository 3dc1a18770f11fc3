"""ONNX files give torch's maps at any size, and localise without torch as `localise_image` does."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
from made_commands import Hearsight, refused
from made_library import tiny_model
from PIL import Image

from hearsight.checkpoints.checkpoint import Model, load_model, save_checkpoint
from hearsight.errors import HearsightError
from hearsight.localising import onnx_export
from hearsight.localising.localise import localise_image
from hearsight.localising.moments import MappedMoment, region_box, to_heatmap
from hearsight.media.samples import RATE, to_samples
from hearsight.model.aisfx import SoundEffectSpectrogram
from hearsight.model.efficientnet import InvertedResidual
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.spectrogram import LogSpectrogram, MelSpectrogram
from hearsight.recipes.recipe import Recipe, Spectrogram

pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec:FutureWarning")  # torch's own

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx"
TINY = Encoder(widths=(4,), blocks=(1,), strides=(2,), sound_strides=(2,), stem_kernel=3)
RECIPES = {
    "resnet": Recipe(  # linear projections, two heads, the momentum encoder
        name="resnet",
        frame_size=64,
        encoder=replace(TINY, projection=6, heads=2, ema=0.9, ema_eval=True),
        spectrogram=MelSpectrogram(seconds=1.0, fft=400, hop=160, bins=24),
    ),
    "trunks": Recipe(  # pretrained trunks and perceptrons as projections
        name="trunks",
        frame_size=64,
        encoder=Encoder(
            frame_trunk="efficientnet_lite0", sound_trunk="aisfx", projection=8, hidden=6
        ),
        spectrogram=SoundEffectSpectrogram(seconds=1.0),
    ),
}
kinds = pytest.mark.parametrize("kind", ["resnet", pytest.param("trunks", marks=pytest.mark.slow)])


def settle(recipe: Recipe) -> Encoders:
    """Encoders whose running statistics fit their random weights, in evaluation mode."""
    encoders = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(1))
    noise = torch.Generator().manual_seed(2)
    pcm = torch.randint(-3000, 3000, (4, RATE), generator=noise, dtype=torch.int16)
    with torch.no_grad():
        encoders.embed_frames(torch.randn(4, 3, 64, 64, generator=noise))
        encoders.embed_sounds(recipe.spectrogram(pcm))
        encoders.eval()
    if encoders.ema is not None:  # its statistics are those of the networks, its weights other ones
        for name, copy in encoders.ema.items():
            state = encoders.get_submodule(name).state_dict()
            copy.load_state_dict({key: 0.9 * value for key, value in state.items()})
    return encoders


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Model, Path]]:
    """A model of a kind, and the folder of its graphs."""

    @cache
    def export(kind: str) -> tuple[Model, Path]:
        folder, recipe = tmp_path_factory.mktemp(kind), RECIPES[kind]
        weights = folder / "model.safetensors"
        save_checkpoint(weights, settle(recipe), recipe, facts={"threshold": -1.0})
        onnx_export.export_onnx(weights, folder / "onnx")
        return load_model(weights), folder / "onnx"

    return export


def run(folder: Path, graph: str, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(folder / f"{graph}.onnx")
    (result,) = session.run(None, inputs)
    return np.asarray(result)


@kinds
@pytest.mark.parametrize(
    ("frames", "size", "sounds", "times"),
    [(2, (64, 80), 3, 60), (1, (64, 64), 1, 33), (3, (97, 131), 1, 101), (1, (33, 224), 2, 64)],
)
def test_the_graphs_compute_what_torch_computes_at_any_size(
    exported: Callable[[str], tuple[Model, Path]],
    kind: str,
    frames: int,
    size: tuple[int, int],
    sounds: int,
    times: int,
) -> None:
    (encoders, recipe, _), folder = exported(kind)
    noise = torch.Generator().manual_seed(3)
    seen = torch.randn(frames, 3, *size, generator=noise)
    heard = torch.randn(sounds, 1, recipe.spectrogram.shape[0], times, generator=noise)
    with torch.no_grad():
        theirs = encoders.embed_frames(seen), encoders.embed_sounds(heard)
        responses = encoders(seen, heard)
    grids = run(folder, "frames", frames=seen.numpy())
    vectors = run(folder, "sounds", spectrograms=heard.numpy())
    for ours, torchs in zip((grids, vectors), theirs, strict=True):
        reach = torchs.abs().max().item()
        torch.testing.assert_close(torch.from_numpy(ours), torchs, rtol=0, atol=1e-4 * reach)
    found = torch.from_numpy(run(folder, "response", grids=grids, vectors=vectors))
    assert responses.std() > 0.01
    torch.testing.assert_close(found, responses, rtol=0, atol=1e-4)


class Padded(torch.nn.Module):
    """Strided and dilated blocks of EfficientNet."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(
            InvertedResidual(3, 4, 3, 2, 1, 1),
            InvertedResidual(4, 4, 5, 1, 2, 2),
            InvertedResidual(4, 5, 5, 2, 2, 1),
        ).to_empty(device="cpu")
        for weights in self.parameters():
            torch.nn.init.normal_(weights, std=0.3)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        blocks: torch.Tensor = self.blocks(frames)
        return blocks


def test_padding_is_that_of_the_size_that_comes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = Padded()
    with torch.no_grad():
        inputs = {"frames": (torch.randn(2, 3, 32, 48), (0, 2, 3))}
        onnx_export.write_graph(network, inputs, "grids", tmp_path / "frames.onnx")
        for size in ((32, 48), (33, 48), (34, 50), (35, 53), (7, 4)):
            frames = torch.randn(1, 3, *size)
            grids = run(tmp_path, "frames", frames=frames.numpy())
            torch.testing.assert_close(torch.from_numpy(grids), network(frames))


@kinds
def test_the_example_localises_without_torch(
    exported: Callable[[str], tuple[Model, Path]], kind: str, tmp_path: Path
) -> None:
    model, folder = exported(kind)
    noise = np.random.default_rng(5)
    picture, sound = tmp_path / "picture.png", tmp_path / "sound.wav"
    pixels = noise.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((130, 90), Image.Resampling.BICUBIC).save(picture)
    wave = noise.normal(0, np.linspace(0.01, 0.3, 2 * RATE + 77)[:, None], (2 * RATE + 77, 2))
    soundfile.write(sound, wave.clip(-1, 1), RATE)
    blocked = "import runpy, sys; sys.modules |= dict.fromkeys(['torch', 'hearsight', 'av'])\n"
    code = f"{blocked}sys.path.insert(0, {str(EXAMPLE)!r})\n"
    code += f"runpy.run_path({str(EXAMPLE / 'localise.py')!r})"
    arguments = [sys.executable, "-c", code, folder, picture, sound]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    moment = localise_image(picture, sound, model=model, maps=True)
    assert isinstance(moment, MappedMoment)
    assert moment.box is not None
    assert found["box"] == list(moment.box)
    assert found["confidence"] == pytest.approx(moment.confidence, abs=1e-4)
    np.testing.assert_allclose(np.array(found["response"]), moment.response, atol=1e-4)


@pytest.mark.parametrize(
    "front",
    [
        MelSpectrogram(seconds=1.0, fft=401, hop=160, bins=24),
        MelSpectrogram(),
        LogSpectrogram(seconds=1.0, fft=511, overlap=200),
        LogSpectrogram(seconds=1.0, taper=0.0),
        SoundEffectSpectrogram(seconds=1.0),
    ],
    ids=lambda front: type(front).__name__,
)
@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.7])
def test_the_spectrograms_of_the_example_are_those_of_the_package(
    front: Spectrogram, seconds: float
) -> None:
    noise = np.random.default_rng(6)
    wave = noise.normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    theirs = front(torch.from_numpy(to_samples(wave))[None]).numpy()
    example = runpy.run_path(str(EXAMPLE / "inputs.py"))
    numbers = json.loads(json.dumps(onnx_export.spectrogram_numbers(front)))
    ours = example["spectrogram"](wave, RATE, numbers)
    assert ours.shape == (1, 1, *numbers["shape"])
    np.testing.assert_allclose(ours, theirs, atol=2e-3 if theirs.min() < -20 else 2e-5)


def test_the_example_boxes_as_the_package() -> None:
    example = runpy.run_path(str(EXAMPLE / "inputs.py"))
    noise = np.random.default_rng(7)
    for width, height in ((640, 360), (31, 200), (128, 128)):
        response = noise.normal(size=(6, 9)).astype(np.float32)
        region = {"raster": 128, "level": 0.5}
        box, _ = region_box(to_heatmap(response), height, width)
        assert example["box_of"](response, (width, height), region) == list(box)


def test_graphs_that_differ_from_torch_are_refused() -> None:
    class Wrong:
        def run(self, _: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            with torch.no_grad():
                given = [torch.from_numpy(each) for each in inputs.values()]
                if "frames" in inputs:
                    return [encoders.embed_frames(given[0]).numpy()]
                if "spectrograms" in inputs:
                    return [encoders.embed_sounds(given[0]).numpy()]
                return [encoders.respond(*given).numpy() + shift]

    recipe = RECIPES["resnet"]
    encoders = settle(recipe)
    shift = 0.0
    with torch.no_grad():
        onnx_export._check_close(Model(encoders, recipe), [Wrong()] * 3)
        for gap in (2e-4, float("nan")):
            shift = gap
            with pytest.raises(HearsightError, match="differ from torch's by"):
                onnx_export._check_close(Model(encoders, recipe), [Wrong()] * 3)


def test_the_command_writes_and_refuses(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(Path("model.safetensors"))
    refused(hearsight, "export-onnx nowhere out", "neither a checkpoint")
    refused(hearsight, "export-onnx model.safetensors no/out", "no folder 'no'")
    Path("full").mkdir()
    Path("full/mine").touch()
    refused(hearsight, "export-onnx model.safetensors full", "'full' is not empty")

    def fail(*_: object) -> None:
        raise HearsightError("The responses differ.")

    monkeypatch.setattr(onnx_export, "_export", lambda *_: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_: None)
    monkeypatch.setattr(onnx_export, "_check_close", fail)
    refused(hearsight, "export-onnx model.safetensors out", "The responses differ.")
    assert not Path("out").exists()
    assert not list(Path().glob(".*"))
    monkeypatch.setattr(onnx_export, "_check_close", lambda *_: None)
    code, out, err = hearsight("export-onnx model.safetensors out")
    assert (code, json.loads(out)) == (0, {"onnx": "out"})
    assert "exporting ...\nwrote out/README.md\nwrote out/config.json\n" in err
    refused(hearsight, "localise x.mp4 --model out", "'x.mp4' does not exist")
    refused(hearsight, "recipes out", 'of format "onnx", but hearsight')
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    refused(hearsight, "export-onnx model.safetensors new", "needs onnxscript, which is not")
