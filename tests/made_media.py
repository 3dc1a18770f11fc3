"""Small media files made for tests: a frame's colour is its number, a sound is a sine."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream


def numbered(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A frame of one colour that `number_of` reads back, also after lossy coding."""
    colour = (8 * (number % 32) + 4, 8 * (number // 32) + 4, 128)
    return np.full((height, width, 3), colour, np.uint8)


def number_of(pixels: np.ndarray) -> int:
    red, green, _ = pixels.mean(axis=(0, 1))
    return round((red - 4) / 8) + 32 * round((green - 4) / 8)


def sine(frequency: float, seconds: float, rate: int) -> np.ndarray:
    """A float32 sine of half the full scale."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def frequency_of(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def make_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    rate: Fraction = Fraction(25),
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    kind: str = "yuv420p",
    group: int = 12,
    sound: np.ndarray | None = None,
    sound_rate: int = 44_100,
    sound_codec: str = "aac",
    sound_start: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """A video whose frame `i` begins at `ticks[i] * time_base`; `sound` is one channel or rows."""
    quality = {"libx264": {"crf": "8", "preset": "veryfast"}, "libvpx-vp9": {"cpu-used": "8"}}
    with av.open(str(path), "w", options=options or {}) as output:
        pictures = output.add_stream(codec, rate=rate, options=quality.get(codec))
        assert isinstance(pictures, VideoStream)
        pictures.height, pictures.width = frames[0].shape[:2]
        pictures.pix_fmt = kind
        pictures.codec_context.bit_rate = 2_000_000 if codec == "mpeg4" else 0
        pictures.codec_context.gop_size = group
        pictures.codec_context.time_base = time_base or 1 / rate
        sounds = None
        if sound is not None:
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[np.atleast_2d(sound).shape[0]]
            sounds = output.add_stream(sound_codec, rate=sound_rate, layout=layout)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
            frame.pts = index if ticks is None else ticks[index]
            frame.time_base = time_base or 1 / rate
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        if sounds is not None:
            assert isinstance(sounds, AudioStream)
            add_sound(output, sounds, np.atleast_2d(sound), sound_rate, sound_start)
    return path


def add_sound(
    output: av.container.OutputContainer,
    stream: AudioStream,
    rows: np.ndarray,
    rate: int,
    start: float = 0.0,
) -> None:
    """Encode float32 rows, one per channel, into `stream` from `start` seconds on."""
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(rows, np.float32), format="fltp", layout=stream.layout.name
    )
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = round(start * rate)
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def make_sound(
    path: Path, rows: np.ndarray, rate: int, codec: str, *, cover: bytes | None = None
) -> Path:
    """A sound file, with a JPEG as cover art if one is given."""
    rows = np.atleast_2d(rows)
    with av.open(str(path), "w") as output:
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(rows)]
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, AudioStream)
        art = None
        if cover is not None:
            art = output.add_mux_stream("mjpeg", width=32, height=32)
            art.disposition = av.stream.Disposition.attached_pic
        if art is not None and cover is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = art, 0, 0, True
            output.mux(packet)
        add_sound(output, stream, rows, rate)
    return path


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write (a, b, c, d) of the display matrix, whole numbers, into an MP4 file's track header."""
    data = bytearray(path.read_bytes())
    begin = data.index(b"tkhd") + 4 + 40  # version 0: the matrix stands 40 bytes after the name
    a, b, c, d = (value << 16 for value in matrix)
    values = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4")
    data[begin : begin + 36] = values.tobytes()
    path.write_bytes(bytes(data))
    return path
