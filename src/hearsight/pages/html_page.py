"""The frame of every HTML page: head, content policy, style, heading, and writing it.

A page is one file, without scripts but for one that sorts tables. It follows the reader's light or
dark theme and fits a phone.
"""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from pathlib import Path

from hearsight.checkpoints.card import ModelCard
from hearsight.files.output import write_text
from hearsight.files.text import writable


def html_page(
    title: str,
    summary: str,
    parts: Iterable[str],
    *,
    style: str = "",
    media: str = "data:",
    script: str = "",
) -> str:
    """A whole page.

    Args:
        title: text, to be escaped, as is `summary`.
        summary: one or two sentences below the title.
        parts: HTML, one part per line or more; empty ones are left out.
        style: CSS beyond that of every page.
        media: where the page's content policy lets videos come from.
        script: JavaScript at the page's end; the policy allows this text alone, by its hash.
    """
    heading = f'<h1>{escape(title)}</h1>\n<p class="summary">{escape(summary)}</p>'
    body = "\n".join(part for part in (heading, *parts) if part)
    policy = ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"; script-src 'sha256-{digest}'"
        body += f"\n<script>{script}</script>"
    return PAGE.format(
        title=escape(title), style=STYLE + style, body=body, media=media, scripts=policy
    )


def card_note(cards: Iterable[ModelCard]) -> str:
    """A paragraph for each card of the models that a page is about."""
    return "\n".join(f'<p class="note">Model {escape(card.sentence)}</p>' for card in cards)


def data_url(data: bytes, media_type: str) -> str:
    """A file as the URL of itself, such as `data:image/jpeg;base64,...`."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def write_page(page: str, path: Path) -> None:
    """Write a page whole or not at all; what is no UTF-8 of the names in it is escaped.

    Raises:
        HearsightError: it cannot be written.
    """
    write_text(path, writable(page))


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
media-src {media}; style-src 'unsafe-inline'{scripts}">
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
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.15; letter-spacing: -0.02em;
  margin: 0 0 0.6rem; text-wrap: balance; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 0.9rem; padding-top: 0.9rem;
  border-top: 1px solid var(--line); }
.summary { font-size: 1.1rem; max-width: 46rem; margin: 0; overflow-wrap: anywhere; }
.note, .above, figcaption { color: var(--soft); font-size: 0.875rem; }
.note { max-width: 46rem; margin: 0.4rem 0 1.2rem; }
.scroll { overflow-x: auto; margin-bottom: 0.4rem; }
.scroll th:first-child { position: sticky; left: 0; z-index: 1; background: var(--paper); }
.scroll tr.model th:first-child { background: var(--tint); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 0.925rem; }
.above { margin: 1.2rem 0 0.3rem; }
th, td { padding: 0.45rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; white-space: pre-line; vertical-align: bottom; }
th:first-child, .text { text-align: left; }
tbody th { font-weight: 400; }
tr.model { background: var(--tint); }
tr.model th, tr.model td { font-weight: 650; }
tr.blind, tr.ceiling, tr.paper { color: var(--soft); }
.tag { border: 1px solid var(--line); border-radius: 0.6rem; padding: 0 0.45rem;
  margin-left: 0.35rem; font-size: 0.75rem; }
figure { margin: 0; }
figcaption { margin-top: 0.35rem; overflow-wrap: anywhere; line-height: 1.35; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(10.5rem, 46%), 1fr));
  gap: 1.1rem 0.9rem; }
.pictures img { display: block; width: 100%; height: auto; border-radius: 4px; }
.gallery th, .gallery td { vertical-align: top; text-align: left; white-space: normal;
  padding: 0.3rem; }
.gallery figure { width: 8.5rem; }
.gallery.wide figure { width: min(22rem, 36vw); }
.gallery img { display: block; width: 100%; height: auto; border-radius: 4px; }
.gallery tbody th { font-size: 0.875rem; min-width: 6rem; overflow-wrap: anywhere; }
.film video { display: block; width: 100%; max-width: 48rem; border-radius: 4px;
  background: #000; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.5rem; }
.plots svg { display: block; width: 100%; height: auto; color: var(--ink); }
dl { display: grid; grid-template-columns: fit-content(16rem) minmax(0, 1fr); gap: 0.35rem 1.2rem;
  margin: 0; font-size: 0.925rem; }
dt { color: var(--soft); overflow-wrap: anywhere; min-width: 6rem; }
dd { margin: 0; font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  font-size: 0.85rem; overflow-wrap: anywhere; white-space: pre-wrap; }
dd .option { white-space: nowrap; }
@media (max-width: 34rem) {
  dl { grid-template-columns: minmax(0, 1fr); } dd { margin-bottom: 0.5rem; }
  th, td { padding: 0.4rem 0.45rem; }
  .scroll tbody th, .scroll thead th:first-child { width: 7rem; min-width: 7rem;
    white-space: normal; overflow-wrap: anywhere; font-size: 0.75rem; line-height: 1.35; }
  .scroll .tag { display: inline-block; }
  .gallery.wide, .gallery.wide thead, .gallery.wide tbody { display: block; }
  .gallery.wide tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .gallery.wide th, .gallery.wide td { border: 0; }
  .gallery.wide tbody th:first-child { grid-column: 1 / -1; width: auto;
    border-top: 1px solid var(--line); }
  .gallery.wide thead th:first-child { display: none; }
  .gallery.wide figure { width: auto; }
}
"""
