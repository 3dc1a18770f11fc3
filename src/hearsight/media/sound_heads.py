"""What FFmpeg takes wrongly of WAV files: their end where they do not state it, and wide samples.

A program that writes to a pipe cannot go back to state the size: it leaves 0 or the largest number.
Readers then take all that follows for sound, also chunks that the program has appended. A chain of
chunks of known names that ends exactly where the file ends is told from sound by that: 8 bytes or
more would have to agree by chance.

Of samples that are stored in more bytes than they fill, 24 bits in 4 bytes, FFmpeg takes the bytes
that are filled for the bytes that are stored, and noise comes out.

Layout: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991),
"Multiple channel audio data and WAVE files" (Microsoft, 2001), and EBU Tech 3306 (RF64, 2007).
"""

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

UNKNOWN_LENGTH = 0x7FFF0000  # bytes; a head that says more was written to a pipe
NAMES = "LIST id3  ID3  bext iXML cue  smpl inst JUNK junk _PMX PAD  PEAK fact DISP acid axml chna"
APPENDED = tuple(NAMES[place : place + 4].encode() for place in range(0, len(NAMES), 5))
EXTENSIBLE, PCM = 0xFFFE, 1  # forms of samples
RF64 = b"RF64"  # begins a WAV file whose sizes, of 64 bits, stand in a chunk `ds64`
SEARCHED = 1 << 26  # bytes at the end in which appended chunks are looked for


class WideSamples(NamedTuple):
    """Where the samples of a WAV file lie that are stored in more bytes than they fill."""

    begin: int  # byte
    end: int  # byte after the last
    width: int  # bytes a sample takes, 2 to 4
    rate: int  # hertz
    channels: int


def sound_in(path: Path) -> int | WideSamples | None:
    """The byte at which the sound of a WAV file of unknown size ends, or its wide samples.

    None: FFmpeg reads the file rightly.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if not (_is_wav(head) or (head[:4] == RF64 and head[8:] == b"WAVE")):
            return None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            wide = _wide_samples(content)
            return end_in(content) if wide is None else wide


def _wide_samples(content: bytes | mmap) -> WideSamples | None:
    form, data = _chunk(content, b"fmt "), _chunk(content, b"data")
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


def _stated_size(content: bytes | mmap, data: int) -> int:
    """Bytes of sound, as the head states them; 0 where it does not."""
    if content[:4] == RF64:
        sizes = _chunk(content, b"ds64")
        return 0 if sizes is None else int.from_bytes(content[sizes + 16 : sizes + 24], "little")
    size = _size(content, data)
    return size if size < UNKNOWN_LENGTH else 0


def _chunk(content: bytes | mmap, name: bytes) -> int | None:
    """The place of the first chunk of a name, if it is there."""
    place = 12
    while place + 8 <= len(content):
        if content[place : place + 4] == name:
            return place
        place = _after(content, place)
    return None


def end_in(content: bytes | mmap) -> int | None:
    """The byte at which the sound of a WAV file of unknown size ends; None if that is the end."""
    place = _chunk(content, b"data") if _is_wav(content[:12]) else None
    if place is None or 0 < _size(content, place) < UNKNOWN_LENGTH:
        return None
    first = max(place + 8, len(content) - SEARCHED)
    ends = [end for name in APPENDED if (end := _chain(content, name, first)) is not None]
    return min(ends, default=None)


def _chain(content: bytes | mmap, name: bytes, first: int) -> int | None:
    """Where the first chunk of a name begins of which a chain leads to the end of the file."""
    place = content.find(name, first)
    while place >= 0:
        following = place
        while content[following : following + 4] in APPENDED and following + 8 <= len(content):
            following = _after(content, following)
        if following in (len(content), len(content) + 1):  # the last byte of padding may be missing
            return place
        place = content.find(name, place + 1)
    return None


def _is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _size(content: bytes | mmap, place: int) -> int:
    return int.from_bytes(content[place + 4 : place + 8], "little")


def _after(content: bytes | mmap, place: int) -> int:
    """Where the chunk after one begins; chunks begin at even places."""
    size = _size(content, place)
    return place + 8 + size + size % 2
