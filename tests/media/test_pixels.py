"""Frames are shown upright, in square pixels, all of the first's size, in their own colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import (
    coded_pictures,
    coloured_video,
    join_pictures,
    make_video,
    number_of,
    numbered,
    smooth,
    turn,
)
from PIL import Image

from hearsight.media.picture import read_picture
from hearsight.media.pixels import square_size
from hearsight.media.read import ExcerptReader, frames_at, probe, stream_frames

RED = (200, 40, 40)


def half(width: int, height: int) -> np.ndarray:
    """A picture whose left half is light."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = 240
    return pixels


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.webm", "libvpx-vp9"), ("a.webm", "libvpx"), ("a.mkv", "libx264"), ("a.ts", "libx264")],
)
@pytest.mark.parametrize("sizes", [((64, 48), (128, 96)), ((64, 48), (32, 80), (96, 32))])
def test_a_picture_that_changes_size_keeps_the_first(
    tmp_path: Path, name: str, codec: str, sizes: tuple[tuple[int, int], ...]
) -> None:
    parts = [
        coded_pictures([numbered(10 * at + n, *size) for n in range(10)], codec=codec)
        for at, size in enumerate(sizes)
    ]
    path = join_pictures(tmp_path / name, *parts)
    count = 10 * len(sizes)
    shown = list(stream_frames(path))
    assert {frame.pixels.shape for frame in shown} == {(48, 64, 3)}
    assert [number_of(frame.pixels) for frame in shown] == list(range(count))
    wanted = [0.62, 0.02, 0.31, 0.71, 0.1]  # on both sides of the change, in any order
    found = list(frames_at(path, wanted))
    assert {frame.pixels.shape for frame in found} == {(48, 64, 3)}
    assert [number_of(frame.pixels) for frame in found] == [int(time * 25) for time in wanted]
    assert (probe(path).width, probe(path).height) == (64, 48)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(2), (128, 48)),
        (Fraction(16, 11), (93, 48)),
        (Fraction(64, 45), (91, 48)),
        (Fraction(1, 2), (64, 96)),
        (Fraction(8, 9), (64, 54)),
        (Fraction(1), (64, 48)),
        (Fraction(10), (640, 48)),
        (Fraction(60000), (64, 48)),  # a damaged header
        (Fraction(1, 60000), (64, 48)),
        (None, (64, 48)),
    ],
)
def test_pixels_that_are_not_square_are_shown_as_they_look(
    tmp_path: Path, aspect: Fraction | None, size: tuple[int, int]
) -> None:
    coded = coded_pictures([half(64, 48)] * 5, aspect=aspect)
    path = join_pictures(tmp_path / "a.mkv", coded)
    width, height = size
    info = probe(path)
    assert (info.width, info.height) == size
    for pixels in (next(stream_frames(path)).pixels, next(frames_at(path, [0.1])).pixels):
        assert pixels.shape == (height, width, 3)
        assert pixels[:, : width // 2 - 6].min() > 225
        assert pixels[:, width // 2 + 6 :].max() < 15


@pytest.mark.parametrize(
    ("width", "height", "aspect", "shown"),
    [  # what broadcasters and discs store
        (1440, 1080, Fraction(4, 3), (1920, 1080)),
        (720, 576, Fraction(64, 45), (1024, 576)),
        (720, 576, Fraction(16, 15), (768, 576)),
        (720, 480, Fraction(8, 9), (720, 540)),
        (720, 480, Fraction(32, 27), (853, 480)),
        (352, 576, Fraction(24, 11), (768, 576)),
    ],
)
def test_one_dimension_grows_and_none_shrinks(
    width: int, height: int, aspect: Fraction, shown: tuple[int, int]
) -> None:
    assert square_size(width, height, aspect) == shown


def test_stretched_pixels_are_stretched_before_they_are_turned(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    join_pictures(path, coded_pictures([half(64, 48)] * 3, aspect=Fraction(2)))
    turn(path, (0, 1, -1, 0))
    assert (probe(path).width, probe(path).height) == (48, 128)
    pixels = next(stream_frames(path)).pixels
    assert pixels[:58].min() > 225  # what was left is above after a turn clockwise
    assert pixels[70:].max() < 15


def test_pixels_that_change_their_shape_are_scaled_to_the_first_size(tmp_path: Path) -> None:
    for name, aspects, size in (
        ("a.ts", (None, Fraction(2)), (64, 48)),
        ("a.ts", (Fraction(2), None), (128, 48)),
        ("a.mkv", (Fraction(2), None), (128, 48)),
        ("a.mp4", (Fraction(2), None), (128, 48)),
    ):
        parts = [coded_pictures([half(64, 48)] * 5, aspect=aspect) for aspect in aspects]
        path = join_pictures(tmp_path / name, *parts)
        width, height = size
        assert {frame.pixels.shape for frame in stream_frames(path)} == {(height, width, 3)}
        shown = next(frames_at(path, [0.3])).pixels
        assert shown[:, : width // 2 - 6].min() > 225


def test_a_rotation_that_begins_in_mid_film_is_obeyed_from_there_on(tmp_path: Path) -> None:
    straight = half(64, 48)
    lying = np.ascontiguousarray(np.rot90(straight, -1))
    parts = [coded_pictures([straight] * 10), coded_pictures([lying] * 10, rotation=90)]
    path = join_pictures(tmp_path / "a.mkv", *parts)
    shown = list(stream_frames(path))
    assert len(shown) == 20
    assert {frame.pixels.shape for frame in shown} == {(48, 64, 3)}
    for frame in [*shown, *frames_at(path, [0.3, 0.75, 0.58, 0.46])]:
        assert frame.pixels[:, :26].min() > 225
        assert frame.pixels[:, 38:].max() < 15


def test_clips_of_a_video_have_the_pixels_that_are_shown(tmp_path: Path) -> None:
    coded = coded_pictures([half(64, 48)] * 25, aspect=Fraction(2))
    silent = join_pictures(tmp_path / "a.mkv", coded)
    path = tmp_path / "b.mkv"
    with av.open(str(silent)) as original, av.open(str(path), "w") as output:
        pictures = output.add_stream_from_template(original.streams.video[0], opaque=True)
        sound = output.add_stream("flac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        for packet in [*sound.encode(frame), *sound.encode(None)]:
            output.mux(packet)
        for packet in original.demux(video=0):
            if packet.size:
                packet.stream = pictures
                output.mux(packet)
    reader = ExcerptReader(path, seconds=0.5)
    assert reader.read(0.5).frame.shape == (48, 128, 3)
    reader.close()


@pytest.mark.parametrize(
    ("height", "matrix", "full", "tags", "kind"),
    [
        (480, 5, False, None, "yuv420p"),  # players take what is not stated for BT.601 below 720,
        (720, 1, False, None, "yuv420p"),  # and for BT.709 from there on
        (480, 1, False, (1, 1, 1), "yuv420p"),
        (480, 5, False, (5, 5, 6), "yuv420p"),
        (720, 5, False, (6, 6, 6), "yuv420p"),
        (720, 1, False, (1, 1, 13), "yuv420p"),
        (480, 5, True, (5, 2, 2), "yuv420p"),
        (480, 1, True, (1, 1, 1), "yuvj420p"),
        (480, 9, False, (9, 9, 14), "yuv420p10le"),
        (720, 9, False, (9, 9, 15), "yuv420p10le"),
        (480, 9, True, (9, 9, 14), "yuv420p"),
        (480, 7, False, (7, 7, 7), "yuv444p"),
        (720, 1, False, (3, 3, 3), "yuv420p"),  # numbers that nobody has given a meaning
        (480, 5, False, (12, 2, 2), "yuv420p"),
    ],
)
def test_a_colour_is_read_by_the_matrix_and_the_range_of_its_film(
    tmp_path: Path,
    height: int,
    matrix: int,
    full: bool,
    tags: tuple[int, int, int] | None,
    kind: str,
) -> None:
    path = tmp_path / "a.mkv"
    coloured_video(path, RED, height=height, matrix=matrix, full=full, tags=tags, kind=kind)
    for frame in (next(stream_frames(path)), next(frames_at(path, [0.05]))):
        assert np.abs(frame.pixels[::50, ::50].astype(int) - RED).max() <= 3


def test_a_portrait_film_and_a_wide_one_are_high_definition_too(tmp_path: Path) -> None:
    for width, height in ((720, 1280), (1280, 536)):
        frame = np.full((height, width, 3), RED, np.uint8)
        plain = av.VideoFrame.from_ndarray(frame)
        coded = plain.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            coded.colorspace, coded.color_range, coded.pts = 2, 0, 0
            output.mux([*stream.encode(coded), *stream.encode(None)])
        pixels = next(stream_frames(path)).pixels
        assert np.abs(pixels[::50, ::50].astype(int) - RED).max() <= 3


def test_plain_rgb_is_left_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    path = make_video(tmp_path / "a.mkv", [pixels], codec="ffv1", kind="bgr0")
    assert np.array_equal(next(stream_frames(path)).pixels, pixels)


@pytest.mark.parametrize("suffix", [".avi", ".mov", ".mkv"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_motion_jpeg_of_a_camera_that_writes_exif_is_shown_upright(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    pixels = smooth(64, 48)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a camera"
    Image.fromarray(pixels).save(tmp_path / "one.jpg", exif=exif, quality=95, subsampling=0)
    path, file = tmp_path / f"a{suffix}", (tmp_path / "one.jpg").read_bytes()
    with av.open(path, "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(5):
            packet = av.Packet(file)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            output.mux(packet)
    upright = read_picture(tmp_path / "one.jpg").astype(int)
    assert (probe(path).height, probe(path).width) == upright.shape[:2]
    shown = [*stream_frames(path), *frames_at(path, [0.0, 0.1])]
    assert len(shown) == 7
    for frame in shown:
        assert frame.pixels.shape == upright.shape
        assert np.abs(frame.pixels - upright).mean() < 2
