"""Which clip a map is of: names of files and keys as other code writes them, against clip ids."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hearsight.clips.lists import BETWEEN, ClipName, clip_names, without_suffix
from hearsight.errors import HearsightError

ENDING = re.compile(r"(?<=.)[._ -](?=[^._ -]*[A-Za-z])")  # where an ending such as `_map` may begin
LAST = 2  # the form without folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """names: of the map of each clip, by id. others: names that are of no clip."""

    names: Mapping[str, str]
    others: Sequence[str]


def match_names(
    names: Sequence[str],
    ids: Sequence[str],
    *,
    what: str = "map",
    frames: Mapping[str, Sequence[int]] | None = None,
) -> Matches:
    """Which of the names each clip has.

    A name is the id itself; else the same without folders or the suffix of a picture or video;
    else another way to write the same video and second; else the id with an ending that all
    such names have in common, as `ID_heatmap`. Where names keep the folders of ids, a name in
    another folder is of none of these. Where some ids are `VIDEO~AUDIO`, ACL's `VIDEO_AUDIO` are
    names of them, and `ID_ID` one of the clip with its own sound.

    what: is named, in errors. frames: places in `ids` of the frames of each clip, if they are such.

    Raises:
        HearsightError: two names are of one clip, or none is of any.
    """
    found, rest = dict[str, str](), list[str]()
    ways, forms = _by_form(ids), list(zip(*_forms(names), strict=True))
    # names that keep the folders of ids: those of another folder are of other clips
    kept = any(
        _in_folder(way[key])
        for keys in forms
        for way, key in zip(ways[:LAST], keys[:LAST], strict=True)
        if key in way
    )
    for name, keys in zip(names, forms, strict=True):
        allowed = [
            way[key]
            for number, (way, key) in enumerate(zip(ways, keys, strict=True))
            if key in way and not (number == LAST and kept and _in_folder(name))
        ]
        id = next(iter(allowed), None)
        if id is None:
            rest.append(name)
        else:
            _add(found, id, name, what)
    pairs = _as_pairs(ids)
    ended = {name: pairs[name] for name in rest if name in pairs}
    ended |= _with_ending([name for name in rest if name not in pairs], ways[LAST])
    for name, id in ended.items():
        _add(found, id, name, what)
    if not found:
        own = (frames or {}).get(str(_forms(names[:1])[LAST][0]), ())
        hint = ""
        if own:
            hint = (
                f" Each frame of '{names[0]}' is a clip of its own: a {what} is wanted for each, "
                f"called '{ids[own[0]]}' to '{ids[own[-1]]}'."
            )
        raise HearsightError(
            f"None of the {len(names):,} {what}s is of one of the {len(ids):,} clips: they are "
            f"called like '{names[0]}' there, and like '{ids[0]}' here.{hint}"
        )
    return Matches(names=found, others=[name for name in rest if name not in ended])


def _in_folder(name: str) -> bool:
    return "/" in name or "\\" in name


def _add(found: dict[str, str], id: str, name: str, what: str) -> None:
    if id in found:
        raise HearsightError(
            f"Two {what}s are of the clip '{id}': '{found[id]}' and '{name}'. Keep one of them."
        )
    found[id] = name


def _forms(names: Sequence[str]) -> list[list[Hashable]]:
    """The names in each form, from the one that says most on."""
    bare = [without_suffix(name) for name in names]
    last = [re.split(r"[/\\]", name)[-1] for name in bare]
    clips = [name if clip.kind == "other" else clip for name, clip in _clips(names)]
    return [list(names), list(bare), list(last), clips]


def _clips(names: Sequence[str]) -> Iterable[tuple[str, ClipName]]:
    return zip(names, clip_names(names), strict=True)


def _by_form(ids: Sequence[str]) -> list[dict[Hashable, str]]:
    """Ids by each form of them that only one of them has."""
    ways = []
    for keys in _forms(ids):
        times = Counter(keys)
        ways.append({key: id for key, id in zip(keys, ids, strict=True) if times[key] == 1})
    return ways


def _as_pairs(ids: Sequence[str]) -> dict[str, str]:
    """Ids by the names that ACL gives its extended test sets; nothing where no id is of a pair."""
    if not any(BETWEEN in id for id in ids):
        return {}
    return {id.replace(BETWEEN, "_") if BETWEEN in id else f"{id}_{id}": id for id in ids}


def _with_ending(names: Sequence[str], ids: Mapping[Hashable, str]) -> dict[str, str]:
    """Ids of names that are an id and the ending that most of them share."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        last = str(_forms([name])[LAST][0])
        for place in ENDING.finditer(last):
            begin, ending = last[: place.start()], last[place.start() :]
            if begin in ids:
                found.setdefault(ending, {})[name] = ids[begin]
    most = Counter({ending: len(those) for ending, those in found.items()}).most_common(1)
    return found[most[0][0]] if most else {}
