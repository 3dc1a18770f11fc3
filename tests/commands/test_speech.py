"""What the commands say on stderr: with `-v` what is done, with `--quiet` errors alone."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile  # type: ignore[import-untyped]
import typer.main
from made_commands import Hearsight
from made_library import make_clip, tiny_model
from made_media import sine
from PIL import Image

import hearsight as package
from hearsight.commands.cli import app


@pytest.fixture
def files(tmp_path: Path) -> None:
    """A model, a video, a picture and a sound in the folder that a command runs in."""
    tiny_model(tmp_path / "model.safetensors")
    make_clip(tmp_path / "film.mp4", 1, 2.0)
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", sine(440.0, 2.0, 16_000), 16_000)


@pytest.mark.usefixtures("files")
def test_a_command_says_as_much_as_it_is_asked_to(hearsight: Hearsight) -> None:
    line = "localise film.mp4 --model model.safetensors -o painted.mp4 --force"
    plain = hearsight(line)
    assert plain[0] == 0
    assert "loaded" not in plain[2]
    loud = hearsight(f"{line} -v")
    assert loud[1] == plain[1]
    assert "loaded model.safetensors" in loud[2]
    assert "film.mp4: 2.0 s, 2 moments" in loud[2]
    assert loud[2].count("wrote painted.mp4") == 1
    assert hearsight(f"{line} --quiet") == (0, plain[1], "")
    assert hearsight(line) == plain  # a run does not shape the next


@pytest.mark.usefixtures("files")
def test_quiet_keeps_errors(hearsight: Hearsight) -> None:
    code, out, err = hearsight("localise gone.mp4 --quiet")
    assert (code, out) == (2, "")
    assert err == "hearsight: 'gone.mp4' does not exist.\n"


@pytest.mark.usefixtures("files")
def test_what_is_skipped_is_said_once(hearsight: Hearsight, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    folder = tmp_path / "films"
    folder.mkdir()
    (tmp_path / "film.mp4").rename(folder / "film.mp4")
    (folder / "torn.mp4").write_bytes((folder / "film.mp4").read_bytes()[:500])
    for number, (options, times) in enumerate((("", 1), ("-v", 1), ("-vv", 2))):
        code, _, err = hearsight(f"index lib{number} films --model model.safetensors {options}")
        said = [line for line in err.splitlines() if "'torn.mp4'" in line or "torn.mp4: " in line]
        assert (code, len(said)) == (0, times), err
    assert "committed: 1 file" in err  # details
    assert hearsight("index lib3 films --model model.safetensors --quiet")[2] == ""


@pytest.mark.parametrize("options", ["--quiet -v", "-vv --quiet"])
def test_opposites_are_refused(hearsight: Hearsight, options: str) -> None:
    code, out, err = hearsight(f"protocols {options}")
    assert (code, out) == (2, "")
    assert err == "hearsight: -v and --quiet are opposites: give one of them.\n"


def commands(group: Any) -> list[Any]:
    found = []
    for command in group.commands.values():
        found += commands(command) if hasattr(command, "commands") else [command]
    return found


def test_every_command_has_both_options_once() -> None:
    for command in commands(typer.main.get_command(app)):
        names = [name for option in command.params for name in option.opts]
        assert [names.count(name) for name in ("-v", "--verbose", "--quiet")] == [1, 1, 1]


@pytest.mark.usefixtures("files")
def test_the_library_logs_under_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hearsight"):
        model = package.load_model(tmp_path / "model.safetensors")
        list(model.localise_many([tmp_path / "gone.mp4"]))
    assert all(record.name.startswith("hearsight.") for record in caplog.records)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "gone.mp4" in caplog.records[1].message


def test_without_a_handler_nothing_is_printed() -> None:
    code = "import logging, hearsight\nlogging.getLogger('hearsight.x').error('said')"
    source = str(Path(package.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
