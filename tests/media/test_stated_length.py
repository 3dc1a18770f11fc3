"""A sound ends where its file says so, not with what fills up its last block."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from hearsight.media.read import probe, read_sound, stream_sound
from hearsight.media.samples import to_samples
from hearsight.media.sound_file import decode_sound_file
from hearsight.media.stated_length import SEARCHED, holds_two_flac

RATE = 8000
COUNT = 24_001  # fills no block of any kind


def tone(count: int = COUNT) -> np.ndarray:
    return (0.4 * np.sin(np.arange(count) / 7)).astype(np.float32)


def written(path: Path, subtype: str, count: int = COUNT, channels: int = 1) -> Path:
    rows = np.stack([tone(count)] * channels, axis=1)
    soundfile.write(path, rows, RATE, format=path.suffix[1:].upper(), subtype=subtype)
    return path


def lasts(path: Path, count: int) -> None:
    """By every reader, whole and in parts."""
    whole = read_sound(path, rate=RATE)
    assert len(whole) == count
    assert probe(path).duration == pytest.approx(count / RATE, abs=1e-6)
    assert sum(len(block) for block in stream_sound(path, rate=RATE, seconds=0.7)) == count
    start = max(0.0, count / RATE - 0.5)
    part = read_sound(path, rate=RATE, start=start)
    assert np.array_equal(part, whole[round(start * RATE) :])
    at_16_kilohertz = to_samples(read_sound(path, rate=2 * RATE))
    assert np.array_equal(decode_sound_file(path.read_bytes()), at_16_kilohertz)


@pytest.mark.parametrize("channels", [1, 2])
def test_ms_adpcm_ends_where_its_fact_says(tmp_path: Path, channels: int) -> None:
    path = written(tmp_path / "a.wav", "MS_ADPCM", channels=channels)
    assert soundfile.info(path).frames > COUNT  # libsndfile gives what fills up the last block
    lasts(path, COUNT)
    assert np.abs(read_sound(path, rate=RATE) - tone()).max() < 0.05


@pytest.mark.parametrize("name", ["a.wav", "a.w64", "a.aiff"])
def test_gsm_ends_where_its_file_says(tmp_path: Path, name: str) -> None:
    lasts(written(tmp_path / name, "GSM610"), COUNT)


@pytest.mark.parametrize("codec", ["adpcm_ima_wav", "adpcm_yamaha", "g722", "g726"])
def test_a_fact_less_than_a_block_short_is_the_length(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(to_samples(tone())[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        size = stream.codec_context.frame_size
        resampler = av.AudioResampler("s16", "mono", RATE, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(part))
    file = bytearray(path.read_bytes())
    place = file.index(b"fact") + 8
    file[place : place + 4] = bytes(4)
    path.write_bytes(file)
    decoded = len(read_sound(path, rate=RATE))
    assert decoded > COUNT
    file[place : place + 4] = struct.pack("<I", COUNT)
    path.write_bytes(file)
    lasts(path, COUNT)


@pytest.mark.parametrize("stated", [0, 1, COUNT // 2, 2 * COUNT, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_fact_that_cannot_be_is_not_trusted(tmp_path: Path, stated: int) -> None:
    path = written(tmp_path / "a.wav", "MS_ADPCM")
    file = bytearray(path.read_bytes())
    place = file.index(b"fact") + 8
    file[place : place + 4] = struct.pack("<I", stated)
    path.write_bytes(file)
    lasts(path, soundfile.info(path).frames)


def aiff(kind: bytes, data: bytes, count: int, channels: int, width: int) -> bytes:
    """An AIFF file, or AIFF-C of a kind; 8,000 hertz."""
    rate = struct.pack(">HQ", 16_383 + 12, RATE << 51)  # as a number of 80 bits
    common = struct.pack(">hIh", channels, count, 8 * width) + rate
    common += kind + bytes(2) if kind else b""
    chunks = b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"SSND" + struct.pack(">I", 8 + len(data)) + bytes(8) + data + bytes(len(data) % 2)
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + (b"AIFC" if kind else b"AIFF") + chunks


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("count", [COUNT, COUNT - 1])
@pytest.mark.parametrize(
    ("kind", "width"), [(b"", 1), (b"", 2), (b"", 3), (b"ulaw", 1), (b"alaw", 1), (b"raw ", 1)]
)
def test_the_padding_of_aiff_is_no_sample(
    tmp_path: Path, kind: bytes, width: int, count: int, channels: int
) -> None:
    path = tmp_path / "a.aiff"
    values = np.random.default_rng(1).integers(1, 250, count * channels * width, dtype=np.uint8)
    path.write_bytes(aiff(kind, values.tobytes(), count, channels, width))
    lasts(path, count)


@pytest.mark.parametrize("coding", ["ALAC_16", "ALAC_24"])
@pytest.mark.parametrize("count", [COUNT, 4096, 5, 4095])
def test_alac_in_caf_is_whole(tmp_path: Path, coding: str, count: int) -> None:
    path = written(tmp_path / "a.caf", coding, count)
    expected, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(read_sound(path, rate=RATE), expected)
    lasts(path, count)


def varying(number: int) -> bytes:
    """A number of a packet table: 7 bits a byte, all but the last marked."""
    coded = bytes([number & 127])
    while number := number >> 7:
        coded = bytes([number & 127 | 128]) + coded
    return coded


def test_aac_in_caf_begins_and_ends_as_its_packet_table_says(tmp_path: Path) -> None:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "fltp"
    encoder.options, encoder.bit_rate = {"aac_pns": "0"}, 96_000
    frame = av.AudioFrame.from_ndarray(tone()[None], format="fltp", layout="mono")
    frame.sample_rate, packets = RATE, []
    resampler = av.AudioResampler("fltp", "mono", RATE, frame_size=1024)
    for part in [*resampler.resample(frame), *resampler.resample(None), None]:
        packets += map(bytes, encoder.encode(part))
    priming = 1024
    remainder = 1024 * len(packets) - priming - COUNT
    assert 0 <= remainder < 1024
    table = struct.pack(">qqii", len(packets), COUNT, priming, remainder)

    def descriptor(tag: int, content: bytes) -> bytes:
        return bytes([tag, 0x80, 0x80, 0x80, len(content)]) + content

    config = descriptor(4, b"\x40\x15" + bytes(11) + descriptor(5, encoder.extradata))
    cookie = descriptor(3, bytes(3) + config + descriptor(6, b"\2"))
    form = struct.pack(">d4sIIIII", RATE, b"aac ", 0, 0, 1024, 1, 0)
    chunks = [(b"desc", form), (b"kuki", cookie)]
    chunks += [(b"pakt", table + b"".join(varying(len(each)) for each in packets))]
    chunks += [(b"data", bytes(4) + b"".join(packets))]
    packed = (name + struct.pack(">q", len(content)) + content for name, content in chunks)
    path = tmp_path / "a.caf"
    path.write_bytes(b"caff" + bytes([0, 1, 0, 0]) + b"".join(packed))
    lasts(path, COUNT)
    assert np.std(read_sound(path, rate=RATE) - tone()) < 0.01  # a sample off: 0.04


def test_a_second_flac_file_is_found_wherever_it_begins(tmp_path: Path) -> None:
    path, head = tmp_path / "a.flac", b"fLaC" + b"\0\0\0\x22"
    for begin in range(SEARCHED - 12, SEARCHED + 4):
        first = head + bytes(begin - len(head))
        path.write_bytes(first + b"fLaC" + bytes(20))
        assert not holds_two_flac(path)
        path.write_bytes(first + head[:4] + b"\x80" + head[5:] + bytes(20))
        assert holds_two_flac(path)
