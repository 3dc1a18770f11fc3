"""A painted video is the original one with other pixels: its times and its sound stay."""

import gc
import resource
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import (
    coded_pictures,
    coloured_video,
    frequency_of,
    join_pictures,
    make_sound,
    make_video,
    number_of,
    numbered,
    sine,
    turn,
)

from hearsight.errors import HearsightError
from hearsight.media import write
from hearsight.media.read import Frame, probe, read_sound, stream_frames, stream_sound
from hearsight.media.source import MediaError
from hearsight.media.write import check_paint, paint_video, write_video

NTSC = Fraction(30_000, 1001)
FRAMES = [numbered(number) for number in range(40)]
TONE = np.stack([sine(440, 1.6, 48_000), sine(550, 1.6, 48_000)])
WEB = {"codec": "libvpx-vp9", "sound_codec": "libopus"}
OLD = {"codec": "mpeg4", "sound_codec": "libmp3lame"}


def later(frame: Frame) -> np.ndarray:
    """Paint the next number over."""
    return numbered(number_of(frame.pixels) + 1, frame.pixels.shape[1], frame.pixels.shape[0])


def times(path: Path) -> list[float]:
    return [frame.time for frame in stream_frames(path)]


def numbers(path: Path) -> list[int]:
    return [number_of(frame.pixels) for frame in stream_frames(path)]


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        ("a.mp4", "b.mp4", {}),
        ("a.mp4", "b.mkv", {}),
        ("a.mkv", "b.mp4", {}),
        ("a.mov", "b.mp4", {"sound_codec": "pcm_s16le"}),
        ("a.avi", "b.MP4", OLD),
        ("a.webm", "b.webm", WEB),
        ("a.webm", "b.mp4", WEB),
        ("a.nut", "b.mp4", {"codec": "ffv1", "kind": "bgr0", "sound_codec": "pcm_s16le"}),
    ],
)
def test_frames_are_painted_and_sound_packets_copied(
    tmp_path: Path, source: str, target: str, options: dict[str, str]
) -> None:
    settings = {"sound": TONE, "sound_rate": 48_000, **options}
    original = make_video(tmp_path / source, FRAMES, **settings)  # type: ignore[arg-type]
    painted = tmp_path / target
    paint_video(original, painted, later)
    assert numbers(painted) == list(range(1, 41))
    assert times(painted) == pytest.approx(times(original), abs=1e-6)
    if source == "a.nut":  # plain samples, which .mp4 cuts into packets of another size
        assert b"".join(sound_packets(painted)) == b"".join(sound_packets(original))
    else:
        assert sound_packets(painted) == sound_packets(original)
    before, after = (read_sound(path)[1000:24_000] for path in (original, painted))
    shift = range(-8, 9)  # a container with a clock of milliseconds rounds by half a one
    gaps = [np.abs(before[100:-100] - np.roll(after, lag)[100:-100]).max() for lag in shift]
    assert min(gaps) < 0.06
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source, target])


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("rate", [NTSC, Fraction(24_000, 1001), Fraction(25), Fraction(60)])
def test_the_frame_rate_stays_exact(
    tmp_path: Path, source: str, target: str, rate: Fraction
) -> None:
    original = make_video(tmp_path / source, FRAMES, rate=rate)
    paint_video(original, tmp_path / target, lambda frame: frame.pixels)
    assert probe(tmp_path / target).frame_rate == rate
    if target == "b.mp4" and source != "a.ts":
        # also where the source's clock only has milliseconds
        assert times(tmp_path / target) == [float(number / rate) for number in range(40)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_varying_frame_rate_stays(tmp_path: Path, name: str) -> None:
    ticks = np.cumsum([0, *[17, 100, 33, 250, 40, 5] * 5]).tolist()
    frames = FRAMES[: len(ticks)]
    original = make_video(tmp_path / name, frames, ticks=ticks, time_base=Fraction(1, 1000))
    for target in (tmp_path / "b.mp4", tmp_path / "b.mkv"):
        paint_video(original, target, later)
        assert times(target) == [tick / 1000 for tick in ticks]
        assert numbers(target) == list(range(1, len(ticks) + 1))


def test_one_frame_keeps_its_duration(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", FRAMES[:1], rate=Fraction(2))
    paint_video(original, tmp_path / "b.mp4", later)
    assert numbers(tmp_path / "b.mp4") == [1]
    assert probe(tmp_path / "b.mp4").duration == pytest.approx(0.5)


def test_rotation_is_baked_in(tmp_path: Path) -> None:
    upper = np.zeros((48, 64, 3), np.uint8)
    upper[:24] = 250
    original = turn(make_video(tmp_path / "a.mp4", [upper] * 3), (0, 1, -1, 0))
    paint_video(original, tmp_path / "b.mp4", lambda frame: frame.pixels)
    with av.open(str(tmp_path / "b.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (48, 64, 0)
    pixels = next(stream_frames(tmp_path / "b.mp4")).pixels
    assert pixels[:, 30:].min() > 240  # what was above is right after a turn clockwise
    assert pixels[:, :18].max() < 10


def test_odd_sizes_keep_every_pixel(tmp_path: Path) -> None:
    frames = [numbered(number, 63, 47) for number in range(4)]
    original = make_video(tmp_path / "a.mkv", frames, codec="ffv1", kind="bgr0")
    paint_video(original, tmp_path / "b.mp4", later)
    painted = next(stream_frames(tmp_path / "b.mp4")).pixels
    assert painted.shape == (48, 64, 3)
    assert np.abs(painted.astype(int) - numbered(1)).max() < 5


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "b.webm"])
@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(16, 11), (93, 48)), (Fraction(1, 2), (64, 96))]
)
def test_a_painted_film_has_square_pixels(
    tmp_path: Path, target: str, aspect: Fraction, size: tuple[int, int]
) -> None:
    original = join_pictures(tmp_path / "a.mkv", coded_pictures(FRAMES[:3], aspect=aspect))
    paint_video(original, tmp_path / target, later)
    with av.open(str(tmp_path / target)) as container:
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)
    info = probe(tmp_path / target)
    assert (info.width, info.height) == (size[0] + size[0] % 2, size[1])  # 4:2:0 needs even sizes
    assert numbers(tmp_path / target) == [1, 2, 3]


def test_a_film_that_changes_size_is_painted_in_its_first_one(tmp_path: Path) -> None:
    sizes = ((64, 48), (128, 96), (48, 80))
    parts = [
        coded_pictures([numbered(8 * at + n, *size) for n in range(8)])
        for at, size in enumerate(sizes)
    ]
    original = join_pictures(tmp_path / "a.mkv", *parts)
    paint_video(original, tmp_path / "b.mp4", later)
    assert numbers(tmp_path / "b.mp4") == list(range(1, 25))
    assert {frame.pixels.shape for frame in stream_frames(tmp_path / "b.mp4")} == {(48, 64, 3)}


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "b.webm"])
@pytest.mark.parametrize(
    ("height", "matrix", "full", "tags", "stated"),
    [  # numbers of matrix, primaries and transfer function; 2: not stated
        (480, 5, False, None, (6, 2, 2)),
        (720, 1, False, None, (1, 2, 2)),
        (480, 1, False, (1, 1, 1), (1, 1, 1)),
        (480, 5, True, (5, 5, 6), (5, 5, 6)),
        (720, 1, True, (1, 1, 13), (1, 1, 13)),
        (480, 9, False, (9, 9, 14), (9, 9, 14)),  # BT.2020 without HDR
        (720, 1, False, (3, 3, 3), (1, 2, 2)),  # numbers without a meaning
    ],
)
def test_a_painted_film_keeps_its_colours_and_states_what_they_are(
    tmp_path: Path,
    target: str,
    height: int,
    matrix: int,
    full: bool,
    tags: tuple[int, int, int] | None,
    stated: tuple[int, int, int],
) -> None:
    red = (200, 40, 40)
    path = tmp_path / "a.mkv"
    coloured_video(path, red, height=height, matrix=matrix, full=full, tags=tags)
    paint_video(path, tmp_path / target, lambda frame: frame.pixels)
    with av.open(str(tmp_path / target)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == stated
        assert frame.color_range == 1
        # read by someone who goes by what the file states, in numbers of his own
        luma, blue, red_part = (
            float(np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[20, 20])
            for plane in frame.planes
        )
    of_red, of_blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(stated[0], (0.299, 0.114))
    grey, blue, red_part = (luma - 16) / 219, (blue - 128) / 112, (red_part - 128) / 112
    shown_red, shown_blue = grey + red_part * (1 - of_red), grey + blue * (1 - of_blue)
    green = (grey - of_red * shown_red - of_blue * shown_blue) / (1 - of_red - of_blue)
    shown = np.array([shown_red, green, shown_blue]) * 255
    assert np.abs(shown - red).max() <= 4


def test_colours_are_kept(tmp_path: Path) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    frame = patches.repeat(16, axis=0).repeat(16, axis=1)
    write_video(tmp_path / "a.mp4", [frame] * 3, frame_rate=Fraction(25))
    with av.open(str(tmp_path / "a.mp4")) as container:
        decoded = next(container.decode(video=0))
        assert (decoded.colorspace, decoded.color_range) == (1, 1)  # BT.709, 16 to 235
    read = next(stream_frames(tmp_path / "a.mp4")).pixels.astype(int)
    assert np.abs((read - frame)[8::16, 8::16]).max() <= 5


def test_painting_may_change_the_size_of_all_frames(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", FRAMES[:3])
    strip = ((0, 16), (0, 0), (0, 0))
    paint_video(original, tmp_path / "b.mp4", lambda frame: np.pad(frame.pixels, strip))
    assert (probe(tmp_path / "b.mp4").width, probe(tmp_path / "b.mp4").height) == (64, 64)


def test_a_sound_that_begins_late_or_is_missing(tmp_path: Path) -> None:
    late = make_video(tmp_path / "a.mkv", FRAMES, sound=sine(440, 0.8, 44_100), sound_start=0.8)
    paint_video(late, tmp_path / "b.mp4", later)
    sound = read_sound(tmp_path / "b.mp4")
    assert np.abs(sound[:12_300]).max() < 1e-3
    assert np.abs(sound[13_000:25_000]).max() > 0.45
    paint_video(make_video(tmp_path / "a.mp4", FRAMES), tmp_path / "c.mp4", later)
    assert not probe(tmp_path / "c.mp4").has_sound


def test_a_video_may_be_painted_onto_itself(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", FRAMES, sound=TONE)
    packets = sound_packets(path)
    paint_video(path, path, later)
    assert numbers(path) == list(range(1, 41))
    assert sound_packets(path) == packets


def fail_late() -> Callable[[Frame], np.ndarray]:
    def paint(frame: Frame) -> np.ndarray:
        if frame.time > 1:
            raise RuntimeError("the painter fell off the ladder")
        return frame.pixels

    return paint


def test_frames_are_let_go_at_once(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", FRAMES, sound=TONE)
    kept = []

    def count(frame: Frame) -> np.ndarray:
        kinds = (av.VideoFrame, av.AudioFrame)
        kept.append(sum(type(thing) in kinds for thing in gc.get_objects()))
        return frame.pixels

    gc.collect()
    gc.disable()  # a frame in a cycle would wait for the collector, a gigabyte of them too
    gc.freeze()  # what there is already is not counted again and again
    try:
        paint_video(original, tmp_path / "b.mp4", count)
        for _ in stream_sound(original, seconds=0.1):
            count(Frame(0.0, FRAMES[0]))
    finally:
        gc.unfreeze()
        gc.enable()
    assert 0 < max(kept) <= kept[0] + 4


def test_a_failure_leaves_nothing_behind_and_the_older_file_as_it_was(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", FRAMES, sound=TONE)
    target = tmp_path / "b.mp4"
    with pytest.raises(RuntimeError, match="ladder"):
        paint_video(original, target, fail_late())
    assert not target.exists()
    target.write_bytes(b"older")
    with pytest.raises(RuntimeError, match="ladder"):
        paint_video(original, target, fail_late())
    sizes = iter(range(8, 99, 2))
    with pytest.raises(ValueError, match="a frame of shape"):
        paint_video(original, target, lambda frame: frame.pixels[: next(sizes)])
    assert target.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 20 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_full_disk_is_said_plainly(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(MediaError) as said:
        write_video(tmp_path / name, noise, frame_rate=Fraction(25))
    assert str(said.value).endswith(f"{name}' cannot be written: File too large.")
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", FRAMES[:3], sound=TONE)
    (tmp_path / "folder.mp4").mkdir()
    for target, fault in (
        ("b.txt", r"must end in \.mp4, \.m4v, \.mov, \.mkv or \.webm"),
        ("none/b.mp4", "there is no folder"),
        ("folder.mp4", "is a folder"),
    ):
        with pytest.raises(HearsightError, match=rf"^'.*{target}'.*{fault}.*\.$"):
            paint_video(original, tmp_path / target, later)
    with pytest.raises(MediaError, match="there is no frame"):
        write_video(tmp_path / "b.mp4", [], frame_rate=Fraction(25))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "folder.mp4"]


def test_what_an_encoder_cannot_take_is_refused_before_any_work(tmp_path: Path) -> None:
    wide = make_video(
        tmp_path / "a.mkv", [np.zeros((16, 16_400, 3), np.uint8)], codec="ffv1", kind="bgr0"
    )
    said = r"b.mp4' cannot be written: libx264 refuses frames of 16400x16 pixels\.$"
    with pytest.raises(MediaError, match=said):
        check_paint(probe(wide), tmp_path / "b.mp4")
    with pytest.raises(MediaError, match=said):
        paint_video(wide, tmp_path / "b.mp4", lambda frame: frame.pixels)
    check_paint(probe(wide), tmp_path / "b.webm")
    with pytest.raises(HearsightError, match=r"must end in \.mp4"):
        check_paint(probe(wide), tmp_path / "b.avi")
    sound = make_sound(tmp_path / "a.wav", sine(440, 1, 16_000), 16_000, "pcm_s16le")
    with pytest.raises(MediaError, match=r"a.wav' has no moving pictures"):
        check_paint(probe(sound), tmp_path / "b.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "a.wav"}


def test_an_encoder_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(write.OPTIONS, "h264_of_nobody", {})
    monkeypatch.setitem(write.ENCODERS, ".mp4", "h264_of_nobody")
    path = make_video(tmp_path / "a.mkv", FRAMES[:1])
    with pytest.raises(MediaError, match="this build of FFmpeg has no encoder 'h264_of_nobody'"):
        check_paint(probe(path), tmp_path / "b.mp4")


def test_sources_that_cannot_be(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "a.wav", sine(440, 1, 16_000), 16_000, "pcm_s16le")
    with pytest.raises(MediaError, match=r"a.wav' has no moving pictures"):
        paint_video(sound, tmp_path / "b.mp4", later)
    with pytest.raises(MediaError, match=r"c.mp4' does not exist"):
        paint_video(tmp_path / "c.mp4", tmp_path / "b.mp4", later)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_source_cut_short_is_painted_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mkv", FRAMES, sound=TONE, sound_rate=48_000)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    paint_video(whole, tmp_path / "b.mp4", lambda frame: frame.pixels)
    assert numbers(tmp_path / "b.mp4") == numbers(whole)
    assert 10 < len(numbers(whole)) < 35


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov"])
@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_composed_videos_have_the_frames_and_the_sound_given(
    tmp_path: Path, name: str, kind: type
) -> None:
    sound = sine(440, 40 / 29.97, 16_000)
    given = sound if kind is np.float32 else (sound * 32_767).astype(np.int16)
    write_video(tmp_path / name, iter(FRAMES), frame_rate=NTSC, sound=given, rate=16_000)
    info = probe(tmp_path / name)
    assert (info.width, info.height, info.frame_rate, info.channels) == (64, 48, NTSC, 1)
    assert numbers(tmp_path / name) == list(range(40))
    read = read_sound(tmp_path / name)[: len(sound)]
    assert frequency_of(read, 16_000) == pytest.approx(440, abs=0.5)
    assert np.corrcoef(read, sound[: len(read)])[0, 1] > 0.999  # and in its place
    assert len(read) == pytest.approx(len(sound), abs=10)


def test_sound_longer_or_shorter_than_the_picture_is_kept_whole(tmp_path: Path) -> None:
    for seconds in (0.1, 4.0):
        given = sine(440, seconds, 16_000)
        write_video(tmp_path / "a.mp4", FRAMES[:25], frame_rate=Fraction(25), sound=given)
        assert len(read_sound(tmp_path / "a.mp4")) / 16_000 == pytest.approx(seconds, abs=0.1)
        assert numbers(tmp_path / "a.mp4") == list(range(25))
