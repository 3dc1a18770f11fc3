"""Several sources of clips as one, and some clips of a source: evenly spread, or as listed."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from hearsight.clips.clip import (
    Box,
    Clip,
    Clips,
    DecodedClip,
    EndlessClips,
    FilmedClips,
    RemarkedClips,
    annotation,
    encoded,
)
from hearsight.clips.fingerprint import fingerprint
from hearsight.clips.frame_truth import (
    FrameTruth,
    MaskedClips,
    clip_of,
    frame_truth,
    frames_by_clip,
)
from hearsight.clips.lists import ClipName, clip_names, read_list, without_suffix
from hearsight.errors import HearsightError
from hearsight.files.text import first_names


def spread_evenly(total: int, count: int) -> list[int]:
    """At most `count` of the places 0..total - 1, from the first to the last in equal steps."""
    return [int(place) for place in np.linspace(0, total - 1, min(count, total))]


class JoinedClips:
    """Several `Clips` as one, in the order given.

    Of clips with the same id the first counts; `repeated` holds the ids of those left out, here
    or in one of the parts. `passed_over`: what `passed_over_in` gives of the parts.
    """

    def __init__(self, parts: Sequence[Clips]) -> None:
        self.ids: list[str] = []
        self.repeated = [id for part in parts for id in repeated_in(part)]
        self.passed_over = [each for part in parts for each in passed_over_in(part)]
        self._parts = list(parts)
        self._places: list[tuple[int, int]] = []
        seen: set[str] = set()
        for number, part in enumerate(self._parts):
            for index, id in enumerate(part.ids):
                if id in seen:
                    self.repeated.append(id)
                    continue
                seen.add(id)
                self.ids.append(id)
                self._places.append((number, index))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        number, inside = self._places[index]
        return self._parts[number][inside]

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        """The label and the boxes of the clip at `index`, undecoded if its part allows."""
        number, inside = self._places[index]
        return annotation(self._parts[number], inside)

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        number, inside = self._places[index]
        return self._parts[number].sound(inside)

    def clip(self, index: int) -> Clip:
        number, inside = self._places[index]
        return encoded(self._parts[number], inside)

    def frame_truth(self, index: int) -> FrameTruth | None:
        number, inside = self._places[index]
        return frame_truth(self._parts[number], inside)

    def clip_of(self, index: int) -> str:
        number, inside = self._places[index]
        return clip_of(self._parts[number], inside)

    def fingerprint(self, index: int) -> str:
        number, inside = self._places[index]
        return fingerprint(self._parts[number], inside)

    def origins_of(self, index: int) -> tuple[str, ...]:
        number, inside = self._places[index]
        part = self._parts[number]
        return part.origins_of(inside) if isinstance(part, MaskedClips) else (self.ids[index],)

    def remarks(self) -> list[str]:
        return [each for part in self._parts for each in remarks_in(part)]

    def set_epoch(self, epoch: int) -> None:
        for part in self._parts:
            if isinstance(part, EndlessClips):
                part.set_epoch(epoch)


class ChosenClips(JoinedClips):
    """The clips of a `Clips` at some indices, in that order."""

    def __init__(self, clips: Clips, indices: Sequence[int]) -> None:
        super().__init__([clips])
        self._places = [(0, index) for index in indices]
        self.ids = [clips.ids[index] for index in indices]
        chosen = set(self.ids)
        self.repeated = [id for id in self.repeated if id in chosen]
        self.passed_over = []


class ChosenFilms(ChosenClips):
    """The same of clips that are decoded from films, as `FilmedClips` and `RemarkedClips` are."""

    def __init__(self, clips: FilmedClips, indices: Sequence[int]) -> None:
        super().__init__(clips, indices)
        self._films = clips

    def runs(self, indices: Sequence[int]) -> list[list[int]]:
        left = iter(indices)
        runs = self._films.runs([self._places[index][1] for index in indices])
        return [[*islice(left, len(run))] for run in runs]

    def film_order(self, index: int) -> tuple[str, int]:
        return self._films.film_order(self._places[index][1])

    def flaws(self, index: int) -> frozenset[str]:
        films = self._films
        inside = self._places[index][1]
        return films.flaws(inside) if isinstance(films, RemarkedClips) else frozenset()

    def note_flaws(self, index: int, flaws: frozenset[str]) -> None:
        if isinstance(self._films, RemarkedClips):
            self._films.note_flaws(self._places[index][1], flaws)


def _chosen(clips: Clips, indices: Sequence[int]) -> ChosenClips:
    if isinstance(clips, FilmedClips):
        return ChosenFilms(clips, indices)
    return ChosenClips(clips, indices)


def find_listed(clips: Clips, listed: Path) -> tuple[list[int], list[str]]:
    """Indices of the clips that a list names, in its order, and its ids that no clip has.

    An id means the clip of exactly that id; else every clip of the same video and second,
    however written; else the one that differs in the suffix of a file name alone; else every frame
    of the clip of that id.

    Raises:
        HearsightError: the list cannot be read.
    """
    exact = {id: index for index, id in enumerate(clips.ids)}
    stem = {without_suffix(id): index for id, index in exact.items()}
    named: dict[ClipName, list[int]] = {}
    for index, name in enumerate(clip_names(clips.ids)):
        named.setdefault(name, []).append(index)
    frames = frames_by_clip(clips)
    ids = read_list(listed).ids
    found: dict[int, None] = {}
    missing = []
    for id, name in zip(ids, clip_names(ids), strict=True):
        if id in exact:
            indices = [exact[id]]
        else:
            near = exact.get(without_suffix(id), stem.get(without_suffix(id)))
            of_clip = frames.get(id, frames.get(without_suffix(id), []))
            indices = named.get(name, of_clip if near is None else [near])
        found.update(dict.fromkeys(indices))
        if not indices:
            missing.append(id)
    return list(found), missing


def choose(clips: Clips, listed: Path) -> ChosenClips:
    """The clips that a list names, in the order of the list.

    Raises:
        HearsightError: the list cannot be read, or names a clip that is not there.
    """
    found, missing = find_listed(clips, listed)
    missing = list(dict.fromkeys(missing))
    if missing:
        raise HearsightError(
            f"{len(missing):,} of {len(found) + len(missing):,} clips in '{listed}' are not there, "
            f"the first of them '{missing[0]}'."
        )
    return _chosen(clips, found)


def restrict(clips: Clips, listed: Path) -> tuple[ChosenClips, list[str]]:
    """The clips that a list names, in the order of the clips, and its ids that no clip has.

    Raises:
        HearsightError: the list cannot be read, or names none of the clips.
    """
    found, missing = find_listed(clips, listed)
    if not found:
        raise HearsightError(
            f"None of the {len(missing):,} ids in '{listed}' is among the {len(clips):,} clips; "
            f"they look like '{missing[0]}' there and like '{clips.ids[0]}' here."
        )
    return _chosen(clips, sorted(found)), missing


def repeated_in(clips: Clips) -> Sequence[str]:
    """The ids of clips that were left out because one before them has the same id."""
    ids: Sequence[str] = getattr(clips, "repeated", ())
    return ids


def passed_over_in(clips: Clips) -> Sequence[str]:
    """Sentences on files in the folders of a source that are not read."""
    said: Sequence[str] = getattr(clips, "passed_over", ())
    return said


def remarks_in(clips: Clips) -> list[str]:
    """Sentences on clips that are unusual though they can be used, of those read so far."""
    return clips.remarks() if isinstance(clips, RemarkedClips | JoinedClips) else []


def name_left_out(clips: Clips, name: str, *, most: int = 5) -> list[str]:
    """Sentences on what of a source is left out: files that are not read, and repeated clips.

    Args:
        clips: the source.
        name: what it is called in the sentences.
        most: ids that are named of clips left out because one before has the same.
    """
    found = [f"'{name}': {each}" for each in passed_over_in(clips)]
    ids = repeated_in(clips)
    if not ids:
        return found
    why = "was left out because its id stands" if len(ids) == 1 else ""
    why = why or "were left out because their ids stand"
    return [
        *found,
        f"{len(ids):,} of {len(clips) + len(ids):,} clips of '{name}' {why} in an earlier source "
        f"or shard too: {first_names(ids, most)}.",
    ]
