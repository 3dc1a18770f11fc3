"""One server for all tests of it, with a tiny model, and one browser, anew for each module."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from made_library import RATE, make_clip, tiny_model
from made_media import make_video, numbered, sine
from made_server import Served, browsing, serving
from PIL import Image


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "films").mkdir()
    tiny_model(made / "tiny.safetensors", threshold=-1.0)
    make_clip(made / "films" / "street.mp4", 1, 4.0)
    make_clip(made / "film.mp4", 2, 3.0)
    (made / "runs" / "one").mkdir(parents=True)
    (made / "runs" / "one" / "log.jsonl").write_text(
        '{"kind": "train", "step": 10, "loss": 4.0}\n{"kind": "train", "step": 20, "loss": 3.0}\n'
    )
    (made / "runs" / "one" / "report.html").write_text(
        "<!DOCTYPE html><title>r</title><script>document.title = 'ran'</script><h1>A report</h1>"
    )
    Image.fromarray(np.full((48, 64, 3), 128, np.uint8)).save(made / "p.png")
    soundfile.write(made / "s.wav", sine(440.0, 2.0, RATE), RATE)
    (made / "wrong.mp4").write_bytes(b"no film at all" * 100)
    return made


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    with serving(
        folder,
        *("made.library", "--folder", "films", "--runs", "runs"),
        *("--largest", "0.01", "--model", "tiny.safetensors"),
    ) as server:
        yield server


@pytest.fixture(scope="package")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound file that the browser's microphone hears over and over, read whenever it begins."""
    path = tmp_path_factory.mktemp("microphone") / "heard.wav"
    soundfile.write(path, sine(440.0, 3.0, 48_000), 48_000)
    return path


@pytest.fixture(scope="package")
def browser(heard: Path) -> Iterator[Any]:
    """A browser with a made-up camera and microphone."""
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with browsing(*fake, f"--use-file-for-fake-audio-capture={heard}") as started:
        yield started


@contextmanager
def visiting(browser: Any) -> Iterator[Any]:
    """A context of the browser, which may use both; it asks nobody but the server."""
    asked: list[str] = []
    opened = browser.new_context(permissions=["camera", "microphone"])
    opened.on("request", lambda request: asked.append(request.url))
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()
    here = ("http://127.0.0.1:", "data:", "blob:", "about:")
    outside = [one for one in asked if not one.startswith(here)]
    assert outside == []
    assert asked


@pytest.fixture(scope="module")
def context(browser: Any, served: Served) -> Iterator[Any]:
    """What the pages of a module share: cookies and what the page keeps."""
    with visiting(browser) as opened:
        yield opened


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


@pytest.fixture
def other(context: Any) -> Iterator[Any]:
    """A page that may log what it likes: some of what it shows is refused on purpose."""
    opened = context.new_page()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def counted(folder: Path) -> Path:
    """A film of 3 s, the last of them silent, whose frames tell their numbers by their colours."""
    frames = [numbered(number, 96, 48) for number in range(75)]
    sound = np.concatenate([sine(440.0, 2.0, 16_000), np.zeros(16_000, np.float32)])
    path = folder / "counted.mp4"
    return make_video(path, frames, rate=Fraction(25), sound=sound, sound_rate=16_000, group=5)


@pytest.fixture(scope="package")
def film(browser: Any, served: Served, counted: Path) -> str:
    """The address of that film, sent and localised in the browser."""
    with visiting(browser) as context:
        opened = context.new_page()
        opened.goto(served.address)
        opened.fill("#every", "0.5")
        opened.set_input_files("#files", counted)
        opened.wait_for_url("**/films/*")
        opened.wait_for_selector("#film[data-ready]")
        return str(opened.url).partition("#")[0]
