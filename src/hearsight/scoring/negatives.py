"""Negative sounds: silence, noise and sounds of other clips, for which a map should mark nothing.

A universal threshold, one for all clips, is chosen from the maxima of a model's maps on them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int16
from torch import Tensor

from hearsight.clips.clip import Box, Clips, UnreadableClip
from hearsight.clips.truth import PIXELS, TruthMask, rasterise
from hearsight.errors import HearsightError
from hearsight.files.tables import Row, rounded
from hearsight.files.text import counted
from hearsight.scoring.box_scores import centred_disc
from hearsight.scoring.inference import (
    Inference,
    PreparedClip,
    evaluation_mode,
    maps_of,
    prepare_clips,
    waveforms_of,
)
from hearsight.scoring.interactive import group_key, groups_of
from hearsight.scoring.metrics import (
    THRESHOLDS,
    area_over_thresholds,
    area_under_curve,
    areas_of_each,
    ciou,
    success_areas,
)
from hearsight.scoring.protocols import Protocol, upsample
from hearsight.scoring.results import (
    BLIND,
    BLIND_DISC,
    CEILING,
    EvaluatedClips,
    Records,
    Results,
)

Kind = Literal["silence", "noise", "other clip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TRIES = 100  # clips drawn in search of one of another class


def universal_thresholds(maxima: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Universal thresholds by name, from the maxima of the maps of negative sounds.

    "max" is the highest maximum, "90 %" the highest once the highest tenth is left out, "Q3" the
    third quartile.

    Source: Juanola et al., A critical assessment of visual sound source localization models
    including negative audio, ICASSP 2025.
    Differs from the released code: it holds constants, one set per method. There "90 %" is 1.1
    times "max" to four digits, and "max" lies below "Q3" for three methods of six, so "max" cannot
    be the highest value of all; what it is could not be found.
    """
    ordered = np.sort(maxima)
    kept = max(1, int(np.floor(0.9 * len(ordered))))
    return {
        "max": float(ordered[-1]),
        "90 %": float(ordered[kept - 1]),
        "Q3": float(np.quantile(ordered, 0.75)),
    }


def marked_share(values: Float32[np.ndarray, "h w"], threshold: float) -> float:
    """pIA, the share of a map's pixels above a threshold: 0 is best for a negative sound."""
    return float(np.mean(values > threshold))


def area_under_shares(shares: Float64[np.ndarray, " n"]) -> float:
    """Area under the share of clips whose pIA is at most a limit, as the limit goes from 0 to 1.

    At 21 points, by trapezoids; 1 where no map marks a pixel.

    Source: Juanola et al., ICASSP 2025, as released.
    """
    return area_over_thresholds(np.array([np.mean(shares <= limit) for limit in THRESHOLDS]))


def harmonic_mean(first: float, second: float) -> float:
    """The harmonic mean of two numbers; 0 where both are 0."""
    return 2 * first * second / (first + second) if first + second else 0.0


def negative_row(
    name: str,
    protocol: str,
    threshold: float | None,
    ciou: Float64[np.ndarray, " n"],
    shares: Mapping[str, Float64[np.ndarray, " _"]],
) -> dict[str, Any]:
    """One row of the table.

    Args:
        name: of the row.
        protocol: its name.
        threshold: on the map, a cosine; None for blind rows and the ceiling.
        ciou: of the clips with their own sounds, 0 to 1.
        shares: pIA with negative sounds, by kind.

    "F_LOC" joins the mean cIoU and the mean over kinds of 1 - pIA; "F_AUC" the area under the
    success rate and the mean over kinds of `area_under_shares`.
    """
    dark = float(np.mean([1 - one.mean() for one in shares.values()]))
    dark_area = float(np.mean([area_under_shares(one) for one in shares.values()]))
    area = area_under_curve(ciou)
    return rounded(
        {
            "name": name,
            "protocol": protocol,
            "clips": len(ciou),
            "threshold": None if threshold is None else f"{threshold:.4f}",
            "mean IoU": float(ciou.mean()),
            "AUC": area,
            **{f"pIA {kind}": float(one.mean()) for kind, one in shares.items()},
            "dark AUC": dark_area,
            "F_LOC": harmonic_mean(float(ciou.mean()), dark),
            "F_AUC": harmonic_mean(area, dark_area),
        }
    )


def generator_of(seed: int, id: str) -> np.random.Generator:
    """The random generator of one clip, the same whichever clips are scored before it."""
    digest = blake2b(id.encode(errors="surrogatepass"), digest_size=16).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, "big")))


def negative_records(
    ciou: Float64[np.ndarray, " n"], shares: Mapping[str, Float64[np.ndarray, "draws n"]]
) -> Records:
    """What the columns of `negative_row` are computed from, clip by clip; the threshold is fixed.

    Args:
        ciou: of the clips with their own sounds.
        shares: pIA with negative sounds, by kind.
    """

    def area(one: Float64[np.ndarray, "draws n"]) -> Float64[np.ndarray, " n"]:
        each = areas_of_each(one.reshape(-1, 1) <= THRESHOLDS)
        means: Float64[np.ndarray, " n"] = each.reshape(one.shape).mean(0)
        return means

    return {
        "mean IoU": ciou.tolist(),
        "AUC": success_areas(ciou).tolist(),
        **{f"pIA {kind}": one.mean(0).tolist() for kind, one in shares.items()},
        "dark AUC": np.mean([area(one) for one in shares.values()], axis=0).tolist(),
        "dark": np.mean([1 - one.mean(0) for one in shares.values()], axis=0).tolist(),
    }


class NegativeSounds:
    """Negative sounds of clips, drawn for each clip from a seed and its id."""

    def __init__(self, model: Inference, clips: Clips, draws: int, seed: int) -> None:
        self.front = model.recipe.spectrogram
        self.clips = clips
        self.draws = draws
        self.places = {id: place for place, id in enumerate(clips.ids)}
        self.by_id = [self.places[id] for id in sorted(clips.ids)]  # whatever their order is
        self.groups = groups_of(clips.ids)
        self.seed = seed

    def __call__(self, items: Sequence[PreparedClip]) -> list[Float[Tensor, "b samples"]]:
        """Waveforms of the clips' own sounds, silence, then noise and another clip in turn."""
        own = waveforms_of(self.front, [item.sound for item in items])
        generators = [generator_of(self.seed, item.id) for item in items]
        sounds = [own, torch.zeros_like(own)]
        for _ in range(self.draws):
            noise = [one.standard_normal(own.shape[1], np.float32) for one in generators]
            others = [self.other(*each) for each in zip(items, generators, strict=True)]
            sounds += [torch.from_numpy(np.stack(noise)), waveforms_of(self.front, others)]
        return sounds

    def other(
        self, item: PreparedClip, generator: np.random.Generator
    ) -> Int16[np.ndarray, " samples"]:
        """The sound of another clip, of none of the classes known to be in the frame."""
        alike = self.groups.get(group_key(item.id), [self.places[item.id]])
        visible = {item.label}
        for place in alike if len(alike) > 1 else ():
            with suppress(UnreadableClip):
                visible.add(self.clips[int(place)].label)
        for number in generator.integers(len(self.clips), size=TRIES):
            place = self.by_id[number]
            with suppress(UnreadableClip):
                if place in alike:
                    continue
                if item.label is None:
                    sound = self.clips.sound(place)
                else:
                    clip = self.clips[place]
                    sound = clip.sound[:0] if clip.label in visible else clip.sound
                if len(sound):
                    return sound
        raise HearsightError(
            f"No clip of another class than that of '{item.id}' was found: negative sounds need "
            "clips of two classes."
        )


def shares_above(
    maps: Float32[np.ndarray, "n h w"], thresholds: Sequence[float], protocol: Protocol
) -> Float64[np.ndarray, "thresholds n"]:
    """The `marked_share` of each up-sampled map above each threshold."""
    found = np.zeros((len(thresholds), len(maps)))
    for i, one in enumerate(maps):
        values = upsample(one, protocol.upsampling)
        found[:, i] = [marked_share(values, threshold) for threshold in thresholds]
    return found


def ciou_above(
    maps: Float32[np.ndarray, "n h w"],
    truths: Iterator[TruthMask],
    thresholds: Sequence[float],
    protocol: Protocol,
) -> Float64[np.ndarray, "thresholds n"]:
    """The cIoU of each up-sampled map at each threshold."""
    found = np.zeros((len(thresholds), len(maps)))
    for i, (one, truth) in enumerate(zip(maps, truths, strict=True)):
        values = upsample(one, protocol.upsampling)
        found[:, i] = [ciou(values > threshold, truth) for threshold in thresholds]
    return found


def evaluate_negatives(
    model: Inference, clips: Clips, protocol: Protocol, *, draws: int = 3, seed: int = 0
) -> Results:
    """Score a model on annotated clips with their own and with negative sounds.

    Args:
        model: its object network is not used.
        clips: annotated with boxes.
        protocol: its up-sampling and truths are used; maps stay cosines.
        draws: how often noise and another clip are drawn for each clip.
        seed: of the draws, which are made for each clip from the seed and its id.

    Raises:
        HearsightError: no other clip of another class, or as `evaluate`.

    Source: Juanola et al., ICASSP 2025, as released: noise of N(0, 1), maxima of the maps before
    they are stretched, pixels above the threshold.
    Differs from the released code: silence and noise go through the whole front end; there the
    logarithm of their spectrograms is left out.
    """
    evaluated, sounds = EvaluatedClips(), NegativeSounds(model, clips, draws, seed)
    with evaluation_mode(model.encoders):
        parts = [
            maps_of(model, items, sounds(items))
            for items in prepare_clips(model, clips, protocol, evaluated)
        ]
    maps = np.concatenate(parts, axis=1)
    unseen = {"silence": maps[1:2], "noise": maps[2::2], "other clip": maps[3::2]}
    # silence counts as often as the kinds that are drawn
    highest = [np.tile(one.max((2, 3)), (draws // len(one), 1)) for one in unseen.values()]
    thresholds = universal_thresholds(np.concatenate(highest, axis=None))
    levels = list(thresholds.values())
    shares = {
        kind: np.stack([shares_above(one, levels, protocol) for one in each], axis=1)
        for kind, each in unseen.items()
    }
    truths = (rasterise(own, protocol.truth) for own in evaluated.boxes)
    ciou = ciou_above(maps[0], truths, levels, protocol)
    rows = [
        negative_row(
            f"{model.name}, threshold {rule}",
            protocol.name,
            level,
            ciou[i],
            {kind: each[i].ravel() for kind, each in shares.items()},
        )
        for i, (rule, level) in enumerate(thresholds.items())
    ]
    references, known = _blind_rows(evaluated.boxes, protocol)
    own = {
        str(row["name"]): negative_records(
            ciou[i], {kind: each[i] for kind, each in shares.items()}
        )
        for i, row in enumerate(rows)
    }
    return evaluated.results(
        protocol,
        [*rows, *references],
        _lines(evaluated, protocol, list(thresholds), ciou, shares),
        details=f"; {counted(draws, 'draw')}",
        records=own | known,
    )


def _lines(
    evaluated: EvaluatedClips,
    protocol: Protocol,
    rules: Sequence[str],
    ciou: Float64[np.ndarray, "thresholds n"],
    shares: Mapping[str, Float64[np.ndarray, "thresholds _ n"]],
) -> Iterator[Row]:
    """A line for each clip at each threshold; `shares` are pIA, by kind."""
    for i, rule in enumerate(rules):
        dark = {
            f"pia_{kind.replace(' ', '_')}": each[i].mean(0).tolist()
            for kind, each in shares.items()
        }
        yield from evaluated.lines(
            protocol, threshold=[rule] * len(evaluated.ids), ciou=ciou[i].tolist(), **dark
        )


def _blind_rows(
    boxes: Sequence[tuple[Box, ...]], protocol: Protocol
) -> tuple[list[dict[str, Any]], dict[str, Records]]:
    """Rows that mark half of the frame for every sound, or nothing, and the ceiling.

    Returns:
        The rows, and what each is computed from, by name.
    """
    disc = centred_disc() > 0.5
    truths = [rasterise(own, protocol.truth) for own in boxes]
    half = np.array([ciou(disc, truth) for truth in truths])
    best = np.array([float(truth.pixels > 0) for truth in truths])
    share, nothing = np.full(len(boxes), disc.sum() / PIXELS), np.zeros(len(boxes))
    marked = {
        BLIND_DISC: (half, share),
        f"{BLIND}nothing marked": (nothing, nothing),
        CEILING: (best, nothing),
    }
    rows = [
        negative_row(name, protocol.name, None, ciou, dict.fromkeys(KINDS, share))
        for name, (ciou, share) in marked.items()
    ]
    records = {
        name: negative_records(ciou, dict.fromkeys(KINDS, share[None]))
        for name, (ciou, share) in marked.items()
    }
    return rows, records
