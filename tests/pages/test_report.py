"""A report shows all its content, escaped, and loads nothing from elsewhere."""

import base64
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_pages import Page

from hearsight.errors import HearsightError
from hearsight.pages.curves import POINTS, BarSeries, bar_chart, downsampled
from hearsight.pages.report import (
    Gallery,
    PaintedVideo,
    Picture,
    Report,
    Table,
    render,
    write_report,
)

HOSTILE = "<script>alert('x')</script> & \"quotes\" $\\frac$ {braces} ]]>"


def train_log(steps: int = 30, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "kind": "train",
            "step": 10 * i,
            "epoch": i // 10,
            "contrast": 4 - 0.05 * i,
            "equivariance": 0.1,
            "learning_rate": 1e-4,
            "samples_per_second": 50.0,
        }
        | more
        for i in range(steps)
    ]


def whole_report(text: str = "plain") -> Report:
    rows = [
        {"name": f"model {text}", "clips": 1500, "cIoU@0.5": 0.4123, "note": text},
        {"name": "centred disc", "clips": 1500, "cIoU@0.5": 0.34, "note": None},
        {"name": "ceiling", "clips": 1500, "cIoU@0.5": float("nan"), "note": ""},
    ]
    validation = [
        {"kind": "validation", "step": 100 * i, "epoch": i, "ciou": 0.1 * i} for i in range(4)
    ]
    pixels = np.full((40, 60, 3), 128, np.uint8)
    return Report(
        title=f"title {text}",
        summary=f"summary {text}",
        tables=[Table(title=text, rows=rows, roles=("model", "blind", "ceiling"), note=text)],
        log=train_log() + validation,
        pictures=[Picture(pixels=pixels, caption=text, description=f"frame {text}")] * 3,
        video=PaintedVideo(data=b"film bytes", caption=text),
        provenance={"command": text, text: "4"},
    )


@cache
def whole_page(text: str = "plain") -> str:
    return render(whole_report(text))


def test_the_page_holds_every_part_and_follows_html() -> None:
    page = Page(whole_page())
    assert [tag for tag, _ in page.elements].count("h1") == 1
    for section in ("Scores", "Painted frames", "The painted video", "Training", "How this was"):
        assert section in page.text
    assert len(page.all("svg")) == 4
    assert len(page.all("img")) == 3
    assert "41.2" in page.text
    assert "34.0" in page.text
    assert "1,500" in page.text
    video = page.all("video")[0]
    assert "controls" in video
    encoded = (video["src"] or "").removeprefix("data:video/mp4;base64,")
    assert base64.b64decode(encoded) == b"film bytes"


def test_rows_have_the_class_of_their_role() -> None:
    page = Page(whole_page())
    assert [row.get("class") for row in page.all("tr")] == [None, "model", "blind", "ceiling"]


def test_nothing_comes_from_outside_and_nothing_runs() -> None:
    page = Page(whole_page(HOSTILE))
    assert not page.all("script")
    assert not page.all("link")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in ("src", "href", "xlink:href", "poster", "srcset", "data"):
                assert (value or "").startswith(("data:", "#")), f"<{tag} {name}={value}>"
    assert not re.search(r"@import|url\((?!#)", whole_page(HOSTILE))


def test_hostile_texts_are_escaped() -> None:
    text = whole_page(HOSTILE)
    assert "<script" not in text
    page = Page(text)
    for place in ("title ", "summary ", "model "):
        assert place + HOSTILE in page.text
    assert page.all("img")[0]["alt"] == "frame " + HOSTILE
    assert page.all("video")[0]["aria-label"] == HOSTILE


def test_hostile_names_in_the_log_are_escaped() -> None:
    entries = train_log(5, **{HOSTILE: 1.0, "_hidden": 2.0, "text": "no number", "nested": {}})
    text = render(Report(title="t", summary="s", log=entries))
    assert "<script" not in text
    Page(text)


def test_every_picture_and_plot_has_an_alternative_text() -> None:
    page = Page(whole_page())
    assert all(image["alt"] for image in page.all("img"))
    labels = [svg["aria-label"] or "" for svg in page.all("svg")]
    assert any("contrast from 4 to 2.55" in label for label in labels)
    assert any("ciou from 0 to 30" in label for label in labels)
    assert all(svg["role"] == "img" for svg in page.all("svg"))


def test_ids_inside_plots_are_unique() -> None:
    page = Page(whole_page())
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    text = whole_page()
    for used in re.findall(r'(?:url\(#|href="#)([^)"]+)', text):
        assert used in names


def test_the_same_report_gives_the_same_page() -> None:
    assert render(whole_report()) == whole_page()


def test_parts_that_are_empty_are_left_out() -> None:
    page = Page(render(Report(title="t", summary="s")))
    assert not page.all("section")
    log = train_log(1, contrast=float("nan"), equivariance=float("inf"))
    assert len(Page(render(Report(title="t", summary="s", log=log))).all("svg")) == 2


def test_a_gallery_shows_each_clip_under_each_method() -> None:
    pixels = np.full((40, 60, 3), 128, np.uint8)
    rows = [
        (
            f"{HOSTILE} {clip}",
            [Picture(pixels=pixels, caption=f"{clip}{method}") for method in "ab"],
        )
        for clip in range(3)
    ]
    gallery = Gallery(title="Cases", columns=["a", "b"], rows=rows, note=HOSTILE)
    page = Page(render(Report(title="t", summary="s", galleries=[gallery])))
    assert [image["alt"] for image in page.all("img")] == ["0a", "0b", "1a", "1b", "2a", "2b"]
    assert len(page.all("tr")) == 4
    assert f"{HOSTILE} 2" in page.text
    with pytest.raises(ValueError, match="without 1 pictures"):
        render(
            Report(title="t", summary="s", galleries=[Gallery(title="", columns="a", rows=rows)])
        )


def test_the_alternative_text_of_bars_says_every_value() -> None:
    svg = bar_chart(
        "By class", ["dog", HOSTILE], [BarSeries(name="x", values=[12.5, float("nan")])], unit="%"
    )
    page = Page(render(Report(title="t", summary="s", plots={"Classes": [svg]})))
    (drawn,) = page.all("svg")
    assert "dog 12.5" in (drawn["aria-label"] or "")
    assert f"{HOSTILE} nan" in (drawn["aria-label"] or "")
    assert "Classes" in page.text
    assert bar_chart("By class", [], [], unit="") == ""


def test_bars_of_nothing_begin_at_zero() -> None:
    svg = bar_chart("By class", ["a", "b"], [BarSeries(name="x", values=[0.0, 0.0])], unit="%")
    ticks = [float(text) for text in re.findall(r">([\d.]+|\u2212[\d.]+)</text>", svg)]
    assert (min(ticks), max(ticks)) == (0.0, 1.0)


def test_long_curves_are_averaged() -> None:
    values = np.arange(100_003, dtype=float)
    thin = downsampled(values)
    assert len(thin) <= POINTS
    assert np.all(np.diff(thin) > 0)
    assert thin[0] == pytest.approx(values[: -(-100_003 // POINTS)].mean())
    assert len(render(Report(title="t", summary="s", log=train_log(20_000)))) < 300_000


def test_plots_leave_matplotlib_as_it_was() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    render(Report(title="t", summary="s", log=train_log(3)))
    assert dict(matplotlib.rcParams) == before


def test_roles_must_match_rows() -> None:
    table = Table(title="t", rows=[{"name": "a"}], roles=())
    with pytest.raises(ValueError, match="roles"):
        render(Report(title="t", summary="s", tables=[table]))


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, small = tmp_path / "report.html", Report(title="t", summary="s")
    write_report(small, target)
    assert target.read_text() == render(small)
    with pytest.raises(HearsightError, match="cannot be written"):
        write_report(small, tmp_path / "missing" / "report.html")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(HearsightError, match="No space left"):
        write_report(small, target)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
