"""Folders with links: each is read once; links that lead back, above or nowhere are told."""

import os
from pathlib import Path

import pytest

from hearsight.errors import HearsightError
from hearsight.files.walk import broken_links, check_link, check_there, walk


def read(folder: Path) -> tuple[list[str], list[str]]:
    left_out = list[str]()
    files = [
        below + name for below, names in walk(folder, left_out=left_out.append) for name in names
    ]
    return files, left_out


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_every_file_comes_once_in_order_whatever_links_there_are(tmp_path: Path) -> None:
    far = fill(tmp_path / "far", "1", "deep/2", "deep/back/3")
    here = fill(tmp_path / "here", "b", "a", "x/c", "x/y/d", "w/e", ".hidden", ".cache/f")
    plain = ["a", "b", "w/e", "x/c", "x/y/d"]
    assert read(here) == ([".hidden", *plain], [".cache/"])
    (here / "0first").symlink_to(far)  # by its name before all others
    (here / "again").symlink_to(far)
    (here / "inner").symlink_to(far / "deep")
    (here / "x" / "up").symlink_to("..")
    (here / "self").symlink_to(".")
    (here / "root").symlink_to("/")
    (here / "twin").symlink_to(here / "w")
    (far / "deep" / "back" / "home").symlink_to(here)
    (far / "deep" / "back" / "round").symlink_to(far)
    (here / "broken").symlink_to("nowhere")
    (here / "circle").symlink_to("circle")
    files, left_out = read(here)
    assert files == [
        *(".hidden", "a", "b", "broken", "circle", "w/e", "x/c", "x/y/d"),
        *("0first/1", "0first/deep/2", "0first/deep/back/3"),
    ]
    told = {"again/", "inner/", "root/", "self/", "twin/", "x/up/", ".cache/"}
    assert set(left_out) == told | {"0first/deep/back/home/", "0first/deep/back/round/"}
    assert len(left_out) == len(set(left_out))


def test_a_folder_that_is_a_link_itself_is_read_as_the_folder(tmp_path: Path) -> None:
    far = fill(tmp_path / "far", "1", "deep/2")
    (tmp_path / "here").symlink_to(far)
    (far / "deep" / "up").symlink_to(tmp_path)
    assert read(tmp_path / "here") == (["1", "deep/2"], ["deep/up/"])


def test_a_chain_of_links_ends_in_its_folder_and_links_to_files_are_files(tmp_path: Path) -> None:
    far = fill(tmp_path / "far", "1")
    (tmp_path / "two").symlink_to(far)
    here = fill(tmp_path / "here", "a")
    (here / "one").symlink_to(tmp_path / "two")
    (here / "b").symlink_to(far / "1")
    assert read(here) == (["a", "b", "one/1"], [])


def test_what_cannot_be_read_is_told_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a", "shut/b", "z/c")
    scandir = os.scandir

    def refuse(path: Path) -> object:  # root may look where others may not
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(HearsightError, match=r"shut/?' cannot be read: Permission denied\.$"):
        list(walk(tmp_path))
    closed = list[OSError]()
    assert [below for below, _ in walk(tmp_path, closed.append)] == ["", "z/"]
    assert Path(str(closed[0].filename)) == tmp_path / "shut"


def test_a_link_that_leads_nowhere_is_told_with_its_aim(tmp_path: Path) -> None:
    fill(tmp_path, "a", "x/b")
    (tmp_path / "good").symlink_to("x")
    assert broken_links(tmp_path) == []
    (tmp_path / "bad").symlink_to("/mnt/none")
    (tmp_path / "circle").symlink_to("circle")
    assert broken_links(tmp_path) == [tmp_path / "bad", tmp_path / "circle"]
    for name in ("a", "x", "good", "missing"):
        check_link(tmp_path / name)
    with pytest.raises(
        HearsightError, match=r"bad' is a link to '/mnt/none', which is not there\.$"
    ):
        check_link(tmp_path / "bad")


def test_a_folder_that_is_not_there_or_is_a_file_is_named(tmp_path: Path) -> None:
    check_there(fill(tmp_path / "here", "file"))
    for path in (tmp_path / "none", tmp_path / "here" / "file"):
        with pytest.raises(HearsightError) as raised:
            check_there(path)
        assert str(raised.value) == f"There is no folder '{path}'."
        with pytest.raises(HearsightError, match=r"' with \.deb files\.$"):
            check_there(path, "with .deb files")
