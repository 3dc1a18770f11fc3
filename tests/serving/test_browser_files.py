"""Files that are wrong, odd or hostile, in a real browser: each ends in a sentence."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_media import make_video, numbered, sine
from made_server import Served, in_browser, show_library

pytestmark = in_browser
NAME = """it's "x" & <img src=x onerror="document.title='ran'"> ü 漢字 🎺 100% #1?{name}.mp4"""


@pytest.fixture(scope="module")
def wrong(folder: Path) -> dict[str, Path]:
    """Files that cannot be localised."""
    made = {name: folder / f"{name}.mp4" for name in ("text", "zero", "mute", "blind", "large")}
    made["text"].write_text("This is no film.\n" * 100)
    made["zero"].touch()
    make_video(made["mute"], [numbered(number) for number in range(25)])
    with av.open(made["blind"], "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        samples = sine(440.0, 2.0, 16_000)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    made["large"].write_bytes(bytes(11 << 20))  # --largest is 0.01 GiB
    return made


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("text", "'text.mp4' "),
        ("zero", "'zero.mp4' is empty"),
        ("mute", "'mute.mp4' has no sound"),
        ("blind", "'blind.mp4' has no moving pictures"),
        ("large", "large.mp4 is larger than what is taken here"),
    ],
)
def test_a_wrong_film_is_told_in_a_sentence_with_its_name(
    context: Any, served: Served, wrong: dict[str, Path], name: str, sentence: str
) -> None:
    page = context.new_page()  # what is refused the browser logs, too
    page.goto(served.address)
    page.set_input_files("#files", wrong[name])
    page.wait_for_selector(f'.failed[role=alert]:has-text("{sentence}")')
    said = page.inner_text(".failed[role=alert]")
    assert said.endswith(".")
    assert not re.search("/|Error|Traceback", said)
    page.close()


def test_a_wrong_file_to_search_by_is_told_in_a_sentence(
    context: Any, served: Served, wrong: dict[str, Path]
) -> None:
    page = context.new_page()
    show_library(page, served)
    for name, sentence in (
        ("text", "'text.mp4' "),
        ("zero", "'zero.mp4' is empty"),
        ("mute", "'mute.mp4' has no sound"),
        ("large", "large.mp4 is larger"),
    ):
        page.set_input_files("#files", wrong[name])
        page.wait_for_selector(f'#send-failed:has-text("{sentence}")')
        assert page.inner_text("#send-said") == ""
    page.close()


def test_a_folder_that_is_dropped_is_told_in_a_sentence(page: Any) -> None:
    said = page.evaluate("""async () => {
      const { send } = await import('/static/common.js');
      const none = () => Promise.reject(new DOMException('', 'NotFoundError'));
      const folder = { name: 'holidays', size: 4096, slice: () => ({ arrayBuffer: none }) };
      return send(folder, folder.name).catch(error => error.message);
    }""")
    assert said == "holidays cannot be read; a folder cannot be sent."


def test_a_name_is_shown_as_it_is_and_runs_nothing(page: Any, folder: Path) -> None:
    film = {"name": NAME, "mimeType": "video/mp4", "buffer": (folder / "film.mp4").read_bytes()}
    page.set_input_files("#files", film)
    page.wait_for_selector("#film[data-ready]")
    assert page.inner_text("h1") == NAME
    assert page.title().startswith(NAME)
    assert page.get_attribute("#media", "aria-label") == NAME
    with page.expect_download() as saved:
        page.click("#export")
    assert saved.value.suggested_filename.startswith("it's")
    assert saved.value.suggested_filename.endswith("{name}.jsonl")
    page.click("#take")
    page.click("nav a:has-text('Library')")
    page.wait_for_selector("#basket a")
    assert page.inner_text("#basket a") == NAME
    page.click("nav a:has-text('Localise')")
    page.wait_for_selector("#results a")
    assert NAME in page.eval_on_selector_all("#results a", "all => all.map(a => a.textContent)")
    page.click("#work summary")
    assert NAME in page.inner_text("#work-list")
    page.click("h1")  # closes the list, which lies over the page
    assert "onerror" not in page.evaluate("[...document.images].map(one => one.outerHTML).join()")
    page.click("#results li:has-text('漢字') button")
    page.wait_for_function("() => !document.getElementById('results').textContent.includes('漢字')")


def test_a_film_in_hevc_plays_as_a_copy(page: Any, folder: Path) -> None:
    frames = [np.tile(numbered(number), (4, 4, 1)) for number in range(25)]
    tone = sine(440.0, 1.0, 44_100)
    path = make_video(folder / "new.mp4", frames, rate=Fraction(25), codec="libx265", sound=tone)
    page.set_input_files("#files", path)
    page.wait_for_selector("#film[data-ready]")
    page.wait_for_function("() => document.getElementById('media').videoWidth === 256")
