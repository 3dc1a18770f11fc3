"""Leaks: clips and videos in both a training set and a test set, found by their ids.

Another second of a test video is a leak as well: scene, voices and microphone are the same.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hearsight.clips.lists import ClipList, ClipName, ListEntry, clip_names, find_list, read_list
from hearsight.errors import HearsightError
from hearsight.files.text import counted, first_names

SELECTED, LEAKED, SUPERVISED, SCRATCH = "*", "†", "§", "‡"
MARKS = {
    SELECTED: "the epoch was chosen on the test set",
    LEAKED: "trained on clips or videos of the test set",
    SUPERVISED: "learned from boxes: not self-supervised",
    SCRATCH: "frame network from scratch; in the paper it starts from ImageNet",
}
"""The marks of rows in tables, and what they mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The clips and videos that a training set shares with a test set.

    clips: training clips that are test clips. siblings: training clips that are not, but whose
    video has test clips. Ids as the training set writes them.
    """

    train: str
    test: str
    train_clips: int
    train_videos: int
    test_clips: int
    test_videos: int
    clips: tuple[str, ...]
    siblings: tuple[str, ...]
    videos: tuple[str, ...]  # with clips in both
    comparable: bool  # False if the ids of the two sets have no form in common

    def row(self, most: int | None = None) -> dict[str, Any]:
        """Counts, and at most `most` ids of each kind, as JSON."""
        return {
            "train": self.train,
            "test": self.test,
            "train_clips": self.train_clips,
            "train_videos": self.train_videos,
            "test_clips": self.test_clips,
            "test_videos": self.test_videos,
            "clips_in_both": len(self.clips),
            "videos_in_both": len(self.videos),
            "other_clips_of_these_videos": len(self.siblings),
            "clips": list(self.clips[:most]),
            "other_clips": list(self.siblings[:most]),
            "videos": list(self.videos[:most]),
            "comparable": self.comparable,
        }

    def sentence(self) -> str:
        """The counts as a clause for warnings and errors."""
        share = 100 * len(self.clips) / max(1, self.test_clips)
        return (
            f"{len(self.clips):,} of the {counted(self.test_clips, 'clip')} of '{self.test}' "
            f"({share:.1f} %) {'is' if len(self.clips) == 1 else 'are'} in '{self.train}', and "
            f"{len(self.videos):,} of its {counted(self.test_videos, 'video')}"
        )


def named(ids: Sequence[str]) -> dict[ClipName, str]:
    """Every clip once, with the first id that names it."""
    found: dict[ClipName, str] = {}
    for name, id in zip(clip_names(ids), ids, strict=True):
        found.setdefault(name, id)
    return found


def find_leak(train: str, train_ids: Sequence[str], test: str, test_ids: Sequence[str]) -> Leak:
    """Compare two sets of clips; `train` and `test` are their names, ids may be of any form."""
    learned, tested = named(train_ids), named(test_ids)
    videos = {(name.kind, name.video) for name in tested}
    touched = {name: id for name, id in learned.items() if (name.kind, name.video) in videos}
    shared = {(name.kind, name.video): name.video for name in touched}
    return Leak(
        train=train,
        test=test,
        train_clips=len(learned),
        train_videos=len({(name.kind, name.video) for name in learned}),
        test_clips=len(tested),
        test_videos=len(videos),
        clips=tuple(id for name, id in touched.items() if name in tested),
        siblings=tuple(id for name, id in touched.items() if name not in tested),
        videos=tuple(shared.values()),
        comparable=not {n.kind for n in learned}.isdisjoint({n.kind for n in tested}),
    )


def check_comparable(leak: Leak, train_ids: Sequence[str], test_ids: Sequence[str]) -> None:
    """Refuse to call two sets clean whose ids cannot be compared.

    Raises:
        HearsightError: the ids of the two have no form in common: those of one are of YouTube, say,
            and those of the other of Flickr or of one's own files. Or one of them is empty.
    """
    if leak.comparable:
        return
    named = [f"names clips as '{ids[0]}'" if ids else "is empty" for ids in (train_ids, test_ids)]
    raise HearsightError(
        f"Nothing can be compared: '{leak.train}' {named[0]}, '{leak.test}' {named[1]}."
    )


def clean(train: ClipList, leaks: Sequence[Leak], *, by: str) -> list[ListEntry]:
    """Entries that do not leak: no test clip and, with `by="video"`, no clip of a test video."""
    bad = set(clip_names(id for leak in leaks for id in leak.clips))
    if by == "video":
        bad |= set(clip_names(id for leak in leaks for id in leak.siblings))
    names = iter(clip_names(train.ids))
    return [one for one in train.entries if bad.isdisjoint(list(islice(names, len(one.ids))))]


def leaks_text(leak: Leak, *, most: int | None = 20) -> str:
    """Counts and ids for the terminal, at most `most` ids of each kind."""
    lines = [
        f"{name}: {counted(clips, 'clip')} of {counted(videos, 'video')}"
        for name, clips, videos in (
            (leak.train, leak.train_clips, leak.train_videos),
            (leak.test, leak.test_clips, leak.test_videos),
        )
    ]
    for what, names in (
        ("clips in both", leak.clips),
        ("videos in both", leak.videos),
        ("other clips of these videos", leak.siblings),
    ):
        named = f": {first_names(names, most)}" if names else ""
        lines.append(f"  {what}: {len(names):,}{named}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """The leak check of a training run, made before it begins.

    facts: for the checkpoint. warnings: a sentence each.
    """

    facts: dict[str, Any]
    warnings: tuple[str, ...]


def check_training(
    train: tuple[str, Sequence[str]],
    validation: tuple[str, Sequence[str]] | None,
    test: tuple[str, Sequence[str]] | None,
    *,
    select_on_test: bool = False,
) -> LeakReport:
    """Check a training run for leaks; each set is given by its name and its ids.

    Raises:
        HearsightError: the epoch would be chosen on the test set without `select_on_test`.
    """
    leaks, selected = {}, False
    if validation is not None:
        leaks["validation"] = find_leak(*train, *validation)
        shared = None if test is None else find_leak(*validation, *test)
        selected = check_selection(validation[0], shared, allowed=select_on_test)
    if test is not None:
        leaks["test"] = find_leak(*train, *test)
    if test is not None and validation is not None and test[0] == validation[0]:
        del leaks["validation"]
    return LeakReport(
        facts={"leak_check": leak_facts(leaks), "selected_on_test": selected},
        warnings=tuple(f"Warning: {leak.sentence()}." for leak in leaks.values() if leak.videos),
    )


def leak_facts(leaks: Mapping[str, Leak]) -> list[dict[str, Any]]:
    """The counts that a checkpoint keeps; keys are `validation` and `test`."""
    return [
        {
            "role": role,
            "test": leak.test,
            "test_clips": leak.test_clips,
            "clips_in_both": len(leak.clips),
            "videos_in_both": len(leak.videos),
            "comparable": leak.comparable,
        }
        for role, leak in leaks.items()
    ]


def merge_leaks(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The leak checks of a run before and after it was resumed; the newer of a test set counts."""
    again = {(one["role"], one["test"]) for one in now}
    kept = [one for one in before if (one["role"], one["test"]) not in again]
    return [dict(one) for one in (*kept, *now)]


def names_test_set(spec: str) -> bool:
    """Whether `--data` names a test set: `test` is in its name, or in the rows of its list.

    The name is the last part of a path, or of the list or part in `FOLDER@LIST`; `test` must be a
    whole word of it, as in `vggss_test.csv`, not a part of one, as in `latest`.
    """
    folder, _, listed = spec.rpartition("@")
    chosen = bool(folder) and not Path(spec).is_dir()
    name = Path(listed if chosen else spec).name.lower()
    if re.search(r"(?<![a-z])test(?![a-z])", name):
        return True
    if not chosen or not listed or listed in ("train", "val"):
        return False
    return any(one.split == "test" for one in read_list(find_list(Path(folder), listed)).entries)


def check_selection(validation: str, test: Leak | None, *, allowed: bool) -> bool:
    """Whether the epoch is chosen on the test set.

    Args:
        validation: the name of the clips that choose the epoch.
        test: what they share with the test set, if there is one.
        allowed: whether the user asked for it.

    Raises:
        HearsightError: it is, and is not allowed.
    """
    if test is not None and test.videos:
        why = test.sentence()
    elif names_test_set(validation):
        why = f"'{validation}' names a test set"
    else:
        return False
    if not allowed:
        raise HearsightError(
            f"The epoch would be chosen on the test set, because {why}: name other clips with "
            "`validation`, or say `select_on_test`, and tables will mark it."
        )
    return True


def marks(facts: Mapping[str, Any], *, epochs: int, from_boxes: bool = False) -> dict[str, str]:
    """The marks of a checkpoint's row in tables, each with its footnote.

    epochs: of its recipe; with 0 nothing was trained and no epoch chosen, so there is no mark.
    from_boxes: whether its recipe learns from boxes.
    """
    if not epochs:
        return {}
    found = {}
    if from_boxes:
        found[SUPERVISED] = MARKS[SUPERVISED]
    if facts.get("selected_on_test"):
        found[SELECTED] = MARKS[SELECTED]
    leaks = [one for one in facts.get("leak_check", []) if one["videos_in_both"]]
    if leaks:
        found[LEAKED] = f"{MARKS[LEAKED]}: " + "; ".join(
            f"{counted(one['clips_in_both'], 'clip')} and "
            f"{counted(one['videos_in_both'], 'video')} of '{one['test']}'"
            for one in leaks
        )
    return found


def footnotes(signs: Mapping[str, str]) -> list[str]:
    """A footnote for each mark."""
    return [f"{sign} {why}" for sign, why in signs.items()]
