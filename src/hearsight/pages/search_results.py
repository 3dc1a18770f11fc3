"""What was found in a library, to look at: a contact sheet, or an HTML page with playable clips.

The page holds its pictures and no script. The videos are not in it: they are played from where
they lie, each from a little before its moment to a little after.
"""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from hearsight.clips.clip import decode_picture
from hearsight.errors import HearsightError
from hearsight.files.output import check_output, written_whole
from hearsight.library.library import SearchResult
from hearsight.localising.painting import gallery, save_picture
from hearsight.pages.report import STYLE

COLUMNS = 5  # of a sheet
PAGES = (".html", ".htm")  # endings of a page
PLAYABLE = (".m4v", ".mov", ".mp4", ".ogv", ".webm")  # what browsers play


def clock(seconds: float) -> str:
    """A time as 1:02:03.4, hours only where there are some."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else str(minutes)
    return f"{start}:{rest // 10:02}.{rest % 10}"


def save_sheet(found: Sequence[SearchResult], path: Path) -> None:
    """Write the moments' pictures on one sheet, best first, each over its score, time and file.

    Raises:
        HearsightError: nothing was found, or `path` cannot be written or is no kind of picture.
    """
    if not found:
        raise HearsightError(f"'{path}' is not written: nothing was found.")
    pictures = [decode_picture(moment.thumbnail) for moment in found]
    captions = [f"{each.score:.3f}  {clock(each.time)}  {each.file.name}" for each in found]
    save_picture(gallery(pictures, captions, columns=COLUMNS), path)


def save_page(found: Sequence[SearchResult], path: Path, *, question: str, seconds: float) -> None:
    """Write the page whole or not at all.

    Args:
        found: moments, best first.
        path: an .html file, replaced if it exists. A video below its folder is named relative to
            it, so that both can be moved together; others by their absolute path.
        question: what was looked for, in words.
        seconds: length of the clips.

    Raises:
        HearsightError: it cannot be written, or does not end in .html.
    """
    check_output(path, PAGES)
    page = render(found, path.absolute().parent, question=question, seconds=seconds)
    with written_whole(path) as part:
        part.write_text(page, encoding="utf-8")


def render(found: Sequence[SearchResult], folder: Path, *, question: str, seconds: float) -> str:
    """The page as HTML, to be written into `folder`. Every text is escaped."""
    figures = "\n".join(
        _figure(rank, moment, folder, seconds) for rank, moment in enumerate(found, 1)
    )
    said = f"{len(found)} moments, most alike first." if found else "Nothing was found."
    return PAGE.format(
        title=escape(question), said=said, figures=figures, style=STYLE + CLIPS_STYLE
    )


def _figure(rank: int, moment: SearchResult, folder: Path, seconds: float) -> str:
    address = _address(moment.file, folder)
    start = max(0.0, moment.time - seconds / 2)
    span = f"#t={start:.2f},{start + seconds:.2f}"
    picture = f"data:image/jpeg;base64,{base64.b64encode(moment.thumbnail).decode()}"
    words = escape(f"{moment.file.name} at {clock(moment.time)}")
    if moment.file.suffix.lower() in PLAYABLE and moment.file.exists():
        shown = (
            f'<video controls playsinline preload="metadata" aria-label="{words}" '
            f'poster="{picture}" src="{escape(address + span)}"></video>'
        )
        note = ""
    else:
        shown = f'<img src="{picture}" alt="{words}">'
        note = " (gone)" if not moment.file.exists() else " (browsers do not play this kind)"
    level = "silent" if moment.level is None else f"{moment.level:.0f} dBFS"
    return (
        f'<figure id="moment-{rank}">{shown}<figcaption><strong>{moment.score:.3f}</strong> '
        f"{clock(moment.time)}, {level}<br>"
        f'<a href="{escape(address)}">{escape(moment.file.name)}</a>{note}</figcaption></figure>'
    )


def _address(file: Path, folder: Path) -> str:
    if file.is_relative_to(folder):
        return "./" + quote(file.relative_to(folder).as_posix())
    return "file://" + quote(file.as_posix())


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
media-src 'self' file:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="summary">{said}</p>
<div class="clips">
{figures}
</div>
</main>
</body>
</html>
"""

CLIPS_STYLE = """
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr));
  gap: 1.4rem 1rem; margin-top: 2rem; }
.clips video, .clips img { display: block; width: 100%; aspect-ratio: 16 / 9; object-fit: contain;
  background: #000; border-radius: 4px; }
.clips strong { color: var(--ink); font-variant-numeric: tabular-nums; margin-right: 0.3rem; }
.clips a { color: var(--accent); }
"""
