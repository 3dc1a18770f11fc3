"""AAC whose upper octave is coded apart (HE-AAC) is heard where it was recorded.

A mono sound of 1.1 s at 32 kHz, of low noise and two bursts of 1 kHz, coded by libfdk-aac. Its
track counts samples of 16 kHz, and 2048 of them lie before the first that is heard.
"""

from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import make_sound, make_video, numbered

from hearsight.media.edit_list import Edit, stated_by_itunes
from hearsight.media.read import ExcerptReader, probe, read_sound
from hearsight.media.source import longest_priming, open_media
from hearsight.media.write import UNSHIFTED, paint_video

CODED = Path(__file__).parent / "coded" / "he_aac.m4a"
RATE, SECONDS, BURSTS = 32_000, 1.1, (0.25, 0.8)
PRIMING = 2048  # samples of 16 kHz
DELAY = 481  # samples of 16 kHz, by which the upper octave delays what a decoder gives
TAG = f"00000000 {PRIMING:08X} {0x340:08X} {0x44C0:016X}"


def burst_lags(path: Path, rate: int = RATE) -> list[int]:
    """Samples by which each burst is heard later than it was recorded."""
    sound = read_sound(path, rate=rate)
    times = np.arange(round(0.05 * rate)) / rate
    burst = np.sin(2 * np.pi * 1000 * times) * np.hanning(len(times))
    lags = []
    for begin in BURSTS:
        first = round((begin - 0.15) * rate)
        alike = np.correlate(sound[first : first + round(0.4 * rate)], burst, "valid")
        assert alike.max() > 0.5 * (burst @ burst)
        lags.append(int(np.argmax(alike)) + first - round(begin * rate))
    return lags


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as opened:
        return [bytes(packet) for packet in opened.demux(audio=0) if packet.size]


def copied(
    path: Path, packets: list[bytes], priming: int = 0, pictures: Path | None = None
) -> Path:
    """Packets as the sound of a file that FFmpeg writes, in samples of the whole."""
    with ExitStack() as opened:
        files = [opened.enter_context(av.open(str(CODED)))]
        files += [opened.enter_context(av.open(str(pictures)))] if pictures else []
        output = opened.enter_context(av.open(str(path), "w"))
        sound = output.add_stream_from_template(files[0].streams.audio[0])
        shown = [output.add_stream_from_template(each.streams.video[0]) for each in files[1:]]
        for number, content in enumerate(packets):
            packet = av.Packet(content)
            packet.pts = packet.dts = 2048 * number - priming
            packet.time_base, packet.duration, packet.stream = Fraction(1, RATE), 2048, sound
            output.mux(packet)
        for file, stream in zip(files[1:], shown, strict=True):
            for packet in file.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    return path


def as_core(path: Path) -> Path:
    """Let the clock of an mp4 file's sound count samples of the lower octaves."""
    data = bytearray(path.read_bytes())
    track = data.rindex(b"trak", 0, data.index(b"smhd"))
    for name, place, step in ((b"mdhd", 16, 4), (b"mdhd", 20, 4), (b"elst", 16, 4)):
        begin = data.index(name, track) + place
        halved(data, begin, begin + step)
    table = data.index(b"stts", track)
    rows = int.from_bytes(data[table + 8 : table + 12], "big")
    for row in range(rows):
        halved(data, table + 16 + 8 * row, table + 20 + 8 * row)
    path.write_bytes(data)
    return path


def halved(data: bytearray, begin: int, end: int) -> None:
    number = int.from_bytes(data[begin:end], "big")
    assert number % 2 == 0
    data[begin:end] = (number // 2).to_bytes(end - begin, "big")


def pictures(folder: Path) -> Path:
    frames = [numbered(number, 64, 48) for number in range(28)]
    return make_video(folder / "pictures.mp4", frames, codec="mpeg4")


def test_the_tag_of_itunes_tells_where_a_sound_begins_and_ends() -> None:
    assert stated_by_itunes(TAG, 20_480, Fraction(1, 16_000)) == Edit(
        Fraction(2048, 16_000), Fraction(2048 + 17_600, 16_000)
    )
    for other in ("", "00000000 zz", TAG.replace("0800", "0801"), "0 0 0 0"):
        assert stated_by_itunes(other, 20_480, Fraction(1, 16_000)) is None


def test_a_sound_with_the_tag_of_itunes_is_heard_as_it_was_recorded() -> None:
    assert burst_lags(CODED) == pytest.approx([0, 0], abs=1)
    assert len(read_sound(CODED, rate=RATE)) == SECONDS * RATE
    assert probe(CODED).duration == SECONDS


def test_a_tag_that_does_not_fit_its_sound_is_left_to_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(CODED.read_bytes().replace(b"00000340", b"00000341"))
    assert len(read_sound(path, rate=RATE)) > SECONDS * RATE


def test_upper_octaves_that_the_head_does_not_tell_of_are_heard_alike(tmp_path: Path) -> None:
    path, head = tmp_path / "a.m4a", bytes.fromhex("140856e5a8")
    path.write_bytes(CODED.read_bytes().replace(head, head[:2] + bytes(3)))
    assert path.read_bytes() != CODED.read_bytes()
    assert np.array_equal(read_sound(path, rate=RATE), read_sound(CODED, rate=RATE))


@pytest.mark.parametrize(
    ("counted", "core", "late"),
    [
        (0, True, 0),  # as iTunes writes it: of the lower octaves alone
        (DELAY, True, 0),  # as libfdk-aac tells it
        (DELAY, False, 0),  # as FFmpeg writes it: of the whole
        (0, False, 2 * DELAY),  # FFmpeg has copied the first, which nothing tells
    ],
)
def test_an_edit_is_that_of_the_clock_it_counts(
    tmp_path: Path, counted: int, core: bool, late: int
) -> None:
    path = copied(tmp_path / "a.mp4", packets_of(CODED), 2 * (PRIMING + counted))
    path = as_core(path) if core else path
    assert burst_lags(path) == pytest.approx([late, late], abs=1)


def test_without_an_edit_all_that_is_decoded_is_heard(tmp_path: Path) -> None:
    lags = [
        burst_lags(copied(tmp_path / name, packets_of(CODED)))
        for name in ("a.mp4", "a.ts", "a.mka")
    ]
    whole = 2 * (PRIMING + DELAY)
    assert lags == [pytest.approx([whole, whole], abs=1)] * 3


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_painted_film_keeps_its_sound_at_its_place(tmp_path: Path, target: str) -> None:
    film = copied(tmp_path / "a.mp4", packets_of(CODED), 2 * PRIMING, pictures(tmp_path))
    film = ended(as_core(film), SECONDS)
    assert burst_lags(film) == pytest.approx([0, 0], abs=1)
    painted = tmp_path / f"b{target}"
    paint_video(film, painted, lambda frame: frame.pixels, notice=lambda _: None)
    assert burst_lags(painted) == pytest.approx([0, 0], abs=2)
    for path in (film, painted):
        assert len(read_sound(path, rate=RATE)) == pytest.approx(SECONDS * RATE, abs=RATE / 1000)


def ended(path: Path, seconds: float) -> Path:
    """End the edit of an mp4 file's sound."""
    data = bytearray(path.read_bytes())
    film = data.index(b"mvhd") + 16
    scale = int.from_bytes(data[film : film + 4], "big")
    place = data.index(b"elst", data.rindex(b"trak", 0, data.index(b"smhd"))) + 12
    data[place : place + 4] = round(seconds * scale).to_bytes(4, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_what_is_heard_at_a_time_does_not_depend_on_what_was_heard_before(
    tmp_path: Path, name: str
) -> None:
    first, *others = packets_of(CODED)
    others = [each for number, each in enumerate(others, 1) if number % 10 != 9]  # heads of SBR
    frames = [numbered(number % 25, 64, 48) for number in range(300)]
    film = make_video(tmp_path / "pictures.mp4", frames, codec="mpeg4")
    path = copied(tmp_path / name, [first, *chain.from_iterable([others] * 10)], 0, film)

    def heard(*times: float) -> np.ndarray:
        with closing(ExcerptReader(path, seconds=2.0, rate=RATE)) as reader:
            return [reader.read(time).sound for time in times][-1]

    alone = heard(9.0)
    assert np.array_equal(heard(4.0, 6.5, 9.0), alone)
    assert np.array_equal(read_sound(path, rate=RATE, start=8.0, seconds=2.0), alone)
    whole = read_sound(path, rate=RATE)[8 * RATE : 10 * RATE]
    assert np.corrcoef(whole, alone)[0, 1] > 0.99
    assert upper(alone) == pytest.approx(upper(whole), rel=0.2)


def upper(sound: np.ndarray) -> float:
    """The level of what lies above 8 kHz."""
    spectrum = np.abs(np.fft.rfft(sound))
    return float(np.sqrt((spectrum[round(len(spectrum) / 2) :] ** 2).mean()))


@pytest.mark.parametrize(
    ("codec", "rate", "samples"),
    [("aac", 8_000, 2112), ("libmp3lame", 16_000, 2112), (None, RATE, 2 * 3553)],
)
def test_what_lies_before_0_is_hidden_as_far_as_an_encoder_may_need_it(
    tmp_path: Path, codec: str | None, rate: int, samples: int
) -> None:
    """Matroska has no word for it, but milliseconds, one of which may be due to rounding."""
    coded = CODED
    if codec is not None:
        suffix = ".aac" if codec == "aac" else ".mp3"
        noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
        coded = make_sound(tmp_path / f"coded{suffix}", noise, rate, codec)
    with open_media(coded) as source:
        assert source.sound is not None
        assert longest_priming(source.sound) == samples
    longest = samples * 1000 // rate + 1  # milliseconds
    heard = {}
    for early in (0, 100, longest, longest + 1):
        path, length = tmp_path / f"{early}.mka", 0
        with av.open(str(coded)) as read, av.open(str(path), "w", options=UNSHIFTED) as written:
            sound = read.streams.audio[0]
            stream = written.add_stream_from_template(sound)
            for packet in [packet for packet in read.demux(sound) if packet.size]:
                lasts = round(packet.duration * sound.time_base * 1000)
                packet.time_base, packet.stream = Fraction(1, 1000), stream
                packet.pts = packet.dts = length - early
                packet.duration, length = lasts, length + lasts
                written.mux(packet)
        heard[early] = len(read_sound(path, rate=rate)) / rate * 1000
    assert heard[100] == pytest.approx(heard[0] - 100, abs=2)
    assert heard[longest] == pytest.approx(heard[0] - longest, abs=2)
    assert heard[longest + 1] == pytest.approx(heard[0], abs=2)
