"""The page at another address of this machine, in a real browser: by its token, and not without."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from made_server import Served, in_browser, serving

pytestmark = in_browser


@pytest.fixture(scope="module")
def guarded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server at all addresses of this machine, seen at one of them."""
    words = ("--model", str(folder / "tiny.safetensors"), "--folder", str(folder / "films"))
    with serving(tmp_path_factory.mktemp("guarded"), "--host", "0.0.0.0", *words) as server:
        server.address = server.address.replace("0.0.0.0", "127.0.0.1")
        yield server


@pytest.fixture
def stranger(context: Any) -> Iterator[Any]:
    """A page without the token's cookie."""
    context.clear_cookies()
    opened = context.new_page()
    yield opened
    opened.close()
    context.clear_cookies()


def test_without_the_token_nothing_is_shown(stranger: Any, guarded: Served) -> None:
    paths = ("", "films/0123456789abcdef", "events", "static/page.js", "library", "jobs")
    wrong = ("", "?token=", "?token=wrong", "?token=wrong&token=")
    for path, given in product(paths, wrong):
        status, body, headers = guarded.ask(f"{path}{given}")
        assert (status, "set-cookie" in headers) == (403, False)
        assert b"The token is missing or wrong" in body
    for address in (*paths, *wrong):
        answer = stranger.goto(f"{guarded.address}{address}")
        assert answer.status == 403
        assert "The token is missing or wrong" in stranger.inner_text("body")
    assert stranger.context.cookies() == []


def test_with_the_token_a_film_is_sent_followed_played_and_saved(
    stranger: Any, guarded: Served, folder: Path
) -> None:
    seen: dict[str, list[Any]] = {}
    stranger.on("response", lambda answer: seen.setdefault(answer.url, []).append(answer))
    stranger.goto(f"{guarded.address}?token={guarded.token}")
    assert stranger.url == guarded.address  # the token does not stay in the address
    stranger.wait_for_selector("#folder li:has-text('street.mp4')")  # by htmx
    stranger.set_input_files("#files", folder / "film.mp4")
    stranger.wait_for_selector("#film[data-ready]")
    stranger.wait_for_selector("#work-list li.done", state="attached")  # by events
    stranger.evaluate("document.getElementById('media').currentTime = 2")
    stranger.wait_for_function("() => document.getElementById('map').dataset.time > 1.5")
    media = [one.status for url, all_of in seen.items() if url.endswith("/media") for one in all_of]
    assert 206 in media
    with stranger.expect_download() as saved:
        stranger.click("#export")
    assert saved.value.suggested_filename == "film.jsonl"
    assert {one.status for all_of in seen.values() for one in all_of} <= {200, 201, 202, 206, 303}
    stranger.context.clear_cookies()
    assert stranger.reload().status == 403


def test_a_page_from_elsewhere_may_ask_nothing_though_the_browser_knows_the_token(
    other: Any, stranger: Any, served: Served, guarded: Served
) -> None:
    stranger.goto(f"{guarded.address}?token={guarded.token}")  # its cookie is this browser's now
    other.goto(served.address)
    asked = "address => fetch(address, {credentials: 'include'}).then(() => 'all', () => 'none')"
    assert other.evaluate(asked, f"{guarded.address}jobs") == "none"
    sent = "address => fetch(address, {method: 'POST', mode: 'no-cors', body: 'x'}).catch(() => 0)"
    other.evaluate(sent, f"{guarded.address}uploads?name=a.mp4")
    state = Path(guarded.process.args[guarded.process.args.index("--state") + 1])
    assert list((state / "uploads").iterdir()) == []
    assert stranger.evaluate("fetch('/jobs').then(answer => answer.status)") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"},
    ],
)
def test_with_the_token_too_a_request_that_another_page_began_is_refused(
    guarded: Served, headers: dict[str, str]
) -> None:
    port = guarded.address.strip("/").rpartition(":")[2]
    kept = {"Cookie": f"hearsight-{port}={guarded.token}"}
    assert guarded.ask("jobs", **kept)[0] == 200
    assert guarded.ask("jobs", **kept, **headers)[0] == 403
