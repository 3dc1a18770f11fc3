"""Small media files made for tests: a frame's colour is its number, a sound is a sine."""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import wraps
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Concatenate, ParamSpec

import av
import numpy as np
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream
from PIL import Image

OLD_CODECS = ("mpeg4", "mpeg2video", "wmv2", "flv")  # that need a bit rate
HELD = 1 << 20  # bytes of a file up to which it is remembered
Given = ParamSpec("Given")
Maker = Callable[Concatenate[Path, Given], Path]


def made_once(make: Maker[Given]) -> Maker[Given]:
    """Encode a file once in a process; for the same arguments and suffix its bytes are written."""
    made: dict[bytes, bytes] = {}

    @wraps(make)
    def write(path: Path, *given: Given.args, **settings: Given.kwargs) -> Path:
        key = blake2b(pickle.dumps((path.suffix, given, settings))).digest()
        if key in made:
            path.write_bytes(made[key])
            return path
        make(path, *given, **settings)
        if path.stat().st_size <= HELD:
            made[key] = path.read_bytes()
        return path

    return write


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Schedules the calling thread as before, whatever an encoder made of it.

    SVT-AV1 run by root leaves it in real time, and with it all threads and processes that it starts
    from then on: what else runs on the machine, tests too, hardly gets a turn.
    """
    policy, settings = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, settings)


def numbered(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A frame of one colour that `number_of` reads back, also after lossy coding."""
    colour = (8 * (number % 32) + 4, 8 * (number // 32) + 4, 128)
    return np.full((height, width, 3), colour, np.uint8)


def number_of(pixels: np.ndarray) -> int:
    red, green, _ = pixels.mean(axis=(0, 1))
    return round((red - 4) / 8) + 32 * round((green - 4) / 8)


def smooth(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A frame of colours that change gently, none so strong that 16 to 235 cuts it."""
    patches = np.random.default_rng(seed).integers(40, 216, (5, 7, 3), dtype=np.uint8)
    scaled = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(scaled)


def luma_and_chroma(pixels: np.ndarray, matrix: int) -> list[np.ndarray]:
    """RGB from 0 to 255 as 4:2:0, range 16 to 235, by definition and unrounded.

    Matrices by FFmpeg's numbers: 1 BT.709, 6 BT.601, 9 BT.2020.
    """
    of_red, of_blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    red, green, blue = np.moveaxis(pixels / 255, -1, 0)
    grey = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    parts = ((blue - grey) / (2 - 2 * of_blue), (red - grey) / (2 - 2 * of_red))
    rows, columns = grey.shape
    halved = [part.reshape(rows // 2, 2, columns // 2, 2).mean((1, 3)) for part in parts]
    return [16 + 219 * grey, *(128 + 224 * part for part in halved)]


def planes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    """Copies of the planes of a frame of 8 bits."""
    return [
        np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]


def noise(seconds: float, rate: int) -> np.ndarray:
    """Smooth noise that tells where in it a part lies."""
    white = np.random.default_rng(7).standard_normal(round(seconds * rate))
    smooth = np.convolve(white, np.ones(8) / 8, "same")
    return (0.2 * smooth / smooth.std()).clip(-0.9, 0.9).astype(np.float32)


def sine(frequency: float, seconds: float, rate: int) -> np.ndarray:
    """A float32 sine of half the full scale."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def frequency_of(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@made_once
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
    sound_bits: int = 0,
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
        pictures.codec_context.bit_rate = 2_000_000 if codec in OLD_CODECS else 0
        pictures.codec_context.gop_size = group
        pictures.codec_context.time_base = time_base or 1 / rate
        sounds = None
        if sound is not None:
            layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[np.atleast_2d(sound).shape[0]]
            sounds = output.add_stream(
                sound_codec, rate=sound_rate, layout=layout, bit_rate=sound_bits
            )
            if sound_codec == "vorbis":  # FFmpeg's own encoder calls itself experimental
                sounds.codec_context.options = {"strict": "experimental"}
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
    packed = np.ascontiguousarray(rows.T, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=stream.layout.name)
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = round(start * rate)
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def coded_pictures(
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    aspect: Fraction | None = None,
    rotation: int | None = None,
) -> bytes:
    """A bare stream of pictures, of H.264 or VP8 and VP9, for `join_pictures`.

    aspect: of one pixel. rotation: degrees counterclockwise, stated in each H.264 key frame.
    """
    kind = "h264" if codec == "libx264" else "ivf"
    memory = BytesIO()
    with av.open(memory, "w", format=kind) as output:
        quick = {"preset": "veryfast", "crf": "8", "bf": "0"} if kind == "h264" else {}
        pictures = output.add_stream(codec, rate=25, options=quick)
        assert isinstance(pictures, VideoStream)
        pictures.height, pictures.width = frames[0].shape[:2]
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.gop_size = 5
        pictures.codec_context.bit_rate = 0 if kind == "h264" else 2_000_000
        if aspect is not None:
            pictures.codec_context.sample_aspect_ratio = aspect
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
    if rotation is None:
        return memory.getvalue()
    with av.open(BytesIO(memory.getvalue()), format=kind) as whole:
        stream = whole.streams.video[0]
        turned = f"h264_metadata=display_orientation=insert:rotate={rotation}"
        turning = BitStreamFilterContext(turned, in_stream=stream)
        packets = [p for packet in whole.demux(stream) for p in turning.filter(packet)]
        return b"".join(map(bytes, packets))


def join_pictures(path: Path, *parts: bytes) -> Path:
    """A video of 25 frames per second of bare streams, one after the other, joined by copying."""
    count, pictures = 0, None
    with av.open(str(path), "w") as output:
        for part in parts:
            with av.open(BytesIO(part), format="ivf" if part[:4] == b"DKIF" else "h264") as whole:
                stream = whole.streams.video[0]
                pictures = pictures or output.add_stream_from_template(stream, opaque=True)
                for packet in whole.demux(stream):
                    if packet.size:
                        packet.pts = packet.dts = count
                        packet.time_base, packet.duration = Fraction(1, 25), 1
                        packet.stream = pictures
                        output.mux(packet)
                        count += 1
    return path


@made_once
def coloured_video(
    path: Path,
    colour: tuple[int, int, int],
    *,
    height: int,
    matrix: int,
    full: bool = False,
    tags: tuple[int, int, int] | None = None,
    kind: str = "yuv420p",
) -> Path:
    """Three frames of one colour in the limited or the `full` range, of `matrix`.

    FFmpeg's numbers: matrix 1 BT.709, 5 BT.601, 9 BT.2020. tags: the matrix, primaries and transfer
    function that the file states; without them it states nothing, not even the range.
    """
    width = height * 4 // 3
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=25, options={"crf": "4", "preset": "veryfast"})
        assert isinstance(pictures, VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = width, height, kind
        context = pictures.codec_context
        if tags is not None:
            context.colorspace, context.color_primaries, context.color_trc = tags
            context.color_range = 2 if full else 1
        for number in range(3):
            plain = av.VideoFrame.from_ndarray(np.full((height, width, 3), colour, np.uint8))
            frame = plain.reformat(
                format=kind, dst_colorspace=matrix, dst_color_range=2 if full else 1
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            if tags is None:
                frame.colorspace, frame.color_range = 2, 0
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
    return path


@made_once
def make_sound(
    path: Path, rows: np.ndarray, rate: int, codec: str, *, cover: bytes | None = None
) -> Path:
    """A sound file, with a JPEG as cover art if one is given."""
    rows = np.atleast_2d(rows)
    with av.open(str(path), "w") as output:
        layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(rows)]
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
