"""Texts, colours and tables that the page shares with the package."""

import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import hearsight.serving
from hearsight.localising.painting import PLASMA
from hearsight.progress import no_progress
from hearsight.serving.searching import files
from hearsight.serving.service import make_templates
from hearsight.serving.state import State
from hearsight.serving.texts import TEXTS

ROOM = Path(hearsight.serving.__file__).parent
STYLE = (ROOM / "static" / "style.css").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in ROOM.glob("static/*.js")}
SCRIPTS.pop("htmx.min.js")
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in ROOM.glob("templates/*")}


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    bands = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        band / 12.92 if band <= 0.04045 else ((band + 0.055) / 1.055) ** 2.4 for band in bands
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes() -> list[dict[str, str]]:
    """The colours of the light and of the dark page."""
    found = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return [dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block)) for block in found]


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_contrast_is_that_of_aa(theme: dict[str, str]) -> None:
    for ground in ("--paper", "--tint"):
        for ink in ("--ink", "--soft", "--accent", "--failed"):
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    assert contrast(theme["--on-accent"], theme["--accent"]) >= 4.5
    assert contrast(theme["--soft"], theme["--paper"]) >= 3  # of edges
    assert contrast(theme["--loud"], theme["--tint"]) >= 3


def leaves(texts: Any, path: str = "") -> dict[str, str]:
    if isinstance(texts, str):
        return {path: texts}
    found: dict[str, str] = {}
    for name, inner in texts.items():
        assert name == "" or not hasattr(dict, name), f"a template finds the method of {name}"
        found |= leaves(inner, f"{path}.{name}" if path else name)
    return found


def test_every_text_is_used_and_every_text_that_is_used_is_there() -> None:
    known = leaves(TEXTS)
    pages = "".join(TEMPLATES.values())
    named = set(re.findall(r"\bt\.([a-z_]+(?:\.[a-z_]+)*)(?![\w\[(])", pages))
    for one in named:
        stem = one.removesuffix(".format")
        assert stem in known or any(path.startswith(f"{stem}.") for path in known), one
    used = set(re.findall(r"\btexts\.([a-z_]+(?:\.[a-z_]+)*)", "".join(SCRIPTS.values())))
    for one in used:
        path = f"script.{one}"
        assert path in known or any(each.startswith(f"{path}.") for each in known), one
    python = "".join(path.read_text(encoding="utf-8") for path in ROOM.glob("*.py"))
    scripts = {one.split(".")[0] for one in used}
    unsaid = []
    for path in known:
        first, *rest = path.split(".")
        in_script = first == "script" and rest[0] in scripts
        in_page = path in named or f"{path}.format" in named or f"t.{first}[" in pages
        if not (in_script or in_page or f'["{path.split(".")[-1]}"]' in python):
            unsaid.append(path)
    assert unsaid == []


def test_no_text_stands_in_a_template_or_loads_from_elsewhere() -> None:
    for name, template in TEMPLATES.items():
        bare = re.sub(r"\{[%{#].*?[%}#]\}|<[^>]*>|&\w+;", " ", template, flags=re.DOTALL)
        words = set(re.findall(r"[A-Za-z]{3,}", bare))
        assert words <= {"JSON", "lines", "CSV"}, name
        assert not re.search(r"style=\"|\son\w+=\"", template), name  # the policy forbids both
    for name, text in {**TEMPLATES, **SCRIPTS, "style.css": STYLE}.items():
        addresses = set(re.findall(r"https?://[^\s\"']+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_scripts_listen_to_events_that_htmx_has() -> None:
    htmx = (ROOM / "static" / "htmx.min.js").read_text(encoding="utf-8")
    heard = re.findall(r"\"(htmx:[\w:]+)\"", "".join(SCRIPTS.values()))
    assert len(heard) >= 3
    assert [one for one in heard if f'"{one}"' not in htmx] == []
    config = re.findall(r"htmx-config\" content='(.*?)'", TEMPLATES["base.html"])
    assert [one for one in json.loads(config[0]) if f"{one}:" not in htmx] == []


def test_without_scripts_a_page_says_that_it_needs_them() -> None:
    told = TEMPLATES["base.html"].partition("<noscript>")[2].partition("</noscript>")[0]
    assert "t.no_script" in told
    assert [one for one in TEMPLATES.values() if "<noscript>" in one] == [TEMPLATES["base.html"]]


def test_the_colours_of_the_map_are_those_of_painted_films() -> None:
    listed = SCRIPTS["overlay.js"].partition("const PLASMA")[2].partition(";")[0]
    assert re.findall(r"\b[0-9a-f]{6}\b", listed) == PLASMA.split()


def test_only_films_of_a_library_are_offered_to_be_localised() -> None:
    state = Mock(spec=State)
    kinds = {"/v/a.mp4": "video", "/v/b.wav": "sound", "/v/c.png": "picture"}
    state.library.table.file_kinds.return_value = kinds
    found = files(state, no_progress, part="")
    shown = make_templates().get_template("library_files.html").render(t=TEXTS, **found)
    assert re.findall(r"<span>(.*?)</span>", shown) == ["v/a.mp4", "v/b.wav", "v/c.png"]
    assert re.findall(r'aria-label="(.*?)"', shown) == ["Localise: a.mp4"]
