"""Media by path or in memory: bytes, open binary files, arrays of pixels and of samples."""

import reprlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import soxr  # type: ignore[import-untyped]
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.media.picture import image_pixels, read_picture
from hearsight.media.pixels import Pixels
from hearsight.media.read import probe, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound import Samples
from hearsight.media.source import MediaError


@runtime_checkable
class OpenFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


@runtime_checkable
class ArrayLike(Protocol):
    """What numpy takes for an array, such as a tensor of torch on the CPU."""

    def __array__(self) -> Any: ...


Content: TypeAlias = bytes | bytearray | memoryview
MediaFile: TypeAlias = Path | str | Content | OpenFile
"""A file by its path, its content, or open for reading bytes."""
PixelSource: TypeAlias = np.ndarray | ArrayLike | Image.Image
"""RGB pixels: height x width x 3, uint8, also as a tensor on the CPU; or a picture of Pillow."""
PictureSource: TypeAlias = MediaFile | PixelSource
"""A picture file, or what is in memory of one."""
SoundSource: TypeAlias = MediaFile | tuple[np.ndarray | ArrayLike, int]
"""A sound file, a video, or samples and their rate in hertz, as `soundfile.read` gives them: of
shape (samples,) or (samples, channels), int16 or floats in [-1, 1], also as a tensor on the CPU."""

MOST_CHANNELS = 64
MOST_RATE = 1_000_000  # hertz
LOUDEST = 16.0  # of floats; a decoded sound may exceed 1, but not by 24 dB


def source_name(source: PictureSource | SoundSource) -> str:
    """What a source is called in messages: its path or file name if it has one."""
    if isinstance(source, str | Path):
        return f"'{source}'"
    if isinstance(source, Content):
        return f"The file of {memoryview(source).nbytes:,} bytes"
    if isinstance(source, ArrayLike | Image.Image | tuple):
        return "The array"
    name = getattr(source, "name", None)
    return f"'{name}'" if isinstance(name, str) else "The open file"


@contextmanager
def as_file(source: MediaFile) -> Iterator[Path]:
    """The path of a media file; content that has none is copied to a temporary file meanwhile.

    Decoders go back and forth in a file, and frames and sound are read at the same time. An open
    file is read from its present position to its end, and left open.

    Raises:
        HearsightError: the file cannot be read or gives text. What a reader raises inside the
            `with` block names the source instead of the temporary file.
    """
    if isinstance(source, str | Path):
        yield Path(source)
        return
    if not isinstance(source, Content | OpenFile):
        raise HearsightError(
            f"{reprlib.repr(source)} is no file: give its path, its bytes, or a file open for "
            "reading bytes."
        )
    with NamedTemporaryFile(prefix="hearsight-") as copy:
        try:
            if isinstance(source, Content):
                copy.write(source if memoryview(source).c_contiguous else bytes(source))
            else:
                shutil.copyfileobj(source, copy)
            copy.flush()
        except TypeError as error:
            raise MediaError(f"{source_name(source)} gives text: open it for bytes.") from error
        except (OSError, ValueError) as error:  # ValueError: it is closed
            raise MediaError(f"{source_name(source)} cannot be read: {error}.") from error
        try:
            yield Path(copy.name)
        except HearsightError as error:
            said = str(error).replace(f"'{copy.name}'", source_name(source))
            raise MediaError(said) from error


def open_picture(picture: PictureSource) -> Pixels:
    """The RGB pixels of a picture.

    Raises:
        HearsightError: a file that cannot be read, or an array of another kind or shape.
    """
    if isinstance(picture, np.ndarray | ArrayLike | Image.Image):
        return as_pixels(picture)
    with as_file(picture) as path:
        return read_picture(path)


def as_pixels(picture: PixelSource) -> Pixels:
    """The RGB pixels of an array, a tensor or a picture of Pillow: height x width x 3, uint8.

    Raises:
        HearsightError: it is none of them, or of another shape or type.
    """
    pixels = image_pixels(picture) if isinstance(picture, Image.Image) else _as_array(picture)
    shaped = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
    if not shaped or pixels.dtype != np.uint8:
        raise HearsightError(
            "A frame is an array of height x width x 3, red, green, blue, of uint8, not "
            f"{' x '.join(map(str, pixels.shape)) or 'one number'} of {pixels.dtype}."
        )
    return pixels


def _as_array(given: Any) -> np.ndarray:
    """An array, or what numpy takes for one."""
    if not isinstance(given, ArrayLike):
        raise HearsightError(f"{reprlib.repr(given)} is no array.")
    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:  # torch: on a GPU, with a gradient
        raise HearsightError(f"A tensor cannot be taken as an array: {error}") from error


def check_path(path: Any, purpose: str) -> Path:
    """A path; refuses what is in memory, which has none.

    purpose: the subject of the sentence, such as `A library`.

    Raises:
        HearsightError: it is no path.
    """
    if not isinstance(path, str | Path):
        raise HearsightError(f"{purpose} takes a file by its path, not {reprlib.repr(path)}.")
    return Path(path)


@contextmanager
def open_sound(sound: SoundSource) -> Iterator[Iterator[Samples]]:
    """Blocks of a sound, mono in [-1, 1] at `RATE`.

    Raises:
        HearsightError: a file that cannot be read or has no sound, or as `mono_at_rate`.
    """
    if isinstance(sound, tuple) and len(sound) == 2:
        yield iter([mono_at_rate(*sound)])
        return
    if isinstance(sound, tuple | ArrayLike):
        raise HearsightError("Samples are given with their rate in hertz: (samples, rate).")
    with as_file(sound) as path:
        if not probe(path).has_sound:
            raise MediaError(f"'{path}' has no sound track.")
        yield stream_sound(path, rate=RATE)


def mono_at_rate(samples: np.ndarray | ArrayLike, rate: int) -> Samples:
    """Samples in memory as `read_sound` gives those of a file: mono in [-1, 1] at `RATE`.

    Args:
        samples: (samples,) or (samples, channels), int16, or floats in [-1, 1]; what lies beyond
            is clipped, as far as `LOUDEST`.
        rate: hertz.

    Raises:
        HearsightError: another kind or shape, no sample, NaN or infinity, floats of another scale,
            or no such rate.
    """
    samples = _as_array(samples)
    if samples.ndim not in (1, 2) or not samples.size or samples[0].size > MOST_CHANNELS:
        raise HearsightError(
            "A sound is an array of samples, or of samples x channels, not "
            f"{' x '.join(map(str, samples.shape))}."
        )
    if samples.dtype != np.int16 and samples.dtype.kind != "f":
        raise HearsightError(f"Samples are int16, or floats in [-1, 1], not {samples.dtype}.")
    if not (isinstance(rate, Real) and 1 <= rate <= MOST_RATE):
        said = reprlib.repr(rate)
        raise HearsightError(f"The rate of a sound is 1 to {MOST_RATE:,} hertz, not {said}.")
    values: Any = samples.astype(np.float64)
    if samples.dtype == np.int16:
        values /= 1 << 15
    if not np.isfinite(values).all():
        raise HearsightError("A sound holds a sample that is NaN or infinite.")
    peak = np.abs(values).max()
    if peak > LOUDEST:
        raise HearsightError(
            f"Samples as floats are in [-1, 1], and these reach {peak:,.0f}: if they were int16, "
            "divide by 32768."
        )
    mono = values.reshape(len(values), -1).mean(1).astype(np.float32)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE, quality="HQ")
    return np.asarray(np.clip(mono, -1, 1))
