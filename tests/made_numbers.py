"""Reference numbers that come with the tests; `numbers/README.md` says where each is from."""

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = Path(__file__).parent / "numbers"


@cache
def read_numbers(name: str) -> Any:
    """A table of numbers, as it stands in its JSON file."""
    return json.loads((NUMBERS / f"{name}.json").read_text())


def array(values: Any) -> Any:
    """Nested lists as an array in double precision; null is NaN."""
    return np.array(values, dtype=np.float64)


@cache
def vggss_boxes() -> tuple[tuple[tuple[float, float, float, float], ...], ...]:
    """The boxes of every clip of VGG-SS, in its order, as fractions of the frame."""
    found: dict[int, list[tuple[float, float, float, float]]] = {}
    with (NUMBERS / "vggss_boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            x0, y0, x1, y1 = (
                float(row[edge]) / (320 if abs(float(row[edge])) < 1e6 else 1)  # or corrupt
                for edge in ("x0", "y0", "x1", "y1")
            )
            found.setdefault(int(row["clip"]), []).append((x0, y0, x1, y1))
    return tuple(map(tuple, found.values()))


@cache
def vggsound_classes() -> dict[str, dict[str, int]]:
    """Counts of clips of every class of VGGSound, by column."""
    with (NUMBERS / "vggsound_classes.csv").open(newline="") as file:
        return {
            row.pop("class"): {k: int(n) for k, n in row.items()} for row in csv.DictReader(file)
        }
