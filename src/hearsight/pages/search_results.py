"""Search results as a contact sheet, or as an HTML page with playable clips.

The page contains the thumbnails, not the videos: these are played from their own files, each around
its result. Of videos that browsers do not play it contains small clips.
"""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hearsight.checkpoints.card import ModelCard
from hearsight.clips.clip import encode_picture
from hearsight.errors import HearsightError
from hearsight.files.output import check_output
from hearsight.files.text import counted
from hearsight.library.lance_table import absolute_path
from hearsight.library.library import SearchResult, ShownMoment
from hearsight.library.thumbnails import QUALITY, decode_heatmap
from hearsight.localising.painting import box, gallery, heat, save_picture
from hearsight.media.picture import decode_picture
from hearsight.media.source import MediaError
from hearsight.pages.html_page import card_note, data_url, html_page, write_page
from hearsight.pages.playable import (
    is_playable,
    is_playable_sound,
    make_clip,
    make_sound_clip,
)

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


LOUDNESS = ((-60.0, "silent"), (-45.0, "very quiet"), (-30.0, "quiet"), (-18.0, "clear"))


def loudness(level: float) -> str:
    """A level in dBFS in words, with its number."""
    word = next((word for top, word in LOUDNESS if level < top), "loud")
    return f"{word} ({level:.0f} dB)".replace("-", "\u2212")


def picture_of(moment: ShownMoment) -> UInt8[np.ndarray, "height width 3"]:
    """The thumbnail, under the heat and the box of what sounds; then it has twice the size.

    So the lines are finer. A library of an older hearsight has boxes alone.
    """
    pixels = decode_picture(moment.thumbnail)
    if moment.box is None:
        return pixels
    height, width = (2 * side for side in pixels.shape[:2])
    pixels = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    if moment.heatmap is not None:
        pixels = heat(pixels, decode_heatmap(moment.heatmap) / np.float32(255))
    edges = np.array(moment.box) * (width, height, width, height)
    return box(pixels, edges.tolist())


def save_sheet(results: Sequence[SearchResult], path: Path) -> None:
    """Write the thumbnails on one sheet, best first, each above its score, time and file.

    Raises:
        HearsightError: nothing was found, `path` cannot be written, or it is not a picture's.
    """
    if not results:
        raise HearsightError(f"'{path}' is not written: nothing was found.")
    captions = [
        f"{each.score:.3f}  {'' if each.kind == 'picture' else clock(each.time)}"
        f"{'  silent' if each.silent else ''}  {each.file.name}"
        for each in results
    ]
    save_picture(gallery(list(map(picture_of, results)), captions, columns=COLUMNS), path)


def save_page(
    results: Sequence[SearchResult],
    path: Path,
    *,
    title: str,
    seconds: float,
    query: ShownMoment | None = None,
    card: ModelCard | None = None,
) -> None:
    """Write the page whole or not at all.

    Args:
        results: best first.
        path: an .html file, replaced if it exists. Videos below its folder are linked relative to
            it, so that both can be moved together; others by their absolute path.
        title: of the page, such as `Sounds like surf.wav`.
        seconds: length of the clips.
        query: what was searched by, shown above the results.
        card: of the model that the search is by.

    Raises:
        HearsightError: it cannot be written, or does not end in .html.
    """
    check_output(path, PAGES)
    folder = absolute_path(path).parent
    page = render(results, folder, title=title, seconds=seconds, query=query, card=card)
    write_page(page, path)


def render(
    results: Sequence[SearchResult],
    folder: Path,
    *,
    title: str,
    seconds: float,
    query: ShownMoment | None = None,
    card: ModelCard | None = None,
) -> str:
    """The page as HTML, to be written into `folder`; all text is escaped."""
    made, figures = 0, []
    asked = ""
    if query is not None:
        shown = _shown(query, folder, seconds, clips_left=1)
        asked = (
            f'<section>\n<h2>Searched by</h2>\n<div class="clips">'
            f"{_figure('query', query, folder, shown)}</div>\n</section>"
        )
    for rank, result in enumerate(results, 1):
        shown = _shown(result, folder, seconds, clips_left=MOST_CLIPS - made)
        made += shown.made
        figures.append(_figure(f"moment-{rank}", result, folder, shown))
    summary = (
        f"{counted(len(results), 'moment')}, most alike first." if results else "Nothing was found."
    )
    lines = "\n".join(figures)
    clips = f'<section>\n<h2>Found</h2>\n{LEGEND}\n<div class="clips">\n{lines}\n</div>\n</section>'
    parts = [card_note([card] if card else []), asked, clips if results else ""]
    return html_page(title, summary, parts, style=CLIPS_STYLE, media="'self' file: data:")


class _Shown(NamedTuple):
    """What a page shows of a moment.

    tag: `video`, `audio`, or `img` for its picture alone. source: of the first two. note: behind
    the name of the file. made: whether that is a clip that was made.
    """

    tag: str
    source: str = ""
    note: str = ""
    made: bool = False


def _shown(moment: ShownMoment, folder: Path, seconds: float, *, clips_left: int) -> _Shown:
    """The file around a moment: itself, or a clip where browsers do not play that."""
    start = max(0.0, moment.time - seconds / 2)
    if not moment.file.exists():
        return _Shown("img", note=" (gone)")
    if moment.kind == "picture":
        return _Shown("img")
    tag, plays, make, media_type = PLAYERS[moment.kind]
    try:
        if plays(moment.file):
            address = f"{_address(moment.file, folder)}#t={start:.2f},{start + seconds:.2f}"
            return _Shown(tag, address)
        if clips_left <= 0:
            return _Shown("img", note=" (browsers do not play this kind)")
        clip = make(moment.file, start, seconds)
    except MediaError:
        return _Shown("img", note=" (cannot be read)")
    note = " (a clip: browsers do not play this kind)"
    return _Shown(tag, data_url(clip, media_type), note, True)


PLAYERS = {
    "video": ("video", is_playable, make_clip, "video/mp4"),
    "sound": ("audio", is_playable_sound, make_sound_clip, "audio/wav"),
}


def _figure(name: str, moment: ShownMoment, folder: Path, shown: _Shown) -> str:
    picture = data_url(encode_picture(picture_of(moment), quality=QUALITY), "image/jpeg")
    when = "" if moment.kind == "picture" else clock(moment.time)
    label = escape(f"{moment.file.name}{when and f' at {when}'}")
    view = f'<img src="{picture}" alt="{label}">'
    source = f'aria-label="{label}" src="{escape(shown.source)}"'
    if shown.tag == "video":
        view = f'<video controls playsinline preload="none" poster="{picture}" {source}></video>'
    elif shown.tag == "audio":
        view += f'<audio controls preload="metadata" {source}></audio>'
    facts = when or "picture"
    if moment.silent:
        facts += ' <span class="tag">silent</span>'
    elif moment.level is not None:
        facts += f", {loudness(moment.level)}"
    score = f"<strong>{moment.score:.3f}</strong> " if isinstance(moment, SearchResult) else ""
    return (
        f'<figure id="{name}">{view}<figcaption>{score}{facts}<br>'
        f'<a href="{escape(_address(moment.file, folder))}">{escape(moment.file.name)}</a>'
        f"{shown.note}</figcaption></figure>"
    )


def _address(file: Path, folder: Path) -> str:
    if file.is_relative_to(folder):
        return "./" + quote(os.fsencode(file.relative_to(folder).as_posix()))
    return "file://" + quote(os.fsencode(file.as_posix()))


LEGEND = (
    '<p class="note">The number is how alike the model finds the two: 1 is the same, 0 has nothing '
    "in common. Colour, from violet to yellow, and a box mark where the sound of that moment comes "
    "from, as far as the model can tell. Level is how loud the second around it is, in dB below "
    "the loudest that a file can hold (0 dB): speech near the camera is about \u221220 dB, a quiet "
    "room \u221250 dB; under \u221260 dB counts as silent. Where sounds are compared, silent "
    "moments come last.</p>"
)
CLIPS_STYLE = """
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  gap: 1.4rem 1rem; margin-top: 2rem; }
.clips video, .clips img { display: block; width: 100%; aspect-ratio: 16 / 9; object-fit: contain;
  background: #000; border-radius: 4px; }
.clips audio { display: block; width: 100%; margin-top: 0.4rem; }
.clips strong { color: var(--ink); font-variant-numeric: tabular-nums; margin-right: 0.3rem; }
.clips a { color: var(--accent); }
"""
