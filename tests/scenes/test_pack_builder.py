"""Packs built from packages made by hand, and broken packages."""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_packages import ENTRIES, FILES, SCRATCH, TUX, make_debs, picture, wave
from made_packs import make_deb
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.progress import no_progress
from hearsight.scenes import debian_packages, pack_builder
from hearsight.scenes.cutting import cut_background, cut_out, cut_sound, normalise_loudness
from hearsight.scenes.debian_packages import download_debs, read_deb, read_members
from hearsight.scenes.menagerie import DEMO_CLASSES, read_menagerie, split_files
from hearsight.scenes.pack_builder import build_pack, read_catalogue
from hearsight.scenes.pack_folder import read_rows


@pytest.fixture
def debs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both packages, and a catalogue of what is in them."""
    monkeypatch.setattr(pack_builder, "read_catalogue", lambda pack: ENTRIES)
    return make_debs(tmp_path / "debs")


def test_the_pack_is_cut_from_the_packages(debs: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    target = tmp_path / "some" / "menagerie"
    assert build_pack("menagerie", target, debs, lambda *what: told.append(what)) == target
    assert told[-1] == ("cutting the pack", 8, 8)
    train, val = (read_menagerie(target, split=split) for split in ("train", "val"))
    assert train.labels == val.labels == ("bear", "car")
    assert [one.pixels.shape for one in train.cutouts] == [(256, 139, 4), (70, 80, 4)]
    assert [one.shape for one in train.backgrounds] == [(320, 427, 3)]
    assert [one.shape for one in val.backgrounds] == [(240, 200, 3)]
    heard = sum(len(pack.recordings[1].samples) for pack in (train, val))
    assert heard == pytest.approx(8 * RATE, rel=0.01)
    assert list(tmp_path.rglob("*evil*")) == []
    assert os.listdir(target.parent) == ["menagerie"]  # noqa: PTH208


def test_the_attribution_names_every_file(debs: Path, tmp_path: Path) -> None:
    target = build_pack("menagerie", tmp_path / "pack", debs, no_progress)
    text = (target / "ATTRIBUTION.md").read_text()
    table = (target / "pack.csv").read_text()
    for one in ENTRIES:
        assert f"| {one.file} | {one.path} | X |" in text
        assert one.path in table
    assert f"## {TUX} 2022-1" in text
    assert "License: GPL-2" in text
    assert f"{SCRATCH} 1.4~x" in table


def test_an_old_pack_is_replaced_whole_and_only_by_a_whole_one(debs: Path, tmp_path: Path) -> None:
    target = build_pack("menagerie", tmp_path / "pack", debs, no_progress)
    (target / "old").touch()
    broken = dict(FILES[SCRATCH]) | {"usr/b/hill.jpg": b"no picture"}
    make_deb(debs, SCRATCH, broken)
    (debs / f"{SCRATCH}_1.4~x_all.deb").unlink()
    with pytest.raises(HearsightError, match=r"'usr/b/hill.jpg' in 'scratch' is damaged"):
        build_pack("menagerie", target, debs, no_progress)
    assert (target / "old").exists()
    make_deb(debs, SCRATCH, FILES[SCRATCH])
    build_pack("menagerie", target, debs, no_progress)
    assert not (target / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["debs", "pack"]


def test_a_damaged_sound_is_told_in_one_sentence(debs: Path, tmp_path: Path) -> None:
    make_deb(debs, SCRATCH, dict(FILES[SCRATCH]) | {"usr/b/car.wav": b"no sound"})
    (debs / f"{SCRATCH}_1.4~x_all.deb").unlink()
    with pytest.raises(HearsightError) as refused:
        build_pack("menagerie", tmp_path / "pack", debs, no_progress)
    said = "'usr/b/car.wav' in 'scratch' is damaged: Format not recognised."
    assert str(refused.value) == said


def test_a_folder_that_is_no_pack_is_not_replaced(debs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(HearsightError, match="is there already and is no pack"):
        build_pack("menagerie", tmp_path / "mine", debs, no_progress)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    build_pack("menagerie", tmp_path / "empty", debs, no_progress)
    assert (tmp_path / "empty" / "pack.csv").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(HearsightError, match="Cannot write the pack"):
        build_pack("menagerie", tmp_path / "file" / "pack", debs, no_progress)


def test_packages_of_another_version_are_refused(tmp_path: Path) -> None:
    for name in (TUX, SCRATCH):
        make_deb(tmp_path, name, {"usr/share/other": b""})
    with pytest.raises(HearsightError, match="hold 0 of the 366 files"):
        build_pack("menagerie", tmp_path / "pack", tmp_path, no_progress)
    assert not (tmp_path / "pack").exists()


@pytest.fixture(params=["dpkg-deb", "by hand"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read a package: `dpkg-deb`, and as on a machine without it."""
    if request.param == "by hand":
        monkeypatch.setattr(debian_packages.shutil, "which", lambda name: None)
    elif debian_packages.shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    return str(request.param)


@pytest.mark.parametrize("packing", ["xz", "gz", "bz2", "zst", ""])
def test_members_are_read_whatever_their_packing(packing: str, reader: str, tmp_path: Path) -> None:
    path = make_deb(
        tmp_path, "made", {"./usr/a": b"first", "usr/b": b"second"}, packing=packing, version="3:1"
    )
    assert dict(read_members(path, {"usr/a", "usr/b", "usr/c"})) == {
        "usr/a": b"first",
        "usr/b": b"second",
    }
    deb = read_deb(path)
    assert (deb.name, deb.version) == ("made", "3:1")


def test_what_is_no_package_is_refused(reader: str, tmp_path: Path) -> None:
    whole = make_deb(tmp_path, "made", {"usr/a": os.urandom(5000)}).read_bytes()
    path = tmp_path / "broken.deb"
    for content in (b"", b"hello", whole[:100], whole[:400], whole[:-900], whole[:8] + whole[20:]):
        path.write_bytes(content)
        with pytest.raises(HearsightError, match=r"broken\.deb"):
            dict(read_members(path, {"usr/a"}))
    path.write_bytes(whole.replace(b"data.tar.xz ", b"data.tar.lz "))
    with pytest.raises(HearsightError, match="unknown way"):
        dict(read_members(path, {"usr/a"}))
    with pytest.raises(HearsightError, match="There is no file"):
        read_deb(tmp_path / "none.deb")


def test_refusals_say_what_is_wrong(reader: str, tmp_path: Path) -> None:
    whole = make_deb(tmp_path, "made", {"usr/a": os.urandom(5000)}).read_bytes()
    data = whole.index(b"data.tar.xz")
    broken = bytearray(whole)
    broken[data + 200 : data + 1200] = bytes(1000)
    sentences = {
        b"hello": "'made.deb' is not a Debian package",
        whole[: data + 30]: "'made.deb' is a damaged Debian package",
        whole[:data]: "'made.deb' is a damaged Debian package: it has no data.tar",
        whole[:-900]: "'made.deb' is not a whole Debian package: ",
        bytes(broken): "'made.deb' is (not a whole|a damaged) Debian package: ",
    }
    for content, sentence in sentences.items():
        path = tmp_path / "made.deb"
        path.write_bytes(content)
        with pytest.raises(HearsightError) as refused:
            dict(read_members(path, {"usr/a"}))
        assert re.match(sentence, str(refused.value).replace(f"{tmp_path}/", ""))


def test_hostile_members_are_refused_or_never_read(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_deb(tmp_path, "made", {"../../up": b"1", "/usr/a": b"2", "usr/huge": bytes(5000)})
    assert dict(read_members(path, {"usr/a", "up"})) == {"usr/a": b"2"}
    monkeypatch.setattr(debian_packages, "LARGEST", 4000)
    with pytest.raises(HearsightError, match=r"'usr/huge' in .*made.* is too large: 5000 bytes"):
        dict(read_members(path, {"usr/huge"}))
    assert next(read_members(path, {"usr/a", "usr/huge"})) == ("usr/a", b"2")


def test_missing_packages_are_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="There is no folder"):
        build_pack("menagerie", tmp_path / "pack", tmp_path / "none", no_progress)
    make_deb(tmp_path, SCRATCH, {})
    with pytest.raises(HearsightError, match=f"no package {TUX}_.*deb"):
        build_pack("menagerie", tmp_path / "pack", tmp_path, no_progress)


def write_apt(folder: Path, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "apt-get").chmod(0o755)


def test_packages_are_downloaded(
    debs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_apt(tmp_path / "bin", f'test "$2" = download && cp {debs}/*.deb .')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    pack = build_pack("menagerie", tmp_path / "pack", None, no_progress)
    assert (pack / "pack.csv").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "debs", "pack"]


def test_a_machine_that_cannot_download_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(HearsightError, match=r"Debian or Ubuntu system: give .* as `packages`"):
        download_debs([SCRATCH], tmp_path)
    write_apt(tmp_path / "bin", 'echo "E: Unable to locate package scratch" >&2; exit 100')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(HearsightError, match=r"Unable to locate package scratch.*apt-get update"):
        download_debs([SCRATCH], tmp_path)


def test_pictures_are_cut_to_their_object() -> None:
    for kind in ("PNG", "GIF"):
        image = Image.open(io.BytesIO(cut_out(picture((140, 120), kind))))
        assert image.size == (100, 100)
        assert image.mode == "RGBA"
    file = io.BytesIO()
    Image.new("RGBA", (20, 20)).save(file, "PNG")
    with pytest.raises(ValueError, match="transparent"):
        cut_out(file.getvalue())
    assert Image.open(io.BytesIO(cut_background(picture((100, 400), "JPEG")))).size == (100, 400)


def test_a_photograph_is_cut_along_its_outline() -> None:
    file = io.BytesIO()
    Image.new("RGB", (200, 100), (200, 10, 60)).save(file, "JPEG")
    square = [(100, 200), (600, 200), (600, 800), (100, 800)]
    hole = [(200, 400), (300, 400), (300, 600), (200, 600)]
    image = Image.open(io.BytesIO(cut_out(file.getvalue(), None, [square, hole])))
    alpha = np.asarray(image.getchannel("A")) >= 128
    assert alpha.shape == pytest.approx((60, 100), abs=1)
    assert alpha.sum() == pytest.approx(60 * 100 - 20 * 20, rel=0.03)
    assert not alpha[30, 30]
    image = Image.open(io.BytesIO(cut_out(file.getvalue(), (0.0, 0.0, 0.5, 0.5), [square])))
    assert image.size == pytest.approx((80, 30), abs=1)


def test_a_part_of_a_sound_is_taken() -> None:
    whole, first, last = (
        soundfile.read(io.BytesIO(cut_sound(wave(RATE, 2.0), part)))[0]
        for part in ((0.0, 1.0), (0.0, 0.6), (0.6, 1.0))
    )
    assert len(first) == pytest.approx(0.6 * len(whole), abs=RATE // 50)
    assert len(first) + len(last) == pytest.approx(len(whole), abs=RATE // 50)


def test_sounds_become_even() -> None:
    samples, rate = soundfile.read(io.BytesIO(cut_sound(wave(44_100, 2.0, channels=2))))
    assert rate == RATE
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(1.9 * RATE, rel=0.01)
    noise = np.random.default_rng(0).normal(0, 0.4, 22_050)
    even = normalise_loudness(noise, 22_050) / 32767
    assert np.sqrt(np.mean(even**2)) == pytest.approx(0.08, rel=0.001)
    click = np.zeros(3000)
    click[100], click[2000] = 0.01, -0.01
    assert np.abs(normalise_loudness(click, RATE)).max() <= 0.96 * 32767
    with pytest.raises(ValueError, match="silent"):
        normalise_loudness(np.zeros(100), RATE)


def test_the_catalogue_makes_a_pack_with_the_demo_classes(tmp_path: Path) -> None:
    entries = read_catalogue("menagerie")
    assert len({one.file for one in entries}) == len(entries) == 366
    assert {one.package for one in entries} == {TUX, SCRATCH}
    for one in entries:
        assert one.path.startswith("usr/share/")
        assert ".." not in one.path
    versions = {TUX: "1", SCRATCH: "1"}
    pack_builder._write_table(tmp_path / "pack.csv", entries, versions)
    rows = read_rows(tmp_path / "pack.csv", "menagerie")
    for split in ("train", "val"):
        kinds = {(share.row.label, share.row.kind) for share in split_files(rows, split)}
        for name in DEMO_CLASSES:
            assert {(name, "cutout"), (name, "sound")} <= kinds
        assert any(row.kind == "background" and row.split == split for row in rows)


@pytest.mark.slow
def test_the_real_packages(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """Fetched once; skipped where they cannot be."""
    try:
        pack = build_pack("menagerie", tmp_path / "pack", None, no_progress)
    except HearsightError as error:
        pytest.skip(str(error))
    reference = {row.file: row for row in read_rows(shared("menagerie/pack.csv"), "menagerie")}
    rows = read_rows(pack / "pack.csv", "menagerie")
    assert len(rows) == 366
    same = [row for row in rows if row.file in reference and row.kind != "background"]
    assert len(same) > 100
    assert all(row.label == reference[row.file].label for row in same)
    assert len(read_menagerie(pack, split="val", classes=12).labels) == 12
