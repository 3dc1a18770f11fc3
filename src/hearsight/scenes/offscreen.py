"""Composed scenes without a visible source: a class outside the picture sounds, or nothing does.

The frames are those of `Scenes` of the same pack, seed and size.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Int16

from hearsight.clips.clip import DecodedClip
from hearsight.errors import HearsightError
from hearsight.scenes.composing import draw_one
from hearsight.scenes.pack import Pack
from hearsight.scenes.scenes import Scenes


class Offscreen(Scenes):
    """Scenes without a visible source: even ones sound of a class not shown, odd ones are silent.

    Of classes that `Pack.ambiguous` names together, none sounds where another is shown; where no
    class is left, the scene is silent.
    Their boxes are (), their masks false everywhere.
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
    ) -> None:
        """The arguments are those of `Scenes`.

        Raises:
            HearsightError: as `Scenes`, or a scene could show every class of the pack.
        """
        super().__init__(pack, count, size=size, silent=silent, seed=seed, seconds=seconds)
        if len(self.labels) < silent[1] + 2:
            raise HearsightError(
                f"The pack '{pack.name}' has {len(self.labels)} classes: a picture may show all "
                "of them, so none is left for the off-screen sound."
            )
        self.ids = [f"offscreen-{id}" for id in self.ids]

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        """Silence, or the sound of a class that the frame does not show."""
        return self._draw_heard(index)[0]

    def __getitem__(self, index: int) -> DecodedClip:
        scene = super().__getitem__(index)
        sound, recording = self._draw_heard(index)
        assert scene.mask is not None
        return replace(
            scene,
            sound=sound,
            label=None,
            boxes=(),
            mask=np.zeros_like(scene.mask),
            source=recording,
        )

    def _draw_heard(self, index: int) -> tuple[Int16[np.ndarray, " samples"], str]:
        """The sound of a scene, and the id of its recording (empty for silence)."""
        number = range(len(self.ids))[index]
        if number % 2:
            return np.zeros(self.samples, np.int16), ""
        label, _, generator = self._draw_sound(number)
        cutouts, _, _ = self._draw_picture(number, label)
        seen = {self.labels.index(self.pack.cutouts[cutout].label) for cutout in cutouts}
        seen = seen.union(*(self._rivals[one] for one in seen))  # what may as well be heard of them
        others = [one for one in range(len(self.labels)) if one not in seen]
        if not others:
            return np.zeros(self.samples, np.int16), ""
        recording = draw_one(generator, self._recordings[draw_one(generator, others)])
        sound = self._bank.play(generator, recording, self.samples)
        return sound, self.pack.recordings[recording].id
