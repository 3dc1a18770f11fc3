"""AVSBench as its authors score it: masks at a sigmoid above 0.5, and F of each batch."""

from dataclasses import dataclass
from typing import Any

from hearsight.clips.clip import Clips
from hearsight.clips.truth import TruthMask
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.frame_groups import MaskedFrames, Values, level_sums, padded
from hearsight.scoring.metrics import mean_of
from hearsight.scoring.protocols import Protocol, mark
from hearsight.scoring.results import CEILING, EvaluatedClips, Records, Results
from hearsight.scoring.segmentation import UNMASKED, Levels, f_scores, highest_f, mask_iou

BATCH = 4  # clips in a batch of the released test programs


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """The scores of a frame.

    iou: of the pixels above the threshold, 0 to 1. levels: F at 255 levels; None for an empty
    truth.
    """

    iou: float
    levels: Levels | None


def score_frame(values: Values, truth: TruthMask, protocol: Protocol) -> FrameScore:
    """The scores of one map of 0 to 1."""
    assert protocol.fixed is not None
    return FrameScore(
        iou=mask_iou(mark(values, protocol.fixed, protocol), truth),
        levels=f_scores(values, truth) if truth.pixels else None,
    )


Batches = list[list[list[FrameScore]]]
"""The frames of each clip of each batch."""


def avsbench_row(name: str, protocol: str, batches: Batches) -> dict[str, Any]:
    """One row of the table.

    mIoU and F as released are means over batches of four clips, the last of which may be smaller:
    F is the highest of a batch's mean over 255 levels, 0 for one without a masked pixel. "mIoU" is
    the mean over frames, "F per clip" the same as F with one clip in a batch, without clips that
    have no masked pixel, and "F" the highest of the whole set's mean.

    Source: Zhou et al., Audio-visual segmentation, ECCV 2022, as released; Park et al., WACV 2024
    (F of the whole set).
    """
    clips = [clip for batch in batches for clip in batch]
    frames = [frame for clip in clips for frame in clip]
    return rounded(
        {
            "name": name,
            "protocol": protocol,
            "clips": len(clips),
            "frames": len(frames),
            "mIoU": mean_of(frame.iou for frame in frames),
            "mIoU released": mean_of(map(_batch_iou, batches)),
            "F released": mean_of(map(_batch_f, batches)),
            "F per clip": mean_of(map(_clip_f, clips)),
            "F": highest_f(frame.levels for frame in frames),
        }
    )


def _batch_iou(batch: list[list[FrameScore]]) -> float | None:
    return mean_of(frame.iou for clip in batch for frame in clip)


def _batch_f(batch: list[list[FrameScore]]) -> float:
    return highest_f(frame.levels for clip in batch for frame in clip) or 0.0


def _clip_f(clip: list[FrameScore]) -> float | None:
    return highest_f(frame.levels for frame in clip)


def avsbench_records(batches: Batches) -> Records:
    """What the columns of `avsbench_row` are computed from, batch by batch."""
    flat = [[frame for clip in batch for frame in clip] for batch in batches]
    return {
        "mIoU": padded([[frame.iou for frame in batch] for batch in flat]),
        "mIoU released": [_batch_iou(batch) for batch in batches],
        "F released": [_batch_f(batch) for batch in batches],
        "F per clip": padded([[_clip_f(clip) for clip in batch] for batch in batches]),
        **level_sums([[frame.levels for frame in batch] for batch in flat]),
    }


def evaluate_avsbench(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips with exact masks, several frames a clip where the data set has them.

    Raises:
        HearsightError: a clip without a mask, or as `evaluate`.
    """
    evaluated, masked = EvaluatedClips(), MaskedFrames()
    scores = masked.score_all(source, clips, protocol, evaluated, score_frame)
    groups = list(masked.clips().items())
    fours = [groups[at : at + BATCH] for at in range(0, len(groups), BATCH)]
    every = {
        name: [[[own[place] for place in places] for _, places in four] for four in fours]
        for name, own in scores.items()
    }
    rows = [avsbench_row(name, protocol.name, batches) for name, batches in every.items()]
    ideal = {column: 1.0 for column, value in rows[0].items() if isinstance(value, float)}
    return evaluated.results(
        protocol,
        [*rows, {**rows[0], "name": CEILING, **ideal}],
        evaluated.lines(
            protocol,
            clip=[one.clip for one in masked.facts],
            iou=[one.iou for one in scores[source.name]],
        ),
        notes=count_and_name(masked.empty_ids(), f"frame {UNMASKED}", f"frames {UNMASKED}"),
        drawn=f"batches of {BATCH} clips",
        units=[f"{four[0][0]} and the {len(four) - 1} after it" for four in fours],
        records={name: avsbench_records(batches) for name, batches in every.items()},
    )
