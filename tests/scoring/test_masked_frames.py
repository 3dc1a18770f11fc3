"""Protocols on frames with exact masks: each by its rule written as loops, and by known answers."""

from collections.abc import Callable
from itertools import chain, pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest
from made_frames import MadeFrame, MadeFrames, make_frames

from hearsight.errors import HearsightError
from hearsight.scoring.prompted import one_range
from hearsight.scoring.results import Results
from hearsight.scoring.saved_map_scores import evaluate_maps
from hearsight.scoring.score_table import table_text, tabulate
from hearsight.scoring.segmentation import LEVELS


def scored(frames: MadeFrames, protocol: str, **options: Any) -> Results:
    return evaluate_maps(frames.maps, frames, protocol, values="probability", **options)


def first(frames: MadeFrames, protocol: str) -> Any:
    return scored(frames, protocol).rows[0]


def empty(frames: MadeFrames, *places: int, null: bool = False) -> None:
    for place in places:
        frames.change(place, sources=(), null=null)


# The rules of the field, as loops over cells


def iou(one: MadeFrame, above: Callable[[float], bool]) -> float:
    both = either = dark = 0
    for value, true in zip(one.cells.flat, one.inside.flat, strict=True):
        both += above(value) and true
        either += above(value) or true
        dark += not above(value)
    return both / either if one.inside.any() else dark / one.cells.size


def highest_f(frames: list[MadeFrame]) -> float:
    """The highest of the mean over frames; 0 where all of them are empty, as it is released."""
    best = 0.0
    for level in LEVELS:
        values = []
        for one in frames:
            if not one.inside.any():
                continue
            right = marked = 0
            for value, true in zip(one.cells.flat, one.inside.flat, strict=True):
                right += value >= level and true
                marked += value >= level
            precision, recall = right / (marked + 1e-20), right / one.inside.sum()
            whole = 0.3 * precision + recall
            values.append(1.3 * precision * recall / whole if whole else 0.0)
        if values:
            best = max(best, sum(values) / len(values))
    return best


def clips_of(frames: MadeFrames) -> list[list[MadeFrame]]:
    found: dict[str, list[MadeFrame]] = {}
    for one in frames.frames:
        found.setdefault(one.truth.clip, []).append(one)
    return list(found.values())


def mean(values: Any) -> float:
    return float(np.mean([*values]))


# AVSBench


def test_avsbench_by_batches_of_four_clips_and_per_clip() -> None:
    frames = make_frames([2, 2, 2, 1, 2, 2])
    empty(frames, 3, 6)  # one frame of a clip, and all of another
    clips = clips_of(frames)
    batches = [[*chain(*clips[:4])], [*chain(*clips[4:])]]
    row = first(frames, "avsbench-official")
    half = [iou(one, lambda value: value > 0.5) for one in frames.frames]
    places = {one.truth.id: at for at, one in enumerate(frames.frames)}
    wanted = {
        "mIoU": mean(half),
        "mIoU released": mean(mean(half[places[one.truth.id]] for one in b) for b in batches),
        "F released": mean(map(highest_f, batches)),
        "F per clip": mean(highest_f(c) for c in clips if any(one.inside.any() for one in c)),
        "F": highest_f(frames.frames),
    }
    assert {name: row[name] for name in wanted} == pytest.approx(wanted, abs=1e-5)
    assert (row["clips"], row["frames"]) == (6, 11)
    assert len({round(wanted[name], 3) for name in ("F released", "F per clip", "F")}) == 3
    assert "2 frames without a masked pixel" in scored(frames, "avsbench-official").notes[0]


def test_intervals_are_said_to_be_over_what_was_drawn() -> None:
    table = tabulate([scored(make_frames([1] * 9), "avsbench-official")], draws=20)
    assert {row["drawn"] for row in table.all_rows()} == {"batches of 4 clips"}
    text = table_text(table)
    assert "percentile bootstrap over batches of 4 clips." in text
    assert "permutation test over batches of 4 clips," in " ".join(text.split())
    clips = tabulate([scored(make_frames([1] * 9), "ref-avs")], draws=20)
    assert "bootstrap over clips." in table_text(clips)
    assert not any("drawn" in row for row in clips.all_rows())


def test_a_batch_without_a_masked_pixel_has_f_0_as_released() -> None:
    frames = make_frames([1] * 8)
    for one in frames.frames:
        one.cells = one.inside.astype(np.float32)
    assert first(frames, "avsbench-official")["F released"] == 1
    empty(frames, 4, 5, 6, 7)
    row = first(frames, "avsbench-official")
    assert (row["F released"], row["F per clip"], row["F"]) == (0.5, 1, 1)


def test_a_pixel_of_one_half_is_not_marked() -> None:
    frames = make_frames([1])
    frames.frames[0].cells[:] = 0.5
    empty(frames, 0)
    assert first(frames, "avsbench-official")["mIoU"] == 1
    assert first(frames, "ref-avs")["J"] == 1
    assert first(frames, "ref-avs")["J released"] == 0  # above 0.4


def test_frames_that_nobody_masked_are_left_out_and_named() -> None:
    frames = make_frames([2, 2])
    frames.bare = {1, 3}
    found = scored(frames, "avsbench-official")
    assert (found.rows[0]["clips"], found.rows[0]["frames"]) == (2, 2)
    assert "2 of 4 clips were left out:\n  clip 0_1: nobody masked it" in found.notes[-1]
    frames.bare = {0, 1, 2, 3}
    with pytest.raises(HearsightError, match="None of the 4 clips can be scored"):
        scored(frames, "avsbench-official")


# Ref-AVS


def test_ref_avs_j_f_and_s_of_null_expressions() -> None:
    frames = make_frames([2, 3, 2, 2])
    subsets = [*["test_s"] * 2, *["test_u"] * 3, *["test_s"] * 2, *["test_n"] * 2]
    for place, subset in enumerate(subsets):
        frames.change(place, subset=subset)
    empty(frames, 1, 5, 6)
    empty(frames, 7, 8, null=True)
    *seen, null = clips_of(frames)
    row = first(frames, "ref-avs")
    marked = mean(mean(one.cells.flat > 0.5) for one in null)
    wanted = {
        "J released": mean(mean(iou(one, lambda v: v > 0.4) for one in clip) for clip in seen),
        "J": mean(mean(iou(one, lambda v: v > 0.5) for one in clip) for clip in seen),
        "F released": mean(map(highest_f, seen)),
        "F": mean(map(highest_f, seen[:2])),
        "S": sqrt(marked),
        "J unseen": mean(iou(one, lambda v: v > 0.5) for one in seen[1]),
        "F seen": highest_f(seen[0]),
        "F released seen": highest_f(seen[0]) / 2,
    }
    assert {name: row[name] for name in wanted} == pytest.approx(wanted, abs=1e-5)
    assert (row["clips"], row["null"]) == (4, 1)
    assert "1 clip without a masked pixel that no null" in scored(frames, "ref-avs").notes[0]
    ceiling = scored(frames, "ref-avs").rows[-1]
    assert (ceiling["J"], ceiling["F"], ceiling["S"]) == (1, 1, 0)


def test_s_is_0_for_a_dark_map_1_for_a_bright_one_and_the_root_of_a_share() -> None:
    frames = make_frames([1, 1])
    empty(frames, 0, 1, null=True)
    for share in (0, 0.25, 1):
        for one in frames.frames:
            one.cells = (np.arange(64).reshape(8, 8) < 64 * share).astype(np.float32)
        assert first(frames, "ref-avs")["S"] == pytest.approx(sqrt(share))
        assert first(frames, "ref-avs")["J"] is None


# AVATAR


def test_avatar_by_kind_and_off_the_screen() -> None:
    frames = make_frames([2, 2, 2])
    for place, kind in enumerate(["single", "single", "mixed", "mixed", None, None]):
        frames.change(place, kind=kind)
    empty(frames, 4, 5, null=True)
    frames.frames[0].cells = frames.frames[0].inside.astype(np.float32)
    frames.frames[5].cells[:] = 0.1
    row = first(frames, "avatar")
    cious = [iou(one, lambda value: value >= 0.5) for one in frames.frames[:4]]
    dark = [mean(one.cells.flat >= 0.5) for one in frames.frames[4:]]
    steps = [0.05 * i for i in range(21)]

    def area(curve: list[float]) -> float:
        return sum(0.05 * (a + b) / 2 for a, b in pairwise(curve))

    wanted = {
        "cIoU@0.5": mean(one >= 0.5 for one in cious),
        "mean cIoU": mean(cious),
        "AUC": area([mean(one >= step for one in cious) for step in steps]),
        "mean cIoU single": mean(cious[:2]),
        "cIoU@0.5 mixed": mean(one >= 0.5 for one in cious[2:]),
        "pIA": mean(dark),
        "AUC_N released": area([mean(one < step for one in dark) for step in steps]),
        "AUC_N": area([mean(one <= step for one in dark) for step in steps]),
    }
    assert {name: row[name] for name in wanted} == pytest.approx(wanted, abs=1e-5)
    assert (row["clips"], row["frames"], row["off-screen"]) == (3, 6, 2)
    assert {one["kind"] for one in scored(frames, "avatar").clips} == {"single", "mixed", None}


def test_a_map_that_marks_nothing_is_perfect_off_the_screen_but_not_as_released() -> None:
    frames = make_frames([1, 1])
    empty(frames, 1, null=True)
    frames.frames[1].cells[:] = 0
    row = first(frames, "avatar")
    assert (row["pIA"], row["AUC_N"], row["AUC_N released"]) == (0, 1, pytest.approx(0.975))


# DenseAV


def test_prompted_segmentation_pools_the_pixels_of_a_class() -> None:
    frames = make_frames([1, 1, 1, 1, 1])
    row = first(frames, "denseav-prompted")
    precisions, ious = [], []
    for label in ("dog", "cat"):
        own = [one for one in frames.frames if one.label == label]
        values = np.concatenate([one.cells.ravel() for one in own])
        inside = np.concatenate([one.inside.ravel() for one in own])
        area = before = 0.0
        for level in sorted(set(values), reverse=True):
            right, marked = (inside & (values >= level)).sum(), (values >= level).sum()
            area += (right / inside.sum() - before) * right / marked
            before = right / inside.sum()
        precisions.append(area)
        steps = np.linspace(values.min(), values.max(), 20, dtype=np.float32)
        ious.append(
            max((inside & (values > s)).sum() / (inside | (values > s)).sum() for s in steps)
        )
    assert row["mAP"] == pytest.approx(mean(precisions), abs=1e-5)
    assert row["best IoU"] == pytest.approx(mean(ious), abs=2e-3)  # a value may lie on a step
    assert (row["clips"], row["classes"]) == (5, 2)


def test_one_range_for_all_maps_keeps_their_order_where_one_for_each_does_not() -> None:
    frames = make_frames([1, 1, 1, 1])
    for one in frames.frames:
        one.label = "dog"
    before = first(frames, "denseav-prompted")
    for one in frames.frames:
        one.cells = one.cells / 2 - 0.25  # the same for all
    assert first(frames, "denseav-prompted")["mAP"] == pytest.approx(before["mAP"], abs=1e-5)
    frames.frames[0].cells *= 0.1
    assert abs(first(frames, "denseav-prompted")["mAP"] - before["mAP"]) > 0.005


def test_the_range_of_a_set_is_0_to_1_and_a_map_of_one_value_marks_nothing() -> None:
    low, high = one_range([np.float32([[-2, 0]]), np.float32([[1, 2]])])
    assert (low.tolist(), high.tolist()) == ([[0, 0.5]], [[0.75, 1]])
    frames = make_frames([1])
    frames.frames[0].cells[:] = 0.3
    assert first(frames, "denseav-prompted")["best IoU"] == 0  # no pixel is above the lowest


def test_a_class_that_shows_no_pixel_and_clips_without_a_label_are_named() -> None:
    frames = make_frames([1, 1, 1])
    empty(frames, 1)
    found = scored(frames, "denseav-prompted")
    assert "1 class shows no pixel and has no precision: cat." in found.notes
    frames.frames[0].label = None  # type: ignore[assignment]
    assert "1 clip has no label and is not scored: clip 0_0." in (
        scored(frames, "denseav-prompted").notes
    )
    for one in frames.frames:
        one.label = None  # type: ignore[assignment]
    with pytest.raises(HearsightError, match="None of the 3 clips has a label"):
        scored(frames, "denseav-prompted")


@pytest.mark.parametrize("name", ["avsbench-official", "ref-avs", "avatar", "denseav-prompted"])
def test_the_truth_itself_is_as_good_as_the_ceiling(name: str) -> None:
    frames = make_frames([2, 2])
    for one in frames.frames:
        one.cells = one.inside.astype(np.float32)
    rows = scored(frames, name).rows
    # a map of two values has no adaptive threshold
    scores = [
        column
        for column, value in rows[-1].items()
        if isinstance(value, float) and not column.startswith("adaptive")
    ]
    assert {column: rows[0][column] for column in scores} == {
        column: rows[-1][column] for column in scores
    }
