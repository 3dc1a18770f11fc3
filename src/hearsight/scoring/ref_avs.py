"""Ref-AVS: masks that an expression refers to, and how dark a map is where nothing is meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from hearsight.clips.clip import Clips
from hearsight.clips.truth import PIXELS, TruthMask
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.frame_groups import MaskedFrames, Values
from hearsight.scoring.metrics import mean_of
from hearsight.scoring.protocols import Protocol, mark
from hearsight.scoring.results import CEILING, EvaluatedClips, Records, Results
from hearsight.scoring.segmentation import Levels, f_scores, highest_f, mask_iou

RELEASED_LEVEL = 0.4  # of J in the released program, whose S is at 0.5
SUBSETS = {"test_s": "seen", "test_u": "unseen"}  # the data set's words, and the paper's


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """The scores of a frame.

    iou_released, iou: of the pixels above the released level, and above the protocol's, 0 to 1.
    levels: F at 255 levels; None for an empty truth. marked: pixels above the protocol's level.
    """

    iou_released: float
    iou: float
    levels: Levels | None
    marked: int


def score_frame(values: Values, truth: TruthMask, protocol: Protocol) -> FrameScore:
    """The scores of one map of 0 to 1."""
    assert protocol.fixed is not None
    marks = mark(values, protocol.fixed, protocol)
    return FrameScore(
        iou_released=mask_iou(mark(values, RELEASED_LEVEL, protocol), truth),
        iou=mask_iou(marks, truth),
        levels=f_scores(values, truth) if truth.pixels else None,
        marked=int(marks.sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferredClip:
    """The frames of one clip with one expression. null: whether it refers to nothing there."""

    frames: Sequence[FrameScore]
    null: bool
    subset: str | None

    def scores(self) -> dict[str, float | None]:
        """J, F and S of the clip; None where it does not count.

        Source: Wang et al., Ref-AVS, ECCV 2024, as released: J above 0.4, S above 0.5 as the square
        root of the marked share of all frames; F, the highest of the clip's mean over 255 levels,
        is 0 for a clip without a masked pixel.
        """
        if self.null:
            share = sum(frame.marked for frame in self.frames) / (PIXELS * len(self.frames))
            return {"J released": None, "J": None, "F released": None, "F": None, "S": sqrt(share)}
        f = highest_f(frame.levels for frame in self.frames)
        return {
            "J released": mean_of(frame.iou_released for frame in self.frames),
            "J": mean_of(frame.iou for frame in self.frames),
            "F released": f or 0.0,
            "F": f,
            "S": None,
        }


def ref_avs_records(clips: Sequence[ReferredClip]) -> dict[str, list[float | None]]:
    """What the columns are the means of, clip by clip; J and F of each subset, where it is told."""
    scores = [clip.scores() for clip in clips]
    found = {name: [one[name] for one in scores] for name in scores[0]}
    subsets = dict.fromkeys(clip.subset for clip in clips if clip.subset and not clip.null)
    for subset in subsets:
        for name in ("J released", "J", "F released", "F"):
            found[f"{name} {SUBSETS.get(subset, subset)}"] = [
                one[name] if clip.subset == subset else None
                for one, clip in zip(scores, clips, strict=True)
            ]
    return found


def ref_avs_row(
    name: str, protocol: str, records: Mapping[str, Sequence[float | None]]
) -> dict[str, Any]:
    """One row of the table: the means of its records. S is better the lower it is."""
    null = sum(one is not None for one in records["S"])
    row = {"name": name, "protocol": protocol, "clips": len(records["S"]), "null": null}
    return rounded(row | {column: mean_of(values) for column, values in records.items()})


def evaluate_ref_avs(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips with expressions, several frames each.

    Raises:
        HearsightError: a clip without a mask, or as `evaluate`.

    Differs from the released code: masks are resized to the nearest of 224 x 224 pixels, there to
    256 x 256 so that a pixel counts that a masked one touches.
    """
    evaluated, masked = EvaluatedClips(), MaskedFrames()
    scores = masked.score_all(source, clips, protocol, evaluated, score_frame)
    groups = masked.clips()
    every: dict[str, Records] = {}
    for name, own in scores.items():
        every[name] = ref_avs_records(
            [
                ReferredClip(
                    frames=[own[place] for place in places],
                    null=all(masked.facts[place].null for place in places),
                    subset=masked.facts[places[0]].subset,
                )
                for places in groups.values()
            ]
        )
    rows = [ref_avs_row(name, protocol.name, records) for name, records in every.items()]
    ideal = {
        column: 0.0 if column == "S" else 1.0
        for column, value in rows[0].items()
        if isinstance(value, float)
    }
    dark = [
        clip
        for clip, places in groups.items()
        if not any(masked.truths[place].pixels or masked.facts[place].null for place in places)
    ]
    unexplained = (
        "without a masked pixel that no null expression explains, F being 0 as released and none "
        "else"
    )
    return evaluated.results(
        protocol,
        [*rows, {**rows[0], "name": CEILING, **ideal}],
        evaluated.lines(
            protocol,
            clip=[one.clip for one in masked.facts],
            iou=[one.iou for one in scores[source.name]],
            marked=[one.marked / PIXELS for one in scores[source.name]],
        ),
        notes=count_and_name(dark, f"clip {unexplained}", f"clips {unexplained}"),
        units=list(groups),
        records=every,
    )
