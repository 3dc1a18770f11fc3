"""Duets and solos as the field's lists have them: MUSIC-Duet, MUSIC-Solo and VGGSound-Duet.

`music_duet.json` and `vggss_duet_test.json`: objects of file, class_src1, bbox_src1, class_src2 and
bbox_src2; `music_solo.json`: of file, class and bbox. Their boxes are [x, y, width, height] in
fractions of the frame. Beside them are `frames/FILE.jpg` and `audio/FILE.wav`, or one sound for all
frames of a video: of `HnUOaSfTA6c_000_00007` it is `audio/HnUOaSfTA6c_000.wav` or
`audio/HnUOaSfTA6c.wav`.

`vggsound_duet_test.csv`: rows of ID, CLASS, ID, CLASS: two clips that sound together, each with its
own frame.

Source: AVGN, Mo and Tian, CVPR 2023, T-VSL, Mahmud et al., CVPR 2024, and GAR-SSL, Park and Kim,
CVPR 2026, released metadata and code.
Differs from the released code: AVGN and T-VSL read these boxes as two corners, by which 1,016 of
the 1,020 second sources of MUSIC-Duet cover no pixel.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hearsight.clips.clip import Box, Clip, Clips, DecodedClip, UnreadableClip
from hearsight.clips.lists import BETWEEN, clip_names, parse_list, read_duets
from hearsight.clips.selection import ChosenClips, passed_over_in
from hearsight.datasets.folders import (
    FolderClips,
    ListedClip,
    frame_names,
    stems,
    subfolder,
    without_file,
)
from hearsight.errors import HearsightError
from hearsight.files.text import count_and_name, parse_json, read_text

LISTS = ("music_duet.json", "music_solo.json", "vggss_duet_test.json")
FRAMES, SOUNDS = ("frames", "frame"), "audio"
SECONDS = 3.0  # of a sound: its middle, as NoPrior and GAR-SSL hear it
BOTH = "bbox_src1"  # what entries of two sources have


@dataclass(frozen=True, slots=True)
class Member:
    """One source of a duet: its clip, and its class and boxes where the list tells them."""

    id: str
    index: int
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    told: bool = False  # whether the boxes are those of the list


class DuetClips(ChosenClips):
    """The sources of duets as clips `STEM_0` and `STEM_1`, of the clips of another source."""

    def __init__(self, clips: Clips, members: Sequence[Member]) -> None:
        super().__init__(clips, [one.index for one in members])
        self.ids = [one.id for one in members]
        self._clips, self._members = clips, list(members)
        self.passed_over = list(passed_over_in(clips))

    def __getitem__(self, index: int) -> DecodedClip:
        one = self._members[index]
        try:
            clip = self._clips[one.index]
        except UnreadableClip as error:
            raise UnreadableClip(one.id, error.reason) from error
        return replace(clip, id=one.id, label=one.label or clip.label, boxes=self._boxes(one, clip))

    def clip(self, index: int) -> Clip:
        one = self._members[index]
        try:
            clip = super().clip(index)
        except UnreadableClip as error:
            raise UnreadableClip(one.id, error.reason) from error
        return replace(clip, id=one.id, label=one.label or clip.label, boxes=self._boxes(one, clip))

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        one = self._members[index]
        if one.told:
            return one.label, one.boxes
        label, boxes = super().annotation(index)
        return one.label or label, boxes

    def clip_of(self, index: int) -> str:
        return self.ids[index]

    def origins_of(self, index: int) -> tuple[str, ...]:
        return (self._clips.ids[self._members[index].index],)

    def _boxes(self, one: Member, clip: DecodedClip | Clip) -> tuple[Box, ...] | None:
        return one.boxes if one.told else clip.boxes


class _SoloBoxes:
    """The boxes of `music_solo.json` by file."""

    def __init__(self, boxes: Mapping[str, tuple[Box, ...] | None]) -> None:
        self._boxes = boxes

    def boxes(self, id: str) -> tuple[Box, ...] | None:
        return self._boxes.get(id)


def duet_list(folder: Path, listed: Path | None) -> Path | None:
    """The list of duets or solos by which a folder is read; None if it holds something else.

    listed: the list that was named with the folder; None: one is looked for.

    Raises:
        HearsightError: none was named, and there are several.
    """
    if listed is None:
        return find_duet_list(folder)
    return listed if lists_duets(listed) else None


def find_duet_list(folder: Path) -> Path | None:
    """The list of duets or solos that lies in a folder with frames and sounds, or above it.

    Raises:
        HearsightError: there are several.
    """
    if not (folder / SOUNDS).is_dir() or not any((folder / name).is_dir() for name in FRAMES):
        return None
    for place in (folder, folder.parent):
        found = [place / name for name in LISTS if (place / name).is_file()]
        if len(found) > 1:
            raise HearsightError(
                f"'{place}' has {' and '.join(path.name for path in found)}: name one of them, as "
                f"'{folder}@{found[0].name}'."
            )
        if found:
            return found[0]
    return None


def lists_duets(listed: Path) -> bool:
    """Whether a list names duets or solos as this module reads them; False if it cannot be read."""
    try:
        text = read_text(listed)
        if text.lstrip()[:1] != "[":
            return bool(read_duets(listed))
        held = parse_json(text)
    except (HearsightError, ValueError, RecursionError):
        return False
    first = held[0] if isinstance(held, list) and held else None
    return isinstance(first, dict) and (BOTH in first or _is_flat(first.get("bbox")))


def _is_flat(value: Any) -> bool:
    """Whether a value is one box, not several."""
    return isinstance(value, list) and len(value) == 4 and not isinstance(value[0], list)


def open_music(folder: Path, listed: Path) -> Clips:
    """The sources of the frames that a JSON list names, from `frames` and `audio` below `folder`.

    Of two sources each is a clip, `FILE_0` and `FILE_1`, with the sound of both.

    Raises:
        HearsightError: a folder is missing, no frame or no sound is there, or the list has another
            form, a frame twice and differently, or boxes that are none of [x, y, width, height].
    """
    entries = _read_music(listed)
    frames, sounds = subfolder(folder, *FRAMES), subfolder(folder, SOUNDS)
    solo = {file: found[0][1] for file, found in entries.items() if len(found) == 1}
    clips = FolderClips(
        [
            ListedClip(id=file, label=found[0][0] if len(found) == 1 else None)
            for file, found in entries.items()
        ],
        frames=[f"{frames}/*.jpg"],
        sounds=[f"{sounds}/*.wav"],
        sound_names=track_names,
        truth=_SoloBoxes(solo) if solo else None,
        seconds=SECONDS,
        middle=True,
        passed_over=_not_listed(frames, sounds, list(entries), listed),
    )
    if solo:
        return clips
    members = [
        Member(f"{file}_{place}", index, label, boxes, told=True)
        for index, (file, found) in enumerate(entries.items())
        for place, (label, boxes) in enumerate(found)
    ]
    return DuetClips(clips, members)


def track_names(file: str) -> tuple[str, ...]:
    """The names that the sound of a frame may have: its own, its track's, or its video's."""
    track = re.sub(r"_\d+$", "", file)
    return tuple(dict.fromkeys((file, track, re.sub(r"_\d+$", "", track))))


def _not_listed(frames: Path, sounds: Path, files: Sequence[str], listed: Path) -> list[str]:
    """Sentences on frames and sounds that belong to none of the files of a list."""
    heard = {name for file in files for name in track_names(file)}
    lacking = f"boxes in '{listed.name}'"
    return [
        *without_file(frame_names(frames), files, ("frame", "frames"), lacking),
        *without_file(stems(sounds, [".wav"]), heard, ("sound", "sounds"), lacking),
    ]


Source = tuple[str | None, tuple[Box, ...] | None]  # the class and the boxes of a source


def _read_music(listed: Path) -> dict[str, tuple[Source, ...]]:
    """The one or two sources of each frame of a list."""
    found: dict[str, tuple[Source, ...]] = {}
    for entry in parse_list(listed, read_text(listed)):
        file, held = entry.ids[0], parse_json(entry.text)
        sources: tuple[Source, ...] = ((entry.label, entry.boxes),)
        if BOTH in held:
            boxes = entry.boxes or ()
            given = iter(boxes)
            sources = tuple(
                (
                    held.get(f"class_src{place}"),
                    (next(given),) if held.get(f"bbox_src{place}") else None,
                )
                for place in (1, 2)
            )
        if found.setdefault(file, sources) != sources:
            raise HearsightError(f"'{listed}' has the frame '{file}' twice, and differently.")
    if len({len(sources) for sources in found.values()}) > 1:
        raise HearsightError(f"'{listed}' has frames of one source and frames of two.")
    return found


def open_listed_duets(clips: Clips, listed: Path) -> DuetClips:
    """The duets of a list of ID, CLASS, ID, CLASS: clips `A~B_0` and `A~B_1` of some clips.

    Duets of which a clip is not there are left out and counted.

    Raises:
        HearsightError: the list has another form or a duet twice and differently, or no duet has
            both of its clips.
    """
    rows = list(dict.fromkeys(read_duets(listed)))
    known = {name: index for index, name in enumerate(clip_names(clips.ids))}
    members, lacking, told = list[Member](), list[str](), dict[str, tuple[str, str]]()
    for ids, labels in rows:
        places = [known[name] for name in clip_names(ids) if name in known]
        if len(places) < len(ids):
            lacking.append(BETWEEN.join(ids))
            continue
        stem = BETWEEN.join(clips.ids[place] for place in places)
        if stem in told:
            if told[stem] != labels:
                raise HearsightError(f"'{listed}' has the duet '{stem}' twice, and differently.")
            continue
        told[stem] = labels
        members += [
            Member(f"{stem}_{number}", index, label)
            for number, (index, label) in enumerate(zip(places, labels, strict=True))
        ]
    if not members:
        raise HearsightError(
            f"None of the {len(rows):,} duets in '{listed}' has both of its clips: they look like "
            f"'{rows[0][0][0]}' there and like '{clips.ids[0]}' here."
        )
    found = DuetClips(clips, members)
    found.passed_over += count_and_name(
        lacking, "duets lacks a clip", "duets lack a clip", total=len(rows)
    )
    return found
