"""The page in a real browser, with a fresh profile: what people do with it."""

import json
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_media import make_video, numbered, sine
from made_server import Served, browsing, needs_browser, serving

from hearsight import Library

pytestmark = needs_browser
RATE = 25
SECONDS = 3
BARE = """() => [...document.querySelectorAll('input, select, button, a, video, canvas[role], img')]
  .filter(e => e.type !== 'hidden' && !e.labels?.length && !e.ariaLabel && e.alt === undefined
    && !e.textContent.trim()).map(e => e.outerHTML)"""
NUMBER = """() => {
  const small = new OffscreenCanvas(96, 48).getContext('2d', {willReadFrequently: true});
  small.drawImage(document.getElementById('media'), 0, 0, 96, 48);
  const [red, green] = small.getImageData(48, 24, 1, 1).data;
  return Math.round((red - 4) / 8) + 32 * Math.round((green - 4) / 8);
}"""
COLOURED = """() => {
  const map = document.querySelector('.card[data-moment] canvas.map');
  const { data } = map.getContext('2d').getImageData(0, 0, map.width, map.height);
  return data.filter((value, at) => at % 4 === 3 && value > 100).length;
}"""
CHECK_FRAMES = f"""count => new Promise(done => {{
  const video = document.getElementById('media'), map = document.getElementById('map');
  const number = {NUMBER}, seen = [];
  const look = (_, frame) => {{
    seen.push([frame.mediaTime, Number(map.dataset.time), number()]);
    if (seen.length < count) video.requestVideoFrameCallback(look);
    else {{ video.pause(); done(seen); }}
  }};
  video.requestVideoFrameCallback(look);
  video.play();
}})"""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, served: Served) -> Iterator[Any]:
    """A browser that may use a made-up camera and microphone; it asks nobody but the server."""
    profile = tmp_path_factory.mktemp("profile")
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    asked: list[str] = []
    with browsing(profile, *fake) as opened:
        opened.grant_permissions(["camera", "microphone"])
        opened.on("request", lambda request: asked.append(request.url))
        opened.set_default_timeout(60_000)
        yield opened
    here = ("http://127.0.0.1:", "data:", "blob:", "about:")
    outside = [one for one in asked if not one.startswith(here)]
    assert outside == []
    assert len(asked) > 50


@pytest.fixture
def page(context: Any, served: Served) -> Iterator[Any]:
    """A new page at the first address; whatever it logs as an error fails the test."""
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    opened.goto(served.address)
    yield opened
    opened.close()
    assert [one for one in errors if not one.startswith("Blocked script execution")] == []


@pytest.fixture(scope="module")
def counted(folder: Path) -> Path:
    """A film each frame of which tells its number by its colour."""
    frames = [numbered(number, 96, 48) for number in range(SECONDS * RATE)]
    sound = np.concatenate([sine(440.0, 2.0, 16_000), np.zeros(16_000, np.float32)])
    path = folder / "counted.mp4"
    return make_video(path, frames, rate=Fraction(RATE), sound=sound, sound_rate=16_000, group=5)


@pytest.fixture(scope="module")
def film(context: Any, served: Served, counted: Path) -> str:
    """The address of that film, sent and localised in the browser."""
    opened = context.new_page()
    opened.goto(served.address)
    opened.fill("#every", "0.5")
    opened.set_input_files("#files", counted)
    opened.wait_for_url("**/films/*")
    opened.wait_for_selector("#film[data-ready]")
    address = str(opened.url).partition("#")[0]
    opened.close()
    return address


def at(page: Any) -> float:
    """The time of the map that is drawn."""
    return float(page.get_attribute("#map", "data-time"))


def wait_at(page: Any, time: float) -> None:
    """Wait until the map is that of a time, to one frame."""
    page.wait_for_function(
        "([time, frame]) => Math.abs(document.getElementById('map').dataset.time - time) <= frame",
        arg=[time, 1.01 / RATE],
    )


@pytest.mark.slow  # a busy machine shows too few of the frames that it counts
def test_the_map_is_that_of_the_frame_on_the_screen(page: Any, film: str) -> None:
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    for time, drawn, number in page.evaluate(CHECK_FRAMES, 20):
        assert time == drawn
        assert abs(number - round(time * RATE)) <= 1  # the next one may have come meanwhile
    page.evaluate("document.getElementById('media').currentTime = 1.01")
    wait_at(page, 1.0)
    assert (at(page), page.evaluate(NUMBER)) == (pytest.approx(1.0), 25)


def test_the_timeline_seeks_by_click_by_keys_and_by_the_address(page: Any, film: str) -> None:
    page.goto(f"{film}#t=1.500")
    page.wait_for_selector("#film[data-ready]")
    wait_at(page, 1.5)
    timeline = page.locator("#timeline")
    room = timeline.bounding_box()
    timeline.click(position={"x": room["width"] / 3, "y": 10})
    wait_at(page, 1.0)
    assert re.search(r"#t=1\.0", page.url)
    for key, time in (("ArrowRight", 1.5), ("ArrowLeft", 1.0), ("ArrowLeft", 0.5), ("Home", 0.0)):
        timeline.press(key)
        wait_at(page, time)
    timeline.press(".")
    wait_at(page, 1 / RATE)
    assert float(timeline.get_attribute("aria-valuenow")) == pytest.approx(at(page), abs=0.01)
    timeline.press("End")
    wait_at(page, SECONDS)
    assert "silence" in page.inner_text("#now")
    assert "silence" in timeline.get_attribute("aria-valuetext")
    assert page.get_attribute("#map", "data-drawn") == ""
    page.goto(f"{film}#t=0.500")  # only the part behind # differs: the page stays
    wait_at(page, 0.5)
    page.go_back()
    wait_at(page, SECONDS)


def test_a_film_is_watched_with_the_keyboard_alone(page: Any, film: str) -> None:
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "play"
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.getElementById('media').paused")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("k")
    page.wait_for_function("() => document.getElementById('media').paused")
    page.focus("input[name=style]")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("input[value=contour]")
    page.focus("#strength")
    page.keyboard.press("Home")
    assert page.input_value("#strength") == "0"
    assert page.get_attribute("#map", "data-drawn") == ""


def test_a_wrong_file_is_told_in_a_sentence(page: Any, folder: Path) -> None:
    page.set_input_files("#files", folder / "p.png")
    assert "one picture and one sound" in page.inner_text("#send-failed")
    page.set_input_files("#files", folder / "wrong.mp4")
    page.wait_for_selector(".failed[role=alert]:has-text(\"'wrong.mp4'\")")


def test_two_pages_send_at_once(context: Any, page: Any, served: Served, folder: Path) -> None:
    other = context.new_page()
    other.goto(served.address)
    page.set_input_files("#files", [folder / "p.png", folder / "s.wav"])
    other.set_input_files("#files", folder / "film.mp4")
    for each in (page, other):
        each.wait_for_selector("#film[data-ready]")
    assert page.get_attribute("#film", "data-kind") == "picture"
    assert page.evaluate("document.getElementById('picture').naturalWidth") == 64
    page.wait_for_function("() => document.getElementById('media').duration > 1.9")
    other.close()


@pytest.mark.slow
def test_a_film_that_browsers_do_not_show_gets_a_copy(
    page: Any, served: Served, folder: Path
) -> None:
    frames = [numbered(number) for number in range(25)]
    old = make_video(folder / "old.mp4", frames, codec="mpeg4", sound=sine(440.0, 1.0, 44_100))
    page.set_input_files("#files", old)
    page.wait_for_selector("#film[data-ready]")
    width = "() => document.getElementById('media').videoWidth === 64"
    page.wait_for_function(width)
    key = page.get_attribute("#film", "data-id")
    (folder / "state" / "results" / key / "playable.mp4").unlink()  # as if it had seemed playable
    page.reload()
    page.wait_for_function(width)
    assert (folder / "state" / "results" / key / "playable.mp4").is_file()


@pytest.mark.slow
def test_a_film_is_painted_to_a_file(page: Any, film: str, tmp_path: Path) -> None:
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    page.check("input[value=box]")
    page.click("#paint")
    with page.expect_download() as painted:
        page.click("a[download]")
    assert painted.value.suggested_filename == "counted-box.mp4"
    with page.expect_download() as saved:
        page.click("#export")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert [json.loads(line)["time"] for line in lines] == [0.5 * n for n in range(6)]


def test_the_library_is_indexed_searched_and_taken_along(page: Any, folder: Path) -> None:
    page.click("nav a:has-text('Library')")
    page.wait_for_url("**/library", wait_until="load")  # by then its scripts listen
    with page.expect_navigation():
        page.click("[data-index]")
    page.wait_for_selector("#held li:has-text('street.mp4')")
    assert Library.open(folder / "made.library").table.info.model.endswith("tiny.safetensors")
    page.set_input_files("#files", folder / "s.wav")
    page.wait_for_selector(".card[data-moment]")
    assert "key=" in page.url
    page.wait_for_selector(".card[data-moment] canvas.map[data-drawn=heat]")
    assert page.evaluate(COLOURED) > 20
    assert not page.is_visible(".card[data-moment] svg")
    page.select_option("#drawn", "box")
    assert page.is_visible(".card[data-moment] svg")
    page.hover(".card[data-moment] .shot")
    page.wait_for_function("() => document.querySelector('.card video')?.currentTime > 0.05")
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('.card video')")
    page.click("[data-act=take]")
    page.wait_for_selector("#basket a:has-text('street.mp4')")
    with page.expect_download() as saved:
        page.click("[data-save=csv]")
    assert str(folder / "films" / "street.mp4") in Path(saved.value.path()).read_text()
    before = page.url
    page.click(".card[data-moment] .like a:has-text('picture')")
    page.wait_for_url("**/library?row=*")
    page.fill("input[name=part]", "no such file")
    page.press("input[name=part]", "Enter")
    page.wait_for_selector("#found:has-text('Nothing was found')")
    page.go_back()
    page.go_back()
    page.wait_for_selector(".card[data-moment]")
    assert page.url == before


@pytest.mark.slow
def test_the_microphone_is_searched_by_and_the_camera_localised_live(
    page: Any, served: Served
) -> None:
    page.goto(f"{served.address}library")
    with page.expect_navigation():  # the page comes anew when that is done
        page.click("[data-index]")
    page.wait_for_selector("#held li:has-text('street.mp4')")
    page.click("#record")
    page.wait_for_selector("#record:has-text('1 s')")
    page.click("#record")
    page.wait_for_selector(".card .file:has-text('recording.wav')")
    page.click("nav a:has-text('Live')")
    page.click("#start")
    page.wait_for_function("() => document.getElementById('map').dataset.shown >= 2")
    assert "confidence" in page.inner_text("#now") or "silence" in page.inner_text("#now")
    page.click("#start")
    page.wait_for_function("() => !document.getElementById('camera').srcObject.active")


def test_the_curve_of_a_training_moves(page: Any, folder: Path) -> None:
    page.click("nav a:has-text('Runs')")
    page.click("a:has-text('Curve')")
    page.wait_for_selector("figcaption:has-text('loss: 3')")
    with (folder / "runs" / "one" / "log.jsonl").open("a") as log:
        log.write('{"kind": "train", "step": 30, "loss": 2.5}\n{"kind": "tra')
    page.wait_for_selector("figcaption:has-text('loss: 2.5')")
    page.go_back()
    page.click("a:has-text('Report')")
    page.wait_for_selector("h1:has-text('A report')")
    assert page.title() == "r"  # what a report brings along is not run


def test_every_page_fits_a_phone_and_everything_on_it_has_a_name(
    page: Any, served: Served, film: str
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for address in (served.address, film, f"{served.address}library", f"{served.address}live"):
        page.goto(address)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, address
        assert page.evaluate(BARE) == [], address
        assert page.evaluate("document.querySelectorAll('h1').length") == 1


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_shows_what_was_finished(
    context: Any, served: Served, film: str, folder: Path, tmp_path: Path
) -> None:
    key = film.rpartition("/")[2]
    results = tmp_path / "state" / "results"
    shutil.copytree(folder / "state" / "results" / key, results / key)
    page = context.new_page()
    tiny = ("--model", str(folder / "tiny.safetensors"))
    with serving(tmp_path, *tiny) as first:
        mine = first.address
        page.goto(f"{mine}films/{key}")
        page.wait_for_selector("#film[data-ready]")
        first.process.kill()
        first.process.wait()
        page.click("#export")
        page.wait_for_timeout(100)
        page.goto("about:blank")
    with serving(tmp_path, *tiny, "--port", mine.strip("/").rpartition(":")[2]):
        page.goto(f"{mine}films/{key}#t=1.000")
        page.wait_for_selector("#film[data-ready]")
        wait_at(page, 1.0)
        assert page.evaluate("document.getElementById('media').videoWidth") == 96
    page.close()
