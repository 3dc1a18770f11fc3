"""Search results as a contact sheet, or as an HTML page with playable clips.

The page contains the thumbnails, not the videos: these are played from their own files, each around
its result. Of videos that browsers do not play it contains small clips.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from hearsight.checkpoints.card import ModelCard
from hearsight.errors import HearsightError
from hearsight.files.output import check_output
from hearsight.library.library import SearchResult
from hearsight.localising.painting import gallery, save_picture
from hearsight.media.picture import decode_picture
from hearsight.media.source import MediaError
from hearsight.pages.html_page import card_note, data_url, html_page, write_page
from hearsight.pages.playable import is_playable, make_clip

COLUMNS = 5  # of a sheet
PAGES = (".html", ".htm")  # file endings of a page
MOST_CLIPS = 50  # that are made for a page: each takes a second or more, and up to 0.7 MB


def clock(seconds: float) -> str:
    """A time as 1:02:03.4; hours only if there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else str(minutes)
    return f"{start}:{rest // 10:02}.{rest % 10}"


def save_sheet(results: Sequence[SearchResult], path: Path) -> None:
    """Write the thumbnails on one sheet, best first, each above its score, time and file.

    Raises:
        HearsightError: nothing was found, `path` cannot be written, or it is not a picture's.
    """
    if not results:
        raise HearsightError(f"'{path}' is not written: nothing was found.")
    pictures = [decode_picture(each.thumbnail) for each in results]
    captions = [f"{each.score:.3f}  {clock(each.time)}  {each.file.name}" for each in results]
    save_picture(gallery(pictures, captions, columns=COLUMNS), path)


def save_page(
    results: Sequence[SearchResult],
    path: Path,
    *,
    title: str,
    seconds: float,
    card: ModelCard | None = None,
) -> None:
    """Write the page whole or not at all.

    Args:
        results: best first.
        path: an .html file, replaced if it exists. Videos below its folder are linked relative to
            it, so that both can be moved together; others by their absolute path.
        title: of the page, such as `Sounds like surf.wav`.
        seconds: length of the clips.
        card: of the model that the search is by.

    Raises:
        HearsightError: it cannot be written, or does not end in .html.
    """
    check_output(path, PAGES)
    page = render(results, path.absolute().parent, title=title, seconds=seconds, card=card)
    write_page(page, path)


def render(
    results: Sequence[SearchResult],
    folder: Path,
    *,
    title: str,
    seconds: float,
    card: ModelCard | None = None,
) -> str:
    """The page as HTML, to be written into `folder`; all text is escaped."""
    made, figures = 0, []
    for rank, result in enumerate(results, 1):
        shown = _shown(result, folder, seconds, clips_left=MOST_CLIPS - made)
        made += shown.made
        figures.append(_figure(rank, result, folder, shown))
    summary = f"{len(results)} moments, most alike first." if results else "Nothing was found."
    lines = "\n".join(figures)
    clips = f'<div class="clips">\n{lines}\n</div>'
    parts = [card_note([card] if card else []), clips]
    return html_page(title, summary, parts, style=CLIPS_STYLE, media="'self' file: data:")


class _Shown(NamedTuple):
    """What a page shows of a result.

    source: of its video; empty for its picture alone. note: behind the name of the file. made:
    whether the video is a clip that was made.
    """

    source: str
    note: str = ""
    made: bool = False


def _shown(result: SearchResult, folder: Path, seconds: float, *, clips_left: int) -> _Shown:
    """The video around a result: its own file, or a clip where browsers do not play that."""
    start = max(0.0, result.time - seconds / 2)
    if not result.file.exists():
        return _Shown("", " (gone)")
    try:
        if is_playable(result.file):
            return _Shown(f"{_address(result.file, folder)}#t={start:.2f},{start + seconds:.2f}")
        if clips_left <= 0:
            return _Shown("", " (browsers do not play this kind)")
        clip = make_clip(result.file, start, seconds)
    except MediaError:
        return _Shown("", " (cannot be read)")
    return _Shown(data_url(clip, "video/mp4"), " (a clip: browsers do not play this kind)", True)


def _figure(rank: int, result: SearchResult, folder: Path, shown: _Shown) -> str:
    picture = data_url(result.thumbnail, "image/jpeg")
    label = escape(f"{result.file.name} at {clock(result.time)}")
    if shown.source:
        view = (
            f'<video controls playsinline preload="metadata" aria-label="{label}" '
            f'poster="{picture}" src="{escape(shown.source)}"></video>'
        )
    else:
        view = f'<img src="{picture}" alt="{label}">'
    level = "silent" if result.level is None else f"{result.level:.0f} dBFS"
    return (
        f'<figure id="moment-{rank}">{view}<figcaption><strong>{result.score:.3f}</strong> '
        f"{clock(result.time)}, {level}<br>"
        f'<a href="{escape(_address(result.file, folder))}">{escape(result.file.name)}</a>'
        f"{shown.note}</figcaption></figure>"
    )


def _address(file: Path, folder: Path) -> str:
    if file.is_relative_to(folder):
        return "./" + quote(file.relative_to(folder).as_posix())
    return "file://" + quote(file.as_posix())


CLIPS_STYLE = """
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr));
  gap: 1.4rem 1rem; margin-top: 2rem; }
.clips video, .clips img { display: block; width: 100%; aspect-ratio: 16 / 9; object-fit: contain;
  background: #000; border-radius: 4px; }
.clips strong { color: var(--ink); font-variant-numeric: tabular-nums; margin-right: 0.3rem; }
.clips a { color: var(--accent); }
"""
