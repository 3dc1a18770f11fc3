"""Every format is written whole or not at all, to a file as to a stream, and says what it needs."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from made_moments import BOXES, FILM, HOSTILE, PICTURE, moment, moments

from hearsight.errors import HearsightError
from hearsight.exports.export import WRITERS, export_pieces, write_export
from hearsight.exports.formats import FORMATS, format_of
from hearsight.localising.moments import Moment

every_format = pytest.mark.parametrize("name", FORMATS)


def test_every_format_has_a_writer_and_an_ending_of_its_own() -> None:
    assert list(WRITERS) == list(FORMATS)
    for name, format in FORMATS.items():
        assert format_of(Path(f"some.film{format.ending}")).name == name
        assert format_of(Path(f"SOME{format.ending.upper()}")).name == name


@every_format
def test_a_file_and_a_stream_get_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"film{FORMATS[name].ending}"
    write_export(path, None, moments(), FILM, every=1.0)
    stream = io.BytesIO()
    write_export(stream, name, iter(moments()), FILM, every=1.0)
    other = tmp_path / "of another name.dat"
    write_export(str(other), name, moments(), FILM, every=1.0)
    text = "".join(export_pieces(name, moments(), FILM, every=1.0))
    assert path.read_bytes() == stream.getvalue() == other.read_bytes() == text.encode()
    assert not stream.closed


@every_format
def test_a_name_may_hold_anything_and_no_moment_is_an_export(name: str, tmp_path: Path) -> None:
    film = replace(FILM, path=Path(HOSTILE))
    for number, found in enumerate((moments(), [], [moment(0.0, None)])):
        path = tmp_path / f"{number}{FORMATS[name].ending}"
        write_export(path, name, found, film)
        text = path.read_bytes().decode()
        if path.suffix in (".xml", ".fcpxml"):
            ET.fromstring(text)
        elif path.suffix == ".json":
            json.loads(text)
        else:
            assert "\udcff" not in text


@every_format
def test_an_export_that_fails_leaves_nothing_and_what_was_there(name: str, tmp_path: Path) -> None:
    def failing() -> Iterator[Moment]:
        yield from moments()
        raise HearsightError("The film ends in the middle.")

    path = tmp_path / "film.dat"
    with pytest.raises(HearsightError, match="in the middle"):
        write_export(path, name, failing(), FILM)
    assert list(tmp_path.iterdir()) == []
    path.write_text("before")
    with pytest.raises(HearsightError, match="in the middle"):
        write_export(path, name, failing(), FILM)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize("name", ["jsonl", "csv", "webvtt", "cvat"])
def test_a_moment_is_written_before_all_are_there(name: str) -> None:
    taken = 0

    def counted() -> Iterator[Moment]:
        nonlocal taken
        for place in range(1000):
            taken += 1
            yield moment(place / 100, BOXES[0])

    pieces = export_pieces(name, counted(), FILM)
    for _ in range(5):
        next(pieces)
    assert taken < 10


@every_format
def test_a_picture_is_refused_where_times_or_frames_are_needed(name: str, tmp_path: Path) -> None:
    one = Moment(time=1.5, box=(1, 2, 30, 40), confidence=0.7, share=0.1)
    if FORMATS[name].video:
        with pytest.raises(HearsightError, match=rf"{name} is for videos, and 'street.jpg'"):
            write_export(tmp_path / "a.dat", name, [one], PICTURE)
        assert list(tmp_path.iterdir()) == []
    else:
        write_export(tmp_path / "a.dat", name, [one], PICTURE)
        assert "street" in (tmp_path / "a.dat").read_text() or name in ("jsonl", "csv")


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("jsonl", "csv", "coco")])
def test_moments_out_of_order_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="in order of time, not 1 s after 2 s"):
        write_export(tmp_path / "a", name, [moment(2.0, BOXES[0]), moment(1.0, None)], FILM)


def test_what_is_not_known_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no export format 'web-vtt'.* mean 'webvtt'\?"):
        write_export(tmp_path / "a.vtt", "web-vtt", [], FILM)
    with pytest.raises(HearsightError, match=r"'.*a\.json' must end in one of \.jsonl, .*"):
        write_export(tmp_path / "a.json", None, [], FILM)
    with pytest.raises(HearsightError, match="Name the format to write: jsonl, "):
        write_export(io.BytesIO(), None, [], FILM)
    with pytest.raises(HearsightError, match="there is no folder"):
        write_export(tmp_path / "no" / "a.csv", None, [], FILM)
    with pytest.raises(HearsightError, match="does not exist"):
        write_export(tmp_path / "a.csv", None, [], tmp_path / "gone.mp4")


def test_json_lines_hold_every_field() -> None:
    lines = "".join(export_pieces("jsonl", moments(), FILM)).splitlines()
    assert [json.loads(line) for line in lines] == [one.to_dict() for one in moments()]
    assert json.loads(lines[1])["frame"] == 25
    assert json.loads(lines[1])["frame_rate"] == "25"


def test_csv_holds_every_field_and_empty_cells_without_a_box() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(export_pieces("csv", moments(), FILM)))))
    for row, one in zip(rows, moments(), strict=True):
        box = tuple(int(row[side]) for side in ("x0", "y0", "x1", "y1") if row[side])
        assert (box or None) == one.box
        assert float(row["time"]) == one.time
        assert (int(row["frame"]), row["frame_rate"]) == (one.frame, "25")
        assert (float(row["confidence"]), float(row["share"])) == (one.confidence, one.share)
