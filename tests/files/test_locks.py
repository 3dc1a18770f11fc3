"""One writer at a time, and no folder left that was made for nothing."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK, sole_writer

HELD = """
import sys
from pathlib import Path
from hearsight.files.locks import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def refuse(folder: Path) -> None:
    with pytest.raises(HearsightError, match="another process is writing"), sole_writer(folder):
        pass


def test_another_process_is_kept_out_until_the_first_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        refuse(folder)
        other.kill()
    assert (folder / LOCK).exists()  # what was killed leaves the file, but not the lock
    with sole_writer(folder):
        refuse(folder)
    assert list(folder.iterdir()) == []


def test_what_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sole_writer(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with sole_writer(tmp_path / "a" / "b"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "kept"]
    (tmp_path / "empty").mkdir()
    with sole_writer(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()  # it was there before


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(HearsightError, match="Cannot write to"), sole_writer(folder):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_file_systems_without_locks_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(code: int) -> None:
        def flock(*_: object) -> None:
            raise OSError(code, "no")

        monkeypatch.setattr(fcntl, "flock", flock)

    without(errno.ENOSYS)
    with sole_writer(tmp_path / "run"):
        (tmp_path / "run" / "file").touch()
    without(errno.EIO)
    with pytest.raises(HearsightError, match="Cannot write to"), sole_writer(tmp_path / "other"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "file"]
