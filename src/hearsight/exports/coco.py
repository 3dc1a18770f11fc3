"""COCO: an image per moment, and an annotation per box.

Ids begin at 1: pycocotools never matches an annotation of id 0. `score` is the confidence, as in
a list of results. The image of frame n of `concert.mp4` is called `concert_00000n.jpg`.

Source: cocodataset.org, "Data format", 1 (object detection).
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from hearsight.exports.intervals import LABEL, frame_number, one_per_frame
from hearsight.exports.names import name_of
from hearsight.files.tables import DIGITS
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """One object: images of all moments, annotations of those with a source, one category."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, moment in enumerate(_distinct(moments, film), start=1):
        images.append(_image(number, moment, film))
        if moment.box is not None:
            annotations.append(_annotation(len(annotations) + 1, number, moment))
    whole = {
        "info": {"description": name_of(film)},
        "licenses": [],
        "categories": [{"id": 1, "name": LABEL, "supercategory": ""}],
        "images": images,
        "annotations": annotations,
    }
    yield from json.JSONEncoder().iterencode(whole)
    yield "\n"


def _distinct(moments: Iterable[Moment], film: MediaInfo) -> Iterable[Moment]:
    return one_per_frame(moments, film) if film.frame_rate else moments


def _image(id: int, moment: Moment, film: MediaInfo) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": id, "width": film.width, "height": film.height}
    if not film.frame_rate:
        return {**facts, "file_name": name_of(film)}
    number = frame_number(moment, film)
    stem = name_of(film).removesuffix(film.path.suffix)
    return {
        **facts,
        "file_name": f"{stem}_{number:06d}.jpg",
        "frame": number,
        "time": round(moment.time, DIGITS),
    }


def _annotation(id: int, image: int, moment: Moment) -> dict[str, Any]:
    assert moment.box is not None
    left, top, right, bottom = moment.box
    width, height = right - left, bottom - top
    return {
        "id": id,
        "image_id": image,
        "category_id": 1,
        "bbox": [left, top, width, height],
        "area": width * height,
        "segmentation": [],
        "iscrowd": 0,
        "score": round(moment.confidence, DIGITS),
    }
