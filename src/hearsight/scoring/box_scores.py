"""Scores of response maps against boxes, and the rows that they are compared with.

These are the blind rows, which use neither frame nor sound, and the ceiling, the best score that
any map can reach under the protocol's threshold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from hearsight.clips.clip import Box
from hearsight.clips.truth import PIXELS, SIDE, TruthMask, rasterise
from hearsight.files.tables import rounded
from hearsight.scoring.metrics import (
    area_under_curve,
    best_possible,
    ciou,
    order_statistics,
    pointing,
    success_areas,
    success_rate,
    whole_image_ciou,
)
from hearsight.scoring.protocols import HALF, Protocol, adaptive_rank, mark, normalise, upsample
from hearsight.scoring.results import BLIND_DISC, BLIND_IMAGE, BLIND_MEAN, CEILING, Records

OBJECTS_HIGHEST = 2.5  # SLAVC divides object maps by it, as if it were their maximum
QUARTER = PIXELS // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MapScores:
    """Scores of maps, one entry per clip."""

    ciou: Float64[np.ndarray, " n"]  # median threshold, 0 to 1
    adaptive: Float64[np.ndarray, " n"]  # adaptive threshold, 0 to 1
    pointing: Float64[np.ndarray, " n"]  # 1 where the peak lies in the truth, else 0


def joined_scores(parts: Sequence[MapScores]) -> MapScores:
    """The scores of several batches as one."""
    return MapScores(
        ciou=np.concatenate([part.ciou for part in parts]),
        adaptive=np.concatenate([part.adaptive for part in parts]),
        pointing=np.concatenate([part.pointing for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMaps:
    """Object maps, one per clip, 0 and above, to be mixed into its response map.

    share: of the response map in the mixture, 0 to 1.
    """

    maps: Float32[np.ndarray, "n h w"]
    share: float


def mix_object_map(
    values: Float32[np.ndarray, "side side"],
    objects: Float32[np.ndarray, "h w"],
    share: float,
    protocol: Protocol,
) -> None:
    """Mix a response map with an object map, in place; the result is normalised.

    "own ranges" (EZ-VSL, FNAC, SSL-Alignment): minmax(share * map + (1 - share) * objects), both
    normalised as the protocol does. "cosines" (SLAVC): share * (cosine + 1) / 2 + (1 - share) *
    objects / 2.5, then brought to its own range only if the protocol says so.

    Args:
        values: the up-sampled response map, not normalised.
        objects: of an object network, 0 and above.
        share: of the response map, 0 to 1.
        protocol: its `mixing`, `objects` and normalisation are used.

    Source: EZ-VSL, Mo and Morgado, ECCV 2022 (object-guided localisation); SLAVC, Mo and Morgado,
    NeurIPS 2022; both as released.
    """
    seen = upsample(objects, protocol.objects)
    own_range = replace(protocol, scale="own range", reverse=False)
    if protocol.mixing == "cosines":
        normalise(values, replace(protocol, scale="cosine"))
        seen /= OBJECTS_HIGHEST
    else:
        normalise(values, protocol)
        normalise(seen, protocol)
    values *= np.float32(share)
    seen *= np.float32(1 - share)
    values += seen
    if protocol.scale == "own range":
        normalise(values, own_range)


def prepared_maps(
    maps: Float32[np.ndarray, "n h w"], protocol: Protocol, objects: ObjectMaps | None = None
) -> Iterator[Float32[np.ndarray, "side side"]]:
    """Each map up-sampled to the canvas and normalised, in a buffer that the next one overwrites.

    Raises:
        ValueError: a map is not finite.
    """
    if not np.isfinite(maps).all():
        raise ValueError("maps must be finite")
    # one buffer of 200 kB for all maps stays in the cache
    values = np.empty((SIDE, SIDE), np.float32)
    for i, one in enumerate(maps):
        upsample(one, protocol.upsampling, out=values)
        if objects is None:
            normalise(values, protocol)
        else:
            mix_object_map(values, objects.maps[i], objects.share, protocol)
        yield values


def score_maps(
    maps: Float32[np.ndarray, "n h w"],
    truths: Iterable[TruthMask],
    protocol: Protocol,
    objects: ObjectMaps | None = None,
) -> MapScores:
    """Score response maps (any size and range, finite) against as many truths.

    Raises:
        ValueError: a map is not finite, or there are fewer truths than maps.
    """
    scores = np.zeros((3, len(maps)))
    marks = np.empty((SIDE, SIDE), np.bool_)
    prepared = prepared_maps(maps, protocol, objects)
    for score, values, truth in zip(scores.T, prepared, truths, strict=True):
        median, adaptive = order_statistics(values.reshape(-1), (HALF, adaptive_rank(truth)))
        threshold = median if protocol.fixed is None else protocol.fixed
        score[0] = ciou(mark(values, threshold, protocol, out=marks), truth)
        score[1] = ciou(np.greater(values, adaptive, out=marks), truth)
        score[2] = pointing(values, truth)
    return MapScores(ciou=scores[0], adaptive=scores[1], pointing=scores[2])


def confidences(
    maps: Float32[np.ndarray, "n h w"], protocol: Protocol, objects: ObjectMaps | None = None
) -> Float32[np.ndarray, " n"]:
    """Confidence of each map that a source is seen: the mean of the highest quarter of its pixels.

    Taken before maps are normalised to their own range, after which they could not be compared.

    Source: SLAVC, Mo and Morgado, NeurIPS 2022, as released.
    """
    absolute = protocol
    if protocol.scale == "own range":
        absolute = replace(protocol, scale="cosine")
    found = [
        np.sort(values, axis=None)[-QUARTER:].mean()
        for values in prepared_maps(maps, absolute, objects)
    ]
    return np.array(found, np.float32)


def score_one_map(
    one: Float32[np.ndarray, "side side"], truths: Iterable[TruthMask], protocol: Protocol
) -> MapScores:
    """Score one map, of the canvas's size, against every truth; it is sorted once."""
    values = one.copy()
    normalise(values, protocol)
    ordered = np.sort(values, axis=None)
    marks = mark(values, ordered[HALF] if protocol.fixed is None else protocol.fixed, protocol)
    scores = [
        (
            ciou(marks, truth),
            ciou(values > ordered[adaptive_rank(truth)], truth),
            float(pointing(values, truth)),
        )
        for truth in truths
    ]
    own, adaptive, peak = np.array(scores, np.float64).reshape(-1, 3).T
    return MapScores(ciou=own, adaptive=adaptive, pointing=peak)


def centred_disc() -> Float32[np.ndarray, "side side"]:
    """A map that falls from the centre outwards without ties: any threshold marks a disc."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    order = np.argsort(x * x + y * y, axis=None, kind="stable")
    disc = np.empty(PIXELS, np.float32)
    disc[order] = 1 - np.arange(PIXELS) / PIXELS
    return disc.reshape(SIDE, SIDE)


def mean_truth(truths: Iterable[TruthMask]) -> Float32[np.ndarray, "side side"]:
    """The mean weight of every pixel; 0 if there are no truths."""
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

    success_rate and auc are at the protocol's own threshold. ceiling and ceiling_auc are the
    highest values of these two that any map can reach with as many marked pixels.
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

    def row(self, *, adaptive: bool) -> dict[str, Any]:
        """The row as the table prints it, rounded to five digits.

        The ceiling has a row of its own. Under an adaptive protocol the protocol's own threshold
        is the adaptive one, and its scores stand there once.
        """
        columns = {
            name: column for name, column in COLUMNS.items() if not adaptive or name not in OWN
        }
        return rounded({column: getattr(self, name) for name, column in columns.items()})


COLUMNS = {
    "name": "name",
    "protocol": "protocol",
    "clips": "clips",
    "success_rate": "cIoU@0.5",
    "auc": "AUC",
    "adaptive_success_rate": "adaptive cIoU@0.5",
    "adaptive_auc": "adaptive AUC",
    "pointing": "pointing",
}
OWN = ("success_rate", "auc")  # at the protocol's own threshold


def box_records(scores: MapScores, *, adaptive: bool) -> Records:
    """What the columns of `Score.row` are the means of, clip by clip."""
    found = {
        "cIoU@0.5": scores.ciou >= 0.5,
        "AUC": success_areas(scores.ciou),
        "adaptive cIoU@0.5": scores.adaptive >= 0.5,
        "adaptive AUC": success_areas(scores.adaptive),
        "pointing": scores.pointing,
    }
    own = [COLUMNS[name] for name in OWN] if adaptive else []
    return {name: values.tolist() for name, values in found.items() if name not in own}


def blind_scores(boxes: Sequence[Sequence[Box]], protocol: Protocol) -> dict[str, MapScores]:
    """The scores of the blind rows and of the ceiling on the truths of these boxes.

    Truths are rasterised anew for each row: to hold those of VGG-SS takes 240 MiB and saves no
    time.

    Returns:
        By name, the ceiling last.
    """

    def truths() -> Iterator[TruthMask]:
        return (rasterise(one, protocol.truth) for one in boxes)

    found = [
        (
            whole_image_ciou(truth),
            truth.pixels / PIXELS,
            best_possible(truth, best_marking(truth, protocol)),
            best_possible(truth, PIXELS - 1 - adaptive_rank(truth)),
        )
        for truth in truths()
    ]
    share, inside, best, best_adaptive = np.array(found, np.float64).reshape(-1, 4).T
    disc, mean = centred_disc(), mean_truth(truths())
    if protocol.scale == "cosine":  # of which only those above 0 are marked
        disc, mean = 2 * disc - 1, 2 * mean - 1
    return {
        BLIND_DISC: score_one_map(disc, truths(), protocol),
        BLIND_IMAGE: MapScores(ciou=share, adaptive=share, pointing=inside),
        BLIND_MEAN: score_one_map(mean, truths(), protocol),
        CEILING: MapScores(
            ciou=best, adaptive=best_adaptive, pointing=(inside > 0).astype(np.float64)
        ),
    }


def best_marking(truth: TruthMask, protocol: Protocol) -> int:
    """How many pixels the protocol's threshold marks of the best possible map without ties."""
    if protocol.fixed is None:
        return protocol.marked
    if protocol.scale == "cosine":
        return truth.pixels
    return min(max(truth.pixels, 1), PIXELS - 1)  # always the highest pixel, never the lowest


def make_table(
    name: str, found: MapScores, blind: Mapping[str, MapScores], protocol: Protocol
) -> tuple[Score, tuple[Score, ...], Score]:
    """The row of a model, the blind rows on the same truths, and the ceiling.

    blind: what `blind_scores` gives, and other rows that do not hear.
    """
    highest = blind[CEILING]
    limit = highest.adaptive if protocol.adaptive else highest.ciou
    ceiling = (success_rate(limit), area_under_curve(limit))
    rows = tuple(
        make_score(title, scores, protocol, ceiling)
        for title, scores in blind.items()
        if title != CEILING
    )
    return (
        make_score(name, found, protocol, ceiling),
        rows,
        make_score(CEILING, highest, protocol, ceiling),
    )


def make_score(
    name: str, scores: MapScores, protocol: Protocol, ceiling: tuple[float, float]
) -> Score:
    """One row from the scores of all clips. ceiling: of success rate and AUC."""
    own = scores.adaptive if protocol.adaptive else scores.ciou
    return Score(
        name=name,
        protocol=protocol.name,
        clips=len(own),
        success_rate=success_rate(own),
        auc=area_under_curve(own),
        adaptive_success_rate=success_rate(scores.adaptive),
        adaptive_auc=area_under_curve(scores.adaptive),
        pointing=float(scores.pointing.mean()),
        ceiling=ceiling[0],
        ceiling_auc=ceiling[1],
    )
