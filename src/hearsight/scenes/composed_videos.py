"""Short composed videos: objects move, the sound goes from one to another, the truth is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float64, Int16, UInt8
from PIL import Image

from hearsight.clips.clip import Box
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE, round_samples
from hearsight.scenes.composing import (
    Layout,
    Light,
    Placed,
    Sprite,
    box_of,
    draw_light,
    fitted,
    paint,
    relight,
    view,
)
from hearsight.scenes.pack import Pack
from hearsight.scenes.sound_bank import CUTOFF, LOUDNESS, SoundBank

AREA = (0.1, 0.3)  # of an object's box, as a share of the frame
PERIOD = (6.0, 14.0)  # seconds of a movement to and fro
SOUNDING = (4, 7)  # whole seconds before the sound goes on to another object; the last excluded
PAUSE = (1, 3)  # whole seconds of silence; the last excluded
HISS = 0.01  # of the loudness of an object: what is heard in silence
FADE = 160  # samples at both ends of a turn


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundingMoment:
    """What sounds at a time (seconds), and the box around what is seen of it; None in silence."""

    time: float
    label: str | None
    box: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An object and its way: place and size are sines of time, whose phases and speeds these are.

    area: of its box, on average. speeds: turns per second of x, y and size. phases: in turns.
    """

    label: str
    recording: int
    sprite: Sprite
    mirrored: bool
    light: Light
    area: float
    speeds: tuple[float, float, float]
    phases: tuple[float, float, float]

    def at(self, time: float, width: int, height: int) -> Placed:
        """The object at a time (seconds), wholly inside a frame of so many pixels."""
        x, y, size = (
            0.5 + 0.5 * np.sin(2 * np.pi * (speed * time + phase))
            for speed, phase in zip(self.speeds, self.phases, strict=True)
        )
        area = self.area * (0.75 + 0.5 * size) * width * height
        across, down = (area * self.sprite.aspect) ** 0.5, (area / self.sprite.aspect) ** 0.5
        scale = min(1.0, 0.95 * width / across, 0.95 * height / down)
        shown = view(self.sprite, (across * scale, down * scale), mirrored=self.mirrored)
        rows, columns = shown.alpha.shape
        return Placed(shown, round(x * (width - columns)), round(y * (height - rows)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedVideo:
    """A video that is painted as it is read.

    size: width and height in pixels. sound: 16-bit samples at `RATE`. turns: for each second
    the number of the actor that sounds, None in silence.
    """

    size: tuple[int, int]
    frame_rate: Fraction
    sound: Int16[np.ndarray, " samples"]
    turns: tuple[int | None, ...]
    actors: tuple[Actor, ...]
    background: Image.Image

    def frames(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """The frames from the first to the last, anew at every call."""
        for number in range(round(len(self.turns) * self.frame_rate)):
            canvas = self.background.copy()
            for actor in self.actors:
                paint(canvas, actor.at(float(number / self.frame_rate), *self.size), actor.light)
            yield np.array(canvas)

    def truth_at(self, time: float) -> SoundingMoment:
        """What sounds at a time (seconds), and where it is in the frame that is shown then."""
        turn = self.turns[min(int(time), len(self.turns) - 1)]
        if turn is None:
            return SoundingMoment(time=time, label=None, box=None)
        shown = float(int(time * self.frame_rate) / self.frame_rate)
        layout = Layout(*self.size)
        layout.order = [actor.at(shown, *self.size) for actor in self.actors]
        layout.source = turn
        return SoundingMoment(time=time, label=self.actors[turn].label, box=box_of(layout.mask()))

    @property
    def truth(self) -> tuple[SoundingMoment, ...]:
        """For every second, at its middle."""
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
    """A video of a few objects of different classes that move and take turns to sound.

    Args:
        pack: one split of a pack.
        seconds: its length.
        size: width and height in pixels.
        frame_rate: frames per second.
        seed: of everything that is drawn; the same seed gives the same frames and samples.
        objects: how many.
        silence: the probability that nothing sounds for a while after a turn.

    Raises:
        HearsightError: a number is out of range, or more objects than the pack has classes.
    """
    _check(pack, seconds, size, objects, silence)
    generator = np.random.Generator(np.random.Philox(key=[seed, 0x71DE0]))
    actors = _draw_actors(generator, pack, objects, seconds, size)
    turns = _draw_turns(generator, objects, seconds, silence)
    return ComposedVideo(
        size=size,
        frame_rate=frame_rate,
        sound=_draw_sound(generator, pack, actors, turns),
        turns=turns,
        actors=actors,
        background=_draw_background(generator, pack, size),
    )


def _check(pack: Pack, seconds: int, size: tuple[int, int], objects: int, silence: float) -> None:
    """Refuse what cannot be composed."""
    if seconds < 1 or min(size) < 32 or not 1 <= objects <= 6 or not 0 <= silence <= 1:
        raise HearsightError(
            f"cannot compose a video of {seconds} s, {size[0]} x {size[1]} pixels and"
            f" {objects} objects with silence {silence}"
        )
    if objects > len(pack.labels):
        raise HearsightError(
            f"the pack '{pack.name}' has {len(pack.labels)} classes, too few for"
            f" {objects} objects in a video"
        )


def _all_seen(actors: Sequence[Actor], time: float, size: tuple[int, int]) -> bool:
    """Whether no actor hides another too much at a time."""
    layout = Layout(*size)
    return all(layout.add(actor.at(time, *size), front=True) for actor in actors)


def _draw_actors(
    generator: np.random.Generator, pack: Pack, count: int, seconds: int, size: tuple[int, int]
) -> tuple[Actor, ...]:
    """Actors of different classes on ways where, at every half second, all are seen."""
    labels = [pack.labels[at] for at in generator.permutation(len(pack.labels))[:count]]
    shrink = 1.0
    while True:  # ends: small actors hide nearly nothing
        actors = tuple(_draw_actor(generator, pack, label, shrink) for label in labels)
        if all(_all_seen(actors, half / 2, size) for half in range(2 * seconds + 1)):
            return actors
        shrink *= 0.95


def _draw_actor(generator: np.random.Generator, pack: Pack, label: str, shrink: float) -> Actor:
    cutouts = [cutout for cutout in pack.cutouts if cutout.label == label]
    recordings = [at for at, one in enumerate(pack.recordings) if one.label == label]
    speeds = 1 / generator.uniform(*PERIOD, 3)
    phases = generator.random(3)
    return Actor(
        label=label,
        recording=recordings[int(generator.integers(len(recordings)))],
        sprite=Sprite(cutouts[int(generator.integers(len(cutouts)))].pixels),
        mirrored=bool(generator.random() < 0.5),
        light=draw_light(generator),
        area=shrink * generator.uniform(*AREA),
        speeds=(float(speeds[0]), float(speeds[1]), float(speeds[2])),
        phases=(float(phases[0]), float(phases[1]), float(phases[2])),
    )


def _draw_turns(
    generator: np.random.Generator, count: int, seconds: int, silence: float
) -> tuple[int | None, ...]:
    """Who sounds in every second: all in a random order, again and again, with pauses."""
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
    actors: Sequence[Actor],
    turns: Sequence[int | None],
) -> Int16[np.ndarray, " samples"]:
    """The recordings of those whose turn it is, over a quiet hiss of the same bandwidth."""
    bank = SoundBank((pack.recordings[actor.recording].samples for actor in actors), cutoff=CUTOFF)
    sound: Float64[np.ndarray, " samples"] = np.zeros(len(turns) * RATE)
    start = 0
    while start < len(turns):
        stop = start + 1
        while stop < len(turns) and turns[stop] == turns[start]:
            stop += 1
        turn = turns[start]
        if turn is not None:
            part = bank.part(generator, turn, (stop - start) * RATE)
            ramp = np.linspace(0, 1, FADE, dtype=np.float32)
            part[:FADE] *= ramp
            part[-FADE:] *= ramp[::-1]
            sound[start * RATE : stop * RATE] = part
        start = stop
    sound += HISS * LOUDNESS * 32767 * bank.hiss(generator, len(sound))
    return round_samples(sound)


def _draw_background(
    generator: np.random.Generator, pack: Pack, size: tuple[int, int]
) -> Image.Image:
    """The middle of a background, mirrored or not, in a random light."""
    pixels = pack.backgrounds[int(generator.integers(len(pack.backgrounds)))]
    whole = fitted(pixels, size)
    left, top = (whole.width - size[0]) // 2, (whole.height - size[1]) // 2
    canvas = whole.crop((left, top, left + size[0], top + size[1]))
    if generator.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return relight(canvas, draw_light(generator))
