"""Heads of WAV and CAF files that FFmpeg takes wrongly, and what is right of them.

A program that writes to a pipe cannot go back to state the size: it leaves 0 or the largest number.
Readers then take all that follows for sound, also chunks that the program has appended. A chain of
chunks of known names that ends exactly where the file ends is told from sound by that: 8 bytes or
more would have to agree by chance.

Of samples that are stored in more bytes than they fill, 24 bits in 4 bytes, FFmpeg takes the bytes
that are filled for the bytes that are stored, and noise comes out.

A chunk of odd size is to be followed by a byte of padding. Some programs forget it, and all chunks
after that, the sound too, are then looked for a byte too late.

ALAC in CAF whose last packet is full is told by libsndfile to have all of that packet filled up.
FFmpeg refuses such a file.

Layout: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991),
"Multiple channel audio data and WAVE files" (Microsoft, 2001), EBU Tech 3306 (RF64, 2007), and
"Apple Core Audio Format Specification" (2011).
"""

import struct
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

ENDLESS = 0xFFFFFFFF  # bytes, as a head says it that does not know
UNKNOWN_LENGTH = 0x7FFF0000  # bytes; a head that says more was written to a pipe
NAMES = "LIST id3  ID3  bext iXML cue  smpl inst JUNK junk _PMX PAD  PEAK fact DISP acid axml chna"
APPENDED = tuple(NAMES[place : place + 4].encode() for place in range(0, len(NAMES), 5))
FIRST = (b"fmt ", b"data", *APPENDED)
EXTENSIBLE, PCM = 0xFFFE, 1  # forms of samples
RF64 = b"RF64"  # begins a WAV file whose sizes, of 64 bits, stand in a chunk `ds64`
SEARCHED = 1 << 26  # bytes at the end in which appended chunks are looked for
VAIN, LEADS = 1, 2


class WideSamples(NamedTuple):
    """Where the samples of a WAV file lie that are stored in more bytes than they fill."""

    begin: int  # byte
    end: int  # byte after the last
    width: int  # bytes a sample takes, 2 to 4
    rate: int  # hertz
    channels: int


class NewHead(NamedTuple):
    """What is to stand before a part of a file, as its own head is wrong."""

    head: bytes
    begin: int  # byte of the file at which the part begins
    end: int  # byte after its last


class Spliced(RawIOBase):
    """A file read as if other bytes stood before a part of it."""

    def __init__(self, path: Path, spliced: NewHead) -> None:
        self._file, self._spliced, self._place = path.open("rb"), spliced, 0

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        head, begin, end = self._spliced
        length = len(head) + end - begin
        self._place = max(
            0, offset + {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: length}[whence]
        )
        return self._place

    def readinto(self, buffer: Any) -> int:
        head, begin, end = self._spliced
        place, wanted = self._place, len(buffer)
        if place < len(head):
            found = head[place : place + wanted]
        else:
            self._file.seek(begin + place - len(head))
            found = self._file.read(max(0, min(wanted, end - self._file.tell())))
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)


def sound_in(path: Path) -> int | WideSamples | NewHead | None:
    """The byte at which the sound of a WAV file of unknown size ends, or what else was mistaken.

    None: FFmpeg reads the file rightly.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"caff":
            with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                return _full_last_packet(content)
        if not (_is_wav(head) or (head[:4] == RF64 and head[8:] == b"WAVE")):
            return None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return _wide_samples(content) or _unpadded(content) or end_in(content)


def _wide_samples(content: bytes | mmap) -> WideSamples | None:
    form, data = chunk_in(content, b"fmt "), chunk_in(content, b"data")
    if form is None or data is None or _size(content, form) < 40 or form + 48 > len(content):
        return None
    head = struct.unpack_from("<HHIIHHHHIH", content, form + 8)
    tag, channels, rate, _, block, _, _, bits, _, kind = head
    width = block // max(channels, 1)
    if (tag, kind) != (EXTENSIBLE, PCM) or not 0 < (bits + 7) // 8 < width <= 4 or not rate:
        return None
    size = _stated_size(content, data)
    stated = data + 8 + size if size else end_in(content)
    end = min(stated or len(content), len(content))
    return WideSamples(data + 8, end - (end - data - 8) % block, width, rate, channels)


def _full_last_packet(content: bytes | mmap) -> NewHead | None:
    """The head of a CAF file that says that its whole last packet is filled up, not saying so."""
    place, length = 8, 0  # samples of a packet
    while place + 36 <= len(content) and content[place : place + 4] != b"data":
        if content[place : place + 4] == b"desc":
            length = int.from_bytes(content[place + 32 : place + 36])
        end = place + 36
        if content[place : place + 4] == b"pakt":
            filled = int.from_bytes(content[end - 4 : end])
            return (
                NewHead(content[: end - 4] + bytes(4), end, len(content))
                if filled == length
                else None
            )
        place += 12 + int.from_bytes(content[place + 4 : place + 12])
    return None


def _unpadded(content: bytes | mmap) -> NewHead | None:
    """The head of a WAV file of which a chunk lacks its padding, without such chunks."""
    kept, place, lacks = [], 12, False
    while place + 8 <= len(content) and content[place : place + 4] != b"data":
        size, following = _size(content, place), _after(content, place)
        lacks |= following < place + 8 + size + size % 2
        if content[place : place + 4] in (b"fmt ", b"fact"):
            kept.append(content[place : place + 8 + size] + bytes(size % 2))
        place = following
    if not lacks or content[:4] == RF64 or place + 8 > len(content):
        return None
    begin, told = place + 8, _size(content, place)
    end = begin + told if 0 < told < UNKNOWN_LENGTH else end_in(content) or len(content)
    end = min(end, len(content))
    inner = b"WAVE" + b"".join(kept) + b"data" + struct.pack("<I", min(end - begin, ENDLESS))
    whole = min(len(inner) + end - begin, ENDLESS)
    return NewHead(b"RIFF" + struct.pack("<I", whole) + inner, begin, end)


def _stated_size(content: bytes | mmap, data: int) -> int:
    """Bytes of sound, as the head states them; 0 where it does not."""
    if content[:4] == RF64:
        sizes = chunk_in(content, b"ds64")
        return 0 if sizes is None else int.from_bytes(content[sizes + 16 : sizes + 24], "little")
    size = _size(content, data)
    return size if size < UNKNOWN_LENGTH else 0


def chunk_in(content: bytes | mmap, name: bytes) -> int | None:
    """The place of the first chunk of a name, if it is there."""
    place = 12
    while place + 8 <= len(content):
        if content[place : place + 4] == name:
            return place
        place = _after(content, place)
    return None


def end_in(content: bytes | mmap) -> int | None:
    """The byte at which the sound of a WAV file of unknown size ends; None if that is the end."""
    place = chunk_in(content, b"data") if _is_wav(content[:12]) else None
    if place is None or 0 < _size(content, place) < UNKNOWN_LENGTH:
        return None
    first = max(place + 8, len(content) - SEARCHED)
    known = bytearray(max(0, len(content) - first))
    ends = [end for name in APPENDED if (end := _chain(content, name, first, known)) is not None]
    return min(ends, default=None)


def _chain(content: bytes | mmap, name: bytes, first: int, known: bytearray) -> int | None:
    """Where the first chunk of a name begins of which a chain leads to the end of the file.

    known: for each place from `first` on whether a chain from there leads to the end: `LEADS`,
    `VAIN`, or 0 where none was followed yet, so that none is followed twice.
    """
    place = content.find(name, first)
    while place >= 0:
        following = place
        while content[following : following + 4] in APPENDED and following + 8 <= len(content):
            if known[following - first]:
                break
            known[following - first] = VAIN
            following = _after(content, following)
        leads = following < len(content) and known[following - first] == LEADS
        if leads or following in (len(content), len(content) + 1):  # padding may be missing
            following = place
            while following < len(content) and known[following - first] != LEADS:
                known[following - first] = LEADS
                following = _after(content, following)
            return place
        place = content.find(name, place + 1)
    return None


def _is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _size(content: bytes | mmap, place: int) -> int:
    return int.from_bytes(content[place + 4 : place + 8], "little")


def _after(content: bytes | mmap, place: int) -> int:
    """Where the chunk after one begins: at an even place, or right behind where one begins there.

    That is a padding byte that was forgotten: no padding is the first letter of such a name.
    """
    size = _size(content, place)
    end = place + 8 + size
    return end if content[end : end + 4] in FIRST else end + size % 2
