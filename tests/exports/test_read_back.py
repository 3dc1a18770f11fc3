"""What is exported is what the tools for these formats read, or readers that do as they say."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from made_moments import BOXES, FILM, HOSTILE, NTSC, PICTURE, moment, moments

from hearsight.exports.export import export_pieces, write_export
from hearsight.exports.fcpxml import project_rate
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

films = pytest.mark.parametrize("film", [FILM, NTSC], ids=["25", "29.97"])


def text_of(format: str, found: Sequence[Moment], film: MediaInfo, every: float | None) -> str:
    return "".join(export_pieces(format, found, film, every=every))


# WebVTT


def cues(path: Path) -> list[tuple[float, float, str]]:
    """As webvtt-py reads them."""
    import webvtt  # type: ignore[import-untyped]

    read = webvtt.read(str(path)).captions
    return [(one.start_in_seconds, one.end_in_seconds, one.text) for one in read]


def test_a_cue_of_the_metadata_track_is_a_moment(tmp_path: Path) -> None:
    film = replace(FILM, path=Path(HOSTILE), duration=5000.0)
    found = [*moments(), moment(3700.25, BOXES[0]), moment(4000.0, None)]
    write_export(tmp_path / "a.vtt", None, found, film, every=1.0)
    read = cues(tmp_path / "a.vtt")
    assert [json.loads(text) for _, _, text in read] == [one.to_dict() for one in found]
    lines = [line for line in (tmp_path / "a.vtt").read_text().splitlines() if "-->" in line]
    assert len(lines) == len(found)
    assert lines[-2] == "01:01:40.250 --> 01:01:41.250"
    for line, one in zip(lines, found, strict=True):
        begin, end = (clock(word) for word in line.split(" --> "))
        assert begin == one.time
        assert end == one.time + 1


def clock(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_every_cue_ends_after_it_begins(tmp_path: Path) -> None:
    film = replace(FILM, duration=1.0002)
    found = [moment(0.0, BOXES[0]), moment(0.9999, BOXES[0]), moment(1.0, BOXES[1])]
    write_export(tmp_path / "a.vtt", None, found, film)
    lines = [line for line in (tmp_path / "a.vtt").read_text().splitlines() if "-->" in line]
    for line in lines:
        begin, end = (clock(word) for word in line.split(" --> "))
        assert begin < end


def test_a_chapter_is_a_stretch_with_a_source(tmp_path: Path) -> None:
    write_export(tmp_path / "a.chapters.vtt", None, moments(), FILM, every=1.0)
    read = cues(tmp_path / "a.chapters.vtt")
    assert [(begin, end) for begin, end, _ in read] == [(0, 2), (4, 5), (6, 8), (9, 10)]
    assert read[0][2] == "sound source 0.37, box 20 20 110 220"


# Tracks of boxes


def cvat_boxes(text: str, frames: int) -> list[tuple[float, ...] | None]:
    """The box of every frame, as CVAT shows them: `outside` ends a box, others are interpolated."""
    root = ET.fromstring(text)
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/mode") == "interpolation"
    label = root.findtext("meta/task/labels/label/name")
    shown: list[tuple[float, ...] | None] = [None] * frames
    for track in root.findall("track"):
        assert track.get("label") == label
        keys = [
            (
                int(box.attrib["frame"]),
                box.attrib["outside"] == "1",
                tuple(float(box.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr")),
            )
            for box in track.findall("box")
            if box.attrib["keyframe"] == "1"
        ]
        numbers = [number for number, _, _ in keys]
        assert numbers == sorted(set(numbers))
        for frame in range(numbers[0], frames):
            place = bisect_right(numbers, frame) - 1
            number, outside, box = keys[place]
            if outside:
                continue
            after = keys[place + 1] if place + 1 < len(keys) else (frames, True, box)
            weight = 0.0 if after[1] else (frame - number) / (after[0] - number)
            blended = (1 - weight) * np.array(box) + weight * np.array(after[2])
            shown[frame] = tuple(blended.tolist())
    return shown


def label_studio_boxes(text: str, frames: int) -> list[tuple[float, ...] | None]:
    """The box of every frame, as Label Studio's own tools fill in the frames between."""
    from label_studio_tools.postprocessing.video import (  # type: ignore[import-untyped]
        extract_key_frames,
    )

    [task] = json.loads(text)
    [prediction] = task["predictions"]
    shown: list[tuple[float, ...] | None] = [None] * frames
    for region in extract_key_frames(prediction["result"]):
        assert region["type"] == "videorectangle"
        numbers = [key["frame"] for key in region["value"]["sequence"]]
        assert numbers == sorted(set(numbers))
        for key in region["value"]["sequence"]:
            x, y = key["x"] * 6.4, key["y"] * 3.6
            box = (x, y, x + key["width"] * 6.4, y + key["height"] * 3.6)
            shown[key["frame"] - 1] = tuple(round(side, 6) for side in box)
    return shown


READERS = {"cvat": cvat_boxes, "label-studio": label_studio_boxes}
tools = pytest.mark.parametrize("tool", READERS)


def expected(
    found: Sequence[Moment], film: MediaInfo, every: float, frames: int
) -> list[tuple[float, ...] | None]:
    """The box of every frame: of its moment, on the way to that of the next one if it joins."""
    rate = film.frame_rate
    assert rate is not None
    shown: list[tuple[float, ...] | None] = [None] * frames
    for place, one in enumerate(found):
        assert one.frame is not None
        after = found[place + 1] if place + 1 < len(found) else None
        joins = after is not None and after.time <= one.time + every + 1e-6
        end = one.frame + max(1, round(every * rate))
        if after is None:
            end = frames if one.time + every >= film.duration else min(end, frames)
        elif joins:
            end = after.frame or 0
        for frame in range(one.frame, end if one.box else one.frame):
            target = after.box if joins and after is not None and after.box else one.box
            weight = (frame - one.frame) / (end - one.frame)
            blended = (1 - weight) * np.array(one.box) + weight * np.array(target)
            shown[frame] = tuple(blended.tolist())
    return shown


def assert_alike(
    read: list[tuple[float, ...] | None], wanted: list[tuple[float, ...] | None], within: float
) -> None:
    assert [box is not None for box in read] == [box is not None for box in wanted]
    for one, other in zip(read, wanted, strict=True):
        assert one == pytest.approx(other, abs=within)


@tools
@films
def test_a_box_is_shown_on_every_frame_of_its_moment(tool: str, film: MediaInfo) -> None:
    frames = 250 if film is FILM else 300
    read = READERS[tool](text_of(tool, moments(film), film, 1.0), frames)
    assert_alike(read, expected(moments(film), film, 1.0, frames), 1e-6)
    for one in moments(film):
        assert read[one.frame or 0] == pytest.approx(one.box)


@tools
def test_single_moments_end_where_they_end(tool: str) -> None:
    found = [moment(time, BOXES[0]) for time in (1.0, 3.0, 9.0)]
    read = READERS[tool](text_of(tool, found, FILM, 0.4), 250)
    frames = {*range(25, 35), *range(75, 85), *range(225, 235)}
    assert {place for place, box in enumerate(read) if box} == frames


@tools
def test_moments_of_one_frame_each_and_several_of_one(tool: str) -> None:
    boxes = [None if place % 3 == 2 else (place, 0, place + 9, 9) for place in range(100)]
    found = moments(every=0.01, boxes=boxes)
    read = READERS[tool](text_of(tool, found, FILM, 0.01), 250)
    first = {one.frame: one for one in reversed(found)}
    assert [box and round(box[0]) for box in read[:25]] == [
        first[frame].box[0] if first[frame].box else None  # type: ignore[index]
        for frame in range(25)
    ]
    assert not any(read[26:])


def test_frames_of_a_film_whose_rate_varies_are_those_that_were_seen() -> None:
    film = replace(FILM, frame_rate=Fraction(10))
    seen = (0, 3, 50, 51, 52)
    found = [
        replace(one, frame=frame, frame_rate=film.frame_rate)
        for one, frame in zip(moments(boxes=[BOXES[0]] * 5), seen, strict=True)
    ]
    track = ET.fromstring(text_of("cvat", found, film, 1.0)).find("track")
    assert track is not None
    assert [int(box.attrib["frame"]) for box in track] == [*seen, 62]
    # Label Studio counts at the stated rate
    [task] = json.loads(text_of("label-studio", found, film, 1.0))
    [region] = task["predictions"][0]["result"]
    assert [key["frame"] for key in region["value"]["sequence"]] == [1, 11, 21, 31, 41, 50]


def test_facts_of_the_task(tmp_path: Path) -> None:
    film = replace(NTSC, path=Path(HOSTILE))
    root = ET.fromstring(text_of("cvat", moments(film), film, 1.0))
    assert (root.findtext("meta/source") or "").startswith('a "b" <i>\'&amp; \\udcff --> é')
    assert root.findtext("meta/task/size") == "300"
    assert root.findtext("meta/task/original_size/width") == "640"
    values = [float(one.text or "") for one in root.iterfind("track/box/attribute")]
    assert values[:2] == [0.3, 0.37]
    [task] = json.loads(text_of("label-studio", moments(NTSC), NTSC, 1.0))
    assert task["data"] == {"video": "concert.mp4", "fps": pytest.approx(29.97, abs=1e-3)}


# COCO


def coco(text: str, path: Path) -> Any:
    """As pycocotools reads it."""
    from pycocotools.coco import COCO  # type: ignore[import-untyped]

    path.write_text(text)
    return COCO(str(path))


def test_pycocotools_matches_every_box(tmp_path: Path) -> None:
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    truth = coco(text_of("coco", moments(), FILM, 1.0), tmp_path / "a.json")
    assert truth.getImgIds() == list(range(1, 11))
    assert truth.getAnnIds() == list(range(1, 7))
    for image, one in zip(truth.loadImgs(truth.getImgIds()), moments(), strict=True):
        assert image["file_name"] == f"concert_{one.frame:06d}.jpg"
        assert (image["width"], image["height"]) == (640, 360)
        boxes = [each["bbox"] for each in truth.loadAnns(truth.getAnnIds([image["id"]]))]
        assert [(x, y, x + wide, y + high) for x, y, wide, high in boxes] == [one.box] * bool(
            one.box
        )
    keys = ("image_id", "category_id", "bbox", "score")
    results = [{key: each[key] for key in keys} for each in truth.dataset["annotations"]]
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_a_picture_is_an_image_under_its_own_name(tmp_path: Path) -> None:
    one = Moment(time=1.5, box=(1, 2, 30, 40), confidence=0.7, share=0.1)
    read = coco(text_of("coco", [one], PICTURE, None), tmp_path / "a.json")
    assert read.loadImgs([1])[0]["file_name"] == "street.jpg"
    assert read.loadAnns([1])[0]["bbox"] == [1, 2, 29, 38]


# Markers


def test_audacity_labels_are_stretches() -> None:
    rows = [line.split("\t") for line in text_of("audacity", moments(), FILM, 1.0).splitlines()]
    assert [(float(a), float(b)) for a, b, _ in rows] == [(0, 2), (4, 5), (6, 8), (9, 10)]
    assert [text for _, _, text in rows][1] == "sound source 0.58, box 300 0 640 360"


def seconds(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


@films
def test_markers_are_whole_frames_in_rational_seconds(film: MediaInfo) -> None:
    root = ET.fromstring(text_of("fcpxml", moments(film), film, 1.0))
    frame = seconds(root.find("resources/format").attrib["frameDuration"])  # type: ignore[union-attr]
    assert 1 / frame == film.frame_rate
    markers = root.findall(".//asset-clip/marker")
    spans = [(0, 2), (4, 5), (6, 8), (9, 10)]
    for marker, (begin, end) in zip(markers, spans, strict=True):
        start, length = seconds(marker.attrib["start"]), seconds(marker.attrib["duration"])
        assert (start / frame).denominator == (length / frame).denominator == 1
        assert 0 <= begin - start < frame
        assert 0 <= end - (start + length) < frame
    whole = seconds(root.find(".//sequence").attrib["duration"])  # type: ignore[union-attr]
    assert 0 <= 10 - whole < frame


@pytest.mark.filterwarnings("ignore:Testing an element.s truth value:DeprecationWarning")  # of 3.12
def test_opentimelineio_reads_the_markers_of_the_film(tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio", reason="it has no wheel for this Python")
    film = replace(FILM, path=Path("/films/a \"b\" <c> & 'd' é.mp4"))
    write_export(tmp_path / "a.fcpxml", None, moments(), film, every=1.0)
    read = otio.adapters.read_from_file(str(tmp_path / "a.fcpxml"))  # owns what is in it
    timeline = read[0]
    [clip] = timeline.find_clips()
    assert clip.name == film.path.name
    assert clip.duration().to_seconds() == 10
    assert [
        (one.marked_range.start_time.to_seconds(), one.marked_range.duration.to_seconds())
        for one in clip.markers
    ] == [(0, 2), (4, 1), (6, 2), (9, 1)]
    assert clip.markers[1].name == "sound source 0.58, box 300 0 640 360"


@pytest.mark.parametrize("name", ["/films/" + HOSTILE.replace("/", ""), "clips/é ü.mp4"])
def test_the_film_is_named_by_a_url(name: str) -> None:
    film = replace(FILM, path=Path(name))
    root = ET.fromstring(text_of("fcpxml", [], film, None))
    url = urlsplit(root.find("resources/asset").attrib["src"])  # type: ignore[union-attr]
    absolute = name.startswith("/")
    assert url.scheme == ("file" if absolute else "")
    read = url2pathname(url.path) if absolute else unquote(url.path)
    assert read.encode(errors="replace") == name.encode(errors="replace") or "\ufffd" in read


def test_a_rate_that_no_editor_knows_becomes_the_nearest() -> None:
    assert project_rate(replace(FILM, frame_rate=Fraction(90_000, 3003))) == Fraction(30_000, 1001)
    assert project_rate(replace(FILM, frame_rate=Fraction(2997, 100))) == Fraction(30_000, 1001)
    assert project_rate(replace(FILM, frame_rate=Fraction(1000, 37))) == Fraction(1000, 37)
    assert project_rate(replace(FILM, frame_rate=Fraction(600, 101))) == Fraction(600, 101)
