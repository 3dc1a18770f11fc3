"""Pages at a phone's width: nothing is cut without a way to scroll, and scores are seen first."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import tiny_recipe
from made_server import in_browser

from hearsight.checkpoints.card import ModelCard
from hearsight.checkpoints.checkpoint import Model, save_checkpoint
from hearsight.clips.clip import encode_picture
from hearsight.library.library import SearchResult, ShownMoment
from hearsight.localising.own_sound import Comparison, OwnSoundScore
from hearsight.model.encoders import Encoders
from hearsight.pages import search_results
from hearsight.pages.curves import BarSeries, bar_chart
from hearsight.pages.leaderboard import leaderboard_page
from hearsight.pages.report import Gallery, PaintedVideo, Picture, Report, Table, render
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.scoring.evaluation import evaluate
from hearsight.scoring.published import boards
from hearsight.studies import demo
from hearsight.studies.demo_plan import DemoOptions
from hearsight.studies.own_videos_page import before_and_after

pytestmark = in_browser
WIDTHS = (320, 360, 412)  # pixels, of small, usual and large phones
WORD = "runs/a_folder_with_a_name_that_is_longer_than_a_line_of_a_phone/best.safetensors"
SCORES = ("cIoU@0.5", "AUC", "adaptive cIoU@0.5", "adaptive AUC", "AP", "max F1", "LocAcc")
TERMS = ("contrast", "equivariance", "hard_positives_of_the_momentum_encoder", "loss")

# Elements with text, pictures or plots that lie beyond the window, in no box that scrolls
CUT = """() => {
  const scrolls = e => e && (/auto|scroll/.test(getComputedStyle(e).overflowX)
    && e.clientWidth <= innerWidth || scrolls(e.parentElement));
  const shows = e => ['IMG', 'VIDEO', 'SVG', 'AUDIO'].includes(e.tagName.toUpperCase())
    || [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  return [...document.body.querySelectorAll('*')].filter(e => !e.closest('svg *') && shows(e))
    .filter(e => {
      const { left, right } = e.getBoundingClientRect();
      return (right > innerWidth + 0.5 || left < -0.5) && !scrolls(e.parentElement);
    }).map(e => e.outerHTML.slice(0, 200));
}"""
# Elements whose content does not fit them and that neither show nor scroll the rest
HIDDEN = """() => [...document.body.querySelectorAll('*')].filter(e =>
  e.scrollWidth > e.clientWidth + 1 && e.clientWidth
  && /hidden|clip/.test(getComputedStyle(e).overflowX)).map(e => e.outerHTML.slice(0, 200))"""
# Texts of plots that their plot cuts off
PLOTTED = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const whole = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const { left, right, top, bottom } = text.getBoundingClientRect();
    return left < whole.left - 2 || right > whole.right + 2 || top < whole.top - 2
      || bottom > whole.bottom + 2;
  }).map(text => text.textContent);
})"""
# Of each table of scores: its first score, whole beside the name that stays when it is scrolled
FIRST = """() => [...document.querySelectorAll('table:not(.gallery)')].map(table => {
  const [name, score] = table.querySelector('tbody tr').children;
  const [a, b] = [name.getBoundingClientRect(), score.getBoundingClientRect()];
  return a.left >= 0 && b.left >= a.right - 1 && b.right <= innerWidth;
})"""


def pixels() -> np.ndarray:
    return np.full((160, 224, 3), 128, np.uint8)


def demo_page(folder: Path) -> str:
    """The demo's report, of a model that knows nothing."""
    model = folder / "model.safetensors"
    recipe = tiny_recipe()
    save_checkpoint(model, Encoders(recipe.encoder), recipe, facts={"batches": 2})
    (folder / "painted.mp4").touch()
    scenes = Scenes(load_pack("toys", split="val", classes=4), demo.SHOWN, size=40)
    scores = dict.fromkeys((demo.KNOWN, demo.NEW), evaluate(model, scenes, "ssl-tie"))
    options = DemoOptions(command=f"hearsight demo --out {WORD} --device cpu --workers 0")
    return render(demo.describe(folder, options, "toys", scores, (2, 6), (scenes, scenes)))


def own_videos_page(folder: Path) -> str:
    """The page of a training on one's own videos, whose names are long."""
    recipe = tiny_recipe()
    facts = {
        "command": f"hearsight train --data {WORD} --start {WORD} --device cpu --workers 0",
        "start": {"model": WORD, "recipe": "ssl_tie:small", "digest": "ea2b32414115be1a"},
        "data": [WORD],
        "held_out_videos": [f"{WORD}.mp4"] * 3,
    }
    model = Model(Encoders(recipe.encoder).eval(), recipe, facts)
    scenes = Scenes(load_pack("toys", split="val", classes=4), 3, size=40)
    moments = [replace(scenes[place], id=f"{WORD}.mp4_000{place}") for place in range(3)]
    score = OwnSoundScore(told=0.8, interval=(0.7, 0.9), found=0.9, dark=0.6, threshold=0.25)
    compared = Comparison(before=score, after=score, difference=(-0.1, 0.1), moments=3, videos=3)
    return render(
        before_and_after((WORD, "ssl_tie:small"), (model, model), moments, compared, WORD)
    )


def report_page(folder: Path) -> str:
    picture = Picture(pixels=pixels(), caption=WORD)
    rows = [
        {"name": WORD, **dict.fromkeys(SCORES, 0.4123), "clips": 1500, "device": "cpu"},
        {"name": "blind: centred disc", **dict.fromkeys(SCORES, 0.34), "clips": 1500, "device": ""},
    ]
    series = [
        BarSeries(name=name, values=[50.0, 60.0, 70.0])
        for name in ("ssl_tie:pretrained_a", "coarse_to_fine:small", "margin_nce:small", WORD)
    ]
    groups = [WORD, "people eating crisps", "vehicle horn, car horn, honking"]
    bars = bar_chart("By class", groups, series, unit="%")
    few = bar_chart(
        "By size", groups[1:], [replace(one, values=[1.0, 2.0]) for one in series[:3]], unit="%"
    )
    report = Report(
        title=f"Methods compared: {WORD}",
        summary=f"On clips of {WORD}.",
        tables=[Table(title=WORD, rows=rows, roles=("model", "blind"), note=f"Of {WORD}.")],
        log=[
            {"kind": "train", "step": step, **dict.fromkeys(TERMS, 4.0 - step)} for step in range(4)
        ],
        pictures=[picture] * 3,
        video=PaintedVideo(data=b"", caption=WORD),
        plots={WORD: [bars, few]},
        galleries=[
            Gallery(title="Cases", columns=[WORD, *"bcd"], rows=[(WORD, [picture] * 4)]),
            Gallery(title="Both", columns=["a", "b"], rows=[(WORD, [picture] * 2)], wide=True),
        ],
        cards=[ModelCard(path=Path(f"{WORD}.md"), name=WORD, short=f"learned from {WORD}.")],
        provenance={"Command": f"hearsight compare {WORD}", WORD: WORD},
    )
    return render(report)


def search_page(folder: Path) -> str:
    shown: dict[str, Any] = {
        "file": Path(f"/a/{WORD}.mp4"),
        "kind": "video",
        "time": 4.5,
        "level": -20.0,
        "thumbnail": encode_picture(pixels()),
        "box": (0.25, 0.25, 0.75, 0.75),
    }
    found = [SearchResult(score=0.9 - 0.1 * n, **shown) for n in range(3)]
    return search_results.render(
        found, Path("/b"), title=f"Sounds like {WORD}", seconds=3.0, query=ShownMoment(**shown)
    )


PAGES: dict[str, Callable[[Path], str]] = {
    "demo": demo_page,
    "own videos": own_videos_page,
    "report": report_page,
    "search": search_page,
    "leaderboard": lambda folder: leaderboard_page(boards([])),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(browser: Any, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.html"
    file.write_text(PAGES[name](tmp_path), encoding="utf-8")
    page = browser.new_page()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT) == []
        assert page.evaluate(HIDDEN) == []
        assert page.evaluate(PLOTTED) == []
        assert all(page.evaluate(FIRST)), width
    page.close()


def test_before_and_after_are_seen_beside_each_other(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.html"
    file.write_text(own_videos_page(tmp_path), encoding="utf-8")
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 740})
    page.goto(file.as_uri())
    rows = page.evaluate(
        """() => [...document.querySelectorAll('.gallery tbody tr')].map(row =>
        [...row.querySelectorAll('img')].map(e => e.getBoundingClientRect())
        .map(({ left, right, top }) => [left, right, top]))"""
    )
    assert len(rows) == 3
    for before, after in rows:
        assert before[2] == after[2]
        assert 0 <= before[0] < before[1] <= after[0] < after[1] <= WIDTHS[0]
        assert after[1] - after[0] > WIDTHS[0] / 3
    page.close()
