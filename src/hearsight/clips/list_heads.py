"""Heads of lists: which column holds what, however the columns are called and ordered."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["id", "start", "end", "label", "split"]

YOUTUBE_NAMES = re.compile(r"(youtube|yt)(video)?(id|ids|key|name|url|link)?")
VIDEO_NAMES = re.compile(r"(video|vid|videos)(id|ids|key|name|file|filename|url|link)?")
CLIP_NAMES = re.compile(
    r"(clip|clips|file|files|segment)(id|ids|key|name|names|path)?|path|filepath"
)
OTHER_NAMES = re.compile(r"ids?|names?|key|item|sample|urls?|links?|uid|stem")
UNIT = r"(s|sec|secs|second|seconds)?"
NAMES: Mapping[Role, re.Pattern[str]] = {
    "start": re.compile(
        rf"(start|starts|begin|onset|from|time|timestamp)(time)?{UNIT}|sec|seconds?"
    ),
    "end": re.compile(rf"(end|ends|stop|offset|to|until)(time)?{UNIT}"),
    "label": re.compile(
        r"((class|sound|event|audio|positive|display|category)?(label|labels|name|names|tag|tags))"
        r"|class|classes|category|categories|event|events|caption|description|labelclass"
    ),
    "split": re.compile(r"(data)?(split|subset|set|partition|fold)(name)?|traintest(split)?"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The number of a list's columns, and the index of each that is known."""

    count: int
    places: Mapping[Role, int]


def plain(cells: Sequence[str]) -> list[str]:
    """Names of columns without case, blanks and signs: `youtubeid` for `YouTube ID`."""
    return [re.sub(r"[^a-z0-9]", "", cell.casefold()) for cell in cells]


def columns_of(cells: Sequence[str]) -> Columns | None:
    """What the columns under a head hold; None if the row is no head.

    A head names the ids in its first column, or in any with another column that is known.
    """
    names = plain(cells)
    places: dict[Role, int] = {}
    of_ids = _id_columns(names, timed=any(NAMES["start"].fullmatch(name) for name in names))
    if not of_ids:
        return None
    places["id"] = of_ids[0]
    for role, wanted in NAMES.items():
        found = [at for at, name in enumerate(names) if at not in of_ids and wanted.fullmatch(name)]
        if found:
            places[role] = found[0]
    if 0 not in of_ids and len(places) < 2:
        return None
    return Columns(count=len(cells), places=places)


def _id_columns(names: Sequence[str], *, timed: bool) -> list[int]:
    """The columns that hold ids, the best first.

    With a column of times the id of the video, else that of the clip; a running number last.
    """
    of_video, of_clip = (YOUTUBE_NAMES, VIDEO_NAMES), (CLIP_NAMES,)
    order = (*of_video, *of_clip) if timed else (*of_clip, *of_video)
    return [
        at
        for wanted in (*order, OTHER_NAMES)
        for at, name in enumerate(names)
        if wanted.fullmatch(name)
    ]
