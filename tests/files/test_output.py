"""What cannot be written is said before the work, and looking leaves nothing."""

import errno
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hearsight.errors import HearsightError
from hearsight.files.output import (
    check_output,
    write_bytes,
    write_text,
    written_folder,
    written_whole,
)

ENDINGS = (".png", ".jpg")


def test_what_can_be_written_is_and_nothing_is_left(tmp_path: Path) -> None:
    old = tmp_path / "old.jpg"
    old.write_text("kept")
    check_output(tmp_path / "new.PNG", ENDINGS, old, tmp_path / "absent")
    check_output(old, ENDINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["old.jpg"]
    assert old.read_text() == "kept"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = tmp_path / "q.png"
    source.touch()
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "folder.png").mkdir()
    for name, said in (
        ("a.gif", "a.gif' must end in .png or .jpg"),
        ("a", "a' must end in"),
        ("none/a.png", "there is no folder '.*none'"),
        ("q.png/a.png", "there is no folder"),
        ("folder.png", "is a folder, not a file to write"),
        ("q.png", "is read for this"),
        ("link.png", "is read for this"),
        (f"{'a' * 300}.png", "cannot be written: File name too long"),
    ):
        with pytest.raises(HearsightError, match=said):
            check_output(tmp_path / name, ENDINGS, source)
    with pytest.raises(HearsightError, match=r"must end in \.html\.$"):
        check_output(tmp_path / "a.png", (".html",))


def test_pipes_and_devices_are_not_replaced_by_files(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.png", tmp_path / "link.png"
    os.mkfifo(pipe)
    link.symlink_to(os.devnull)
    for path in (pipe, link):
        with pytest.raises(HearsightError, match=f"{path.name}' is a pipe or a device: name a"):
            check_output(path, ENDINGS)
        with pytest.raises(HearsightError, match="pipe or a device"):
            write_text(path, "lost")
    assert pipe.is_fifo()
    assert link.is_symlink()
    for path in (Path("/dev/stdout"), Path("/dev/none")):
        with pytest.raises(HearsightError, match=f"'{path}' is a pipe or a device"):
            check_output(path, ("",))


@pytest.mark.parametrize("letter", ["a", "é", "\udcff"])
@pytest.mark.parametrize("size", [229, 255])
def test_a_name_as_long_as_the_file_system_takes_is_written(
    tmp_path: Path, letter: str, size: int
) -> None:
    stem = letter * ((size - 4) // len(os.fsencode(letter)))
    targets = [tmp_path / f"{stem}{end}" for end in (".png", ".jpg")]
    for target in targets:
        check_output(target, ENDINGS)
    with written_whole(targets[0]) as one, written_whole(targets[1]) as other:
        assert one.name.startswith(".")
        assert one.name.endswith(".part")
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert sorted(tmp_path.iterdir()) == sorted(targets)
    assert [target.read_text() for target in targets] == ["one", "other"]


def test_a_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "sch\u00f6n\n")
    assert (tmp_path / "a.txt").read_bytes() == b"sch\xc3\xb6n\n"
    (tmp_path / "folder").mkdir()
    for name in ("folder", "none/a.txt"):
        for write in (partial(write_text, text=""), partial(write_bytes, content=b"")):
            with pytest.raises(HearsightError, match=f"{name}' cannot be written"):
                write(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "folder"]


def test_a_folder_that_takes_no_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:  # root may write what others may not
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(HearsightError, match=r"a\.png' cannot be written: Read-only file system"):
        check_output(tmp_path / "a.png", ENDINGS)


def test_a_folder_is_not_written_into_what_a_link_in_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "parts").symlink_to(tmp_path / "far")

    def write() -> None:
        with written_folder(tmp_path / "model", "config.json") as part:
            (part / "parts").mkdir()
            (part / "parts" / "weights").touch()
            (part / "config.json").touch()

    with pytest.raises(
        HearsightError, match=r"parts' is a link: '.*model' is not written there\.$"
    ):
        write()
    assert not list((tmp_path / "far").iterdir())
