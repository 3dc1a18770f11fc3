"""Picture files as RGB pixels: the one decoder, for files held in memory and files by path.

Upright as EXIF or XMP says; grey of 1, 8 or 16 bits and palettes made RGB; transparent parts on
white; of several pictures in a file (GIF, APNG, WebP) the first. What a file is, is told by its
content, never by its name.
"""

import struct
from collections.abc import Mapping
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from hearsight.errors import install_command

MOST_PIXELS = 2**30 // 12  # of one picture, Pillow's own bound; a hostile header may claim any size
HIGHEST = 2**16  # pixels of a picture that is resized along its rows first
ORIENTATION = 0x0112  # EXIF tag
TURNS = {  # its value: how the stored rows become upright; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURN_MARKS = (b"Exif\0\0", b"tiff:Orientation")  # without them a JPEG is upright as stored
BITS, WHITE, PLANAR = 258, 262, 284  # tags of TIFF: bits a value; 0 is white; 2 if in planes
BIG_ENDIAN = b"MM\0*"  # first bytes of such a TIFF file
LEVELS = {"L;2": 85, "L;4": 17}  # of 256 a step of a PNG file of few grey levels, by Pillow's name
HEAD = 256  # bytes that tell the kind of file
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


class TooManyPixelsError(ValueError):
    """A picture that claims more pixels than are read."""


class UnclearPictureError(ValueError):
    """A picture whose values do not tell how it looks, or in an order that is not read."""


class NeedsHeicError(ValueError):
    """A HEIC picture where pillow-heif is not installed."""


def picture_suffix(file: bytes) -> str | None:
    """`jpg`, `png` or `webp` by the magic bytes of a picture file; None for any other."""
    if file[:3] == b"\xff\xd8\xff":
        return "jpg"
    if file[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    return "webp" if file[:4] == b"RIFF" and file[8:12] == b"WEBP" else None


def is_heic(file: bytes) -> bool:
    """Whether a file begins as HEIC, a phone's photograph; AVIF, which Pillow reads, is none."""
    if file[4:8] != b"ftyp":
        return False
    box = file[8 : min(int.from_bytes(file[:4]), HEAD)]
    brands = {box[place : place + 4] for place in range(0, len(box), 4) if place != 4}
    return bool(brands & HEIC_BRANDS) and not brands & {b"avif", b"avis"}


def decode_picture(file: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """The RGB pixels, 0..255, of a picture file held in memory.

    An upright JPEG is decoded by simplejpeg where it is installed: twice as fast, the same pixels.

    Raises:
        ValueError: not a picture, damaged, or more than `MOST_PIXELS`; the sentence says which.
    """
    pixels = _decode_jpeg(file) if picture_suffix(file) == "jpg" else None
    if pixels is not None:
        return pixels
    return _decoded(BytesIO(file), "RGB")


def decode_mask(file: bytes) -> UInt8[np.ndarray, "height width"]:
    """The grey values, 0..255, of a picture file held in memory; errors as of `decode_picture`."""
    return _decoded(BytesIO(file), "L")


def read_picture(path: Path | str) -> UInt8[np.ndarray, "height width 3"]:
    """The RGB pixels, 0..255, of a picture file.

    Raises:
        MediaError: if it is missing, not a picture, damaged, or claims too many pixels.
    """
    from hearsight.media.source import MediaError, existing_file

    try:
        with existing_file(path).open("rb") as file:
            return _decoded(file, "RGB")
    except TooManyPixelsError as error:
        raise MediaError(f"'{path}' has too many pixels to be read safely.") from error
    except NeedsHeicError as error:
        raise MediaError(f"'{path}' {_needs_heic()}.") from error
    except UnclearPictureError as error:
        raise MediaError(f"'{path}' cannot be read: {error}.") from error
    except (ValueError, OSError) as error:
        raise MediaError(f"'{path}' is not a picture, or it is damaged.") from error


def image_pixels(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """The RGB pixels, 0..255, of a picture that Pillow holds, as those of its file.

    Raises:
        MediaError: its file is damaged, or its values do not tell which is white.
    """
    from hearsight.media.source import MediaError

    try:
        image = _of_all_levels(image)
        _load(image)
        turn = _turn(image)
        upright = image if turn is None else image.transpose(turn)
        return np.array(_on_white(upright).convert("RGB"))
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise MediaError(f"The picture of Pillow cannot be read: {error}.") from error


def resize_bicubic(
    pixels: UInt8[np.ndarray, "height width 3"], new_width: int, new_height: int
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """A picture in another size by Pillow's bicubic filter: along its rows, then its columns.

    Between the two it is rounded to bytes. Up to version 12 Pillow took the rows first; from 13 on
    it takes the columns first where the height shrinks more than the width, and so gives other
    values. A picture higher than `HIGHEST` is resized along its columns first here, too: the other
    way a strip of a few pixels' width would fill the memory.
    """
    height, width, _ = pixels.shape
    between = (new_width, height) if height <= HIGHEST else (width, new_height)
    half = Image.fromarray(pixels).resize(between, Image.Resampling.BICUBIC)
    return np.asarray(half.resize((new_width, new_height), Image.Resampling.BICUBIC))


def squeezed(
    pixels: UInt8[np.ndarray, "height width 3"], longest: int
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture with no side of more than `longest` pixels: a longer one is squeezed to that."""
    height, width, _ = pixels.shape
    if max(height, width) <= longest:
        return pixels
    size = (min(width, longest), min(height, longest))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def is_picture(path: Path | str) -> bool:
    """Whether a file is a picture that can be read, or could be with pillow-heif."""
    from hearsight.media.source import MediaError

    try:
        read_picture(path)
    except MediaError as error:
        return needs_heic(error)
    return True


def needs_heic(error: Exception) -> bool:
    """Whether `read_picture` raised this for want of pillow-heif."""
    return isinstance(error.__cause__, NeedsHeicError)


def _decode_jpeg(file: bytes) -> UInt8[np.ndarray, "height width 3"] | None:
    """Decode by simplejpeg; None where it is not installed or refuses, so that Pillow decides."""
    try:
        import simplejpeg  # type: ignore[import-untyped]
    except ImportError:
        return None
    if any(mark in file for mark in TURN_MARKS):
        with suppress(Exception):  # what Pillow cannot open, it refuses later in a sentence
            if _turn(Image.open(BytesIO(file))) is not None:
                return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(file, strict=True)
        if height * width > MOST_PIXELS or colours not in ("YCbCr", "Gray"):
            return None
        return np.asarray(simplejpeg.decode_jpeg(file, strict=True))
    except ValueError:
        return None


def open_picture(file: bytes) -> Image.Image:
    """A picture file, loaded and upright, in its own mode; errors as of `decode_picture`."""
    return _loaded(BytesIO(file))


def _decoded(file: BytesIO | BufferedReader, mode: str) -> np.ndarray:
    """An opened picture file as pixels of `mode` (RGB or L)."""
    image = _loaded(file)
    try:
        return np.array(_on_white(image).convert(mode))
    except UnclearPictureError:
        raise
    except (ValueError, OSError) as error:
        raise ValueError(f"the picture is damaged ({error})") from error


def _loaded(file: BytesIO | BufferedReader) -> Image.Image:
    try:
        with _open(file) as image:
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width} x {image.height}"
                raise TooManyPixelsError(f"the picture claims {size} pixels")
            _load(image)
            turn = _turn(image)
            return image if turn is None else image.transpose(turn)
    except UnidentifiedImageError as error:
        raise ValueError("the file is not a picture") from error
    except (TooManyPixelsError, NeedsHeicError, UnclearPictureError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixelsError(f"the picture has too many pixels ({error})") from error
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ValueError(f"the picture is damaged ({error})") from error


def _open(file: BytesIO | BufferedReader) -> Image.Image:
    heic = is_heic(file.read(HEAD))
    file.seek(0)
    if not heic:
        return _opened(file)
    try:
        import pillow_heif
    except ImportError as error:
        raise NeedsHeicError(f"the picture {_needs_heic()}") from error
    opener: Any = pillow_heif.HeifImageFile
    opened: Image.Image = opener(file)
    return opened


def _opened(file: BytesIO | BufferedReader) -> Image.Image:
    """What Pillow opens, and a TIFF of the other byte order whose white is 0, of 16 bits."""
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(len(BIG_ENDIAN)) != BIG_ENDIAN:  # a film may be larger than memory
            raise
        ordinary = _with_black_as_0(BIG_ENDIAN + file.read())
        if ordinary is None:
            raise
        image: Any = Image.open(BytesIO(ordinary))
        image.tag_v2[WHITE] = 0
        opened: Image.Image = image
        return opened


def _with_black_as_0(file: bytes) -> bytes | None:
    """A big-endian TIFF file whose head says that white is 0, saying that black is; else None."""
    begin = int.from_bytes(file[4:8]) + 2
    count = int.from_bytes(file[begin - 2 : begin])
    for place in range(begin, begin + 12 * count, 12):
        if file[place : place + 10] == struct.pack(">HHIH", WHITE, 3, 1, 0):
            return file[: place + 8] + b"\0\1" + file[place + 10 :]
    return None


def _needs_heic() -> str:
    command = install_command("heic")
    return f"is a HEIC photograph, which needs pillow-heif: save it as JPEG, or run {command}"


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How a picture is made upright; None if it is, or if its EXIF data are damaged."""
    with suppress(Exception):
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    return None


def _load(image: Image.Image) -> None:
    """Decode a picture that Pillow has opened, with what it takes wrongly in its head put right."""
    clear, tile = image.info.get("transparency"), getattr(image, "tile", None)
    if image.format == "PNG" and tile and isinstance(clear, int):
        image.info["transparency"] = clear * LEVELS.get(tile[0].args, 1)
    tags = _tiff_tags(image)
    if not (tile and tags):
        image.load()
        return
    if tags.get(PLANAR) == 2 and max(tags.get(BITS, (1,))) > 8 and len(tile) > 1:
        raise UnclearPictureError("its colours of 16 bits lie in planes, one after the other")
    file: Any = image
    name, file.filename = file.filename, ""  # else rows of a turned picture are taken for columns
    image.load()
    file.filename = name


def _of_all_levels(image: Image.Image) -> Image.Image:
    """The same but for a PNG of 4 or 16 grey levels with a clear one that its caller loaded before.

    Of these Pillow keeps the number of the clear level, which no pixel has, and not how many levels
    there are: the pixels tell.
    """
    clear = image.info.get("transparency")
    loaded = not getattr(image, "tile", None)
    if not (loaded and image.format == "PNG" and image.mode == "L" and isinstance(clear, int)):
        return image
    found = set(np.unique(np.asarray(image)).tolist())
    for step in LEVELS.values():
        if clear not in found and clear * step in found and all(each % step == 0 for each in found):
            image = image.copy()
            image.info["transparency"] = clear * step
            return image
    return image


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """The numbered tags of a picture read from a TIFF file; of others none."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return tags


def _on_white(image: Image.Image) -> Image.Image:
    """A picture of 8 bits without transparency."""
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise UnclearPictureError("its values of 32 bits do not tell which is white")
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
        values, most = np.asarray(image), 65_535
        tags = _tiff_tags(image)
        most = 4095 if tags.get(BITS) == (12,) else most
        values = most - values if tags.get(WHITE) == 0 else values
        grey = (values.clip(0, most).astype(np.uint32) * 255 // most).astype(np.uint8)
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            grey[values == clear] = 255
        return Image.fromarray(grey)
    if not image.has_transparency_data:
        return image
    image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image)
