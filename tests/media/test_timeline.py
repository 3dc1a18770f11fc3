"""Tests of hearsight.media.timeline: one clock for picture and sound, whatever clock a file has."""

from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr
from made_media import add_sound, made_once, make_sound, make_video, number_of, numbered, sine
from made_timed import (
    RATE,
    add_track,
    cut_by_edit,
    make_film,
    noise,
    picture_lags,
    place_of,
    remux,
    restamp,
    sound_lag,
    two_edits,
)

from hearsight.media import source, timeline
from hearsight.media.read import frames_at, probe, read_sound, stream_frames, stream_sound
from hearsight.media.sound import last_length, mono
from hearsight.media.sound_frames import HEADED
from hearsight.media.source import open_media
from hearsight.media.stated_length import holds_two_flac
from hearsight.media.write import paint_video

ALL = range(1 << 20)
WRAP = (1 << 33) / 90_000  # seconds after which the clock of a transport stream begins anew
PRIMED = 1024 / RATE  # seconds of silence before an AAC sound, where nothing hides them


def joined(target: Path, *parts: Path) -> Path:
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def one_clock(path: Path, times: tuple[float, ...] = (0.5, 1.5, 2.5)) -> float:
    """The lag of every frame and of the sound, which have to be the same to a millisecond."""
    lags = picture_lags(path)
    assert np.ptp(lags) < 2e-3
    for time in times:
        assert sound_lag(path, time) == pytest.approx(lags[0], abs=1e-3)
    return float(lags[0])


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4", "a.mov", "a.flv"])
@pytest.mark.parametrize("begin", [10, 3600])
def test_a_clock_may_begin_anywhere(tmp_path: Path, name: str, begin: int) -> None:
    film = make_film(tmp_path / "film.mp4", 4)
    late = remux(film, tmp_path / f"late-{name}", lambda kind, number, time: time + begin)
    assert probe(late).duration == pytest.approx(4.0 + PRIMED, abs=0.05)
    assert one_clock(late) == pytest.approx(PRIMED, abs=1e-3)


def test_a_clock_below_zero_loses_nothing(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 4)
    below = remux(
        film,
        tmp_path / "below.mkv",
        lambda kind, number, time: time - Fraction(7, 5),
        options={"avoid_negative_ts": "disabled"},
    )
    assert one_clock(below) == pytest.approx(PRIMED, abs=2e-3)
    assert len(list(stream_frames(below))) == 100
    assert len(read_sound(below, rate=RATE)) == pytest.approx((4 + PRIMED) * RATE, abs=1024)


@pytest.mark.parametrize("before", [0.5, 2.2])
def test_a_transport_stream_whose_clock_wraps_loses_nothing(tmp_path: Path, before: float) -> None:
    stream = remux(make_film(tmp_path / "film.mp4", 4), tmp_path / "wrap.ts")
    for kind in ("audio", "video"):
        restamp(stream, kind, ALL, WRAP - 1.4 - before)
    assert one_clock(stream) == pytest.approx(PRIMED, abs=1e-3)
    assert probe(stream).duration == pytest.approx(4.0 + PRIMED, abs=0.05)


def test_longer_tracks_that_are_not_read_do_not_count(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", 2, sound_codec="pcm_s16le")
    longer = add_track(film, tmp_path / "longer.mkv", sine(440, 30, RATE))
    with av.open(str(longer)) as container:
        assert container.duration == pytest.approx(30_000_000, abs=100_000)
    assert probe(longer).duration == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "moved"), [("a.mkv", 0.0), ("a.ts", 0.0), ("a.ts", -100.0), ("a.ts", 5000.0)]
)
def test_the_second_of_two_joined_films_follows_the_first(
    tmp_path: Path, name: str, moved: float
) -> None:
    parts = [
        remux(make_film(tmp_path / f"{first}.mp4", 3, first=first), tmp_path / f"{first}{name[1:]}")
        for first in (0, 75)
    ]
    if moved:
        for part, kind in [(parts[moved > 0], kind) for kind in ("audio", "video")]:
            restamp(part, kind, ALL, abs(moved))
    film = joined(tmp_path / name, *parts)
    lags = picture_lags(film)
    assert len(lags) == 150
    first, second = lags[0], lags[-1]
    assert set(np.round(lags, 4)) == {round(first, 4), round(second, 4)}
    assert 0 <= second - first < 0.1  # what the first sound is longer, and the second one's priming
    for time, lag in ((0.5, first), (2.0, first), (3.5, second), (5.2, second)):
        assert sound_lag(film, time) == pytest.approx(lag, abs=1e-3)
    assert probe(film).duration == pytest.approx(6.1, abs=0.1)


def test_the_second_of_two_chained_sounds_follows_the_first(tmp_path: Path) -> None:
    sounds = [noise()[: 3 * RATE], noise()[3 * RATE : 6 * RATE]]
    parts = []
    for number, sound in enumerate(sounds):
        wide = np.repeat(sound, 3)  # 48 kHz, the rate of Opus
        part = tmp_path / f"{number}.opus"
        with av.open(str(part), "w", format="ogg") as output:
            stream = output.add_stream("libopus", rate=48_000, layout="mono")
            add_sound(output, stream, wide[None], 48_000)
        parts.append(part)
    chained = joined(tmp_path / "chained.opus", *parts)
    assert probe(chained).duration == pytest.approx(6.0, abs=0.05)
    for time in (0.5, 2.0, 3.5, 5.0):
        assert abs(sound_lag(chained, time)) < 0.025


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.15, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("quiet", [0.0, 0.05, 0.2])
def test_ogg_vorbis_is_what_libsndfile_reads(
    tmp_path: Path, rate: int, seconds: float, quiet: float
) -> None:
    count = round(seconds * rate) + 37  # never a whole number of packets
    sound = (0.1 * np.random.default_rng(3).standard_normal(count)).astype(np.float32)
    sound[: round(quiet * seconds * rate)] = 0
    path = tmp_path / "sound.ogg"
    soundfile.write(path, sound, rate, format="OGG", subtype="VORBIS")
    expected, _ = soundfile.read(path, dtype="float32")
    found = read_sound(path, rate=rate)
    assert len(found) == count
    assert np.abs(found - expected).max() < 0.02
    assert probe(path).duration == pytest.approx(count / rate, abs=1e-4)


@pytest.mark.parametrize("kind", ["audio", "video"])
@pytest.mark.parametrize("seconds", [2, 600, -1, -600])
@pytest.mark.parametrize("numbers", [range(8, 9), range(6, 8)])
def test_a_packet_with_a_wrong_time_moves_nothing(
    tmp_path: Path, kind: str, seconds: int, numbers: range
) -> None:
    stream = remux(make_film(tmp_path / "film.mp4", 4), tmp_path / "wrong.ts")
    restamp(stream, kind, numbers, seconds)
    assert one_clock(stream) == pytest.approx(PRIMED, abs=1e-3)
    assert probe(stream).duration == pytest.approx(4.0 + PRIMED, abs=0.05)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_hole_stays_a_hole(tmp_path: Path, name: str) -> None:
    film = make_film(tmp_path / "film.mp4", 4)
    holed = remux(
        film,
        tmp_path / name,
        lambda kind, number, time: time + (Fraction(3, 2) if time >= 2 else 0),
    )
    lags = picture_lags(holed)
    assert lags[-1] - lags[0] == pytest.approx(1.5, abs=1e-3)
    assert sound_lag(holed, 1.0) == pytest.approx(lags[0], abs=1e-3)
    assert sound_lag(holed, 4.5) == pytest.approx(lags[-1], abs=1e-3)
    silent = read_sound(holed, rate=RATE, start=2.4, seconds=0.8)
    assert np.abs(silent).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("a.avi", "libx264", "libmp3lame"),
        ("a.mpg", "mpeg1video", "mp2"),
        ("a.vob", "mpeg2video", "mp2"),
        ("a.ts", "libx264", "mp2"),
    ],
)
def test_pictures_keep_their_order_where_the_file_states_no_times(
    tmp_path: Path, name: str, codec: str, sound: str
) -> None:
    film = make_film(tmp_path / name, 4, codec=codec, sound_codec=sound)
    lags = picture_lags(film)
    assert len(lags) == 100
    assert np.ptp(lags) < 1e-4
    [frame] = frames_at(film, [2.0 + lags[0] + 1e-4])
    assert number_of(frame.pixels) == 50


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_pictures_coded_ahead_in_an_avi_are_shown_in_order(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "ahead.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = 2
        stream.codec_context.bit_rate = 2_000_000
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(numbered(number))
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert np.abs(picture_lags(path)).max() < 1e-6
    assert [number_of(f.pixels) for f in frames_at(path, [1.6, 0.4])] == [40, 10]
    assert probe(path).duration == pytest.approx(60 / 25, abs=1e-6)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.flv"])
def test_slides_are_shown_when_they_are_stated(tmp_path: Path, name: str) -> None:
    ticks = [0, 50, 100, 150, 200, 250]
    film = make_video(tmp_path / name, [numbered(i) for i in range(6)], ticks=ticks)
    times = [frame.time for frame in stream_frames(film)]
    assert times == pytest.approx([tick / 25 for tick in ticks], abs=2e-3)
    assert probe(film).duration == pytest.approx(10.04, abs=0.05)
    [first, last] = frames_at(film, [float("inf"), 1e30])
    assert number_of(first.pixels) == number_of(last.pixels) == 5


@pytest.mark.parametrize(
    "ticks", [[0, 1900, 2000, 3900, 4000, 5900], [0, 100, 1100, 2100, 3100, 4100]]
)
@pytest.mark.parametrize("name", ["a.flv", "a.mkv"])
def test_pictures_at_an_uneven_slow_rate_stay(tmp_path: Path, name: str, ticks: list[int]) -> None:
    milliseconds = Fraction(1, 1000)
    film = make_video(
        tmp_path / name,
        [numbered(i) for i in range(6)],
        rate=Fraction(1),
        ticks=ticks,
        time_base=milliseconds,
        options={},
    )
    times = [frame.time for frame in stream_frames(film)]
    assert times == pytest.approx([tick / 1000 for tick in ticks], abs=2e-3)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_pictures_coded_ahead_at_a_rate_that_falls_all_count(tmp_path: Path, name: str) -> None:
    ticks = [n * (n + 6) // 6 for n in range(60)]  # at last 0.8 s apart
    film = make_video(tmp_path / name, [numbered(i) for i in range(60)], ticks=ticks, options={})
    *_, last = stream_frames(film)
    assert last.time == pytest.approx(ticks[-1] / 25, abs=2e-3)
    assert last.time <= probe(film).duration <= last.time + 2


def test_an_edit_that_ends_early_ends_the_film(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 6)
    cut_by_edit(film, 0.4)
    data = bytearray(film.read_bytes())
    place = 0
    while (place := data.find(b"elst", place + 1)) >= 0:
        data[place + 12 : place + 16] = (2000).to_bytes(4, "big")
    film.write_bytes(bytes(data))
    last = list(stream_frames(film))[-1]
    sound = read_sound(film, rate=RATE)
    assert probe(film).duration == pytest.approx(max(last.time + 0.04, len(sound) / RATE), abs=1e-3)
    assert probe(film).duration == pytest.approx(2.0, abs=0.07)


def test_a_film_of_several_edits_is_the_same_sought_and_streamed(tmp_path: Path) -> None:
    film = two_edits(make_film(tmp_path / "film.mp4", 8))
    shown = [(frame.time, number_of(frame.pixels)) for frame in stream_frames(film)]
    for step in (1, -3):
        part = shown[::step]
        found = frames_at(film, [time for time, _ in part])
        assert [(frame.time, number_of(frame.pixels)) for frame in found] == part
    whole = read_sound(film, rate=RATE)
    part = read_sound(film, rate=RATE, start=2.2, seconds=0.5)
    assert np.array_equal(part, whole[round(2.2 * RATE) :][: len(part)])


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav"])
def test_a_part_of_coded_differences_is_that_part_of_the_whole(tmp_path: Path, codec: str) -> None:
    path = make_sound(tmp_path / "a.wav", noise()[: 8 * RATE], RATE, codec)
    whole = read_sound(path, rate=RATE)
    part = read_sound(path, rate=RATE, start=4.0, seconds=0.5)
    assert np.array_equal(part, whole[4 * RATE :][: len(part)])


@pytest.mark.parametrize("codec", ["wavpack", "alac"])
def test_packets_that_do_not_tell_their_lengths(tmp_path: Path, codec: str) -> None:
    path = make_sound(tmp_path / "a.mkv", noise()[: 8 * RATE], RATE, codec)
    assert probe(path).duration == pytest.approx(len(read_sound(path, rate=RATE)) / RATE, abs=1e-3)
    assert probe(path).duration == pytest.approx(8.0, abs=1e-2)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a.avi", "b.mp4"),
        ("a.avi", "b.mkv"),
        ("a.avi", "b.webm"),
        ("fragmented.mp4", "b.mp4"),
        ("fragmented.mp4", "b.mkv"),
        ("fragmented.mp4", "b.webm"),
    ],
)
def test_painting_keeps_picture_and_sound_together(tmp_path: Path, name: str, target: str) -> None:
    film = tmp_path / name
    if name == "a.avi":
        make_film(film, 4, codec="mpeg4", group=6, time_base=Fraction(1, 25))
    else:
        flags = {"movflags": "frag_keyframe+empty_moov"}
        remux(make_film(tmp_path / "whole.mp4", 4), film, options=flags)
    painted = tmp_path / target
    paint_video(film, painted, lambda frame: frame.pixels, notice=lambda said: None)
    apart = [np.median(picture_lags(each)) - sound_lag(each, 2.0) for each in (film, painted)]
    assert apart[1] == pytest.approx(apart[0], abs=2e-3)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.h264", "libx264"), ("a.hevc", "libx265"), ("a.m2v", "mpeg2video")]
)
@pytest.mark.parametrize("rate", [25, 30, 50])
def test_a_bare_stream_of_pictures_has_the_rate_of_its_head(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    frames = [numbered(i) for i in range(2 * rate)]
    film = make_video(tmp_path / name, frames, codec=codec, rate=Fraction(rate))
    info = probe(film)
    assert info.frame_rate == rate
    assert info.duration == pytest.approx(2.0, abs=1e-3)
    times = [frame.time for frame in stream_frames(film)]
    assert times == pytest.approx([number / rate for number in range(2 * rate)], abs=1e-6)


@pytest.mark.parametrize("name", ["a.mpg", "a.ts"])
def test_the_length_of_a_stream_alone(tmp_path: Path, name: str) -> None:
    codec = "mpeg1video" if name == "a.mpg" else "libx264"
    pictures = make_video(tmp_path / name, [numbered(i) for i in range(50)], codec=codec)
    assert probe(pictures).duration == pytest.approx(2.0, abs=1e-3)
    sound = make_film(tmp_path / "film.mp4", 1.024)
    with av.open(str(sound)) as film, av.open(str(tmp_path / "s.ts"), "w") as output:
        stream = output.add_stream_from_template(film.streams.audio[0])
        for packet in film.demux(film.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    samples = read_sound(tmp_path / "s.ts", rate=RATE)
    assert probe(tmp_path / "s.ts").duration == pytest.approx(len(samples) / RATE, abs=1e-3)


@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("cut", [0.4, 1.02, 2.03])
def test_a_cut_inside_a_frame_leaves_picture_and_sound_together(
    tmp_path: Path, sound: str, cut: float
) -> None:
    film = cut_by_edit(make_film(tmp_path / "film.mov", 4, sound_codec=sound), cut)
    lag = one_clock(film, times=(0.3, 1.2))
    assert -lag == pytest.approx(int(cut * 25) / 25, abs=1e-3)  # the frame in which the cut lies
    assert probe(film).duration == pytest.approx(4 + lag, abs=1e-3)


@pytest.mark.parametrize(
    "rate", [Fraction(25), Fraction(30_000, 1001), Fraction(7), Fraction(24_000, 1001)]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_the_own_time_of_a_frame_gives_that_frame(
    tmp_path: Path, rate: Fraction, name: str
) -> None:
    path = make_video(tmp_path / name, [numbered(i) for i in range(40)], rate=rate)
    shown = [(frame.time, number_of(frame.pixels)) for frame in stream_frames(path)]
    for order in (1, -1):
        times = [time for time, _ in shown][::order]
        found = [(frame.time, number_of(frame.pixels)) for frame in frames_at(path, times)]
        assert found == shown[::order]


PARTS = [
    ("a.mp4", "aac", (None, "b.mkv", "fragmented.mp4")),
    ("a.mkv", "aac", (None, "b.mp4", "fragmented.mp4")),
    ("a.ts", "aac", (None, "b.mkv")),
    ("a.mkv", "libmp3lame", (None, "b.mp4", "fragmented.mp4")),
    ("a.mkv", "flac", (None, "b.mp4")),
    ("a.mov", "pcm_s16le", (None, "b.mkv")),
    ("a.webm", "libopus", (None, "b.mp4", "b.mkv")),
    ("a.mov", "adpcm_ima_qt", (None,)),
    ("a.mov", "nellymoser", (None,)),
    ("a.mkv", "mp2", (None, "b.mov")),
]
BOUNDS = {"libopus": 2e-5, "mp2": 3.1e-5}


@pytest.mark.parametrize(
    ("name", "sound", "into"),
    [(name, sound, into) for name, sound, targets in PARTS for into in targets],
)
def test_a_part_of_a_sound_is_that_part_of_the_whole(
    tmp_path: Path, name: str, sound: str, into: str | None
) -> None:
    rate = 48_000 if sound == "libopus" else RATE
    values = np.repeat(noise(), rate // RATE)[: 5 * rate]
    path = make_film(
        tmp_path / name,
        5,
        codec="libvpx-vp9" if name == "a.webm" else "libx264",
        sound=values,
        sound_rate=rate,
        sound_codec=sound,
        options={},
    )
    if into is not None:
        flags = {"movflags": "frag_keyframe+empty_moov"} if into == "fragmented.mp4" else {}
        path = remux(path, tmp_path / into, options=flags)
    whole = read_sound(path, rate=RATE)
    bound = BOUNDS.get(sound, 1e-6)
    for start in (2.25, 3.1, 4.4):
        part = read_sound(path, rate=RATE, start=start, seconds=0.5)
        expected = whole[round(start * RATE) :][: len(part)]
        assert np.abs(part - expected).max() <= bound
        assert place_of(part) - place_of(whole[round(start * RATE) :][: RATE // 2]) == 0


@pytest.mark.parametrize(
    ("codec", "level", "bound"),
    [
        ("aac", 0.2, -6),  # decibels, against the sound
        ("ac3", 0.002, -4),
        ("eac3", 0.002, -4),
        ("aac", 0.0, -120),
        ("ac3", 0.0, -100),
        ("eac3", 0.0, -100),
    ],
)
def test_where_a_decoder_invents_noise_a_part_differs_by_no_more_than_stated(
    tmp_path: Path, codec: str, level: float, bound: float
) -> None:
    """Of white noise of that level, or of a tone, in mp4 at 192 kbit/s or the encoder's choice."""
    rate, path = 48_000, tmp_path / "a.mp4"
    white = np.random.default_rng(3).standard_normal(4 * rate).clip(-4.5, 4.5)
    sound = (level * white if level else sine(440, 4, rate)).astype(np.float32)
    frames = [numbered(number) for number in range(2)]
    make_video(
        path,
        frames,
        codec="mpeg4",
        sound=np.stack([sound, sound]),
        sound_rate=rate,
        sound_codec=codec,
        sound_bits=0 if codec == "aac" else 192_000,
    )
    whole = read_sound(path, rate=rate)
    for start in (2.1, 2.654321):
        part = read_sound(path, rate=rate, start=start, seconds=1.0)
        expected = whole[round(start * rate) :][: len(part)]
        differ = 20 * np.log10(np.std(part - expected) / np.std(expected) + 1e-12)
        assert differ < bound
        moved = [np.std(part[2:-2] - expected[2 + step : len(part) - 2 + step]) for step in (-1, 1)]
        assert np.std(part - expected) < min(moved)


@made_once
def coded(path: Path, codec: str, form: str, sound: np.ndarray, rate: int) -> Path:
    """A sound without a container, of `noise`, at another rate."""
    with av.open(str(path), "w", format=form) as output:
        options = {"aac_pns": "0"} if codec == "aac" else {}
        stream = output.add_stream(codec, rate=rate, layout="mono", options=options)
        if codec == "aac":
            stream.bit_rate = 192_000
        resampled = soxr.resample(sound, RATE, rate)
        add_sound(output, stream, resampled[None].astype(np.float32), rate)
    return path


@pytest.mark.parametrize("rates", [(16_000, 48_000), (48_000, 16_000), (44_100, 44_100)])
@pytest.mark.parametrize(
    ("codec", "form"), [("aac", "adts"), ("aac", "mpegts"), ("mp2", "mp2"), ("mp2", "mpegts")]
)
def test_joined_sounds_of_other_rates_follow_one_another(
    tmp_path: Path, codec: str, form: str, rates: tuple[int, int]
) -> None:
    halves = (noise()[: 3 * RATE], noise()[3 * RATE : 6 * RATE])
    parts = [
        coded(tmp_path / f"{number}.{form}", codec, form, half, rate)
        for number, (half, rate) in enumerate(zip(halves, rates, strict=True))
    ]
    path = joined(tmp_path / "joined", *parts)
    sound = read_sound(path, rate=RATE)
    frame = 1e-3 if codec == "aac" or rates[0] == rates[1] else 0.05  # the first of the other rate
    assert probe(path).duration == pytest.approx(len(sound) / RATE, abs=frame)
    assert probe(path).duration == pytest.approx(sum(probe(p).duration for p in parts), abs=0.03)
    lags = [sound_lag(path, time, 0.1) for time in (1.0, 2.0, 3.6, 5.0)]
    assert lags[1] == pytest.approx(lags[0], abs=1e-3)
    assert lags[3] == pytest.approx(lags[2], abs=3e-3)
    assert -frame <= lags[0] <= lags[2] + frame < 0.2  # what encoders begin before and fill up


@pytest.mark.parametrize(("codec", "samples"), [("ac3", 1536), ("eac3", 1536)])
def test_packets_that_are_no_whole_ticks_follow_one_another(
    tmp_path: Path, codec: str, samples: int
) -> None:
    """FFmpeg counts 90,000 ticks a second of such bare sounds, as many for each packet."""
    rate = 44_100
    part = coded(tmp_path / f"part.{codec}", codec, codec, noise()[: 4 * RATE], rate)
    path = joined(tmp_path / f"joined.{codec}", *[part] * 5)
    with av.open(str(path)) as opened:
        packets = [packet for packet in opened.demux(audio=0) if packet.size]
    assert {packet.duration for packet in packets} == {floor(90_000 * samples / rate)}
    assert probe(path).duration == pytest.approx(len(packets) * samples / rate, abs=1e-6)
    assert len(read_sound(path, rate=rate)) == len(packets) * samples


def test_joined_flac_files_are_read_as_a_whole(tmp_path: Path) -> None:
    """Also where two of them meet, of which FFmpeg makes one packet of several frames."""
    sound = noise()
    parts = np.split(sound, [4 * RATE, 7 * RATE])
    files = [tmp_path / f"{number}.flac" for number in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        soundfile.write(file, part, RATE)
    path = joined(tmp_path / "joined.flac", *files)
    whole = read_sound(path, rate=RATE)
    assert np.abs(whole - sound).max() < 1e-4
    assert probe(path).duration == len(sound) / RATE
    for start in (3.5, 6.9, 8.25):
        part = read_sound(path, rate=RATE, start=start, seconds=1.0)
        assert np.array_equal(part, whole[round(start * RATE) :][:RATE])


def test_a_flac_file_is_searched_for_another_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts are read by a seek, for which the whole is not to be read each time."""
    path, searched = tmp_path / "a.flac", []
    soundfile.write(path, noise(), RATE)

    def noted(path: Path) -> bool:
        searched.append(path)
        return holds_two_flac(path)

    monkeypatch.setattr(source, "holds_two_flac", noted)
    probe(path)
    for start in (2.5, 6.9, 4.0):
        read_sound(path, rate=RATE, start=start, seconds=0.5)
    assert searched == [path]
    soundfile.write(path, noise()[: 3 * RATE], RATE)
    probe(path)
    assert searched == [path, path]


@pytest.mark.parametrize(("codec", "form", "head"), [("aac", "adts", 7), ("mp3", "mp3", 4)])
def test_a_packet_that_is_refused_is_silence_where_none_tells_its_time(
    tmp_path: Path, codec: str, form: str, head: int
) -> None:
    """What follows it stays where it is, though nothing but the packets before says where."""
    whole = coded(tmp_path / f"whole.{form}", codec, form, noise()[: 6 * RATE], RATE)
    packets = [bytes(each) for each in packets_of(whole)]
    for number in range(20, 60, 3):
        packets[number] = packets[number][:head] + b"\xff" * (len(packets[number]) - head)
    path = tmp_path / f"damaged.{form}"
    path.write_bytes(whole.read_bytes().partition(packets[0])[0] + b"".join(packets))
    with pytest.raises(av.FFmpegError):
        decoded(path)
    sound, expected = read_sound(path, rate=RATE), read_sound(whole, rate=RATE)
    assert len(sound) == len(expected) == round(probe(path).duration * RATE)
    unharmed = np.ones(len(sound), bool)
    length = len(sound) // len(packets)
    unharmed[16 * length : 64 * length] = False
    assert np.abs(sound - expected)[unharmed].max() < 1e-4
    assert np.abs(sound - expected)[~unharmed].max() > 0.1


CODED = Path(__file__).parent / "coded"  # sounds that nothing here encodes


def recoded(
    name: str,
    path: Path,
    length: int,
    early: int = 0,
    *,
    last: int | None = None,
    **options: str,
) -> int:
    """Write the packets of such a sound, of so many samples each; how many samples there are.

    early: samples by which it begins before 0, and which its last packet holds. last: those that
    this holds, of a sound that begins at 0. options: of the file that is written.
    """
    ended = early or last
    files = av.open(str(CODED / name)), av.open(str(path), "w", options=options)
    with files[0] as read, files[1] as written:
        sound = read.streams.audio[0]
        stream = written.add_stream_from_template(sound)
        packets = [packet for packet in read.demux(sound) if packet.size]
        for number, packet in enumerate(packets):
            ends = ended and number == len(packets) - 1
            packet.time_base = Fraction(1, sound.codec_context.sample_rate)
            packet.pts = packet.dts = number * length - early
            packet.duration, packet.stream = ended if ends else length, stream
            written.mux(packet)
    return len(packets) * length - (early if last is None else length - last)


def packets_of(path: Path) -> list[Any]:
    with av.open(str(path)) as opened:
        return [packet for packet in opened.demux(audio=0) if packet.size]


def decoded(path: Path) -> np.ndarray:
    """All that the packets of a sound hold."""
    with av.open(str(path)) as opened:
        context = opened.streams.audio[0].codec_context
        packets = [packet for packet in opened.demux(audio=0) if packet.size]
        return np.concatenate([mono(each) for p in packets for each in context.decode(p)])


@pytest.mark.parametrize(("name", "length"), [("speex.mka", 160), ("dts.mka", 512)])
def test_sounds_that_ffmpeg_writes_to_avi_as_blocks_of_bytes_last_as_long(
    tmp_path: Path, name: str, length: int
) -> None:
    """It counts such blocks, as PCM has, and says of 0.6 s of Speex 0.1, of DTS 39 s."""
    rate, path = 8_000, tmp_path / "a.avi"
    samples = recoded(name, path, length)
    sound = read_sound(path, rate=rate)
    assert len(sound) == samples
    assert probe(path).duration == samples / rate
    whole = decoded(path)
    assert np.array_equal(sound, whole)


def test_speex_in_ogg_begins_where_its_first_page_says(tmp_path: Path) -> None:
    rate, path = 8_000, tmp_path / "a.ogg"
    recoded("speex.mka", path, 160, 40)
    with av.open(str(path)) as opened:
        packets = [packet for packet in opened.demux(audio=0) if packet.size]
    early, end = -packets[0].pts, packets[-1].pts + packets[-1].duration
    assert early > 0
    assert probe(path).duration == end / rate
    assert np.array_equal(read_sound(path, rate=rate), decoded(path)[early:][:end])


@pytest.mark.parametrize(
    ("head", "stated"),
    [
        ("fff1508000", (1024, 44_100)),
        ("fff94c8000", (1024, 48_000)),
        ("fffb5000", (1152, 44_100)),
        ("fff33800", (576, 16_000)),
        ("fff45400", (1152, 24_000)),
        ("ffe31800", (576, 8_000)),
        ("0b7700000040", (1536, 48_000)),
        ("0b7700008040", (1536, 32_000)),
        ("0b7700003080", (1536, 48_000)),
        ("0b7700004480", (256, 44_100)),
        ("0b770000d080", (1536, 22_050)),
    ],
)
def test_the_head_of_a_frame_states_its_length_and_rate(head: str, stated: tuple[int, int]) -> None:
    found = {read(bytes.fromhex(head).ljust(6, b"\0")) for read in HEADED.values()}
    assert found == {stated, None}


def test_a_long_film_that_holds_so_much_is_not_read_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "film.mp4", 4)
    apart = remux(film, tmp_path / "apart.mkv", lambda kind, _, time: time + 30 * (time >= 2))
    whole = [probe(path) for path in (film, apart)]
    timeline._remembered.cache_clear()
    survey, read = timeline._survey, []

    def noted(*arguments: Any, whole: bool) -> timeline.Timeline:
        read.append(whole)
        return survey(*arguments, whole=whole)

    monkeypatch.setattr(timeline, "_survey", noted)
    monkeypatch.setattr(timeline, "UNDOUBTED", 3)
    monkeypatch.setattr(timeline, "LONGEST_HOLE", 3)
    assert probe(film) == whole[0]
    assert read == [False]
    monkeypatch.setattr(timeline, "LONGEST_HOLE", 31)
    monkeypatch.setattr(timeline, "NEAR", 3)
    read.clear()
    assert probe(apart) == whole[1]
    assert read == [False, True]  # there is nothing near most places


@pytest.mark.parametrize("undoubted", [3, timeline.UNDOUBTED])
def test_a_long_sound_with_a_hole_of_hours_lasts_as_long_as_what_is_read_of_it(
    undoubted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "film.mp4", 8)
    sound = tmp_path / "sound.m4a"
    with av.open(str(film)) as original, av.open(str(sound), "w") as copy:
        stream = copy.add_stream_from_template(original.streams.audio[0])
        for packet in original.demux(original.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    slow = remux(  # packets 23 s apart, and a hole of 1.2 hours
        sound, tmp_path / "slow.mka", lambda kind, _, time: 1000 * time + 4300 * (time >= 4)
    )
    monkeypatch.setattr(timeline, "UNDOUBTED", undoubted)
    monkeypatch.setattr(timeline, "MOST_EMPTY", 10_000)
    heard = sum(len(block) for block in stream_sound(slow, rate=1000)) / 1000
    assert probe(slow).duration == pytest.approx(heard, abs=0.1)
    assert heard == pytest.approx(8000, abs=200)  # without the hole


@pytest.mark.parametrize("last", [1, 40, 159, 160])
def test_the_last_packet_of_speex_in_ogg_holds_as_much_as_its_page_says(
    tmp_path: Path, last: int
) -> None:
    rate, path = 8_000, tmp_path / "a.ogg"
    count = len(packets_of(CODED / "speex.mka"))
    samples = recoded("speex.mka", path, 160, last=last, page_duration="100000")
    assert samples == 160 * (count - 1) + last
    with open_media(path) as source:
        sound = source.sound
        packets = list(source.packets(sound))
        assert packets[0].pts == 0
        assert [last_length(sound, each) for each in packets[-2:]] == [160, last]
    assert probe(path).duration == samples / rate
    assert np.array_equal(read_sound(path, rate=rate), decoded(path)[:samples])
    part = read_sound(path, rate=rate, start=(samples - 100) / rate)
    assert np.array_equal(part, decoded(path)[samples - 100 : samples])
