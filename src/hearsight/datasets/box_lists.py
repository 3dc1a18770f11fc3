"""Lists of boxes as those of IS3, and of AVSBench and VPO beside it.

A list of boxes is a JSON list of {image, audio, gt_box}; paths in it are those of its authors, and
their last part counts. gt_box is [x0, y0, x1, y1] in pixels of 224, or the path of a mask.

Source: IS3_annotation.json, synthetic3240_bbox.json, s4_box.json, ms3_box.json, vpo_ss_bbox.json,
vpo_ms_bbox.json and their `_seg` twins, Senocak et al., ICCV 2023, as released.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from hearsight.clips.clip import Box, as_box
from hearsight.clips.truth import SIDE
from hearsight.datasets.folders import ending_in
from hearsight.errors import HearsightError
from hearsight.files.content import check_ends, read_content
from hearsight.files.text import one_line, parse_json

NUMBERED = re.compile(r"(.+?)(?:\.mp4)?_(\d{1,4})", re.DOTALL)
LISTS = re.compile(r"IS3_annotation|.+_b?box(_seg)?", re.IGNORECASE)  # as they are released
LARGEST_LIST = 1 << 28  # bytes


def plain_name(stem: str) -> str:
    """The name of a frame without the `.mp4` that stands before its number in MS3."""
    parts = NUMBERED.fullmatch(stem)
    return stem if parts is None else f"{parts[1]}_{parts[2]}"


def box_lists(folder: Path) -> list[Path]:
    """The lists of boxes in a folder by name or content, those of masks after the others."""
    found = []
    for path in ending_in(folder, ".json"):
        if LISTS.fullmatch(path.stem):
            found.append(path)
            continue
        try:
            check_ends(path)
            with path.open("rb") as file:
                head = file.read(4096).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
        except OSError:
            continue
        if head.lstrip()[:1] == b"[" and b'"image"' in head and b'"audio"' in head:
            found.append(path)
    return sorted(found, key=lambda path: "seg" in path.stem.lower())


class ListedFrame(NamedTuple):
    """A frame of a list of boxes."""

    name: str
    label: str | None
    boxes: tuple[Box, ...] | None


def read_box_list(path: Path) -> list[ListedFrame]:
    """The frames of a list of {image, audio, gt_box}, with an empty box as it is written.

    A box is in pixels of 224, and given as fractions of them. Where `gt_box` is `[]` or null, or a
    list of these, the frame is annotated as showing no source. One that is a path names a mask.
    Where the list tells the class, as IS3_annotation.json does, under `category`, `class` or
    `label`.

    Raises:
        HearsightError: it cannot be read, has another form, or boxes of another size.
    """
    wrong = f"'{path}' is not a list of image, audio and gt_box"
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise HearsightError(f"{wrong}: it is too large.")
        held: Any = parse_json(read_content(path))
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise HearsightError(f"{wrong}.") from error
    if not isinstance(held, list) or not held:
        raise HearsightError(f"{wrong}.")
    found = []
    for item in held:
        try:
            stem = PurePosixPath(str(item["image"]).replace("\\", "/")).stem
            boxes = _box(item)
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            text = one_line(str(item))[:120]
            raise HearsightError(f"{wrong}: {text}.") from error
        label = next((item[key] for key in ("category", "class", "label") if key in item), None)
        name = plain_name(stem)
        found.append(ListedFrame(name, None if label is None else str(label), boxes))
    _check_size(path, found)
    return found


def _box(item: Mapping[str, Any]) -> tuple[Box, ...] | None:
    box = item["gt_box"] if "gt_box" in item else item["bbox"]
    if isinstance(box, str):
        return None
    if box is None or len(box) == 0:
        return ()
    if box[0] is None or isinstance(box[0], list):
        return tuple(_fractions(each) for each in box if each)
    return (_fractions(box),)


def _fractions(box: Sequence[float | int]) -> Box:
    x0, y0, x1, y1 = as_box(box)
    return x0 / SIDE, y0 / SIDE, x1 / SIDE, y1 / SIDE


def _check_size(path: Path, found: list[ListedFrame]) -> None:
    """Refuse boxes that cannot be pixels of 224.

    Raises:
        HearsightError: an edge lies beyond, or all edges are fractions.
    """
    edges = [edge * SIDE for one in found for box in one.boxes or () for edge in box]
    if not edges:
        return
    if max(edges) > SIDE:
        raise HearsightError(
            f"'{path}' has a box that ends at {max(edges):g}: its boxes are of another size than "
            f"{SIDE} x {SIDE} pixels."
        )
    if 0 < max(edges) <= 1:  # all 0 are empty boxes
        raise HearsightError(
            f"The boxes of '{path}' are fractions of the frame, where pixels of {SIDE} are wanted."
        )
