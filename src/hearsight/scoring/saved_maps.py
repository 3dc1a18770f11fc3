"""Maps that other code wrote, as a source: checked, matched to clips, brought to a scale."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32

from hearsight.clips.clip import Clips, UnreadableClip, annotation
from hearsight.clips.frame_truth import MaskedClips, frame_truth, frames_by_clip
from hearsight.errors import HearsightError
from hearsight.files.text import count_and_name, first_names
from hearsight.progress import Progress, no_progress
from hearsight.scoring.box_scores import confidences
from hearsight.scoring.clip_maps import (
    NO_BOXES,
    ClipMaps,
    ClipTruth,
    Needs,
    check_boxes,
    check_edges,
    check_scored,
    no_mask,
)
from hearsight.scoring.map_files import HeldMaps, MapFiles
from hearsight.scoring.map_names import Matches, match_names
from hearsight.scoring.protocols import Protocol, Values
from hearsight.scoring.results import EvaluatedClips

NO_MAP = "it has no map"
REST = 1e-4  # by which rounding may carry a cosine beyond 1
RANGES = {"cosine": (-1, 1), "probability": (0, 1)}


@dataclass(slots=True, kw_only=True)
class SavedMaps:
    """Maps of files, or in memory, as a `MapSource`.

    name: of their rows. values: what they are; None for what the protocol's authors have.
    confidence: that each clip shows its source, by name; None for what the protocol computes from
    a map. notes: what is to be said of the maps, after they were scored.
    """

    files: MapFiles | HeldMaps
    name: str = "maps"
    values: Values | None = None
    confidence: Mapping[str, float] | None = None
    progress: Progress = no_progress
    notes: list[str] = field(default_factory=list)

    def running(self) -> nullcontext[None]:
        """Nothing has to be made ready."""
        return nullcontext()

    def clip_maps(
        self,
        clips: Clips,
        protocol: Protocol,
        evaluated: EvaluatedClips,
        *,
        needs: Needs = "boxes",
        rated: bool = False,
    ) -> Iterator[ClipMaps]:
        """The map of each clip, one by one; clips without one are skipped.

        Raises:
            HearsightError: no map is of any clip, two are of one, a clip lacks a mask, or maps
                have other values than the protocol takes.
        """
        if needs == "boxes":
            check_boxes(clips)
        matches = self._matches(clips)
        sure = self._confidence_of(list(matches.names)) if rated else None
        scale = _Scale(self, protocol, rated=rated and sure is None)
        for index, id in enumerate(clips.ids):
            item = _truth(clips, index, needs) if id in matches.names else no_map(id)
            if isinstance(item, UnreadableClip):
                evaluated.skipped.append(item)
                continue
            maps = scale.brought(matches.names[id], id)
            evaluated.ids.append(id)
            evaluated.labels.append(item.label)
            evaluated.boxes.append(item.boxes)
            yield ClipMaps(
                items=[item],
                maps=maps,
                protocol=scale.protocol,
                confidences=np.array([sure[id]], np.float32) if sure else scale.confidences(maps),
            )
            self.progress("scoring", len(evaluated.ids) + len(evaluated.skipped), len(clips))
        check_scored(evaluated, len(clips))
        self.notes = [
            *self.files.passed_over,
            *count_and_name(
                matches.others,
                f"map of '{self.name}' is of none of the clips",
                f"maps of '{self.name}' are of none of the clips",
            ),
            *scale.notes(),
        ]

    def check(self, clips: Clips, protocols: Iterable[Protocol]) -> None:
        """Refuse, before anything is scored, maps of no clip, and such as their first one shows.

        Raises:
            HearsightError: no map is of any clip, two are of one, or the first is no map or has
                other values than one of the protocols takes.
        """
        id, name = next(iter(self._matches(clips).names.items()))
        for protocol in protocols:
            _Scale(self, protocol, rated=False).brought(name, id)

    def _matches(self, clips: Clips) -> Matches:
        frames = frames_by_clip(clips) if isinstance(clips, MaskedClips) else {}
        return match_names(self.files.names, clips.ids, frames=frames)

    def _confidence_of(self, ids: Sequence[str]) -> dict[str, float] | None:
        """The confidence of each clip that has a map, if any were given."""
        if self.confidence is None:
            return None
        matches = match_names(list(self.confidence), ids, what="confidence")
        missing = [id for id in ids if id not in matches.names]
        if missing:
            raise HearsightError(
                f"{len(missing):,} of {len(ids):,} clips with a map have no confidence: "
                f"{first_names(missing, 3)}."
            )
        return {id: self.confidence[name] for id, name in matches.names.items()}


def no_map(id: str) -> UnreadableClip:
    """A clip that cannot be scored for want of a map."""
    return UnreadableClip(id, NO_MAP)


def _truth(clips: Clips, index: int, needs: Needs) -> ClipTruth | UnreadableClip:
    """What is known of a clip, read without its frame and sound where that can be."""
    id = clips.ids[index]
    try:
        label, boxes = annotation(clips, index)
        masked = frame_truth(clips, index) if needs == "masks" else None
    except UnreadableClip as error:
        return error
    if needs == "masks" and masked is None:
        return no_mask(clips, id)
    if needs == "boxes" and boxes is None:
        return UnreadableClip(id, NO_BOXES)
    check_edges(id, boxes or ())
    return ClipTruth(id=id, label=label, boxes=boxes or (), truth=masked)


class _Scale:
    """What maps are, and how a protocol brings them to 0..1.

    rated: whether their height must tell how confident they are.
    """

    def __init__(self, source: SavedMaps, protocol: Protocol, *, rated: bool) -> None:
        self.source = source
        self.values = source.values or protocol.values
        self.rated = rated
        self.absolute = rated or protocol.scale == "cosine"
        self.name = protocol.name
        self.protocol = protocol
        if protocol.scale == "cosine" and self.values != "cosine":
            self.protocol = replace(protocol, scale="probability")
        self.sizes: Counter[tuple[int, ...]] = Counter()
        self.own_ranges = 0  # maps that reach from 0 to 1 exactly

    def brought(self, name: str, id: str) -> Float32[np.ndarray, "1 h w"]:
        """A map of values that the protocol takes."""
        files, values = self.source.files, self.source.files.read(name)
        if self.absolute and self.values == "cosine" and files.are_pictures(name):
            raise HearsightError(
                f"The map {files.said(name)} of clip '{id}' is a picture, whose shades are "
                f"no cosines, but '{self.name}' takes these: save arrays, or say by `values` what "
                "white is."
            )
        if self.absolute:
            values = _sigmoid(values) if self.source.values == "logit" else values
            self._check(values, id, name)
        self.sizes[values.shape] += 1
        self.own_ranges += values.min() == 0 and values.max() == 1
        return values[None]

    def confidences(self, maps: Float32[np.ndarray, "1 h w"]) -> Float32[np.ndarray, " 1"] | None:
        """How confident a map is; None where the protocol's own way is right, or nobody asks."""
        if not self.rated or self.values == "cosine":
            return None
        return confidences(maps, replace(self.protocol, scale="probability"))

    def _check(self, values: Float32[np.ndarray, "h w"], id: str, name: str) -> None:
        kind = "probability" if self.values == "logit" else self.values
        low, high = RANGES[kind]
        least, most = float(values.min()), float(values.max())
        if least < low - REST or most > high + REST:
            ways = "before a temperature divides them" if kind == "cosine" else "after the sigmoid"
            said = self.source.files.said(name)
            raise HearsightError(
                f"The map {said} of clip '{id}' reaches from {least:.4g} to {most:.4g}, but "
                f"'{self.name}' takes a {kind} in each pixel, {low} to {high}: save them {ways}, "
                "or say by `values` what they are."
            )

    def notes(self) -> list[str]:
        """What is to be said of all maps.

        Raises:
            HearsightError: each was normalised by itself, where cosines are needed.
        """
        found = []
        if self.absolute and self.own_ranges == self.sizes.total():
            said = f"all maps of '{self.source.name}' reach from 0 to 1 exactly"
            if self.values == "cosine" or self.rated:
                wanted = "a confidence for each clip, or maps" if self.rated else "maps"
                raise HearsightError(
                    f"{said[0].upper()}{said[1:]}: each was normalised by itself, and '{self.name}'"
                    f" needs {wanted} that were not."
                )
            found.append(f"{said}: binary, or normalised one by one, which '{self.name}' is not")
        if len(self.sizes) > 1:
            sizes = [f"{h} x {w} ({n:,})" for (h, w), n in self.sizes.most_common()]
            found.append(
                f"maps of '{self.source.name}' are of {len(sizes)} sizes: {first_names(sizes, 3)}"
            )
        return found


def _sigmoid(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """The logistic function, without overflow."""
    small = np.exp(-np.abs(values))
    found: Float32[np.ndarray, "h w"] = np.where(values >= 0, 1, small) / (1 + small)
    return found.astype(np.float32)
