"""Pairs of composed scenes with one picture and another sounding object each, and duets of both.

Interactive protocols need the pairs: member 0 is a scene as `Scenes` composes it, in member 1 the
second object of the same picture sounds. In a duet both sound.
"""

import numpy as np
from jaxtyping import Bool, Int16

from hearsight.clips.clip import DecodedClip
from hearsight.clips.truth import box_of
from hearsight.errors import HearsightError
from hearsight.media.samples import mix
from hearsight.scenes.composing import draw_layout, draw_light, draw_one, paste
from hearsight.scenes.pack import Pack
from hearsight.scenes.scenes import SOUND, Scenes

MEMBERS = 2


class Pairs(Scenes):
    """Two clips for each scene, ids `STEM_0` and `STEM_1`, with the same frame.

    Each has the sound, class, box and mask of its own object. At least three quarters of the first
    object are visible, of the second at least half. They are of different classes.
    """

    def __init__(
        self,
        pack: Pack,
        count: int,
        *,
        size: int = 224,
        silent: tuple[int, int] = (1, 3),
        seed: int = 0,
        seconds: float = 3.0,
    ) -> None:
        """The arguments are those of `Scenes`.

        Raises:
            HearsightError: as `Scenes`, or `silent` allows scenes of one object.
        """
        if silent[0] < 1:
            raise HearsightError("A pair needs scenes with at least one silent object.")
        super().__init__(pack, count, size=size, silent=silent, seed=seed, seconds=seconds)
        self.count = count
        self.ids = [f"{stem}_{member}" for stem in self.ids for member in range(MEMBERS)]

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        """The sound of one member, without the cost of its frame."""
        return self._play(index)[1]

    def __getitem__(self, index: int) -> DecodedClip:
        number = range(len(self.ids))[index]
        scene, member = divmod(number, MEMBERS)
        frame, masks = self._compose(scene)
        (label, recording), sound = self._play(number)
        return DecodedClip(
            id=self.ids[number],
            frame=frame,
            sound=sound,
            label=label,
            boxes=(box_of(masks[member]),),
            mask=masks[member],
            source=recording,
        )

    def duet(self, scene: int) -> DecodedClip:
        """Both members of a pair in one clip: sum of sounds, both boxes, union of masks."""
        first, second = (self[MEMBERS * scene + member] for member in range(MEMBERS))
        assert first.mask is not None
        assert second.mask is not None
        return DecodedClip(
            id=first.id.rpartition("_")[0],
            frame=first.frame,
            sound=mix([first.sound, second.sound]),
            label=f"{first.label} and {second.label}",
            boxes=(*(first.boxes or ()), *(second.boxes or ())),
            mask=first.mask | second.mask,
            source=f"{first.source} {second.source}",
        )

    def _play(self, index: int) -> tuple[tuple[str, str], Int16[np.ndarray, " samples"]]:
        """Class and recording id of one member, and its sound."""
        scene, member = divmod(range(len(self.ids))[index], MEMBERS)
        label, recording, generator = self._draw_sound(scene)
        if member:
            cutouts, _, _ = self._draw_picture(scene, label)
            label = self.labels.index(self.pack.cutouts[cutouts[1]].label)
            # the random streams from `count` on belong to no scene
            generator = self._stream(self.count + scene, SOUND)
            recording = draw_one(generator, self._recordings[label])
        sound = self._bank.play(generator, recording, self.samples)
        return (self.labels[label], self.pack.recordings[recording].id), sound

    def _compose(
        self, scene: int
    ) -> tuple[np.ndarray, tuple[Bool[np.ndarray, "height width"], ...]]:
        """The picture of a scene and the masks of its first two objects."""
        label, _, _ = self._draw_sound(scene)
        cutouts, background, generator = self._draw_picture(scene, label)
        canvas = self._draw_background(generator, background)
        sprites = [self._sprites[number][0] for number in cutouts]  # the original look
        layout = draw_layout(generator, sprites, self.size)
        for placed in layout.order:
            paste(canvas, placed, draw_light(generator))
        return np.array(canvas), tuple(layout.mask(member) for member in range(MEMBERS))


class Duets:
    """One clip for each pair, in which both objects sound."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.ids = [id.rpartition("_")[0] for id in pairs.ids[::MEMBERS]]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        return self.pairs.duet(range(len(self.ids))[index])

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        """The sum of both sounds, without the cost of the frame."""
        first = MEMBERS * range(len(self.ids))[index]
        return mix([self.pairs.sound(first + member) for member in range(MEMBERS)])
