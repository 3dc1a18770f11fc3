"""Where the sound of a WAV file ends that does not say how long it is.

A program that writes to a pipe cannot go back to state the size: it leaves 0 or the largest number.
Readers then take all that follows for sound, also chunks that the program has appended. A chain of
chunks of known names that ends exactly where the file ends is told from sound by that: 8 bytes or
more would have to agree by chance.

Layout: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991).
"""

from mmap import ACCESS_READ, mmap
from pathlib import Path

UNKNOWN_LENGTH = 0x7FFF0000  # bytes; a head that says more was written to a pipe
NAMES = "LIST id3  ID3  bext iXML cue  smpl inst JUNK junk _PMX PAD  PEAK fact DISP acid axml chna"
APPENDED = tuple(NAMES[place : place + 4].encode() for place in range(0, len(NAMES), 5))
SEARCHED = 1 << 26  # bytes at the end in which appended chunks are looked for


def sound_end(path: Path) -> int | None:
    """The byte at which the sound of a WAV file of unknown size ends; None if that is the end."""
    with path.open("rb") as file:
        if not _is_wav(file.read(12)):
            return None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return end_in(content)


def end_in(content: bytes | mmap) -> int | None:
    """As `sound_end`, for the content of a file."""
    if not _is_wav(content[:12]):
        return None
    place = 12
    while content[place : place + 4] != b"data":
        if place + 8 > len(content):
            return None
        place = _after(content, place)
    size = _size(content, place)
    if 0 < size < UNKNOWN_LENGTH:
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
