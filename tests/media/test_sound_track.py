"""A painted film has the sound of its source; test_painted_sound.py shows it for every codec."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_media import make_video, noise, numbered

from hearsight.media.read import Frame, probe, read_sound, stream_frames
from hearsight.media.sound import flac_length
from hearsight.media.sound_track import plan_sound
from hearsight.media.sound_writers import sound_frame
from hearsight.media.write import check_paint, paint_video, write_video

FRAMES = [numbered(number) for number in range(50)]  # 2 seconds
OLD = {"codec": "mpeg4"}
DISC = {"codec": "mpeg2video"}


def film(
    path: Path, sound_codec: str, *, rate: int = 48_000, channels: int = 2, **more: Any
) -> Path:
    """A film of two seconds with noise as its sound."""
    sound = np.stack([noise(2.0, rate)] * channels)
    settings = {**OLD, "sound": sound, "sound_rate": rate, "sound_codec": sound_codec, **more}
    return make_video(path, FRAMES, **settings)


def lag(first: np.ndarray, second: np.ndarray, start: float) -> tuple[int, float]:
    """By how many samples of 16 kHz the second sound is later at `start` (s), and the likeness."""
    begin = round(start * 16_000)
    part = first[begin : begin + 4_000]
    best = max(
        range(-320, 321),
        key=lambda shift: float(part @ second[begin + shift : begin + shift + len(part)]),
    )
    return best, float(np.corrcoef(part, second[begin + best : begin + best + len(part)])[0, 1])


def same(frame: Frame) -> np.ndarray:
    return frame.pixels


@pytest.mark.parametrize(
    ("codec", "rate", "target"),
    [
        ("flac", 96_000, "b.mp4"),
        ("flac", 44_100, "b.mp4"),  # whose last frame is short
        ("libopus", 48_000, "b.mp4"),  # 312 samples before the first that is heard: 6.5 ms
        ("libopus", 48_000, "b.mkv"),
    ],
)
def test_a_copied_sound_is_that_of_its_film_to_the_sample(
    tmp_path: Path, codec: str, rate: int, target: str
) -> None:
    original, painted = film(tmp_path / "a.mkv", codec, rate=rate), tmp_path / target
    paint_video(original, painted, same)
    before, after = read_sound(original, rate=rate), read_sound(painted, rate=rate)
    assert len(after) == len(before)
    assert np.abs(after - before).max() < 2e-5


@pytest.mark.parametrize("block", [16, 192, 255, 576, 1000, 4096, 4608])
def test_a_flac_frame_tells_its_length(tmp_path: Path, block: int) -> None:
    with av.open(str(tmp_path / "a.flac"), "w") as output:
        stream = output.add_stream("flac", rate=16_000, layout="mono")
        stream.codec_context.options = {"frame_size": str(block)}
        values = (noise(2.0, 16_000) * 30_000).astype(np.int16)
        for begin in range(0, len(values), block):
            part = values[None, begin : begin + block]
            output.mux(stream.encode(sound_frame(part, "s16", "mono", 16_000, begin)))
        output.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.flac")) as written:
        told, decoded = 0, 0
        for packet in written.demux(audio=0):
            told += (flac_length(bytes(packet)) or 0) if packet.size else 0
            decoded += sum(frame.samples for frame in packet.decode())
    assert told == decoded == len(values)
    assert flac_length(b"") is None
    assert flac_length(bytes(20)) is None


def test_by_default_a_warning_says_that_the_sound_is_encoded_anew(tmp_path: Path) -> None:
    original = film(tmp_path / "a.mkv", "flac")
    with pytest.warns(UserWarning, match=r"A \.mov file .* flac from '.*a\.mkv'") as caught:
        paint_video(original, tmp_path / "b.mov", same)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paint_video(original, tmp_path / "b.mp4", same)


@pytest.mark.parametrize(
    ("name", "codec", "more"),
    [
        ("a.ts", "aac", DISC),
        ("a.ts", "ac3", DISC),
        ("a.mpg", "mp2", DISC),
        ("a.vob", "ac3", DISC),
        ("a.mkv", "flac", OLD),
    ],
)
def test_a_sound_that_is_first_heard_after_what_a_player_looks_at(
    tmp_path: Path, name: str, codec: str, more: dict[str, Any]
) -> None:
    sound = np.stack([noise(2.0, 48_000)] * 2)
    frames = [numbered(number % 200) for number in range(250)]
    original = make_video(
        tmp_path / name,
        frames,
        sound=sound,
        sound_rate=48_000,
        sound_codec=codec,
        sound_start=8.0,
        **more,
    )
    before, film = read_sound(original), probe(original)
    assert (film.sound_rate, film.channels) == (48_000, 2)
    for target in ("b.mp4", "b.mkv", "b.webm"):
        said: list[str] = []
        paint_video(original, tmp_path / target, same, notice=said.append)
        assert len(said) == (target == "b.webm")
        after = read_sound(tmp_path / target)
        assert np.abs(after[: 7 * 16_000]).max() < 1e-3
        shift, alike = lag(before, after, 8.9)
        assert abs(shift) <= 16
        assert alike > 0.9


def elements(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The elements of a Matroska file, those inside segments and clusters too: id, start, end."""
    while start < end:
        width = 9 - data[start].bit_length()
        name, start = data[start : start + width], start + width
        width = 9 - data[start].bit_length()
        size = int.from_bytes(data[start : start + width], "big") - (1 << 7 * width)
        start += width
        yield name, start, start + size
        if name in (bytes.fromhex("18538067"), bytes.fromhex("1f43b675")):
            yield from elements(data, start, start + size)
        start += size


def set_back(path: Path, every: int, milliseconds: int) -> Path:
    """Set back the stated times of some packets of the second track of a Matroska file."""
    data = bytearray(path.read_bytes())
    blocks = [
        start
        for name, start, _ in elements(bytes(data), 0, len(data))
        if name == b"\xa3" and data[start] == 0x82
    ]
    for block in blocks[every // 2 :: every]:
        stated = int.from_bytes(data[block + 1 : block + 3], "big", signed=True)
        data[block + 1 : block + 3] = (stated - milliseconds).to_bytes(2, "big", signed=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "b.webm"])
def test_time_stamps_of_a_sound_that_go_back_are_mended(tmp_path: Path, target: str) -> None:
    original = set_back(film(tmp_path / "a.mkv", "aac"), 20, 40)
    with av.open(str(original)) as container:
        stamps = [packet.dts for packet in container.demux(audio=0) if packet.size]
    assert sum(later <= earlier for earlier, later in pairwise(stamps)) > 2
    paint_video(original, tmp_path / target, same, notice=lambda sentence: None)
    before, after = read_sound(original), read_sound(tmp_path / target)
    assert len(after) == pytest.approx(len(before), abs=1_100)
    for start in (0.5, 1.5):
        shift, alike = lag(before, after, start)
        assert abs(shift) <= 16
        assert alike > 0.8


def test_a_hole_in_a_sound_that_is_encoded_anew_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("mpeg4", rate=25, width=64, height=48, bit_rate=500_000)
        sounds = output.add_stream("flac", rate=16_000, layout="mono")
        for number, pixels in enumerate(FRAMES):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        tone = (8_000 * np.sin(np.arange(8_000) / 5)).astype(np.int16)
        packets = []
        for start in (0, 20_000):
            frame = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            packets += sounds.encode(frame)
        for packet in [*packets, *sounds.encode(None)]:
            output.mux(packet)
    before = read_sound(path)
    for target in ("b.mov", "b.webm"):
        paint_video(path, tmp_path / target, same, notice=lambda sentence: None)
        after = read_sound(tmp_path / target)
        for sound in (before, after):
            level = [float(np.abs(sound[at : at + 800]).mean()) for at in (2_000, 14_000, 22_000)]
            assert level[0] > 0.05
            assert level[1] < 0.01
            assert level[2] > 0.05


def test_a_film_without_sound_has_no_plan(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", FRAMES[:3])
    assert plan_sound(path, "mp4") is None
    paint_video(path, tmp_path / "b.mp4", same)


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
@pytest.mark.parametrize("name", ["a.webm", "a.mp4"])
def test_a_sound_of_any_rate_is_encoded_at_one_that_is_taken(
    tmp_path: Path, name: str, rate: int
) -> None:
    given = noise(2.0, rate)
    path = tmp_path / name
    write_video(path, FRAMES, frame_rate=Fraction(25), sound=given, rate=rate)
    read = read_sound(path, rate=8_000)
    assert len(read) / 8_000 == pytest.approx(2.0, abs=0.15)


def test_a_film_is_checked_without_a_trace(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", "flac")
    for target in ("b.mp4", "b.mov", "b.webm", "b.mkv"):
        check_paint(probe(path), tmp_path / target)
    assert [each.name for each in tmp_path.iterdir()] == ["a.mkv"]


def test_damaged_packets_of_a_copied_sound_are_left_out(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", "aac", **DISC)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        headers = [bytes(packet)[:30] for packet in container.demux(audio=0) if packet.size]
    for header in headers[40:50]:  # FFmpeg's mp4 looks into the headers of AAC packets
        place = data.find(header)
        data[place + 2 : place + 4] = b"\xff\xff"
    path.write_bytes(data)
    for target in ("b.mp4", "b.mov", "b.mkv"):
        paint_video(path, tmp_path / target, same)
        assert len(list(stream_frames(tmp_path / target))) == 50
        before, after = read_sound(path), read_sound(tmp_path / target)
        shift, alike = lag(before, after, 0.2)
        assert abs(shift) <= 16
        assert alike > 0.9


def test_a_stream_that_begins_in_mid_file_does_not_disturb_the_others(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "a.ts", FRAMES, **DISC)  # type: ignore[arg-type]
    with_sound = film(tmp_path / "b.ts", "mp2", **DISC)
    both = tmp_path / "c.ts"
    nothing = (b"\x47\x1f\xff\x10" + bytes(184)) * 30_000  # more than FFmpeg looks at first
    random = np.random.default_rng(0)
    noisy = [random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in FRAMES]
    large = make_video(tmp_path / "large.ts", noisy, group=1, **DISC)  # type: ignore[arg-type]
    after = 2 * large.read_bytes()
    assert len(after) > 300_000  # it looks at the end, too
    both.write_bytes(plain.read_bytes() + nothing + with_sound.read_bytes() + after)
    with av.open(str(both)) as container:
        assert len(container.streams) == 1
    assert len(list(stream_frames(both))) > 95
    assert not probe(both).has_sound
    paint_video(both, tmp_path / "d.mp4", same)
    assert len(list(stream_frames(tmp_path / "d.mp4"))) == len(list(stream_frames(both)))
