"""Pictures are read upright and in colour, whatever kind of file they come in."""

import re
import struct
import sys
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hearsight.clips.clip import Clip, encode_sound
from hearsight.datasets.vggsound import open_vggsound
from hearsight.errors import install_command
from hearsight.media.picture import (
    decode_picture,
    image_pixels,
    is_picture,
    read_picture,
    resize_bicubic,
)
from hearsight.media.source import MediaError

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_colour_is_kept(tmp_path: Path) -> None:
    read = read_picture(save(tmp_path / "a.png", COLOUR))
    assert (read == COLOUR).all()
    assert read.flags.writeable


def test_a_picture_without_colour_becomes_grey_in_three_channels(tmp_path: Path) -> None:
    expected = GREY[..., None].repeat(3, axis=-1)
    assert (read_picture(save(tmp_path / "a.png", GREY)) == expected).all()
    deep = GREY.astype(np.uint16) * 257
    assert (read_picture(save(tmp_path / "b.png", deep)) == expected).all()
    bits = Image.fromarray(GREY > 100)
    bits.save(tmp_path / "c.png")
    expected = 255 * (GREY > 100)[..., None].repeat(3, axis=-1)
    assert (read_picture(tmp_path / "c.png") == expected).all()


def test_palettes_and_alpha_become_colour_on_white(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).quantize(24).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == COLOUR).all()
    alpha = np.zeros((4, 6, 1), np.uint8)
    alpha[:2] = 255
    read = read_picture(save(tmp_path / "b.png", np.concatenate([COLOUR, alpha], axis=-1)))
    assert (read[:2] == COLOUR[:2]).all()
    assert (read[2:] == 255).all()


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, -1), (8, 1)])
def test_exif_rotation_is_obeyed(tmp_path: Path, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", COLOUR, exif=exif)
    assert (read_picture(path) == np.rot90(COLOUR, turns)).all()


def test_one_pixel_and_odd_sizes(tmp_path: Path) -> None:
    for height, width in ((1, 1), (3, 5), (1, 301)):
        path = save(tmp_path / "a.png", np.full((height, width, 3), 7, np.uint8))
        assert read_picture(path).shape == (height, width, 3)


def test_bad_pictures_end_in_one_plain_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("cut.jpg", "cut.png", "cut.webp"):
        path = save(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[:900])
    data = bytearray(save(tmp_path / "damaged.png", noise).read_bytes())
    data[200:400] = rng.bytes(200)
    (tmp_path / "damaged.png").write_bytes(data)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "noise.jpg").write_bytes(rng.bytes(5000))
    for name in ("cut.jpg", "cut.png", "cut.webp", "damaged.png", "text.jpg", "noise.jpg"):
        with pytest.raises(MediaError, match=rf"{name}' is not a picture, or it is damaged\.$"):
            read_picture(tmp_path / name)
    (tmp_path / "empty.png").touch()
    for name, fault in (
        ("empty.png", "is empty"),
        ("missing.png", "does not exist"),
        (".", "is a folder, not a file"),
    ):
        with pytest.raises(MediaError, match=rf"{fault}\.$"):
            read_picture(tmp_path / name)


def test_of_a_film_no_more_is_read_than_tells_that_it_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
        file.truncate(2**28)
    tracemalloc.start()
    try:
        assert not is_picture(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("factor", [2, 100])
def test_a_picture_too_large_to_be_honest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    path = save(tmp_path / "a.png", np.zeros((100, 100), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 100 // factor + 1)
    with pytest.raises(MediaError, match=r"has too many pixels to be read safely\.$"):
        read_picture(path)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(bits: int, kind: int, values: np.ndarray, clear: bytes = b"") -> bytes:
    """A PNG of 16-bit values, which Pillow writes in grey alone; `clear` is its tRNS chunk.

    Of 2 or 4 bits, `values` are 0 to 3 or 15, and fill the last byte of a row.
    """

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = values.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    if bits < 8:
        turns = 8 // bits
        values = sum(
            values[:, n::turns].astype(np.uint8) << 8 - bits * (n + 1) for n in range(turns)
        )
    stored = values.astype(">u2" if bits == 16 else "u1")
    rows = b"".join(b"\0" + row.tobytes() for row in stored)
    chunks = [(b"IHDR", head), *([(b"tRNS", clear)] if clear else [])]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def tiff(
    bits: int, data: bytes, tags: dict[int, int], strips: int = 1, *, order: str = "<"
) -> bytes:
    """A TIFF file of the size of `GREY`, of `bits` a value, with its data in as many strips.

    order: of the bytes in its head, as `struct` says it.
    """
    height, width = GREY.shape
    each, count = len(data) // strips, tags.get(277, 1)
    entries = {256: width, 257: height, 259: 1, 277: 1, 278: height, 284: 1, **tags}
    rows = {tag: (3, 1, struct.pack(f"{order}HH", value, 0)) for tag, value in entries.items()}
    place = 8 + 2 + 12 * (len(rows) + 3) + 4
    blocks = b""
    for tag, kind, values in (
        (258, "H", [bits] * count),
        (273, "I", [place + 100 + n * each for n in range(strips)]),
        (279, "I", [each] * strips),
    ):
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        told = packed.ljust(4, b"\0")
        if len(packed) > 4:
            told, blocks = struct.pack(f"{order}I", place + len(blocks)), blocks + packed
        rows[tag] = (3 if kind == "H" else 4, len(values), told)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, len(rows))
    listed = b"".join(
        struct.pack(f"{order}HHI", tag, *rows[tag][:2]) + rows[tag][2] for tag in sorted(rows)
    )
    return head + listed + bytes(4) + blocks.ljust(100, b"\0") + data


def every_kind() -> dict[str, tuple[bytes, np.ndarray]]:
    """Files of every kind of pixel, each with what is to be seen."""
    grey, colour = Image.fromarray(GREY), Image.fromarray(COLOUR)
    shown = GREY[..., None].repeat(3, axis=-1)
    deep = GREY.astype(np.uint16) * 257
    deep_grey, deep_colour = Image.fromarray(deep), COLOUR.astype(np.uint16) * 257
    alpha = np.zeros_like(GREY)
    alpha[:2] = 255
    half = np.where(alpha[..., None] > 0, shown, 255)
    layers = Image.merge("LA", [grey, Image.fromarray(alpha)])
    palette_alpha = layers.convert("PA")  # by which Pillow makes every pixel opaque
    palette_alpha.putalpha(Image.fromarray(alpha))
    inks = np.concatenate([255 - COLOUR, np.zeros_like(GREY)[..., None]], axis=-1)
    no_black = np.where(shown == 0, 255, shown)
    first_clear = COLOUR.copy()
    first_clear[0, 0] = 255
    film = {"save_all": True, "append_images": [grey.convert("RGB")], "lossless": True}
    clear = struct.pack(">HHH", *deep_colour[0, 0].tolist())
    few = GREY // 16
    few_shown = np.where(few == few[2, 3], 255, few * 17)[..., None].repeat(3, axis=-1)
    fine = (GREY.astype(int) * 4095 + 254) // 255
    pairs = [first << 12 | second for first, second in fine.reshape(-1, 2).tolist()]
    fine_bytes = b"".join(pair.to_bytes(3) for pair in pairs)
    white_is_0 = (65_535 - deep).astype("<u2").tobytes()
    return {
        "8 bits": (encoded(grey, "PNG"), shown),
        "16 bits": (encoded(deep_grey, "PNG"), shown),
        "16 bits in TIFF": (encoded(deep_grey, "TIFF"), shown),
        "16 bits in PGM": (encoded(deep_grey, "PPM"), shown),
        "16 bits, black is clear": (encoded(deep_grey, "PNG", transparency=0), no_black),
        "16 bits with alpha": (png(16, 4, np.stack([deep, alpha * np.uint16(257)], -1)), half),
        "16 bits, white is 0": (tiff(16, white_is_0, {262: 0}), shown),
        "16 bits, white is 0, the other byte order": (
            tiff(16, (65_535 - deep).astype(">u2").tobytes(), {262: 0}, order=">"),
            shown,
        ),
        "12 bits": (tiff(12, fine_bytes, {262: 1}), shown),
        "4 bits, a grey is clear": (png(4, 0, few, struct.pack(">H", few[2, 3])), few_shown),
        "16 bits of each colour": (png(16, 2, deep_colour), COLOUR),
        "16 bits, a colour is clear": (png(16, 2, deep_colour, clear), first_clear),
        "1 bit": (encoded(Image.fromarray(GREY > 100), "PNG"), 255 * (shown > 100)),
        "grey with alpha": (encoded(layers, "PNG"), half),
        "palette with alpha": (encoded(palette_alpha, "TIFF"), half),
        "colour with alpha": (encoded(layers.convert("RGBA"), "WEBP", lossless=True), half),
        "palette": (encoded(colour.quantize(24), "GIF"), COLOUR),
        "inks": (encoded(Image.fromarray(inks, "CMYK"), "TIFF"), COLOUR),
        "animated WebP": (encoded(colour, "WEBP", **film), COLOUR),
        "animated PNG": (encoded(colour, "PNG", **film), COLOUR),
    }


def by_every_reader(tmp_path: Path, file: bytes) -> list[np.ndarray]:
    """The picture as read by path, from memory, from a layout, and from a store's clip."""
    sound = encode_sound(np.ones(100, np.int16))
    for name, content in (("frame/a.jpg", file), ("audio/a.wav", sound)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    layout = open_vggsound(tmp_path)
    return [
        read_picture(tmp_path / "frame" / "a.jpg"),
        decode_picture(file),
        layout[0].frame,
        layout.clip(0).decode().frame,
        Clip(id="a", frame=file, sound=sound).decode().frame,
    ]


@pytest.mark.parametrize("kind", every_kind())
def test_every_reader_sees_the_same_picture(tmp_path: Path, kind: str) -> None:
    file, shown = every_kind()[kind]
    for pixels in by_every_reader(tmp_path, file):
        assert np.array_equal(pixels, shown)


@pytest.mark.parametrize("simplejpeg", [True, False])
@pytest.mark.parametrize("mark", ["EXIF", "XMP"])
def test_every_reader_turns_a_photograph_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, simplejpeg: bool
) -> None:
    if not simplejpeg:
        monkeypatch.setitem(sys.modules, "simplejpeg", None)
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, 16:] = 255  # on the right as stored: below, once turned by a quarter clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {
        "EXIF": {"exif": exif},
        "XMP": {"xmp": b'<rdf:Description tiff:Orientation="6"/>'},
    }[mark]
    for pixels in by_every_reader(tmp_path, encoded(Image.fromarray(stored), "JPEG", **options)):
        assert pixels.shape == (32, 16, 3)
        assert pixels[:15].max() < 30
        assert pixels[17:].min() > 225


def test_damaged_exif_data_turn_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = encoded(Image.fromarray(COLOUR), "JPEG", exif=exif)
    cut = file.replace(b"Exif\0\0MM\0*", b"Exif\0\0MM\xff\xff")
    assert cut != file
    for pixels in by_every_reader(tmp_path, cut):
        assert pixels.shape == COLOUR.shape


def test_values_without_a_white_are_refused_not_guessed(tmp_path: Path) -> None:
    for kind in (np.float32, np.int32):
        path = save(tmp_path / "a.tiff", GREY.astype(kind))
        with pytest.raises(MediaError, match=r"cannot be read: .* do not tell which is white\.$"):
            read_picture(path)
        with pytest.raises(ValueError, match="do not tell which is white"):
            decode_picture(path.read_bytes())


def test_colours_of_16_bits_in_planes_are_refused_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    planes = (COLOUR.transpose(2, 0, 1).astype("<u2") * 257).tobytes()
    path.write_bytes(tiff(16, planes, {262: 2, 277: 3, 284: 2}, strips=3))
    with pytest.raises(MediaError, match=r"cannot be read: its colours of 16 bits lie in planes"):
        read_picture(path)
    path.write_bytes(tiff(8, COLOUR.transpose(2, 0, 1).tobytes(), {262: 2, 277: 3, 284: 2}, 3))
    assert np.array_equal(read_picture(path), COLOUR)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_that_pillow_opened_by_path_is_that_of_its_file(
    tmp_path: Path, orientation: int
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(16, (GREY.astype("<u2") * 257).tobytes(), {262: 1, 274: orientation}))
    with Image.open(path) as image:
        assert np.array_equal(image_pixels(image), read_picture(path))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("loaded", [True, False])
def test_a_picture_of_few_levels_that_its_caller_loaded_is_that_of_its_file(
    bits: int, loaded: bool
) -> None:
    steps = GREY[:, 1:5] & 2**bits - 1
    for clear in range(min(2**bits, 20)):
        file = png(bits, 0, steps, struct.pack(">H", clear))
        image = Image.open(BytesIO(file))
        if loaded:
            image.load()
        for _ in range(2):
            assert np.array_equal(image_pixels(image), decode_picture(file))
        grey = np.where(steps == clear, 255, steps.astype(int) * (255 // (2**bits - 1)))
        assert np.array_equal(image_pixels(image)[..., 0], grey)


def heic(brand: bytes = b"heic", others: bytes = b"mif1heic") -> bytes:
    """The beginning of a HEIC file."""
    return struct.pack(">I", 16 + len(others)) + b"ftyp" + brand + bytes(4) + others


def test_a_heic_photograph_is_told_as_such_without_pillow_heif(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "photo.jpg"
    told = rf"photo\.jpg' is a HEIC .*, or run {re.escape(install_command('heic'))}\.$"
    for file in (heic(), heic(b"mif1"), heic(b"heix", b"")):
        path.write_bytes(file)
        with pytest.raises(MediaError, match=told):
            read_picture(path)
        with pytest.raises(ValueError, match="needs pillow-heif"):
            decode_picture(file)
        assert is_picture(path)
    for file in (heic(b"isom", b"iso2mp41"), heic(b"avif", b"mif1avif")):
        path.write_bytes(file)
        with pytest.raises(MediaError, match="is not a picture"):
            read_picture(path)
        assert not is_picture(path)


def test_a_heic_photograph_is_read_with_pillow_heif(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, 32:] = (200, 40, 40)
    file = BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(file, quality=95)
    for shown in by_every_reader(tmp_path, file.getvalue()):
        assert shown.shape == pixels.shape
        assert np.abs(shown.astype(int) - pixels).mean() < 6
    (tmp_path / "cut.heic").write_bytes(file.getvalue()[:-100])
    with pytest.raises(MediaError, match="is not a picture, or it is damaged"):
        read_picture(tmp_path / "cut.heic")


def test_a_damaged_picture_of_pillow_ends_in_one_sentence() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    whole = file.getvalue()
    second = whole.index(b"IDAT", whole.index(b"IDAT") + 4)
    kinds = set[type]()
    for damaged in (
        whole[:second] + b"\0\1\2\3" + whole[second + 4 :],
        whole[: second + 40],
        whole[:second] + b"IEND" + whole[second + 4 :],
    ):
        with pytest.raises(MediaError, match=r"picture of Pillow cannot be read: .*\.$") as told:
            image_pixels(Image.open(BytesIO(damaged)))
        kinds.add(type(told.value.__cause__))
    assert SyntaxError in kinds


def bicubic_rows(picture: np.ndarray, size: int) -> np.ndarray:
    """The rows of a picture in another number by the definition: bytes again, cubic with a = -1/2.

    Where it shrinks, the cubic is as much wider.
    """
    count = len(picture)
    scale = count / size
    stretch = max(scale, 1.0)
    resized = []
    for row in range(size):
        centre = (row + 0.5) * scale
        first, last = max(0, int(centre - 2 * stretch + 0.5)), int(centre + 2 * stretch + 0.5)
        weights = []
        for place in range(first, min(last, count)):
            far = abs(place + 0.5 - centre) / stretch
            near = (1.5 * far - 2.5) * far * far + 1
            weights.append(near if far < 1 else ((2.5 - 0.5 * far) * far - 4) * far + 2)
        part = picture[first : first + len(weights)].astype(float)
        resized.append(np.tensordot(weights, part, 1) / sum(weights))
    return np.clip(np.floor(np.array(resized) + 0.5), 0, 255)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((90, 30), (24, 24)), ((30, 90), (24, 24)), ((48, 16), (8, 24)), ((20, 30), (50, 90))],
)
def test_pictures_are_resized_along_rows_and_then_along_columns(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    """Whatever order the Pillow at hand takes, which for the first and the third may be another."""
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    across, down = size
    known = bicubic_rows(bicubic_rows(noise.swapaxes(0, 1), across).swapaxes(0, 1), down)
    other = bicubic_rows(bicubic_rows(noise, down).swapaxes(0, 1), across).swapaxes(0, 1)
    ours = resize_bicubic(noise, across, down).astype(float)
    assert ours.shape == (down, across, 3)
    assert np.abs(ours - known).max() <= 1
    assert (ours != known).mean() < 0.001 < (ours != other).mean()


def test_a_very_high_strip_takes_little_memory_to_resize(monkeypatch: pytest.MonkeyPatch) -> None:
    """The half-way picture of its rows would have 22 million pixels."""
    sizes = []
    resize = Image.Image.resize

    def note(image: Image.Image, size: tuple[int, int], *given: Any) -> Image.Image:
        sizes.append(size)
        return resize(image, size, *given)

    monkeypatch.setattr(Image.Image, "resize", note)
    waves = 128 + 100 * np.sin(np.arange(100_000) / 5000)
    strip = np.repeat(np.round(waves).astype(np.uint8), 3).reshape(-1, 1, 3)
    ours = resize_bicubic(strip, 224, 896)
    assert max(width * height for width, height in sizes) <= 224 * 896
    centres = (np.arange(896) + 0.5) * 100_000 / 896
    expected = 128 + 100 * np.sin((centres - 0.5) / 5000)
    assert np.abs(ours.astype(float) - expected[:, None, None]).max() <= 1
