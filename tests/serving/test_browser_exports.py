"""What was found leaves the page in a real browser: every export, painted films, the basket."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_server import Served, in_browser, show_library

from hearsight.exports.export import export_pieces, film_facts
from hearsight.exports.formats import FORMATS
from hearsight.media.picture import read_picture
from hearsight.media.read import probe
from hearsight.serving.result_files import read_moment

pytestmark = in_browser


@pytest.fixture
def watched(page: Any, film: str) -> Any:
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    return page


def saved(page: Any, button: str) -> tuple[str, Path]:
    """The name and the file of what a button or a link saves."""
    with page.expect_download() as download:
        page.click(button)
    return str(download.value.suggested_filename), Path(download.value.path())


def test_every_export_that_is_saved_is_the_one_that_is_written(
    watched: Any, film: str, served: Served, counted: Path
) -> None:
    offered = watched.eval_on_selector_all("#format option", "all => all.map(one => one.value)")
    assert offered == list(FORMATS)
    held = json.loads(served.ask(f"{film.removeprefix(served.address)}/facts")[1])
    moments = [read_moment(one) for one in held["moments"]]
    facts = replace(film_facts(counted), path=Path("counted.mp4"))
    for name in offered:
        watched.select_option("#format", name)
        watched.wait_for_timeout(100)  # browsers save ten files in a second, and no more
        called, path = saved(watched, "#export")
        assert called == f"counted{FORMATS[name].ending}"
        written = "".join(export_pieces(name, moments, facts, every=0.5))
        assert path.read_bytes().decode() == written, name
        assert len(written) > 20
    assert watched.url.startswith(film)


def test_an_export_that_is_refused_leaves_one_on_the_film(other: Any, film: str) -> None:
    other.goto(film)
    other.wait_for_selector("#film[data-ready]")
    other.route("**/export/csv", lambda route: route.fulfill(status=400, body='{"error": "No."}'))
    other.select_option("#format", "csv")
    other.click("#export")
    other.wait_for_selector("#said:has-text('No.')")
    assert other.url.startswith(film)


def test_a_film_is_painted_to_a_file_in_each_style(watched: Any, film: str) -> None:
    for style in ("box", "contour", "heat", "heat"):
        watched.check(f"input[value={style}]")
        watched.click("#paint")
        watched.wait_for_selector(f"#painted a[data-painted={style}]:focus")
        name, path = saved(watched, f"#painted a[data-painted={style}]")
        assert name == f"counted-{style}.mp4"
        facts = probe(path.rename(path.with_suffix(".mp4")))
        assert (facts.width, facts.height, facts.has_sound) == (96, 48, True)
        assert facts.duration == pytest.approx(3.0, abs=0.1)
    assert len(watched.query_selector_all("#painted a")) == 3  # painted again, it is listed once
    watched.reload()
    assert len(watched.query_selector_all("#painted a")) == 3


def test_a_picture_is_painted_and_saved_in_the_formats_that_have_no_times(
    page: Any, folder: Path
) -> None:
    page.set_input_files("#files", [folder / "p.png", folder / "s.wav"])
    page.wait_for_selector("#film[data-ready]")
    offered = page.eval_on_selector_all("#format option", "all => all.map(one => one.value)")
    assert offered == ["jsonl", "csv", "coco"]
    page.click("#paint")
    name, path = saved(page, "#painted a")
    assert name == "p.png + s-heat.png"
    assert read_picture(path).shape == (48, 64, 3)


def test_moments_of_films_and_of_the_library_leave_the_basket_together(
    watched: Any, served: Served, folder: Path
) -> None:
    for key in ("Home", "ArrowRight"):
        watched.press("#timeline", key)
        watched.wait_for_timeout(100)
        watched.click("#take")
    watched.wait_for_selector("#said:has-text('2 in the basket')")
    watched.click("#take")  # the same again
    watched.wait_for_selector("#said:has-text('2 in the basket')")
    show_library(watched, served)
    watched.set_input_files("#files", folder / "s.wav")
    watched.click(".card[data-moment] [data-act=take]")
    watched.wait_for_selector("#basket li:nth-child(3)")
    name, path = saved(watched, "[data-save=jsonl]")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert name == "moments.jsonl"
    assert [(Path(one["file"]).name, round(one["time"], 1)) for one in lines[:2]] == [
        ("counted.mp4", 0.0),
        ("counted.mp4", 0.5),
    ]
    assert lines[2]["file"] == str(folder / "films" / "street.mp4")
    assert all(0 <= edge <= 1 for one in lines for edge in one["box"] or [])
    name, path = saved(watched, "[data-save=csv]")
    assert [row["file"] for row in csv.DictReader(path.read_text("utf-8").splitlines())] == [
        one["file"] for one in lines
    ]
    link = watched.get_attribute("#basket li:nth-child(2) a", "href")
    watched.click("#basket li:nth-child(1) button")
    watched.click("#basket li:nth-child(1) a")  # leads to the moment
    watched.wait_for_selector("#film[data-ready]")
    leads, at = watched.url.split("#t=")
    assert leads.endswith(link.split("#t=")[0])
    assert float(at) == float(link.split("#t=")[1])
    watched.goto(f"{served.address}library")
    assert len(watched.query_selector_all("#basket li")) == 2
    watched.click("#basket-clear")
    assert watched.is_hidden("#basket-acts")
