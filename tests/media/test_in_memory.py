"""Media in memory is what the same media in a file is; all else is refused in one sentence."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
from made_media import frequency_of, sine
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.media.in_memory import (
    SoundSource,
    as_file,
    as_pixels,
    mono_at_rate,
    open_picture,
    open_sound,
)
from hearsight.media.read import probe
from hearsight.media.samples import RATE
from hearsight.media.source import MediaError


def heard(sound: SoundSource) -> np.ndarray:
    with open_sound(sound) as blocks:
        return np.concatenate(list(blocks))


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_heard_as_their_file_is(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.stack([sine(440.0 * (n + 1), 2.0, rate) for n in range(channels)], 1)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, rate, "PCM_16")
    from_file = heard(path)
    for given in (
        soundfile.read(path),
        soundfile.read(path, dtype="float32"),
        soundfile.read(path, dtype="int16"),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        str(path),
    ):
        samples = heard(given)
        assert len(samples) == len(from_file)
        assert np.abs(samples - from_file).max() < 1e-4


def test_the_rate_of_samples_is_obeyed() -> None:
    assert abs(frequency_of(mono_at_rate(sine(1000.0, 1.0, 48_000), 48_000), RATE) - 1000) < 2


@pytest.mark.parametrize(
    ("samples", "rate", "fault"),
    [
        (np.zeros(0, np.float32), 16_000, "not 0"),
        (np.zeros((2, 16_000), np.float32), 16_000, "not 2 x 16000"),
        (np.zeros((9, 1, 1), np.float32), 16_000, "not 9 x 1 x 1"),
        (np.zeros(9, np.int64), 16_000, "not int64"),
        (np.zeros(9, np.complex64), 16_000, "not complex64"),
        (np.full(9, np.nan), 16_000, "NaN"),
        (np.full(9, -np.inf), 16_000, "NaN or infinite"),
        (np.zeros(9), 0, "not 0"),
        (np.zeros(9), -16_000, "not -16000"),
        (np.zeros(9), 10**9, "not 1000000000"),
    ],
)
def test_what_is_no_sound_is_refused(samples: np.ndarray, rate: int, fault: str) -> None:
    with pytest.raises(HearsightError, match=f"{fault}"):
        mono_at_rate(samples, rate)


def test_a_picture_is_the_same_by_path_bytes_file_and_array(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for given in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), pixels):
        assert np.array_equal(open_picture(given), pixels)
    with path.open("rb") as file:
        assert np.array_equal(open_picture(file), pixels)
        assert not file.closed


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_frame_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(HearsightError, match=r"height x width x 3.* not "):
        open_picture(pixels)


def test_tensors_and_pictures_of_pillow_are_taken_as_their_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(open_picture(torch.from_numpy(pixels)), pixels)
    assert np.array_equal(open_picture(Image.fromarray(pixels)), pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, image, options in (
        ("clear.png", Image.fromarray(np.dstack([pixels, pixels[..., 0]])), {}),
        ("grey.png", Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), {}),
        ("turned.jpg", Image.fromarray(pixels), {"exif": turned}),
    ):
        image.save(tmp_path / name, **options)
        of_file = open_picture(tmp_path / name)
        assert np.array_equal(open_picture(Image.open(tmp_path / name)), of_file)
    samples = sine(440.0, 1.0, RATE).astype(np.float32)
    assert np.array_equal(heard((torch.from_numpy(samples), RATE)), heard((samples, RATE)))
    frames = [torch.from_numpy(pixels), Image.fromarray(pixels)]
    assert all(np.array_equal(as_pixels(frame), pixels) for frame in frames)


NO_MEDIA = """
import sys
import numpy as np, torch
from PIL import Image
from hearsight import HearsightError, Library, load_model, localise_image, localise_video
from hearsight.media.in_memory import as_pixels, open_picture, open_sound

pixels, samples = np.zeros((8, 8, 3), np.uint8), np.zeros(9, np.float32)
library = Library.__new__(Library)

def sound(given):
    with open_sound(given):
        pass

open(sys.argv[1], "wb").write(b"GIF89a")
tries = {
    "no file": [lambda: open_picture(7), lambda: open_picture(None), lambda: sound(7)],
    "no file:": [lambda: sound([0.0]), lambda: next(localise_video(pixels))],
    "is no file": [lambda: next(localise_video(torch.zeros(3)))],
    "no array": [lambda: as_pixels("a.png"),
        lambda: sound((16000, samples)), lambda: sound(([0], 1))],
    "with their rate": [lambda: sound(samples),
        lambda: sound(torch.zeros(9)), lambda: sound((samples,))],
    "rate of a sound": [lambda: sound((samples, "16000")), lambda: sound((samples, None))],
    "height x width": [lambda: open_picture(torch.zeros(3, 8, 8)),
        lambda: open_picture(np.float32(1))],
    "as an array": [lambda: open_picture(torch.zeros(8, 8, 3, requires_grad=True))],
    "by its path": [lambda: library.query(image=pixels),
        lambda: library.query(sound=torch.zeros(9))],
    "32 bits": [lambda: open_picture(Image.new("F", (8, 8)))],
}
for said, calls in tries.items():
    for number, call in enumerate(calls):
        try:
            call()
        except HearsightError as error:
            assert said in str(error) and "\\n" not in str(error), (said, number, str(error))
        else:
            raise SystemExit(f"{said} {number}: nothing is raised")
"""


def test_what_is_no_media_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """As callers without the type checks of these tests see it."""
    program = [sys.executable, "-c", NO_MEDIA, str(tmp_path / "a.gif")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_errors_name_what_was_given_and_not_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "not.mp4"
    path.write_bytes(b"nothing that is media")
    with path.open("rb") as file:
        for given, name in (
            (b"nothing that is media", "The file of 21 bytes"),
            (io.BytesIO(b"nothing that is media"), "The open file"),
            (file, f"'{path}'"),
        ):
            fault = pytest.raises(MediaError, match=f"^{name} is not a media file")
            with fault, as_file(given) as copy:
                probe(copy)
    with pytest.raises(MediaError, match=r"The file of 0 bytes is empty\."), as_file(b"") as copy:
        probe(copy)


def test_an_open_file_of_text_and_a_closed_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")
    with path.open() as text, pytest.raises(MediaError, match="gives text"), as_file(text):
        pass
    with pytest.raises(MediaError, match="cannot be read"), as_file(text):
        pass


def test_the_copy_is_gone_afterwards_also_after_an_error() -> None:
    with as_file(b"abc") as copy:
        assert copy.read_bytes() == b"abc"
    assert not copy.exists()
    with pytest.raises(ZeroDivisionError), as_file(b"abc") as copy:
        _ = 1 / 0
    assert not copy.exists()
