"""The camera and the microphone, made up by the browser: what they hear is shown at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-untyped]
from made_media import sine
from made_server import Served, in_browser, show_library

pytestmark = in_browser
RATE = 48_000


@contextmanager
def hearing(context: Any, heard: Path, sound: np.ndarray, address: str) -> Iterator[Any]:
    """A page whose microphone hears a sound over and over; its camera is made up."""
    soundfile.write(heard, sound, RATE)
    page = context.new_page()
    page.goto(address)
    yield page
    page.close()


def test_a_source_is_shown_as_heat_and_read_aloud_seldom(
    context: Any, heard: Path, served: Served
) -> None:
    with hearing(context, heard, sine(440.0, 3.0, RATE), f"{served.address}live") as page:
        page.click("#start")
        page.wait_for_selector("#start:has-text('Stop')")
        page.wait_for_function("() => document.getElementById('map').dataset.shown >= 1")
        assert "loudness" in page.inner_text("#now")
        level = page.inner_text("#now").rpartition("loudness ")[2].split()[0]
        assert -15 <= float(level) <= -3  # a sine of half the full scale has -9 dB
        assert page.get_attribute("#map", "data-drawn") == "heat"
        assert page.inner_text("#told") == "There is a source."
        said = page.evaluate("""() => new Promise(done => {
          let changes = 0;
          const told = document.getElementById('told');
          new MutationObserver(() => { changes += 1; }).observe(told, {childList: true});
          setTimeout(() => done(changes), 2000);
        })""")
        assert said <= 1
        page.check("input[value=box]")
        page.wait_for_selector("#map[data-drawn=box]")
        page.click("#start")
        page.wait_for_selector("#start:has-text('Start')")
        assert page.inner_text("#now") == ""
        assert page.evaluate("document.getElementById('camera').srcObject.active") is False


def test_silence_is_shown_as_silence(context: Any, heard: Path, served: Served) -> None:
    with hearing(context, heard, np.zeros(3 * RATE, np.float32), f"{served.address}live") as page:
        page.click("#start")
        page.wait_for_selector("#now:has-text('silence')")
        assert page.get_attribute("#map", "data-drawn") == ""
        assert page.inner_text("#told") == "silence"


def test_what_the_microphone_hears_is_searched_by(
    context: Any, heard: Path, served: Served
) -> None:
    with hearing(context, heard, sine(440.0, 3.0, RATE), served.address) as page:
        show_library(page, served)
        page.click("#record")
        page.wait_for_selector("#record:has-text('1 s')")
        page.click("#record")
        page.wait_for_selector(".card .file:has-text('recording.wav')")
        assert page.query_selector(".card[data-moment]")
        assert "silent" not in page.inner_text(".cards")
