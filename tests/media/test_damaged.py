"""Damaged films: each is read as far as it goes or refused in a sentence, in bounded time."""

import itertools
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from made_media import make_video, numbered, sine
from made_timed import RATE, make_film, remux

from hearsight.errors import HearsightError
from hearsight.media.read import frames_at, probe, read_sound, stream_frames

CONTAINERS = {  # codecs of picture and sound
    "mp4": ("libx264", "aac"),
    "mov": ("libx264", "pcm_s16le"),
    "mkv": ("libx264", "libmp3lame"),
    "webm": ("libvpx-vp9", "libopus"),
    "ts": ("libx264", "aac"),
    "mpg": ("mpeg1video", "mp2"),
    "vob": ("mpeg2video", "mp2"),
    "avi": ("libx264", "libmp3lame"),
    "flv": ("libx264", "aac"),
    "wmv": ("msmpeg4", "libmp3lame"),
}
FILES = 2000
LONGEST = 20.0  # seconds that one small file may take on a slow machine


def read_all(path: Path) -> None:
    """Read a file in every way; what is read has to be of one size, with times that rise."""
    info = probe(path)
    assert 0 <= info.duration < 10 * 3600
    if info.has_picture:
        shown = [(frame.time, frame.pixels.shape) for frame in stream_frames(path)]
        assert all(b[0] >= a[0] >= 0 for a, b in itertools.pairwise(shown))
        assert len({shape for _, shape in shown}) == 1
        [frame] = frames_at(path, [info.duration / 2])
        assert frame.pixels.shape == (info.height, info.width, 3)
    if info.has_sound:
        sound = read_sound(path, rate=RATE, seconds=60.0)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max(initial=0) <= 1


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Bytes overwritten, cut off, cut out, doubled, or a length made too large."""
    values = np.frombuffer(data, np.uint8).copy()
    place, length = int(random.integers(len(values))), int(random.integers(1, 400))
    match random.integers(5):
        case 0:
            places = random.integers(0, len(values), random.integers(1, 40))
            values[places] = random.integers(0, 256, len(places))
        case 1:
            values = values[: max(place, 1)]
        case 2:
            values = np.delete(values, slice(place, place + length))
        case 3:
            values = np.insert(values, place, values[place : place + length])
        case _:
            values[place : place + 4] = 255
    return values.tobytes()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", CONTAINERS)
def test_damaged_films_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    codec, sound = CONTAINERS[kind]
    rate = 48_000 if sound == "libopus" else 44_100 if kind == "flv" else RATE
    film = make_film(
        tmp_path / f"film.{kind}",
        1.2,
        codec=codec,
        sound=sine(440, 1.2, rate),
        sound_rate=rate,
        sound_codec=sound,
    )
    data, random = film.read_bytes(), np.random.default_rng(11)
    read, refused = 0, 0
    for number in range(FILES // len(CONTAINERS)):
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(damaged(data, random))
        begin = time.perf_counter()
        try:
            read_all(path)
            read += 1
        except HearsightError:
            refused += 1
        assert time.perf_counter() - begin < LONGEST
        path.unlink()
    assert 4 * read > refused  # an mp4 that is cut off has lost its index


@pytest.mark.parametrize("box", [b"mvhd", b"mdhd", b"tkhd"])
def test_a_header_that_claims_a_length_is_not_believed(tmp_path: Path, box: bytes) -> None:
    path = make_film(tmp_path / "film.mp4", 2)
    data = bytearray(path.read_bytes())
    place = data.index(box)
    scale = struct.unpack(">I", data[place + 16 : place + 20])[0] if box != b"tkhd" else 1000
    offset = 20 if box != b"tkhd" else 24
    data[place + offset : place + offset + 4] = struct.pack(">I", 100_000 * scale % (1 << 32))
    path.write_bytes(bytes(data))
    assert probe(path).duration == pytest.approx(2.0, abs=0.1)


def test_a_film_that_is_nearly_all_hole_is_refused(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 2)
    late = remux(
        film, tmp_path / "late.mkv", lambda kind, _, time: time + 100_000 * (kind == "audio")
    )
    with pytest.raises(
        HearsightError, match=r"by its clock it lasts 100,00\d s, but it holds 2\.\d s"
    ):
        probe(late)


def test_pictures_that_claim_a_day_each_are_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "film.mp4", [numbered(number) for number in range(11)])
    data = bytearray(path.read_bytes())
    place = data.index(b"stts") + 12  # the first row: how many pictures, ticks of each
    delta = int.from_bytes(data[place + 4 : place + 8], "big")
    data[place + 4 : place + 8] = min(delta * 2_500_000, (1 << 31) - 1).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    with pytest.raises(HearsightError, match="is damaged: by its clock it lasts"):
        probe(path)
