"""A run and its scores as one HTML page: curves, tables, painted frames, a painted video.

The page is whole in itself: no script, no other file, nothing from a network (its own content
policy forbids it). It follows the reader's light or dark theme and fits a telephone.
"""

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hearsight.files.output import written_whole
from hearsight.pages.curves import Curve, plot

Role = Literal["model", "blind", "ceiling", "paper"]  # what a row of a table stands for
NAMES = {  # of validation scores, as tables have them
    "success_rate": "cIoU@0.5",
    "auc": "AUC",
    "adaptive_success_rate": "adaptive cIoU@0.5",
    "adaptive_auc": "adaptive AUC",
    "ceiling_auc": "ceiling AUC",
}
NUMBERS = r"[-\u2013\d.,± ]*"  # of which a cell may be made that holds no words
NOT_TERMS = {"kind", "step", "epoch", "learning_rate", "samples_per_second"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows with the same columns; fractions (floats) are shown in percent."""

    title: str
    rows: Sequence[Mapping[str, str | int | float | None]]
    roles: Sequence[Role]  # one for each row
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A painted frame."""

    pixels: UInt8[np.ndarray, "height width 3"]
    caption: str
    description: str = ""  # for those who cannot see it; by default the caption


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedVideo:
    """A painted video, as the bytes of its file."""

    data: bytes
    caption: str
    media_type: str = "video/mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The same clips under several methods: a row for each clip, a column for each method."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Picture]]]  # what the clip is, and one picture a column
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the page shows. Parts that are empty are left out."""

    title: str
    summary: str  # one or two sentences
    tables: Sequence[Table] = ()
    log: Sequence[Mapping[str, Any]] = ()  # entries of the run, kinds "train" and "validation"
    pictures: Sequence[Picture] = ()
    film: PaintedVideo | None = None
    plots: Mapping[str, Sequence[str]] = field(default_factory=dict)  # heading: SVG
    galleries: Sequence[Gallery] = ()
    made: Mapping[str, str] = field(default_factory=dict)  # command, seed, versions, data, ...


def render(report: Report) -> str:
    """The page as HTML. Every text is escaped; the same report gives the same page."""
    parts = [
        f'<h1>{escape(report.title)}</h1>\n<p class="summary">{escape(report.summary)}</p>',
        _section("Scores", "".join(map(_table, report.tables))),
        *(_section(escape(title), _plots(svgs)) for title, svgs in report.plots.items()),
        _section("The painted video", _film(report.film) if report.film else ""),
        _section("Painted frames", _pictures(report.pictures)),
        *(_section(escape(one.title), _gallery(one)) for one in report.galleries),
        _section("Training", _curves(report.log)),
        _section("How this was made", _made(report.made)),
    ]
    body = "\n".join(part for part in parts if part)
    return PAGE.format(title=escape(report.title), style=STYLE, body=body)


def write_report(report: Report, path: Path) -> None:
    """Write the page whole or not at all.

    Raises:
        HearsightError: it cannot be written.
    """
    page = render(report)
    with written_whole(path) as part:
        part.write_text(page, encoding="utf-8")


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _table(table: Table) -> str:
    if len(table.roles) != len(table.rows):
        raise ValueError(f"{len(table.rows)} rows with {len(table.roles)} roles")
    if not table.rows:
        return ""
    columns = list(table.rows[0])
    head = "".join(
        f'<th scope="col"{_kind(table.rows[0][column])}>{escape(column)}</th>' for column in columns
    )
    rows = []
    for row, role in zip(table.rows, table.roles, strict=True):
        first, *others = (row.get(column) for column in columns)
        tag = "" if role in ("model", first) else f' <span class="tag">{role}</span>'
        cells = "".join(_cell(value) for value in others)
        rows.append(
            f'<tr class="{role}"><th scope="row">{escape(_shown(first))}{tag}</th>{cells}</tr>'
        )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<p class="above">{escape(table.title)}</p><div class="scroll" tabindex="0">'
        f'<table aria-label="{escape(table.title)}">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _cell(value: str | int | float | None) -> str:
    return f"<td{_kind(value)}>{escape(_shown(value))}</td>"


def _kind(value: str | int | float | None) -> str:
    words = isinstance(value, str) and not re.fullmatch(NUMBERS, value)
    return ' class="text"' if words else ""


def _shown(value: str | int | float | None) -> str:
    """A fraction in percent, a count with its thousands apart, a missing number as a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\u2013"
    if isinstance(value, str):
        return value
    return f"{100 * value:.1f}" if isinstance(value, float) else f"{value:,}"


def _film(film: PaintedVideo) -> str:
    data = base64.b64encode(film.data).decode()
    return (
        f'<figure class="film"><video controls playsinline preload="metadata" '
        f'aria-label="{escape(film.caption)}" '
        f'src="data:{escape(film.media_type)};base64,{data}">'
        f"</video><figcaption>{escape(film.caption)}</figcaption></figure>"
    )


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    return f'{LEGEND}<div class="pictures">{"".join(map(_picture, pictures))}</div>'


def _picture(picture: Picture) -> str:
    return (
        f'<figure><img src="data:image/jpeg;base64,{_jpeg(picture.pixels)}" '
        f'width="{picture.pixels.shape[1]}" height="{picture.pixels.shape[0]}" '
        f'alt="{escape(picture.description or picture.caption)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _gallery(gallery: Gallery) -> str:
    if not gallery.rows:
        return ""
    if any(len(pictures) != len(gallery.columns) for _, pictures in gallery.rows):
        raise ValueError(f"a row without {len(gallery.columns)} pictures")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("clip", *gallery.columns))
    rows = "".join(
        f'<tr><th scope="row">{escape(clip)}</th>'
        + "".join(f"<td>{_picture(picture)}</td>" for picture in pictures)
        + "</tr>"
        for clip, pictures in gallery.rows
    )
    note = f'<p class="note">{escape(gallery.note)}</p>' if gallery.note else ""
    return (
        f'{note}{LEGEND}<div class="scroll" tabindex="0"><table class="gallery" '
        f'aria-label="{escape(gallery.title)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _jpeg(pixels: UInt8[np.ndarray, "height width 3"]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=88)
    return base64.b64encode(file.getvalue()).decode()


def _curves(log: Sequence[Mapping[str, Any]]) -> str:
    train = [entry for entry in log if entry.get("kind") == "train"]
    terms = sorted({name for entry in train for name in entry} - NOT_TERMS)
    validation = [entry for entry in log if entry.get("kind") == "validation"]
    scores = sorted({name for entry in validation for name in entry} - NOT_TERMS)
    plots = [
        plot("Loss", [_curve(train, name) for name in terms], unit=""),
        plot("Validation", [_curve(validation, name, 100.0) for name in scores], unit="%"),
        plot("Learning rate", [_curve(train, "learning_rate")], unit=""),
        plot("Speed", [_curve(train, "samples_per_second")], unit="clips/s"),
    ]
    return _plots(plots)


def _plots(svgs: Sequence[str]) -> str:
    figures = "".join(f"<figure>{svg}</figure>" for svg in svgs if svg)
    return f'<div class="plots">{figures}</div>' if figures else ""


def _curve(entries: Sequence[Mapping[str, Any]], name: str, factor: float = 1.0) -> Curve:
    """The finite numbers of that name, over the steps."""
    points = [
        (float(entry.get("step", index)), factor * float(entry[name]))
        for index, entry in enumerate(entries)
        if isinstance(entry.get(name), int | float) and math.isfinite(entry[name])
    ]
    steps, values = np.array(points, float).reshape(-1, 2).T
    shown = NAMES.get(name, name.replace("_", " "))
    aside = name == "loss" or name.startswith("ceiling")
    return Curve(name=shown, steps=steps, values=values, aside=aside)


def _made(made: Mapping[str, str]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in made.items()
    )
    return f"<dl>{rows}</dl>" if rows else ""


LEGEND = (
    '<p class="note">Colour: where the model hears the source, from violet (weak) to yellow '
    "(strongest). Dashed turquoise: the truth.</p>"
)

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
media-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root { --paper: #fdfdfb; --ink: #1d1f24; --soft: #646a76; --line: #dcdee3; --tint: #f3f1ea;
  --accent: #9a6200; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15171c; --ink: #e6e7ea; --soft: #9aa1ad; --line: #31353d; --tint: #1e2128;
    --accent: #ffc42e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.15; letter-spacing: -0.02em;
  margin: 0 0 0.6rem; text-wrap: balance; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 0.9rem; padding-top: 0.9rem;
  border-top: 1px solid var(--line); }
.summary { font-size: 1.1rem; max-width: 46rem; margin: 0; overflow-wrap: anywhere; }
.note, .above, figcaption { color: var(--soft); font-size: 0.875rem; }
.note { max-width: 46rem; margin: 0.4rem 0 1.2rem; }
.scroll { overflow-x: auto; margin-bottom: 0.4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 0.925rem; }
.above { margin: 1.2rem 0 0.3rem; }
th, td { padding: 0.45rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; white-space: normal; vertical-align: bottom; }
th:first-child, .text { text-align: left; }
tbody th { font-weight: 400; }
tr.model { background: var(--tint); }
tr.model th, tr.model td { font-weight: 650; }
tr.blind, tr.ceiling, tr.paper { color: var(--soft); }
.tag { border: 1px solid var(--line); border-radius: 0.6rem; padding: 0 0.45rem;
  margin-left: 0.35rem; font-size: 0.75rem; }
figure { margin: 0; }
figcaption { margin-top: 0.35rem; overflow-wrap: anywhere; line-height: 1.35; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr));
  gap: 1.1rem 0.9rem; }
.pictures img { display: block; width: 100%; height: auto; border-radius: 4px; }
.gallery th, .gallery td { vertical-align: top; text-align: left; white-space: normal;
  padding: 0.3rem; }
.gallery figure { width: 8.5rem; }
.gallery img { display: block; width: 100%; height: auto; border-radius: 4px; }
.gallery tbody th { font-size: 0.875rem; min-width: 6rem; overflow-wrap: anywhere; }
.film video { display: block; width: 100%; max-width: 48rem; border-radius: 4px;
  background: #000; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.5rem; }
.plots svg { display: block; width: 100%; height: auto; color: var(--ink); }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.35rem 1.2rem;
  margin: 0; font-size: 0.925rem; }
dt { color: var(--soft); }
dd { margin: 0; font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  font-size: 0.85rem; overflow-wrap: anywhere; white-space: pre-wrap; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.5rem; } }
"""
