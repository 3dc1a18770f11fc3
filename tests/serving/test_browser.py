"""The page in a real browser, with a fresh profile: what people do with it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_media import make_video, numbered, sine
from made_server import Served, in_browser, index_folder, serving, show_library

from hearsight import Library
from hearsight.serving.texts import TEXTS

pytestmark = in_browser
RATE = 25
SECONDS = 3
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
    page.wait_for_function(  # the frame after the first, on the map and in words
        "time => [document.getElementById('map').dataset.time,"
        " document.getElementById('timeline').ariaValueNow]"
        ".every(told => Math.abs(told - time) < 0.01)",
        arg=1 / RATE,
    )
    timeline.press("End")
    wait_at(page, SECONDS)
    assert "silence" in page.inner_text("#now")
    assert "silence" in timeline.get_attribute("aria-valuetext")
    assert page.get_attribute("#map", "data-drawn") == ""
    page.goto(f"{film}#t=0.500")  # only the part behind # differs: the page stays
    wait_at(page, 0.5)
    page.go_back()
    wait_at(page, SECONDS)


def test_a_frame_that_the_browser_does_not_tell_of_is_followed_by_its_map(
    other: Any, film: str
) -> None:
    other.add_init_script("HTMLVideoElement.prototype.requestVideoFrameCallback = () => 0;")
    other.goto(f"{film}#t=1.000")
    wait_at(other, 1.0)


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
    index_folder(page)
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


def test_a_search_is_filtered_chained_and_gone_back_through(
    page: Any, served: Served, film: str, folder: Path
) -> None:
    show_library(page, served)
    page.goto(f"{film}#t=1.000")
    page.wait_for_selector("#film[data-ready]")
    wait_at(page, 1.0)
    page.click("#like-sound")
    page.wait_for_selector(".card .file:has-text('counted.mp4')")
    addresses = [page.url]
    assert "at=1.0" in page.url
    times = "all => all.map(one => Number(one.dataset.time))"
    for name, value in (("part", "STREET"), ("from", "1"), ("until", "2")):
        page.fill(f"input[name={name}]", value)
        page.press(f"input[name={name}]", "Enter")
        page.wait_for_url(f"**{name}={value}**")
        addresses.append(page.url)
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('.card[data-moment]')];"
        " return all.length && all.every(one => one.dataset.time >= 1 && one.dataset.time <= 2); }"
    )
    page.fill("input[name=from]", "9")
    page.press("input[name=from]", "Enter")
    page.wait_for_selector("#found:has-text('Nothing was found')")
    addresses.append(page.url)
    page.go_back()
    page.wait_for_selector(".card[data-moment]")
    for way in ("picture", "sound"):
        page.click(f".card[data-moment] .like a:has-text('{way}')")
        page.wait_for_url(f"**/library?row=*{'image' if way == 'picture' else way}")
        page.wait_for_selector(".card[data-moment]")
    for address in ["image", *reversed(addresses[:-1])]:
        page.go_back()
        page.wait_for_url(f"**{address}" if address == "image" else address)
        page.wait_for_selector(".card[data-moment]")
    assert page.eval_on_selector_all(".card[data-moment]", times)
    page.go_back()
    page.wait_for_selector("#film[data-ready]")
    wait_at(page, 1.0)  # the moment that was left


def test_a_part_of_a_page_that_is_refused_or_lost_is_told_and_what_was_there_stays(
    other: Any, served: Served, folder: Path
) -> None:
    show_library(other, served)
    other.select_option("#drawn", "heat")  # a browser remembers what was chosen before
    other.set_input_files("#files", folder / "s.wav")
    other.wait_for_selector(".card[data-moment]")
    other.wait_for_selector("#held li")
    other.fill("input[name=part]", "street")
    other.press("input[name=part]", "Enter")
    other.wait_for_url("**part=street**")
    other.wait_for_selector(".card[data-moment] canvas.map[data-drawn=heat]")  # of new cards, too
    for pattern, place, put in (
        ("**/library/files?*", "#held", "#find"),
        ("**/library?*", "#found", "input[name=part]"),
    ):
        before = other.inner_text(place)
        for answer, sentence in (
            (lambda route: route.fulfill(status=400, body='{"error": "Not so."}'), "Not so."),
            (lambda route: route.abort(), "The connection to hearsight was lost."),
        ):
            other.route(pattern, answer)
            other.press(put, "ControlOrMeta+a")
            other.type(put, sentence[:3])
            other.press(put, "Enter")
            other.wait_for_selector(f"#said:has-text('{sentence}')")
            assert other.inner_text(place) == before
            other.unroute(pattern)
    status, body, _ = served.ask("library/files?find=x", Hx_Request="true", Accept="text/html")
    assert status == 200
    status, body, _ = served.ask("library/play/x", Hx_Request="true", Accept="text/html")
    assert (status, json.loads(body)) == (404, {"error": TEXTS["refused"]["gone"]})


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


@pytest.mark.slow
def test_a_film_and_a_training_of_very_many_entries_are_shown(
    page: Any, served: Served, film: str, folder: Path
) -> None:
    many = 130_000  # more than a function takes as its arguments

    def with_many(route: Any) -> None:
        held = route.fetch().json()
        one = held["moments"][0]
        held["moments"] = [{**one, "time": 3 * number / many} for number in range(many)]
        route.fulfill(json=held | {"grid": [1, 1]})

    page.route("**/facts", with_many)
    page.route("**/maps", lambda route: route.fulfill(body=b"\xff" * many))
    page.goto(film)
    page.wait_for_selector("#film[data-ready]")
    page.click("#timeline")
    page.wait_for_function("() => document.getElementById('map').dataset.time > 1")
    (folder / "runs" / "long").mkdir()
    line = '{"kind": "train", "step": %d, "loss": %g}\n'
    log = "".join(line % (step, 1e6 if step == 77_777 else 1) for step in range(many))
    (folder / "runs" / "long" / "log.jsonl").write_text(log)
    page.goto(f"{served.address}runs")
    page.click("[aria-label='Curve: runs/long']")
    page.wait_for_selector("#run:has-text('Step 129999')")
    assert page.text_content(".curves text >> nth=0") == "1.0e+6"  # no peak is lost
    assert len(page.get_attribute(".curve", "d")) < 30_000


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


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ("delete Navigator.prototype.mediaDevices", "browsers lend it only to pages at"),
        ("navigator.mediaDevices.getUserMedia = refuse('NotAllowedError')", "not allowed"),
        ("navigator.mediaDevices.getUserMedia = refuse('NotFoundError')", "there is none."),
    ],
)
@pytest.mark.parametrize(("page_of", "button"), [("live", "#start"), ("library", "#record")])
def test_a_camera_or_microphone_that_cannot_be_used_is_told_in_a_sentence(
    page: Any, served: Served, page_of: str, button: str, prepare: str, sentence: str
) -> None:
    show_library(page, served)
    page.goto(f"{served.address}{page_of}")
    page.evaluate(
        "prepare => new Function('refuse', prepare)(name => () =>"
        " Promise.reject(new DOMException('of the browser', name)))",
        prepare,
    )
    page.click(button)
    page.wait_for_selector(f".failed[role=alert]:has-text('{sentence}')")
    assert "of the browser" not in page.inner_text(".failed[role=alert]")


def test_a_camera_whose_server_ends_is_told_in_a_sentence(other: Any, served: Served) -> None:
    other.goto(f"{served.address}live")
    other.route("**/live?*", lambda route: route.abort())
    other.click("#start")
    other.wait_for_selector("#failed:has-text('The connection to hearsight was lost.')")
    assert other.inner_text("#start") == "Start"
