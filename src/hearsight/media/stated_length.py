"""The number of samples that a sound file states, where its last block is filled up.

Sounds that are coded in blocks (ADPCM, GSM, G.722, G.726) end with a whole block, and AIFF pads its
sound to an even number of bytes: decoders give what fills them up as sound. How many samples belong
to it, the chunk `fact` of WAV and Wave64 tells, and the chunk `COMM` of AIFF.

Layout: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991),
"New Multimedia Data Types and Data Techniques" (Microsoft, 1994), "Sony Wave64" (2006), and "Audio
Interchange File Format AIFF-C" (Apple, 1991).
"""

from mmap import ACCESS_READ, mmap
from pathlib import Path

from hearsight.media.sound_heads import chunk_in

# FFmpeg's names of sounds in blocks, in WAV, that begin with their first sample
BLOCKS = {"adpcm_ms", "adpcm_ima_wav", "adpcm_yamaha", "gsm_ms", "g722", "g726"}
PACKED = b"ima4"  # in AIFF-C, which counts its blocks of 64 samples, not samples
FILLED = 320  # samples; a block is filled up by no more unless its file states its length
FLAC_MARK = b"fLaC"  # followed by a block of 34 bytes, STREAMINFO (RFC 9639, 8)
FLAC_HEADS = (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")
SEARCHED = 1 << 20  # bytes that are searched at once
W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


def stated_length(path: Path, codec: str, decoded: int) -> int | None:
    """The samples of a sound by the head of its file, None if that does not tell.

    A number is trusted that is less than a block below what is decoded: others are 0, bytes, or
    what was known before the sound was written.

    Args:
        path: a sound file.
        codec: FFmpeg's name of its coding.
        decoded: samples of a channel that its packets hold.
    """
    stated, block = 0, FILLED
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if content[:4] == b"FORM" and content[8:12] in (b"AIFF", b"AIFC"):
            stated = _stated_by_aiff(content)
        elif codec in BLOCKS and (content[:4] in (b"RIFF", b"RF64") or content[:16] == W64_RIFF):
            stated, block = _stated_by_wav(content)
    return stated if 0 < stated <= decoded < stated + block else None


def holds_two_flac(path: Path) -> bool:
    """Whether FLAC files were joined, so that the head of the first does not tell the length."""
    heads, last = 0, b""
    with path.open("rb") as file:  # not mapped, or all of it would count as memory in use
        while heads < 2 and (read := file.read(SEARCHED)):
            content = last + read
            place = content.find(FLAC_MARK)
            while place >= 0:
                heads += content[place + 4 : place + 8] in FLAC_HEADS
                place = content.find(FLAC_MARK, place + 4)
            last = content[-7:]  # less than a head, which is not to be counted twice
    return heads > 1


def _stated_by_aiff(content: mmap) -> int:
    place = 12
    while content[place : place + 4] != b"COMM":
        size = int.from_bytes(content[place + 4 : place + 8], "big")
        place += 8 + size + size % 2
        if place >= len(content):
            return 0
    packed = content[8:12] == b"AIFC" and content[place + 26 : place + 30] == PACKED
    return 0 if packed else int.from_bytes(content[place + 10 : place + 14], "big")


def _stated_by_wav(content: mmap) -> tuple[int, int]:
    """Samples of a channel, by the chunk `fact`, and samples of a block."""
    if content[:4] == b"riff":
        form, fact = _wide_chunk(content, b"fmt "), _wide_chunk(content, b"fact")
    else:
        form, fact = chunk_in(content, b"fmt "), chunk_in(content, b"fact")
        form, fact = form and form + 8, fact and fact + 8
    if form is None or fact is None:
        return 0, FILLED
    block = int.from_bytes(content[form + 18 : form + 20], "little")
    return int.from_bytes(content[fact : fact + 4], "little"), max(block, FILLED)


def _wide_chunk(content: mmap, name: bytes) -> int | None:
    """The place of what a chunk of Wave64 holds, if there is one of that name."""
    place = 40
    while place + 24 <= len(content):
        if content[place : place + 4] == name:
            return place + 24
        size = int.from_bytes(content[place + 16 : place + 24], "little")
        place += max(24, size + -size % 8)
    return None
