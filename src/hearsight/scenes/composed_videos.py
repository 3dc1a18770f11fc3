"""Composed videos with exact truth: objects move, and one at a time sounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float64, Int16, UInt8
from PIL import Image

from hearsight.clips.clip import Box
from hearsight.clips.truth import box_of
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE, round_samples
from hearsight.scenes.composing import (
    Layout,
    Light,
    PlacedSprite,
    Sprite,
    cover,
    draw_light,
    draw_one,
    paste,
    relight,
    scale_sprite,
)
from hearsight.scenes.pack import Pack
from hearsight.scenes.sound_bank import FULL_SCALE, LOUDNESS, SoundBank

AREA = (0.1, 0.3)  # mean area of an object's box, as a share of the frame
PERIOD = (6.0, 14.0)  # seconds of one oscillation of place or size
SOUNDING = (4, 7)  # whole seconds for which an object sounds; the last excluded
PAUSE = (1, 3)  # whole seconds of silence; the last excluded
BACKGROUND_NOISE = 0.01  # root mean square, relative to the loudness of an object
FADE = 160  # samples, at both ends of an object's sound


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundingMoment:
    """The truth at a time (seconds): sounding class, box of its visible part; None in silence."""

    time: float
    label: str | None
    box: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingObject:
    """An object whose place and size are sines of time.

    area: mean area of its box, as a share of the frame. speeds: periods per second of x, y and
    size. phases: in periods.
    """

    label: str
    recording: int
    sprite: Sprite
    mirrored: bool
    light: Light
    area: float
    speeds: tuple[float, float, float]
    phases: tuple[float, float, float]

    def at(self, time: float, width: int, height: int) -> PlacedSprite:
        """The object at a time (seconds), wholly inside a frame of width x height pixels."""
        x, y, size = (
            0.5 + 0.5 * np.sin(2 * np.pi * (speed * time + phase))
            for speed, phase in zip(self.speeds, self.phases, strict=True)
        )
        area = self.area * (0.75 + 0.5 * size) * width * height
        across, down = (area * self.sprite.aspect) ** 0.5, (area / self.sprite.aspect) ** 0.5
        scale = min(1.0, 0.95 * width / across, 0.95 * height / down)
        shown = scale_sprite(self.sprite, (across * scale, down * scale), mirrored=self.mirrored)
        rows, columns = shown.alpha.shape
        return PlacedSprite(shown, round(x * (width - columns)), round(y * (height - rows)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedVideo:
    """A composed video, whose frames are painted as they are read.

    size: width and height in pixels. sound: 16-bit samples at `RATE`. turns: for each second the
    index of the sounding object, None in silence.
    """

    size: tuple[int, int]
    frame_rate: Fraction
    sound: Int16[np.ndarray, " samples"]
    turns: tuple[int | None, ...]
    objects: tuple[MovingObject, ...]
    background: Image.Image

    def frames(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """All frames in order; every call starts from the first."""
        for number in range(round(len(self.turns) * self.frame_rate)):
            canvas = self.background.copy()
            for one in self.objects:
                paste(canvas, one.at(float(number / self.frame_rate), *self.size), one.light)
            yield np.array(canvas)

    def truth_at(self, time: float) -> SoundingMoment:
        """The truth at a time (seconds), for the frame shown then."""
        turn = self.turns[min(int(time), len(self.turns) - 1)]
        if turn is None:
            return SoundingMoment(time=time, label=None, box=None)
        shown = float(int(time * self.frame_rate) / self.frame_rate)
        layout = Layout(*self.size)
        layout.order = [one.at(shown, *self.size) for one in self.objects]
        layout.source = turn
        return SoundingMoment(time=time, label=self.objects[turn].label, box=box_of(layout.mask()))

    @property
    def truth(self) -> tuple[SoundingMoment, ...]:
        """The truth at the middle of every second."""
        return tuple(self.truth_at(second + 0.5) for second in range(len(self.turns)))


def compose_video(
    pack: Pack,
    *,
    seconds: int = 15,
    size: tuple[int, int] = (320, 240),
    frame_rate: Fraction = Fraction(25),
    seed: int = 0,
    objects: int = 3,
    silence: float = 0.3,
) -> ComposedVideo:
    """Compose a video of a few moving objects of different classes that take turns to sound.

    Args:
        pack: one split of a pack.
        seconds: length of the video.
        size: width and height in pixels.
        frame_rate: frames per second.
        seed: of all randomness; the same seed gives the same frames and samples.
        objects: number of objects.
        silence: the probability of silence after a turn.

    Raises:
        HearsightError: a number is out of range, or more objects than the pack has classes.
    """
    _check(pack, seconds, size, objects, silence)
    generator = np.random.Generator(np.random.Philox(key=[seed, 0x71DE0]))
    moving = _draw_objects(generator, pack, objects, seconds, size)
    turns = _draw_turns(generator, objects, seconds, silence)
    return ComposedVideo(
        size=size,
        frame_rate=frame_rate,
        sound=_draw_sound(generator, pack, moving, turns),
        turns=turns,
        objects=moving,
        background=_draw_background(generator, pack, size),
    )


def _check(pack: Pack, seconds: int, size: tuple[int, int], objects: int, silence: float) -> None:
    """Refuse numbers out of range."""
    if seconds < 1 or min(size) < 32 or not 1 <= objects <= 6 or not 0 <= silence <= 1:
        raise HearsightError(
            f"Cannot compose a video of {seconds} s, {size[0]} x {size[1]} pixels and"
            f" {objects} objects with silence {silence}."
        )
    if objects > len(pack.labels):
        raise HearsightError(
            f"The pack '{pack.name}' has {len(pack.labels)} classes, too few for"
            f" {objects} objects in a video."
        )


def _all_visible(objects: Sequence[MovingObject], time: float, size: tuple[int, int]) -> bool:
    """Whether every object is visible enough at a time (seconds)."""
    layout = Layout(*size)
    return all(layout.add(one.at(time, *size), front=True) for one in objects)


def _draw_objects(
    generator: np.random.Generator, pack: Pack, count: int, seconds: int, size: tuple[int, int]
) -> tuple[MovingObject, ...]:
    """Objects of different classes whose paths keep all visible at every half second."""
    labels = [pack.labels[at] for at in generator.permutation(len(pack.labels))[:count]]
    shrink = 1.0
    while True:  # ends: small enough objects hide nearly nothing
        objects = tuple(_draw_object(generator, pack, label, shrink) for label in labels)
        if all(_all_visible(objects, half / 2, size) for half in range(2 * seconds + 1)):
            return objects
        shrink *= 0.95


def _draw_object(
    generator: np.random.Generator, pack: Pack, label: str, shrink: float
) -> MovingObject:
    cutouts = [cutout for cutout in pack.cutouts if cutout.label == label]
    recordings = [at for at, one in enumerate(pack.recordings) if one.label == label]
    speeds = 1 / generator.uniform(*PERIOD, 3)
    phases = generator.random(3)
    return MovingObject(
        label=label,
        recording=draw_one(generator, recordings),
        sprite=Sprite(draw_one(generator, cutouts).pixels),
        mirrored=bool(generator.random() < 0.5),
        light=draw_light(generator),
        area=shrink * generator.uniform(*AREA),
        speeds=(float(speeds[0]), float(speeds[1]), float(speeds[2])),
        phases=(float(phases[0]), float(phases[1]), float(phases[2])),
    )


def _draw_turns(
    generator: np.random.Generator, count: int, seconds: int, silence: float
) -> tuple[int | None, ...]:
    """The sounding object of every second: all in a random order, repeated, with pauses."""
    turns: list[int | None] = []
    order = generator.permutation(count).tolist()
    while len(turns) < seconds:
        turns += [order[0]] * int(generator.integers(*SOUNDING))
        order = [*order[1:], order[0]]
        if generator.random() < silence:
            turns += [None] * int(generator.integers(*PAUSE))
    return tuple(turns[:seconds])


def _draw_sound(
    generator: np.random.Generator,
    pack: Pack,
    objects: Sequence[MovingObject],
    turns: Sequence[int | None],
) -> Int16[np.ndarray, " samples"]:
    """The recordings of the objects at their turns, over quiet noise of the same bandwidth."""
    bank = SoundBank(pack.recordings[one.recording].samples for one in objects)
    sound: Float64[np.ndarray, " samples"] = np.zeros(len(turns) * RATE)
    start = 0
    while start < len(turns):
        stop = start + 1
        while stop < len(turns) and turns[stop] == turns[start]:
            stop += 1
        turn = turns[start]
        if turn is not None:
            part = bank.draw_part(generator, turn, (stop - start) * RATE)
            ramp = np.linspace(0, 1, FADE, dtype=np.float32)
            part[:FADE] *= ramp
            part[-FADE:] *= ramp[::-1]
            sound[start * RATE : stop * RATE] = part
        start = stop
    sound += BACKGROUND_NOISE * LOUDNESS * FULL_SCALE * bank.draw_noise(generator, len(sound))
    return round_samples(sound)


def _draw_background(
    generator: np.random.Generator, pack: Pack, size: tuple[int, int]
) -> Image.Image:
    """The central part of a background, mirrored or not, in a random light."""
    whole = cover(draw_one(generator, pack.backgrounds), size)
    left, top = (whole.width - size[0]) // 2, (whole.height - size[1]) // 2
    canvas = whole.crop((left, top, left + size[0], top + size[1]))
    if generator.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return relight(canvas, draw_light(generator))
