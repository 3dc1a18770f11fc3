"""A folder of videos as clips: frames at regular times, or the middle one, and their sound."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16, UInt8
from PIL import Image

from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.clips.fingerprint import file_fingerprint
from hearsight.errors import HearsightError
from hearsight.files.text import one_line
from hearsight.files.walk import check_there, walk
from hearsight.media.read import LEAST, Excerpt, ExcerptReader, probe, read_sound_around
from hearsight.media.samples import RATE, to_samples
from hearsight.media.source import MediaError

SUFFIXES = (
    *(".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m1v", ".m2t"),
    *(".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mod", ".mov", ".mp2v", ".mp4", ".mpe", ".mpeg"),
    *(".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".ogx", ".qt", ".rm", ".rmvb"),
    *(".tod", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".xvid", ".y4m"),
)
AT_SECOND = re.compile(r"(.+)@\d+\.\d\d\d?", re.DOTALL)  # end of the id of a clip of several
CLOSE = 0.02  # seconds; closer clips have a third digit in their ids, or two would have one id
RUN = 20  # clips of a film that a process reads at a time
MOST_NAMED = 5  # of what is passed over


class NoVideosError(HearsightError):
    """A folder without any video."""


@dataclass(slots=True, kw_only=True)
class PassedOver:
    """What lies below folders of videos and is not read: how much, and the first names of it."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, path: Path | str) -> None:
        """Count a file, or a folder with all that it holds."""
        self.count += 1
        if len(self.names) < MOST_NAMED:
            self.names.append(one_line(os.fspath(path)))

    def sentences(self, wanted: str = "no videos") -> list[str]:
        """One sentence with the count and the first names; none if nothing was passed over.

        wanted: what they are not.
        """
        if not self.count:
            return []
        more = f" and {self.count - len(self.names):,} more" if self.count > len(self.names) else ""
        return [
            f"{self.count:,} of the files and folders there {'was' if self.count == 1 else 'were'} "
            "passed over, being hidden, no files, links that lead back or nowhere, or "
            f"{wanted} by their suffix: "
            f"{', '.join(self.names)}{more}."
        ]


def walk_media(
    folder: Path,
    passed: PassedOver,
    closed: Callable[[OSError], None] | None = None,
    suffixes: Collection[str] = SUFFIXES,
) -> Iterator[Path]:
    """Every path below a folder with one of the suffixes, except hidden files and hidden folders.

    The files of a folder come sorted, before those of its subfolders; links are followed as `walk`
    says.

    Args:
        folder: it.
        passed: gets all that is no such path, by its path below the folder.
        closed: called for each folder that cannot be read; by default that is passed over too.
        suffixes: in small letters; by default those of videos.
    """

    def note(error: OSError) -> None:
        passed.add(f"{os.path.relpath(error.filename, folder)}/")

    for below, names in walk(folder, closed or note, passed.add):
        for name in names:
            if Path(name).suffix.lower() in suffixes and not name.startswith("."):
                yield folder / below / name
            else:
                passed.add(below + name)


def find_videos(folder: Path | str, passed: PassedOver) -> list[Path]:
    """The videos of `walk_media` that are ordinary files, sorted by path.

    passed: gets all else, by its path below the folder.

    Raises:
        NoVideosError: there is none.
        HearsightError: no such folder.
    """
    folder = Path(folder)
    check_there(folder)
    found = []
    for path in sorted(walk_media(folder, passed)):
        if path.is_file():
            found.append(path)
        else:
            passed.add(path.relative_to(folder))
    if not found:
        raise NoVideosError(f"'{folder}' holds no videos ({' '.join(SUFFIXES)}).")
    return found


class VideoClips:
    """Clips of every video below a folder: the middle frame, or a frame every `every` seconds.

    seconds: length of the sound, centred on the frame and moved inwards at the video's ends.
    every: seconds between frames, the first at half of that; None for the middle frame alone.
    side: larger frames are reduced until their shorter side has this many pixels. The id is the
    path below the folder, followed by `@SECOND` in videos that `every` divides. `passed_over` says
    what else lies in the folder, as `selection.name_left_out` tells it.

    Raises:
        HearsightError: the folder is missing or holds no video, or an option is out of range.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        seconds: float = 3.0,
        every: float | None = None,
        side: int = 360,
    ) -> None:
        for name, value, least in (
            ("seconds", seconds, LEAST),
            ("every", every, LEAST),
            ("side", side, 1),
        ):
            if value is not None and not least <= value < inf:
                raise HearsightError(f"{name} must be a number from {least} on, not {value}.")
        self._folder = Path(folder)
        self._seconds, self._side = seconds, side
        self.ids: list[str] = []
        self._moments: list[tuple[str, float | None]] = []
        self._readers: dict[tuple[int, int], ExcerptReader] = {}
        digits = 3 if every is not None and every < CLOSE else 2
        passed = PassedOver()
        found = find_videos(folder, passed)
        self.passed_over = passed.sentences()
        for path in found:
            name = path.relative_to(self._folder).as_posix()
            times = [None] if every is None else _times(path, every)
            for time in times:
                self.ids.append(name if time is None else f"{name}@{time:.{digits}f}")
                self._moments.append((name, time))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        try:
            time, frame, sound = self._excerpt(index)
        except MediaError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error
        return DecodedClip(
            id=self.ids[index],
            frame=_shrink(frame, self._side),
            sound=self._samples(index, time, sound),
            source=self._moments[index][0],
            time=time,
        )

    def annotation(self, index: int) -> tuple[None, None]:
        range(len(self.ids))[index]  # refuses what is out of range
        return None, None

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        path, time = self._moment(index)
        try:
            time, sound = read_sound_around(path, time, seconds=self._seconds, rate=RATE)
        except MediaError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error
        return self._samples(index, time, sound)

    def fingerprint(self, index: int) -> str:
        """The fingerprint of the video file."""
        return file_fingerprint(self._moment(index)[0])

    def runs(self, indices: Sequence[int]) -> list[list[int]]:
        """Runs of clips of one film, so that it is opened seldom."""
        found: list[list[int]] = []
        for index in indices:
            last = found[-1] if found else []
            if last and len(last) < RUN and self._moments[last[0]][0] == self._moments[index][0]:
                last.append(index)
            else:
                found.append([index])
        return found

    def film_order(self, index: int) -> tuple[str, int]:
        return self._moments[index][0], index

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": {}}

    def _excerpt(self, index: int) -> Excerpt:
        """The frame and the sound; each thread leaves a video open until its last clip."""
        path, time = self._moment(index)
        thread = (os.getpid(), get_ident())  # a forked process must not share an open file
        reader = self._readers.pop(thread, None)
        if reader is None or reader.path != path:
            if reader is not None:
                reader.close()
            reader = ExcerptReader(path, seconds=self._seconds, rate=RATE)
        excerpt = reader.read(time)
        if self._moments[index][0] in [name for name, _ in self._moments[index + 1 : index + 2]]:
            self._readers[thread] = reader
        else:
            reader.close()
        return excerpt

    def _moment(self, index: int) -> tuple[Path, float | None]:
        name, time = self._moments[index]
        return self._folder / name, time

    def _samples(
        self, index: int, time: float, sound: Float32[np.ndarray, " _"]
    ) -> Int16[np.ndarray, " samples"]:
        if not len(sound):
            path, _ = self._moment(index)
            raise UnreadableClip(self.ids[index], f"'{path}' has no sound at {time:.2f} s")
        return to_samples(sound)


def video_of(id: str) -> str:
    """The video of a clip of `VideoClips`, by its path: the id without the second."""
    found = AT_SECOND.fullmatch(id)
    return id if found is None else found[1]


def _times(path: Path, every: float) -> list[float | None]:
    """The middle of every full interval of a video; [None] if it is shorter than one.

    A video that cannot be read, or has no sound, is also one clip, so that it is reported once.
    """
    try:
        info = probe(path)
    except MediaError:
        return [None]
    if not (info.has_picture and info.has_sound) or info.duration < every:
        return [None]
    return [every * (number + 0.5) for number in range(int(info.duration / every))]


def _shrink(
    pixels: UInt8[np.ndarray, "height width 3"], side: int
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    height, width, _ = pixels.shape
    scale = side / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
