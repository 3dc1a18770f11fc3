"""AVATAR: frames of videos by what is hard in them, and sounds from off the screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hearsight.clips.clip import Clips
from hearsight.clips.frame_truth import FrameTruth
from hearsight.clips.truth import PIXELS, TruthMask
from hearsight.files.tables import rounded
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.frame_groups import MaskedFrames, Values, padded
from hearsight.scoring.metrics import (
    THRESHOLDS,
    areas_of_each,
    ciou,
    mean_of,
    order_statistics,
    success_areas,
)
from hearsight.scoring.protocols import Protocol, adaptive_rank, mark
from hearsight.scoring.results import CEILING, EvaluatedClips, Results, counted_alone


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """The scores of a frame, 0 to 1.

    ciou, adaptive: cIoU at the threshold of the protocol, and of the truth's size. marked: the
    share of pixels from the protocol's threshold on, pIA.
    """

    ciou: float
    adaptive: float
    marked: float


def score_frame(values: Values, truth: TruthMask, protocol: Protocol) -> FrameScore:
    """The scores of one map of 0 to 1."""
    assert protocol.fixed is not None
    marks = mark(values, protocol.fixed, protocol)
    (level,) = order_statistics(values.reshape(-1), (adaptive_rank(truth),))
    return FrameScore(
        ciou=ciou(marks, truth),
        adaptive=ciou(values > level, truth),
        marked=int(marks.sum()) / PIXELS,
    )


def dark_areas(
    marked: Float64[np.ndarray, " n"], *, released: bool = False
) -> Float64[np.ndarray, " n"]:
    """What each frame adds to AUC_N, the area under the share of frames that mark at most so much.

    released: counting those that mark LESS than 0, 0.05, ... 1: a map that marks nothing has 0.975
    then, and not 1, since no share is below 0.
    """
    shares = marked[:, None]
    return areas_of_each(shares < THRESHOLDS if released else shares <= THRESHOLDS)


def avatar_records(
    scores: Sequence[FrameScore], facts: Sequence[FrameTruth]
) -> dict[str, list[float | None]]:
    """What the columns are means of, frame by frame; None where a frame does not count.

    A null frame, whose sound comes from off the screen, counts in pIA and AUC_N, all others in the
    rest, and in the columns of their kind.
    """
    cious = np.array([one.ciou for one in scores])
    marked = np.array([one.marked for one in scores])
    seen = [not one.null for one in facts]
    off = [not one for one in seen]
    hits = (cious >= 0.5).astype(np.float64)
    adaptive = np.array([one.adaptive >= 0.5 for one in scores], np.float64)
    found = {
        "cIoU@0.5": counted_alone(seen, hits),
        "mean cIoU": counted_alone(seen, cious),
        "AUC": counted_alone(seen, success_areas(cious)),
        "adaptive cIoU@0.5": counted_alone(seen, adaptive),
    }
    for kind in dict.fromkeys(one.kind for one in facts if one.kind and not one.null):
        which = [one.kind == kind and not one.null for one in facts]
        found[f"cIoU@0.5 {kind}"] = counted_alone(which, hits)
        found[f"mean cIoU {kind}"] = counted_alone(which, cious)
    found["pIA"] = counted_alone(off, marked)
    found["AUC_N released"] = counted_alone(off, dark_areas(marked, released=True))
    found["AUC_N"] = counted_alone(off, dark_areas(marked))
    return found


def evaluate_avatar(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of frames with exact masks. Intervals are over the videos they are of.

    Raises:
        HearsightError: a clip without a mask, or as `evaluate`.

    Source: Choi et al., What's making that sound right now? (AVATAR), ICCV 2025, whose own program
    could not be found; the measures are those of ACL-SaN's evaluation on it, as released.
    Differs from that code: the mean IoU there divides by all batches, those off the screen among
    them; here each measure is a mean over the frames it is of.
    """
    evaluated, masked = EvaluatedClips(), MaskedFrames()
    scores = masked.score_all(source, clips, protocol, evaluated, score_frame)
    scores[CEILING] = [
        FrameScore(ciou=float(truth.pixels > 0), adaptive=float(truth.pixels > 1), marked=0.0)
        for truth in masked.truths
    ]
    groups = masked.clips()
    rows, records = list[dict[str, Any]](), {}
    for name, own in scores.items():
        found = avatar_records(own, masked.facts)
        records[name] = {
            column: padded([[values[place] for place in places] for places in groups.values()])
            for column, values in found.items()
        }
        counts = {"frames": len(own), "off-screen": sum(one.null for one in masked.facts)}
        row = {"name": name, "protocol": protocol.name, "clips": len(groups), **counts}
        rows.append(rounded(row | {column: mean_of(own) for column, own in found.items()}))
    return evaluated.results(
        protocol,
        rows,
        evaluated.lines(
            protocol,
            clip=[one.clip for one in masked.facts],
            kind=[one.kind for one in masked.facts],
            ciou=[one.ciou for one in scores[source.name]],
            marked=[one.marked for one in scores[source.name]],
        ),
        units=list(groups),
        records=records,
    )
