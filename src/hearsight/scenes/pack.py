"""A pack: the cut-outs, recordings and backgrounds that scenes are composed of."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16, UInt8

from hearsight.errors import HearsightError

PACKS = ("toys", "menagerie", "bazaar")
SPLITS = ("train", "val", "test")  # the last in the bazaar alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A picture of one object. pixels: red, green, blue, alpha; at least one is opaque."""

    id: str
    label: str
    pixels: UInt8[np.ndarray, "height width 4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A sound of one class: 16-bit samples at `RATE`, one channel."""

    id: str
    label: str
    samples: Int16[np.ndarray, " samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One split of the material of scenes. Every label has cut-outs and recordings.

    mutes: objects that never sound, of no class. groups: classes that look alike. ambiguous:
    classes of which no two may be in a scene where one of them sounds, since a sound of one may as
    well be of the other, as music and a guitar. frequent: classes that hard scenes show as sources
    more often than others, each with its share of scenes.

    Raises:
        HearsightError: no backgrounds, no labels, or a label without cut-outs or recordings.
    """

    name: str
    split: str
    cutouts: tuple[Cutout, ...]
    recordings: tuple[Recording, ...]
    backgrounds: tuple[UInt8[np.ndarray, "_ _ 3"], ...]
    mutes: tuple[Cutout, ...] = ()
    groups: tuple[frozenset[str], ...] = ()
    ambiguous: tuple[frozenset[str], ...] = ()
    frequent: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.backgrounds:
            raise HearsightError(f"The pack '{self.name}' has no backgrounds for '{self.split}'.")
        seen, heard = ({one.label for one in part} for part in (self.cutouts, self.recordings))
        if not seen | heard:
            raise HearsightError(f"The pack '{self.name}' has no classes for '{self.split}'.")
        if seen != heard:
            lone = min(seen ^ heard)
            lack = "recording" if lone in seen else "cut-out"
            raise HearsightError(
                f"The pack '{self.name}' has no {lack} of '{lone}' for '{self.split}'."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in alphabetical order."""
        return tuple(sorted({recording.label for recording in self.recordings}))
