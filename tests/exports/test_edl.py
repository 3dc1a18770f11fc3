"""Edit decision lists: timecode by its definition, and lists as readers of CMX 3600 read them."""

import io
import re
from dataclasses import replace
from fractions import Fraction
from itertools import islice, product
from pathlib import Path

import pycmx
import pytest
from made_moments import BOXES, FILM, HOSTILE, moment, moments

from hearsight.errors import HearsightError
from hearsight.exports.edl import DAY, timecode, timecode_rate
from hearsight.exports.export import export_pieces, write_export
from hearsight.exports.fcpxml import RATES
from hearsight.exports.intervals import frame_at
from hearsight.media.read import MediaInfo

BASES = dict(zip(RATES, (24, 24, 25, 30, 30, 48, 50, 60, 60), strict=True))
DROPPED = {Fraction(30_000, 1001): (0, 1), Fraction(60_000, 1001): (0, 1, 2, 3)}
SPANS = [(0.0, 2.0), (4.0, 5.0), (6.0, 8.0), (9.0, 10.0)]  # seconds, of `moments`
LOCATOR = re.compile(r"\* LOC: (\S{11}) (\w+) +(.*), until (\S{11})")


def film_at(rate: Fraction) -> MediaInfo:
    return replace(FILM, frame_rate=rate)


def text_of(film: MediaInfo) -> str:
    return "".join(export_pieces("edl", moments(film), film, every=1.0))


@pytest.mark.parametrize("rate", RATES)
def test_timecode_counts_every_number_that_is_not_dropped(rate: Fraction) -> None:
    dropped = DROPPED.get(rate, ())
    mark = ";" if dropped else ":"
    labels = (
        f"00:{minute:02}:{second:02}{mark}{frame:02}"
        for minute, second, frame in product(range(60), range(60), range(BASES[rate]))
        if not (minute % 10 and second == 0 and frame in dropped)
    )
    for number, label in enumerate(islice(labels, 21 * 60 * BASES[rate])):
        assert timecode(number, rate) == label


@pytest.mark.parametrize("rate", DROPPED)
def test_drop_frame_keeps_pace_with_the_clock(rate: Fraction) -> None:
    hour = round(3600 * rate)
    for hours in range(24):
        assert timecode(hours * hour, rate) == f"{hours:02}:00:00;00"
    assert timecode(hour, Fraction(30)) != "01:00:00:00"


@pytest.mark.parametrize("rate", RATES)
def test_a_day_is_where_timecode_ends(rate: Fraction) -> None:
    dropped = 24 * 54 * len(DROPPED.get(rate, ()))
    whole = DAY * BASES[rate] - dropped
    assert timecode(whole - 1, rate).startswith("23:59:59")
    with pytest.raises(HearsightError, match="24 hours"):
        timecode(whole, rate)
    with pytest.raises(HearsightError, match="24 hours"):
        text_of(replace(film_at(rate), duration=86_500.0))


def test_a_rate_without_timecode_is_counted_in_one_that_has_it() -> None:
    found = {15: 30, 12: 24, Fraction(25, 2): 25, 10: 30, 20: 60, 120: 30}
    for rate, counted in found.items():
        assert timecode_rate(film_at(Fraction(rate))) == counted
    assert timecode_rate(film_at(Fraction(2997, 100))) == Fraction(30_000, 1001)
    assert timecode_rate(film_at(Fraction(15_000, 1001))) == Fraction(30_000, 1001)


@pytest.mark.parametrize("rate", RATES)
def test_pycmx_reads_one_event_and_its_locators(rate: Fraction) -> None:
    film = film_at(rate)
    text = text_of(film)
    read = pycmx.parse_cmx3600(io.StringIO(text))
    assert read.title == FILM.path.name
    [event] = read.events
    [edit] = event.edits
    assert (edit.source, edit.clip_name) == ("AX", "concert.mp4")
    assert (edit.channels.video, edit.channels.audio) == (True, True)
    ends = timecode(0, rate), timecode(frame_at(10.0, rate), rate)
    assert (edit.source_in, edit.source_out) == (edit.record_in, edit.record_out) == ends
    assert text.splitlines()[1] == f"FCM: {'' if rate in DROPPED else 'NON-'}DROP FRAME"
    found = [match.groups() for match in map(LOCATOR.fullmatch, text.splitlines()) if match]
    marks = [tuple(timecode(frame_at(at, rate), rate) for at in span) for span in SPANS]
    assert [(begin, end) for begin, _, _, end in found] == marks
    assert found[1][1:3] == ("YELLOW", "sound source 0.58, box 300 0 640 360")


@pytest.mark.parametrize("rate", RATES)
def test_opentimelineio_reads_the_times(rate: Fraction, tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio", reason="it has no wheel for this Python")
    film = film_at(rate)
    write_export(tmp_path / "a.edl", None, moments(film), film, every=1.0)
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.edl"), rate=float(rate))
    clips = list(timeline.find_clips())
    assert clips
    assert {clip.name for clip in clips} == {"concert.mp4"}
    for clip in clips:
        assert clip.duration().value == frame_at(10.0, rate)
        starts = [one.marked_range.start_time.value for one in clip.markers]
        if rate not in DROPPED:  # it drops locators with a semicolon
            assert starts == [frame_at(begin, rate) for begin, _ in SPANS]
            assert {one.color for one in clip.markers} == {"YELLOW"}
    for number in (0, 1799, 1800, 17_981, 17_982, 107_891, 107_892, 1_000_000):
        read = otio.opentime.from_timecode(timecode(number, rate), float(rate))
        assert read.value == number


def test_a_name_stays_on_its_line() -> None:
    film = replace(FILM, path=Path(HOSTILE))
    lines = "".join(export_pieces("edl", [moment(0.0, BOXES[0])], film)).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["TITLE:", "FCM:", "", "001", "*", "*"]
    assert lines[3].split()[:4] == ["001", "AX", "B", "C"]
