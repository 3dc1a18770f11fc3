"""Composed scenes: clips with exact boxes and masks, from cut-outs, recordings and backgrounds.

One object sounds, the others are silent. The material is a `Pack`: `toys` generates one,
`menagerie` reads photographs and recordings.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt8
from PIL import Image

from hearsight.clips.clip import DecodedClip
from hearsight.clips.truth import box_of
from hearsight.errors import HearsightError, nearest
from hearsight.media.samples import RATE
from hearsight.scenes import bazaar, menagerie, toys
from hearsight.scenes.composing import (
    Sprite,
    cover,
    draw_layout,
    draw_light,
    draw_one,
    paste,
    relight,
)
from hearsight.scenes.cutout_variants import vary
from hearsight.scenes.kept import Kept
from hearsight.scenes.pack import PACKS, SPLITS, Pack
from hearsight.scenes.sound_bank import CUTOFF, SoundBank

SMALLEST, LARGEST = 32, 1024  # pixels of the side of a scene; cut-outs have 200 to 320
MOST = 10_000_000  # scenes; their ids have 7 digits
MOST_LOOKS = 100
LONGEST = 3600  # seconds of a scene
BACKGROUND_SCALE = 1.25  # shorter side of a background over the side of a scene, for random crops
SOUND, PICTURE = 0, 1  # a scene's two streams of random numbers


def load_pack(
    name: str,
    folder: Path | None = None,
    *,
    split: str,
    classes: Sequence[str] | int | None = None,
) -> Pack:
    """Load a pack by its name: `toys`, or one from `folder` (by default the user's cache).

    Args:
        name: one of `PACKS`.
        folder: of the menagerie or the bazaar.
        split: train or val, of the bazaar also test; they share no cut-out, no stretch of a
            recording, no background.
        classes: names, or how many; None means every class that has both splits.

    Raises:
        HearsightError: unknown name, split or class; a pack that is missing or damaged.
    """
    if name not in PACKS:
        raise HearsightError(
            f"Unknown pack '{name}': it may be toys, menagerie or bazaar.{nearest(name, PACKS)}"
        )
    if split not in SPLITS:
        raise HearsightError(f"Unknown split '{split}': it may be train, val or test.")
    if name == "bazaar":
        return bazaar.read_bazaar(folder, split=split, classes=classes)
    if split == "test":
        raise HearsightError(f"'{name}' has the splits train and val: only the bazaar has test.")
    if name == "toys":
        return toys.make_toys(split=split, classes=classes)
    return menagerie.read_menagerie(folder, split=split, classes=classes)


class Scenes:
    """Clips composed on demand, each a function of (seed, epoch, index): the same bytes every time.

    Frames are square. The mask holds the pixels of which the sounding object makes up at least
    half; the one box bounds the mask. Its area follows `composing.AREAS`; at most a quarter of the
    object is hidden behind others.
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
        cutoff: float = CUTOFF,
        looks: int = 1,
    ) -> None:
        """Prepare the sprites, sounds and backgrounds of a pack.

        Args:
            pack: one split of a pack.
            count: number of scenes, per epoch if `endless`.
            size: side of the frame in pixels, `SMALLEST` to `LARGEST`.
            silent: fewest and most silent objects; their number is uniform between.
            seed: of all randomness.
            seconds: length of the sound.
            endless: whether every epoch has new scenes, under the same ids.
            cutoff: Hz, of the low-pass filter on all sounds.
            looks: number of looks of each cut-out: the original, the others drawn by `vary`.

        Raises:
            HearsightError: a number is out of range, or a pack of one class with silent objects.
        """
        _check(count, size, silent, seconds, seed=seed, looks=looks)
        if len(pack.labels) == 1 and silent[1]:
            raise HearsightError(f"The pack '{pack.name}' has one class only: nothing is silent.")
        self.pack, self.size, self.silent, self.seed = pack, size, silent, seed
        self.endless, self.epoch = endless, 0
        self.samples = round(seconds * RATE)
        self.labels = pack.labels
        self.ids = [f"{pack.name}-{pack.split}-{seed}-{index:07d}" for index in range(count)]
        self._cutouts = _by_label(pack, [cutout.label for cutout in pack.cutouts])
        self._recordings = _by_label(pack, [recording.label for recording in pack.recordings])
        self._rivals = [_rivals(pack, label) for label in pack.labels]
        self._sprites = [
            _looks(cutout.pixels, at, seed, looks, size) for at, cutout in enumerate(pack.cutouts)
        ]
        self._bank = SoundBank((one.samples for one in pack.recordings), cutoff=cutoff)
        side = round(BACKGROUND_SCALE * size)
        self._backgrounds = [cover(pixels, (side, side)) for pixels in pack.backgrounds]

    def __len__(self) -> int:
        return len(self.ids)

    def set_epoch(self, epoch: int) -> None:
        """Change to the scenes of an epoch, counted from 0; no effect unless endless."""
        if self.endless:
            self.epoch = epoch

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        """The sound of the scene at `index`, without the cost of its frame."""
        _, recording, generator = self._draw_sound(index)
        return self._bank.play(generator, recording, self.samples)

    def __getitem__(self, index: int) -> DecodedClip:
        label, recording, sounding = self._draw_sound(index)
        cutouts, background, generator = self._draw_picture(index, label)
        canvas = self._draw_background(generator, background)
        sprites = [_one_look(generator, self._sprites[number]) for number in cutouts]
        layout = draw_layout(generator, sprites, self.size)
        for placed in layout.order:
            paste(canvas, placed, draw_light(generator))
        mask = layout.mask()
        return DecodedClip(
            id=self.ids[index],
            frame=np.array(canvas),
            sound=self._bank.play(sounding, recording, self.samples),
            label=self.labels[label],
            boxes=(box_of(mask),),
            mask=mask,
            source=f"{self.pack.cutouts[cutouts[0]].id} {self.pack.recordings[recording].id}",
        )

    def _stream(self, index: int, which: int) -> np.random.Generator:
        """The random generator of one scene, for its sound, its picture, or what `which` counts."""
        number = range(len(self.ids))[index]  # IndexError out of range; -1 is the last
        place = (self.epoch << 40) | (number << 1) | (which & 1)
        bits = np.random.Philox(key=[self.seed, place], counter=[0, 0, 0, which >> 1])
        return np.random.Generator(bits)

    def _draw_sound(self, index: int) -> tuple[int, int, np.random.Generator]:
        """Class and recording, by index, and the generator to play it with."""
        generator = self._stream(index, SOUND)
        label = int(generator.integers(len(self.labels)))
        return label, draw_one(generator, self._recordings[label]), generator

    def _draw_picture(self, index: int, label: int) -> tuple[list[int], int, np.random.Generator]:
        """Cut-outs (the sounding one first) and background, by index, and the generator."""
        generator = self._stream(index, PICTURE)
        count = int(generator.integers(self.silent[0], self.silent[1], endpoint=True))
        others = generator.permutation(len(self.labels) - 1)
        others += others >= label
        if self._rivals[label]:
            others = others[[other not in self._rivals[label] for other in others.tolist()]]
            count = count if len(others) else 0
        labels = [label, *(int(others[number % len(others)]) for number in range(count))]
        cutouts = [draw_one(generator, self._cutouts[one]) for one in labels]
        return cutouts, int(generator.integers(len(self._backgrounds))), generator

    def _draw_background(self, generator: np.random.Generator, number: int) -> Image.Image:
        """A random crop of a background, mirrored or not, in a random light."""
        whole = self._backgrounds[number]
        x = int(generator.integers(whole.width - self.size, endpoint=True))
        y = int(generator.integers(whole.height - self.size, endpoint=True))
        canvas = whole.crop((x, y, x + self.size, y + self.size))
        if generator.random() < 0.5:
            canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return relight(canvas, draw_light(generator))


def open_scenes(
    name: str,
    folder: Path | None = None,
    *,
    split: str = "train",
    seed: int = 0,
    size: int = 224,
    count: int = 10_000,
    classes: Sequence[str] | int | None = None,
    silent: tuple[int, int] = (0, 3),
    seconds: float = 3.0,
    endless: bool = False,
    looks: int = 1,
    kind: type[Scenes] = Scenes,
) -> Scenes:
    """Scenes of a pack by its name: `load_pack`, then `Scenes` or the `kind` of them."""
    _check(count, size, silent, seconds, seed=seed, looks=looks)  # before the pack is read
    pack = load_pack(name, folder, split=split, classes=classes)
    return kind(
        pack,
        count,
        size=size,
        silent=silent,
        seed=seed,
        seconds=seconds,
        endless=endless,
        looks=looks,
    )


def _check(
    count: int, size: int, silent: tuple[int, int], seconds: float, *, seed: int, looks: int
) -> None:
    """Refuse numbers out of range, whatever the pack."""
    if not 1 <= looks <= MOST_LOOKS:
        raise HearsightError(f"A cut-out has 1 to {MOST_LOOKS} looks, not {looks}.")
    if not SMALLEST <= size <= LARGEST:
        raise HearsightError(
            f"Scenes are composed with sides of {SMALLEST} to {LARGEST} pixels, not {size}."
        )
    if not 1 <= count <= MOST:
        raise HearsightError(f"1 to {MOST:,} scenes can be composed, not {count:,}.")
    if not 0 <= silent[0] <= silent[1] <= 20:
        raise HearsightError(
            f"0 to 20 silent objects stand in a scene, not {silent[0]} to {silent[1]}."
        )
    if not 0 <= seed < 2**63:
        raise HearsightError(f"The seed of scenes is 0 or more and below 2^63, not {seed}.")
    if not 0 < seconds <= LONGEST:
        raise HearsightError(f"A scene lasts up to {LONGEST} seconds, not {seconds}.")


_SPRITES = Kept(Sprite)


def _looks(
    pixels: UInt8[np.ndarray, "height width 4"], at: int, seed: int, looks: int, size: int
) -> list[Sprite]:
    """The sprites of a cut-out in all its looks, seeded by `at`, its index in the pack."""
    sprites = [_SPRITES(pixels)]
    if looks > 1:
        image = Image.fromarray(pixels)
        image.thumbnail((2 * size, 2 * size))  # the largest size in a scene: `LONGEST`
        small = np.asarray(image)
        generator = np.random.default_rng((seed, at))
        sprites += [Sprite(vary(small, generator)) for _ in range(looks - 1)]
    return sprites


def _rivals(pack: Pack, label: str) -> set[int]:
    """The classes, by index, that may not be seen where one sounds, itself among them if any."""
    names = set().union(*(names for names in pack.ambiguous if label in names))
    return {at for at, one in enumerate(pack.labels) if one in names}


def _one_look(generator: np.random.Generator, looks: list[Sprite]) -> Sprite:
    return draw_one(generator, looks) if len(looks) > 1 else looks[0]


def _by_label(pack: Pack, labels: list[str]) -> list[list[int]]:
    """For every class of the pack, its indices in a list of labels."""
    return [[at for at, one in enumerate(labels) if one == label] for label in pack.labels]
