"""Label Studio: a task with the track of boxes as a prediction, region type `videorectangle`.

Frames count from 1 at the frame rate that the labelling configuration states, boxes are per cent
of the frame, and a key frame with `enabled` false is the last one on which the box is shown.

Source: Label Studio, docs "Export annotations" (video) and the tags Video and VideoRectangle.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from hearsight.exports.intervals import LABEL, frame_at, rate_of
from hearsight.exports.names import name_of
from hearsight.exports.tracks import KeyFrame, frame_count, key_frames
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

REGION = "sound_source"  # the region's id


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """A list of one task; without any source its prediction is empty."""
    keys = list(key_frames(moments, film, every))
    result = []
    if keys:
        value = {
            "framesCount": frame_count(film),
            "duration": film.duration,
            "labels": [LABEL],
            "sequence": list(_sequence(keys, film)),
        }
        result.append(
            {
                "id": REGION,
                "type": "videorectangle",
                "from_name": "box",
                "to_name": "video",
                "origin": "prediction",
                "value": value,
            }
        )
    task = {
        "data": {"video": name_of(film), "fps": float(rate_of(film))},
        "predictions": [{"model_version": "hearsight", "result": result}],
    }
    yield from json.JSONEncoder(indent=1).iterencode([task])
    yield "\n"


def _sequence(keys: list[KeyFrame], film: MediaInfo) -> Iterator[dict[str, Any]]:
    """The key frames of the region: a box that ends is shown until the frame before."""
    rate = rate_of(film)
    done = 0  # frames so far
    for key, after in pairwise([*keys, None]):
        assert key is not None
        first = frame_at(key.time, rate) + 1
        if key.outside or first <= done:
            continue
        last = None
        if after is not None and after.outside:
            last = max(first, frame_at(after.time, rate))  # the one before, counted from 1
        yield _key_frame(key, first, enabled=last != first, film=film)
        if last is not None and last > first:
            yield _key_frame(key, last, enabled=False, film=film)
        done = first if last is None else last


def _key_frame(key: KeyFrame, frame: int, *, enabled: bool, film: MediaInfo) -> dict[str, Any]:
    assert film.width
    assert film.height
    left, top, right, bottom = key.box
    return {
        "frame": frame,
        "time": round(float((frame - 1) / rate_of(film)), 6),
        "enabled": enabled,
        "rotation": 0,
        "x": 100 * left / film.width,
        "y": 100 * top / film.height,
        "width": 100 * (right - left) / film.width,
        "height": 100 * (bottom - top) / film.height,
    }
