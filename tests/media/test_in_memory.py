"""Media in memory is what the same media in a file is; all else is refused in one sentence."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from made_media import frequency_of, sine
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.media.in_memory import SoundSource, as_file, mono_at_rate, open_picture, open_sound
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
