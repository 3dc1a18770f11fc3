"""What is made of an array that is read-only is made once, and kept as long as the array."""

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Shaped

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """A function of an array, remembered by which array it was: two packs of toys share theirs.

    An array that can be written to, itself or as a part of another, may change: what is made of it
    is not kept.
    """

    def __init__(self, make: Callable[..., Made]) -> None:
        self.make = make
        self.made: dict[tuple[Any, ...], Made] = {}

    def __call__(self, values: Shaped[np.ndarray, "..."], *options: float) -> Made:
        """`make(values, *options)`."""
        if _may_change(values):
            return self.make(values, *options)
        key = (id(values), *options)
        if key not in self.made:
            made = self.make(values, *options)
            weakref.finalize(values, self.made.pop, key, None).atexit = False
            self.made[key] = made
        return self.made[key]


def _may_change(values: Shaped[np.ndarray, "..."]) -> bool:
    """Whether an array, or one of those that it is a part of, can be written to."""
    part: Any = values
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return True
        part = part.base
    return False
