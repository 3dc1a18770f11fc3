"""What the graphs take and what follows them, in numpy and Pillow, by a config.json.

The three spectrograms are those of the three kinds of sound encoders.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw


def frames_of(image: Image.Image, numbers: dict) -> np.ndarray:
    """The input of frames.onnx, (1, 3, height, width): the whole picture, its shorter side known.

    The longer side is a multiple of a step.
    """
    short, ratio = numbers["side"], max(image.size) / min(image.size)
    long = round(min(ratio, numbers["stretch"]) * short / numbers["step"]) * numbers["step"]
    long = short if ratio == 1 else max(short, long)
    size = (long, short) if image.width > image.height else (short, long)
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC)) / 255
    frame = ((pixels - numbers["mean"]) / numbers["deviation"]).transpose(2, 0, 1)
    return frame[None].astype(np.float32)


def loudest(wave: np.ndarray, length: int) -> np.ndarray:
    """The loudest window of a sound, searched in steps of half a window."""
    length = min(length, len(wave))
    starts = [*range(0, len(wave) - length + 1, max(1, length // 2)), len(wave) - length]
    windows = [wave[start : start + length] for start in starts]
    return max(windows, key=lambda window: np.square(window, dtype=float).mean())


def decibels(wave: np.ndarray) -> float:
    """The level of a sound, dBFS."""
    return 10 * np.log10(max(np.square(wave, dtype=float).mean(), 1e-30))


def box_of(response: np.ndarray, size: tuple[int, int], numbers: dict) -> list[int]:
    """The box [x0, y0, x1, y1] around the peak of a response, in a picture of width and height."""
    heat = (response - response.min()) / max(np.ptp(response), 1e-6)
    scale = min(1.0, numbers["raster"] / max(size))
    raster = tuple(max(1, round(side * scale)) for side in size)
    heat = np.asarray(Image.fromarray(heat).resize(raster, Image.Resampling.BICUBIC)).clip(0, 1)
    region = Image.fromarray((heat >= numbers["level"]).astype(np.uint8)).copy()
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    ImageDraw.floodfill(region, (int(x), int(y)), 2)
    left, top, right, bottom = region.point(lambda value: 255 * (value == 2)).getbbox()
    (width, height), (wide, tall) = size, raster
    return [
        int(left * width / wide),
        int(top * height / tall),
        min(width, int(np.ceil(right * width / wide))),
        min(height, int(np.ceil(bottom * height / tall))),
    ]


def triangles(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Triangular filters, a row each, from the places of the frequencies and of the edges."""
    gaps = np.diff(edges)[:, None]
    rising = (places - edges[:-2, None]) / gaps[:-1]
    return np.maximum(np.minimum(rising, (edges[2:, None] - places) / gaps[1:]), 0)


def mel(wave: np.ndarray, rate: int, n: dict) -> np.ndarray:
    """MelSpectrogram: decibels."""
    window = np.hanning(n["fft"] + 1)[:-1]
    window /= np.sqrt(np.square(window).sum())
    frames = sliding_window_view(np.pad(wave, n["fft"] // 2, "reflect"), n["fft"])[:: n["hop"]]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, n["bins"] + 2) / 2595) - 1)
    bands = power @ triangles(np.linspace(0, rate / 2, power.shape[1]), edges).T
    return 10 * np.log10(np.maximum(bands, n["least_power"]))


def log(wave: np.ndarray, rate: int, n: dict) -> np.ndarray:
    """LogSpectrogram: scaled logarithms of power per hertz."""
    fft, place = n["fft"], np.arange(n["fft"]) / n["fft"]
    flank = np.minimum(np.minimum(place, 1 - place) / max(n["taper"] / 2, 1e-9), 1)
    window = (1 - np.cos(np.pi * flank)) / 2 if n["taper"] else np.ones(fft)
    frames = sliding_window_view(wave, fft)[:: fft - n["overlap"]]
    power = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * window)) ** 2
    power[:, 1 : (fft + 1) // 2] *= 2
    return np.log(power / (rate * np.square(window).sum()) + n["floor"]) / n["divisor"]


def sound_effect(wave: np.ndarray, rate: int, n: dict) -> np.ndarray:
    """SoundEffectSpectrogram: scaled logarithms of mel bands at another rate."""
    more = round(len(wave) * n["rate"] / rate)
    heard = np.fft.irfft(np.fft.rfft(wave), more) * (more / len(wave))
    heard = np.pad(heard / max(np.abs(heard).max(), n["least_peak"]), n["fft"] // 2)
    frames = sliding_window_view(heard, n["fft"])[:: n["hop"]]
    power = np.abs(np.fft.rfft(frames * np.hanning(n["fft"]))) ** 2
    mels = np.log(1 + np.linspace(0, n["rate"] / 2, power.shape[1]) / 700)
    filters = triangles(mels, np.linspace(0, mels[-1], n["bins"] + 2))
    bands = power @ (filters / filters.sum(1, keepdims=True)).T
    return np.log10(n["gain"] * bands + 1) / n["divisor"]


KINDS = {"MelSpectrogram": mel, "LogSpectrogram": log, "SoundEffectSpectrogram": sound_effect}


def spectrogram(wave: np.ndarray, rate: int, numbers: dict) -> np.ndarray:
    """The input of sounds.onnx, (1, 1, bins, times), of a sound in [-1, 1]."""
    samples = round(numbers["seconds"] * rate)
    start = max(0, len(wave) - samples) // 2
    wave = np.clip(np.rint(wave * 32768), -32768, 32767) / 32768  # as 16-bit samples
    wave = np.resize(wave[start : start + samples], samples)  # repeated if shorter
    return KINDS[numbers["kind"]](wave, rate, numbers).T[None, None].astype(np.float32)
