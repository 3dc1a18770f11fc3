"""Hard scenes: several sources, twins, small sources, look-alikes and objects that never sound.

What is heard is everything that sounds in the picture. What is true is every object that may be the
source: all objects of the sounding classes, with a box each and one mask of them all. So of two
objects of one class both are true, whether one of them sounds or both do: a listener cannot tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16

from hearsight.clips.clip import DecodedClip
from hearsight.clips.truth import box_of
from hearsight.errors import HearsightError
from hearsight.media.samples import mix
from hearsight.scenes.composing import Sprite, draw_layout, draw_light, draw_one, paste
from hearsight.scenes.pack import Pack
from hearsight.scenes.scenes import SOUND, Scenes
from hearsight.scenes.sound_bank import CUTOFF, low_pass

WIDEST = 7_800.0  # Hz, of the bandwidth of a hard scene's sound
SMALL = (0.005, 0.05)  # areas of a small source's box, shares of the frame
CAST, BAND = 2, 3  # a scene's streams of random numbers beside those of `Scenes`


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardness:
    """Shares of scenes, or of silent objects, that are made hard; each from 0 to 1.

    duets: scenes where two classes sound, mixed. twins: scenes with a second object of the first
    sounding class; in half of them two of its recordings sound. small: scenes whose sources are
    small. alike: silent objects that are of a class which looks like a sounding one. mutes: silent
    objects that are of no class and never sound.
    """

    duets: float = 0.25
    twins: float = 0.15
    small: float = 0.25
    alike: float = 0.4
    mutes: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """What is in a scene: the sounding objects, then the silent ones, and what is heard."""

    sources: int
    sprites: tuple[Sprite, ...]
    ids: tuple[str, ...]  # of the cut-outs
    recordings: tuple[int, ...]  # indices in the pack
    labels: tuple[str, ...]  # that sound
    areas: tuple[float, ...]  # of the sources, where they are small


class HardScenes(Scenes):
    """Scenes that are hard in the ways of `Hardness`; the first source is that of `Scenes`.

    Sounds are low-passed at a frequency drawn for each scene between `sound_bank.CUTOFF` and
    `WIDEST`, evenly in its logarithm, so that bandwidth tells little of the class.
    """

    def __init__(
        self,
        pack: Pack,
        count: int,
        *,
        size: int = 224,
        silent: tuple[int, int] = (0, 3),
        seed: int = 0,
        seconds: float = 3.0,
        endless: bool = False,
        looks: int = 1,
        hardness: Hardness | None = None,
    ) -> None:
        """The arguments are those of `Scenes`, and how hard the scenes are.

        Raises:
            HearsightError: as `Scenes`, or a share of the hardness is not from 0 to 1.
        """
        self.hardness = Hardness() if hardness is None else hardness
        for name in Hardness.__dataclass_fields__:
            share = getattr(self.hardness, name)
            if not 0 <= share <= 1:
                raise HearsightError(f"The hardness '{name}' is a share from 0 to 1, not {share}.")
        super().__init__(
            pack,
            count,
            size=size,
            silent=silent,
            seed=seed,
            seconds=seconds,
            endless=endless,
            cutoff=WIDEST,
            looks=looks,
        )
        self.ids = [f"hard-{id}" for id in self.ids]
        self._mutes = [Sprite(mute.pixels) for mute in pack.mutes]
        self._alike = [_find_alike(pack, label) for label in pack.labels]

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        """The sum of what sounds in the scene at `index`, without the cost of its frame."""
        return self._play(index, self.cast(index).recordings)

    def __getitem__(self, index: int) -> DecodedClip:
        cast = self.cast(index)
        label, _, _ = self._draw_sound(index)
        _, background, generator = self._draw_picture(index, label)
        canvas = self._draw_background(generator, background)
        layout = draw_layout(
            generator, cast.sprites, self.size, sources=cast.sources, areas=cast.areas
        )
        for placed in layout.order:
            paste(canvas, placed, draw_light(generator))
        masks = [layout.mask(number) for number in range(cast.sources)]
        recordings = (self.pack.recordings[number].id for number in cast.recordings)
        return DecodedClip(
            id=self.ids[index],
            frame=np.array(canvas),
            sound=self._play(index, cast.recordings),
            label=" and ".join(cast.labels),
            boxes=tuple(box_of(mask) for mask in masks),
            mask=np.logical_or.reduce(masks),
            source=" ".join((*cast.ids[: cast.sources], *recordings)),
        )

    def cast(self, index: int) -> Cast:
        """What the scene at `index` shows and sounds of, without composing it."""
        label, recording, _ = self._draw_sound(index)
        cutouts, _, _ = self._draw_picture(index, label)
        draw = self._stream(index, CAST)
        heard, recordings, shown = [label], [recording], [cutouts[0]]
        others = [one for one in range(len(self.labels)) if one not in self._unfit([label])]
        if draw.random() < self.hardness.duets and others:
            second = draw_one(draw, others)
            heard.append(second)
            shown.append(draw_one(draw, self._cutouts[second]))
            recordings.append(draw_one(draw, self._recordings[second]))
        if draw.random() < self.hardness.twins:
            rest = [one for one in self._cutouts[label] if one != cutouts[0]]
            shown.append(draw_one(draw, rest or cutouts[:1]))
            more = [one for one in self._recordings[label] if one != recording]
            if more and draw.random() < 0.5:
                recordings.append(draw_one(draw, more))
        small = draw.random() < self.hardness.small
        areas = draw.uniform(SMALL[0] ** 0.5, SMALL[1] ** 0.5, len(shown)) ** 2
        ids = [self.pack.cutouts[number].id for number in shown]
        sprites = [draw_one(draw, self._sprites[number]) for number in shown]
        for silent in filter(None, (self._draw_silent(draw, heard) for _ in cutouts[1:])):
            ids.append(silent[0])
            sprites.append(silent[1])
        return Cast(
            sources=len(shown),
            sprites=tuple(sprites),
            ids=tuple(ids),
            recordings=tuple(recordings),
            labels=tuple(self.labels[one] for one in heard),
            areas=tuple(areas.tolist()) if small else (),
        )

    def _draw_sound(self, index: int) -> tuple[int, int, np.random.Generator]:
        """Class and recording, by index, and the generator; some classes are more frequent."""
        generator = self._stream(index, SOUND)
        place, label = float(generator.random()), int(generator.integers(len(self.labels)))
        for name, share in self.pack.frequent:
            if name in self.labels:
                if 0 <= place < share:
                    label = self.labels.index(name)
                place -= share
        return label, draw_one(generator, self._recordings[label]), generator

    def _draw_silent(
        self, draw: np.random.Generator, heard: Sequence[int]
    ) -> tuple[str, Sprite] | None:
        """A silent object: id of its cut-out, and its sprite; None where every class sounds."""
        unfit = self._unfit(heard)
        fit = [one for one in range(len(self.labels)) if one not in unfit]
        alike = [one for one in fit if any(one in self._alike[label] for label in heard)]
        mute, like = (draw.random() < share for share in (self.hardness.mutes, self.hardness.alike))
        if self._mutes and (mute or not fit):
            number = int(draw.integers(len(self._mutes)))
            return self.pack.mutes[number].id, self._mutes[number]
        if not fit:
            return None
        number = draw_one(draw, self._cutouts[draw_one(draw, alike if like and alike else fit)])
        return self.pack.cutouts[number].id, draw_one(draw, self._sprites[number])

    def _unfit(self, heard: Sequence[int]) -> set[int]:
        """The classes that may not be silent where these sound."""
        return set(heard).union(*(self._rivals[label] for label in heard))

    def _play(self, index: int, recordings: Sequence[int]) -> Int16[np.ndarray, " samples"]:
        """The sum of random parts of recordings, of one random bandwidth."""
        draw = self._stream(index, BAND)
        cutoff = float(np.exp(draw.uniform(np.log(CUTOFF), np.log(WIDEST))))
        heard = [self._bank.play(draw, number, self.samples) for number in recordings]
        return low_pass(mix(heard), cutoff)


def _find_alike(pack: Pack, label: str) -> set[int]:
    """The classes, by index, that look like one."""
    names = set().union(*(group for group in pack.groups if label in group)) - {label}
    return {at for at, one in enumerate(pack.labels) if one in names}
