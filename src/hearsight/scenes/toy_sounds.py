"""Synthesised sounds of the 12 toy classes, told apart by temporal pattern and timbre."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

Wave = Float64[np.ndarray, " samples"]


def voice(label: str, generator: np.random.Generator, rate: int) -> Wave:
    """A random sound of a class: 2 to 3 s at `rate` samples per second, of any level.

    Pitch (within a fifth), pace (within a fifth) and timbre are drawn.
    """
    time = np.arange(round(generator.uniform(2.0, 3.0) * rate)) / rate
    pitch = 2 ** generator.uniform(-0.3, 0.3)
    pace = 2 ** generator.uniform(-0.3, 0.3)
    rise = np.minimum(1, time / generator.uniform(0.01, 0.1))
    return np.asarray(VOICES[label](time, pitch, pace, generator) * rise)


def _tone(time: Wave, hertz: float | Wave, partials: tuple[float, ...] = (1.0,)) -> Wave:
    """A harmonic tone; `hertz` may change in time."""
    step = time[1] - time[0]
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, time.shape)) * step
    return np.asarray(sum(a * np.sin(n * phase) for n, a in enumerate(partials, start=1)))


def _since(time: Wave, every: float) -> Wave:
    """Seconds since the last of the beats, one per `every` seconds."""
    return time % every


def _arrow(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """Rising sweeps."""
    since = _since(time, 0.6 / pace)
    return np.asarray(_tone(time, pitch * 400 * 8 ** (since * pace / 0.6)) * np.exp(-0.5 * since))


def _bolt(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """Crackling: short bursts of noise at random moments."""
    sparks = (generator.random(len(time)) < 12 * pace * (time[1] - time[0])).astype(float)
    sparks *= generator.uniform(0.3, 1, len(time))
    tail = np.exp(-np.arange(1200) / (160 / pitch))
    envelope = np.convolve(sparks, tail)[: len(time)]
    return np.asarray(envelope * generator.normal(0, 1, len(time)) + 1e-3)


def _crescent(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A whistle with vibrato."""
    return np.asarray(
        _tone(time, pitch * 1300 * (1 + 0.05 * np.sin(2 * np.pi * 5.5 * pace * time)))
    )


def _cross(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A two-tone horn."""
    high = np.sin(2 * np.pi * 1.1 * pace * time) > 0
    return _tone(time, pitch * np.where(high, 587.0, 440.0), (1.0, 0.7, 0.5, 0.3, 0.2))


def _disc(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A bell struck repeatedly: inharmonic partials, slowly decaying."""
    ring = np.exp(-3 * _since(time, 0.9 / pace))
    parts = [np.sin(2 * np.pi * pitch * hertz * time) for hertz in (520, 1435, 2808)]
    return np.asarray(ring * (parts[0] + 0.7 * parts[1] + 0.5 * ring * parts[2]))


def _drop(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """Plops: short falling chirps."""
    since = _since(time, 0.33 / pace)
    return np.asarray(_tone(time, pitch * (300 + 1800 * np.exp(-since * 30))) * np.exp(-since * 22))


def _flower(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A soft chord that swells."""
    chord = sum(_tone(time, pitch * 260 * ratio, (1.0, 0.4)) for ratio in (1, 1.26, 1.5))
    return np.asarray(chord * (1 - 0.8 * np.cos(2 * np.pi * 0.9 * pace * time)))


def _gear(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A ratchet: fast resonant clicks."""
    since = _since(time, 1 / (14 * pace))
    return np.asarray(np.sin(2 * np.pi * pitch * 1900 * since) * np.exp(-since * 180))


def _heart(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """Low double thumps."""
    since = _since(time, 0.85 / pace)
    second = np.clip(since - 0.25 / pace, 0, None)
    thump = np.exp(-since * 16) + 0.8 * np.exp(-second * 16) * (second > 0)
    return np.asarray(_tone(time, pitch * 95, (1.0, 0.5, 0.25)) * thump)


def _ring(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A telephone: two tones, trembling, on and off."""
    on = (_since(time, 1.1 / pace) < 0.7 / pace) * (1 + 0.9 * np.sin(2 * np.pi * 22 * pace * time))
    return np.asarray((_tone(time, pitch * 850) + _tone(time, pitch * 1120)) * on)


def _star(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A rising run of four notes, repeated."""
    note = np.floor(time * 7 * pace) % 4
    return np.asarray(
        _tone(time, pitch * 750 * 1.26**note, (1.0, 0.3)) * np.exp(-8 * (time * 7 * pace % 1) / 7)
    )


def _triangle(time: Wave, pitch: float, pace: float, generator: np.random.Generator) -> Wave:
    """A buzz: a low tone with many harmonics, flickering."""
    partials = tuple(1 / n for n in range(1, 20))
    return np.asarray(
        _tone(time, pitch * 130, partials) * (1 + 0.4 * np.sin(2 * np.pi * 31 * pace * time))
    )


VOICES: dict[str, Callable[[Wave, float, float, np.random.Generator], Wave]] = {
    "arrow": _arrow,
    "bolt": _bolt,
    "crescent": _crescent,
    "cross": _cross,
    "disc": _disc,
    "drop": _drop,
    "flower": _flower,
    "gear": _gear,
    "heart": _heart,
    "ring": _ring,
    "star": _star,
    "triangle": _triangle,
}
"""Per class its sound, from time (s), pitch and pace (factors) and a random generator."""
