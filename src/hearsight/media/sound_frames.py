"""The rate and the length that a frame of a coded sound states in its own head.

Sources: ISO/IEC 13818-7, 6.2 (ADTS); ISO/IEC 11172-3, 2.4.2.3, and 13818-3 (MPEG audio);
ETSI TS 102 366, 4.4.1 (AC-3) and E.1.2 (E-AC-3).
"""

from collections.abc import Callable
from typing import NamedTuple

ADTS_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
MPEG_RATES = (44_100, 48_000, 32_000)  # of MPEG-1; half of it MPEG-2, a quarter MPEG-2.5
AC3_RATES = (48_000, 44_100, 32_000)


class Headed(NamedTuple):
    """What the head of a frame states."""

    samples: int  # of a channel
    rate: int  # hertz


def adts(frame: bytes) -> Headed | None:
    """A frame of AAC with an ADTS head, None for any other."""
    if len(frame) < 6 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
        return None
    index = frame[2] >> 2 & 15
    return Headed(1024, ADTS_RATES[index]) if index < len(ADTS_RATES) else None


def mpeg_audio(frame: bytes) -> Headed | None:
    """A frame of MPEG audio of layer 2 or 3, None for any other."""
    if len(frame) < 3 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version, layer, index = frame[1] >> 3 & 3, frame[1] >> 1 & 3, frame[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or index == 3:
        return None
    rate = MPEG_RATES[index] // {3: 1, 2: 2, 0: 4}[version]
    return Headed(576 if layer == 1 and version != 3 else 1152, rate)


def ac3(frame: bytes) -> Headed | None:
    """A frame of AC-3, None for any other, E-AC-3 too."""
    if len(frame) < 6 or frame[:2] != b"\x0b\x77" or frame[5] >> 3 > 8 or frame[4] >> 6 == 3:
        return None
    return Headed(1536, AC3_RATES[frame[4] >> 6])


def enhanced_ac3(frame: bytes) -> Headed | None:
    """A frame of E-AC-3, None for any other."""
    if len(frame) < 6 or frame[:2] != b"\x0b\x77" or not 11 <= frame[5] >> 3 <= 16:
        return None
    index, more = frame[4] >> 6, frame[4] >> 4 & 3
    if index == 3:  # half of a rate
        return None if more == 3 else Headed(1536, AC3_RATES[more] // 2)
    return Headed((256, 512, 768, 1536)[more], AC3_RATES[index])


# by FFmpeg's names of codecs
HEADED: dict[str, Callable[[bytes], Headed | None]] = {
    "aac": adts,
    "mp2": mpeg_audio,
    "mp3": mpeg_audio,
    "ac3": ac3,
    "eac3": enhanced_ac3,
}
