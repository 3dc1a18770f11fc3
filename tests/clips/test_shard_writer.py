"""Writing stores: whole at any moment, and open to other tools."""

import gc
import json
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_clips import fill, made
from made_models import make_pairs

from hearsight.clips.clip import Clip, DecodedClip, UnreadableClip, encode_clip
from hearsight.clips.shard_writer import StoreWriter, write_store
from hearsight.clips.shards import Store, shard_key
from hearsight.errors import HearsightError


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / name, range(6))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_adding_again_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path, range(6))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with StoreWriter(tmp_path, 4) as writer:
        assert [writer.add(made(number)) for number in range(6)] == [False] * 6
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    with StoreWriter(tmp_path, 4) as writer:
        assert [writer.add(made(number)) for number in range(4, 8)] == [False, False, True, True]
    assert Store(tmp_path).ids == [f"clip {n}" for n in range(8)]


ids = st.text(min_size=1, max_size=120)


@given(ids, ids)
def test_keys_are_safe_and_differ_where_ids_do(first: str, second: str) -> None:
    key = shard_key(first)
    assert key.isascii()
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-%~")
    assert len(key) <= 80
    assert (key == shard_key(second)) == (first == second)


@given(st.lists(st.one_of(ids, st.text("./_-~%@ aé\udc80", min_size=1)), unique=True, max_size=8))
def test_any_id_survives_a_store(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    clip = made(1)
    clips = [Clip(id=name, frame=clip.frame, sound=clip.sound) for name in [*names, "last.of/all"]]
    with StoreWriter(folder, 3) as writer:
        kept = [one for one in clips if writer.add(one)]
    for renew in (False, True):
        if renew:
            for index in folder.glob("*.index"):
                index.unlink()
        store = Store(folder)
        assert [store.clip(n) for n in range(len(store))] == kept


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_webdataset_opens_a_store(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    names = ["plain", "a.b.c", "folder/film.mp4@1.5", "__meta__", "ü", "x" * 200]
    with StoreWriter(tmp_path, 4) as writer:
        for number, name in enumerate(names):
            writer.add(made(number, name))
    shards = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))
    assert [json.loads(sample["json"])["id"] for sample in samples] == names
    store = Store(tmp_path)
    for number, sample in enumerate(samples):
        clip = store.clip(number)
        assert (sample["jpg"], sample["flac"], sample.get("mask.png")) == (
            clip.frame,
            clip.sound,
            clip.mask,
        )
    decoded = next(iter(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8")))
    assert np.array_equal(decoded["jpg"], store[0].frame)
    del samples, decoded
    gc.collect()


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [{src!r}, {tests!r}]
from made_clips import made
from hearsight.clips.shard_writer import StoreWriter
with StoreWriter(Path({folder!r}), 3) as writer:
    for number in range({count}):
        print(number, writer.add(made(number)), flush=True)
"""


def test_a_killed_writer_leaves_a_whole_store(tmp_path: Path) -> None:
    here, count = Path(__file__).parents[1], 200
    code = WRITER.format(
        src=str(here.parent / "src"), tests=str(here), folder=str(tmp_path), count=count
    )
    chance = random.Random(0)
    seen = 0
    for attempt in range(9):
        last = attempt == 8
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        with writer, writer.stdout as lines:
            for _ in range(count if last else seen + chance.randint(1, 25)):
                lines.readline()
            if not last:
                time.sleep(chance.uniform(0.0, 0.01))
                writer.send_signal(signal.SIGKILL)
        assert writer.returncode == (0 if last else -signal.SIGKILL)
        store = Store(tmp_path) if any(tmp_path.glob("*.tar")) else []
        assert len(store) >= seen
        for number in range(seen, len(store)):
            assert store.clip(number) == made(number)
        seen = len(store)
    assert Store(tmp_path).ids == [f"clip {n}" for n in range(count)]
    assert Store(tmp_path).repeated == []
    assert not list(tmp_path.glob(".*"))


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.add(made(0))
        with pytest.raises(HearsightError, match="another process is writing"):
            StoreWriter(tmp_path)
    assert Store(tmp_path).ids == ["clip 0"]


def test_an_error_while_writing_keeps_what_was_added(tmp_path: Path) -> None:
    def write() -> None:
        with StoreWriter(tmp_path, 2) as writer:
            for number in range(3):
                writer.add(made(number))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert Store(tmp_path).ids == ["clip 0", "clip 1", "clip 2"]


def test_a_full_disk_ends_in_a_sentence_and_leaves_whole_shards(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = np.random.default_rng(0).integers(-9000, 9000, 60_000, dtype=np.int16)
    clips = [encode_clip(f"{n}", np.zeros((8, 8, 3), np.uint8), large) for n in range(4)]

    def write() -> None:
        with StoreWriter(tmp_path, 2) as writer:
            for clip in clips:
                if clip.id == "2":
                    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
                writer.add(clip)

    try:
        with pytest.raises(HearsightError, match="Cannot write to"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clips-000000.index",
        "clips-000000.tar",
    ]
    assert len(Store(tmp_path)) == 2
    with StoreWriter(tmp_path, 2) as writer:
        assert [writer.add(clip) for clip in clips] == [False, False, True, True]


def test_a_clip_of_no_known_form_is_not_added(tmp_path: Path) -> None:
    clip = made(0)
    with StoreWriter(tmp_path) as writer:
        for wrong in (
            Clip(id="x", frame=b"GIF89a", sound=clip.sound),
            Clip(id="x", frame=clip.frame, sound=b"OggS"),
            Clip(id="", frame=clip.frame, sound=clip.sound),
        ):
            with pytest.raises(UnreadableClip):
                writer.add(wrong)
        writer.add(clip)
    assert len(Store(tmp_path)) == 1


class Composed:
    """Clips that are made when asked for; number 2 cannot be."""

    ids = tuple(f"scene {n}" for n in range(5))

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        self.asked.append(index)
        if index == 2:
            raise UnreadableClip(self.ids[index], "its cut-out is gone")
        return made(index, self.ids[index]).decode()

    def sound(self, index: int) -> np.ndarray:
        return self[index].sound


@pytest.mark.parametrize("workers", [1, 3])
def test_write_store_skips_by_name_and_continues(tmp_path: Path, workers: int) -> None:
    told: list[tuple[object, ...]] = []
    clips = Composed()
    written = write_store(
        clips, tmp_path, clips_per_shard=2, workers=workers, progress=lambda *p: told.append(p)
    )
    assert (written.added, written.present) == (4, 0)
    assert [(one.id, one.reason) for one in written.unreadable] == [
        ("scene 2", "its cut-out is gone")
    ]
    assert told == [("importing", n, 5) for n in range(1, 6)]
    store = Store(tmp_path)
    assert store.ids == [clips.ids[n] for n in (0, 1, 3, 4)]
    assert store[2].label == clips[3].label
    assert np.array_equal(store[2].sound, clips[3].sound)
    clips.asked.clear()
    again = write_store(clips, tmp_path)
    assert (again.added, again.present, len(again.unreadable)) == (0, 4, 1)
    assert clips.asked == [2]


def test_a_store_copies_to_a_store_unchanged(tmp_path: Path) -> None:
    store = fill(tmp_path / "a", range(5))
    damaged = made(5)
    with StoreWriter(tmp_path / "a") as writer:
        writer.add(Clip(id="cut", frame=damaged.frame[:200], sound=damaged.sound))
    written = write_store(Store(tmp_path / "a"), tmp_path / "b")
    assert (written.added, [one.id for one in written.unreadable]) == (5, ["cut"])
    copy = Store(tmp_path / "b")
    assert [copy.clip(n) for n in range(5)] == [store.clip(n) for n in range(5)]


def test_an_import_writes_nothing_behind_the_links_of_a_store(tmp_path: Path) -> None:
    far, store = tmp_path / "far", tmp_path / "store"
    write_store(make_pairs(2), far / "old")
    (far / "note").write_text("kept")
    store.mkdir()
    (store / "clips-000000.tar").symlink_to(far / "old" / "clips-000000.tar")
    for name in ("clips-000000.index", "clips-000001.index", ".clips-000001.tar.1.part"):
        (store / name).symlink_to(far / "note")
    held = {path: path.read_bytes() for path in far.rglob("*") if path.is_file()}
    done = write_store(make_pairs(4), store)
    assert (done.present, done.added) == (4, 4)  # what lies behind the link is known
    assert len(Store(store)) == 8
    assert held == {path: path.read_bytes() for path in far.rglob("*") if path.is_file()}
    assert not (store / "clips-000001.tar").is_symlink()
    (store / ".writing").symlink_to(far / "note")
    with pytest.raises(HearsightError, match="Cannot write to"):
        write_store(make_pairs(6), store)
    assert (far / "note").read_text() == "kept"
