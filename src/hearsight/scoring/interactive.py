"""Interactive localisation: one frame with the sounds of two objects in turn (iIoU, iAUC)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from hearsight.clips.clip import Clips
from hearsight.errors import HearsightError
from hearsight.files.tables import rounded
from hearsight.files.text import count_and_name
from hearsight.scoring.box_scores import MapScores, blind_scores, joined_scores
from hearsight.scoring.clip_maps import MapSource, score_clips
from hearsight.scoring.frame_groups import padded
from hearsight.scoring.metrics import area_under_curve, success_areas, success_rate
from hearsight.scoring.protocols import Protocol
from hearsight.scoring.results import FRAMES, EvaluatedClips, Records, Results


def group_key(id: str) -> str:
    """The part of an id that clips with the same frame share: all before the last `_`.

    Without folders and `.jpg`; empty if there is no `_`.

    Source: Senocak et al., Sound source localization is all about cross-modal alignment,
    ICCV 2023, as released.
    """
    return "_".join(id.split("/")[-1].replace(".jpg", "").split("_")[:-1])


def groups_of(ids: Sequence[str]) -> dict[str, Int64[np.ndarray, " _"]]:
    """Indices of the clips that share a frame, by `group_key`; two or more in each group.

    Differs from the released code: that also counts groups of one clip.
    """
    places: dict[str, list[int]] = {}
    for place, id in enumerate(ids):
        places.setdefault(group_key(id), []).append(place)
    return {
        key: np.array(group, np.int64) for key, group in places.items() if key and len(group) > 1
    }


def worst_of_each(
    ciou: Float64[np.ndarray, " n"], groups: Mapping[str, Int64[np.ndarray, " _"]]
) -> Float64[np.ndarray, " groups"]:
    """The lowest cIoU in every group.

    A group succeeds where each of its members does, so the success rate of these is iIoU@0.5, and
    the area under their success curve iAUC.

    Source: Senocak et al., ICCV 2023, as released.
    """
    return np.array([ciou[places].min() for places in groups.values()], np.float64)


def interactive_row(
    name: str, protocol: str, scores: MapScores, groups: Mapping[str, Int64[np.ndarray, " _"]]
) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {
        "name": name,
        "protocol": protocol,
        "clips": len(scores.ciou),
        "groups": len(groups),
    }
    for adaptive, ciou in (("", scores.ciou), ("adaptive ", scores.adaptive)):
        worst = worst_of_each(ciou, groups)
        row |= {
            f"{adaptive}cIoU@0.5": success_rate(ciou),
            f"{adaptive}AUC": area_under_curve(ciou),
            f"{adaptive}iIoU@0.5": success_rate(worst),
            f"{adaptive}iAUC": area_under_curve(worst),
        }
    return rounded(row)


def interactive_records(scores: MapScores, units: Sequence[Int64[np.ndarray, " _"]]) -> Records:
    """What the columns of `interactive_row` are means of, frame by frame.

    units: clips of each frame; a frame of one clip is in no group.
    """
    found: dict[str, list[Any]] = {}

    def by_group(values: Float64[np.ndarray, " n"]) -> list[list[float | None]]:
        return padded([values[unit].tolist() for unit in units])

    def in_groups(values: Float64[np.ndarray, " n"]) -> list[float | None]:
        return [float(values[unit].min()) if len(unit) > 1 else None for unit in units]

    for adaptive, ciou in (("", scores.ciou), ("adaptive ", scores.adaptive)):
        hits, areas = (ciou >= 0.5).astype(np.float64), success_areas(ciou)
        found[f"{adaptive}cIoU@0.5"], found[f"{adaptive}AUC"] = by_group(hits), by_group(areas)
        # both grow with cIoU, so the lowest of a group is that of its lowest cIoU
        found[f"{adaptive}iIoU@0.5"], found[f"{adaptive}iAUC"] = in_groups(hits), in_groups(areas)
    return found


def check_groups(ids: Sequence[str]) -> None:
    """Refuse clips of which no two share a frame by their ids.

    Raises:
        HearsightError: none do.
    """
    if not groups_of(ids):
        raise HearsightError(
            f"No two clips share a frame: '{ids[0]}' and the others need ids like STEM_0 and "
            "STEM_1, as those of `pairs:toys` are."
        )


def evaluate_interactive(source: MapSource, clips: Clips, protocol: Protocol) -> Results:
    """Score maps of clips that share frames, ids `STEM_0`, `STEM_1`.

    Raises:
        HearsightError: no two clips share a frame by their ids, or as `evaluate`.

    Source: Senocak et al., ICCV 2023, as released.
    """
    evaluated = EvaluatedClips()
    with source.running():
        parts = [batch.scores for batch in score_clips(source, clips, protocol, evaluated)]
    ids, found = evaluated.ids, joined_scores(parts)
    check_groups(ids)
    groups = groups_of(ids)
    rows = {source.name: found, **blind_scores(evaluated.boxes, protocol)}
    alone = sorted(set(range(len(ids))) - {int(i) for group in groups.values() for i in group})
    units = [*groups.values(), *(np.array([place]) for place in alone)]
    return evaluated.results(
        protocol,
        [interactive_row(name, protocol.name, row, groups) for name, row in rows.items()],
        evaluated.lines(
            protocol,
            group=list(map(group_key, ids)),
            ciou=found.ciou.tolist(),
            adaptive_ciou=found.adaptive.tolist(),
        ),
        notes=count_and_name(
            [ids[place] for place in alone],
            "clip stands alone and is in no group",
            "clips stand alone and are in no group",
        ),
        drawn=FRAMES,
        units=[*groups, *(ids[place] for place in alone)],
        records={name: interactive_records(scores, units) for name, scores in rows.items()},
    )
