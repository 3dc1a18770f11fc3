"""A model, clips and a protocol in; the table that may be compared out.

Truths are the clips' boxes; the exact masks of composed scenes are not used.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.clip import AnnotatedClips, Box, Clips, UnreadableClip
from hearsight.clips.truth import PIXELS, covers_nothing, is_corrupt, rasterise
from hearsight.errors import HearsightError
from hearsight.files.tables import text_table, write_rows
from hearsight.model.device import move
from hearsight.scoring.inference import (
    Inference,
    PreparedClip,
    evaluation_mode,
    guiding_maps,
    own_maps,
    prepare_clips,
)
from hearsight.scoring.map_scores import (
    MapScores,
    ObjectMaps,
    Score,
    joined_scores,
    make_score,
    make_table,
    score_maps,
)
from hearsight.scoring.object_guidance import ObjectGuide
from hearsight.scoring.protocols import Protocol, load_protocol
from hearsight.scoring.results import Results, name_ids, name_unreadable


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
    """What an evaluation found.

    Corrupt, degenerate and empty truths are scored as the released code does; here they are named.
    """

    protocol: Protocol
    model: Score
    blind: tuple[Score, ...]  # centred disc, whole image, mean truth
    ceiling: Score
    clips: tuple[ClipScore, ...]
    skipped: tuple[UnreadableClip, ...]
    corrupt: tuple[str, ...]  # ids of clips with box edges outside the frame
    degenerate: tuple[str, ...]  # ids of clips with boxes that cover no pixel; once per box
    empty: tuple[str, ...]  # ids of clips whose truth has no pixel: their cIoU is 0
    parts: tuple[Score, ...] = ()  # of a mixture: the model alone, the object map alone

    @property
    def success_rate(self) -> float:
        """The model's cIoU@0.5 under the protocol."""
        return self.model.success_rate

    def rows(self) -> list[dict[str, Any]]:
        """The table: the model, what it is mixed of, the blind rows, the ceiling."""
        return [score.row() for score in (self.model, *self.parts, *self.blind, self.ceiling)]

    def numbers(self) -> dict[str, float]:
        """The model's numbers by name."""
        found = {field.name: getattr(self.model, field.name) for field in fields(Score)}
        return {name: value for name, value in found.items() if isinstance(value, float)}

    def results(self) -> Results:
        """The same in the form that all protocols share."""
        return Results(
            protocol=self.protocol.name,
            caption=_caption(self.protocol),
            rows=tuple(self.rows()),
            notes=tuple(notes(self)),
            clips=_lines(self),
        )


Annotations = Mapping[int, tuple[str | None, tuple[Box, ...] | None]]
"""Label and boxes of clips, by the clip's number."""


def read_annotations(clips: Clips) -> Annotations:
    """The annotations of all clips that can be read, where that needs no decoding; else none."""
    found: dict[int, tuple[str | None, tuple[Box, ...] | None]] = {}
    if isinstance(clips, AnnotatedClips):
        for index in range(len(clips)):
            with suppress(UnreadableClip):
                found[index] = clips.annotation(index)
    return found


def check_truths(clips: Clips, name: str, annotations: Annotations | None = None) -> list[str]:
    """Look at truths before anything is trained, where they can be had without frames.

    annotations: what `read_annotations` gives, if it was called already.

    Returns:
        One line that counts and names the clips without boxes, which scoring leaves out; none
        if all have some.

    Raises:
        HearsightError: none of the clips has boxes, or one of something else than numbers.
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
    return name_ids(
        f"of the {len(clips):,} clips of '{name}' have no boxes and are not scored", bare
    )


def evaluate(
    model: Model,
    clips: Clips,
    protocol: Protocol | str,
    *,
    name: str = "model",
    guide: ObjectGuide | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a model on annotated clips. Clips without boxes, or unreadable, are skipped and named.

    Args:
        model: its encoders are moved to `device` and left there; in evaluation mode only meanwhile.
        clips: annotated with boxes.
        protocol: itself or its name.
        name: of the model's row.
        guide: an object network to mix in; its network is moved to `device` and left there.
        batch_size: clips that go through the encoders at once; does not change the scores.
        device: the GPU if there is one, else the CPU, unless named.
        workers: threads that decode clips.
        progress: called with the number of clips done and that of all.

    Raises:
        HearsightError: no clip with boxes that can be read, no such protocol or device, or
            response maps that are not finite.
    """
    if isinstance(protocol, str):
        protocol = load_protocol(protocol)
    place = move(model.encoders, device)
    if guide is not None:
        guide.network.to(place)
    return evaluate_model(
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


def evaluate_model(model: Inference, clips: Clips, protocol: Protocol) -> Evaluation:
    """The same for a model that stands ready on its device."""
    scored: list[ClipScore] = []
    boxes: list[tuple[Box, ...]] = []
    skipped: list[UnreadableClip] = []
    parts: dict[str, list[MapScores]] = {}
    with evaluation_mode(model.encoders):
        for items in prepare_clips(model, clips, protocol, skipped):
            maps, objects = own_maps(model, items), guiding_maps(model, items, protocol)
            scored.extend(_score_batch(items, maps, protocol, objects))
            boxes.extend(item.boxes for item in items)
            if objects is not None:
                for part, found in _score_parts(items, maps, protocol, objects).items():
                    parts.setdefault(part, []).append(found)
    return _summary(model, protocol, scored, boxes, skipped, parts)


def _score_batch(
    items: Sequence[PreparedClip],
    maps: Float32[np.ndarray, "b h w"],
    protocol: Protocol,
    objects: ObjectMaps | None,
) -> list[ClipScore]:
    truths = [rasterise(item.boxes, protocol.truth) for item in items]
    found = score_maps(maps, truths, protocol, objects)
    return [
        ClipScore(
            id=item.id,
            label=item.label,
            ciou=float(found.ciou[i]),
            adaptive_ciou=float(found.adaptive[i]),
            pointing=bool(found.pointing[i]),
            truth_share=truths[i].pixels / PIXELS,
            confidence=float(maps[i].max()),
        )
        for i, item in enumerate(items)
    ]


def _score_parts(
    items: Sequence[PreparedClip],
    maps: Float32[np.ndarray, "b h w"],
    protocol: Protocol,
    objects: ObjectMaps,
) -> dict[str, MapScores]:
    """What the response maps, and what the object maps reach by themselves."""
    truths = [rasterise(item.boxes, protocol.truth) for item in items]
    seen = ObjectMaps(maps=objects.maps, share=0.0)
    return {
        "without objects": score_maps(maps, truths, protocol),
        "objects alone, no sound": score_maps(maps, truths, protocol, seen),
    }


def _summary(
    model: Inference,
    protocol: Protocol,
    scored: Sequence[ClipScore],
    boxes: Sequence[tuple[Box, ...]],
    skipped: Sequence[UnreadableClip],
    parts: dict[str, list[MapScores]],
) -> Evaluation:
    found = MapScores(
        ciou=np.array([one.ciou for one in scored]),
        adaptive=np.array([one.adaptive_ciou for one in scored]),
        pointing=np.array([one.pointing for one in scored], np.float64),
    )
    own, blind, ceiling = make_table(model.name, found, boxes, protocol)
    limit = (own.ceiling, own.ceiling_auc)
    pairs = [(one.id, box) for one, own in zip(scored, boxes, strict=True) for box in own]
    return Evaluation(
        protocol=protocol,
        model=own,
        blind=blind,
        ceiling=ceiling,
        clips=tuple(scored),
        skipped=tuple(skipped),
        corrupt=tuple(id for id, box in pairs if is_corrupt(box)),
        degenerate=tuple(id for id, box in pairs if covers_nothing(box)),
        empty=tuple(one.id for one in scored if not one.truth_share),
        parts=tuple(
            make_score(
                f"{model.name} {name}" if "without" in name else name, joined, protocol, limit
            )
            for name, each in parts.items()
            for joined in [joined_scores(each)]
        ),
    )


def _caption(protocol: Protocol) -> str:
    return f"protocol {protocol.name}: {protocol.says}; truth: {protocol.truth} of boxes"


def table_text(evaluation: Evaluation, *, width: int = 120) -> str:
    """The table in percent, and below it what was skipped or is wrong with the truths, by name."""
    return text_table(
        evaluation.rows(),
        caption=_caption(evaluation.protocol),
        footnotes=notes(evaluation),
        width=width,
    )


def notes(evaluation: Evaluation, *, most: int = 20) -> list[str]:
    """What the summary must not keep silent about, one line each."""
    corrupt = "box edges outside the frame (corrupt), scored as the released code does"
    empty = "clips whose truth is empty, so that their cIoU is 0"
    total = len(evaluation.clips) + len(evaluation.skipped)
    return [
        *name_ids(corrupt, evaluation.corrupt, most=most),
        *name_ids("boxes that cover no pixel (degenerate)", evaluation.degenerate, most=most),
        *name_ids(empty, evaluation.empty, most=most),
        *name_unreadable(evaluation.skipped, total, most=most),
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
