"""Pictures are read upright and in colour, whatever kind of file they come in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hearsight.media.read import read_picture
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


@pytest.mark.parametrize("factor", [2, 100])
def test_a_picture_too_large_to_be_honest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    path = save(tmp_path / "a.png", np.zeros((100, 100), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 100 // factor + 1)
    with pytest.raises(MediaError, match=r"has too many pixels to be read safely\.$"):
        read_picture(path)
