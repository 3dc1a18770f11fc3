"""Data sets that are damaged, changed, misspelt or mixed, as the commands meet them.

`tests/datasets/test_damaged_sets.py` says what is read of them; here is what a command
leaves behind and says: one sentence and exit code 2, or what is left out by name.
"""

import errno
import os
import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from made_commands import Hearsight, refused
from made_damage import READERS

from hearsight.clips.clip import Clips
from hearsight.clips.masked_store import open_store
from hearsight.clips.shard_writer import write_store
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError

KINDS = ("pictures", "sounds", "masks", "annotations")
MEDIA = [
    (name, kind) for name, reader in READERS.items() for kind in KINDS if getattr(reader, kind)
]
APART = [name for name in READERS if " boxes" not in name and name != "vggsound table"]
Held = dict[str, tuple[bytes, bytes, object]]  # of each clip: its picture, sound and mask


def spec_of(name: str, opened: Path) -> str:
    return f"{opened}{READERS[name].part}"


def split_of(name: str) -> str:
    return f" --split {READERS[name].split}" if READERS[name].split else ""


def clips_of(name: str, opened: Path) -> Clips:
    return open_clips(spec_of(name, opened), split=READERS[name].split or "train")


def files_of(name: str, kind: str, opened: Path) -> list[Path]:
    found = sorted(opened.glob(getattr(READERS[name], kind)))
    assert found
    return found


def held(clips: Clips) -> Held:
    """The picture, sound and mask of every clip that can be read."""
    found = {}
    for index, id in enumerate(clips.ids):
        clip = clips[index]
        mask = None if clip.mask is None else clip.mask.tobytes()
        found[id] = (clip.frame.tobytes(), clip.sound.tobytes(), mask)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Copies a data set, made once, below a folder; returns where it is opened."""
    kept, opened = tmp_path_factory.mktemp("made"), dict[str, Path]()

    def copy(name: str, folder: Path) -> Path:
        if name not in opened:
            whole = kept / name.replace(" ", "_")
            opened[name] = READERS[name].write(whole).relative_to(whole)
        shutil.copytree(kept / name.replace(" ", "_"), folder)
        return folder / opened[name]

    return copy


Made = Callable[[str, Path], Path]


@pytest.fixture(scope="module")
def imported() -> dict[str, Held]:
    """What the command stores of undamaged data sets, by their names: each is imported once."""
    return {}


@pytest.fixture(scope="module")
def stored(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Held]:
    """What `write_store` stores of an undamaged data set; each is written once."""

    @cache
    def write(name: str) -> Held:
        folder = tmp_path_factory.mktemp("stored")
        write_store(clips_of(name, made(name, folder / "set")), folder / "out")
        return held(open_store(folder / "out"))

    return write


@pytest.fixture(scope="module")
def undamaged(
    made: Made, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], set[tuple[bytes, bytes]]]:
    """The pictures and sounds of an undamaged data set; each is read once."""

    @cache
    def read(name: str) -> set[tuple[bytes, bytes]]:
        return contents(clips_of(name, made(name, tmp_path_factory.mktemp("read") / "set")))

    return read


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


@pytest.mark.parametrize(("name", "kind"), MEDIA)
def test_what_is_damaged_is_named_and_imported_once_it_is_whole(
    hearsight: Hearsight, made: Made, imported: dict[str, Held], name: str, kind: str
) -> None:
    opened = made(name, Path("set"))
    whole = {path: path.read_bytes() for path in files_of(name, kind, opened)}
    line = f"data import '{spec_of(name, opened)}' --out {{}} --workers 1{split_of(name)}"
    if name not in imported:
        assert hearsight(line.format("first"))[0] == 0
        imported[name] = held(open_store("first"))
    for path in whole:
        cut(path)
    code, _, err = hearsight(line.format("second"))
    assert code == 0, err
    undamaged, damaged = imported[name], held(open_store("second"))
    for id in undamaged.keys() - damaged.keys():
        clip = id.rsplit("/", 1)[0].rsplit("_", 1)[0]
        assert id in err or clip in err
    assert damaged.items() <= undamaged.items()
    for path, content in whole.items():
        path.write_bytes(content)
    code, _, err = hearsight(line.format("second"))
    assert (code, "skipped" in err) == (0, False), err
    assert held(open_store("second")) == undamaged


@pytest.mark.parametrize(("name", "kind"), MEDIA)
def test_every_command_says_what_is_not_there(
    hearsight: Hearsight, made: Made, name: str, kind: str
) -> None:
    opened = made(name, Path("set"))
    spec, split = spec_of(name, opened), split_of(name)
    files = files_of(name, kind, opened)
    for path in files:
        path.unlink()
    ids = open_clips(spec, split="val").ids
    np.savez("maps.npz", **dict.fromkeys(ids, np.arange(49.0).reshape(7, 7)))
    protocol = "masks" if READERS[name].masks else "adaptive"
    lines = [
        f"data import '{spec}' --out out --workers 1{split}",
        f"data show '{spec}' -o sheet.png{split}",
        f"score maps.npz --data '{spec}' --protocol {protocol}",
        f"data check '{spec}' --against '{spec}'",
    ]
    imported = hearsight(lines[0])[2].splitlines()
    told = [one for one in imported if one.startswith(f"'{spec}': ")]
    skipped = [one.removeprefix("skipped ") for one in imported if one.startswith("skipped ")]
    assert told or skipped
    assert all(READERS[name].is_second(one) for one in skipped)
    code, _, err = hearsight(lines[1])
    assert code == 0, err
    shown = err.splitlines()
    assert [one for one in shown if one.startswith(f"'{spec}': ")] == told
    assert {f"skipped {one}" for one in skipped} <= {*shown}
    code, _, err = hearsight(lines[2])  # which reads no pictures and sounds
    if code == 0:
        assert [one for one in err.splitlines() if one.startswith(f"'{spec}': ")] == told
    else:  # nothing there can be scored so
        assert (code, err.splitlines()[-1][:11]) == (2, "hearsight: ")
    if not split:  # else the train rows are compared
        code, _, err = hearsight(lines[3])
        assert code == 1
        assert [one for one in err.splitlines() if one.startswith(f"'{spec}': ")] == told


@pytest.mark.parametrize("name", APART)
def test_names_in_other_letters_are_read_alike_or_refused(
    hearsight: Hearsight, made: Made, name: str
) -> None:
    opened = made(name, Path("set"))
    spec, split = spec_of(name, opened), READERS[name].split or "train"
    before = held(open_clips(spec, split=split))
    for path in sorted(opened.iterdir()):
        renamed = path.with_name(path.name.swapcase())
        path.rename(renamed)
        after = None
        with suppress(HearsightError):
            after = held(open_clips(spec, split=split))
        if after is None:
            refused(hearsight, f"data import '{spec}' --out out{split_of(name)}", renamed.name)
        else:
            assert after == before
        renamed.rename(path)


@pytest.mark.parametrize("name", APART)
def test_an_empty_or_missing_folder_is_refused_or_what_it_held_is_named(
    hearsight: Hearsight, made: Made, name: str
) -> None:
    opened = made(name, Path("set"))
    line = f"data import '{spec_of(name, opened)}' --out out --workers 1{split_of(name)}"
    for path in [one for one in sorted(opened.iterdir()) if one.is_dir()]:
        path.rename("kept")
        path.mkdir()
        code, _, err = hearsight(line)
        assert code in (0, 2)
        assert "hearsight: " in err or "have no" in err or "not there" in err, err
        shutil.rmtree("out", ignore_errors=True)
        path.rmdir()
        code = hearsight(line)[0]
        assert code in (0, 2)
        assert (code == 0) == Path("out").exists()
        shutil.rmtree("out", ignore_errors=True)
        Path("kept").rename(path)


def contents(clips: Clips) -> set[tuple[bytes, bytes]]:
    return {(frame, sound) for frame, sound, _ in held(clips).values()}


@pytest.mark.parametrize("name", APART)
def test_two_layouts_in_one_folder_are_never_mixed_up(
    made: Made, undamaged: Callable[[str], set[tuple[bytes, bytes]]], name: str, tmp_path: Path
) -> None:
    own = made(name, tmp_path / "own")
    for other in APART:
        if other == name:
            continue
        both = made(other, tmp_path / other / "set")
        shutil.copytree(own, both, dirs_exist_ok=True)
        known = undamaged(name) | undamaged(other)
        with suppress(HearsightError):
            assert contents(clips_of(name, both)) <= known
        shutil.rmtree(tmp_path / other)


def test_layouts_that_are_both_whole_are_refused(hearsight: Hearsight, made: Made) -> None:
    for first, second in (("vggsound", "vggsound training"), ("is3", "s4"), ("s4", "ms3")):
        made(first, Path(first))
        shutil.copytree(made(second, Path(f"{second} beside")), Path(first), dirs_exist_ok=True)
        for command in (
            "data stats '{}'",
            "data import '{}' --out out",
            "data check '{0}' --against '{0}'",
        ):
            refused(hearsight, command.format(first))
        shutil.rmtree(first)


@pytest.mark.parametrize(("name", "kind"), MEDIA)
def test_a_pipe_is_not_waited_for(made: Made, name: str, kind: str, tmp_path: Path) -> None:
    opened = made(name, tmp_path / "set")
    path = files_of(name, kind, opened)[0]
    path.unlink()
    os.mkfifo(path)
    clips = clips_of(name, opened)
    written = write_store(clips, tmp_path / "out")
    said = [*(one.reason for one in written.unreadable), *getattr(clips, "passed_over", [])]
    assert any("pipe" in one or READERS[name].is_second(one) for one in said), said


@pytest.mark.parametrize("kind", ["table", "boxed"])
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_for_a_list_is_not_waited_for(
    made: Made, name: str, kind: str, tmp_path: Path
) -> None:
    if not getattr(READERS[name], kind):
        return
    opened = made(name, tmp_path / "set")
    path = opened / getattr(READERS[name], kind)
    path.unlink()
    os.mkfifo(path)
    with suppress(HearsightError):
        clips_of(name, opened)


@pytest.mark.parametrize(("name", "kind"), MEDIA)
def test_files_that_vanish_after_the_folder_was_listed_are_named(
    made: Made, stored: Callable[[str], Held], name: str, kind: str, tmp_path: Path
) -> None:
    opened = made(name, tmp_path / "set")
    clips = clips_of(name, opened)
    for path in files_of(name, kind, opened):
        path.unlink()
    written = write_store(clips, tmp_path / "out")
    kept = held(open_store(tmp_path / "out"))
    assert kept.items() <= stored(name).items()
    assert set(kept) | {one.id for one in written.unreadable} == set(clips.ids)


@pytest.mark.parametrize("name", ["s4", "vggsound videos", "avatar"])
def test_an_import_goes_on_where_it_was_interrupted(
    hearsight: Hearsight, made: Made, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = made(name, Path("set"))
    line = f"data import '{spec_of(name, opened)}' --out {{}} --workers 1{split_of(name)}"
    assert hearsight(line.format("whole"))[0] == 0
    given = []

    def interrupt(clips: Clips, index: int) -> str:
        given.append(index)
        if len(given) == 3:
            raise KeyboardInterrupt
        return ""

    with monkeypatch.context() as patched:
        patched.setattr("hearsight.clips.shard_writer.fingerprint", interrupt)
        assert hearsight(line.format("out"))[0] == 130
    assert len(open_store("out")) == 2
    assert not [path for path in Path("out").iterdir() if path.name.startswith(".")]
    assert hearsight(line.format("out"))[0] == 0
    assert held(open_store("out")) == held(open_store("whole"))


def test_a_place_that_cannot_be_written_is_refused(hearsight: Hearsight, made: Made) -> None:
    opened = made("s4", Path("set"))
    spec = spec_of("s4", opened)
    Path("file.txt").write_text("x")
    Path("loop").symlink_to("loop")
    for out in ("file.txt", "file.txt/out", "loop", "/proc/none", "x" * 300):
        refused(hearsight, f"data import '{spec}' --out {out} --workers 1", "annot write")


def test_a_full_disk_leaves_a_whole_store_or_none(hearsight: Hearsight, made: Made) -> None:
    spec = spec_of("s4", made("s4", Path("set")))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (0, 1_000, 10_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            code, out, err = hearsight(f"data import '{spec}' --out out --workers 1")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (code, out) == (2, ""), err
        assert os.strerror(errno.EFBIG) in err.splitlines()[-1]
        assert not list(Path("out").rglob("*"))
    assert hearsight(f"data import '{spec}' --out out --workers 1")[0] == 0
