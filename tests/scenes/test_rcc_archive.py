"""Qt resource archives written by hand, in every format and packing, and hostile ones."""

import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress

import pytest

from hearsight.errors import HearsightError
from hearsight.scenes import rcc_archive
from hearsight.scenes.rcc_archive import COMPRESSED, COMPRESSED_ZSTD, FOLDER, RccArchive

FILES = {"a/b/cow.ogg": b"moo" * 400, "a/dog.ogg": b"", "top.txt": b"hello"}


def pack_zlib(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + zlib.compress(content)


def pack_zstd(content: bytes) -> bytes:
    import pyarrow

    return bytes(pyarrow.compress(content, codec="zstd", asbytes=True))


PACKINGS = {0: bytes, COMPRESSED: pack_zlib, COMPRESSED_ZSTD: pack_zstd}


def make_rcc(files: Mapping[str, bytes], version: int = 2, flags: int = 0) -> bytes:
    """An archive as Qt writes it: nodes of each folder together, the root first."""
    tree: dict[str, object] = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        inside = tree
        for folder in folders:
            inside = inside.setdefault(folder, {})  # type: ignore[assignment]
        inside[name] = content
    names, data = b"", b""
    nodes: list[bytes] = []
    time = bytes(8 if version > 1 else 0)
    queue: list[tuple[str, object]] = [("", tree)]
    first = 1
    for name, thing in queue:  # grows
        at = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if isinstance(thing, dict):
            nodes.append(struct.pack(">IHII", at, FOLDER, len(thing), first) + time)
            queue += sorted(thing.items())
            first += len(thing)
        else:
            assert isinstance(thing, bytes)
            nodes.append(struct.pack(">IHII", at, flags, 0, len(data)) + time)
            packed = PACKINGS[flags](thing)
            data += struct.pack(">I", len(packed)) + packed
    head = 24 if version > 2 else 20
    body = b"".join(nodes)
    offsets = (head, head + len(body), head + len(body) + len(data))
    more = bytes(4) if version > 2 else b""
    return b"qres" + struct.pack(">4I", version, *offsets) + more + body + data + names


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("flags", sorted(PACKINGS))
def test_files_are_read_whatever_their_format(version: int, flags: int) -> None:
    archive = RccArchive(make_rcc(FILES, version, flags), "made.rcc")
    assert set(archive) == set(FILES)
    assert dict(archive.read(FILES)) == FILES
    assert list(archive.read({"cow.ogg", "a/none"})) == []


@pytest.mark.parametrize("flags", sorted(PACKINGS))
def test_an_archive_cut_off_anywhere_is_refused(flags: int) -> None:
    whole = make_rcc(FILES, 2, flags)
    for length in range(len(whole)):
        with pytest.raises(HearsightError, match=r"'made\.rcc'"):
            dict(RccArchive(whole[:length], "made.rcc").read(FILES))


def test_any_changed_byte_gives_files_or_a_refusal() -> None:
    whole = make_rcc(FILES, 2, COMPRESSED)
    for at in range(len(whole)):
        for value in (0, 0x7F, 0xFF):
            changed = whole[:at] + bytes([value]) + whole[at + 1 :]
            with suppress(HearsightError):
                assert set(dict(RccArchive(changed, "x").read(FILES))) <= set(FILES)


def test_hostile_archives_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make_rcc(FILES)
    root = 20
    folder = root + 22  # the first node below the root, `a`
    assert whole[folder + 4 : folder + 6] == struct.pack(">H", FOLDER)
    itself = whole[: folder + 6] + struct.pack(">II", 1, 1) + whole[folder + 14 :]
    with pytest.raises(HearsightError, match="hold one another"):
        RccArchive(itself, "x")
    many = whole[:root] + struct.pack(">IHII", 0, FOLDER, 2**31, 1) + whole[root + 14 :]
    with pytest.raises(HearsightError, match="hold one another"):
        RccArchive(many, "x")
    with pytest.raises(HearsightError, match="its root is no folder"):
        RccArchive(whole[:root] + struct.pack(">IHII", 0, 0, 1, 0) + whole[root + 14 :], "x")
    for name in ("..", "."):
        with pytest.raises(HearsightError, match="empty or a path"):
            RccArchive(make_rcc({f"{name}/up": b""}), "x")
    with pytest.raises(HearsightError, match="unknown format 4"):
        RccArchive(whole[:4] + struct.pack(">I", 4) + whole[8:], "x")
    with pytest.raises(HearsightError, match="not a Qt resource archive"):
        RccArchive(b"RIFF" + whole[4:], "x")
    monkeypatch.setattr(rcc_archive, "LARGEST", 1000)
    for flags in (COMPRESSED, COMPRESSED_ZSTD):
        with pytest.raises(HearsightError, match="larger than 1,000 bytes"):
            dict(RccArchive(make_rcc({"a": bytes(1001)}, 2, flags), "x").read({"a"}))


def test_a_size_that_is_not_kept_is_refused() -> None:
    whole = make_rcc({"a": b"x" * 50}, 2, COMPRESSED)
    at = whole.index(struct.pack(">I", 50))
    for size in (49, 51):
        lying = whole[:at] + struct.pack(">I", size) + whole[at + 4 :]
        with pytest.raises(HearsightError, match="another size than it says"):
            dict(RccArchive(lying, "x").read({"a"}))
