"""Each part of a film has the colours that it states itself, in whatever order it is read."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import made_once

from hearsight.media.read import frames_at, stream_frames
from hearsight.media.stated_colours import Stated, stated_in
from hearsight.media.write import paint_video

RED = (200, 40, 40)
LENGTH = 15  # frames of a part
BT709, BT601 = 1, 6
LIMITED, FULL = 1, 2
Part = tuple[int, int, bool]  # matrix, range, whether they are stated


@made_once
def make_part(path: Path, part: Part, codec: str = "libx264", **options: str) -> Path:
    """Red in MPEG-TS, 64 x 48, with B-frames and two key frames."""
    matrix, stated_range, states = part
    quiet = {"x265-params": "log-level=none:keyint=12"} if codec == "libx265" else {"g": "12"}
    with av.open(str(path), "w", format="mpegts") as output:
        stream = output.add_stream(codec, rate=25, options={"crf": "4", **quiet, **options})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        context = stream.codec_context
        if states:
            context.colorspace, context.color_range = matrix, stated_range
            context.color_primaries = context.color_trc = matrix
        for number in range(LENGTH):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), RED, np.uint8))
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=matrix, dst_color_range=stated_range
            )
            frame.pts = number
            frame.colorspace, frame.color_range = (matrix, stated_range) if states else (2, 0)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def joined(path: Path, codec: str, *parts: Part) -> Path:
    made = [make_part(path.with_name(f"{n}.ts"), part, codec) for n, part in enumerate(parts)]
    path.write_bytes(b"".join(each.read_bytes() for each in made))
    return path


SAID, UNSAID = (BT709, LIMITED, True), (BT601, LIMITED, False)
WIDE = (BT709, FULL, True)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize(
    "parts", [(SAID, UNSAID), (UNSAID, SAID), (WIDE, UNSAID, SAID), (UNSAID, WIDE), (WIDE, SAID)]
)
def test_every_part_of_a_joined_film_is_shown_in_its_own_colours(
    tmp_path: Path, codec: str, parts: tuple[Part, ...]
) -> None:
    film = joined(tmp_path / "joined.ts", codec, *parts)
    shown = list(stream_frames(film))
    assert len(shown) == LENGTH * len(parts)
    for frame in shown:
        assert np.abs(frame.pixels.astype(int) - RED).max() <= 4
    times = [frame.time for frame in shown]
    for order in (1, -1, 7, -7):
        wanted = range(len(shown))[::order]
        for number, frame in zip(wanted, frames_at(film, [times[n] for n in wanted]), strict=True):
            assert frame.time == times[number]
            assert np.array_equal(frame.pixels, shown[number].pixels)


def test_every_part_of_a_joined_film_is_painted_in_its_own_colours(tmp_path: Path) -> None:
    film = joined(tmp_path / "joined.ts", "libx264", WIDE, UNSAID, SAID)
    paint_video(film, tmp_path / "painted.mp4", lambda frame: frame.pixels)
    for frame in stream_frames(tmp_path / "painted.mp4"):
        assert np.abs(frame.pixels.astype(int) - RED).max() <= 8


PROFILES = [
    {"profile": "baseline"},
    {"profile": "main", "x264-params": "sar=64/45"},
    {"profile": "high", "x264-params": "cqm=jvt:sar=255/254"},
    {"profile": "high", "x264-params": "overscan=crop:interlaced=1"},
    {"profile": "high444", "x264-params": "cqm=jvt"},
    {"profile": "high422"},
]


@pytest.mark.parametrize(
    ("options", "matrix", "wide"), [*product(PROFILES, (False, True), (False, True))]
)
def test_a_parameter_set_of_every_profile_tells_what_it_states(
    options: dict[str, str], matrix: bool, wide: bool
) -> None:
    pictures = {"high444": "yuv444p", "high422": "yuv422p"}
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = 60, 44  # cropped
    encoder.pix_fmt = pictures.get(options["profile"], "yuv420p")
    encoder.time_base = Fraction(1, 25)
    encoder.options = options
    if matrix:
        encoder.colorspace = encoder.color_primaries = encoder.color_trc = BT709
    if wide:
        encoder.color_range = FULL
    pixels = np.zeros((44, 60, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels).reformat(format=encoder.pix_fmt)
    frame.colorspace, frame.color_range = (BT709 if matrix else 2), (FULL if wide else 0)
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    assert stated_in(bytes(packets[0])) == Stated(matrix=matrix, range=matrix or wide)


def test_what_is_no_parameter_set_states_nothing() -> None:
    for packet in (b"", b"\0\0\1", b"\0\0\1\x67", b"\0\0\1\x67\x64\0", b"\1" * 9, bytes(50)):
        assert stated_in(packet) is None
    rng = np.random.default_rng(0)
    for _ in range(500):
        stated_in(b"\0\0\1\x67" + rng.bytes(40))
        stated_in(b"\1dd\0\xff\xe1\0\x20\x67" + rng.bytes(40))
