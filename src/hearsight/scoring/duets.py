"""Duets: two sources that sound at once, scored source by source (DSOL, AVGN, T-VSL, NoPrior).

A duet is two clips with the sounds of two sources; its mixture is their sum. Both show one frame,
or each its own (VGGSound-Duet): then maps and truths of the two frames stand side by side.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int16

from hearsight.clips.clip import Clips
from hearsight.clips.read_ahead import in_batches
from hearsight.clips.truth import TruthMask, joined, rasterise
from hearsight.errors import HearsightError
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name
from hearsight.media.samples import mix
from hearsight.model.passes import whole_passes
from hearsight.scoring.box_scores import centred_disc
from hearsight.scoring.detection import Detections, average_precision, released_average_precision
from hearsight.scoring.inference import (
    Inference,
    PreparedClip,
    evaluation_mode,
    maps_of,
    prepare_clips,
    waveforms_of,
)
from hearsight.scoring.interactive import group_key
from hearsight.scoring.metrics import THRESHOLDS, area_under_curve, ciou, success_areas
from hearsight.scoring.protocols import HALF, Protocol, load_protocol, mark, normalise, upsample
from hearsight.scoring.results import BLIND_DISC, FRAMES, EvaluatedClips, Records, Results

DUET_SHARE = 0.2  # of a map's highest value: the threshold for two sources
DARK = 0.2  # the highest value of a pixel that counts as silent
MAP_LEVEL = 0.3  # threshold on a map normalised to its own range
MIXTURE, APART, FOREIGN = "mixture", "apart", "foreign"
Views = Sequence[Float32[np.ndarray, "h w"]]  # one response map, on each frame of a duet
MIXED_ALREADY = (
    "The clips of each duet have one sound, in which both sources are heard: there is no row of "
    "each sound apart."
)
SILENCE = np.zeros(1, np.int16)  # where no foreign sound is known; its map is not scored


def pixel_average_precision(
    right: Bool[np.ndarray, "h w"], values: Float32[np.ndarray, "h w"]
) -> float:
    """Average precision of a map's pixels; 0 if the truth (`right`) is empty.

    Pixels of equal value enter together; precisions are not raised to later ones.
    """
    inside = values[right]
    if not len(inside):
        return 0.0
    # recall grows only at values that right pixels have
    levels, counts = np.unique(inside, return_counts=True)
    hits = counts[::-1].cumsum()[::-1]
    entered = values.size - np.searchsorted(np.sort(values, axis=None), levels)
    return float(np.sum(counts / len(inside) * hits / entered))


def swapped_average_precision(marks: Bool[np.ndarray, "h w"], truth: TruthMask) -> float:
    """PIAP as released: with the marking as truth, and the truth's weights as values.

    Source: AVGN, Mo and Tian, CVPR 2023, as released. The metric that the name stands for is
    `pixel_average_precision` of the truth and the map.
    """
    total = int(np.count_nonzero(marks))
    area, before = 0.0, 0
    full = truth.inside if truth.full is None else truth.full
    for reached in (full, truth.inside, np.ones_like(truth.inside)):  # weights 1, 1/2, 0
        entered, hits = np.count_nonzero(reached), int(np.count_nonzero(marks & reached))
        if hits > before:
            area += (hits - before) / total * hits / entered
        before = hits
    return area


def above_share_of_peak(values: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The pixels above `DUET_SHARE` of the map's highest value.

    Source: DSOL, Hu et al., NeurIPS 2020, as released, where it is 0.5 for one source.
    """
    marks: Bool[np.ndarray, "h w"] = values > np.float32(DUET_SHARE) * values.max()
    return marks


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceScores:
    """Scores of a map against one of the sources of a frame.

    ciou_of_peak: cIoU at 0.2 of the map's highest value. ciou: of cosines of 0 and above.
    iou_of_range: cIoU at 0.3 of the map's own range. piap, piap_released: average precision over
    pixels as named and as released. confidence: mean of the highest quarter of (cosine + 1) / 2.
    matched, matched_cap: of the map, on the truth that it takes (`match_sources`). union,
    union_cap: of both maps of the duet together, on the truths of both sources as one.
    """

    clip: str
    label: str | None
    ciou_of_peak: float
    ciou: float
    iou_of_range: float
    piap: float
    piap_released: float
    confidence: float
    matched: float
    matched_cap: float
    union: float
    union_cap: float


def marking_average_precision(marks: Bool[np.ndarray, "h w"], truth: TruthMask) -> float:
    """Average precision of a marking's pixels: of two levels, marked and not marked.

    A marking of nothing has the share of the truth; 0 if the truth is empty.

    Source: "CAP" of NoPrior, Kim et al., CVPR 2024, and of GAR-SSL, Park and Kim, CVPR 2026, as
    released; both give the marking, not the map, to `average_precision_score`.
    """
    if not truth.pixels:
        return 0.0
    marked, share = int(np.count_nonzero(marks)), truth.pixels / truth.inside.size
    within = int(np.count_nonzero(marks & truth.inside))
    found = within / truth.pixels
    return (found * within / marked if marked else 0.0) + (1 - found) * share


def above_median(one: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "224 224"]:
    """The pixels of a map above their median, up-sampled by bicubic interpolation.

    Source: NoPrior, Kim et al., CVPR 2024, as released, which is Hear the Flow's rule.
    """
    flow = load_protocol("htf")
    values = upsample(one, flow.upsampling)
    normalise(values, flow)
    ordered = np.sort(values, axis=None)
    return mark(values, float(ordered[HALF]), flow)


def match_sources(
    markings: Sequence[Sequence[Bool[np.ndarray, "h w"]]], truths: Sequence[TruthMask]
) -> list[tuple[float, float]]:
    """The cIoU and average precision of each map on the truth that it takes.

    Args:
        markings: of each map, where each truth lies.
        truths: of each source. Maps take in turn the one of highest cIoU; one that was taken
            counts as empty.

    Source: NoPrior, Kim et al., CVPR 2024, as released. One map for all sources scores as well as
    one for each.
    """
    left, found = list(truths), []
    for each in markings:
        scores = [ciou(marks, truth) for marks, truth in zip(each, left, strict=True)]
        best = int(np.argmax(scores))
        found.append((scores[best], marking_average_precision(each[best], left[best])))
        left[best] = TruthMask.of(np.zeros_like(left[best].inside))
    return found


def score_duet(duet: Sequence[PreparedClip], maps: Sequence[Views]) -> list[SourceScores]:
    """Score the map of each source of a duet.

    maps: of each source, on the frame of the duet or on each of its two.
    """
    truths = [rasterise(item.boxes, "pixels") for item in duet]
    marked = [[above_median(view) for view in views] for views in maps]
    shown = [views if len(views) > 1 else views * len(duet) for views in marked]
    matched = match_sources(shown, truths)
    total = [np.add(*views) for views in zip(*maps, strict=True)]
    both = np.concatenate([above_median(view) for view in total], axis=1)
    whole = joined(truths) if len(maps[0]) > 1 else _union(truths)
    union = ciou(both, whole), marking_average_precision(both, whole)
    return [
        score_source(item, views, _placed(truths, place, len(views)), matched[place], union)
        for place, (item, views) in enumerate(zip(duet, maps, strict=True))
    ]


def _union(truths: Sequence[TruthMask]) -> TruthMask:
    """The pixels of any of some truths of one frame."""
    return TruthMask.of(np.logical_or.reduce([truth.inside for truth in truths]))


def _placed(truths: Sequence[TruthMask], place: int, views: int) -> TruthMask:
    """The truth of one source on all frames of its duet; it is not in the other's frame."""
    if views == 1:
        return truths[place]
    nothing = TruthMask.of(np.zeros_like(truths[place].inside))
    return joined([one if at == place else nothing for at, one in enumerate(truths)])


def score_source(
    item: PreparedClip,
    views: Views,
    truth: TruthMask,
    matched: tuple[float, float],
    union: tuple[float, float],
) -> SourceScores:
    """Score one response map against one source.

    views, truth: the map and the source's pixels on the frame, or on both side by side.

    Source: DSOL, Hu et al., NeurIPS 2020 (ciou_of_peak, with OpenCV's up-sampling); AVGN, Mo and
    Tian, CVPR 2023 (ciou, piap_released and confidence are as in SLAVC); T-VSL, Mahmud et al., CVPR
    2024 (iou_of_range: 0.3 is the threshold on the map, and their "CIoU@0.3" the mean IoU); all as
    released.
    Differs from the released code: T-VSL turns its maps over first, as its network is lowest where
    it sees the source.
    """
    slavc, flow = load_protocol("slavc"), load_protocol("htf")
    cosines = np.concatenate([upsample(one, "linear") for one in views], axis=1)
    own = np.concatenate([upsample(one, slavc.upsampling) for one in views], axis=1)
    normalise(own, slavc)
    marks = mark(own, 0.5, slavc)
    ranged = np.concatenate([upsample(one, flow.upsampling) for one in views], axis=1)
    normalise(ranged, flow)
    quarter = np.sort(own, axis=None)[-own.size // 4 :]
    return SourceScores(
        clip=item.id,
        label=item.label,
        ciou_of_peak=ciou(above_share_of_peak(cosines), truth),
        ciou=ciou(marks, truth),
        iou_of_range=ciou(ranged >= np.float32(MAP_LEVEL), truth),
        piap=pixel_average_precision(truth.inside, own),
        piap_released=swapped_average_precision(marks, truth),
        confidence=float(quarter.mean()),
        matched=matched[0],
        matched_cap=matched[1],
        union=union[0],
        union_cap=union[1],
    )


def silent_area(*views: Float32[np.ndarray, "h w"]) -> float:
    """NSA, the share of pixels at or below 0.2 in the map of a sound without a source in the frame.

    Source: DSOL, Hu et al., NeurIPS 2020, as released.
    Differs from the released code: there the maps are of silent classes; here, without classes,
    the map is of a sound that is not in the duet.
    """
    return float(np.mean([upsample(one, "linear") <= DARK for one in views]))


def duet_row(
    name: str,
    protocol: str,
    duets: Sequence[Sequence[SourceScores]],
    dark: Sequence[float],
) -> dict[str, Any]:
    """One row of the table, from the sources of every duet and the `silent_area` of those with one.

    "CIoU" and "AUC" are of duets, by the mean `ciou_of_peak` of their sources (from 0.3 or 0.5 of
    `THRESHOLDS` on); "precision" and AP are of sources, by `ciou` (above 0.3 or 0.5; at least
    0.3); "matched" are of sources, "union" of duets.
    """
    sources = [source for duet in duets for source in duet]
    means = np.array([np.mean([source.ciou_of_peak for source in duet]) for duet in duets])
    scores = np.array([source.ciou for source in sources])
    matched = np.array([source.matched for source in sources])
    union = np.array([duet[0].union for duet in duets])
    found = Detections(
        sounding=np.ones(len(sources), np.bool_),
        ciou=scores,
        confidence=np.array([source.confidence for source in sources]),
    )
    return rounded(
        {
            "name": name,
            "protocol": protocol,
            "duets": len(duets),
            "CIoU@0.3": float(np.mean(means >= THRESHOLDS[6])),
            "CIoU@0.5": float(np.mean(means >= THRESHOLDS[10])),
            "AUC": area_under_curve(means),
            "NSA": float(np.mean(dark)) if dark else None,
            "precision>0.3": float(np.mean(scores > 0.3)),
            "precision>0.5": float(np.mean(scores > 0.5)),
            "AP@0.3 released": released_average_precision(found, least=0.3),
            "AP@0.3 full": average_precision(found, least=0.3),
            "PIAP released": float(np.mean([source.piap_released for source in sources])),
            "PIAP": float(np.mean([source.piap for source in sources])),
            "IoU at 0.3": float(np.mean([source.iou_of_range for source in sources])),
            "matched CIoU@0.3": float(np.mean(matched >= 0.3)),
            "matched AUC": area_under_curve(matched),
            "matched CAP": float(np.mean([source.matched_cap for source in sources])),
            "union CIoU@0.3": float(np.mean(union >= 0.3)),
            "union AUC": area_under_curve(union),
            "union CAP": float(np.mean([duet[0].union_cap for duet in duets])),
        }
    )


def duet_records(duets: Sequence[Sequence[SourceScores]], dark: Sequence[float | None]) -> Records:
    """What the columns of `duet_row` are computed from, duet by duet.

    dark: `silent_area` of each duet, None for those without one.
    """

    def each(name: str) -> list[list[float]]:
        return [[getattr(source, name) for source in duet] for duet in duets]

    means = np.array([np.mean([source.ciou_of_peak for source in duet]) for duet in duets])
    scores, matched = each("ciou"), each("matched")
    union = np.array([duet[0].union for duet in duets])
    return {
        "CIoU@0.3": (means >= THRESHOLDS[6]).tolist(),
        "CIoU@0.5": (means >= THRESHOLDS[10]).tolist(),
        "AUC": success_areas(means).tolist(),
        "NSA": list(dark),
        "precision>0.3": [[one > 0.3 for one in duet] for duet in scores],
        "precision>0.5": [[one > 0.5 for one in duet] for duet in scores],
        "sounding": [[True for _ in duet] for duet in duets],
        "ciou": scores,
        "confidence": each("confidence"),
        "PIAP released": each("piap_released"),
        "PIAP": each("piap"),
        "IoU at 0.3": each("iou_of_range"),
        "matched CIoU@0.3": [[one >= 0.3 for one in duet] for duet in matched],
        "matched AUC": [success_areas(np.array(duet)).tolist() for duet in matched],
        "matched CAP": each("matched_cap"),
        "union CIoU@0.3": (union >= 0.3).tolist(),
        "union AUC": success_areas(union).tolist(),
        "union CAP": [duet[0].union_cap for duet in duets],
    }


def duets_in(
    batches: Iterator[list[PreparedClip]], alone: list[str]
) -> Iterator[list[PreparedClip]]:
    """Pairs of clips by their ids; ids of clips without a partner are added to `alone`."""
    waiting: dict[str, PreparedClip] = {}
    for items in batches:
        for item in items:
            key = group_key(item.id)
            partner = waiting.pop(key, None) if key else None
            if partner is not None:
                yield [partner, item]
            else:
                waiting[key or item.id] = item
    alone += [item.id for item in waiting.values()]


class _ForeignSounds:
    """For each duet the sound that was read last of a class that is not in the duet."""

    def __init__(self) -> None:
        self.known: dict[str | None, Int16[np.ndarray, " samples"]] = {}

    def __call__(self, duet: Sequence[PreparedClip]) -> Int16[np.ndarray, " samples"] | None:
        labels = {item.label for item in duet} - {None}
        others = [sound for label, sound in self.known.items() if label not in labels]
        for item in duet:  # the newest stands last
            self.known.pop(item.label, None)
            self.known[item.label] = item.sound
        return others[-1] if others else None


def evaluate_duets(model: Inference, clips: Clips, protocol: Protocol) -> Results:
    """Score a model on pairs of clips that sound together, ids `STEM_0`, `STEM_1`.

    The first row scores the map of the mixture against both sources, as a model without source
    separation must; the second the map of each source's own sound, as after perfect separation. It
    is left out where the clips of every pair have one sound, which is a mixture already.

    Raises:
        HearsightError: no two clips are a pair by their ids, or as `evaluate`.
    """
    mixed: list[list[SourceScores]] = []
    apart: list[list[SourceScores]] = []
    disc: list[list[SourceScores]] = []
    dark: list[float | None] = []
    alone: list[str] = []
    evaluated, foreign, half = EvaluatedClips(), _ForeignSounds(), 2 * centred_disc() - 1
    heard_apart = 0
    with evaluation_mode(model.encoders):
        pairs = duets_in(prepare_clips(model, clips, protocol, evaluated), alone)
        for duets in in_batches(pairs, whole_passes(model.batch_size)):
            for duet, maps in zip(duets, _maps(model, duets, foreign), strict=True):
                own = [maps[f"{APART} {i}"] for i in range(len(duet))]
                mixed.append(score_duet(duet, [maps[MIXTURE]] * len(duet)))
                apart.append(score_duet(duet, own))
                disc.append(score_duet(duet, [[half] * len(own[0])] * len(duet)))
                dark.append(silent_area(*maps[FOREIGN]) if FOREIGN in maps else None)
                heard_apart += not _is_mixed(duet)
    if not mixed:
        raise HearsightError(
            f"No two clips are a duet: '{alone[0]}' and the others need ids like STEM_0 and "
            "STEM_1, as those of `pairs:toys` are."
        )
    blind_dark = [None if one is None else silent_area(half) for one in dark]
    every = {f"{model.name}, mixed sound": (mixed, dark)}
    if heard_apart:
        every[f"{model.name}, each sound apart"] = (apart, dark)
    every[BLIND_DISC] = (disc, blind_dark)
    notes = count_and_name(
        alone, "clip stands alone and is in no duet", "clips stand alone and are in no duet"
    )
    if not heard_apart:
        notes.append(MIXED_ALREADY)
    return evaluated.results(
        protocol,
        [
            duet_row(name, protocol.name, duets, [one for one in silent if one is not None])
            for name, (duets, silent) in every.items()
        ],
        _lines(mixed, apart if heard_apart else [], protocol),
        notes=notes,
        drawn=FRAMES,
        units=[group_key(duet[0].clip) for duet in mixed],
        records={name: duet_records(*each) for name, each in every.items()},
    )


def _is_mixed(duet: Sequence[PreparedClip]) -> bool:
    """Whether the clips of a duet have one sound, in which both sources are heard."""
    return all(np.array_equal(item.sound, duet[0].sound) for item in duet)


def _maps(
    model: Inference, duets: Sequence[Sequence[PreparedClip]], foreign: _ForeignSounds
) -> Iterator[dict[str, Views]]:
    """For each duet the response maps to the mixture, to each sound, and to a foreign one.

    Each on the frame of the duet, or on each of its two. The last is missing where no foreign sound
    is known yet.
    """
    sounds = [
        {
            MIXTURE: duet[0].sound if _is_mixed(duet) else mix([item.sound for item in duet]),
            **{f"{APART} {i}": item.sound for i, item in enumerate(duet)},
            FOREIGN: foreign(duet),
        }
        for duet in duets
    ]
    front = model.recipe.spectrogram
    waveforms = [
        waveforms_of(front, [SILENCE if (sound := one[kind]) is None else sound for one in sounds])
        for kind in sounds[0]
    ]
    firsts, seconds = ([duet[i] for duet in duets] for i in range(2))
    views = [maps_of(model, firsts, waveforms)]
    if not all(torch.equal(one.frame, two.frame) for one, two in duets):
        views.append(maps_of(model, seconds, waveforms))
    for i, (one, duet) in enumerate(zip(sounds, duets, strict=True)):
        shown = views if not torch.equal(duet[0].frame, duet[1].frame) else views[:1]
        yield {
            kind: [maps[k, i] for maps in shown]
            for k, kind in enumerate(one)
            if one[kind] is not None
        }


def _lines(
    mixed: Sequence[Sequence[SourceScores]],
    apart: Sequence[Sequence[SourceScores]],
    protocol: Protocol,
) -> Iterator[Mapping[str, Any]]:
    """One line for each source with the mixture, and one with its own sound."""
    for hearing, duets in (("mixed", mixed), ("apart", apart)):
        for duet in duets:
            for source in duet:
                yield {
                    "id": source.clip,
                    "label": source.label,
                    "hearing": hearing,
                    "ciou_above_share": source.ciou_of_peak,
                    "ciou": source.ciou,
                    "piap": source.piap,
                    "confidence": source.confidence,
                    "protocol": protocol.name,
                }
