"""What the tests share: the field's real files, where they are at hand, and the command line."""

import gc
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import checked_types  # noqa: F401 - before the package, whose types it has checked
import pytest
import typer.main
from hypothesis import settings
from made_commands import Hearsight

from hearsight.commands import cli, console

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks a hub; read when huggingface_hub is imported
# threads that wait do not compute, which changes no number; read when torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")
SHARED = Path(__file__).resolve().parents[2] / "shared"
TREE = cache(typer.main.get_command)  # of all commands and options, which takes long to build


def pytest_collection_finish() -> None:
    """What is there by now stays: the garbage collector need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def scheduling() -> Iterator[None]:
    """No test leaves the process in real time, where it starves whatever else runs."""
    before = os.sched_getscheduler(0)
    yield
    assert os.sched_getscheduler(0) == before


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Find a file or folder of the reference data beside the checkout, or skip the test."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs {name} in a folder `shared` beside the checkout")
        return path

    return find


@pytest.fixture
def hearsight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Hearsight]:
    """Run a command line in an empty folder: its exit code, stdout and stderr."""
    yield from typed(tmp_path, monkeypatch, capsys)


@pytest.fixture
def hearsight_overheard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Hearsight]:
    """The same, with what libraries in C and other processes print."""
    yield from typed(tmp_path, monkeypatch, capfd)


def typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]
) -> Iterator[Hearsight]:
    """Runs command lines in a folder."""
    import torch

    threads = torch.get_num_threads()  # commands set it for the whole process
    environment = dict(os.environ)  # as do those that are quiet
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(typer.main, "get_command", TREE)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hearsight", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert isinstance(code, int)
        return code, *captured.readouterr()

    yield run
    torch.set_num_threads(threads)
    logging.disable(logging.NOTSET)
    for logger in (console.LOGGER, console.CARDS):  # their handlers print to what pytest has closed
        logger.handlers = [one for one in logger.handlers if not isinstance(one, console.Lines)]
        logger.setLevel(logging.NOTSET)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
