"""Sound files held in memory as 16-bit mono samples: the one decoder of stores and layouts.

FLAC and WAV of plain samples are decoded by libsndfile, which is many times faster for short
sounds; everything else, and WAV files that libsndfile does not read, by `media.read`. Both give
the same samples.
"""

from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16, Shaped

from hearsight.media.samples import RATE, to_samples
from hearsight.media.sound_heads import UNKNOWN_LENGTH, end_in

MOST_SAMPLES = 2**27  # of one sound, as coded and at `RATE` (2.3 hours): hostile heads claim any
PLAIN = {"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}


def sound_suffix(file: bytes) -> str | None:
    """`flac` or `wav` by the magic bytes of a sound file; None for any other."""
    if file[:4] == b"fLaC":
        return "flac"
    return "wav" if file[:4] in (b"RIFF", b"RF64") and file[8:12] == b"WAVE" else None


def decode_sound_file(
    file: bytes, path: Path | None = None, *, stored: bool = False
) -> Int16[np.ndarray, " samples"]:
    """The samples of a sound file of any kind, mono at `RATE`.

    Args:
        file: its bytes.
        path: where they were read from, if anywhere.
        stored: refuse what a store's clip may not hold: another kind than FLAC or WAV, another
            rate than `RATE`, several channels.

    Raises:
        ValueError: it is damaged, cut, empty, not a sound, or refused; the sentence says which.
    """
    kind = sound_suffix(file)
    if stored and kind is None:
        raise ValueError("the sound is neither FLAC nor WAV")
    _check_wav_length(file)
    samples = None if kind is None else _by_libsndfile(file, stored)
    if samples is None:
        samples = _by_ffmpeg(file, path, stored)
    if not len(samples):
        raise ValueError("the sound is empty")
    return samples


def _by_libsndfile(file: bytes, stored: bool) -> Int16[np.ndarray, " samples"] | None:
    """Samples of a FLAC or WAV file; None for one that is left to FFmpeg.

    These are WAV files of compressed or 64-bit samples, and files that were written to a pipe and
    do not say how long they are.
    """
    import soundfile  # type: ignore[import-untyped]

    if _is_endless(file):
        return None
    wav = sound_suffix(file) == "wav"
    try:
        with soundfile.SoundFile(BytesIO(file[: end_in(file)])) as opened:
            if wav and (opened.subtype not in PLAIN or not opened.frames):
                return None
            if stored:
                _check_stored(opened.samplerate, opened.channels)
            if (opened.samplerate, opened.channels, opened.subtype) == (RATE, 1, "PCM_16"):
                return np.asarray(_read_whole(opened, "int16")[:, 0])
            rows = np.nan_to_num(_read_whole(opened, "float32"), nan=0.0, posinf=1.0, neginf=-1.0)
            return _resampled(rows.mean(axis=1), opened.samplerate)
    except soundfile.LibsndfileError as error:
        if wav:
            return None
        raise ValueError(f"the sound is damaged ({error.error_string})") from error


def _by_ffmpeg(file: bytes, path: Path | None, stored: bool) -> Int16[np.ndarray, " samples"]:
    from hearsight.media.read import probe, read_sound
    from hearsight.media.source import MediaError

    if path is None:
        with NamedTemporaryFile(prefix="hearsight-") as copy:
            copy.write(file)
            copy.flush()
            return _by_ffmpeg(file, Path(copy.name), stored)
    try:
        if stored:
            info = probe(path)
            _check_stored(info.sound_rate or 0, info.channels or 0)
        samples = read_sound(path, rate=RATE, seconds=(MOST_SAMPLES + 1) / RATE)
        if len(samples) > MOST_SAMPLES:
            raise ValueError(f"the sound has more than {MOST_SAMPLES:,} samples at {RATE} Hz")
        return to_samples(samples)
    except MediaError as error:
        known = sound_suffix(file) is not None
        raise ValueError("the sound is empty or damaged" if known else str(error)) from error


def _is_endless(file: bytes) -> bool:
    """Whether a FLAC file does not say how many samples it has: the 36 bits for it are 0."""
    return sound_suffix(file) == "flac" and not int.from_bytes(file[21:26]) & 0xF_FFFF_FFFF


def _check_stored(rate: int, channels: int) -> None:
    if rate != RATE:
        raise ValueError(f"the sound has {rate} Hz, a clip needs {RATE} Hz")
    if channels != 1:
        raise ValueError(f"the sound has {channels} channels, a clip needs one")


def _read_whole(opened: Any, kind: str) -> Shaped[np.ndarray, "samples channels"]:
    """All samples of an open `soundfile.SoundFile`; ValueError if they are not all there."""
    at_rate = opened.frames * RATE // max(1, opened.samplerate)
    if max(opened.frames, at_rate) > MOST_SAMPLES:
        claimed = f"{opened.frames:,} samples at {opened.samplerate} Hz"
        raise ValueError(f"the sound claims {claimed}, {at_rate:,} at {RATE}")
    samples = np.asarray(opened.read(dtype=kind, always_2d=True))
    if len(samples) < opened.frames:
        raise ValueError(f"the sound ends after {len(samples):,} of {opened.frames:,} samples")
    return samples


def _resampled(waveform: Float32[np.ndarray, " _"], rate: int) -> Int16[np.ndarray, " samples"]:
    import soxr  # type: ignore[import-untyped]

    return to_samples(waveform if rate == RATE else soxr.resample(waveform, rate, RATE))


def _check_wav_length(file: bytes) -> None:
    """Raise ValueError for a truncated WAV file, which both decoders read without complaint."""
    told = int.from_bytes(file[4:8], "little") + 8
    if file[:4] == b"RIFF" and sound_suffix(file) == "wav" and len(file) < told < UNKNOWN_LENGTH:
        raise ValueError(f"the sound is cut: {len(file):,} of {told:,} bytes are there")
