"""Response maps and truths in, rows of a table out.

Beside every model stand rows that see neither frame nor sound (the blind rows) and the best score
that any map could reach under the protocol's threshold (the ceiling).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from hearsight.clips import Box
from hearsight.metrics import (
    Truth,
    area_under_curve,
    best_possible,
    elements,
    overlap,
    success_rate,
)
from hearsight.protocols import (
    HALF,
    PIXELS,
    SIDE,
    Protocol,
    adaptive_place,
    mark,
    normalise,
    rasterise,
    upsampling_matrix,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapScores:
    """One entry per clip."""

    ciou: Float64[np.ndarray, " n"]  # median threshold, 0 to 1
    adaptive: Float64[np.ndarray, " n"]  # adaptive threshold, 0 to 1
    pointing: Float64[np.ndarray, " n"]  # 1 where the peak lies in the truth, else 0


def score_maps(
    maps: Float32[np.ndarray, "n h w"], truths: Iterable[Truth], protocol: Protocol
) -> MapScores:
    """Score response maps (any size and range, finite) against as many truths.

    Raises:
        ValueError: a map is not finite, or there are fewer truths than maps.
    """
    if not np.isfinite(maps).all():
        raise ValueError("maps must be finite")
    rows = upsampling_matrix(maps.shape[1], protocol.upsampling)
    columns = upsampling_matrix(maps.shape[2], protocol.upsampling).T
    scores = np.zeros((3, len(maps)))
    # 200 kB each: buffers that are used again stay in the cache
    values = np.empty((SIDE, SIDE), np.float32)
    marks = np.empty((SIDE, SIDE), np.bool_)
    for score, one, truth in zip(scores.T, maps, truths, strict=True):
        np.matmul(rows, one @ columns, out=values)
        normalise(values, protocol)
        median, adaptive = elements(values.reshape(-1), (HALF, adaptive_place(truth)))
        score[0] = overlap(mark(values, median, protocol, out=marks), truth)
        score[1] = overlap(np.greater(values, adaptive, out=marks), truth)
        score[2] = truth.inside.flat[values.argmax()]
    return MapScores(ciou=scores[0], adaptive=scores[1], pointing=scores[2])


def score_one_map(
    one: Float32[np.ndarray, "side side"], truths: Iterable[Truth], protocol: Protocol
) -> MapScores:
    """Score the same map, of the canvas's size, against every truth; it is sorted once."""
    values = one.copy()
    normalise(values, protocol)
    ordered = np.sort(values, axis=None)
    marks = mark(values, ordered[HALF], protocol)
    peak = int(values.argmax())
    scores = [
        (
            overlap(marks, truth),
            overlap(values > ordered[adaptive_place(truth)], truth),
            float(truth.inside.flat[peak]),
        )
        for truth in truths
    ]
    ciou, adaptive, pointing = np.array(scores, np.float64).reshape(-1, 3).T
    return MapScores(ciou=ciou, adaptive=adaptive, pointing=pointing)


def centred_disc() -> Float32[np.ndarray, "side side"]:
    """A map that falls from the middle outwards, no two pixels alike: cut anywhere it is a disc."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    order = np.argsort(x * x + y * y, axis=None, kind="stable")
    disc = np.empty(PIXELS, np.float32)
    disc[order] = 1 - np.arange(PIXELS) / PIXELS
    return disc.reshape(SIDE, SIDE)


def mean_truth(truths: Iterable[Truth]) -> Float32[np.ndarray, "side side"]:
    """The mean weight of every pixel; 0 where there are no truths."""
    total = np.zeros((SIDE, SIDE))
    halves = np.zeros((SIDE, SIDE), np.uint8)  # 20 times as fast to add to
    count = 0
    for count, truth in enumerate(truths, 1):
        halves += truth.inside
        halves += truth.inside if truth.full is None else truth.full
        if count % 100 == 0:
            total += halves
            halves[:] = 0
    mean: Float32[np.ndarray, "side side"] = (total + halves) / (2 * max(1, count))
    return mean.astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of a table; all numbers are fractions from 0 to 1.

    success_rate and auc follow the protocol's own threshold. ceiling and ceiling_auc are the
    highest values of these two that any map reaches with as many marked pixels.
    """

    name: str
    protocol: str
    clips: int
    success_rate: float  # share of clips with cIoU >= 0.5: the field's "cIoU"
    auc: float
    adaptive_success_rate: float  # as many pixels marked as the truth has
    adaptive_auc: float
    pointing: float  # share of clips whose highest pixel lies in the truth
    ceiling: float
    ceiling_auc: float

    def row(self) -> dict[str, Any]:
        """The row as the table prints it, rounded to five digits."""
        values = [getattr(self, field.name) for field in fields(self)]
        rounded = [round(value, 5) if isinstance(value, float) else value for value in values]
        return dict(zip(COLUMNS, rounded, strict=True))


COLUMNS = (
    "name",
    "protocol",
    "clips",
    "cIoU@0.5",
    "AUC",
    "adaptive cIoU@0.5",
    "adaptive AUC",
    "pointing",
    "ceiling",
    "ceiling AUC",
)


def make_table(
    name: str, found: MapScores, boxes: Sequence[Sequence[Box]], protocol: Protocol
) -> tuple[Score, tuple[Score, ...], Score]:
    """The row of a model, the blind rows on the same truths, and the ceiling."""

    def truths() -> Iterator[Truth]:
        return (rasterise(one, protocol.truth) for one in boxes)

    share, inside, best, best_adaptive = np.zeros((4, len(boxes)))
    for i, truth in enumerate(truths()):
        share[i], inside[i] = truth.weight / (truth.weight + PIXELS - truth.pixels), truth.pixels
        best[i] = best_possible(truth, protocol.marked)
        best_adaptive[i] = best_possible(truth, PIXELS - 1 - adaptive_place(truth))
    limit = best_adaptive if protocol.adaptive else best
    ceiling = (success_rate(limit), area_under_curve(limit))

    def score(name: str, scores: MapScores) -> Score:
        own = scores.adaptive if protocol.adaptive else scores.ciou
        return Score(
            name=name,
            protocol=protocol.name,
            clips=len(boxes),
            success_rate=success_rate(own),
            auc=area_under_curve(own),
            adaptive_success_rate=success_rate(scores.adaptive),
            adaptive_auc=area_under_curve(scores.adaptive),
            pointing=float(scores.pointing.mean()),
            ceiling=ceiling[0],
            ceiling_auc=ceiling[1],
        )

    whole = MapScores(ciou=share, adaptive=share, pointing=inside / PIXELS)
    highest = MapScores(ciou=best, adaptive=best_adaptive, pointing=(inside > 0).astype(float))
    blind = (
        score("blind: centred disc", score_one_map(centred_disc(), truths(), protocol)),
        score("blind: whole image", whole),
        score("blind: mean truth", score_one_map(mean_truth(truths()), truths(), protocol)),
    )
    return score(name, found), blind, score("ceiling", highest)


def table_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of one or several evaluations as a Markdown table, in percent."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---" + "|---:" * (len(COLUMNS) - 2) + "|"]
    lines += ["| " + " | ".join(map(cell, row.values())) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: str | int | float) -> str:
    """How a table shows a number: fractions in percent."""
    return f"{100 * value:.2f}" if isinstance(value, float) else str(value)
