"""Response maps of annotated clips, whoever made them: a model, or files that other code wrote."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Literal, runtime_checkable
from typing import Protocol as Interface

import numpy as np
from jaxtyping import Float32

from hearsight.clips.clip import AnnotatedClips, Box, Clips, UnreadableClip
from hearsight.clips.frame_truth import FrameTruth, MaskedClips, frame_truth
from hearsight.clips.shards import MASK, Store
from hearsight.clips.truth import TruthMask, rasterise
from hearsight.errors import HearsightError
from hearsight.scoring.box_scores import MapScores, ObjectMaps, score_maps
from hearsight.scoring.protocols import Protocol
from hearsight.scoring.results import EvaluatedClips

LOGGER = logging.getLogger(__name__)

Needs = Literal["boxes", "masks"]
NO_BOXES, NO_MASK = "it has no boxes", "nobody masked it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTruth:
    """What is known of a clip. truth: of its exact mask; None if it has none."""

    id: str
    label: str | None
    boxes: tuple[Box, ...]
    truth: FrameTruth | None

    def mask(self) -> TruthMask:
        """The exact mask on the canvas, of a clip that was asked for one."""
        assert self.truth is not None
        return self.truth.truth()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMaps:
    """Response maps of some clips to their own sounds.

    maps: cosines of a model; of files what `protocol` takes. objects: to mix in, if any. protocol:
    as it brings these maps to 0..1. confidences: that the clip shows its source, where the maps'
    author gave them.
    """

    items: Sequence[ClipTruth]
    maps: Float32[np.ndarray, "b h w"]
    protocol: Protocol
    objects: ObjectMaps | None = None
    confidences: Float32[np.ndarray, " b"] | None = None


@runtime_checkable
class MapSource(Interface):
    """What gives the response maps of clips. name: of its rows."""

    @property
    def name(self) -> str: ...

    def running(self) -> AbstractContextManager[None]:
        """Ready to give maps inside the `with` block."""

    def clip_maps(
        self,
        clips: Clips,
        protocol: Protocol,
        evaluated: EvaluatedClips,
        *,
        needs: Needs = "boxes",
        rated: bool = False,
    ) -> Iterator[ClipMaps]:
        """Maps of the clips in order; `evaluated` gets those of each batch before it is given.

        needs: what the clips must be annotated with. rated: whether confidences are needed too.

        Raises:
            HearsightError: no clip can be scored, one lacks what is needed, or a map is not finite.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBatch(ClipMaps):
    """Maps with the truths of boxes, and the scores against them."""

    truths: Sequence[TruthMask]
    scores: MapScores


def score_clips(
    source: MapSource,
    clips: Clips,
    protocol: Protocol,
    evaluated: EvaluatedClips,
    *,
    rated: bool = False,
) -> Iterator[MapBatch]:
    """Maps and scores of clips annotated with boxes, batch by batch, as the source gives them."""
    for batch in source.clip_maps(clips, protocol, evaluated, rated=rated):
        truths = [rasterise(item.boxes, protocol.truth) for item in batch.items]
        yield MapBatch(
            items=batch.items,
            maps=batch.maps,
            protocol=batch.protocol,
            objects=batch.objects,
            confidences=batch.confidences,
            truths=truths,
            scores=score_maps(batch.maps, truths, batch.protocol, batch.objects),
        )


def check_boxes(clips: Clips) -> None:
    """Refuse clips of which none has boxes, where annotations can be read without frames.

    Raises:
        HearsightError: none has.
    """
    bare = 0
    for index in range(len(clips) if isinstance(clips, AnnotatedClips) else 0):
        with suppress(UnreadableClip):
            if clips.annotation(index)[1] is not None:  # type: ignore[attr-defined]
                return
            bare += 1
    if bare:
        raise no_boxes(len(clips))


def no_boxes(total: int) -> HearsightError:
    """The error where none of `total` clips has boxes."""
    return HearsightError(
        f"None of the {total:,} clips has boxes: only clips with an annotated source can be scored."
    )


def check_scored(evaluated: EvaluatedClips, total: int) -> None:
    """Log the clips that were skipped.

    Raises:
        HearsightError: all were.
    """
    skipped = evaluated.skipped
    for one in skipped:
        LOGGER.warning("not scored: clip %s, because %s", one.id, one.reason)
    if len(skipped) == total:
        if all(one.reason == NO_BOXES for one in skipped):
            raise no_boxes(total)
        first = f"the first, '{skipped[0].id}', because {skipped[0].reason.rstrip('.')}"
        raise HearsightError(f"None of the {total:,} clips can be scored: {first}.")


def check_edges(id: str, boxes: Sequence[Box]) -> None:
    """Refuse a box with an edge that is not a finite number.

    Raises:
        HearsightError: there is one; the clip is named by its `id`.
    """
    if not np.isfinite(np.array(boxes, np.float64)).all():
        raise HearsightError(f"Clip '{id}' has a box with an edge that is no number.")


def check_masks(clips: Clips) -> None:
    """Refuse clips that are not of a data set of masks, as far as their first one tells.

    Raises:
        HearsightError: it has no mask.
    """
    with suppress(UnreadableClip):
        if len(clips) and frame_truth(clips, 0) is None:
            no_mask(clips, clips.ids[0])


def no_mask(clips: Clips, id: str) -> UnreadableClip:
    """A frame that nobody masked, among others that are.

    Raises:
        HearsightError: the clips are not those of a data set of masks, nor of a store with any.
    """
    if isinstance(clips, MaskedClips) or (isinstance(clips, Store) and clips.holds(MASK)):
        return UnreadableClip(id, NO_MASK)
    raise HearsightError(
        f"Clip '{id}' has no mask: masks are scored on clips with an exact one, as composed scenes "
        "and data sets of segmentation have it."
    )
