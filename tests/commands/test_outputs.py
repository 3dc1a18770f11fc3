"""Files that a user names: said when written, not written over unless the user agrees."""

import csv
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer.main
from made_commands import Hearsight, refused
from made_library import make_clip, tiny_model
from made_media import sine
from PIL import Image

from hearsight.commands.cli import app

LOCALISE = "localise film.mp4 --model tiny.safetensors -o painted.mp4"
WRITERS = (
    (LOCALISE, ("painted.mp4",)),
    ("localise a.png --sound a.wav --model tiny.safetensors -o painted.png", ("painted.png",)),
    (
        "localise film.mp4 --model tiny.safetensors --export a.xml --export b.vtt",
        ("a.xml", "b.vtt"),
    ),
    ("search lib --sound a.wav --sheet s.png --page p.html", ("s.png", "p.html")),
    ("similar lib film.mp4 --at 1 --sheet s.jpg --page q.html", ("s.jpg", "q.html")),
    ("data show toys --count 2 -o toys.png", ("toys.png",)),
    ("data check train.txt --against test.txt --out clean.txt", ("clean.txt",)),
    ("data splits vggsound.csv --out lists", ("lists/unseen_35.csv", "lists/train_110.csv")),
    ("evaluate tiny.safetensors --data toys --out t.csv --scores s.csv", ("t.csv", "s.csv")),
    ("score maps.npz --data toys --out m.csv --scores n.csv", ("m.csv", "n.csv")),
    ("results --out board.html", ("board.html",)),
    ("retrieve tiny.safetensors --data toys --out r.csv --sheet r.png", ("r.csv", "r.png")),
    ("import-weights best.pth.tar", ("best.safetensors",)),
)

INTO_FOLDERS = {"export-model", "export-onnx"}  # tested beside what they write

SHORT = [WRITERS[place] for place in (0, 1, 2, 3, 4, 6, 7, 10)]  # whose work takes no seconds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a video, a picture and a sound."""
    folder = tmp_path_factory.mktemp("made")
    tiny_model(folder / "tiny.safetensors")
    make_clip(folder / "film.mp4", 1, 4.0)
    Image.new("RGB", (64, 48), "red").save(folder / "a.png")
    soundfile.write(folder / "a.wav", sine(440.0, 2.0, 16_000), 16_000)
    return folder


@pytest.fixture
def files(hearsight: Hearsight, made: Path) -> None:
    """In the folder of the command: those files, and lists."""
    assert hearsight  # it goes into the folder
    shutil.copytree(made, Path(), dirs_exist_ok=True)
    Path("train.txt").write_text("".join(f"--0PQM4-hq{n}_000030\n" for n in range(4)))
    Path("test.txt").write_text("--0PQM4-hq0_000030\n")
    with Path("vggsound.csv").open("w") as file:
        csv.writer(file).writerow(["--0PQM4-hqg", 30, "alarm clock ringing", "train"])
    Path("best.pth.tar").touch()
    np.savez("maps.npz", none=np.eye(7))


def asking(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """A terminal at which somebody answers."""
    typed = io.StringIO(answer)
    monkeypatch.setattr(typed, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("line", "outputs"), WRITERS, ids=lambda part: str(part)[:24])
def test_a_file_that_exists_is_refused_without_a_terminal(
    hearsight: Hearsight, line: str, outputs: tuple[str, ...]
) -> None:
    for output in outputs:
        Path(output).parent.mkdir(exist_ok=True)
        Path(output).write_bytes(b"mine")
        refused(hearsight, line, f"'{output}' exists", "--force")
        assert Path(output).read_bytes() == b"mine"
        Path(output).unlink()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("line", "outputs"), SHORT, ids=lambda part: str(part)[:24])
def test_what_was_written_is_said(
    hearsight: Hearsight, line: str, outputs: tuple[str, ...]
) -> None:
    for output in outputs:
        Path(output).parent.mkdir(exist_ok=True)
        Path(output).write_bytes(b"mine")
    if " lib " in line:
        hearsight("index lib film.mp4 --model tiny.safetensors")
    code, _, err = hearsight(f"{line} --force")
    assert code == ("check" in line), err
    for output in outputs:
        assert f"wrote {output}\n" in err
        assert Path(output).read_bytes() != b"mine"
    assert hearsight(f"{line} --force --quiet")[2] == ""


@pytest.mark.usefixtures("files")
def test_on_a_terminal_the_user_is_asked(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("painted.mp4").write_bytes(b"mine")
    asking(monkeypatch, "n\n")
    code, out, err = hearsight(LOCALISE)
    assert (code, out) == (2, "")
    assert "'painted.mp4' exists. Write over it? [y/N]" in err
    assert "'painted.mp4' is left as it is" in err
    assert Path("painted.mp4").read_bytes() == b"mine"
    asking(monkeypatch, "")  # the end of the input
    assert hearsight(LOCALISE)[0] == 2
    assert Path("painted.mp4").read_bytes() == b"mine"
    asking(monkeypatch, "y\n")
    code, _, err = hearsight(LOCALISE)
    assert code == 0
    assert "wrote painted.mp4" in err
    assert Path("painted.mp4").stat().st_size > 1000


@pytest.mark.usefixtures("files")
def test_nobody_is_asked_about_a_file_that_cannot_be_written(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking(monkeypatch, "y\n")
    refused(hearsight, LOCALISE.replace("painted.mp4", "film.mp4"), "is read for this")
    Path("painted.gif").touch()
    refused(hearsight, LOCALISE.replace("painted.mp4", "painted.gif"), "must end in")


def test_every_command_that_names_a_file_can_be_forced() -> None:
    forced, groups = set(), [("", typer.main.get_command(app))]
    while groups:
        above, group = groups.pop()
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                groups.append((f"{name} ", command))
            elif any("--force" in option.opts for option in command.params):
                forced.add(above + name)
    assert forced - INTO_FOLDERS == {
        " ".join(line.split(" -")[0].split()[: 1 + line.startswith("data ")]) for line, _ in WRITERS
    }
