"""What a clip was taken from, so that another clip of the same id is told from it undecoded."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, runtime_checkable

from hearsight.clips.clip import Clips, UnreadableClip

SAMPLE = 2**16  # bytes looked at in each of three places of a file


@runtime_checkable
class FingerprintedClips(Clips, Protocol):
    """Clips that tell what each was taken from."""

    def fingerprint(self, index: int, /) -> str:
        """A digest, `KIND:DIGITS`, or nothing where it is not known; raises `UnreadableClip`."""


def fingerprint(clips: Clips, index: int) -> str:
    """What the clip at `index` was taken from; empty where that is not known."""
    try:
        return clips.fingerprint(index) if isinstance(clips, FingerprintedClips) else ""
    except UnreadableClip:
        return ""


def fingerprints_differ(first: str, second: str) -> bool:
    """Whether two clips of one id are known to be different ones; kinds cannot be compared."""
    alike = first.partition(":")[0] == second.partition(":")[0]
    return alike and bool(first and second) and first != second


def file_fingerprint(*paths: Path) -> str:
    """By the lengths of files, and by `SAMPLE` bytes at the beginning, middle and end of each.

    Empty if one cannot be read.
    """
    digest = blake2b(digest_size=16)
    try:
        for path in paths:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                digest.update(size.to_bytes(8, "big"))
                for share in (0, 0.5, 1):
                    file.seek(round(share * max(size - SAMPLE, 0)))
                    digest.update(file.read(SAMPLE))
    except OSError:
        return ""
    return f"files:{digest.hexdigest()}"


def bytes_fingerprint(*parts: bytes) -> str:
    """By every byte of what a clip consists of."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return f"bytes:{digest.hexdigest()}"
