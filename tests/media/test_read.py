"""What is read from media files is what was put in, and bad files end in one plain sentence."""

import io
import os
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from made_media import (
    frequency_of,
    make_sound,
    make_video,
    number_of,
    numbered,
    sine,
    turn,
)
from PIL import Image

from hearsight.media.picture import read_picture
from hearsight.media.read import (
    MediaError,
    frames_at,
    probe,
    read_sound,
    stream_frames,
    stream_sound,
)
from hearsight.media.sound import Block, averaged, mono

NTSC = Fraction(30_000, 1001)
NUMBERS = list(range(50))
FRAMES = [numbered(number) for number in NUMBERS]
MPEG4 = {"codec": "mpeg4", "sound_codec": "libmp3lame", "group": 6}
WEB = {"codec": "libvpx-vp9", "sound_codec": "libopus", "sound_rate": 48_000}


def quadrants() -> np.ndarray:
    """Red, green, blue and black, row by row."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32, 0] = picture[:24, 32:, 1] = picture[24:, :32, 2] = 250
    return picture


def corners(pixels: np.ndarray) -> str:
    """The colours of the four corners by their letters, row by row."""
    inner = pixels[[8, 8, -8, -8], [8, -8, 8, -8]]
    return "".join("rgb"[int(c.argmax())] if c.max() > 99 else "k" for c in inner)


def test_probe_says_what_the_file_holds(tmp_path: Path) -> None:
    rows = np.stack([sine(440, 2, 44_100)] * 2)
    info = probe(make_video(tmp_path / "a.mp4", FRAMES, rate=NTSC, sound=rows))
    assert (info.width, info.height, info.frame_rate) == (64, 48, NTSC)
    assert (info.sound_rate, info.channels) == (44_100, 2)
    assert info.duration == pytest.approx(2, abs=0.02)
    assert info.has_picture
    assert info.has_sound


@pytest.mark.parametrize("live", [False, True], ids=["whole", "without a length"])
def test_probe_finds_the_length_of_a_recording(tmp_path: Path, live: bool) -> None:
    options = {"live": "1"} if live else {}
    path = make_video(tmp_path / "a.webm", FRAMES, codec="libvpx-vp9", options=options)
    with av.open(str(path)) as container:
        assert (container.duration is None) == live
    assert probe(path).duration == pytest.approx(2, abs=0.041)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mov", {"sound_codec": "pcm_s16le"}),
        ("a.mkv", {}),
        ("a.webm", WEB),
        ("a.ts", {}),
        ("a.avi", MPEG4),
        ("a.mpg", {"codec": "mpeg2video", "sound_codec": "mp2"}),
        ("a.h264", {"sound": None}),
        ("a.gif", {"codec": "gif", "kind": "rgb8", "sound": None}),
    ],
)
def test_every_container_gives_the_same_frames_streamed_and_sought(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    settings = {"sound": sine(440, 2, 44_100), **options}
    path = make_video(tmp_path / name, FRAMES, **settings)  # type: ignore[arg-type]
    streamed = list(stream_frames(path))
    assert [number_of(frame.pixels) for frame in streamed] == NUMBERS
    gaps = np.diff([frame.time for frame in streamed])
    assert gaps[1:] == pytest.approx(0.04, abs=1e-3)
    wanted = random.Random(0).sample(streamed, 20) + streamed[::7]
    times = [frame.time + 0.003 for frame in wanted]
    for expected, found in zip(wanted, frames_at(path, times), strict=True):
        assert found.time == expected.time
        assert (found.pixels == expected.pixels).all()


def test_frames_far_apart_are_sought_whatever_the_distance_of_key_frames(tmp_path: Path) -> None:
    frames = [numbered(number, 16, 16) for number in range(500)]
    for group in (5, 1000):
        path = make_video(tmp_path / f"{group}.mp4", frames, group=group)
        times = [18.0, 0.2, 4.0, 8.0, 12.0, 16.0, 19.0, 3.0]
        found = [number_of(frame.pixels) for frame in frames_at(path, times)]
        assert found == [450, 5, 100, 200, 300, 400, 475, 75]


def test_times_outside_the_video_give_its_first_and_last_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", FRAMES)
    found = [number_of(frame.pixels) for frame in frames_at(path, [-5.0, 1e6, 0.0, 2.0, 1.9599])]
    assert found == [0, 49, 0, 49, 48]


def test_a_varying_frame_rate_shows_in_the_times(tmp_path: Path) -> None:
    ticks = np.cumsum([0, *[17, 100, 33, 250, 40] * 4]).tolist()
    frames = FRAMES[: len(ticks)]
    path = make_video(tmp_path / "a.mp4", frames, ticks=ticks, time_base=Fraction(1, 1000))
    assert [frame.time for frame in stream_frames(path)] == [tick / 1000 for tick in ticks]
    found = [number_of(frame.pixels) for frame in frames_at(path, [0.116, 0.117, 0.399, 0.4])]
    assert found == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), "rgbk"),
        ((0, 1, -1, 0), "brkg"),  # a quarter turn clockwise, as telephones held upright write
        ((-1, 0, 0, -1), "kbgr"),
        ((0, -1, 1, 0), "gkrb"),
        ((-1, 0, 0, 1), "grkb"),  # mirrored
        ((0, 1, 1, 0), "rbgk"),
    ],
)
def test_rotation_is_obeyed(tmp_path: Path, matrix: tuple[int, int, int, int], shown: str) -> None:
    path = turn(make_video(tmp_path / "a.mp4", [quadrants()] * 3), matrix)
    size = (48, 64) if matrix[0] == 0 else (64, 48)
    info = probe(path)
    assert (info.width, info.height) == size
    frames = [*stream_frames(path), *frames_at(path, [0.05])]
    assert [corners(frame.pixels) for frame in frames] == [shown] * 4


@pytest.mark.parametrize(("codec", "kind"), [("ffv1", "bgr0"), ("libx264", "yuv444p")])
def test_odd_sizes_and_one_pixel(tmp_path: Path, codec: str, kind: str) -> None:
    for width, height in ((63, 47), (1, 1)):
        frames = [numbered(number, width, height) for number in range(3)]
        path = make_video(tmp_path / f"{width}.mkv", frames, codec=codec, kind=kind)
        streamed = list(stream_frames(path))
        assert [frame.pixels.shape for frame in streamed] == [(height, width, 3)] * 3
        assert [number_of(frame.pixels) for frame in streamed] == [0, 1, 2]


def test_video_without_colour_is_grey_in_three_channels(tmp_path: Path) -> None:
    grey = [np.full((16, 16, 3), 99, np.uint8)] * 2
    path = make_video(tmp_path / "a.mkv", grey, codec="ffv1", kind="gray")
    assert [frame.pixels.tolist() for frame in stream_frames(path)] == [[[[99] * 3] * 16] * 16] * 2


def test_frames_may_be_painted_on_without_harm_to_later_ones(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mov", [FRAMES[7]] * 5, codec="png", kind="rgb24")
    for frame in stream_frames(path):
        assert number_of(frame.pixels) == 7
        frame.pixels[:] = 0


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", FRAMES[5:6])
    assert probe(path).duration == pytest.approx(0.04)
    assert [(frame.time, number_of(frame.pixels)) for frame in stream_frames(path)] == [(0, 5)]
    assert [number_of(frame.pixels) for frame in frames_at(path, [0.02, 9.0])] == [5, 5]


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.wav", "pcm_s16le", 44_100),
        ("a.wav", "pcm_s24le", 96_000),
        ("a.wav", "pcm_u8", 11_025),
        ("a.wav", "pcm_f32le", 48_000),
        ("a.flac", "flac", 44_100),
        ("a.mp3", "libmp3lame", 44_100),
        ("a.m4a", "aac", 44_100),
        ("a.aac", "aac", 44_100),
        ("a.ogg", "libopus", 48_000),
        ("a.mka", "aac", 44_100),
        ("a.mka", "libopus", 48_000),
        ("a.ts", "aac", 44_100),
    ],
)
def test_a_part_of_a_sound_is_that_part_of_the_whole(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    path = make_sound(tmp_path / name, np.stack([sine(440, 5, rate)] * 2), rate, codec)
    for wanted in (16_000, rate):
        whole = read_sound(path, rate=wanted)
        assert len(whole) == pytest.approx(5 * wanted, abs=0.06 * wanted)
        middle = whole[wanted : 4 * wanted]
        assert frequency_of(middle, wanted) == pytest.approx(440, abs=0.01)
        assert np.abs(middle).max() == pytest.approx(0.5, abs=0.03)
        for start in (0.37, 2.2, 3.012345):
            part = read_sound(path, rate=wanted, start=start, seconds=0.5)
            first = round(start * wanted)
            assert np.abs(part - whole[first : first + round(0.5 * wanted)]).max() < 2e-5


def test_sound_is_resampled_without_aliases(tmp_path: Path) -> None:
    for frequency, level in ((5_000, 0.5), (12_000, 0.0)):  # below and above half of 16 kHz
        soundfile.write(tmp_path / "a.wav", sine(frequency, 2, 44_100), 44_100, "FLOAT")
        sound = read_sound(tmp_path / "a.wav")
        assert sound.dtype == np.float32
        assert len(sound) == 32_000
        assert np.abs(sound[1000:-1000]).max() == pytest.approx(level, abs=1e-4)


def test_sound_keeps_its_place_when_resampled(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(1_000, 2, 48_000), 48_000, "FLOAT")
    sound = read_sound(tmp_path / "a.wav")
    assert np.abs(sound - sine(1_000, 2, 16_000))[500:-500].max() < 1e-4


def test_eight_channels_are_averaged_and_nothing_else(tmp_path: Path) -> None:
    rows = np.zeros((8, 48_000), np.float32)
    rows[5] = sine(440, 1.0, 48_000)
    path = make_sound(tmp_path / "a.m4a", rows, 48_000, "aac")
    sound = read_sound(path, rate=48_000)
    assert np.abs(sound).max() == pytest.approx(0.5 / 8, rel=0.05)
    assert frequency_of(sound, 48_000) == pytest.approx(440, abs=1)


def test_channels_are_averaged_and_sixteen_bits_kept_exactly(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (8_000, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    expected = (samples.astype(np.float64) / 2**15).mean(axis=1)
    assert np.abs(read_sound(tmp_path / "a.wav") - expected).max() < 1e-7


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_mean_of_channels_is_that_of_64_bits_rounded(channels: int) -> None:
    generator = np.random.default_rng(channels)
    scales = 10.0 ** generator.integers(-30, 30, 40_000)
    rows = generator.standard_normal((channels, 40_000)) * scales
    rows[:, 10_000:20_000] *= generator.choice([1, 1e-3, -1, -(1 + 2**-20)], (channels, 10_000))
    rows = rows.astype(np.float32)
    layout = {1: "mono", 2: "stereo", 3: "2.1"}[channels]
    frame = av.AudioFrame.from_ndarray(rows, format="fltp", layout=layout)
    expected = rows.astype(np.float64).mean(axis=0).astype(np.float32)
    assert np.array_equal(mono(frame), expected)


def test_frames_that_follow_one_another_are_averaged_as_each_by_itself() -> None:
    generator = np.random.default_rng(0)
    blocks, parts = [], []
    place = 0
    for number in range(300):
        kind, layout = ("fltp", "stereo") if number < 200 else ("s16", "mono")
        count = int(generator.integers(1, 3_000))
        rows = generator.normal(0, 0.1, (2, count)).astype(np.float32)
        if kind == "s16":
            rows = generator.integers(-(2**15), 2**15, (1, count)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(rows, format=kind, layout=layout)
        frame.sample_rate = 44_100
        place += 500 if number in (50, 51, 250) else 0  # holes
        parts.append((place, mono(frame)))
        sound = mono(frame) if number in (20, 120, 299) else frame  # such as one that was cut
        blocks.append((place, Block(44_100, place, count, None, sound)))
        place += count
    pieces = list(averaged(blocks))
    assert len(pieces) < len(parts) / 3
    apart, joined = np.zeros(place, np.float32), np.zeros(place, np.float32)
    for begin, samples in parts:
        apart[begin : begin + len(samples)] = samples
    for piece in pieces:
        joined[piece.place : piece.place + len(piece.samples)] = piece.samples
    assert np.array_equal(apart, joined)
    assert sum(len(piece.samples) for piece in pieces) == sum(len(part) for _, part in parts)


def test_samples_that_are_no_numbers_are_silent(tmp_path: Path) -> None:
    sound = np.stack([sine(440, 1, 44_100)] * 2)
    sound[0, 100], sound[:, 200:300], sound[1, 400] = np.inf, np.nan, -np.inf
    soundfile.write(tmp_path / "a.wav", sound.T, 44_100, "FLOAT")
    read = read_sound(tmp_path / "a.wav", rate=44_100)
    assert (read[200:300] == 0).all()
    assert np.abs(read).max() <= 1
    assert np.isfinite(read_sound(tmp_path / "a.wav")).all()
    assert frequency_of(read[1000:], 44_100) == pytest.approx(440, abs=0.5)


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", Path("/dev/zero")):
        for read in (probe, read_picture, read_sound):
            with pytest.raises(MediaError, match="is a pipe or a device"):
                read(path)


def test_streamed_sound_is_the_whole_sound_in_blocks(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "a.m4a", sine(440, 5, 44_100), 44_100, "aac")
    blocks = list(stream_sound(path, rate=16_000, seconds=0.75))
    assert [len(block) for block in blocks[:-1]] == [12_000] * 6
    assert (np.concatenate(blocks) == read_sound(path)).all()


def test_picture_and_sound_share_a_clock(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.ts"):  # in the last one both begin 1.4 seconds late
        path = make_video(tmp_path / name, FRAMES, sound=sine(440, 1, 44_100), sound_start=1.0)
        assert next(stream_frames(path)).time == 0
        sound = read_sound(path)
        assert np.abs(sound[:15_500]).max() < 1e-3
        assert np.abs(sound[16_200:31_000]).max() > 0.45
        assert np.abs(read_sound(path, start=0.2, seconds=0.5)).max() < 1e-3


def test_a_tenth_of_a_second_of_sound_and_none_beyond_it(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, 0.1, 44_100), 44_100)
    assert len(read_sound(tmp_path / "a.wav")) == 1_600
    assert len(read_sound(tmp_path / "a.wav", start=0.05, seconds=1.0)) == 800
    assert len(read_sound(tmp_path / "a.wav", start=9.0, seconds=1.0)) == 0
    assert probe(tmp_path / "a.wav").duration == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["mp3", "flac"])
def test_cover_art_is_no_video(tmp_path: Path, kind: str) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(jpeg, "JPEG")
    codec = {"mp3": "libmp3lame", "flac": "flac"}[kind]
    path = tmp_path / f"a.{kind}"
    make_sound(path, sine(440, 1, 44_100), 44_100, codec, cover=jpeg.getvalue())
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert not probe(path).has_picture
    with pytest.raises(MediaError, match=r"has no moving pictures"):
        next(stream_frames(path))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_file_cut_short_gives_what_is_there(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    whole = make_video(tmp_path / name, FRAMES, sound=sine(440, 2, 44_100), options=options)
    path = tmp_path / f"cut {name}"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    numbers = [number_of(frame.pixels) for frame in stream_frames(path)]
    assert 10 < len(numbers) < 45
    assert numbers[:10] == NUMBERS[:10]
    assert 0.5 < len(read_sound(path)) / 16_000 < 1.9
    assert number_of(next(frames_at(path, [1.99])).pixels) == numbers[-1]


def test_damage_in_the_middle_costs_only_the_middle(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", FRAMES, sound=sine(440, 2, 44_100))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)
    numbers = [number_of(frame.pixels) for frame in stream_frames(path)]
    assert numbers[:12] == NUMBERS[:12]
    assert numbers[-2:] == [48, 49]
    assert len(read_sound(path)) == pytest.approx(32_000, abs=500)  # silence where it is lost


def bad_media(folder: Path) -> dict[str, Path]:
    good = make_video(folder / "good.mp4", FRAMES)
    files = {name: folder / f"{name}.mp4" for name in ("empty", "text", "cut", "noise", "stub")}
    files["empty"].touch()
    files["text"].write_text("This is no video.\n" * 50)
    files["cut"].write_bytes(good.read_bytes()[: good.stat().st_size // 2])  # no index at its end
    files["noise"].write_bytes(np.random.default_rng(0).bytes(50_000))
    files["stub"].write_bytes(good.read_bytes()[:40])
    files["missing"] = folder / "missing.mp4"
    files["folder"] = folder / "folder.mp4"
    files["folder"].mkdir()
    files["captions"] = folder / "captions.mp4"
    files["captions"].write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n")
    files["list"] = folder / "list.m3u8"
    files["list"].write_text("#EXTM3U\n#EXTINF:2.0,\nhttp://127.0.0.1:9/a.mp4\n#EXT-X-ENDLIST\n")
    return files


def test_bad_files_end_in_one_plain_sentence(tmp_path: Path) -> None:
    damaged = "is not a media file, or its beginning is damaged."
    cut = "is cut off or damaged: it begins as an mp4 file, but its index is missing."
    sentences = {
        "cut": cut,
        "stub": cut,
        "missing": "does not exist.",
        "folder": "is a folder, not a file.",
        "empty": "is empty.",
        "captions": "holds neither sound nor moving pictures.",
    }
    for name, path in bad_media(tmp_path).items():
        sentence = f"'{path}' {sentences.get(name, damaged)}"
        with pytest.raises(MediaError) as error:
            probe(path)
        assert str(error.value) == sentence
        for read in (stream_frames, stream_sound, lambda p: frames_at(p, [0.0])):
            with pytest.raises(MediaError, match=r"^'.*\.$"):
                next(read(path))


def test_missing_tracks_are_named(tmp_path: Path) -> None:
    silent = make_video(tmp_path / "silent.mp4", FRAMES)
    assert not probe(silent).has_sound
    with pytest.raises(MediaError, match=r"silent.mp4' has no sound\."):
        read_sound(silent)
    blind = make_sound(tmp_path / "blind.wav", sine(440, 1, 16_000), 16_000, "pcm_s16le")
    info = probe(blind)
    assert (info.has_picture, info.width, info.frame_rate) == (False, None, None)
    with pytest.raises(MediaError, match=r"blind.wav' has no moving pictures\."):
        next(frames_at(blind, [0.0]))


def test_nothing_that_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", FRAMES[:1], sound=sine(440, 0.02, 44_100))
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux() if p.pos and p.size]
    data = bytearray(path.read_bytes())
    for place, size in places:
        data[place + 8 : place + 8 + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(MediaError):
        next(stream_frames(path))
    with pytest.raises(MediaError):
        probe(path)


def test_pictures_left_out_on_the_way_to_a_time_change_no_frame(tmp_path: Path) -> None:
    """One key frame, pictures that none refers to, and one of them shown for seconds."""
    ticks = [*range(120), *range(300, 330)]  # of 25 a second: frame 119 is shown for 7 s
    frames = [numbered(number) for number in range(150)]
    for last in (119, 118):  # which of them none refers to is the encoder's affair
        held = [*frames[:last], *frames[120:]]
        times = [*ticks[:last], *ticks[120:]]
        path = make_video(tmp_path / f"{last}.mp4", held, ticks=times, group=500)
        for wanted in (4.0, 8.0, 12.5):
            [found] = frames_at(path, [wanted])
            shown = max(place for place, tick in enumerate(times) if tick / 25 <= wanted)
            assert number_of(found.pixels) == number_of(held[shown])
            assert found.time == pytest.approx(times[shown] / 25)


@pytest.mark.timeout(60)
def test_lengths_and_rates_that_no_sound_has_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, 1.0, 16_000), 16_000)
    path, no_number = tmp_path / "a.wav", float("nan")
    for wrong in (-1.0, -1e-9, no_number, float("inf"), 1e308):
        with pytest.raises(ValueError, match="cannot be read"):
            read_sound(path, seconds=wrong)
        with pytest.raises(ValueError, match="cannot be read"):
            read_sound(path, start=wrong)
        with pytest.raises(ValueError, match="cannot be read in blocks"):
            next(stream_sound(path, seconds=wrong))
    for rate in (0, -1):
        with pytest.raises(ValueError, match="cannot be read"):
            read_sound(path, rate=rate)
        with pytest.raises(ValueError, match="cannot be read"):
            next(stream_sound(path, rate=rate))
    with pytest.raises(ValueError, match="cannot be read in blocks"):
        next(stream_sound(path, seconds=0.0))
    assert len(read_sound(path, seconds=0.0)) == 0


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name, why in (("a\0b.mp4", "no name of a file"), ("x" * 300, "File name too long")):
        for read in (probe, read_sound, read_picture, lambda path: next(stream_frames(path))):
            with pytest.raises(MediaError, match=why):
                read(tmp_path / name)
