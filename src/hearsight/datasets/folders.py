"""Clips read from one frame file and one sound file each, as VGGSound and Flickr lay them out."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import (  # type: ignore[import-untyped]
    DefusedXmlException,
    ElementTree,
)
from jaxtyping import Int16

from hearsight.clips.clip import (
    Box,
    Clip,
    DecodedClip,
    UnreadableClip,
    encode_picture,
    encode_sound,
)
from hearsight.clips.fingerprint import file_fingerprint
from hearsight.clips.lists import ListEntry, read_list
from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.files.text import count_and_name
from hearsight.files.walk import check_there
from hearsight.media.picture import decode_picture, picture_suffix
from hearsight.media.samples import RATE
from hearsight.media.sound_file import decode_sound_file

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")  # suffixes, in small letters


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedClip:
    """A clip that a list names."""

    id: str
    label: str | None = None


@runtime_checkable
class BoxAnnotations(Protocol):
    """The annotated boxes of clips, by id."""

    def boxes(self, id: str, /) -> tuple[Box, ...] | None:
        """The boxes of a clip, unclamped; None if not annotated; ValueError if damaged."""


def read_entries(path: Path) -> tuple[ListEntry, ...]:
    """The entries of a list, each of which names one clip.

    Raises:
        HearsightError: as `read_list`, or the list pairs frames with the sounds of other clips.
    """
    found = read_list(path)
    if found.paired:
        raise HearsightError(
            f"The list '{path}' pairs frames with sounds of other clips, which is not supported."
        )
    return found.entries


def without_file(
    ids: Collection[str], held: Collection[str], what: tuple[str, str], lacking: str
) -> list[str]:
    """A sentence that counts and names those of some ids that are not among others.

    what: one of them and several, as `("frame", "frames")`; lacking: what they lack, as `sound`.
    """
    known = set(held)
    return count_and_name(
        [id for id in ids if id not in known],
        f"{what[1]} has no {lacking}",
        f"{what[1]} have no {lacking}",
        total=len(ids),
    )


def frame_names(folder: Path) -> list[str]:
    """The sorted ids of the frames in a folder: pictures, or folders of pictures."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    return sorted(
        name[: name.rindex(".")] if name.lower().endswith(FRAME_SUFFIXES) else name
        for name in names
        if name.lower().endswith(FRAME_SUFFIXES) or "." not in name or name.endswith(".mp4")
    )


def unheard(
    named: Sequence[ListedClip], frames: Collection[str], annotated: Collection[str]
) -> list[str]:
    """Sentences on the frames and the annotations of a folder whose clip has no sound there."""
    ids = [one.id for one in named]
    return [
        *without_file(frames, ids, ("frame", "frames"), "sound"),
        *without_file(annotated, ids, ("annotation", "annotations"), "sound"),
    ]


def named_folder(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of some subfolders that exists; None if there is none.

    Raises:
        HearsightError: a file lies there.
    """
    there = next((folder / name for name in names if (folder / name).exists()), None)
    if there is not None and not there.is_dir():
        raise HearsightError(f"'{there}' is a file, where a folder is wanted.")
    return there


def unique(named: Iterator[ListedClip]) -> list[ListedClip]:
    """The first clip of each id."""
    first: dict[str, ListedClip] = {}
    for one in named:
        first.setdefault(one.id, one)
    return list(first.values())


def is_file(path: Path) -> bool:
    """Whether a file is there; none is where one may not look, or of a name that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """As `is_file`, of a folder."""
    try:
        return path.is_dir()
    except OSError:
        return False


def first_existing(patterns: Sequence[str], ids: Sequence[str]) -> str | None:
    """The first pattern for which one of the ids has a file; its last `*` stands for the id."""
    for id in ids:
        for pattern in patterns:
            if is_file(find_file(id, [pattern])):
                return pattern
    return None


def find_file(id: str, patterns: Sequence[str]) -> Path:
    """The first of a clip's possible files that exists; if none does, the first.

    Its suffix may be spelt otherwise, as `spelt` says.
    """
    paths = [Path(_filled(pattern, id)) for pattern in patterns]
    for path in (*paths, *map(spelt, paths)):
        if is_file(path):
            return path
    return paths[0]


def _filled(pattern: str, id: str) -> str:
    """The path of an id; a folder before it may have a `*` in its name, too."""
    before, _, behind = pattern.rpartition("*")
    return f"{before}{id}{behind}"


def spelt(path: Path) -> Path:
    """A file, however its suffix is spelt: in capitals, and `.jpeg` or `.png` for `.jpg`.

    Content tells what a picture is. The path itself where there is none.
    """
    if is_file(path):
        return path
    suffixes = FRAME_SUFFIXES if path.suffix == ".jpg" else (path.suffix,)
    for suffix in (each for lower in suffixes for each in (lower, lower.upper())):
        found = path.parent / f"{path.name.removesuffix(path.suffix)}{suffix}"
        if is_file(found):
            return found
    return path


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, by suffix and sorted, without hidden files; none if it is none."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in FRAME_SUFFIXES and not path.name.startswith(".")
    )


def stems(folder: Path, suffixes: Sequence[str]) -> list[str]:
    """The sorted names, without suffix, of a folder's files that have one of some suffixes."""
    return sorted(
        path.stem
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def ending_in(folder: Path, ending: str) -> list[Path]:
    """The sorted paths of a folder whose names end in some lower-case letters, in any case.

    None of a folder that may not be listed, as one above a data set.
    """
    try:
        held = list(folder.iterdir())
    except PermissionError:
        return []
    return sorted(
        path
        for path in held
        if path.name.lower().endswith(ending) and not path.name.startswith(".")
    )


def subfolder(folder: Path, *names: str) -> Path:
    """The first of some subfolders that exists; raises HearsightError if none does."""
    check_there(folder)
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise HearsightError(f"'{folder}' has no folder '{names[0]}'.")


class FolderClips:
    """Clips read from one frame file and one sound file each.

    frames, sounds: paths whose last `*` stands for the id. Sounds of another rate are
    resampled, several channels averaged. sound_names: the names that the sound of an id may have,
    by default the id. seconds: of each sound only the beginning of this length is used, or the
    middle. passed_over: sentences on files that belong to none of the clips, and on clips that
    nobody annotated.

    Raises:
        HearsightError: none of the named clips has a frame file, or none a sound file.
    """

    def __init__(
        self,
        named: Sequence[ListedClip],
        *,
        frames: Sequence[str],
        sounds: Sequence[str],
        sound_names: Callable[[str], Sequence[str]] = lambda id: (id,),
        truth: BoxAnnotations | None = None,
        seconds: float | None = None,
        middle: bool = False,
        passed_over: Sequence[str] = (),
    ) -> None:
        self.ids = [one.id for one in named]
        self.passed_over = list(passed_over)
        self._labels = [one.label for one in named]
        self._truth = truth
        self._seconds, self._middle, self._sound_names = seconds, middle, sound_names
        heard = [name for id in self.ids for name in sound_names(id)]
        for kind, patterns, names in (("frame", frames, self.ids), ("sound", sounds, heard)):
            if first_existing(patterns, names) is None:
                raise HearsightError(
                    f"None of {len(named):,} clips has a {kind}: for '{self.ids[0]}' there is no "
                    f"'{_filled(patterns[0], self.ids[0])}'."
                    if named
                    else f"There is no sound at '{sounds[0]}'."
                )
        self._frames, self._sounds = list(frames), list(sounds)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        id = self.ids[index]
        _, frame = self._file(id, find_file(id, self._frames))
        try:
            return DecodedClip(
                id=id,
                frame=decode_picture(frame),
                sound=self.sound(index),
                label=self._labels[index],
                boxes=self._boxes(id),
            )
        except ValueError as error:
            raise UnreadableClip(id, str(error)) from error

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        return self._labels[index], self._boxes(self.ids[index])

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        id = self.ids[index]
        path, file = self._file(id, self._sound_file(id))
        try:
            samples = decode_sound_file(file, path)
        except ValueError as error:
            raise UnreadableClip(id, str(error)) from error
        length = len(samples) if self._seconds is None else round(self._seconds * RATE)
        start = max(0, len(samples) - length) // 2 if self._middle else 0
        return samples[start : start + length]

    def clip(self, index: int) -> Clip:
        """The clip encoded for a store: the frame file's own bytes, the sound as FLAC at `RATE`."""
        id = self.ids[index]
        _, frame = self._file(id, find_file(id, self._frames))
        try:
            if picture_suffix(frame) is None:
                frame = encode_picture(decode_picture(frame), "PNG")
        except ValueError as error:
            raise UnreadableClip(id, str(error)) from error
        return Clip(
            id=id,
            frame=frame,
            sound=encode_sound(self.sound(index)),
            label=self._labels[index],
            boxes=self._boxes(id),
        )

    def fingerprint(self, index: int) -> str:
        """The fingerprint of its frame file and its sound file."""
        id = self.ids[index]
        return file_fingerprint(find_file(id, self._frames), self._sound_file(id))

    def _boxes(self, id: str) -> tuple[Box, ...] | None:
        try:
            return None if self._truth is None else self._truth.boxes(id)
        except (ValueError, OverflowError) as error:
            raise UnreadableClip(id, f"its boxes are damaged: {error}") from error

    def _sound_file(self, id: str) -> Path:
        """The first file that the sound of a clip may be in; where none is there, of its own id."""
        paths = [find_file(name, self._sounds) for name in self._sound_names(id)]
        return next((path for path in paths if is_file(path)), paths[0])

    def _file(self, id: str, path: Path) -> tuple[Path, bytes]:
        try:
            return path, read_content(path)
        except OSError as error:
            raise UnreadableClip(id, f"'{path}': {error.strerror}") from error


def read_xml(path: Path) -> Element | None:
    """The root element of an XML annotation; None if there is no file; ValueError if damaged."""
    try:
        root: Element = ElementTree.fromstring(read_content(path))
        return root
    except FileNotFoundError:
        return None
    except (ParseError, DefusedXmlException, OSError) as error:
        raise ValueError(f"'{path}' is no whole XML file ({error})") from error
