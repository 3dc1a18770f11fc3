"""Frames with exact masks in the clips that they are of, scored at a fixed threshold and by F."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from hearsight.clips.clip import Clips
from hearsight.clips.frame_truth import FrameTruth
from hearsight.clips.truth import SIDE, TruthMask
from hearsight.errors import HearsightError
from hearsight.scoring.box_scores import centred_disc, mean_truth, prepared_maps
from hearsight.scoring.clip_maps import MapSource
from hearsight.scoring.protocols import Protocol
from hearsight.scoring.results import (
    BLIND_DISC,
    BLIND_IMAGE,
    BLIND_MEAN,
    EvaluatedClips,
    Records,
)
from hearsight.scoring.segmentation import LEVELS, Levels

Values = Float32[np.ndarray, "side side"]
One = TypeVar("One")


@dataclass(slots=True, kw_only=True)
class MaskedFrames:
    """The truths of the frames that were scored, in order.

    facts: of each frame. truths: on the canvas.
    """

    facts: list[FrameTruth] = field(default_factory=list)
    truths: list[TruthMask] = field(default_factory=list)

    def clips(self) -> dict[str, list[int]]:
        """The places of the frames of every clip, in order."""
        found: dict[str, list[int]] = {}
        for place, one in enumerate(self.facts):
            found.setdefault(one.clip, []).append(place)
        return found

    def empty_ids(self) -> list[str]:
        """The ids of frames whose truth has no pixel."""
        each = zip(self.facts, self.truths, strict=True)
        return [one.id for one, truth in each if not truth.pixels]

    def score_all(
        self,
        source: MapSource,
        clips: Clips,
        protocol: Protocol,
        evaluated: EvaluatedClips,
        score: Callable[[Values, TruthMask, Protocol], One],
    ) -> dict[str, list[One]]:
        """Score the maps of a source, and those of blind maps, on every frame.

        score: of a map of 0 to 1, in a buffer that is used again, and a truth.

        Returns:
            By the name of a row; the source's first.
        """
        own: list[One] = []
        with source.running():
            for batch in source.clip_maps(clips, protocol, evaluated, needs="masks"):
                prepared = prepared_maps(batch.maps, batch.protocol, batch.objects)
                for item, values in zip(batch.items, prepared, strict=True):
                    assert item.truth is not None
                    check_told(item.truth, protocol)
                    truth = item.mask()
                    own.append(score(values, truth, protocol))
                    self.facts.append(item.truth)
                    self.truths.append(truth)
        blind = {
            BLIND_DISC: centred_disc(),
            BLIND_MEAN: mean_truth(self.truths),
            BLIND_IMAGE: np.ones((SIDE, SIDE), np.float32),
        }
        return {source.name: own} | {
            name: [score(values, truth, protocol) for truth in self.truths]
            for name, values in blind.items()
        }


def check_told(frame: FrameTruth, protocol: Protocol) -> None:
    """Refuse a frame of a store that does not tell which clip it is of.

    Raises:
        HearsightError: it is such a frame.
    """
    if not frame.told:
        raise HearsightError(
            f"'{frame.id}' is a frame of a clip, but its store, made by an older version, does not "
            f"tell of which, nor its kind: '{protocol.name}' needs both, so import the data set "
            "anew into another store."
        )


def level_sums(groups: Sequence[Sequence[Levels | None]]) -> Records:
    """The records `F levels` and `F frames` of groups of frames: sums over those that have an F."""
    sums, counts = list[list[float]](), list[float]()
    for group in groups:
        known = [one for one in group if one is not None]
        sums.append(np.sum([np.zeros(len(LEVELS)), *known], axis=0).round(5).tolist())
        counts.append(float(len(known)))
    return {"F levels": sums, "F frames": counts}


def padded(groups: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """Groups filled up with None to the size of the largest, as records hold members."""
    most = max(map(len, groups))
    return [[*group, *[None] * (most - len(group))] for group in groups]
