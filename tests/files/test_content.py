"""Files that others wrote: what may be read for ever is refused, a pipe of the shell's is read."""

import os
from pathlib import Path

import pytest

from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.files.text import read_text


def test_a_file_is_read_whole_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\1\2")
    assert read_content(tmp_path / "file") == b"\0\1\2"
    with pytest.raises(FileNotFoundError):
        read_content(tmp_path / "none")


def test_a_pipe_in_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="pipe or a device"):
            read_content(path)
    with pytest.raises(HearsightError, match="cannot be read: it is a pipe or a device"):
        read_text(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="there is no /dev/fd here")
def test_a_list_that_a_command_of_the_shell_writes_is_read() -> None:
    """`--ids <(grep ...)` names a pipe under /dev/fd."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"one\ntwo\n")
    try:
        assert read_text(Path(f"/dev/fd/{reading}")) == "one\ntwo\n"
    finally:
        os.close(reading)
