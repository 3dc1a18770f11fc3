"""Clips on disk: tar shards as `webdataset` reads them, with an index for reading at random.

A store is a folder of `clips-000000.tar`, `clips-000000.index`, ... Each clip is three to five
consecutive files of one shard: `KEY.jpg` (or webp, png), `KEY.flac` (or wav), `KEY.json` with
its metadata, `KEY.mask.png`, and `KEY.truth.json` of a frame with exact masks (`masked_store`). The
key is the id made safe for tar and webdataset, which split names at the first dot; the id itself is
in the json. The index holds byte offsets only and is rebuilt from its shard whenever it is missing
or does not fit.
"""

import json
import os
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Int16, Int64

from hearsight.clips.clip import Box, Clip, DecodedClip, UnreadableClip
from hearsight.clips.fingerprint import bytes_fingerprint
from hearsight.errors import HearsightError
from hearsight.files.output import temporary_beside
from hearsight.files.text import parse_json
from hearsight.files.walk import check_there
from hearsight.media.sound_file import decode_sound_file

INDEX_VERSION = 2  # version 1 has no column TRUTH, and its shards no such file
MOST_OPEN = 256  # shards that a process keeps open; many systems allow 1,024 files
PARTS = {  # file suffix -> column of the index
    "jpg": 0,
    "jpeg": 0,
    "png": 0,
    "webp": 0,
    "flac": 1,
    "wav": 1,
    "json": 2,
    "mask.png": 3,
    "truth.json": 4,
}
FRAME, SOUND, FACTS, MASK, TRUTH = range(5)
COLUMNS = 5


def shard_key(id: str) -> str:
    """The name of a clip's files: letters, digits, `_`, `-`, and `%XX` for every other byte.

    Different ids have different keys. A key too long for a plain tar name is cut and ends in a
    digest of the id.
    """
    key = quote(id.encode("utf-8", "surrogatepass"), safe="").replace(".", "%2E")
    key = key.replace("~", "%7E")
    if len(key) <= 80:
        return key
    return f"{key[:40]}~{sha256(key.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndex:
    """Byte offsets of the files of each clip in one shard, in columns FRAME to TRUTH.

    places: offset and length in bytes; length 0 where a clip has no such file.
    """

    ids: list[str]
    places: Int64[np.ndarray, "clips 5 2"]


def read_index(shard: Path) -> ShardIndex:
    """The index of a shard, from its index file or else rebuilt (and saved, if the store allows).

    Raises:
        HearsightError: the shard is truncated, damaged or cannot be read.
    """
    path = shard.with_suffix(".index")
    try:
        size = shard.stat().st_size
        index = _load_index(path, size)
        if index is not None:
            return index
        index = scan_shard(shard)
    except OSError as error:
        raise HearsightError(f"'{shard}' cannot be read: {error.strerror}.") from error
    with suppress(OSError):  # of a read-only store the new index stays in memory
        write_index(path, index, size)
    return index


def _load_index(path: Path, size: int) -> ShardIndex | None:
    """The index in a file; None if it is missing, damaged or of a shard of another size."""
    try:
        held = parse_json(path.read_bytes())
        if held["version"] not in (1, INDEX_VERSION) or held["bytes"] != size:
            return None
        ids, places = held["ids"], np.array(held["places"], dtype=np.int64)
        if held["version"] == 1:
            places = np.pad(places, ((0, 0), (0, 1), (0, 0)))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    listed = isinstance(ids, list) and all(isinstance(id, str) for id in ids)
    if not listed or places.shape != (len(ids), COLUMNS, 2):
        return None
    if ((places < 0) | (places > size)).any() or (places.sum(axis=2) > size).any():
        return None  # the first also lest the sum overflow
    return ShardIndex(ids=ids, places=places)


def write_index(path: Path, index: ShardIndex, size: int) -> None:
    """Write the index of a shard of `size` bytes."""
    held = {
        "version": INDEX_VERSION,
        "bytes": size,
        "ids": index.ids,
        "places": index.places.tolist(),
    }
    with temporary_beside(path) as part:
        part.write_text(json.dumps(held))


def scan_shard(shard: Path) -> ShardIndex:
    """Rebuild the index of a shard from its tar headers and json files.

    Raises:
        HearsightError: the shard is not a complete tar file.
    """
    found: dict[str, dict[int, tuple[int, int]]] = {}
    ids: dict[str, str] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if member.size < 0:  # what is behind it would be read again and again
                    raise tarfile.ReadError("a file of a negative size")
                folder, slash, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                column = PARTS.get(suffix.lower())
                if column is None or not member.isreg():
                    continue
                key = folder + slash + stem
                found.setdefault(key, {})[column] = (member.offset_data, member.size)
                if column == FACTS and (file := tar.extractfile(member)):
                    ids[key] = _id_in(file.read(), key)
            _check_end(shard, tar.offset)
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the last two of pax headers
        raise HearsightError(
            f"'{shard}' is not a whole tar file ({error}): it is truncated or damaged."
        ) from error
    places = np.zeros((len(found), COLUMNS, 2), dtype=np.int64)
    for row, columns in enumerate(found.values()):
        for column, place in columns.items():
            places[row, column] = place
    return ShardIndex(ids=[ids.get(key, key) for key in found], places=places)


def _check_end(shard: Path, offset: int) -> None:
    """Check that a tar file ends in a block of zeros: tarfile takes truncation for the end."""
    with shard.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise HearsightError(
                f"'{shard}' is not a whole tar file: it is truncated or damaged at byte {offset:,}."
            )


def _id_in(facts: bytes, key: str) -> str:
    """The id in a clip's json; the key if there is none."""
    try:
        held = parse_json(facts)
    except ValueError:
        return key
    id = held.get("id") if isinstance(held, dict) else None
    return id if isinstance(id, str) and id else key


def encode_facts(clip: Clip, fingerprint: str = "") -> bytes:
    """The json of a clip: its id, and label, boxes, source, time and fingerprint if known."""
    known = {"label": clip.label, "boxes": clip.boxes, "source": clip.source, "time": clip.time}
    known["fingerprint"] = fingerprint
    facts = {key: value for key, value in known.items() if value not in (None, "")}
    return json.dumps({"id": clip.id, **facts}).encode()


def decode_facts(facts: bytes, id: str) -> dict[str, Any]:
    """Label, boxes, source and time in a clip's json; raises ValueError if not of clip `id`."""
    held = parse_json(facts) if facts else {}
    if not isinstance(held, dict) or held.get("id", id) != id:
        raise ValueError("its json is that of another clip; delete the .index files to renew them")
    label, source, time = held.get("label"), held.get("source", ""), held.get("time")
    if not isinstance(label, str | None) or not isinstance(source, str):
        raise ValueError("its json has a label or source that is no text")
    if not isinstance(time, int | float | None):
        raise ValueError("its json has a time that is no number")
    return {"label": label, "boxes": _boxes(held.get("boxes")), "source": source, "time": time}


def _box(held: Any) -> Box:
    x0, y0, x1, y1 = (value + 0.0 for value in held)
    return (x0, y0, x1, y1)


def _boxes(held: Any) -> tuple[Box, ...] | None:
    try:
        return None if held is None else tuple(_box(box) for box in held)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("its json has boxes that are not four numbers each") from error


def find_shards(folder: Path) -> list[Path]:
    """The shards of a store in order; raises HearsightError if there are none."""
    check_there(folder)
    shards = sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))
    if not shards:
        raise HearsightError(f"'{folder}' holds no shards (*.tar).")
    return shards


class _OpenShard:
    """A shard open for reading, closed when it is garbage collected."""

    descriptor = -1

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class Store:
    """The clips of a folder of shards, with random access from any process or thread.

    Files are opened at the first read and read by `pread`, so no file position is shared: a store
    may be forked or pickled to any number of workers. Of clips with the same id the first counts;
    `repeated` holds the ids of those left out.

    Raises:
        HearsightError: no such folder, no shards in it, or a shard that is truncated.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.ids: list[str] = []
        self.repeated: list[str] = []
        self._open: dict[int, _OpenShard] = {}
        self._shards = find_shards(self.folder)
        seen: set[str] = set()
        places, shards = [], []
        for number, shard in enumerate(self._shards):
            index = read_index(shard)
            rows = []
            for row, id in enumerate(index.ids):
                (self.repeated if id in seen else self.ids).append(id)
                if id not in seen:
                    rows.append(row)
                seen.add(id)
            places.append(index.places[rows])
            shards.append(np.full(len(rows), number))
        if not self.ids:
            raise HearsightError(f"The shards in '{self.folder}' hold no clips.")
        self._places, self._shard_of = np.concatenate(places), np.concatenate(shards)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        return self.clip(index).decode()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def clip(self, index: int) -> Clip:
        """The clip at `index`, still encoded.

        Raises:
            UnreadableClip: its files are missing, or the shard was changed or cut since.
        """
        id, places, number = self._place(index)
        there = places[places[:, 1] > 0]
        if not len(there):
            raise UnreadableClip(id, f"'{self._shards[number]}' holds no file of it")
        start = int(there[:, 0].min())
        block = self._read(id, number, start, int(there.sum(axis=1).max()) - start)
        files = [block[at - start : at - start + size] for at, size in places.tolist()]
        for column, name in ((FRAME, "frame"), (SOUND, "sound")):
            if not files[column]:
                raise UnreadableClip(id, f"'{self._shards[number]}' holds no {name} of it")
        try:
            facts = decode_facts(files[FACTS], id)
        except ValueError as error:
            raise UnreadableClip(id, str(error)) from error
        mask, truth = (files[column] or None for column in (MASK, TRUTH))
        return Clip(id=id, frame=files[FRAME], sound=files[SOUND], mask=mask, truth=truth, **facts)

    def file(self, index: int, column: int) -> bytes:
        """One of the files of the clip at `index`, empty if it has none; raises UnreadableClip."""
        id, places, number = self._place(index)
        return self._read(id, number, *places[column].tolist())

    def holds(self, column: int) -> bool:
        """Whether any clip has a file of that column."""
        return bool(self._places[:, column, 1].any())

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        id = self.ids[index]
        try:
            facts = decode_facts(self.file(index, FACTS), id)
        except ValueError as error:
            raise UnreadableClip(id, str(error)) from error
        return facts["label"], facts["boxes"]

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        try:
            return decode_sound_file(self.file(index, SOUND), stored=True)
        except ValueError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error

    def fingerprint(self, index: int) -> str:
        """The fingerprint in the clip's json; without one that of the clip's own bytes."""
        try:
            facts = self.file(index, FACTS)
            known = parse_json(facts).get("fingerprint") if facts else None
        except (ValueError, AttributeError) as error:
            raise UnreadableClip(self.ids[index], "its json is damaged") from error
        if isinstance(known, str) and known:
            return known
        clip = self.clip(index)
        return bytes_fingerprint(clip.frame, clip.sound)

    def _place(self, index: int) -> tuple[str, Int64[np.ndarray, "5 2"], int]:
        return self.ids[index], self._places[index], int(self._shard_of[index])

    def _read(self, id: str, number: int, offset: int, size: int) -> bytes:
        shard = self._open.get(number)
        try:
            if shard is None:
                if len(self._open) >= MOST_OPEN:
                    self._open.clear()
                shard = self._open[number] = _OpenShard(self._shards[number])
            block = os.pread(shard.descriptor, size, offset)
        except OSError as error:
            raise UnreadableClip(id, f"'{self._shards[number]}': {error.strerror}") from error
        if len(block) < size:
            raise UnreadableClip(id, f"'{self._shards[number]}' is truncated")
        return block
