"""Sounds are the same by whatever reader: by path, in a layout, in a store."""

import struct
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from hearsight.clips.clip import Clip, encode_picture
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.datasets.vggsound import open_vggsound
from hearsight.media import sound_file
from hearsight.media.read import probe, read_sound
from hearsight.media.samples import RATE, to_samples
from hearsight.media.sound_file import decode_sound_file
from hearsight.media.sound_heads import APPENDED, end_in
from hearsight.media.source import MediaError

FRAME = encode_picture(np.zeros((8, 8, 3), np.uint8))
STEPS = np.random.default_rng(0).integers(-100, 100, 800) / 128  # what 8 bits can say
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf62.12.102\0"
ID3 = b"id3 " + struct.pack("<I", 10) + b"ID3\3\0\0\0\0\0\0"
ODD = b"junk" + struct.pack("<I", 3) + b"abc\0"  # an odd length is padded


def coded(kind: str, values: np.ndarray) -> bytes:
    """The data of a WAV file."""
    if kind == "u8":
        return (np.round(values * 128) + 128).astype(np.uint8).tobytes()
    if kind == "s24":
        return b"".join(int(v * 2**23).to_bytes(3, "little", signed=True) for v in values.flat)
    if kind.startswith("f"):
        return values.astype(f"<f{int(kind[1:]) // 8}").tobytes()
    bits = int(kind[1:])
    return np.round(values * 2.0 ** (bits - 1)).astype(f"<i{bits // 8}").tobytes()


def wav(
    kind: str = "s16",
    values: np.ndarray = STEPS,
    *,
    told: int | None = None,
    extensible: bool = False,
    first: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A WAV file; `told` is the size that its header claims, for the file and for the data."""
    data, channels = coded(kind, values), 1 if values.ndim == 1 else values.shape[1]
    code, bits = 3 if kind[0] == "f" else 1, int(kind[1:])
    block = channels * bits // 8
    form = (0xFFFE if extensible else code, channels, RATE, RATE * block, block, bits)
    head = struct.pack("<HHIIHH", *form)
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 4 if channels == 1 else 3, code)
        head += bytes.fromhex("000000001000800000aa00389b71")
    inner = b"WAVE" + first + b"fmt " + struct.pack("<I", len(head)) + head + between
    inner += b"data" + struct.pack("<I", len(data) if told is None else told)
    inner += data + bytes(len(data) % 2) + after
    return b"RIFF" + struct.pack("<I", len(inner) if told is None else told) + inner


def by_ffmpeg(codec: str, tmp_path: Path) -> bytes:
    """A second of sound, as FFmpeg writes a WAV file."""
    tone = (0.4 * np.sin(np.arange(RATE) / 5)).astype(np.float32)
    with av.open(str(tmp_path / "made.wav"), "w") as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        kind = stream.codec_context.format.name
        pcm = tone[None] if kind.startswith("flt") else np.int16(tone * 32_767)[None]
        frame = av.AudioFrame.from_ndarray(
            pcm, format="fltp" if kind.startswith("flt") else "s16", layout="mono"
        )
        frame.sample_rate = RATE
        for part in av.AudioResampler(kind, "mono", RATE).resample(frame):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return (tmp_path / "made.wav").read_bytes()


def by_every_reader(file: bytes, tmp_path: Path) -> list[np.ndarray]:
    """16-bit samples as `media`, a layout, a layout's stored clip and a store give them."""
    folder = tmp_path / "layout"
    for name, content in (("frame/a.jpg", FRAME), ("audio/a.wav", file)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    layout = open_vggsound(folder)
    found = [
        to_samples(read_sound(folder / "audio" / "a.wav", rate=RATE)),
        layout.sound(0),
        layout.clip(0).decode().sound,
        decode_sound_file(file),
    ]
    if int.from_bytes(file[22:24], "little") > 1:  # a store holds one channel alone
        return found
    with StoreWriter(tmp_path / "store") as writer:
        writer.add(Clip(id="a", frame=FRAME, sound=file))
    store = Store(tmp_path / "store")
    return [*found, store.sound(0), store[0].sound]


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("told", [None, 0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF])
@pytest.mark.parametrize("kind", ["u8", "s16", "s24", "s32", "s64", "f32", "f64"])
def test_wav_of_every_width_and_claimed_size_is_read_whole(
    tmp_path: Path, kind: str, told: int | None, extensible: bool
) -> None:
    file = wav(kind, told=told, extensible=extensible)
    for samples in by_every_reader(file, tmp_path):
        assert np.array_equal(samples, STEPS * 32_768)


@pytest.mark.parametrize("told", [None, 0, 0xFFFFFFFF])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("filled", "kind"), [(24, "s32"), (20, "s32"), (16, "s32"), (16, "s24")])
def test_samples_in_more_bytes_than_they_fill_are_read_alike(
    tmp_path: Path, filled: int, kind: str, channels: int, told: int | None
) -> None:
    values = np.stack([STEPS, STEPS[::-1]][:channels], axis=-1)
    file = bytearray(wav(kind, values, told=told, extensible=True, between=ODD, after=LIST))
    file[38:40] = filled.to_bytes(2, "little")  # wValidBitsPerSample
    for samples in by_every_reader(bytes(file), tmp_path):
        assert np.array_equal(samples, values.mean(axis=1) * 32_768)
    part = read_sound(tmp_path / "layout" / "audio" / "a.wav", rate=RATE, start=0.01, seconds=0.02)
    assert np.array_equal(to_samples(part), values.mean(axis=1)[160:480] * 32_768)


@pytest.mark.parametrize("told", [3200, 0])
def test_samples_in_more_bytes_than_they_fill_are_read_alike_in_rf64(
    tmp_path: Path, told: int
) -> None:
    after = LIST if told else b""
    file = bytearray(wav("s32", told=0xFFFFFFFF, extensible=True, between=ODD, after=after))
    file[38:40] = (24).to_bytes(2, "little")
    sizes = b"ds64" + struct.pack("<IQQQI", 28, len(file) + 28, told, len(STEPS), 0)
    path = tmp_path / "a.wav"
    path.write_bytes(b"RF64" + file[4:12] + sizes + file[12:])
    samples = [to_samples(read_sound(path, rate=RATE))]
    samples += [decode_sound_file(path.read_bytes(), path)] if told else []
    for one in samples:
        assert np.array_equal(one, STEPS * 32_768)


def test_a_flac_from_a_pipe_that_does_not_say_its_length_is_read_alike(tmp_path: Path) -> None:
    made = BytesIO()
    soundfile.write(made, STEPS, RATE, format="FLAC", subtype="PCM_16")
    file = bytearray(made.getvalue())
    assert int.from_bytes(file[21:26]) & 0xF_FFFF_FFFF == len(STEPS)
    file[21:26] = bytes([file[21] & 0xF0]) + bytes(4)
    for samples in by_every_reader(bytes(file), tmp_path):
        assert np.array_equal(samples, STEPS * 32_768)


@pytest.mark.parametrize("told", [None, 0, 0xFFFFFFFF])
def test_other_chunks_of_a_wav_are_no_sound(tmp_path: Path, told: int | None) -> None:
    cases = [{"first": LIST}, {"first": ODD}, {"between": LIST}, {"between": LIST + ODD}]
    cases += [{"after": LIST}, {"after": ODD + LIST + ID3}, {"after": LIST[:-1] + b"x" + ID3}]
    for number, chunks in enumerate(cases):
        for samples in by_every_reader(wav(told=told, **chunks), tmp_path / str(number)):
            assert np.array_equal(samples, STEPS * 32_768)


@pytest.mark.parametrize("told", [None, 0, 0xFFFFFFFF])
@pytest.mark.parametrize(("kind", "name"), [("u8", b"LIST"), ("s24", b"junk"), ("f32", b"bext")])
def test_a_chunk_of_odd_size_without_its_padding_hides_no_sound(
    tmp_path: Path, kind: str, name: bytes, told: int | None
) -> None:
    odd = name + struct.pack("<I", 5) + b"INFOx"
    cases = [{"first": odd}, {"between": odd}, {"first": odd + odd}, {"first": odd, "between": odd}]
    cases += [{"first": odd, "after": LIST}, {"between": ODD + odd + LIST}]
    for number, chunks in enumerate(cases):
        for samples in by_every_reader(wav(kind, told=told, **chunks), tmp_path / str(number)):
            assert np.array_equal(samples, STEPS * 32_768)


def test_a_part_of_a_wav_without_its_padding(tmp_path: Path) -> None:
    values = np.tile(STEPS, 100)  # 5 seconds
    path = tmp_path / "a.wav"
    path.write_bytes(wav(values=values, first=b"LIST" + struct.pack("<I", 5) + b"INFOx"))
    part = to_samples(read_sound(path, rate=RATE, start=3.0, seconds=1.0))
    assert np.array_equal(part, values[3 * RATE : 4 * RATE] * 32_768)
    assert probe(path).duration == pytest.approx(5.0)


def test_only_a_chunk_that_ends_with_the_file_is_told_from_sound(tmp_path: Path) -> None:
    for number, after in enumerate((LIST[:-2], LIST + b"1234", b"LIST" + bytes(20), b"LIST")):
        [first, *others] = by_every_reader(wav(told=0, after=after), tmp_path / str(number))
        assert len(first) == len(STEPS) + len(after) // 2
        assert all(np.array_equal(first, other) for other in others)
    with pytest.raises(ValueError, match="empty"):
        decode_sound_file(wav(values=STEPS[:0], told=0xFFFFFFFF, after=LIST))


def test_a_part_of_a_wav_of_unknown_size_with_a_chunk_behind_it(tmp_path: Path) -> None:
    values = np.tile(STEPS, 100)  # 5 seconds
    path = tmp_path / "a,b: c.wav"
    path.write_bytes(wav(values=values, told=0xFFFFFFFF, after=LIST))
    part = to_samples(read_sound(path, rate=RATE, start=3.0))
    assert np.array_equal(part, values[3 * RATE :] * 32_768)


def test_the_name_of_a_file_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of a time, as recorders give them, is read from the working folder, too."""
    monkeypatch.chdir(tmp_path)
    wide = np.round(STEPS * 2.0**31).astype("<i4")
    head = bytearray(wav("s32", STEPS, extensible=True))
    place = head.index(b"fmt ") + 8
    struct.pack_into("<H", head, place + 14, 24)  # 24 bits that are stored in 4 bytes
    struct.pack_into("<H", head, place + 18, 24)
    for name, file in (("12:30.wav", wav(told=0, after=LIST)), ("take:2.wav", bytes(head))):
        Path(name).write_bytes(file)
        seen = read_sound(name, rate=RATE)
        assert np.array_equal(seen, read_sound(tmp_path / name, rate=RATE))
        assert np.allclose(seen, wide / 2**31, atol=2**-15)


def end_by_definition(content: bytes, names: tuple[bytes, ...], first: int) -> int | None:
    """The first place from which chunks of known names lead to the end of the file."""
    for place in range(first, len(content)):
        following = place
        while content[following : following + 4] in names and following + 8 <= len(content):
            size = int.from_bytes(content[following + 4 : following + 8], "little")
            end = following + 8 + size
            padded = size % 2 and content[end : end + 4] not in (b"fmt ", b"data", *names)
            following = end + bool(padded)
        if following > place and following in (len(content), len(content) + 1):
            return place
    return None


def test_chunks_behind_a_sound_of_unknown_size_are_found_as_defined() -> None:
    draw = np.random.default_rng(3)
    found = 0
    for _ in range(400):
        parts = [
            (
                LIST,
                ID3,
                ODD,
                b"LIST" + bytes(4),
                b"junk\5\0\0\0abcde",
                b"x",
                b"LIST\1\0\0\0",
                b"ab",
            )[draw.integers(8)]
            for _ in range(draw.integers(1, 9))
        ]
        file = wav(values=STEPS[:20], told=0, after=b"".join(parts))
        first = file.index(b"data") + 8
        wanted = end_by_definition(file, APPENDED, first)
        assert end_in(file) == wanted
        found += wanted is not None
    assert 50 < found < 350


@pytest.mark.timeout(30)
def test_many_chunks_that_lead_nowhere_take_no_time() -> None:
    chunks = (b"LIST" + bytes(4)) * 40_000
    for after in (chunks + b"12345", chunks + b"id3 \3\0\0\0abcd5", b"fact" + chunks[:-2]):
        assert end_in(wav(told=0, after=after)) is None
    whole = wav(told=0, after=b"id3 " + bytes(4) + chunks)
    assert end_in(whole) == whole.index(b"id3 ")


@pytest.mark.parametrize("kind", ["s16", "s24", "s64", "f32"])
def test_several_channels_are_averaged_alike(tmp_path: Path, kind: str) -> None:
    both = np.stack([STEPS, STEPS[::-1] / 2], axis=1)
    for samples in by_every_reader(wav(kind, both), tmp_path):
        assert np.abs(samples - both.mean(axis=1) * 32_768).max() <= 0.5


def test_what_is_above_full_scale_is_clipped_and_no_number_is_silence(tmp_path: Path) -> None:
    values = np.tile([1.7, -1.7, np.nan, np.inf, -np.inf, 0.5], 100)
    wanted = np.tile([32_767, -32_768, 0, 32_767, -32_768, 16_384], 100)
    for samples in by_every_reader(wav("f32", values), tmp_path):
        assert np.array_equal(samples, wanted)


@pytest.mark.parametrize("codec", ["libmp3lame", "adpcm_ima_wav", "pcm_mulaw", "pcm_s64le"])
def test_any_coding_inside_a_wav_is_read_alike(tmp_path: Path, codec: str) -> None:
    first, *others = by_every_reader(by_ffmpeg(codec, tmp_path), tmp_path)
    assert len(first) >= RATE
    assert np.abs(first[: RATE // 2]).max() > 12_000
    for samples in others:
        assert np.array_equal(samples, first)


def test_a_wav_beyond_4_gb_by_its_head_is_read(tmp_path: Path) -> None:
    file = BytesIO()
    soundfile.write(file, STEPS, RATE, format="RF64", subtype="PCM_16")
    for samples in by_every_reader(file.getvalue(), tmp_path):
        assert np.array_equal(samples, STEPS * 32_768)


def test_a_sound_of_another_rate_is_resampled_alike(tmp_path: Path) -> None:
    times = np.arange(22_050) / 22_050
    path = tmp_path / "a.wav"
    for subtype in ("PCM_16", "FLOAT", "MS_ADPCM"):
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * times), 22_050, subtype=subtype)
        found = decode_sound_file(path.read_bytes(), path)
        by_path = to_samples(read_sound(path, rate=RATE))
        assert len(found) == len(by_path) >= RATE
        assert np.abs(found - by_path).max() <= 1


def test_what_is_no_sound_is_said(tmp_path: Path) -> None:
    for file, said in (
        (wav()[:600], "cut: 600 of 1,644 bytes"),
        (wav(values=STEPS[:0]), "empty"),
        (wav(values=STEPS[:0], told=0xFFFFFFFF), "empty"),
        (b"RIFF" + bytes(4) + b"WAVE", "empty or damaged"),
        (b"fLaC" + bytes(100), "damaged"),
    ):
        for stored in (True, False):
            with pytest.raises(ValueError, match=said):
                decode_sound_file(file, stored=stored)
    big_endian = BytesIO()
    soundfile.write(big_endian, STEPS, RATE, format="WAV", subtype="PCM_16", endian="BIG")
    (tmp_path / "a.wav").write_bytes(big_endian.getvalue())
    with pytest.raises(MediaError, match=r"big-endian WAV file \(RIFX\): convert"):
        read_sound(tmp_path / "a.wav")


def test_a_store_refuses_other_rates_and_several_channels_of_any_width() -> None:
    both = np.stack([STEPS, STEPS], axis=1)
    for kind in ("s16", "s64"):
        with pytest.raises(ValueError, match="2 channels, a clip needs one"):
            decode_sound_file(wav(kind, both), stored=True)
        slow = wav(kind).replace(struct.pack("<I", RATE), struct.pack("<I", 8000), 1)
        with pytest.raises(ValueError, match="8000 Hz, a clip needs 16000 Hz"):
            decode_sound_file(slow, stored=True)


def test_a_sound_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate of one hertz makes 16,000 samples of each; a clock of a compressed sound as many."""
    monkeypatch.setattr(sound_file, "MOST_SAMPLES", 20 * RATE)
    for seconds in (20, 21):
        slow = bytearray(wav("s16", STEPS[:seconds]))
        place = slow.index(b"fmt ") + 8
        struct.pack_into("<II", slow, place + 4, 1, 2)
        packed = BytesIO()
        soundfile.write(packed, np.zeros(seconds * 8_000, np.int16), 8_000, format="OGG")
        for file in (bytes(slow), packed.getvalue()):
            if seconds == 20:
                assert len(decode_sound_file(file)) == pytest.approx(20 * RATE, abs=RATE)
                continue
            with pytest.raises(
                ValueError, match=r"the sound (claims .* 336,000 at|has more than 320,000)"
            ):
                decode_sound_file(file)
