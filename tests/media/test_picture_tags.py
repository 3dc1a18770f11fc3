"""Pictures whose tags are not whole: read or refused without a warning of Pillow."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hearsight.media.picture import decode_picture, image_pixels, read_picture
from hearsight.media.source import MediaError

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
SHOWN = GREY[..., None].repeat(3, -1)
TURNED = (3, 1)  # orientation 6: kind and number of its value
FAR = 1 << 24  # a place behind every file here

Entry = tuple[int, int, int, int]  # tag, kind, number of values, value or place


def directory(entries: list[Entry], *, order: str = "<", big: bool = False) -> bytes:
    """Tags as they are stored, and that no further directory follows."""
    form, word = (f"{order}HHQ", "Q") if big else (f"{order}HHI", "I")
    rows = b""
    for tag, kind, number, value in entries:
        short = kind == 3 and number == 1
        held = struct.pack(order + ("H" if short else word), value)
        rows += struct.pack(form, tag, kind, number) + held.ljust(8 if big else 4, b"\0")
    return struct.pack(order + ("Q" if big else "H"), len(entries)) + rows + bytes(8 if big else 4)


def tiff(*more: Entry, order: str = "<", big: bool = False) -> bytes:
    """A TIFF file of `GREY`, its pixels before its directory, with further tags."""
    begin = 16 if big else 8
    height, width = GREY.shape
    short = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height}
    entries = [(tag, 3, 1, value) for tag, value in short.items()]
    entries += [(273, 4, 1, begin), (279, 4, 1, GREY.size), *more]
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}H", 43 if big else 42)
    place = begin + GREY.size
    head += struct.pack(f"{order}HHQ", 8, 0, place) if big else struct.pack(f"{order}I", place)
    return head + GREY.tobytes() + directory(sorted(entries), order=order, big=big)


def exif(*entries: Entry, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + mark + struct.pack(f"{order}I", 8) + directory([*entries], order=order)


def with_exif(kind: str, data: bytes) -> bytes:
    """`GREY` as a picture file with EXIF data."""
    file = BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    Image.fromarray(SHOWN).save(file, kind, exif=data, **(options if kind != "PNG" else {}))
    return file.getvalue()


@contextmanager
def in_silence() -> Iterator[None]:
    """Nothing is to be warned of within, whatever the filters are."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    assert [str(each.message) for each in said] == []


def read_or_refused(path: Path, file: bytes) -> np.ndarray | None:
    """The pixels by path and from memory, which are alike; None if both are refused."""
    path.write_bytes(file)
    try:
        seen = read_picture(path)
    except MediaError:
        with pytest.raises(ValueError, match="picture"):
            decode_picture(file)
        return None
    assert np.array_equal(seen, decode_picture(file))
    return seen


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_file_cut_anywhere_is_read_or_refused_in_silence(
    tmp_path: Path, order: str, big: bool
) -> None:
    file = tiff(order=order, big=big)
    with in_silence():
        seen = [read_or_refused(tmp_path / "a.tif", file[:end]) for end in range(len(file) + 1)]
    last = 8 if big else 4  # bytes that tell that no directory follows
    assert all(pixels is not None for pixels in seen[-last - 1 :])
    assert all(np.array_equal(pixels, SHOWN) for pixels in seen if pixels is not None)
    assert seen[len(file) // 2] is None


def test_a_big_tiff_file_whose_highest_byte_comes_first_is_refused_in_silence(
    tmp_path: Path,
) -> None:
    with in_silence():
        assert read_or_refused(tmp_path / "a.tif", tiff(order=">", big=True)) is None


@pytest.mark.parametrize("place", [FAR, 2**31, 2**32 - 1])
@pytest.mark.parametrize("number", [1, 5, 100, 2**32 - 1])
@pytest.mark.parametrize("tag", [269, 305, 40_000])  # before and behind what tells the pixels
def test_a_tag_whose_values_are_not_there_is_passed_over(
    tmp_path: Path, tag: int, number: int, place: int
) -> None:
    kind = 12 if number == 1 else 2
    for order in "<>":
        with in_silence():
            seen = read_or_refused(
                tmp_path / "a.tif", tiff((tag, kind, number, place), order=order)
            )
        assert np.array_equal(seen, SHOWN)
    with in_silence():
        seen = read_or_refused(tmp_path / "a.tif", tiff((tag, kind, number, place), big=True))
    assert seen is None or np.array_equal(seen, SHOWN)


def test_tags_that_share_more_values_than_the_file_has_are_passed_over(tmp_path: Path) -> None:
    entries = [(40_000 + number, 1, 100, 8) for number in range(50)]
    with in_silence():
        seen = read_or_refused(tmp_path / "a.tif", tiff(*entries))
    assert np.array_equal(seen, SHOWN)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_data_with_a_broken_tag_still_turn_a_picture(
    tmp_path: Path, kind: str, order: str
) -> None:
    data = exif((270, 2, 40, FAR), (274, *TURNED, 6), (305, 2, 40, FAR), order=order)
    with in_silence():
        seen = read_or_refused(tmp_path / "a", with_exif(kind, data))
    assert seen is not None
    assert np.abs(seen.astype(int) - np.rot90(SHOWN, -1)).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_data_cut_anywhere_are_read_in_silence(tmp_path: Path, kind: str) -> None:
    data = exif((270, 2, 4, 0x41414141), (274, *TURNED, 6))
    turned = []
    for end in range(6, len(data) + 1):
        with in_silence():
            seen = read_or_refused(tmp_path / "a", with_exif(kind, data[:end]))
            with Image.open(tmp_path / "a") if kind != "JPEG" else BytesIO() as image:
                given = None if kind == "JPEG" else image_pixels(image)
        assert seen is not None
        assert given is None or np.array_equal(given, seen)
        turned.append(seen.shape == (6, 4, 3))
    assert turned == [False] * (len(turned) - 5) + [True] * 5  # the last 4 bytes tell of no other


def test_a_picture_of_the_caller_stays_as_it_is() -> None:
    data = exif((270, 2, 40, FAR), (274, *TURNED, 6))
    image = Image.open(BytesIO(with_exif("PNG", data)))
    image.load()
    before = dict(image.info)
    with in_silence():
        assert np.array_equal(image_pixels(image), np.rot90(SHOWN, -1))
    assert image.info == before


def test_what_is_whole_is_not_copied() -> None:
    from hearsight.media.picture_tags import whole_exif, whole_tags

    for file in (
        tiff(),
        tiff(order=">"),
        tiff(big=True),
        with_exif("PNG", exif((274, *TURNED, 6))),
    ):
        opened = BytesIO(file)
        opened.seek(5)
        assert whole_tags(opened) is opened
        assert opened.tell() == 0
    data = exif((270, 2, 4, 0x41414141), (274, *TURNED, 6))
    assert whole_exif(data) == data
    assert whole_exif(b"") == b""
    assert whole_exif(data[:14]) is None
