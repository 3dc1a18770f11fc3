"""Qt resource archives (.rcc): files by name, from bytes, without Qt.

An archive is a header, a tree of nodes, their names in UTF-16, and the files, plain or compressed.
All numbers are big-endian. Every offset is checked against the size of the archive, and every file
against `LARGEST` before it is unpacked. Source: `qresource.cpp` of Qt, formats 1 to 3.
"""

import struct
import zlib
from collections.abc import Collection, Iterator
from io import BytesIO

from hearsight.errors import HearsightError, needs

MAGIC = b"qres"
COMPRESSED, FOLDER, COMPRESSED_ZSTD = 1, 2, 4  # flags of a node
NODE_SIZES = {1: 14, 2: 22, 3: 22}  # bytes of a node by format; from 2 on it ends with a time
LARGEST = 2**26  # bytes of one file that is unpacked
MOST_NODES = 100_000
DEEPEST = 64  # folders within folders


class RccArchive:
    """The files of an archive, by their paths without a leading slash."""

    def __init__(self, content: bytes, name: str) -> None:
        """Read the tree of an archive.

        Args:
            content: the whole archive.
            name: for messages.

        Raises:
            HearsightError: no Qt resource archive, one of an unknown format, or a damaged one.
        """
        self.content, self.name = content, name
        if not content.startswith(MAGIC):
            raise HearsightError(f"'{name}' is not a Qt resource archive.")
        version, tree, self._data, names = self._numbers(">4I", len(MAGIC))
        if version not in NODE_SIZES:
            raise HearsightError(f"'{name}' is a Qt resource archive of unknown format {version}.")
        self._tree, self._names, self._node_size = tree, names, NODE_SIZES[version]
        self._files = dict(self._walk())

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted files that are there as (path, content), in the order of the archive.

        Raises:
            HearsightError: a file is damaged, or larger than `LARGEST`.
        """
        for path, (flags, offset) in self._files.items():
            if path in wanted:
                yield path, self._unpack(path, flags, offset)

    def _walk(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Every file as (path, (flags, offset of its data)), folders from the root on."""
        folders: list[tuple[str, int, int, int]] = [("", 0, 1, 0)]  # path, first node, nodes, depth
        seen = 0
        while folders:
            above, first, count, depth = folders.pop()
            seen += count
            if seen > MOST_NODES or depth > DEEPEST:
                raise self._damage("its folders hold one another")
            for number in range(first, first + count):
                at = self._tree + number * self._node_size
                name_at, flags, one, two = self._numbers(">IHII", at)
                is_root = depth == 0
                path = "" if is_root else above + self._name(name_at)
                if flags & FOLDER:  # `one` is the number of nodes in it, `two` the first of them
                    folders.append((path and path + "/", two, one, depth + 1))
                elif is_root:
                    raise self._damage("its root is no folder")
                else:  # `one` is country and language
                    yield path, (flags, two)

    def _name(self, offset: int) -> str:
        """A name, by its offset in the table of names."""
        (length,) = self._numbers(">H", self._names + offset)  # then a hash of 4 bytes
        start = self._names + offset + 6
        try:
            name = self._part(start, 2 * length).decode("utf-16-be")
        except UnicodeDecodeError as error:
            raise self._damage("a name is no text") from error
        if not name or "/" in name or name in (".", ".."):
            raise self._damage("a name is empty or a path")
        return name

    def _unpack(self, path: str, flags: int, offset: int) -> bytes:
        """The content of a file."""
        start = self._data + offset
        (size,) = self._numbers(">I", start)
        packed = self._part(start + 4, size)
        if flags & COMPRESSED_ZSTD:
            return self._unpack_zstd(path, packed)
        if not flags & COMPRESSED:
            return packed
        if size < 4:
            raise self._damage(f"'{path}' is cut off")
        (whole,) = struct.unpack(">I", packed[:4])  # qCompress writes the size in front
        if whole > LARGEST:
            raise self._damage(f"'{path}' is larger than {LARGEST:,} bytes")
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(packed[4:], whole + 1)
        except zlib.error as error:
            raise self._damage(f"'{path}' cannot be unpacked") from error
        if len(content) != whole or not unpacker.eof:
            raise self._damage(f"'{path}' has another size than it says")
        return content

    def _unpack_zstd(self, path: str, packed: bytes) -> bytes:
        with needs("report", f"The file '{path}' of '{self.name}'"):
            import pyarrow  # type: ignore[import-untyped]
        try:
            with pyarrow.CompressedInputStream(BytesIO(packed), "zstd") as plain:
                content = bytes(plain.read(LARGEST + 1))
        except (OSError, ValueError) as error:
            raise self._damage(f"'{path}' cannot be unpacked") from error
        if len(content) > LARGEST:
            raise self._damage(f"'{path}' is larger than {LARGEST:,} bytes")
        return content

    def _numbers(self, form: str, start: int) -> tuple[int, ...]:
        return struct.unpack(form, self._part(start, struct.calcsize(form)))

    def _part(self, start: int, size: int) -> bytes:
        """Bytes of the archive, which must lie within it."""
        if start + size > len(self.content):
            raise self._damage("it is cut off, or an offset leads beyond its end")
        return self.content[start : start + size]

    def _damage(self, why: str) -> HearsightError:
        return HearsightError(f"'{self.name}' is a damaged Qt resource archive: {why}.")
