"""What the base installation does without its extras, and what is loaded for what."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from made_library import make_clip, tiny_model
from made_media import sine
from PIL import Image

import hearsight
from hearsight.errors import install_command
from hearsight.library.indexing import index_videos

SOURCE = str(Path(hearsight.__file__).parents[1])
EXTRAS = (
    *("accelerate", "tensorboard", "matplotlib", "pyarrow", "lancedb", "ray", "pandas", "scipy"),
    *("starlette", "uvicorn"),
)


def run(folder: Path, code: str, *, without: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a program that lacks some packages."""
    lacks = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in without)
    program = [sys.executable, "-c", lacks + code]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def command(line: str) -> str:
    return f"sys.argv = {line.split()!r}\nfrom hearsight.commands.cli import main\nmain()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, a picture, a sound, a library, and a model."""
    made = tmp_path_factory.mktemp("light")
    make_clip(made / "film.mp4", 1, 3.0)
    Image.fromarray(np.full((48, 64, 3), 128, np.uint8)).save(made / "street.png")
    soundfile.write(made / "street.wav", sine(440.0, 3.0, 16_000), 16_000)
    tiny_model(made / "model.safetensors")
    index_videos(
        made / "made.library", [made / "film.mp4"], model=made / "model.safetensors", every=1.0
    )
    return made


@pytest.mark.parametrize(
    "line",
    [
        "hearsight localise street.png --sound street.wav -o painted.png",
        "hearsight localise film.mp4 --style heat -o painted.mp4",
        "hearsight recipes",
        "hearsight protocols",
    ],
)
def test_the_base_installation_localises(folder: Path, line: str) -> None:
    code, out, err = run(folder, command(line), without=EXTRAS)
    assert (code, "Traceback" in err) == (0, False), err
    assert out


def test_the_base_installation_evaluates(folder: Path) -> None:
    program = (
        "import hearsight\nmodel = hearsight.load_model('model.safetensors')\n"
        "clips = hearsight.open_clips('toys', size=48, count=4, classes=2)\n"
        "print(len(hearsight.evaluate(model, clips, 'adaptive').rows()))"
    )
    code, out, err = run(folder, program, without=EXTRAS)
    assert (code, err) == (0, "")
    assert int(out) > 2


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("hearsight train ssl_tie:small --data toys --out run", "train"),
        ("hearsight index made.library film.mp4", "library"),
        ("hearsight search made.library --sound street.wav", "library"),
        ("hearsight index made.library film.mp4 --engine ray", "library"),
        ("hearsight serve --port 0 --state state", "web"),
    ],
)
def test_what_needs_an_extra_names_it_in_one_sentence(folder: Path, line: str, extra: str) -> None:
    code, _, err = run(folder, command(line), without=EXTRAS)
    assert code == 2
    assert "Traceback" not in err
    assert err.strip().endswith(f"which is not installed: {install_command(extra)}")
    assert f"[{extra}]" in install_command(extra)


def test_loading_a_model_compiles_nothing(folder: Path) -> None:
    code = (
        "import json, hearsight\nhearsight.load_model('ssl_tie:small')\n"
        "hearsight.localise_image('street.png', 'street.wav')\n"
        "print(json.dumps([name for name in sys.modules if name in "
        "('sympy', 'torch._dynamo', 'torch._inductor', 'matplotlib', 'accelerate', 'pyarrow')]))"
    )
    assert json.loads(run(folder, code)[1]) == []


def test_moments_like_one_of_the_library_are_found_without_torch(folder: Path) -> None:
    line = "hearsight similar made.library film.mp4 --at 1 --sheet sheet.png --page page.html"
    code, _, err = run(folder, command(line), without=("torch",))
    assert (code, err) == (0, "wrote sheet.png\nwrote page.html\n")
