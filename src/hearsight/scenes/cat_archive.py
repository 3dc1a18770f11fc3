"""OpenTTD's sound archives (.cat): numbered WAV files, from bytes.

The archive begins with an offset and a length for every sound, little-endian, the length without
the name in front of it. A name is a byte that gives its length, then so many bytes.
"""

import struct
from collections.abc import Collection, Iterator

from hearsight.errors import HearsightError

NEW = 0x80000000  # a flag in the first offset: names come with the sounds
MOST = 1000  # sounds


def read_cat(content: bytes, wanted: Collection[str], name: str) -> Iterator[tuple[str, bytes]]:
    """The wanted sounds of an archive as (path, content); the first is `00.wav`.

    Args:
        content: the whole archive.
        wanted: paths; those that are not there are passed over.
        name: of the archive, for messages.

    Raises:
        HearsightError: no such archive, or a damaged one.
    """
    if len(content) < 8:
        raise HearsightError(f"'{name}' is not a sound archive of OpenTTD.")
    (first,) = struct.unpack("<I", content[:4])
    start = first & ~NEW
    if start % 8 or not 8 <= start <= min(len(content), 8 * MOST):
        raise HearsightError(f"'{name}' is not a sound archive of OpenTTD.")
    for number, at in enumerate(range(0, start, 8)):
        path = f"{number:02}.wav"
        if path not in wanted:
            continue
        offset, size = struct.unpack("<II", content[at : at + 8])
        offset &= ~NEW
        begin = offset + 1 + (content[offset] if offset < len(content) else 0)
        if begin + size > len(content):
            raise HearsightError(f"'{name}' is a damaged sound archive of OpenTTD: '{path}'.")
        yield path, content[begin : begin + size]
