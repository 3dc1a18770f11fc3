"""Directories of tags, in TIFF files and EXIF data, without the entries that are not whole.

Pillow leaves out such entries, and some behind them, and warns of it in words of its own. Here they
are said to be of no kind, which it passes over in silence. (To hold the warnings back would take a
change of filters that all threads of the caller share.)

Layout: "TIFF Revision 6.0" (Adobe, 1992), section 2; BigTIFF as libtiff has it; EXIF data in JPEG:
JEITA CP-3451, 4.7.2.
"""

import re
import struct
from collections.abc import Sequence
from io import SEEK_END, BufferedReader, BytesIO
from typing import NamedTuple, TypeAlias

PictureFile: TypeAlias = BufferedReader | BytesIO

TIFF = {b"II*\0": "<", b"II\0*": "<", b"II+\0": "<", b"MM\0*": ">", b"MM*\0": ">", b"MM\0+": ">"}
BIG = 43  # third byte of a BigTIFF file that Pillow reads, whose lowest byte comes first
# bytes of a value, by the number of its kind; Pillow passes over others
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
NO_KIND = bytes(2)
LAST = bytes(8)  # says behind a directory that none follows; in TIFF the half is enough
JPEG = b"\xff\xd8"
EXIF_PART, SCAN, END = 0xE1, 0xDA, 0xD9  # parts of JPEG; behind the last two there is no EXIF data
MARK = re.compile(b"(?:Exif\0\0){1,2}")  # some programs write it twice
LONGEST = 65_533  # bytes of a part of JPEG


class Change(NamedTuple):
    """Bytes to be written in place of those between two places."""

    begin: int
    end: int
    written: bytes


def whole_tags(file: PictureFile) -> PictureFile:
    """A picture file at its start, or a copy in memory without the tags that are not whole.

    file: at any place; TIFF and JPEG are looked into.

    Raises:
        ValueError: it is a TIFF file whose directory of tags is not there.
    """
    file.seek(0)
    head = file.read(4)
    size = file.seek(0, SEEK_END)
    changes: Sequence[Change] | None = []
    if head in TIFF:
        changes = _changes(file, 0, size)
        if changes is None:
            raise ValueError("its directory of tags is cut off")
    elif head[:2] == JPEG:
        changes = _changes_of_jpeg(file, size)
    file.seek(0)
    return BytesIO(_changed(file.read(), changes)) if changes else file


def whole_exif(exif: bytes) -> bytes | None:
    """EXIF data without the tags that are not whole: the same if all are.

    None if no directory is there.
    """
    marked = MARK.match(exif)
    changes = _changes(BytesIO(exif), 0 if marked is None else marked.end(), len(exif))
    return None if changes is None else _changed(exif, changes)


def _changed(content: bytes, changes: Sequence[Change]) -> bytes:
    changed = bytearray(content)
    for begin, end, written in sorted(changes, reverse=True):
        changed[begin:end] = written
    return bytes(changed)


def _changes_of_jpeg(file: PictureFile, size: int) -> list[Change]:
    """What makes the EXIF data of a JPEG file of `size` bytes whole; they go if none is there."""
    changes = []
    place = len(JPEG)
    while place + 4 <= size:
        file.seek(place)
        first, kind, length = struct.unpack(">BBH", file.read(4))
        if first != 0xFF or kind in (SCAN, END):
            break
        end = place + 2 + length
        if kind == EXIF_PART:
            exif = file.read(max(0, length - 2))
            whole = whole_exif(exif) if MARK.match(exif) else exif
            if whole is None:
                changes.append(Change(place, end, b""))
            elif whole != exif:
                whole = whole[:LONGEST]
                head = struct.pack(">BBH", first, kind, len(whole) + 2)
                changes.append(Change(place, end, head + whole))
        place = end
    return changes


def _changes(file: PictureFile, begin: int, end: int) -> list[Change] | None:
    """What makes the first directory of tags a whole one; None if it is not there.

    Args:
        file: holds it.
        begin: byte at which the data begin, from which places are counted.
        end: byte behind the last.
    """
    file.seek(begin)
    head = file.read(min(16, end - begin))
    big = head[2:3] == bytes([BIG])
    if head[:4] not in TIFF or len(head) < (16 if big else 8):
        return []
    forms = ("Q", "HHQ8s", "Q") if big else ("H", "HHL4s", "L")
    number, entry, word = (struct.Struct(TIFF[head[:4]] + form) for form in forms)
    (first,) = word.unpack_from(head, 8 if big else 4)
    entries = begin + first + number.size
    if entries > end:
        return None
    file.seek(begin + first)
    (count,) = number.unpack(file.read(number.size))
    whole = min(count, (end - entries) // entry.size)
    changes = []
    if whole < count:
        changes.append(Change(begin + first, entries, number.pack(whole)))
    if entries + whole * entry.size + word.size > end:
        changes.append(Change(end, end, LAST))
    taken = 0
    for at in range(entries, entries + whole * entry.size, entry.size):
        file.seek(at)
        _, kind, values, held = entry.unpack(file.read(entry.size))
        size = values * WIDTHS.get(kind, 0)
        if size <= len(held):
            continue
        (where,) = word.unpack(held)
        if begin + where + size > end or taken + size > end - begin:
            changes.append(Change(at + 2, at + 4, NO_KIND))
        else:
            taken += size
    return changes
