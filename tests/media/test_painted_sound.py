"""The sound of a painted film: in which file it is copied, and where and how long it is heard.

Every codec in every kind of file that can be made here, painted into every kind of file.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from made_media import make_video, noise, numbered

from hearsight.media.read import Frame, probe, read_sound, stream_frames
from hearsight.media.sound import mono
from hearsight.media.sound_writers import sound_frame
from hearsight.media.write import paint_video

FRAMES = [numbered(number) for number in range(5)]  # 0.2 s, of 0.6 s of sound
DISC = {"codec": "mpeg2video"}
MPEG4 = ".mp4 .mov .m4v"
TARGETS = (".mp4", ".mov", ".m4v", ".mkv", ".webm")
MATROSKA = (".mkv", ".webm")  # whose clocks count milliseconds
CODED = Path(__file__).parent / "coded"  # sounds that nothing here encodes
WINDOW = 0.15  # seconds of sound that are looked for

# file, codec of sound, how it is made, where it is copied
FILMS = [
    ("a.mp4", "aac", {}, f"{MPEG4} .mkv"),
    ("a.mov", "aac", {"rate": 44_100}, f"{MPEG4} .mkv"),
    ("a.mkv", "aac", {"rate": 44_100}, f"{MPEG4} .mkv"),
    ("a.mkv", "aac", {"channels": 8}, f"{MPEG4} .mkv"),
    ("a.ts", "aac", DISC, f"{MPEG4} .mkv"),
    ("a.ts", "aac", {**DISC, "options": {"mpegts_flags": "latm"}}, ""),
    ("a.flv", "aac", {"codec": "flv", "rate": 44_100}, f"{MPEG4} .mkv"),
    ("a.mp4", "libmp3lame", {}, ".mp4 .mov .mkv"),
    ("a.mkv", "libmp3lame", {"rate": 44_100}, ".mp4 .mov .mkv"),
    ("a.avi", "libmp3lame", {}, ".mp4 .mov .mkv"),
    ("a.ts", "mp2", DISC, ".mp4 .mov .mkv"),
    ("a.mp4", "mp2", {}, ".mp4 .mov .mkv"),
    ("a.mpg", "mp2", DISC, ".mp4 .mov .mkv"),
    ("a.mp4", "libopus", {}, ".mp4 .mkv .webm"),
    ("a.mkv", "libopus", {}, ".mp4 .mkv .webm"),
    ("a.ts", "libopus", DISC, ".mp4 .mkv .webm"),
    ("a.mkv", "vorbis", {"rate": 44_100}, ".mp4 .mkv .webm"),
    ("a.mkv", "flac", {"rate": 44_100}, ".mp4 .mkv"),
    ("a.mp4", "flac", {"rate": 96_000}, ".mp4 .mkv"),
    ("a.mov", "alac", {}, f"{MPEG4} .mkv"),
    ("a.mkv", "alac", {}, f"{MPEG4} .mkv"),
    ("a.mkv", "tta", {}, ".mkv"),
    ("a.mkv", "wavpack", {}, ".mkv"),
    ("a.mp4", "ac3", {}, f"{MPEG4} .mkv"),
    ("a.mkv", "ac3", {"channels": 6}, f"{MPEG4} .mkv"),
    ("a.ts", "ac3", DISC, f"{MPEG4} .mkv"),
    ("a.mp4", "eac3", {}, ".mp4 .mov .mkv"),
    ("a.mkv", "eac3", {}, ".mp4 .mov .mkv"),
    ("a.wmv", "wmav2", {"codec": "wmv2", "sound_bits": 128_000}, ""),
    ("a.mov", "pcm_s16le", {}, ".mp4 .mov .mkv"),
    ("a.mkv", "pcm_f64le", {"rate": 96_000}, ".mp4 .mov .mkv"),
    ("a.avi", "pcm_u8", {"rate": 11_025, "channels": 1}, ".mov .mkv"),
    ("a.avi", "pcm_mulaw", {"rate": 8_000, "channels": 1}, ".mov"),
    ("a.m2ts", "pcm_bluray", {**DISC, "options": {"mpegts_m2ts_mode": "1"}}, ""),
    ("a.avi", "adpcm_ms", {"rate": 44_100}, ""),
    ("a.mov", "adpcm_ima_qt", {"rate": 16_000}, ".mov"),
    ("a.mkv", "truehd", {"rate": 44_100}, ".mkv"),
    ("a.mkv", "dts", {"rate": 8_000}, ".mp4 .mov .mkv"),
    ("a.mov", "speex", {"rate": 8_000}, ".mov"),
    ("a.avi", "dts", {"rate": 8_000}, ".mp4 .mov .mkv"),
    ("a.avi", "speex", {"rate": 8_000}, ".mov"),
    ("a.flv", "nellymoser", {"codec": "flv", "rate": 44_100, "channels": 1}, ".mov"),
]


def film(
    path: Path, sound_codec: str, *, rate: int = 48_000, channels: int = 2, **more: Any
) -> Path:
    coded = CODED / f"{sound_codec}.mka"
    if coded.exists():
        pictures = make_video(path.with_name("silent.mkv"), FRAMES, **{"codec": "mpeg4", **more})
        return beside(pictures, coded, path)
    sound = np.stack([noise(0.6, rate)] * channels)
    settings = {"codec": "mpeg4", "sound": sound, "sound_rate": rate, **more}
    return make_video(path, FRAMES, sound_codec=sound_codec, **settings)


def beside(pictures: Path, sound: Path, target: Path) -> Path:
    """A film with the packets of one file as its pictures, of another as its sound."""
    with ExitStack() as opened:
        files = [opened.enter_context(av.open(str(each))) for each in (pictures, sound)]
        output = opened.enter_context(av.open(str(target), "w"))
        sources = (files[0].streams.video[0], files[1].streams.audio[0])
        streams = [output.add_stream_from_template(each) for each in sources]
        for file, source, stream in zip(files, sources, streams, strict=True):
            for packet in file.demux(source):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    return target


def shown(frame: Frame) -> np.ndarray:
    return frame.pixels


def picture_start(path: Path) -> float:
    return next(stream_frames(path)).time


def as_players_hear(path: Path, rate: int) -> np.ndarray:
    """The sound from the first picture on, by the time stamps that FFmpeg gives its players."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    with av.open(str(path)) as container:
        frames = [frame for frame in container.decode(audio=0) if frame.pts is not None]
    begin = frames[0].pts * frames[0].time_base - first.pts * first.time_base
    sound = np.concatenate([mono(frame) for frame in frames])
    place = round(begin * frames[0].sample_rate)
    sound = np.pad(sound, (place, 0)) if place > 0 else sound[-place:]
    if frames[0].sample_rate == rate:
        return sound
    import soxr  # type: ignore[import-untyped]

    return np.asarray(soxr.resample(sound, frames[0].sample_rate, rate))


def lag(first: np.ndarray, second: np.ndarray, rate: int, start: float) -> int:
    """By how many samples the second sound is later at `start` (seconds), up to 40 ms."""
    begin, most = round(start * rate), rate // 25
    part = first[begin : begin + round(WINDOW * rate)]
    around = second[begin - most : begin + len(part) + most]
    size = 1 << len(around).bit_length()
    alike = np.fft.irfft(np.fft.rfft(around, size) * np.conj(np.fft.rfft(part, size)), size)
    best = int(np.argmax(alike[: 2 * most + 1]))
    found = around[best : best + len(part)]
    assert np.corrcoef(part, found)[0, 1] > 0.9, "the sound is not found"
    return best - most


class Made(NamedTuple):
    """A film, and where its sound is copied."""

    path: Path
    rate: int  # hertz
    sound: np.ndarray
    copied: list[str]
    start: float  # of its pictures, in seconds


@pytest.fixture(scope="module", params=FILMS, ids=lambda row: f"{row[1]}-{row[0]}-{len(row[2])}")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    name, codec, more, copied = request.param
    path, rate = tmp_path_factory.mktemp("film") / name, more.get("rate", 48_000)
    film(path, codec, **more)
    return Made(path, rate, read_sound(path, rate=rate), copied.split(), picture_start(path))


@pytest.mark.parametrize("target", TARGETS)
def test_the_sound_of_a_painted_film(made: Made, target: str, tmp_path: Path) -> None:
    original, rate, before, copied, start = made
    painted, said = tmp_path / f"b{target}", list[str]()
    paint_video(original, painted, shown, notice=said.append)
    with av.open(str(painted)) as container:
        codec = container.streams.audio[0].codec_context.name
    if target in copied:
        assert said == []
    else:
        assert len(said) == 1
        assert said[0].startswith(f"A {target} file cannot hold sound of the kind ")
        assert said[0].endswith(f"from '{original}': it is encoded anew.")
        assert codec == ("opus" if target == ".webm" else "aac")
    after = read_sound(painted, rate=rate)
    late = round((picture_start(painted) - start) * rate)
    # the picture of these begins between two milliseconds
    coarse = target in MATROSKA and original.suffix in (".ts", ".mpg", ".m2ts")
    bound = round(rate / 1_000) if coarse else 1
    untold = codec in ("vorbis", "nellymoser")  # of whose packets the file states milliseconds
    assert abs(len(after) - len(before)) <= (round(rate / 1_000) if untold else bound)
    heard = as_players_hear(painted, rate)
    for time in (0.1, 0.35):
        assert abs(lag(before, after, rate, time) - late) <= bound
        assert abs(lag(before, heard, rate, time) + round(start * rate)) <= bound


LOOSE = {"vorbis": 0.003, "nellymoser": 0.003}  # seconds; lengths of packets are not exact


@pytest.mark.parametrize(("name", "codec", "settings", "_"), FILMS)
def test_a_film_lasts_until_the_last_sample_that_is_read(
    name: str, codec: str, settings: dict[str, Any], _: str, tmp_path: Path
) -> None:
    path = film(tmp_path / name, codec, **settings)
    heard = len(read_sound(path)) / 16_000
    assert heard > 0.5  # longer than the pictures
    assert abs(probe(path).duration - heard) <= LOOSE.get(codec, 0.0015)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libmp3lame")])
def test_a_sound_that_begins_between_two_milliseconds(
    tmp_path: Path, name: str, codec: str, target: str
) -> None:
    original = film(tmp_path / name, codec, sound_start=0.1234)
    paint_video(original, tmp_path / f"b{target}", shown, notice=lambda sentence: None)
    before, after = (read_sound(p, rate=48_000) for p in (original, tmp_path / f"b{target}"))
    assert abs(lag(before, after, 48_000, 0.35)) <= (48 if target in MATROSKA else 1)


@pytest.mark.parametrize("target", ["b.mkv", "b.mp4"])
def test_packets_shorter_than_the_tick_of_their_file_keep_their_places(
    tmp_path: Path, target: str
) -> None:
    """As of TrueHD in Matroska: 40 samples each, of which several share a millisecond."""
    path, values = tmp_path / "a.mkv", (noise(2.4, 48_000) * 30_000).astype(np.int16)
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("mpeg4", rate=25, width=64, height=48, bit_rate=500_000)
        sounds = output.add_stream("pcm_s16le", rate=48_000, layout="mono")
        output.mux(pictures.encode(av.VideoFrame.from_ndarray(FRAMES[0])))
        short = 2 * 48_000  # from there on
        for begin in (*range(0, short, 960), *range(short, len(values), 40)):
            part = values[None, begin : begin + (40 if begin >= short else 960)]
            output.mux(sounds.encode(sound_frame(part, "s16", "mono", 48_000, begin)))
        output.mux(pictures.encode(None))
    expected = values / np.float32(32_768)
    paint_video(path, tmp_path / target, shown)
    for each in (path, tmp_path / target):
        assert np.array_equal(read_sound(each, rate=48_000), expected)
        for start in (2.05, 2.1505):
            begin = round(start * 48_000)
            part = read_sound(each, rate=48_000, start=start, seconds=0.2)
            assert np.array_equal(part, expected[begin : begin + len(part)])
