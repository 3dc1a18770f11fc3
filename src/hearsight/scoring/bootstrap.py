"""Uncertainty of scores over clips: bootstrap intervals, and a paired test between two rows.

Every row of a table is computed anew from what it was computed from, its records, for other draws
of the same clips. Units that are drawn are clips; frames with all their clips where a protocol
scores clips of one frame together.

Letters: `n` units, `draws` samples of units.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hearsight.files.tables import Row, rounded
from hearsight.scoring.drawn_detections import (
    DrawnDetections,
    average_precisions,
    drawn_detections,
    highest_f1s,
    released_average_precisions,
)
from hearsight.scoring.results import Records

DRAWS = 1000
LEVEL = 0.95  # of intervals
BLOCK = 2_000_000  # counts that are held at once, 16 MB
LOW, HIGH = " low", " high"  # ends of the names of columns
DIFFERENCE, CHANCE, CORRECTED = "difference ", "p ", "Holm "  # beginnings of them
Counts = Float64[np.ndarray, "draws n"]  # how often each unit is in each draw
Values = Float64[np.ndarray, " draws"]
Arrays = Mapping[str, Float64[np.ndarray, "n members"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A row of a table and what it was computed from.

    units: names of what is drawn. records: one for each seed, in the same order in every row; the
    row is their mean. Empty where nothing is known, and the row has no intervals.
    """

    row: Row
    units: tuple[str, ...]
    records: tuple[Records, ...]


# Measures of weighted units


def mean(values: Float64[np.ndarray, "n members"], counts: Counts) -> Values:
    """The mean over the members of all drawn units that are not NaN; NaN if there is none."""
    sums, numbers = np.nansum(values, axis=1), np.sum(~np.isnan(values), axis=1)
    with np.errstate(invalid="ignore"):
        found: Values = (counts @ sums) / (counts @ numbers.astype(np.float64))
    return found


class Drawn:
    """The records of a row and how often each unit is drawn; detections are counted once."""

    def __init__(self, records: Arrays, counts: Counts) -> None:
        self.records = records
        self.counts = counts
        self.known: dict[float, DrawnDetections] = {}

    def mean(self, name: str) -> Values:
        """The mean of a record in every draw."""
        return mean(self.records[name], self.counts)

    def harmonic(self, first: str, second: str) -> Values:
        """The harmonic mean of the means of two records in every draw; 0 where both are 0."""
        a, b = self.mean(first), self.mean(second)
        means: Values = np.divide(2 * a * b, a + b, out=np.zeros_like(a), where=a + b > 0)
        return means

    def highest_level(self) -> Values:
        """The highest mean over `F levels`, of clips that have any.

        Where a unit has several frames these are sums, and `F frames` says of how many.
        """
        levels = self.records["F levels"]
        known = (~np.isnan(levels[:, 0])).astype(np.float64)
        if "F frames" in self.records:
            known = self.records["F frames"][:, 0]
        with np.errstate(invalid="ignore"):
            means = self.counts @ np.nan_to_num(levels) / (self.counts @ known)[:, None]
        found: Values = means.max(axis=1)
        return found

    def best_iou(self) -> Values:
        """The mean over drawn classes of the highest IoU over `marked steps`, of all their pixels.

        Pixels marked, those of them that are right, and those wanted, of each unit; its class.
        """
        classes = self.records["class"][:, 0]
        found = []
        for one in np.unique(classes):
            own = classes == one
            counts = self.counts[:, own]
            marked = counts @ self.records["marked steps"][own]
            right = counts @ self.records["right steps"][own]
            wanted = counts @ self.records["wanted"][own]
            ious = (right / np.maximum(marked + wanted - right, 1)).max(axis=1)
            found.append(np.where(counts.any(axis=1), ious, np.nan))
        means: Values = np.nanmean(found, axis=0)
        return means

    def detections(self, least: float = 0.5) -> DrawnDetections:
        """The detections of every draw that are right from a cIoU of `least` on."""
        if least not in self.known:
            self.known[least] = drawn_detections(self.records, self.counts, least=least)
        return self.known[least]


MEASURES: Mapping[str, Callable[[Drawn], Values]] = {
    "AP released": lambda drawn: released_average_precisions(drawn.detections()),
    "AP full": lambda drawn: average_precisions(drawn.detections()),
    "AP strict": lambda drawn: average_precisions(drawn.detections(), misplaced_is_missed=True),
    "max F1": lambda drawn: highest_f1s(drawn.detections()),
    "AP@0.3 released": lambda drawn: released_average_precisions(drawn.detections(0.3)),
    "AP@0.3 full": lambda drawn: average_precisions(drawn.detections(0.3)),
    "F_LOC": lambda drawn: drawn.harmonic("mean IoU", "dark"),
    "F_AUC": lambda drawn: drawn.harmonic("AUC", "dark AUC"),
    "F": Drawn.highest_level,
    "best IoU": Drawn.best_iou,
}
"""Columns that are no mean over clips, and how they are computed from records of other names."""


def measured_columns(row: Row, records: Records) -> list[str]:
    """The scores of a row that its records tell."""
    return [
        name
        for name, value in row.items()
        if isinstance(value, float) and records and (name in MEASURES or name in records)
    ]


def as_arrays(records: Records) -> dict[str, Float64[np.ndarray, "n members"]]:
    """Records as arrays, NaN for None; one member where a unit has no several."""
    return {
        name: np.array(values, np.float64).reshape(len(values), -1)
        for name, values in records.items()
    }


def measure(records: Arrays, columns: Sequence[str], counts: Counts) -> dict[str, Values]:
    """The columns of a row, by name, for every draw."""
    drawn = Drawn(records, counts)
    return {
        name: drawn.mean(name) if name in records else MEASURES[name](drawn) for name in columns
    }


# Draws


def draw_counts(units: int, draws: int, seed: int) -> Iterator[Counts]:
    """As many units as there are, drawn with replacement, in blocks of draws."""
    generator = np.random.default_rng(seed)
    for size in _blocks(units, draws):
        drawn = generator.integers(units, size=(size, units)) + units * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * units)
        yield counts.reshape(size, units).astype(np.float64)


def draw_swaps(units: int, draws: int, seed: int) -> Iterator[Counts]:
    """1 where two rows change places in a unit, else 0, in blocks of draws."""
    generator = np.random.default_rng(seed)
    for size in _blocks(units, draws):
        yield generator.integers(2, size=(size, units)).astype(np.float64)


def _blocks(units: int, draws: int) -> Iterator[int]:
    most = max(1, BLOCK // units)
    for begin in range(0, draws, most):
        yield min(most, draws - begin)


def resample(samples: Sequence[Sample], *, draws: int, seed: int) -> list[dict[str, Values]]:
    """The scores of rows of the same units in the same draws, by column; the mean over seeds."""
    columns = [measured_columns(one.row, one.records[0]) for one in samples]
    arrays = [[as_arrays(each) for each in one.records] for one in samples]
    parts: list[list[dict[str, Values]]] = [[] for _ in samples]
    for counts in draw_counts(len(samples[0].units), draws, seed):
        for part, names, seeds in zip(parts, columns, arrays, strict=True):
            found = [measure(each, names, counts) for each in seeds]
            part.append({name: np.mean([one[name] for one in found], axis=0) for name in names})
    return [
        {name: np.concatenate([block[name] for block in part]) for name in names}
        for part, names in zip(parts, columns, strict=True)
    ]


# Intervals and differences


def interval(values: Values) -> tuple[float, float] | tuple[None, None]:
    """The percentile interval: the middle `LEVEL` of the draws in which the score is defined.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def with_ends(values: Mapping[str, Values]) -> dict[str, float | None]:
    """The ends of the intervals, in columns `NAME low` and `NAME high`."""
    ends: dict[str, float | None] = {}
    for name, each in values.items():
        ends[name + LOW], ends[name + HIGH] = interval(each)
    return ends


def swapped_p(first: Sample, second: Sample, *, draws: int, seed: int) -> dict[str, float]:
    """Two-sided p of the hypothesis that two rows differ by chance, for every column of both.

    A paired permutation test: in each draw the two rows change places in about half of the units,
    and both are computed anew. p is the share of draws, the real one among them, whose difference
    is at least as large.

    Source: Noreen, Computer-intensive methods for testing hypotheses, 1989 (approximate
    randomisation).
    """
    names, seeds = _in_both(first, second), max(len(first.records), len(second.records))
    arrays = [[*map(as_arrays, one.records)] for one in (first, second)]
    # a blind row has no seeds, it is the same beside each
    ones, others = (each * seeds if len(each) == 1 else each for each in arrays)
    pairs = [
        {name: np.concatenate([a[name], b[name]]) for name in a.keys() & b.keys()}
        for a, b in zip(ones, others, strict=True)
    ]

    def difference(swaps: Counts) -> dict[str, Values]:
        ways = [np.hstack([1 - swaps, swaps]), np.hstack([swaps, 1 - swaps])]
        found = [[measure(pair, names, way) for way in ways] for pair in pairs]
        return {name: np.mean([a[name] - b[name] for a, b in found], axis=0) for name in names}

    units = len(first.units)
    real = {name: abs(one[0]) - 1e-9 for name, one in difference(np.zeros((1, units))).items()}
    reached = dict.fromkeys(names, 1)
    for swaps in draw_swaps(units, draws, seed):
        for name, values in difference(swaps).items():
            reached[name] += int(np.sum(np.abs(values) >= real[name]))
    return {name: count / (draws + 1) for name, count in reached.items()}


def _in_both(first: Sample, second: Sample) -> list[str]:
    if not (first.records and second.records and first.units == second.units):
        return []
    others = set(measured_columns(second.row, second.records[0]))
    return [name for name in measured_columns(first.row, first.records[0]) if name in others]


def add_intervals(samples: Sequence[Sample], *, draws: int = DRAWS, seed: int = 0) -> list[Row]:
    """The rows with the ends of each score's interval beside it, in `NAME low` and `NAME high`.

    Percentile intervals of 95 %. A row without records, or with too few units to draw from, has
    none.

    Args:
        samples: rows of one table.
        draws: how often the units are drawn.
        seed: of the draws, which are the same for all rows of the same units.
    """
    ends: dict[int, dict[str, float | None]] = {}
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(samples):
        if one.records and len(one.units) > 1:
            alike.setdefault(one.units, []).append(place)
    for places in alike.values():
        found = resample([samples[place] for place in places], draws=draws, seed=seed)
        ends |= {place: with_ends(each) for place, each in zip(places, found, strict=True)}
    return [_beside(one.row, ends.get(place, {})) for place, one in enumerate(samples)]


def _beside(row: Row, ends: Mapping[str, float | None]) -> Row:
    """The row with each column's ends behind it."""
    wide: dict[str, Any] = {}
    for name, value in row.items():
        wide[name] = value
        wide |= rounded({name + end: ends[name + end] for end in (LOW, HIGH) if name + end in ends})
    return wide


def compare_rows(first: Sample, second: Sample, *, draws: int = DRAWS, seed: int = 0) -> Row | None:
    """How much the second row lies above the first, for each score that both have.

    Returns:
        `name` (of the second), `against` (the first), `difference COLUMN`, the ends of its
        interval by a paired bootstrap, and `p COLUMN` of `swapped_p`; None where the rows have no
        records, or are of other units.
    """
    names = _in_both(first, second)
    if not names or len(first.units) < 2:
        return None
    a, b = resample([first, second], draws=draws, seed=seed)
    chances = swapped_p(first, second, draws=draws, seed=seed)
    row: dict[str, Any] = {"name": second.row["name"], "against": first.row["name"]}
    for name in names:
        title = DIFFERENCE + name
        row[title] = float(second.row[name]) - float(first.row[name])
        row |= with_ends({title: b[name] - a[name]})
        row[CHANCE + name] = chances[name]
    return rounded(row)


def holm(chances: Sequence[float]) -> list[float]:
    """The p of several hypotheses, each corrected for all of them, in their order.

    Whoever calls what is below 0.05 a difference errs anywhere among them in at most 5 % of cases,
    however they depend on each other.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = np.argsort(chances, kind="stable")
    steps = np.array(chances)[order] * np.arange(len(chances), 0, -1)
    corrected = np.empty(len(chances))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(one) for one in corrected]


def correct_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of `compare_rows` with `Holm COLUMN` behind each `p COLUMN`: over the rows that have it.

    Each score is corrected by itself.
    """
    wide: list[dict[str, Any]] = [{} for _ in rows]
    for row, new in zip(rows, wide, strict=True):
        for name, value in row.items():
            new[name] = value
            if name.startswith(CHANCE):
                new[CORRECTED + name.removeprefix(CHANCE)] = None  # its place
    for name in dict.fromkeys(name for new in wide for name in new if name.startswith(CORRECTED)):
        chance = CHANCE + name.removeprefix(CORRECTED)
        those = [new for new in wide if chance in new]
        for new, value in zip(those, holm([new[chance] for new in those]), strict=True):
            new |= rounded({name: value})
    return list(wide)
