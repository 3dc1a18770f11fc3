"""What the tests share: the field's real files, where they are at hand, and the command line."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from made_commands import Hearsight

from hearsight.commands import cli

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks a hub; read when huggingface_hub is imported
settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")
SHARED = Path(__file__).resolve().parents[2] / "shared"


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
    import torch

    threads = torch.get_num_threads()  # commands set it for the whole process
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hearsight", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    yield run
    torch.set_num_threads(threads)
