"""The number of a frame is its place among all frames as they are shown, also after a seek."""

import random
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import make_video, number_of, numbered, sine
from made_timed import cut_by_edit, make_film, two_edits

from hearsight.media import read
from hearsight.media.decode import decode_frames
from hearsight.media.frame_numbers import FrameNumbers
from hearsight.media.read import VideoReader, stream_frames
from hearsight.media.source import open_media

RATE = Fraction(10)
FRAMES = [numbered(number) for number in range(90)]  # 9 s
WEB = {"sound_codec": "libopus", "sound_rate": 48_000}
MPEG4 = {"codec": "mpeg4", "sound_codec": "libmp3lame", "group": 12}


def numbers_at(path: Path, times: list[float]) -> list[int | None]:
    with VideoReader(path) as video:
        return [frame.number for frame in video.frames_at(times, numbered=True)]


def jumps(streamed: list[read.Frame]) -> list[int]:
    """Places of frames: three far apart in order, then others here and there."""
    last = len(streamed) - 1
    return [0, last // 2, last, *random.Random(1).sample(range(last), 8)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"group": 12}),
        ("a.mkv", {"group": 12}),
        ("a.webm", {"codec": "libvpx-vp9", "group": 30, **WEB}),
        ("a.ts", {"group": 12}),
        ("a.avi", MPEG4),
        ("a.mpg", {"codec": "mpeg2video", "sound_codec": "mp2"}),
        ("a.h264", {"sound": None}),
    ],
)
def test_the_number_of_a_frame_is_its_place_among_all(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    settings = {"sound": sine(440, 9, 44_100), **options}
    path = make_video(tmp_path / name, FRAMES, rate=RATE, **settings)  # type: ignore[arg-type]
    streamed = list(stream_frames(path))
    wanted = jumps(streamed)
    found = numbers_at(path, [streamed[place].time + 0.003 for place in wanted])
    assert found == wanted


def test_frames_are_numbered_where_the_rate_varies(tmp_path: Path) -> None:
    steps = np.random.default_rng(3).integers(5, 250, len(FRAMES) - 1)
    ticks = np.cumsum([0, *steps]).tolist()
    path = make_video(
        tmp_path / "a.mp4", FRAMES, ticks=ticks, time_base=Fraction(1, 1000), group=12
    )
    wanted = jumps(list(stream_frames(path)))
    with VideoReader(path) as video:
        found = list(video.frames_at([ticks[place] / 1000 for place in wanted], numbered=True))
    assert [frame.number for frame in found] == wanted
    assert [number_of(frame.pixels) for frame in found] == wanted


def hide(source: Path, target: Path, hidden: set[int]) -> None:
    """Copy a VP8 video, some of its pictures decoded as before but not shown."""
    with av.open(str(source)) as original, av.open(str(target), "w") as film:
        stream = film.add_stream_from_template(original.streams.video[0])
        for number, packet in enumerate(original.demux(video=0)):
            if packet.size:
                data = bytearray(bytes(packet))
                data[0] &= ~0x10 if number in hidden else ~0
                copied = av.Packet(bytes(data))
                copied.pts, copied.dts, copied.stream = packet.pts, packet.dts, stream
                copied.time_base, copied.is_keyframe = packet.time_base, packet.is_keyframe
                film.mux(copied)


def test_pictures_that_are_only_for_reference_have_no_number(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.webm", FRAMES, rate=RATE, codec="libvpx", group=12)
    hide(plain, tmp_path / "a.webm", {7, 40, 41})
    path = tmp_path / "a.webm"
    streamed = list(stream_frames(path))
    assert len(streamed) == len(FRAMES) - 3
    wanted = jumps(streamed)
    assert numbers_at(path, [streamed[place].time + 0.003 for place in wanted]) == wanted
    with open_media(path) as source:
        last = [*decode_frames(source, source.packets(source.picture))][-1]
    assert FrameNumbers(path).number_of(last) == len(streamed) - 1


@pytest.mark.parametrize("edit", ["one", "two"])
def test_frames_outside_an_edit_are_not_counted(tmp_path: Path, edit: str) -> None:
    path = make_film(tmp_path / "a.mp4", 8.0)
    cut_by_edit(path, 1.5) if edit == "one" else two_edits(path)
    streamed = list(stream_frames(path))
    assert len(streamed) in (163, 100)  # of 200
    wanted = jumps(streamed)
    assert numbers_at(path, [streamed[place].time + 0.003 for place in wanted]) == wanted


def test_frames_that_cannot_be_decoded_are_not_counted(tmp_path: Path) -> None:
    """As many as were decoded before a frame is its number, where packets tell another."""
    path = make_video(tmp_path / "a.mkv", FRAMES, rate=RATE, codec="mjpeg", kind="yuvj420p")
    data = bytearray(path.read_bytes())
    begins = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    for place in (2, 3):
        data[begins[place] : begins[place + 1] - 40] = bytes(begins[place + 1] - 40 - begins[place])
    path.write_bytes(data)
    streamed = list(stream_frames(path))
    assert len(streamed) < len(FRAMES)
    times = [streamed[place].time + 0.003 for place in (0, 10, 80, 40)]
    assert numbers_at(path, times) == [0, 10, 80, 40]


def test_packets_are_read_once_and_only_for_a_seek(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", FRAMES, rate=RATE)
    opened = []
    monkeypatch.setattr(
        read, "FrameNumbers", lambda path: opened.append(path) or FrameNumbers(path)
    )
    assert numbers_at(path, [0.0, 1.0, 2.55, 5.0]) == [0, 10, 25, 50]
    assert opened == []
    assert numbers_at(path, [0.0, 8.0, 1.0, 7.0]) == [0, 80, 10, 70]
    assert opened == [path]
    with VideoReader(path) as video:
        assert [frame.number for frame in video.frames_at([0.0, 8.0])] == [None, None]
    assert opened == [path]
