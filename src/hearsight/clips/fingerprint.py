"""Fingerprints: digests that tell different clips of the same id apart without decoding them."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, runtime_checkable

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.files.content import check_ends

SAMPLE = 2**16  # bytes hashed at each of three places of a file


@runtime_checkable
class FingerprintedClips(Clips, Protocol):
    """Clips that know the fingerprint of each."""

    def fingerprint(self, index: int, /) -> str:
        """A digest as `KIND:DIGITS`, empty if unknown; raises `UnreadableClip`."""


def fingerprint(clips: Clips, index: int) -> str:
    """The fingerprint of the clip at `index`; empty if unknown or unreadable."""
    try:
        return clips.fingerprint(index) if isinstance(clips, FingerprintedClips) else ""
    except UnreadableClip:
        return ""


def fingerprints_differ(first: str, second: str) -> bool:
    """Whether two clips are known to differ; unknown ones, or two of different kinds, are not."""
    alike = first.partition(":")[0] == second.partition(":")[0]
    return alike and bool(first and second) and first != second


def file_fingerprint(*paths: Path) -> str:
    """Digest of the lengths of files and of `SAMPLE` bytes at beginning, middle and end of each.

    Empty if one of them cannot be read.
    """
    digest = blake2b(digest_size=16)
    try:
        for path in paths:
            check_ends(path)
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
    """Digest of every byte of a clip's files."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return f"bytes:{digest.hexdigest()}"
