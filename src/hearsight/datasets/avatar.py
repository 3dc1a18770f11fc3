"""AVATAR: frames of VGGSound's clips with the outlines of what sounds.

    metadata/VIDEO/FRAME.json and FRAME.jpg; the frames also as frames/VIDEO/FRAME.jpg
    video/VIDEO.mp4 (or video/video), or audio/VIDEO.wav

FRAME is the number of the frame in its video. The JSON has original_width, original_height and
annotations: each with task (the kind), audio_visual_category, and, where its source is seen,
segmentation, a list of polygons [x, y, x, y, ...] in pixels. The sound of a frame is that of 3 s
around it, of an audio file all.

The kind of a frame is the task of its first annotation that is not off-screen. It is off-screen
(null) if all of its annotations are; outlines of off-screen ones are no truth. Frames whose
annotations are of several kinds, or off-screen with an outline, are counted and named.

Source: Choi et al., What's making that sound right now?, ICCV 2025; the layout is the one that
released code which scores on it reads (ACL-SaN, 2026), as the data set's own page was not at hand.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from hearsight.clips.frame_truth import MOST_MASKED, SourceMask
from hearsight.datasets.folders import is_file, spelt
from hearsight.datasets.masked_frames import (
    MaskedFrame,
    MaskedFrames,
    Sources,
    check_any,
)
from hearsight.files.content import read_content
from hearsight.files.text import count_and_name, parse_json
from hearsight.media.picture import MOST_PIXELS

OFF_SCREEN = "off-screen"
PICTURES = ("metadata", "frames")  # folders in which frames lie
LARGEST = 1 << 14  # pixels; the side of a frame


def is_avatar(folder: Path) -> bool:
    """Whether `metadata` holds a folder with a JSON of a frame."""
    return next(_annotations(folder / "metadata"), None) is not None


def _annotations(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The videos that have annotated frames, and the names of these, sorted by number."""
    if not folder.is_dir():
        return
    for video in sorted(folder.iterdir()):
        files = video.glob("*.json") if video.is_dir() else ()
        stems = [path.stem for path in files if path.stem.isdecimal()]
        if stems:
            yield video.name, sorted(stems, key=int)


def open_avatar(folder: Path) -> MaskedFrames:
    """The annotated frames that have a picture and a sound.

    Raises:
        HearsightError: there is none.
    """
    frames, lost, damaged, total = list[MaskedFrame](), list[str](), list[str](), 0
    mute, disagreeing, videos = list[str](), list[str](), 0
    for video, stems in _annotations(folder / "metadata"):
        videos, total = videos + 1, total + len(stems)
        sound = _first(folder / name for name in _sounds(video))
        if sound is None:
            mute.append(video)
            continue
        for place, stem in enumerate(stems):
            picture = _first(folder / name / video / f"{stem}.jpg" for name in PICTURES)
            if picture is None:
                lost.append(f"{video}/{stem}")
                continue
            try:
                held = read_annotation(folder / "metadata" / video / f"{stem}.json")
            except (OSError, ValueError):
                damaged.append(f"{video}/{stem}")
                continue
            if not held.agreed:
                disagreeing.append(f"{video}/{stem}")
            frames.append(_frame(video, place, stem, picture, sound, held))
    said = [
        *_without_annotation(folder / "metadata"),
        *count_and_name(
            mute,
            "videos has neither a video nor a sound",
            "videos have neither a video nor a sound",
            total=videos,
        ),
        *count_and_name(
            lost,
            "annotated frames has no picture",
            "annotated frames have no picture",
            total=total,
        ),
        *count_and_name(damaged, "annotations is damaged", "annotations are damaged", total=total),
        *count_and_name(
            disagreeing,
            "frames has annotations that disagree; its kind is that of the first on the screen",
            "frames have annotations that disagree; their kind is that of the first on the screen",
            total=total,
        ),
    ]
    check_any(frames, folder, said)
    return MaskedFrames(frames, read_outlines, passed_over=said)


def _without_annotation(metadata: Path) -> list[str]:
    """A sentence on pictures beside the annotations that have none, unlike those of `frames`."""
    pictures = sorted(path for path in metadata.glob("*/*.jpg") if path.stem.isdecimal())
    return count_and_name(
        [
            f"{path.parent.name}/{path.stem}"
            for path in pictures
            if not path.with_suffix(".json").exists()
        ],
        f"pictures of '{metadata}' has no annotation",
        f"pictures of '{metadata}' have no annotation",
        total=len(pictures),
    )


def _sounds(video: str) -> tuple[str, ...]:
    """Where the sound of a video may lie."""
    return f"video/{video}.mp4", f"video/video/{video}.mp4", f"audio/{video}.wav"


def _first(paths: Iterable[Path]) -> Path | None:
    return next((found for path in paths if is_file(found := spelt(path))), None)


class Outline(NamedTuple):
    """The class and the polygons of a source. seen: whether its annotation is not off-screen."""

    label: str
    polygons: list[list[float]]
    seen: bool


class Annotation(NamedTuple):
    """What the JSON of a frame tells. agreed: whether its annotations are of one kind."""

    size: tuple[int, int]  # height, width
    kind: str | None
    null: bool
    agreed: bool
    outlines: tuple[Outline, ...]
    labels: tuple[str, ...]


def read_annotation(path: Path) -> Annotation:
    """The annotation of a frame.

    Raises:
        ValueError: it is damaged or of another form. OSError: it cannot be read.
    """
    held: Any = parse_json(read_content(path))
    try:
        size = int(held["original_height"]), int(held["original_width"])
        pixels = size[0] * size[1]
        if not all(0 < side <= LARGEST for side in size) or pixels > MOST_PIXELS:
            raise ValueError(f"its size is {size[1]} x {size[0]} pixels")
        every = list(held["annotations"])
        labels = [str(each["audio_visual_category"]) for each in every]
        tasks = [str(each["task"]) for each in every]
        outlines = tuple(
            Outline(
                label,
                [[float(edge) for edge in polygon] for polygon in each["segmentation"]],
                not _is_off_screen(task),
            )
            for label, task, each in zip(labels, tasks, every, strict=True)
            if each.get("segmentation")
        )
        if pixels * len(outlines) > MOST_MASKED:
            raise ValueError(f"it has {len(outlines):,} outlines of {size[1]} x {size[0]} pixels")
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"'{path.name}' is no annotation of AVATAR") from error
    seen = [task for task in tasks if not _is_off_screen(task)]
    return Annotation(
        size,
        kind=next(iter(seen or tasks), None),
        null=bool(tasks) and not seen,
        agreed=len({task.casefold() for task in tasks}) < 2 and all(one.seen for one in outlines),
        outlines=outlines,
        labels=tuple(dict.fromkeys(labels)),
    )


def _is_off_screen(task: str) -> bool:
    return task.casefold() == OFF_SCREEN


def _frame(
    video: str, place: int, stem: str, picture: Path, sound: Path, held: Annotation
) -> MaskedFrame:
    return MaskedFrame(
        id=f"{video}/{stem}",
        clip=video,
        number=place,
        picture=picture,
        sounds=(sound,),
        masks=(picture.parents[2] / "metadata" / video / f"{stem}.json",),
        label=", ".join(held.labels) or None,
        null=held.null,
        kind=held.kind,
        at_frame=int(stem),
    )


def read_outlines(frame: MaskedFrame) -> Sources:
    """A source for each annotation with an outline.

    Corners are cut to whole pixels, as released, and lie inside; `name` numbers sources of a class.
    """
    held = read_annotation(frame.masks[0])
    height, width = held.size
    sources = list[SourceMask]()
    for label, polygons, seen in held.outlines:
        picture = Image.new("1", (width, height))
        for polygon in polygons:
            corners = np.array(polygon, np.float64)
            if len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
                raise ValueError(
                    f"'{frame.masks[0].name}' has an outline of {len(corners)} numbers"
                )
            whole = np.clip(np.trunc(corners), -LARGEST, LARGEST).astype(int).tolist()
            ImageDraw.Draw(picture).polygon(whole, fill=1, outline=1)
        same = sum(one.label == label for one in sources)
        name = f"{label} {same + 1}" if same else label
        mask = np.array(picture, np.bool_)
        sources.append(SourceMask(name=name, mask=mask, label=label, sounds=seen))
    return held.size, tuple(sources)
