"""What the second worker answers at once: searches of the library, its files, and live moments."""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearsight.errors import HearsightError
from hearsight.progress import Progress
from hearsight.serving.folders import file_key
from hearsight.serving.result_files import heatmap_of
from hearsight.serving.state import State

if TYPE_CHECKING:
    from hearsight.library.library import Query, ShownMoment

QUERIES = 200  # that are remembered, so that their searches can be gone back to
LISTED = 200  # files of the library in one list
FRESH = 5.0  # seconds in which what the library holds is not counted again
OVER = "That search is over: begin it again with its sound or picture."


def contents(state: State, progress: Progress) -> dict[str, Any] | None:
    """What is in the library, and whether it is `ready` to be searched; None if there is none yet.

    From the first time on what searches need is loaded.
    """
    from hearsight.library.lance_table import MomentTable

    now = time.monotonic()
    if state.counted is not None and now - state.counted[0] < FRESH:
        return state.counted[1] | {"ready": state.warm_search()}
    if MomentTable.open(state.settings.library or "") is None:
        return None
    table, card = state.library.table, state.library.card
    held = {
        "moments": len(table),
        **{str(kind): count for kind, count in table.kinds().items()},
        "every": table.info.every,
        "seconds": table.info.seconds,
        "model": table.info.model,
        "card": None if card is None else card.sentence,
    }
    state.counted = now, held
    return held | {"ready": state.warm_search()}


def files(state: State, progress: Progress, *, part: str) -> dict[str, Any]:
    """Files of the library whose paths have a part in them: `files`, and how many in all."""
    kinds = state.library.table.file_kinds()
    known = sorted(name for name in kinds if part.lower() in name.lower())
    listed = [
        {
            "row": file_key(name),
            "name": Path(name).name,
            "folder": Path(name).parent.name,
            "kind": kinds[name],
        }
        for name in known[:LISTED]
    ]
    return {"files": listed, "total": len(known)}


def file_of(state: State, progress: Progress, *, row: str) -> str | None:
    """The path of a file of the library; None if there is none of that id."""
    from hearsight.library.lance_table import MomentTable

    if row not in state.names:
        if MomentTable.open(state.settings.library or "") is None:
            return None  # none was indexed yet
        state.names = {file_key(name): name for name in state.library.table.files()}
    return state.names.get(row)


def ask(
    state: State,
    progress: Progress,
    *,
    file: str,
    name: str,
    at: float | None = None,
    to: str = "sound",
) -> str:
    """Embed a file to search by, or a moment of it; the id of the query.

    file: a picture, a sound or a video; name: by which it is shown.

    Raises:
        HearsightError: as `Library.query`.
    """
    from hearsight.media.picture import is_picture

    path = Path(file)
    try:
        if at is not None:
            query = state.embedding_library.query(video=path, at=at, to=to)
        elif is_picture(path):
            query = state.embedding_library.query(image=path, to=to)
        else:
            query = state.embedding_library.query(sound=path, to=to)
    except HearsightError as error:
        raise HearsightError(str(error).replace(f"'{path}'", f"'{name}'")) from error
    silent = None if query.silent is None else name
    shown = replace(query.shown, file=Path(name))
    return _remember(state, replace(query, shown=shown, silent=silent))


def ask_by_moment(state: State, progress: Progress, *, row: str, at: float, to: str) -> str:
    """The query by a moment of the library; its id.

    Raises:
        HearsightError: as `Library.query_by_moment`.
    """
    name = file_of(state, progress, row=row)
    if name is None:
        raise HearsightError("That file is not in the library any more.")
    return _remember(state, state.library.query_by_moment(name, at, to))


def _remember(state: State, query: "Query") -> str:
    key = secrets.token_hex(8)
    state.queries[key] = query
    while len(state.queries) > QUERIES:
        del state.queries[next(iter(state.queries))]
    return key


def search(
    state: State,
    progress: Progress,
    *,
    key: str,
    to: str | None,
    count: int,
    part: str,
    start: float | None,
    end: float | None,
) -> dict[str, Any]:
    """The moments nearest to a query: what was `asked`, and what was `found`, best first.

    Raises:
        HearsightError: the query is not remembered any more, or as `Library.nearest`.
    """
    from hearsight.library.lance_table import MomentFilter
    from hearsight.library.library import check_modality

    query = state.queries.get(key)
    if query is None:
        raise HearsightError(OVER)
    if to is not None:
        query = replace(query, to=check_modality(to))
    only = MomentFilter(name=part, start=start, end=end)
    found = state.library.nearest(query, count, same_video="one", only=only)
    return {
        "asked": card_of_moment(query.shown),
        "to": query.to,
        "silent": query.silent is not None and query.to == "sound",
        "found": [card_of_moment(one) | {"score": one.score} for one in found],
    }


def card_of_moment(moment: "ShownMoment") -> dict[str, Any]:
    """What a card shows of a moment."""
    from hearsight.library.thumbnails import decode_heatmap
    from hearsight.pages.html_page import data_url

    heatmap = None if moment.heatmap is None else decode_heatmap(moment.heatmap)
    return {
        "row": file_key(moment.file),
        "name": moment.file.name,
        "folder": moment.file.parent.name,
        "kind": moment.kind,
        "time": moment.time,
        "level": moment.level,
        "silent": moment.silent,
        "box": moment.box,
        "grid": None if heatmap is None else list(heatmap.shape),
        "map": None if heatmap is None else base64.b64encode(heatmap.tobytes()).decode(),
        "thumbnail": data_url(moment.thumbnail, "image/jpeg"),
    }


def plays(state: State, progress: Progress, *, row: str) -> Mapping[str, Any] | None:
    """Whether browsers play a file of the library as it is, and as what; None if it is not there.

    Raises:
        HearsightError: it cannot be read.
    """
    from hearsight.media.picture import is_picture
    from hearsight.media.source import open_media
    from hearsight.pages.playable import is_playable, is_playable_sound

    name = file_of(state, progress, row=row)
    if name is None or not Path(name).is_file():
        return None
    path = Path(name)
    if is_picture(path):
        return {"kind": "picture", "whole": False}
    with open_media(path) as source:
        seen = source.picture is not None
    whole = is_playable(path) if seen else is_playable_sound(path)
    return {"kind": "video" if seen else "sound", "whole": whole}


def clip(state: State, progress: Progress, *, row: str, start: float) -> bytes | None:
    """A clip of a file that browsers do not play; None if it is not there.

    Raises:
        HearsightError: it cannot be read.
    """
    from hearsight.media.read import probe
    from hearsight.pages.playable import make_clip, make_sound_clip

    name = file_of(state, progress, row=row)
    if name is None or not Path(name).is_file():
        return None
    make = make_clip if probe(name).has_picture else make_sound_clip
    return make(Path(name), start, state.library.table.info.seconds)


def live(
    state: State, progress: Progress, *, picture: bytes, samples: bytes, rate: int
) -> dict[str, Any]:
    """Where in a picture a sound comes from: the moment, its `grid` and its `map` in base 64.

    picture: a picture file. samples: 16 bits each, one channel, `rate` of them a second.

    Raises:
        HearsightError: as `localise_image`.
    """
    from math import isfinite
    from typing import cast

    import numpy as np

    from hearsight.localising.moments import MappedMoment, Moment
    from hearsight.media.samples import RATE
    from hearsight.media.sound_windows import levels

    sound = np.frombuffer(samples[: len(samples) // 2 * 2], "<i2").astype(np.int16)
    moment = cast(MappedMoment, state.model.localise_image(picture, (sound, rate), maps=True))
    heatmap = heatmap_of(moment)
    level = levels([sound.astype(np.float32) / 2**15], len(sound) / RATE)[0]
    return Moment.to_dict(moment) | {
        "size": list(moment.frame_size),
        "grid": list(heatmap.shape),
        "map": base64.b64encode(heatmap.tobytes()).decode(),
        "level": level if isfinite(level) else None,
    }


SEARCHES: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (contents, files, file_of, ask, ask_by_moment, search, plays, clip, live)
}
"""These tasks by their names."""
