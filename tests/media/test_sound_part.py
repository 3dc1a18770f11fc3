"""A part of a sound is that part of the whole, whatever the index of its file tells of places."""

from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import add_sound, made_once, make_video, numbered
from made_timed import two_descriptions

from hearsight.media import sound_part
from hearsight.media.read import ExcerptReader, probe, read_sound
from hearsight.media.source import open_media

RATE, SECONDS = 44_100, 9


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return rising_tones(tmp_path / "whole.m4a")


@made_once
def rising_tones(path: Path) -> Path:
    """Two tones that rise, so that every part is unlike all others."""
    times = np.arange(SECONDS * RATE) / RATE
    rising = np.sin(2 * np.pi * (200 * times + 90 * times**2))
    faster = np.sin(2 * np.pi * (900 * times + 200 * times**2))
    rows = np.stack([0.2 * rising, 0.2 * faster]).astype(np.float32)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=RATE, layout="stereo")
        stream.options = {"aac_pns": "0"}  # whose noise a decoder makes up as it comes along
        add_sound(output, stream, rows, RATE)
    return path


def copied(
    source: Path, name: str, keep: Callable[[int], bool], options: dict[str, str] | None = None
) -> Path:
    """The packets of a sound whose numbers are kept, with their own stamps."""
    path = source.with_name(name)
    with av.open(str(source)) as read, av.open(str(path), "w", options=options) as written:
        stream = written.add_stream_from_template(read.streams.audio[0])
        for number, packet in enumerate(read.demux(read.streams.audio[0])):
            if packet.size and keep(number):
                packet.stream = stream
                written.mux(packet)
    return path


def parts(folder: Path, codec: str, rates: Sequence[int]) -> list[Path]:
    """The thirds of a rising tone, each coded at its own rate."""
    paths = [folder / f"{number}.mp4" for number in range(len(rates))]
    for number, (path, rate) in enumerate(zip(paths, rates, strict=True)):
        times = 3 * number + np.arange(3 * rate) / rate
        with av.open(str(path), "w") as output:
            stream = output.add_stream(codec, rate=rate, layout="stereo")
            stream.options = {"aac_pns": "0"} if codec == "aac" else {}
            tone = 0.2 * np.sin(2 * np.pi * (200 * times + 90 * times**2))
            add_sound(output, stream, np.stack([tone, tone]).astype(np.float32), rate)
    return paths


def joined(path: Path, parts: Sequence[Path]) -> list[int]:
    """Write the packets of several files, one after the other; how many there are of each."""
    counts, following = [], Fraction(0)
    with av.open(str(parts[0])) as first, av.open(str(path), "w") as written:
        stream = written.add_stream_from_template(first.streams.audio[0])
        for part in parts:
            with av.open(str(part)) as read:
                packets = [each for each in read.demux(read.streams.audio[0]) if each.size]
            length = Fraction(packets[0].duration * packets[0].time_base)
            for packet in packets:
                packet.time_base = Fraction(1, 9_000_000)
                packet.pts = packet.dts = round(following / packet.time_base)
                packet.duration = round(length / packet.time_base)
                packet.stream = stream
                written.mux(packet)
                following += length
            counts.append(len(packets))
    return counts


def step(path: Path) -> int | None:
    with open_media(path) as source:
        return source.even_sound


def check_parts(
    path: Path, starts: Sequence[float] = (2.5, 3.37, 4.6, 6.012345, 8.8)
) -> np.ndarray:
    """Compare parts with the whole, which is returned."""
    sound = read_sound(path, rate=RATE)
    for start in starts:
        part = read_sound(path, rate=RATE, start=start, seconds=0.7)
        first = round(start * RATE)
        assert len(part)
        assert np.abs(part - sound[first : first + len(part)]).max() < 2e-5
    return sound


def test_an_even_index_tells_places_without_another_look_at_the_file(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert step(whole) == 1024
    monkeypatch.setattr(sound_part, "_remembered_places", lambda *_: pytest.fail("looked again"))
    assert len(check_parts(whole)) == pytest.approx(SECONDS * RATE, abs=2048)


def test_a_hole_in_the_index_stays_silent_at_its_place(whole: Path) -> None:
    path = copied(whole, "hole.m4a", lambda number: not 120 <= number < 165)
    assert step(path) is None
    sound = check_parts(path)
    assert not sound[round(3.0 * RATE) : round(3.6 * RATE)].any()
    assert np.abs(sound[: round(2.5 * RATE)]).max() > 0.1


@pytest.mark.parametrize("kind", ["frag_keyframe+empty_moov", "dash+frag_keyframe"])
def test_parts_of_a_sound_in_fragments_are_those_of_the_whole(whole: Path, kind: str) -> None:
    live = {"movflags": kind, "frag_duration": "1000000"}
    check_parts(copied(whole, "live.mp4", lambda _: True, live))


def test_an_index_that_ends_before_the_sound_is_not_taken_for_the_whole(whole: Path) -> None:
    live = {"movflags": "dash+frag_keyframe", "frag_duration": "1000000"}
    path = copied(whole, "live.mp4", lambda _: True, live)
    with av.open(str(path)) as opened:
        sound = opened.streams.audio[0]
        last = sound.index_entries[len(sound.index_entries) - 1].timestamp
        assert last < SECONDS * RATE - 10_240
    assert step(path) is None


def test_other_containers_have_no_such_index(whole: Path) -> None:
    assert step(copied(whole, "sound.mka", lambda _: True)) is None


@pytest.mark.parametrize(
    ("name", "codec", "bits"),
    [
        *[("a.mp4", "aac", 32_000), ("a.mkv", "aac", 32_000)],
        *[("a.mp4", "ac3", 64_000), ("a.mp4", "eac3", 64_000)],
    ],
)
def test_what_is_heard_at_a_time_does_not_depend_on_what_was_heard_before(
    tmp_path: Path, name: str, codec: str, bits: int
) -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal(12 * 44_100).astype(np.float32)
    frames = [numbered(0, 64, 48)] * 300
    path = make_video(tmp_path / name, frames, sound=hiss, sound_codec=codec, sound_bits=bits)

    def heard(*times: float) -> np.ndarray:
        with closing(ExcerptReader(path, seconds=2.0)) as reader:
            return [reader.read(time).sound for time in times][-1]

    alone = heard(9.0)
    assert np.array_equal(heard(4.0, 6.5, 9.0), alone)
    assert np.array_equal(heard(7.0, 9.0), alone)
    assert np.array_equal(read_sound(path, start=8.0, seconds=2.0), alone)
    assert not np.array_equal(read_sound(path)[8 * 16_000 : 10 * 16_000], alone)  # so it is noise


@pytest.mark.parametrize(
    ("codec", "rates"),
    [
        ("libmp3lame", (44_100, 48_000, 44_100)),
        ("libmp3lame", (48_000, 44_100, 48_000)),
        ("mp2", (44_100, 48_000, 44_100)),
    ],
)
def test_parts_of_joined_sounds_of_other_rates_are_those_of_the_whole(
    tmp_path: Path, codec: str, rates: tuple[int, ...]
) -> None:
    joined(tmp_path / "a.mkv", parts(tmp_path, codec, rates))
    assert len(check_parts(tmp_path / "a.mkv")) > 8.9 * RATE


@pytest.mark.parametrize("codec", ["ac3", "eac3"])
@pytest.mark.parametrize("rates", [(44_100, 48_000, 48_000), (48_000, 44_100, 32_000)])
def test_a_seek_into_a_part_of_another_rate_is_not_trusted(
    tmp_path: Path, codec: str, rates: tuple[int, ...]
) -> None:
    path = tmp_path / "a.mp4"
    joined(path, parts(tmp_path, codec, rates))
    whole = check_parts(path, (2.4, 3.7, 4.6, 6.012345, 8.7))
    assert len(whole) / RATE == pytest.approx(probe(path).duration, abs=2e-3)


@pytest.mark.parametrize("rates", [(44_100, 48_000), (48_000, 44_100), (44_100, 22_050)])
def test_parts_of_a_sound_with_two_descriptions_are_those_of_the_whole(
    tmp_path: Path, rates: tuple[int, int]
) -> None:
    path, [one, other] = tmp_path / "a.mp4", parts(tmp_path, "aac", rates)
    two_descriptions(path, other, joined(path, [one, other])[0])
    with av.open(str(path)) as opened:
        assert {frame.sample_rate for frame in opened.decode(audio=0)} == set(rates)
    check_parts(path, (2.2, 3.5, 4.123, 5.2))


def test_an_mp3_whose_bit_rate_falls_and_that_does_not_tell_its_length_is_heard_to_its_end(
    tmp_path: Path,
) -> None:
    """What its first frame lets expect is less than half of it."""
    times = np.arange(40 * RATE) / RATE
    hiss = np.random.default_rng(0).standard_normal(len(times))
    rising = np.where(times < 2, 0.2 * hiss, 0.01 * np.sin(2 * np.pi * (200 + 20 * times) * times))
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", options={"write_xing": "0"}) as output:
        stream = output.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.options = {"flags": "+qscale", "global_quality": "472"}  # of -q:a 4
        add_sound(output, stream, rising.astype(np.float32)[None], RATE)
    with av.open(str(path)) as read:
        sizes = [packet.size for packet in read.demux() if packet.size]
    assert sizes[0] * len(sizes) > 2 * sum(sizes)
    heard = read_sound(path, rate=RATE)
    assert probe(path).duration == pytest.approx(len(heard) / RATE, abs=0.001)
    assert 40 <= len(heard) / RATE < 40.1
    for time in (1.0, 13.0, 26.5, 39.0):
        first = round(time * RATE)
        part = read_sound(path, rate=RATE, start=time, seconds=0.5)
        assert np.array_equal(part, heard[first : first + RATE // 2])
