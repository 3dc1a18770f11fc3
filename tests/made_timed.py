"""Films whose pictures and sound tell their own time, and the same films as odd files hold them."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from made_media import make_video, number_of, numbered

from hearsight.media.read import read_sound, stream_frames

RATE = 16_000  # hertz
Moved = Callable[[str, int, Fraction], Fraction]  # kind, number, seconds: seconds


@cache
def noise(seconds: float = 10.0) -> np.ndarray:
    """A sound of which every stretch is found again in the whole."""
    values = np.random.default_rng(7).standard_normal(round(seconds * RATE) + 8)
    sound = (0.1 * np.convolve(values, np.ones(4) / 2, "same")).astype(np.float32)
    sound.flags.writeable = False
    return sound


@cache
def _spectrum(size: int) -> np.ndarray:
    """Of all of `noise`."""
    return np.fft.rfft(noise(), size)


def make_film(path: Path, seconds: float = 6.0, *, first: int = 0, **how: object) -> Path:
    """Picture n of colour n, from number `first` on, at 25 per second; sound: noise from there.

    AAC is coded without noise substitution, so that it decodes alike from everywhere.
    """
    begin = round(first / 25 * RATE)
    settings: dict[str, object] = {
        "sound": noise()[begin : begin + round(seconds * RATE)],
        "sound_rate": RATE,
        "sound_codec": "aac",
    }
    frames = [numbered(first + number) for number in range(round(seconds * 25))]
    return make_video(path, frames, **(settings | how))  # type: ignore[arg-type]


def remux(
    source: Path, target: Path, moved: Moved | None = None, *, options: dict[str, str] | None = None
) -> Path:
    """Copy all packets, each from the time that `moved` gives it."""
    with av.open(str(source)) as original, av.open(str(target), "w", options=options or {}) as film:
        streams = {s.index: film.add_stream_from_template(s) for s in original.streams}
        numbers = dict.fromkeys(streams, 0)
        for packet in original.demux():
            if packet.dts is None:
                continue
            index = packet.stream_index
            if moved is not None:
                begin = packet.dts * packet.time_base
                new = moved(original.streams[index].type, numbers[index], begin)
                ticks = round((new - begin) / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            numbers[index] += 1
            packet.stream = streams[index]
            film.mux(packet)
    return target


def restamp(path: Path, kind: str, numbers: range, seconds: float) -> Path:
    """Move the time stamps of some packets (PES) of an MPEG transport stream; kind: 'video'."""
    data = bytearray(path.read_bytes())
    streams = {"video": range(0xE0, 0xF0), "audio": range(0xC0, 0xE0)}[kind]
    number = 0
    for begin in range(0, len(data), 188):
        if not data[begin + 1] & 0x40:  # no packet of a stream begins here
            continue
        head = begin + 4 + (1 + data[begin + 4] if data[begin + 3] & 0x20 else 0)
        if data[head : head + 3] != b"\0\0\1" or data[head + 3] not in streams:
            continue
        if number in numbers:
            for place in range(head + 9, head + 9 + (10 if data[head + 7] & 0x40 else 5), 5):
                _add_ticks(data, place, round(seconds * 90_000))
        number += 1
    path.write_bytes(bytes(data))
    return path


def _add_ticks(data: bytearray, place: int, ticks: int) -> None:
    """Add to the 33-bit time stamp in the five bytes at a place (ISO/IEC 13818-1, 2.4.3.6)."""
    a, b, c, d, e = data[place : place + 5]
    value = (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
    value = (value + ticks) % (1 << 33)
    data[place : place + 5] = bytes(
        [
            a & 0xF1 | value >> 29 & 0x0E,
            value >> 22 & 0xFF,
            value >> 14 & 0xFE | 1,
            value >> 7 & 0xFF,
            value << 1 & 0xFE | 1,
        ]
    )


def picture_lags(path: Path) -> np.ndarray:
    """For every frame, seconds by which it is shown later than its number says."""
    shown = [(frame.time, number_of(frame.pixels)) for frame in stream_frames(path)]
    assert all(b[0] >= a[0] for a, b in pairwise(shown)), "times fall"
    return np.array([time - number / 25 for time, number in shown])


def sound_lag(path: Path, time: float, seconds: float = 0.4) -> float:
    """Seconds by which the sound at a time comes later than its content says."""
    sound = read_sound(path, rate=RATE)
    part = sound[round(time * RATE) : round((time + seconds) * RATE)]
    return time - place_of(part)


def place_of(part: np.ndarray) -> float:
    """Where in `noise` a stretch of sound comes from, in seconds."""
    whole = noise()
    size = 1 << (len(part) + len(whole)).bit_length()
    alike = np.fft.irfft(_spectrum(size) * np.conj(np.fft.rfft(part, size)), size)
    first = int(np.argmax(alike[: len(whole)]))
    stretch = whole[first : first + len(part)]
    assert np.corrcoef(stretch, part[: len(stretch)])[0, 1] > 0.7, "the sound is not found"
    return first / RATE


def cut_by_edit(path: Path, seconds: float) -> Path:
    """Let the edit lists of an mp4 file begin so much later, as a cut by stream copy does."""
    data = bytearray(path.read_bytes())
    place = 0
    scales = []
    while (place := data.find(b"mdhd", place + 1)) >= 0:
        scales.append(int.from_bytes(data[place + 16 : place + 20], "big"))
    place = 0
    for scale in scales:
        place = data.index(b"elst", place + 1)
        rows = int.from_bytes(data[place + 8 : place + 12], "big")
        row = place + 12 + 12 * (rows - 1)
        duration, begin = (int.from_bytes(data[row + i : row + i + 4], "big") for i in (0, 4))
        data[row : row + 4] = (duration - round(seconds * 1000)).to_bytes(4, "big")
        data[row + 4 : row + 8] = (begin + round(seconds * scale)).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    return path


def add_track(source: Path, target: Path, sound: np.ndarray) -> Path:
    """The streams of a file, and a second sound of 16-bit samples after its own."""
    with av.open(str(source)) as original, av.open(str(target), "w") as film:
        streams = {s.index: film.add_stream_from_template(s) for s in original.streams}
        second = film.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for packet in original.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                film.mux(packet)
        samples = np.round(sound[None] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        film.mux(second.encode(frame))
        film.mux(second.encode(None))
    return target


def two_edits(path: Path) -> Path:
    """Give each track of an mp4 file two edits: its seconds 0 to 2, and 4 to 6."""
    data = path.read_bytes()
    scales = []
    place = 0
    while (place := data.find(b"mdhd", place + 1)) >= 0:
        scales.append(int.from_bytes(data[place + 16 : place + 20], "big"))
    for scale in scales:
        place = data.index(b"elst", place + 1) - 4
        size = int.from_bytes(data[place : place + 4], "big")
        begin = int.from_bytes(data[place + 20 : place + 24], "big")
        rows = b"".join(
            (2000).to_bytes(4, "big") + (begin + second * scale).to_bytes(4, "big") + b"\0\1\0\0"
            for second in (0, 4)
        )
        box = (28 + len(rows) - 12).to_bytes(4, "big") + b"elst\0\0\0\0\0\0\0\2" + rows
        grown = len(box) - size
        data = data[:place] + box + data[place + size :]
        for name in (b"edts", b"trak", b"moov"):  # the boxes around it
            around = data.rindex(name, 0, place) - 4
            length = int.from_bytes(data[around : around + 4], "big") + grown
            data = data[:around] + length.to_bytes(4, "big") + data[around + 4 :]
        place += len(box)
    path.write_bytes(data)
    return path


def two_descriptions(path: Path, other: Path, first: int) -> Path:
    """Have the packets of a sound in mp4, from number `first` on, described as those of `other`."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        places = [stream.index_entries[n].pos for n in range(len(stream.index_entries))]
    boxes = {
        b"stsd": ((0, 2), _box(path, b"stsd")[8:] + _box(other, b"stsd")[8:]),
        b"stsc": ((0, 2, 1, 1, 1, first + 1, 1, 2), b""),  # each packet a chunk of its own
        b"stco": ((0, len(places), *places), b""),
    }
    data = path.read_bytes()
    for box, (numbers, rest) in boxes.items():
        content = b"".join(number.to_bytes(4, "big") for number in numbers) + rest
        place = data.index(box, data.rindex(b"moov"))
        grown = len(content) + 8 - int.from_bytes(data[place - 4 : place], "big")
        data = data[: place + 4] + content + data[place + 4 + len(content) - grown :]
        for name in (box, b"stbl", b"minf", b"mdia", b"trak", b"moov"):  # it and those around it
            around = data.rindex(name, 0, place + 4) - 4
            length = int.from_bytes(data[around : around + 4], "big") + grown
            data = data[:around] + length.to_bytes(4, "big") + data[around + 4 :]
    path.write_bytes(data)
    return path


def _box(path: Path, name: bytes) -> bytes:
    """What a box of the index of an mp4 file holds."""
    data = path.read_bytes()
    place = data.index(name, data.rindex(b"moov"))
    return data[place + 4 : place - 4 + int.from_bytes(data[place - 4 : place], "big")]
