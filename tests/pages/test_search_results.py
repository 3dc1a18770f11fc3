"""A sheet and a page of search results: a browser shows every thumbnail and plays every clip."""

import io
import os
import shutil
import signal
import subprocess
from base64 import b64decode
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from made_library import RATE, make_clip
from made_media import make_video, numbered, sine
from made_pages import Page
from PIL import Image

from hearsight.clips.clip import encode_picture
from hearsight.errors import HearsightError
from hearsight.library.library import SearchResult, ShownMoment
from hearsight.library.thumbnails import encode_heatmap
from hearsight.localising.painting import colour_map
from hearsight.media.picture import decode_picture
from hearsight.pages import search_results
from hearsight.pages.playable import is_playable
from hearsight.pages.search_results import (
    clock,
    loudness,
    picture_of,
    render,
    save_page,
    save_sheet,
)

HOSTILE = '<script>alert("x")</script>&#t=9 %41?.mp4'


def moment(
    file: Path, time: float = 4.5, score: float = 0.9, level: float | None = -20.0
) -> SearchResult:
    pixels = np.full((144, 192, 3), (200, 40, 40), np.uint8)
    return SearchResult(
        file=file, time=time, score=score, level=level, thumbnail=encode_picture(pixels)
    )


def test_times_are_shown_as_clocks() -> None:
    assert [clock(t) for t in (0.0, 9.96, 75.5, 3725.04)] == [
        "0:00.0",
        "0:10.0",
        "1:15.5",
        "1:02:05.0",
    ]


def test_a_sheet_has_every_picture(tmp_path: Path) -> None:
    save_sheet([moment(tmp_path / f"{n}.mp4") for n in range(7)], tmp_path / "sheet.png")
    pixels = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    red = (abs(pixels - (200, 40, 40)).max(2) < 12).mean()
    assert red == pytest.approx(7 * 240 * 180 / pixels[..., 0].size, rel=0.05)
    with pytest.raises(HearsightError, match="nothing was found"):
        save_sheet([], tmp_path / "empty.png")
    with pytest.raises(HearsightError, match="must end in"):
        save_sheet([moment(tmp_path / "a.mp4")], tmp_path / "sheet.gif")


def test_the_page_names_clips_and_escapes_what_it_shows(tmp_path: Path) -> None:
    inside, outside = tmp_path / "page" / "sub" / HOSTILE, tmp_path / "far" / "it's.mp4"
    for file in (inside, outside):
        file.parent.mkdir(parents=True)
        make_clip(file, 0, 1.0)
    gone, torn = tmp_path / "gone.mp4", tmp_path / "torn.mp4"
    torn.touch()
    found = [moment(inside, 0.5), moment(outside), moment(gone, level=None), moment(torn)]
    text = render(found, tmp_path / "page", title=HOSTILE, seconds=3.0)
    page = Page(text)
    assert "<script" not in text
    assert HOSTILE in page.text
    videos = [video["src"] for video in page.all("video")]
    assert videos == [
        "./sub/%3Cscript%3Ealert%28%22x%22%29%3C/script%3E%26%23t%3D9%20%2541%3F.mp4#t=0.00,3.00",
        f"file://{tmp_path}/far/it%27s.mp4#t=3.00,6.00",
    ]
    assert len(page.all("img")) == 2
    assert "(gone)" in page.text
    assert "(cannot be read)" in page.text
    assert "silent" in page.text
    assert "Nothing was found" in render([], tmp_path, title="q", seconds=3.0)


def test_names_that_are_no_utf_8_and_folders_named_by_detours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "films").mkdir()
    names = [tmp_path / "films" / os.fsdecode(b"caf\xe9.mp4"), tmp_path / os.fsdecode(b"\xff.mp4")]
    for name in names:
        make_clip(name, 0, 1.0)
    monkeypatch.chdir(tmp_path / "films")
    page = Path("..", "films", "found.html")
    query = replace(moment(names[1]), kind="video")
    save_page([moment(names[0])], page, title=str(names[0]), seconds=1.0, query=query)
    text = page.read_text("utf-8")
    assert text.count("caf\\udce9.mp4") >= 3
    shown = [video["src"].partition("#")[0] for video in Page(text).all("video")]
    assert shown == [f"file://{tmp_path}/%FF.mp4", "./caf%E9.mp4"]


def test_a_page_shows_boxes_levels_in_words_and_what_was_searched_by(tmp_path: Path) -> None:
    film, tone, odd = tmp_path / "film.mp4", tmp_path / "tone.wav", tmp_path / "tone.aiff"
    make_clip(film, 0, 3.0)
    for path in (tone, odd):
        soundfile.write(path, sine(440.0, 3.0, RATE), RATE)
    photo = replace(moment(tmp_path / "p.png", 0.0, level=None), kind="picture")
    photo.file.touch()
    found = [
        replace(moment(film, 1.5), box=(0.25, 0.25, 0.75, 0.75)),
        replace(moment(tone, 1.5, level=-65.0), kind="sound"),
        replace(moment(odd, 1.5, level=-40.0), kind="sound"),
        photo,
        moment(film, 2.5, level=None),
    ]
    query = ShownMoment(
        file=tone, kind="sound", time=1.0, level=-13.0, thumbnail=found[0].thumbnail
    )
    text = render(found, tmp_path, title="q", seconds=2.0, query=query)
    page = Page(text)
    assert [one["src"] for one in page.all("audio")[:2]] == [
        "./tone.wav#t=0.00,2.00",
        "./tone.wav#t=0.50,2.50",
    ]
    clip = b64decode(page.all("audio")[2]["src"].removeprefix("data:audio/wav;base64,"))
    samples, rate = soundfile.read(io.BytesIO(clip))
    assert (len(samples), rate) == (2 * 16_000, 16_000)
    names = ["query", *(f"moment-{number}" for number in range(1, 6))]
    assert [one["id"] for one in page.all("figure")] == names
    for words in ("loud (\u221213 dB)", "clear (\u221220 dB)", "quiet (\u221240 dB)", "picture"):
        assert words in page.text
    assert text.count('class="tag">silent<') == 2
    assert "counts as silent" in page.text
    boxed, bare = (
        decode_picture(b64decode(video["poster"].partition(",")[2])).astype(int)
        for video in page.all("video")
    )
    amber = (boxed[..., 1] > 100).nonzero()  # the picture is red
    assert boxed.shape == (288, 384, 3)
    assert (amber[1].min() - 96, amber[1].max() - 287) == pytest.approx((0, 0), abs=4)
    assert (amber[0].min() - 72, amber[0].max() - 215) == pytest.approx((0, 0), abs=4)
    assert not (bare[..., 1] > 100).any()
    save_sheet(found, tmp_path / "sheet.png")


def test_a_picture_shows_the_heat_of_its_moment(tmp_path: Path) -> None:
    heatmap = np.zeros((4, 8), np.uint8)
    heatmap[:, :2] = 255
    found = replace(
        moment(tmp_path / "film.mp4"),
        box=(0.0, 0.0, 0.25, 1.0),
        heatmap=encode_heatmap(heatmap),
    )
    bare = picture_of(replace(found, heatmap=None)).astype(int)
    hot = picture_of(found).astype(int)
    assert hot.shape == bare.shape == (288, 384, 3)
    inside, outside = hot[40:-40, 20:60], hot[40:-40, 200:]
    assert inside == pytest.approx(0.7 * colour_map()[255] + 0.3 * bare[40:-40, 20:60], abs=3)
    assert (outside == bare[40:-40, 200:]).all()
    unknown = replace(found, box=None, heatmap=None)
    assert picture_of(unknown).shape == (144, 192, 3)


@pytest.mark.parametrize(
    ("level", "words"),
    [(-61.0, "silent"), (-60.0, "very quiet"), (-45.0, "quiet"), (-30.0, "clear"), (-3.0, "loud")],
)
def test_a_level_is_said_in_words(level: float, words: str) -> None:
    assert loudness(level) == f"{words} (\u2212{-level:.0f} dB)"


def test_the_page_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "page.html"
    save_page([moment(tmp_path / "a.mp4")], target, title="q", seconds=3.0)
    before = target.read_text()
    with pytest.raises(HearsightError, match=r"must end in \.html"):
        save_page([], tmp_path / "page.txt", title="q", seconds=3.0)
    with pytest.raises(HearsightError, match="cannot be written"):
        save_page([], tmp_path / "absent" / "page.html", title="q", seconds=3.0)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(HearsightError, match="full"):
        save_page([], target, title="q", seconds=3.0)
    assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_what_browsers_do_not_play_is_on_the_page_as_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [numbered(number) for number in range(25)]
    files = [
        make_video(tmp_path / "plays.mp4", frames),
        make_video(tmp_path / "old.mp4", frames, codec="mpeg4"),
        make_video(tmp_path / "older.mp4", frames, codec="mpeg4"),
    ]
    monkeypatch.setattr(search_results, "MOST_CLIPS", 1)
    text = render([moment(file, 0.5) for file in files], tmp_path, title="q", seconds=1.0)
    page = Page(text)
    (own, clip), (picture,) = page.all("video"), page.all("img")
    assert own["src"] == "./plays.mp4#t=0.00,1.00"
    assert clip["src"].startswith("data:video/mp4;base64,")
    assert picture["alt"] == "older.mp4 at 0:00.5"  # no more than so many clips are made
    assert "media-src 'self' file: data:" in text
    (tmp_path / "made.mp4").write_bytes(b64decode(clip["src"].partition(",")[2]))
    assert is_playable(tmp_path / "made.mp4")


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PROBE = """<script>
addEventListener("load", async () => {
  const said = [];
  for (const video of document.querySelectorAll("video")) {
    const picture = new Image();
    picture.src = video.poster;
    await picture.decode();
    const ready = new Promise(done => {
      video.onloadeddata = () => done("plays");
      video.onerror = () => done("fails");
    });
    video.preload = "auto";
    video.load();  // from the beginning, with these listeners
    said.push([picture.naturalWidth, await ready, video.currentTime.toFixed(1)].join(" "));
  }
  for (const image of document.images) said.push(image.naturalWidth);
  fetch("http://127.0.0.1:PORT/?" + encodeURIComponent(said.join(", ")), {mode: "no-cors"});
});
</script></body>"""


class Said(BaseHTTPRequestHandler):
    """Keeps what a page asks for."""

    def do_GET(self) -> None:
        self.server.said = unquote(self.path.partition("?")[2])  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_pictures_and_plays_the_clips(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    folder, far = tmp_path / "page", tmp_path / "far"
    folder.mkdir()
    far.mkdir()
    make_clip(folder / "a b#1.mp4", 0, 8.0)
    shutil.copy2(folder / "a b#1.mp4", far / "it's.mp4")
    shutil.copy2(folder / "a b#1.mp4", far / "old.avi")
    found = [moment(folder / "a b#1.mp4"), moment(far / "it's.mp4", 3.0), moment(far / "old.avi")]
    page = folder / "page.html"
    save_page(found, page, title="Sounds like surf.wav", seconds=3.0)
    with HTTPServer(("127.0.0.1", 0), Said) as server:
        port = str(server.server_port)
        allowed = f"script-src 'unsafe-inline'; connect-src http://127.0.0.1:{port}; img-src"
        text = page.read_text().replace("img-src", allowed)
        page.write_text(text.replace("</body>", PROBE.replace("PORT", port)))
        server.timeout = 120
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as browser:
            try:
                server.handle_request()
            finally:
                os.killpg(browser.pid, signal.SIGKILL)
        said = getattr(server, "said", "nothing")
    assert said == "192 plays 3.0, 192 plays 1.5, 192 plays 0.0"  # the last is a clip of its own
