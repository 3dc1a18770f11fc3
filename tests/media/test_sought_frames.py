"""Frames sought from key frames are those of a whole decode, pixel for pixel, in hostile films."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from made_media import made_once, make_video, scheduling_kept, sine

from hearsight.media import decode
from hearsight.media.near_frames import frames_near
from hearsight.media.read import frames_at, read_sound, stream_frames

COUNT, RATE = 150, 25
X264 = {"preset": "veryfast", "crf": "20"}
OPEN = "open-gop=1:bframes=5:b-pyramid=normal:keyint=20:min-keyint=20:scenecut=0:b-adapt=0:ref=4"
OPEN_HEVC = "open-gop=1:bframes=4:keyint=20:log-level=error"
LAYERS = "temporal-layers=3:bframes=7:keyint=24:min-keyint=24:scenecut=0:log-level=error"


@cache
def moving() -> list[np.ndarray]:
    """Every frame another, with motion that encoders predict."""
    random = np.random.default_rng(0)
    field = np.kron(random.integers(0, 256, (20, 40, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    places = [(int(30 + 30 * np.sin(n / 7)), int(40 + 40 * np.cos(n / 11))) for n in range(COUNT)]
    return [np.roll(field[y : y + 48, x : x + 64], n % 3, 0) for n, (y, x) in enumerate(places)]


@made_once
def film(
    path: Path,
    codec: str = "libx264",
    *,
    kind: str = "yuv420p",
    group: int = 20,
    options: dict[str, str] | None = None,
    ticks: list[int] | None = None,
) -> Path:
    """A film of `moving`, 25 frames a second where no ticks (thousandths) say otherwise."""
    with scheduling_kept(), av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=RATE, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, kind
        stream.codec_context.gop_size = group
        if codec in ("mpeg2video", "mpeg4"):
            stream.codec_context.bit_rate = 800_000
        base = Fraction(1, RATE) if ticks is None else Fraction(1, 1000)
        stream.codec_context.time_base = base
        for number, pixels in enumerate(moving()):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
            frame.pts, frame.time_base = number if ticks is None else ticks[number], base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def varied() -> list[int]:
    """Frames 10 to 90 ms apart, and one shown for 1.2 s."""
    steps = np.random.default_rng(1).integers(10, 90, COUNT)
    steps[70] = 1200
    return [0, *np.cumsum(steps)[:-1].tolist()]


def open_gop(path: Path) -> Path:
    return film(path, options={**X264, "x264-params": OPEN})


def edited(path: Path) -> Path:
    """A copy that begins in the middle of a group of pictures, by an edit."""
    whole = open_gop(path.with_name("whole.mp4"))
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        stream = source.streams.video[0]
        out = output.add_stream_from_template(stream)
        late = round(0.5 / (stream.time_base or 1))
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - late, packet.dts - late
                packet.stream = out
                output.mux(packet)
    return path


def again(path: Path) -> Path:
    """Two films joined by their bytes, so that the clock begins anew."""
    part = open_gop(path.with_name(f"part{path.suffix}")).read_bytes()
    path.write_bytes(part + part)
    return path


FILMS: dict[str, Callable[[Path], Path]] = {
    "open_gop.mp4": open_gop,
    "open_gop.mkv": open_gop,
    "open_gop.ts": open_gop,
    "open_gop.flv": open_gop,
    "refresh.mp4": lambda path: film(
        path, options={**X264, "x264-params": "intra-refresh=1:keyint=20"}
    ),
    "far.mp4": lambda path: film(path, group=500, options=X264),
    "layers.mp4": lambda path: film(
        path, "libx265", options={"preset": "medium", "x265-params": LAYERS}
    ),
    "open_hevc.mkv": lambda path: film(
        path,
        "libx265",
        options={
            "preset": "ultrafast",
            "x265-params": "open-gop=1:bframes=4:keyint=20:log-level=none",
        },
    ),
    "av1.mp4": lambda path: film(
        path, "libsvtav1", options={"preset": "12", "svtav1-params": "keyint=20"}
    ),
    "vp9.webm": lambda path: film(
        path, "libvpx-vp9", options={"cpu-used": "8", "lag-in-frames": "9"}
    ),
    "vp8.webm": lambda path: film(
        path, "libvpx", options={"cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "9"}
    ),
    "every_key.mkv": lambda path: film(path, "mjpeg", kind="yuvj420p"),
    "mpeg2.mpg": lambda path: film(path, "mpeg2video", group=12, options={"bf": "2"}),
    "mpeg2.ts": lambda path: film(path, "mpeg2video", group=12, options={"bf": "2"}),
    "mpeg4.avi": lambda path: film(path, "mpeg4", group=12, options={"bf": "2"}),
    "h264.avi": open_gop,
    "varied.mp4": lambda path: film(path, options=X264, ticks=varied()),
    "varied.mkv": lambda path: film(path, options=X264, ticks=varied()),
    "edited.mp4": edited,
    "again.ts": again,
    "again.mkv": again,
}


@pytest.mark.parametrize("name", FILMS)
def test_a_sought_frame_is_that_of_a_whole_decode(tmp_path: Path, name: str) -> None:
    path = FILMS[name](tmp_path / name)
    whole = list(stream_frames(path))
    times = [frame.time for frame in whole]
    assert len({frame.pixels.tobytes() for frame in whole}) > 100
    last = times[-1]
    rising = [float(time) for time in np.arange(0.15, last, 0.73)]
    for wanted in (rising, [*rising[::-2], last, 0.0], [last + 5, times[40], times[40] + 0.001]):
        for time, found in zip(wanted, frames_at(path, wanted), strict=True):
            place = int(np.searchsorted(times, time, "right")) - 1
            assert found.time == times[place]
            assert (found.pixels == whole[place].pixels).all()


def test_a_seek_into_a_refresh_is_not_trusted(tmp_path: Path) -> None:
    path = FILMS["refresh.mp4"](tmp_path / "refresh.mp4")
    for frame in list(stream_frames(path))[::3]:  # at every place of the 20 frames of a refresh
        [found] = frames_at(path, [frame.time])
        assert found.time == frame.time
        assert (found.pixels == frame.pixels).all()


@pytest.mark.parametrize("name", FILMS)
def test_a_frame_near_a_time_is_that_of_a_whole_decode(tmp_path: Path, name: str) -> None:
    path = FILMS[name](tmp_path / name)
    whole = list(stream_frames(path))
    times = [frame.time for frame in whole]
    middles = [float(time) for time in np.arange(0.35, times[-1], 0.7)]
    for reach in (0.0, 0.2, 0.35, 100.0):
        found = list(frames_near(path, [(time, reach) for time in middles]))
        assert len(found) == len(middles)
        for middle, (time, frame) in zip(middles, found, strict=True):
            assert abs(time - middle) <= reach
            assert time in (middle, frame.time)
            place = int(np.searchsorted(times, time, "right")) - 1
            assert frame.time == times[place]
            assert (frame.pixels == whole[place].pixels).all()


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The stamps of all frames that are decoded from here on."""
    decoded: list[int | None] = []
    plain = decode.decode

    def counted(*arguments: Any) -> Iterator[Any]:
        for frame in plain(*arguments):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(decode, "decode", counted)
    return decoded


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("open_gop.mp4", 8),  # all of those 0.8 s apart
        ("open_gop.mkv", 8),
        ("open_hevc.mkv", 8),
        ("vp9.webm", 8),
        ("vp8.webm", 8),
        ("av1.mp4", 8),
        ("every_key.mkv", 8),
        ("far.mp4", 1),
        ("refresh.mp4", 1),  # by intra refresh: but for the first there are no whole key frames
        ("open_gop.ts", 0),  # no index
        ("h264.avi", 0),  # no times
        ("again.mkv", 0),  # clocks that begin anew
    ],
)
def test_a_key_frame_is_decoded_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, least: int
) -> None:
    path = FILMS[name](tmp_path / name)
    wanted = [(0.3 + 0.8 * number, 0.4) for number in range(8)]
    own = [near.time for near in frames_near(path, wanted) if near.time not in dict(wanted)]
    assert len(own) == least
    decoded = count_decoded(monkeypatch)
    list(frames_near(path, wanted))
    if least == len(wanted):
        assert len(decoded) == least + 2  # and the first two, which tell the size


def test_the_nearest_key_frame_is_taken_the_earlier_of_two(tmp_path: Path) -> None:
    path = FILMS["every_key.mkv"](tmp_path / "every_key.mkv")
    wanted = [0.02, 0.5, 0.53, 1.0, 5.99]
    found = [near.time for near in frames_near(path, [(time, 1.0) for time in wanted])]
    assert found == pytest.approx([0.0, 0.48, 0.52, 1.0, 5.96], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "wanted", "most"),
    [
        ("open_gop.mp4", [0.1, 2.5, 4.9], 60),  # a little after key frames
        ("open_gop.mkv", [0.1, 2.5, 4.9], 60),
        ("far.mp4", [2.0, 4.0, 5.9], 110),  # a single key frame: what none refers to is left out
    ],
)
def test_few_frames_are_decoded_for_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wanted: list[float], most: int
) -> None:
    path = FILMS[name](tmp_path / name)
    decoded = count_decoded(monkeypatch)
    assert len(list(frames_at(path, wanted))) == 3
    assert len(decoded) < most


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts bytes")
def test_the_pictures_of_an_mp4_are_not_read_for_its_sound(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (360, 640, 3), dtype=np.uint8)] * 25
    path = make_video(tmp_path / "a.mov", noise, codec="rawvideo", sound=sine(440, 1, 44_100))
    read_sound(path)  # its timeline is remembered
    counts = Path("/proc/self/io")
    before = int(counts.read_text().split("rchar: ")[1].split()[0])
    assert len(read_sound(path)) == 16_000
    after = int(counts.read_text().split("rchar: ")[1].split()[0])
    assert after - before < path.stat().st_size / 4
