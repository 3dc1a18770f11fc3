"""What the base installation does without its extras, and what is loaded for what."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


FORKING = """
import json, os, sys
{first}
for line in sys.stdin:
    without, codes = json.loads(line)
    for number, code in enumerate(codes):
        if os.fork() == 0:  # each in a process of its own, which has imported only what is above
            sys.modules.update(dict.fromkeys(without))
            for stream, name in ((1, "out"), (2, "err")):
                file = os.open(f"{{number}}.{{name}}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, stream)
            exec(code, {{"sys": sys}})
            sys.exit()
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""

Ended = tuple[int, str, str]
Run = Callable[..., list[Ended]]


@contextmanager
def forking(folder: Path, first: str) -> Iterator[Run]:
    """Runs programs, `without` some packages: exit code, stdout and stderr of each.

    first: what they all have imported, once, as torch takes most of their time.
    """
    with subprocess.Popen(
        [sys.executable, "-c", FORKING.format(first=first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(*codes: str, without: tuple[str, ...] = ()) -> list[Ended]:
            print(json.dumps((without, codes)), file=process.stdin, flush=True)
            ended = []
            for number, _ in enumerate(codes):
                code = int(process.stdout.readline())
                said = [(folder / f"{number}.{name}").read_text() for name in ("out", "err")]
                ended.append((code, *said))
            return ended

        yield run


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


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    """Runs programs that have torch."""
    with forking(folder, "import torch") as run:
        yield run


def test_the_base_installation_localises_and_evaluates(run: Run) -> None:
    lines = (
        "hearsight localise street.png --sound street.wav -o painted.png",
        "hearsight localise film.mp4 --style heat -o painted.mp4",
        "hearsight recipes",
        "hearsight protocols",
    )
    evaluates = (
        "import hearsight\nmodel = hearsight.load_model('model.safetensors')\n"
        "clips = hearsight.open_clips('toys', size=48, count=4, classes=2)\n"
        "print(len(hearsight.evaluate(model, clips, 'adaptive').rows()))"
    )
    *localised, evaluated = run(*map(command, lines), evaluates, without=EXTRAS)
    for line, (code, out, err) in zip(lines, localised, strict=True):
        assert (code, "Traceback" in err) == (0, False), (line, err)
        assert out, line
    code, out, err = evaluated
    assert (code, err) == (0, "")
    assert int(out) > 2


def test_what_needs_an_extra_names_it_in_one_sentence(run: Run) -> None:
    lines = {
        "hearsight train ssl_tie:small --data toys --out run": "train",
        "hearsight index made.library film.mp4": "library",
        "hearsight search made.library --sound street.wav": "library",
        "hearsight index made.library film.mp4 --engine ray": "library",
        "hearsight serve --port 0 --state state": "web",
    }
    ended = run(*map(command, lines), without=EXTRAS)
    for (line, extra), (code, _, err) in zip(lines.items(), ended, strict=True):
        assert (code, "Traceback" in err) == (2, False), (line, err)
        said = f"which is not installed: {install_command(extra)}"
        assert err.strip().endswith(said), (line, err)
        assert f"[{extra}]" in install_command(extra)


def test_loading_a_model_compiles_nothing(run: Run) -> None:
    code = (
        "import json, hearsight\nhearsight.load_model('ssl_tie:small')\n"
        "hearsight.localise_image('street.png', 'street.wav')\n"
        "print(json.dumps([name for name in sys.modules if name in "
        "('sympy', 'torch._dynamo', 'torch._inductor', 'matplotlib', 'accelerate', 'pyarrow')]))"
    )
    [(_, out, _)] = run(code)
    assert json.loads(out) == []


def test_moments_like_one_of_the_library_are_found_without_torch(folder: Path) -> None:
    line = "hearsight similar made.library film.mp4 --at 1 --sheet sheet.png --page page.html"
    with forking(folder, "") as run:
        [(code, _, err)] = run(command(line), without=("torch",))
    assert (code, err) == (0, "wrote sheet.png\nwrote page.html\n")
