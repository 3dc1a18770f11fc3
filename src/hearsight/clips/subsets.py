"""Some clips of a source: those that a list names, however the list writes their ids."""

from pathlib import Path

from hearsight.clips.clip import Clips
from hearsight.clips.joined import ChosenClips
from hearsight.clips.lists import clip_names, read_list
from hearsight.errors import HearsightError


def restrict(clips: Clips, listed: Path) -> tuple[Clips, list[str]]:
    """The clips that a list names, in their own order, and ids of the list that are none of them.

    Raises:
        HearsightError: the list cannot be read, or names none of the clips.
    """
    ids = read_list(listed).ids
    names, here = clip_names(ids), clip_names(clips.ids)
    wanted, there = set(names), set(here)
    places = [place for place, name in enumerate(here) if name in wanted]
    if not places:
        raise HearsightError(
            f"None of the {len(ids):,} ids in '{listed}' is among the {len(clips):,} clips; they "
            f"look like '{ids[0]}' there and like '{clips.ids[0]}' here."
        )
    missing = [id for id, name in zip(ids, names, strict=True) if name not in there]
    return ChosenClips(clips, places), missing
