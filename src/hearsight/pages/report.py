"""The report of a training run as one HTML page: scores, curves, painted frames, a painted video.

The page contains all that it shows; its content policy forbids scripts and other files.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from hearsight.checkpoints.card import ModelCard
from hearsight.clips.clip import encode_picture
from hearsight.pages.curves import Curve, plot
from hearsight.pages.html_page import card_note, data_url, html_page, write_page

Role = Literal["model", "other", "blind", "ceiling", "paper"]  # where scores of a row come from
SCORE_NAMES = {  # of validation scores in the log, as tables have them
    "success_rate": "cIoU@0.5",
    "auc": "AUC",
    "adaptive_success_rate": "adaptive cIoU@0.5",
    "adaptive_auc": "adaptive AUC",
    "ceiling_auc": "ceiling AUC",
}
NUMERIC = r"[-+\u2013\d.,± ]*(to [-+\d.]*)?"  # text of a cell that is aligned like a number
OPTION = re.compile(r"(?<!\S)--[a-z-]+")  # of a command
WHOLE = r'<span class="option">\g<0></span>'  # else lines end between its hyphens
NO_TERMS = {"kind", "step", "epoch", "learning_rate", "samples_per_second"}  # nor scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of scores; every row has the same columns, floats are shown in percent."""

    title: str
    rows: Sequence[Mapping[str, str | int | float | None]]
    roles: Sequence[Role]  # one per row
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A painted frame."""

    pixels: UInt8[np.ndarray, "height width 3"]
    caption: str
    description: str = ""  # alternative text; by default the caption


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedVideo:
    """A painted video."""

    data: bytes  # of the file
    caption: str
    media_type: str = "video/mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The same clips painted by several methods: one row per clip, one column per method."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Picture]]]  # name of the clip, one picture per column
    note: str = ""
    truths: bool = True  # whether they are drawn
    wide: bool = False  # larger pictures, for two columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The content of a report. Empty parts are left out of the page."""

    title: str
    summary: str  # one or two sentences
    tables: Sequence[Table] = ()
    log: Sequence[Mapping[str, Any]] = ()  # the run's log; kinds "train" and "validation"
    pictures: Sequence[Picture] = ()
    video: PaintedVideo | None = None
    plots: Mapping[str, Sequence[str]] = field(default_factory=dict)  # heading: SVG
    galleries: Sequence[Gallery] = ()
    cards: Sequence[ModelCard] = ()  # of the models that it is about
    provenance: Mapping[str, str] = field(default_factory=dict)  # command, seed, versions, ...


def render(report: Report) -> str:
    """The page as HTML, all text escaped; the same report gives the same page."""
    parts = [
        card_note(report.cards),
        _section("Scores", "".join(map(_table, report.tables))),
        *(_section(escape(title), _plots(svgs)) for title, svgs in report.plots.items()),
        _section("The painted video", _video(report.video) if report.video else ""),
        _section("Painted frames", _pictures(report.pictures)),
        *(_section(escape(one.title), _gallery(one)) for one in report.galleries),
        _section("Training", _curves(report.log)),
        _section("How this was made", _provenance(report.provenance)),
    ]
    return html_page(report.title, report.summary, parts)


def write_report(report: Report, path: Path) -> None:
    """Write the page whole or not at all.

    Raises:
        HearsightError: it cannot be written.
    """
    write_page(render(report), path)


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>" if content else ""


def _table(table: Table) -> str:
    if len(table.roles) != len(table.rows):
        raise ValueError(f"{len(table.rows)} rows with {len(table.roles)} roles")
    if not table.rows:
        return ""
    columns = list(table.rows[0])
    head = "".join(
        f'<th scope="col"{_cell_class(table.rows[0][column])}>{escape(column)}</th>'
        for column in columns
    )
    rows = []
    for row, role in zip(table.rows, table.roles, strict=True):
        first, *others = (row.get(column) for column in columns)
        tag = "" if role in ("model", "other", first) else f' <span class="tag">{role}</span>'
        cells = "".join(_cell(value) for value in others)
        rows.append(
            f'<tr class="{role}"><th scope="row">{escape(_cell_text(first))}{tag}</th>{cells}</tr>'
        )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<p class="above">{escape(table.title)}</p><div class="scroll" tabindex="0">'
        f'<table aria-label="{escape(table.title)}">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _cell(value: str | int | float | None) -> str:
    return f"<td{_cell_class(value)}>{escape(_cell_text(value))}</td>"


def _cell_class(value: str | int | float | None) -> str:
    text = isinstance(value, str) and not re.fullmatch(NUMERIC, value)
    return ' class="text"' if text else ""


def _cell_text(value: str | int | float | None) -> str:
    """A float in percent, a count with thousands separators, a missing or NaN value as a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\u2013"
    if isinstance(value, str):
        return value
    return f"{100 * value:.1f}" if isinstance(value, float) else f"{value:,}"


def _video(video: PaintedVideo) -> str:
    return (
        f'<figure class="film"><video controls playsinline preload="metadata" '
        f'aria-label="{escape(video.caption)}" '
        f'src="{escape(data_url(video.data, video.media_type))}">'
        f"</video><figcaption>{escape(video.caption)}</figcaption></figure>"
    )


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    return f'{LEGEND}<div class="pictures">{"".join(map(_picture, pictures))}</div>'


def _picture(picture: Picture) -> str:
    file = encode_picture(picture.pixels, quality=88)
    return (
        f'<figure><img src="{data_url(file, "image/jpeg")}" '
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
    legend = LEGEND if gallery.truths else HEAT_LEGEND
    wide = " wide" * gallery.wide
    return (
        f'{note}{legend}<div class="scroll" tabindex="0"><table class="gallery{wide}" '
        f'aria-label="{escape(gallery.title)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _curves(log: Sequence[Mapping[str, Any]]) -> str:
    train = [entry for entry in log if entry.get("kind") == "train"]
    terms = sorted({name for entry in train for name in entry} - NO_TERMS)
    validation = [entry for entry in log if entry.get("kind") == "validation"]
    scores = sorted({name for entry in validation for name in entry} - NO_TERMS)
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
    """The finite values of that name over the steps."""
    points = [
        (float(entry.get("step", index)), factor * float(entry[name]))
        for index, entry in enumerate(entries)
        if isinstance(entry.get(name), int | float) and math.isfinite(entry[name])
    ]
    steps, values = np.array(points, float).reshape(-1, 2).T
    shown = SCORE_NAMES.get(name, name.replace("_", " "))
    dashed = name == "loss" or name.startswith("ceiling")
    return Curve(name=shown, steps=steps, values=values, dashed=dashed)


def _provenance(provenance: Mapping[str, str]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{OPTION.sub(WHOLE, escape(value))}</dd>"
        for name, value in provenance.items()
    )
    return f"<dl>{rows}</dl>" if rows else ""


HEAT = "Colour: where the model hears the source, from violet (weak) to yellow (strongest)."
HEAT_LEGEND = f'<p class="note">{HEAT}</p>'
LEGEND = f'<p class="note">{HEAT} Dashed turquoise: the truth.</p>'
