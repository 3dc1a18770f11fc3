"""Evaluation of a model on clips with boxes: scores of each clip, and a table of rows to compare.

The exact masks of composed scenes are not used; `segmentation` scores them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hearsight.checkpoints.checkpoint import Model, load_model
from hearsight.clips.clip import AnnotatedClips, Box, Clips, UnreadableClip
from hearsight.clips.truth import PIXELS, covers_nothing, is_corrupt
from hearsight.errors import HearsightError, refuse_name
from hearsight.files.tables import NARROW, write_rows
from hearsight.files.text import count_and_name
from hearsight.model.device import move
from hearsight.progress import Progress, no_progress
from hearsight.scoring import score_table
from hearsight.scoring.box_scores import (
    MapScores,
    ObjectMaps,
    Score,
    blind_scores,
    box_records,
    joined_scores,
    make_score,
    make_table,
    score_maps,
)
from hearsight.scoring.clip_maps import MapBatch, MapSource, score_clips
from hearsight.scoring.inference import Inference
from hearsight.scoring.object_guidance import ObjectGuide
from hearsight.scoring.protocols import DEFAULT_PROTOCOL, Protocol, load_protocol
from hearsight.scoring.results import BLIND, EvaluatedClips, Records, Results, name_unreadable
from hearsight.scoring.score_table import tabulate

WITHOUT_OBJECTS = "without objects"  # a part of a guided model
OBJECTS_ALONE = f"{BLIND}objects alone"  # the same beside every model
NAMED = 20  # ids in each note


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScore:
    """The scores of one clip."""

    id: str
    label: str | None
    ciou: float  # the protocol's own threshold, or the median one under `adaptive`
    adaptive_ciou: float
    pointing: bool
    truth_share: float  # share of the frame inside the truth
    confidence: float  # highest cosine of the response map


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Results of an evaluation.

    Corrupt, degenerate and empty truths are scored as the released code does, and named here.
    """

    protocol: Protocol
    model: Score
    blind: tuple[Score, ...]  # centred disc, whole image, mean truth; the object maps alone, if any
    ceiling: Score
    clips: tuple[ClipScore, ...]
    skipped: tuple[UnreadableClip, ...]
    corrupt: tuple[str, ...]  # ids of clips with box edges outside the frame
    degenerate: tuple[str, ...]  # ids of clips with boxes that cover no pixel; once per box
    empty: tuple[str, ...]  # ids of clips whose truth has no pixel: their cIoU is 0
    parts: tuple[Score, ...] = ()  # with object maps: the model without them
    records: Mapping[str, Records] = field(default_factory=dict)  # of rows, by name

    @property
    def success_rate(self) -> float:
        """The model's cIoU@0.5 under the protocol."""
        return self.model.success_rate

    def rows(self) -> list[dict[str, Any]]:
        """The table: the model, `parts`, the blind rows, the ceiling."""
        every = (self.model, *self.parts, *self.blind, self.ceiling)
        return [score.row(adaptive=self.protocol.adaptive) for score in every]

    def numbers(self) -> dict[str, float]:
        """The model's scores by name."""
        found = {one.name: getattr(self.model, one.name) for one in fields(Score)}
        return {name: value for name, value in found.items() if isinstance(value, float)}

    def results(self) -> Results:
        """The evaluation in the form that all protocols share."""
        return Results(
            protocol=self.protocol.name,
            caption=_caption(self.protocol),
            rows=tuple(self.rows()),
            notes=tuple(notes(self)),
            clips=_lines(self),
            units=tuple(clip.id for clip in self.clips),
            records=self.records,
        )


Annotations = Mapping[int, tuple[str | None, tuple[Box, ...] | None]]
"""Label and boxes of clips, by index."""


def read_annotations(clips: Clips) -> Annotations:
    """The annotations of all clips that can be read, where that needs no decoding; else none."""
    found: dict[int, tuple[str | None, tuple[Box, ...] | None]] = {}
    if isinstance(clips, AnnotatedClips):
        for index in range(len(clips)):
            with suppress(UnreadableClip):
                found[index] = clips.annotation(index)
    return found


def check_truths(clips: Clips, name: str, annotations: Annotations | None = None) -> list[str]:
    """Check truths before training, where annotations can be read without frames.

    annotations: what `read_annotations` gives, if it was called already.

    Returns:
        One line that counts and names the clips without boxes, which scoring leaves out; no line
        if all have boxes.

    Raises:
        HearsightError: none of the clips has boxes, or an edge of a box is not a finite number.
    """
    bare, annotated = list[str](), 0
    known = read_annotations(clips) if annotations is None else annotations
    for index, (_, boxes) in known.items():
        if boxes is None:
            bare.append(clips.ids[index])
            continue
        annotated += 1
        if not np.isfinite(boxes).all():
            raise HearsightError(
                f"Clip '{clips.ids[index]}' of '{name}' has a box with an edge that is no number."
            )
    if bare and not annotated:
        raise HearsightError(
            f"None of the {len(clips):,} clips of '{name}' has boxes: only annotated clips can be "
            "scored; perhaps its truths are those of another data set."
        )
    return count_and_name(
        bare,
        f"clips of '{name}' has no boxes and is not scored",
        f"clips of '{name}' have no boxes and are not scored",
        total=len(clips),
    )


def evaluate(
    model: Model | Path | str,
    clips: Clips,
    protocol: Protocol | str = DEFAULT_PROTOCOL,
    *,
    name: str = "model",
    guide: ObjectGuide | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
    workers: int = 2,
    progress: Progress = no_progress,
) -> Evaluation:
    """Score a model on annotated clips. Clips without boxes, or unreadable, are skipped and named.

    Args:
        model: or what `load_model` takes. Its encoders are moved to `device` and left there; in
            evaluation mode only meanwhile.
        clips: annotated with boxes.
        protocol: itself or its name.
        name: of the model's row.
        guide: an object network to mix in; its network is moved to `device` and left there.
        batch_size: clips that are held at once; changes no number.
        device: the GPU if there is one, else the CPU, unless named.
        workers: threads that decode clips.
        progress: of the stage `scoring`, in clips.

    Raises:
        HearsightError: no such model, no clip with boxes that can be read, the name of clips, no
            such protocol or device, fewer than one clip or thread, or response maps that are not
            finite.
    """
    for name_of, number in (("batch_size", batch_size), ("workers", workers)):
        if number < 1:
            raise HearsightError(f"`{name_of}` must be at least 1, not {number}.")
    refuse_name("clips", clips, "open_clips")
    if isinstance(protocol, str):
        protocol = load_protocol(protocol)
    if isinstance(model, str | Path):
        model = load_model(model)
    place = move(model.encoders, device)
    if guide is not None:
        guide.network.to(place)
    return evaluate_source(
        Inference(
            encoders=model.encoders,
            recipe=model.recipe,
            device=place,
            name=name,
            guide=guide,
            batch_size=batch_size,
            workers=workers,
            progress=progress,
        ),
        clips,
        protocol,
    )


def evaluate_source(source: MapSource, clips: Clips, protocol: Protocol) -> Evaluation:
    """`evaluate` for a model that is on its device, or for maps of another origin."""
    evaluated, scored = EvaluatedClips(), list[ClipScore]()
    wholes: list[MapScores] = []
    parts: dict[str, list[MapScores]] = {}
    with source.running():
        for batch in score_clips(source, clips, protocol, evaluated):
            wholes.append(batch.scores)
            scored += _clip_scores(batch)
            for part, found in _score_parts(batch).items():
                parts.setdefault(part, []).append(found)
    return _summary(source.name, protocol, evaluated, scored, joined_scores(wholes), parts)


def _clip_scores(batch: MapBatch) -> list[ClipScore]:
    scores = batch.scores
    return [
        ClipScore(
            id=item.id,
            label=item.label,
            ciou=float(scores.ciou[i]),
            adaptive_ciou=float(scores.adaptive[i]),
            pointing=bool(scores.pointing[i]),
            truth_share=batch.truths[i].pixels / PIXELS,
            confidence=float(batch.maps[i].max()),
        )
        for i, item in enumerate(batch.items)
    ]


def _score_parts(batch: MapBatch) -> dict[str, MapScores]:
    """The scores of response maps alone and of object maps alone, where the two are mixed."""
    if batch.objects is None:
        return {}
    alone = ObjectMaps(maps=batch.objects.maps, share=0.0)
    return {
        WITHOUT_OBJECTS: score_maps(batch.maps, batch.truths, batch.protocol),
        OBJECTS_ALONE: score_maps(batch.maps, batch.truths, batch.protocol, alone),
    }


def _summary(
    name: str,
    protocol: Protocol,
    evaluated: EvaluatedClips,
    scored: Sequence[ClipScore],
    found: MapScores,
    parts: dict[str, list[MapScores]],
) -> Evaluation:
    joined = {part: joined_scores(each) for part, each in parts.items()}
    references = blind_scores(evaluated.boxes, protocol)
    if OBJECTS_ALONE in joined:
        references[OBJECTS_ALONE] = joined[OBJECTS_ALONE]
    own, blind, ceiling = make_table(name, found, references, protocol)
    limit = (own.ceiling, own.ceiling_auc)
    without = {f"{name} {part}": each for part, each in joined.items() if part == WITHOUT_OBJECTS}
    pairs = [
        (id, box) for id, boxes in zip(evaluated.ids, evaluated.boxes, strict=True) for box in boxes
    ]
    return Evaluation(
        protocol=protocol,
        model=own,
        blind=blind,
        ceiling=ceiling,
        clips=tuple(scored),
        skipped=tuple(evaluated.skipped),
        corrupt=tuple(id for id, box in pairs if is_corrupt(box)),
        degenerate=tuple(id for id, box in pairs if covers_nothing(box)),
        empty=tuple(one.id for one in scored if not one.truth_share),
        parts=tuple(make_score(title, each, protocol, limit) for title, each in without.items()),
        records={
            title: box_records(each, adaptive=protocol.adaptive)
            for title, each in {name: found, **without, **references}.items()
        },
    )


def _caption(protocol: Protocol) -> str:
    return f"protocol {protocol.name}: {protocol.source}; truth: {protocol.truth} of boxes"


def table_text(evaluation: Evaluation, *, width: int | None = NARROW) -> str:
    """The whole table in percent, with intervals, and below it the `notes`."""
    table = tabulate([evaluation.results()])
    return score_table.table_text(table, wide=True, width=width, footnotes=notes(evaluation))


def notes(evaluation: Evaluation) -> list[str]:
    """Notes on faults of truths, and one on the clips that were skipped."""
    corrupt = "edges outside the frame (corrupt), scored as the released code does"
    total = len(evaluation.clips) + len(evaluation.skipped)
    return [
        *count_and_name(
            evaluation.corrupt, f"box with {corrupt}", f"boxes with {corrupt}", most=NAMED
        ),
        *count_and_name(
            evaluation.degenerate,
            "box that covers no pixel (degenerate)",
            "boxes that cover no pixel (degenerate)",
            most=NAMED,
        ),
        *count_and_name(
            evaluation.empty,
            "clip whose truth is empty, so that its cIoU is 0",
            "clips whose truth is empty, so that their cIoU is 0",
            most=NAMED,
        ),
        *name_unreadable(evaluation.skipped, total),
    ]


def _lines(evaluation: Evaluation) -> tuple[dict[str, Any], ...]:
    return tuple(
        {**asdict(clip), "protocol": evaluation.protocol.name} for clip in evaluation.clips
    )


def write_scores(evaluation: Evaluation, path: Path) -> None:
    """Write one line per clip (fields of `ClipScore`, and the protocol) as .parquet or .csv.

    Raises:
        HearsightError: another suffix, no such folder, or the file cannot be written; nothing is
            left behind.
    """
    write_rows(_lines(evaluation), path)
