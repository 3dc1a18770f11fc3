"""What is laid over the planes of a frame is what would be laid over its RGB pixels."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import (
    coded_pictures,
    join_pictures,
    luma_and_chroma,
    make_video,
    number_of,
    numbered,
    planes_of,
    sine,
    smooth,
    turn,
)
from PIL import Image

from hearsight.media.pixels import coded, colours
from hearsight.media.read import Frame, decode_pictures, stream_frames
from hearsight.media.source import open_media
from hearsight.media.timeline import timeline_of
from hearsight.media.veils import Veil, Veils
from hearsight.media.write import paint_video

NOTHING = Veil(None)


def blended(pixels: np.ndarray, veil: np.ndarray) -> np.ndarray:
    """RGB with a veil of its size over it, by definition and unrounded."""
    opacity = veil[..., 3:] / 255
    return pixels * (1 - opacity) + veil[..., :3] * opacity


def gentle_veil(width: int, height: int) -> np.ndarray:
    return np.dstack([smooth(width, height, 1), smooth(width, height, 2)[..., 0]])


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize(("width", "height"), [(640, 360), (98, 54)])
def test_a_veil_is_laid_as_over_rgb(width: int, height: int, matrix: int) -> None:
    pixels, veil = smooth(width, height), gentle_veil(width, height)
    laid = Veils(width, height, matrix).lay(Veil(veil), coded(pixels, matrix))
    assert (laid.width, laid.height, laid.format.name) == (width, height, "yuv420p")
    right = luma_and_chroma(blended(pixels, veil), matrix)
    for plane, values in zip(planes_of(laid), right, strict=True):
        assert np.abs(plane - values).max() <= 3
        assert abs((plane - values).mean()) < 0.25


def test_a_small_veil_is_stretched_with_the_centres_of_its_pixels_kept() -> None:
    veil = np.zeros((6, 8, 4), np.uint8)
    veil[..., :3] = 255
    veil[1, 5, 3] = 255
    laid = Veils(160, 120, 1).lay(Veil(veil), coded(np.zeros((120, 160, 3), np.uint8), 1))
    luma = planes_of(laid)[0].astype(float) - 16
    y, x = (np.average(grid, weights=luma.clip(8) - 8) for grid in np.mgrid[:120, :160])
    assert (y + 0.5, x + 0.5) == pytest.approx((30, 110), abs=1)
    assert luma.max() > 200


@pytest.mark.parametrize("tall", [1, 3, 4, 53, 54])
def test_a_strip_lies_along_the_bottom_over_the_veil(tall: int) -> None:
    pixels, veil = smooth(98, 54), gentle_veil(98, 54)
    strip = np.zeros((tall, 98, 4), np.uint8)
    strip[:] = (255, 196, 46, 200)
    strip[:, 40:50] = 255
    laid = Veils(98, 54, 1).lay(Veil(veil, strip), coded(pixels, 1))
    painted = blended(pixels, veil)
    painted[-tall:] = blended(painted[-tall:], strip)
    right = luma_and_chroma(painted, 1)
    for plane, values in zip(planes_of(laid), right, strict=True):
        assert np.abs(plane - values).max() <= 4
    without = Veils(98, 54, 1).lay(Veil(veil), coded(pixels, 1))
    assert np.array_equal(planes_of(laid)[0][:-tall], planes_of(without)[0][:-tall])


def test_frames_come_out_one_by_one_in_their_turn_and_the_given_ones_stay() -> None:
    veils, half = Veils(64, 48, 1), np.full((3, 4, 4), (0, 0, 0, 128), np.uint8)
    for number in (3, 1, 2):
        frame = coded(numbered(number), 1)
        before = planes_of(frame)
        assert veils.lay(NOTHING, frame) is frame
        laid = veils.lay(Veil(half), frame)
        assert np.abs(planes_of(laid)[0] - (8 + before[0] / 2)).max() <= 1
        assert all(map(np.array_equal, planes_of(frame), before))


TURNS = {  # the display matrix and what it does with pixels
    "turned": ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1)),
    "turned back": ((0, -1, 1, 0), np.rot90),
    "upside down": ((-1, 0, 0, -1), lambda pixels: pixels[::-1, ::-1]),
    "mirrored": ((-1, 0, 0, 1), lambda pixels: pixels[:, ::-1]),
}


def film_of(path: Path, kind: str) -> tuple[Path, list[np.ndarray]]:
    """A film, and its frames as they are shown."""
    frames = [smooth(64, 48, seed) for seed in range(3)]
    if kind in TURNS:
        matrix, turning = TURNS[kind]
        path = turn(make_video(path.with_suffix(".mp4"), frames), matrix)
        return path, [turning(frame) for frame in frames]
    if kind == "wide pixels":
        join_pictures(path, coded_pictures(frames, aspect=Fraction(2)))
        stretched = [
            Image.fromarray(frame).resize((128, 48), Image.Resampling.BILINEAR) for frame in frames
        ]
        return path, [np.asarray(frame) for frame in stretched]
    if kind == "another size":
        larger = [smooth(128, 96, seed) for seed in range(3)]
        return join_pictures(path, coded_pictures(frames), coded_pictures(larger)), 2 * frames
    codec = "libx264" if kind == "yuvj420p" else "ffv1"
    return make_video(path, frames, codec=codec, kind=kind), frames


@pytest.mark.parametrize(
    "kind",
    [
        *("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "bgr0"),
        *TURNS,
        *("wide pixels", "another size"),
    ],
)
def test_planes_are_those_of_what_is_shown(tmp_path: Path, kind: str) -> None:
    path, frames = film_of(tmp_path / "a.mkv", kind)
    with open_media(path) as source:
        count = 0
        for decoded, _, display in decode_pictures(source, timeline_of(source)):
            matrix = colours(decoded).matrix
            right = frames[count]
            planes = display.planes(decoded, matrix)
            assert (planes.width, planes.height) == display.size == right.shape[1::-1]
            assert planes.format.name == "yuv420p"
            exact = luma_and_chroma(right, 1 if kind == "bgr0" else 6)
            lossless = kind.startswith(("yuv4", "bgr"))
            most = 2 if lossless else 7
            for plane, values in zip(planes_of(planes), exact, strict=True):
                assert np.abs(plane - values).max() <= most
                assert abs((plane - values).mean()) < 0.6
            count += 1
        assert count == len(frames)


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "b.webm"])
def test_a_film_under_veils_keeps_its_frames_times_and_sound(tmp_path: Path, target: str) -> None:
    ticks = np.cumsum([0, *[17, 100, 33, 250, 40] * 4]).tolist()
    frames = [numbered(number) for number in range(len(ticks))]
    clock = {"ticks": ticks, "time_base": Fraction(1, 1000)}
    sound = sine(440, 1.6, 48_000)
    path = make_video(tmp_path / "a.mkv", frames, sound=sound, sound_rate=48_000, **clock)
    asked: list[tuple[float, int, int]] = []

    def veil(*frame: float | int) -> Veil:
        asked.append(frame)
        return NOTHING

    paint_video(path, tmp_path / target, refuse, veil=veil, notice=lambda said: None)
    assert asked == [(tick / 1000, 48, 64) for tick in ticks]
    painted = list(stream_frames(tmp_path / target))
    assert [frame.time for frame in painted] == [tick / 1000 for tick in ticks]
    assert [number_of(frame.pixels) for frame in painted] == list(range(len(ticks)))


def refuse(frame: Frame) -> np.ndarray:
    raise AssertionError("a frame was painted over that a veil is laid on")


def test_films_with_an_odd_side_are_painted(tmp_path: Path) -> None:
    frames = [numbered(number, 63, 47) for number in range(3)]
    path = make_video(tmp_path / "a.mkv", frames, codec="ffv1", kind="bgr0")
    paint_video(path, tmp_path / "b.mp4", lambda frame: numbered(9, 63, 47), veil=fail)
    assert {number_of(frame.pixels) for frame in stream_frames(tmp_path / "b.mp4")} == {9}


def fail(time: float, height: int, width: int) -> Veil:
    raise RuntimeError("the veil tore")


def test_a_veil_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", [numbered(number) for number in range(3)])
    with pytest.raises(RuntimeError, match="tore"):
        paint_video(path, tmp_path / "b.mp4", refuse, veil=fail)
    assert [each.name for each in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("veil", [None, lambda *_: NOTHING], ids=["painted", "veiled"])
def test_the_encoder_chooses_its_own_key_frames_and_cuts_no_slices(
    tmp_path: Path, veil: Callable[[float, int, int], Veil] | None
) -> None:
    path = make_video(tmp_path / "a.mp4", [smooth(64, 48)] * 20, group=1)
    paint_video(path, tmp_path / "b.mp4", lambda frame: frame.pixels, veil=veil)
    with av.open(str(tmp_path / "b.mp4")) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys == [True] + 19 * [False]
    assert b"sliced_threads=0" in (tmp_path / "b.mp4").read_bytes()  # x264 says how it was told
