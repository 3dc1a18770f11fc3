"""Statistics of a data set: classes, box sizes, and damaged, empty or repeated entries."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.clips.clip import Box, Clips, UnreadableClip, annotation
from hearsight.clips.frame_truth import MaskedClips
from hearsight.clips.lists import ListEntry, clip_names, read_list
from hearsight.clips.masked_store import MaskedStore
from hearsight.clips.selection import passed_over_in, remarks_in, repeated_in
from hearsight.clips.truth import (
    PIXELS,
    SIZES,
    covers_nothing,
    is_corrupt,
    rasterise,
    size_class,
)
from hearsight.datasets.masked_frames import MaskedFrames
from hearsight.datasets.open import check_split, open_clips, read_clips
from hearsight.errors import HearsightError
from hearsight.files.tables import NARROW, text_table
from hearsight.files.text import counted, first_names
from hearsight.progress import Progress, no_progress
from hearsight.scenes.pack import SPLITS

STAGE = "counting"  # of the progress
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MASKED = (
    "clips",
    "frames",
    "masked frames",
    "sources",
    "null frames",
)  # the last: said to show nothing
AnnotatedId = tuple[str, str | None, tuple[Box, ...] | None]  # id, label, boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts, and ids of clips in the order of the source.

    A truth is the union of a clip's boxes at 224 x 224 pixels, as protocols score it. sizes: clips
    per size class of SLAVC, by the pixels of their truth. box_areas, truth_areas: quantile to
    share of the frame, over those that cover a pixel.
    """

    source: str
    clips: int
    videos: int
    classes: dict[str, int]  # most clips first
    unlabelled: int
    annotated: int  # clips with boxes, or annotated as having no visible source
    boxes: int
    box_areas: dict[str, float]
    truth_areas: dict[str, float]
    sizes: dict[str, int]
    corrupt: tuple[str, ...]  # once per box with an edge outside the frame, or not finite
    degenerate: tuple[str, ...]  # once per box that covers no pixel
    empty: tuple[str, ...]  # with boxes, none of which covers a pixel
    sourceless: tuple[str, ...]  # annotated with no box
    repeated: tuple[str, ...]  # once per further occurrence of an id
    shared_videos: dict[str, int]  # videos of several clips, most clips first
    unreadable: dict[str, str]  # id: reason
    masks: dict[str, int]  # of frames with exact masks, by `MASKED`; nothing if there is none
    mask_areas: dict[str, float]  # quantile to share of the frame, over masks that have a pixel
    empty_masks: tuple[str, ...]  # frames whose mask has no pixel, though nothing says so
    remarks: tuple[str, ...]  # sentences on what was left out, and on what is unusual
    decoded: bool | None  # whether frames and sounds were decoded; None for a list

    def row(self, most: int | None = None) -> dict[str, Any]:
        """All of it as JSON, with at most `most` ids of each kind beside their count."""
        found: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "remarks":
                found[name] = list(value)
            elif isinstance(value, tuple):
                found[name] = {"count": len(value), "ids": list(value[:most])}
            elif name in ("shared_videos", "unreadable"):
                found[name] = {"count": len(value), "ids": dict(list(value.items())[:most])}
            else:
                found[name] = value
        return found


class MaskCounts:
    """Counts of exact masks, gathered frame by frame."""

    def __init__(self) -> None:
        self.origins: dict[str, tuple[str, ...]] = {}  # of each clip, as `MaskedClips` has them
        self.frames = self.masked = self.sources = self.null = 0
        self.shares: list[float] = []
        self.empty: list[str] = []

    def add(self, clips: MaskedClips, index: int) -> None:
        """Count one frame; raises UnreadableClip."""
        self.frames += 1
        self.origins.setdefault(clips.clip_of(index), clips.origins_of(index))
        truth = clips.frame_truth(index)
        if truth is None:
            return
        self.masked += 1
        self.sources += len(truth.sources)
        self.null += truth.null
        share = float(truth.mask().mean())
        if share:
            self.shares.append(share)
        elif not truth.null:
            self.empty.append(truth.id)

    def videos(self) -> Counter[tuple[str, str]]:
        """How many clips each video has: many frames of one clip are one."""
        return Counter(
            video
            for own in self.origins.values()
            for video in {(name.kind, name.video) for name in clip_names(own)}
        )

    def counts(self) -> dict[str, int]:
        """The counts by `MASKED`; nothing if there was no frame."""
        numbers = (len(self.origins), self.frames, self.masked, self.sources, self.null)
        return dict(zip(MASKED, numbers, strict=True)) if self.frames else {}


def read_entries(
    source: str,
    split: str | None,
    *,
    decode: bool,
    unreadable: dict[str, str],
    masks: MaskCounts,
    remarks: list[str],
    progress: Progress,
) -> Iterator[AnnotatedId]:
    """Id, label and boxes of every clip of a source; unreadable clips go into `unreadable`.

    Args:
        source: a list (vggss.json has boxes, others at most labels), or what --data takes.
        split: train or val, for scenes and for lists with splits; None for the train split of
            scenes and all rows of a list.
        decode: decode frames and sounds as well; not possible for a list.
        unreadable: filled with id: reason.
        masks: counts the exact masks of a data set that has them.
        remarks: filled with sentences on what is left out and on what is unusual.
        progress: called after each clip with ("counting", done, total).

    Raises:
        HearsightError: it is neither a list nor clips, a list is to be decoded, or the source
            does not have the split.
    """
    if Path(source).is_file():
        if decode:
            raise HearsightError(f"`decode` needs clips, but '{source}' is a list.")
        entries = _rows_of(source, split)
        for done, one in enumerate(entries, 1):
            yield from ((id, one.label, one.boxes) for id in one.ids)
            progress(STAGE, done, len(entries))
        return
    if split is not None:
        check_split(source, split)
    clips = open_clips(source, split=split or "train")
    remarks += passed_over_in(clips)
    for index, id in enumerate(clips.ids):
        try:
            if isinstance(clips, MaskedFrames | MaskedStore):
                masks.add(clips, index)
            yield (id, *_annotation(clips, index, decode))
        except UnreadableClip as error:
            unreadable[error.id] = error.reason
        progress(STAGE, index + 1, len(clips))
    for id in repeated_in(clips):
        yield id, None, None
    remarks += remarks_in(clips)


def _rows_of(source: str, split: str | None) -> tuple[ListEntry, ...]:
    """The entries of a list, all or those of one split."""
    if split is None:
        return read_list(Path(source)).entries
    if split in SPLITS and any(one.split for one in read_list(Path(source)).entries):
        return read_clips(source, split).entries
    check_split(source, split)
    return ()


def _annotation(
    clips: Clips, index: int, decode: bool
) -> tuple[str | None, tuple[Box, ...] | None]:
    if not decode:
        return annotation(clips, index)
    clip = clips[index]
    if not len(clip.sound):
        raise UnreadableClip(clip.id, "its sound is empty")
    return clip.label, clip.boxes


def count(
    source: str,
    split: str | None = None,
    *,
    decode: bool = False,
    progress: Progress = no_progress,
) -> Statistics:
    """The statistics of a source; arguments and errors as of `read_entries`."""
    unreadable: dict[str, str] = {}
    found: dict[str, AnnotatedId] = {}
    repeated, masks, remarks = list[str](), MaskCounts(), list[str]()
    for entry in read_entries(
        source,
        split,
        decode=decode,
        unreadable=unreadable,
        masks=masks,
        remarks=remarks,
        progress=progress,
    ):
        if entry[0] in found or entry[0] in unreadable:
            repeated.append(entry[0])
        else:
            found[entry[0]] = entry
    ids = [*found, *unreadable]
    videos = masks.videos() or Counter((name.kind, name.video) for name in clip_names(ids))
    labels = Counter(label for _, label, _ in found.values() if label is not None)
    truths = {id: boxes for id, _, boxes in found.values() if boxes is not None}
    return Statistics(
        source=source,
        clips=len(ids),
        videos=len(videos),
        classes=dict(labels.most_common()),
        unlabelled=len(ids) - labels.total(),
        annotated=len(truths),
        boxes=sum(map(len, truths.values())),
        **_measure(truths),
        repeated=tuple(repeated),
        shared_videos={name[1]: times for name, times in videos.most_common() if times > 1},
        unreadable=unreadable,
        masks=masks.counts(),
        mask_areas=_quantiles(masks.shares),
        empty_masks=tuple(masks.empty),
        remarks=tuple(remarks),
        decoded=None if Path(source).is_file() else decode,
    )


def _measure(truths: dict[str, tuple[Box, ...]]) -> dict[str, Any]:
    """The fields of `Statistics` that are computed from boxes."""
    whole = {id: [b for b in boxes if np.isfinite(b).all()] for id, boxes in truths.items()}
    pixels = {id: rasterise(boxes, "union").pixels for id, boxes in whole.items() if boxes}
    single = [
        rasterise([box], "union").pixels if len(boxes) > 1 else pixels[id]
        for id, boxes in whole.items()
        for box in boxes
    ]
    return {
        "box_areas": _quantiles([area / PIXELS for area in single if area]),
        "truth_areas": _quantiles([area / PIXELS for area in pixels.values() if area]),
        "sizes": _sizes([area for area in pixels.values() if area]),
        "corrupt": tuple(
            id
            for id, boxes in truths.items()
            for box in boxes
            if not np.isfinite(box).all() or is_corrupt(box)
        ),
        "degenerate": tuple(
            id for id, boxes in whole.items() for box in boxes if covers_nothing(box)
        ),
        "empty": tuple(id for id, boxes in truths.items() if boxes and not pixels.get(id)),
        "sourceless": tuple(id for id, boxes in truths.items() if not boxes),
    }


def _quantiles(areas: Sequence[float]) -> dict[str, float]:
    """Areas (shares of the frame) at each of `QUANTILES`; empty if there are none."""
    if not areas:
        return {}
    shares = np.quantile(np.array(areas), QUANTILES)
    return {f"{share:g}": float(value) for share, value in zip(QUANTILES, shares, strict=True)}


def _sizes(areas: Sequence[int]) -> dict[str, int]:
    """How many truths are in each of SLAVC's size classes, named by its limit."""
    counts = Counter(map(size_class, areas))
    sides = list(SIZES.values())[:-1]
    names = [*(f"below {side} x {side}" for side in sides), f"{sides[-1]} x {sides[-1]} and above"]
    return {name: counts[size] for name, size in zip(names, SIZES, strict=True)}


def statistics_text(found: Statistics, *, most: int | None = 20, width: int | None = NARROW) -> str:
    """The statistics for the terminal: tables of counts, then ids, at most `most` of each kind.

    width: of the tables in characters; None for as much as they take.
    """
    tables: list[tuple[str, list[dict[str, str]], tuple[str, ...]]] = []
    if found.classes:
        rows = [
            {"class": label, "clips": f"{clips:,}"}
            for label, clips in list(found.classes.items())[:most]
        ]
        tables.append((counted(len(found.classes), "class", "classes"), rows, ("class",)))
    if found.masks:
        masks = {name: f"{number:,}" for name, number in found.masks.items()}
        tables.append(("exact masks", [masks], tuple(masks)))
    areas = {
        "of a box": found.box_areas,
        "of a truth": found.truth_areas,
        "of a mask": found.mask_areas,
    }
    shares = [
        {"share of the frame": name}
        | {_quantile_name(float(at)): f"{100 * value:.1f}" for at, value in each.items()}
        for name, each in areas.items()
        if each
    ]
    if shares:
        tables.append(("areas, in percent", shares, ("share of the frame",)))
    if found.truth_areas:
        sizes = {name: f"{number:,}" for name, number in found.sizes.items()}
        tables.append(("truths by size, of 224 x 224", [sizes], tuple(sizes)))
    drawn = [
        text_table(rows, title=title, title_at="left", left=left, width=width)
        for title, rows, left in tables
    ]
    return "\n".join([_head(found), *drawn, *_notes(found, most)])


def _quantile_name(share: float) -> str:
    return {0.0: "least", 0.5: "median", 1.0: "most"}.get(share, f"{100 * share:g} %")


def _head(found: Statistics) -> str:
    what = "frame" if found.masks else "clip"
    return (
        f"{found.source}: {counted(found.clips, what)} of {counted(found.videos, 'video')}; "
        f"{found.unlabelled:,} without a class, {found.clips - found.annotated:,} without "
        f"annotation; {counted(found.boxes, 'box', 'boxes')}"
    )


def _notes(found: Statistics, most: int | None) -> list[str]:
    videos = [f"{video} ({clips})" for video, clips in found.shared_videos.items()]
    unreadable = [f"{id} ({why})" for id, why in found.unreadable.items()]
    outside, dark = "with an edge outside the frame (corrupt)", "that cover no pixel (degenerate)"
    kinds: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("more class", "more classes", list(found.classes)[most or len(found.classes) :]),
        ("clip listed again", "clips listed again", found.repeated),
        ("video of several clips", "videos of several clips", videos),
        (f"box {outside}", f"boxes {outside}", found.corrupt),
        ("box that covers no pixel (degenerate)", f"boxes {dark}", found.degenerate),
        ("clip whose truth is empty", "clips whose truth is empty", found.empty),
        ("clip without a source", "clips without a source", found.sourceless),
        ("frame whose mask has no pixel", "frames whose mask has no pixel", found.empty_masks),
        ("clip that cannot be read", "clips that cannot be read", unreadable)
        if found.decoded
        else ("unreadable annotation", "unreadable annotations", unreadable),
    )
    lines = []
    for one, several, names in kinds:
        if names:
            named = first_names(names, most, separator="; ")
            lines.append(f"{counted(len(names), one, several)}: {named}")
    lines += found.remarks
    if found.decoded is False:
        lines.append("Frames and sounds were not decoded (add --decode).")
    return lines
