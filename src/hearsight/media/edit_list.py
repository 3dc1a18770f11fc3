"""What an mp4 or mov file shows of each track, and from when on: its edit lists, a tag of iTunes.

FFmpeg drops the frames before an edit and moves what is left to its beginning, so that a picture
whose edit begins inside a frame runs up to a frame ahead of its sound. Where every track has one
edit, as after a cut by stream copy, `hearsight.media.timeline` applies it instead, exactly.

Layout: ISO/IEC 14496-12, boxes mvhd (8.2.2) and elst (8.6.6). The tag iTunSMPB holds hexadecimal
numbers, after a first one without a meaning the samples that are coded before those that are heard,
those after them, and those that are heard.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

NORMAL = 1 << 16  # rate of an edit that is played at the speed of its media
MOST = 1 << 12  # entries of an edit list that are looked at
EMPTY = -1  # media time of an edit that shows nothing


class Edit(NamedTuple):
    """The part of a film in which a track is shown, in seconds on the clock of the film."""

    start: Fraction
    end: Fraction | None  # None: to the end of the track
    rounding: Fraction = Fraction(0)  # seconds by which its end may be stated too early

    def beyond(self, end: Fraction) -> Fraction:
        """Seconds of a sound up to `end` (seconds) that lie beyond what is shown; 0 for none."""
        late = self.end is not None and end > self.end + self.rounding
        return end - self.end if late and self.end is not None else Fraction(0)


class Entry(NamedTuple):
    """One row of an edit list, as it is stored."""

    duration: int  # ticks of the film
    media_time: int  # ticks of the track
    rate: int


def single_edits(path: Path) -> list[Edit | None] | None:
    """The edit of each track, None for a track without one; an empty list if no track has any.

    None where that does not tell all: a track has several edits or plays at another speed, or the
    file is damaged.
    """
    try:
        with path.open("rb") as file:
            scale, lists = _edit_lists(file)
        return [_single(entries, scale) for entries in lists] if any(lists) else []
    except (OSError, struct.error, ValueError, ZeroDivisionError):
        return None


def _single(entries: list[Entry], scale: int) -> Edit | None:
    if not entries:
        return None
    *empty, shown = entries
    if shown.media_time < 0 or shown.rate != NORMAL or any(e.media_time != EMPTY for e in empty):
        raise ValueError("an edit list of another form")
    start = Fraction(sum(each.duration for each in empty), scale)
    end = start + Fraction(shown.duration, scale) if shown.duration else None
    return Edit(start, end, Fraction(1, scale))


def stated_by_itunes(tag: str, ticks: int, tick: Fraction) -> Edit | None:
    """The part of a sound that is heard by its tag iTunSMPB, on a clock on which it begins at 0.

    None if the numbers are not those of the sound. They count ticks of its track, which are two
    samples each where the upper octave of AAC is coded apart.

    Args:
        tag: what the file says.
        ticks: those of all packets of the sound.
        tick: seconds.
    """
    try:
        _, before, after, heard, *_ = (int(each, 16) for each in tag.split())
    except ValueError:
        return None
    if not heard or before + heard + after != ticks:
        return None
    return Edit(before * tick, (before + heard) * tick)


def _edit_lists(file: BinaryIO) -> tuple[int, list[list[Entry]]]:
    """The film's ticks per second, and the edit list of each track."""
    scale, lists = 0, []
    for film in _boxes(file, 0, file.seek(0, 2), b"moov"):
        for begin, _ in _boxes(file, *film, b"mvhd"):
            file.seek(begin)
            long = file.read(1) == b"\1"
            file.seek(begin + (20 if long else 12))
            (scale,) = struct.unpack(">I", file.read(4))
        for track in _boxes(file, *film, b"trak"):
            lists.append(
                [
                    entry
                    for edits in _boxes(file, *track, b"edts")
                    for begin, _ in _boxes(file, *edits, b"elst")
                    for entry in _entries(file, begin)
                ]
            )
    return scale, lists


def _entries(file: BinaryIO, begin: int) -> Iterator[Entry]:
    file.seek(begin)
    version, count = struct.unpack(">B3xI", file.read(8))
    if count > MOST:
        raise ValueError(f"{count} edits")
    row = struct.Struct(">QqI" if version else ">IiI")
    for _ in range(count):
        yield Entry(*row.unpack(file.read(row.size)))


def _boxes(file: BinaryIO, begin: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Where the content of each box of a kind begins and ends, between two places of a file."""
    while begin + 8 <= end:
        file.seek(begin)
        size, found = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        elif size == 0:
            size = end - begin
        if size < head:
            return
        if found == kind:
            yield begin + head, min(begin + size, end)
        begin += size
