"""Stores: read at random, made anew where damaged, named where lost."""

import json
import multiprocessing
import pickle
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_clips import fill, made

from hearsight.clips.clip import Clip, Clips, StoredClips, UnreadableClip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    store = fill(tmp_path / "deep" / "store", range(10))
    assert isinstance(store, StoredClips)
    assert store.ids == [f"clip {n}" for n in range(10)]
    for number in (7, 0, 9, -1, 3):
        assert store.clip(number) == made(number % 10)
        decoded = store[number]
        assert np.array_equal(decoded.sound, store.sound(number))
        assert np.array_equal(decoded.frame, made(number % 10).decode().frame)
    names = sorted(path.name for path in store.folder.iterdir())
    assert names == [f"clips-00000{n}.{end}" for n in range(3) for end in ("index", "tar")]


def test_a_shard_made_by_webdataset_is_read(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    clip = made(1)
    with webdataset.TarWriter(str(tmp_path / "others.tar")) as writer:
        writer.write({"__key__": "dir/one", "jpg": clip.frame, "flac": clip.sound})
        writer.write({"__key__": "two", "jpg": clip.frame, "json": {"label": "cat"}})
        writer.write({"__key__": "three", "flac": clip.sound, "txt": b"hello"})
        writer.write({"__key__": "four", "jpg": clip.frame, "flac": clip.sound, "json": [1]})
    store = Store(tmp_path)
    assert store.ids == ["dir/one", "two", "three", "four"]
    assert store[0].id == "dir/one"
    for number, words in ((1, "no sound"), (2, "no frame"), (3, "json")):
        with pytest.raises(UnreadableClip, match=words):
            store[number]
    assert len(store.sound(2)) == 200
    with pytest.raises(UnreadableClip, match="two"):
        store.sound(1)


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(HearsightError, match="Cannot write"):
            StoreWriter(folder)
        with pytest.raises(HearsightError, match="no folder"):
            Store(folder)
    with pytest.raises(HearsightError, match="no folder"):
        Store(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(HearsightError, match="no shards"):
        Store(tmp_path / "empty")
    with tarfile.open(tmp_path / "empty" / "a.tar", "w"):
        pass
    with pytest.raises(HearsightError, match="no clips"):
        Store(tmp_path / "empty")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"version": 1}',
        b'{"version": 2, "bytes": SIZE, "ids": [], "places": []}',
        b'{"version": 1, "bytes": 7, "ids": ["a"], "places": [[[0,1],[0,1],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": ["a"], "places": [[[0,1],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": [5], "places": [[[0,1],[0,1],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": ["a"], "places": [[[0,1],[-5,1],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": ["a"], "places": [[[0,1],[0,1e9],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": ["a"], "places": [[[0,1],[0,1e99],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": ["a"], "places": [[[0,1],[HALF,HALF],[0,1],[0,1]]]}',
        b'{"version": 1, "bytes": SIZE, "ids": "a", "places": [[[0,1],[0,1],[0,1],[0,1]]]}',
    ],
)
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    fill(tmp_path, range(4))
    index = tmp_path / "clips-000000.index"
    whole = index.read_bytes()
    size = (tmp_path / "clips-000000.tar").stat().st_size
    damage = damage.replace(b"HALF", b"%d" % (1 << 62))  # two halves are more than 63 bits hold
    index.write_bytes(damage.replace(b"SIZE", str(size).encode()))
    store = Store(tmp_path)
    assert [store.clip(n) for n in range(4)] == [made(n) for n in range(4)]
    assert index.read_bytes() == whole


def test_a_missing_index_is_made_anew_even_where_it_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, range(4))
    index = tmp_path / "clips-000000.index"
    index.unlink()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hearsight.clips.shards.write_index", refuse)
    assert Store(tmp_path).clip(3) == made(3)
    assert not index.exists()


def test_an_index_of_another_shard_is_found_out(tmp_path: Path) -> None:
    """The same sizes, other clips: only the clips themselves can tell."""
    for name, ids in (("a", "pq"), ("b", "rs")):
        with StoreWriter(tmp_path / name) as writer:
            for id in ids:
                writer.add(made(1, id))
    index = tmp_path / "a" / "clips-000000.index"
    index.replace(tmp_path / "b" / "clips-000000.index")
    with pytest.raises(UnreadableClip, match="another clip"):
        Store(tmp_path / "b")[0]


@pytest.mark.parametrize("keep_index", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.93])
def test_a_truncated_shard_is_named(tmp_path: Path, share: float, keep_index: bool) -> None:
    fill(tmp_path, range(4))
    shard = tmp_path / "clips-000000.tar"
    whole = shard.read_bytes()
    places = json.loads(shard.with_suffix(".index").read_bytes())["places"]
    end = places[-1][2][0] + 512
    shard.write_bytes(whole[: int(end * share)])
    if not keep_index:
        shard.with_suffix(".index").unlink()
    with pytest.raises(HearsightError, match=r"clips-000000\.tar.*(truncated|damaged)"):
        Store(tmp_path)


def test_a_shard_cut_between_two_clips_is_named(tmp_path: Path) -> None:
    """There the tar library sees nothing amiss."""
    fill(tmp_path, range(4))
    shard = tmp_path / "clips-000000.tar"
    third = json.loads(shard.with_suffix(".index").read_bytes())["places"][2][0][0] - 512
    shard.write_bytes(shard.read_bytes()[:third])
    with pytest.raises(HearsightError, match=r"clips-000000\.tar.*truncated"):
        Store(tmp_path)


def test_a_damaged_header_in_the_middle_is_named(tmp_path: Path) -> None:
    fill(tmp_path, range(4))
    shard = tmp_path / "clips-000000.tar"
    index = shard.with_suffix(".index")
    third = json.loads(index.read_bytes())["places"][2][0][0] - 512
    damaged = bytearray(shard.read_bytes())
    damaged[third + 150] ^= 1
    shard.write_bytes(damaged)
    index.unlink()
    with pytest.raises(HearsightError, match=r"clips-000000\.tar.*damaged"):
        Store(tmp_path)


def test_a_text_file_named_tar_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.tar").write_text("hello" * 300)
    with pytest.raises(HearsightError, match=r"notes\.tar"):
        Store(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        {"GNU.sparse.size": "many"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
        {"GNU.sparse.map": "a,b"},
        {"size": "-7"},
        {"size": "-2048"},
        {"size": "9" * 40},
    ],
)
def test_a_shard_with_numbers_that_are_none_is_named(
    tmp_path: Path, header: dict[str, str]
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("k.jpg")
        member.size, member.pax_headers = 4, header
        tar.addfile(member, BytesIO(b"jpeg"))
    with pytest.raises(HearsightError, match=r"a\.tar' is not a whole tar file|cannot be read"):
        Store(tmp_path)[0]


def test_a_shard_cut_or_gone_after_opening_spares_the_other_clips(tmp_path: Path) -> None:
    store = fill(tmp_path, range(8))
    (tmp_path / "clips-000000.tar").write_bytes(b"")
    with pytest.raises(UnreadableClip, match=r"clips-000000\.tar' is truncated"):
        store[0]
    (tmp_path / "clips-000001.tar").unlink()
    with pytest.raises(UnreadableClip, match=r"clips-000001\.tar.*No such file"):
        store.sound(5)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (b"{", "json|delimiter|Expecting"),
        (b'{"id": "other"}', "another clip"),
        (b'{"label": 5}', "label"),
        (b'{"time": "now"}', "time"),
        (b'{"boxes": [[1, 2, 3]]}', "boxes"),
        (b'{"boxes": [["a", 2, 3, 4]]}', "boxes"),
        (b'{"boxes": [5]}', "box"),
        (b'{"boxes": 5}', "box"),
    ],
)
def test_hostile_facts_are_reported(tmp_path: Path, facts: bytes, words: str) -> None:
    webdataset = pytest.importorskip("webdataset")
    clip = made(1)
    with webdataset.TarWriter(str(tmp_path / "a.tar"), encoder=False) as writer:
        writer.write({"__key__": "k", "jpg": clip.frame, "flac": clip.sound, "json": facts})
    store = Store(tmp_path)
    if store.ids == ["other"]:
        assert store[0].id == "other"
        return
    with pytest.raises(UnreadableClip, match=words):
        store[0]


def test_a_clip_of_another_rate_is_reported_by_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(100), 44_100, subtype="PCM_16")
    with StoreWriter(tmp_path) as writer:
        writer.add(Clip(id="x", frame=made(0).frame, sound=path.read_bytes()))
    for read in (Store(tmp_path).__getitem__, Store(tmp_path).sound):
        with pytest.raises(UnreadableClip, match=f"44100 Hz, a clip needs {RATE} Hz"):
            read(0)


def test_a_clip_twice_in_foreign_shards_counts_once(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / name, range(3))
        (tmp_path / name / "clips-000000.tar").rename(tmp_path / f"{name}.tar")
    store = Store(tmp_path)
    assert store.ids == store.repeated == ["clip 0", "clip 1", "clip 2"]


def _sums(store: Clips, indices: list[int]) -> list[int]:
    return [int(store[n].frame.sum()) + int(store.sound(n).sum()) for n in indices]


@pytest.fixture
def shuffled(tmp_path: Path) -> tuple[Store, list[list[int]], list[list[int]]]:
    """A store, four different orders of its clips, and the sums to expect."""
    store = fill(tmp_path, range(40))
    expected = {n: _sums(store, [n])[0] for n in range(40)}
    orders = [random.Random(seed).sample(range(40), 40) * 3 for seed in range(4)]
    return store, orders, [[expected[n] for n in order] for order in orders]


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_many_processes_read_at_random(
    start: str, shuffled: tuple[Store, list[list[int]], list[list[int]]]
) -> None:
    store, orders, expected = shuffled
    with multiprocessing.get_context(start).Pool(2) as pool:
        assert pool.starmap(_sums, [(store, order) for order in orders]) == expected


def test_many_threads_read_at_random(
    shuffled: tuple[Store, list[list[int]], list[list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, orders, expected = shuffled
    monkeypatch.setattr("hearsight.clips.shards.MOST_OPEN", 2)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_sums, [store] * 4, orders)) == expected


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_more_files_are_open_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearsight.clips.shards.MOST_OPEN", 3)
    store = fill(tmp_path, range(40), clips_per_shard=2)
    before = open_files()
    _sums(store, list(range(40)))
    assert open_files() <= before + 3
    copy = pickle.loads(pickle.dumps(store))
    assert copy.clip(39) == made(39)
    del store, copy
    assert open_files() <= before


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_data_loader_workers_read_at_random(tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    store = fill(tmp_path, range(24))
    store[0]
    loader = DataLoader(store, batch_size=4, shuffle=True, num_workers=2, collate_fn=list)
    read = {clip.id: clip for batch in loader for clip in batch}
    assert sorted(read) == sorted(store.ids)
    for number, id in enumerate(store.ids):
        assert np.array_equal(read[id].frame, store[number].frame)
