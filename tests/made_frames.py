"""Clips of several masked frames, and maps of them, both of 8 x 8 cells: the rules of the field can
be written as loops over cells, and give the same shares as over pixels.
"""

from dataclasses import dataclass, replace

import numpy as np

from hearsight.clips.clip import DecodedClip
from hearsight.clips.frame_truth import FrameTruth, SourceMask

CELLS, PIXELS_PER_CELL = 8, 28


@dataclass
class MadeFrame:
    """A frame with a truth and a map of cells."""

    truth: FrameTruth
    cells: np.ndarray
    label: str = "dog"

    @property
    def inside(self) -> np.ndarray:
        return self.truth.mask()

    @property
    def map(self) -> np.ndarray:
        return self.cells.repeat(PIXELS_PER_CELL, 0).repeat(PIXELS_PER_CELL, 1)


class MadeFrames:
    """Frames as clips; see `MaskedClips`."""

    def __init__(self, frames: list[MadeFrame]) -> None:
        self.frames = frames
        self.ids = [one.truth.id for one in frames]
        self.bare: set[int] = set()  # frames that nobody masked

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        one = self.frames[index]
        return DecodedClip(
            id=one.truth.id,
            frame=np.zeros((8, 8, 3), np.uint8),
            sound=np.zeros(800, np.int16),
            label=one.label,
            mask=one.inside,
        )

    def sound(self, index: int) -> np.ndarray:
        return self[index].sound

    def annotation(self, index: int) -> tuple[str | None, None]:
        return self.frames[index].label, None

    def frame_truth(self, index: int) -> FrameTruth | None:
        return None if index in self.bare else self.frames[index].truth

    def clip_of(self, index: int) -> str:
        return self.frames[index].truth.clip

    def origins_of(self, index: int) -> tuple[str, ...]:
        return (self.clip_of(index),)

    @property
    def maps(self) -> dict[str, np.ndarray]:
        return {one.truth.id: one.map for one in self.frames}

    def change(self, index: int, **fields: object) -> None:
        self.frames[index].truth = replace(self.frames[index].truth, **fields)


def make_frames(counts: list[int], *, seed: int = 0) -> MadeFrames:
    """Clips with so many frames each; maps of values with two digits, some on thresholds."""
    generator = np.random.default_rng(seed)
    frames = []
    for clip, count in enumerate(counts):
        for number in range(count):
            inside = generator.random((CELLS, CELLS)) < generator.uniform(0.1, 0.6)
            cells = np.clip(0.3 * inside + 0.8 * generator.random((CELLS, CELLS)), 0, 1)
            source = SourceMask(name="it", mask=inside)
            truth = FrameTruth(
                id=f"clip {clip}_{number}",
                clip=f"clip {clip}",
                number=number,
                size=(CELLS, CELLS),
                sources=(source,),
            )
            label = ("dog", "cat")[clip % 2]
            frames.append(MadeFrame(truth, np.round(cells, 2).astype(np.float32), label))
    return MadeFrames(frames)
