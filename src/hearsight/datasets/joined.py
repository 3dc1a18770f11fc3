"""Several sources of clips as one, and some clips of a source."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int16

from hearsight.clips import Box, Clip, Clips, DecodedClip, EndlessClips, annotation, encoded


class JoinedClips:
    """Several `Clips` as one, in the order given.

    Where two hold a clip of the same id, the first one counts; `repeated` names the ids that
    were left out for it.
    """

    def __init__(self, parts: Sequence[Clips]) -> None:
        self.ids: list[str] = []
        self.repeated: list[str] = []
        self._parts = list(parts)
        self._places: list[tuple[int, int]] = []
        seen: set[str] = set()
        for number, part in enumerate(self._parts):
            for index, id in enumerate(part.ids):
                if id in seen:
                    self.repeated.append(id)
                    continue
                seen.add(id)
                self.ids.append(id)
                self._places.append((number, index))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        number, inside = self._places[index]
        return self._parts[number][inside]

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        """The label and the boxes of the clip at `index`; its part decides what that costs."""
        number, inside = self._places[index]
        return annotation(self._parts[number], inside)

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        number, inside = self._places[index]
        return self._parts[number].sound(inside)

    def clip(self, index: int) -> Clip:
        number, inside = self._places[index]
        return encoded(self._parts[number], inside)

    def set_epoch(self, epoch: int) -> None:
        for part in self._parts:
            if isinstance(part, EndlessClips):
                part.set_epoch(epoch)


class ChosenClips(JoinedClips):
    """Some clips of a `Clips`, by their numbers, in that order."""

    def __init__(self, clips: Clips, indices: Sequence[int]) -> None:
        super().__init__([clips])
        self._places = [(0, index) for index in indices]
        self.ids = [clips.ids[index] for index in indices]
