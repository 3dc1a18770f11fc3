"""VGGSound as folders of short videos, with its lists beside them.

A video is called `ID_SSSSSS.mp4`, ID being a YouTube id and SSSSSS the second at which the clip
begins; also `ID_S.mp4`, `ID_S000_E000.mp4` in milliseconds, or `ID.mp4` where the lists name one
clip of that video alone. Videos may lie at any depth. `vggsound.csv` and `vggss.json` lie in the
folder or in the one above it.

VGG-SS annotates the middle frame of the 10 s. Of a longer video that is the frame at 5 s, of a
shorter one its own middle; the sound is that of 3 s around it.

Source: VGGSound, Chen et al., ICASSP 2020; VGG-SS, Chen et al., CVPR 2021.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Int64, UInt8

from hearsight.clips.clip import Box, DecodedClip, UnreadableClip, fit_frame
from hearsight.clips.fingerprint import file_fingerprint
from hearsight.clips.lists import ClipName, clip_names, read_list
from hearsight.datasets.folders import ListedClip, unique
from hearsight.datasets.vggsound import VggSsBoxes, lists_splits, read_vggsound_list
from hearsight.datasets.videos import SUFFIXES
from hearsight.errors import HearsightError
from hearsight.files.text import count_and_name, one_line
from hearsight.files.walk import check_link, walk
from hearsight.media.read import VideoReader
from hearsight.media.samples import RATE, to_samples
from hearsight.media.source import MediaError

CSV, BOXES = "vggsound.csv", "vggss.json"
SECONDS = 10.0  # of a whole clip
SLACK = 0.5  # seconds that a whole clip may lack
MIDDLE = 5.0  # seconds into the clip: the annotated frame
AROUND = 3.0  # seconds of sound
SIDE = 360  # pixels; the shorter side of larger frames is reduced to this
RUN = 4  # clips that a process reads at a time
BLOCKS = 16  # in each dimension, of a frame that is compared with another
UNCHANGED = 3.0  # levels, 0..255, by which no block of a still picture changes

SHORT, SILENT, STILL = "shorter than 10 s", "silent throughout", "a still picture"


class Reading(NamedTuple):
    """What one pass over a video gives.

    duration: seconds. time: of the frame, seconds into the clip.
    """

    duration: float
    time: float
    first: UInt8[np.ndarray, "height width 3"]
    frame: UInt8[np.ndarray, "height width 3"]
    sound: Int16[np.ndarray, " samples"]

    def flaws(self) -> frozenset[str]:
        """What is unusual about the clip, though it can be used."""
        found = {
            SHORT: self.duration < SECONDS - SLACK,
            SILENT: not self.sound.any(),
            STILL: is_still(self.first, self.frame),
        }
        return frozenset(flaw for flaw, there in found.items() if there)


def is_still(
    first: UInt8[np.ndarray, "height width 3"], later: UInt8[np.ndarray, "height width 3"]
) -> bool:
    """Whether no block of two frames of one size, 16 x 16 blocks each, differs in colour."""
    height, width, _ = first.shape
    if min(height, width) < BLOCKS:
        return bool(np.array_equal(first, later))
    rows, columns = height // BLOCKS * BLOCKS, width // BLOCKS * BLOCKS
    pixels = rows * columns // BLOCKS**2

    def sums(frame: UInt8[np.ndarray, "height width 3"]) -> Int64[np.ndarray, "rows columns 3"]:
        lines = frame[:rows, :columns].reshape(BLOCKS, rows // BLOCKS, -1)
        joined: np.ndarray = lines.sum(1, dtype=np.int64)  # first over lines, which lie in a row
        summed: np.ndarray = joined.reshape(BLOCKS, BLOCKS, -1, 3).sum(2)
        return summed

    return bool(np.abs(sums(first) - sums(later)).max() < UNCHANGED * pixels)


def read_clip(path: Path) -> Reading:
    """The annotated frame of a video and the sound around it, and its first frame.

    Raises:
        MediaError: it cannot be read, or has no picture or no sound.
    """
    with VideoReader(path, threaded=False) as video:
        time, start = video.around(None, AROUND, latest=MIDDLE)
        first, shown = video.frames_at([0.0, time])
        sound = to_samples(video.sound(start, AROUND, RATE, moved=True))
        if not len(sound):
            raise MediaError(f"'{path}' has no sound at {time:.2f} s.")
        return Reading(
            duration=video.duration, time=time, first=first.pixels, frame=shown.pixels, sound=sound
        )


def video_files(folder: Path) -> Iterator[str]:
    """The videos at any depth by their suffix, as paths below `folder`; no file is looked at.

    Hidden files and folders are left out, links followed as `walk` says.

    Raises:
        HearsightError: a folder cannot be read.
    """
    for below, names in walk(folder):
        for name in names:
            if name[name.rfind(".") :].lower() in SUFFIXES and not name.startswith("."):
                yield below + name


def is_vggsound_videos(folder: Path) -> bool:
    """Whether VGGSound's lists lie in or beside the folder, and a video there has a name of theirs.

    In the folder a list alone is enough, if there are videos.
    """
    if not folder.is_dir() or all(path is None for path in find_lists(folder)):
        return False
    inside = any((folder / name).is_file() for name in (CSV, BOXES))
    return any(inside or clip_names([name])[0].kind == "youtube" for name in video_files(folder))


def is_chosen_by(folder: Path, listed: Path) -> bool:
    """Whether a list is one of VGGSound's, with boxes or splits, and a video has a name of theirs.

    Raises:
        HearsightError: the list cannot be read.
    """
    told = any(one.boxes or one.split in ("train", "test") for one in read_list(listed).entries)
    return told and any(clip_names([name])[0].kind == "youtube" for name in video_files(folder))


def find_lists(folder: Path) -> tuple[Path | None, Path | None]:
    """`vggsound.csv` and `vggss.json`, in the folder or in the one above it.

    Raises:
        HearsightError: one of them is a link that leads nowhere.
    """
    places = (folder, folder.absolute().parent)

    def find(name: str) -> Path | None:
        for path in (place / name for place in places):
            check_link(path)
            if path.exists():
                return path
        return None

    return find(CSV), find(BOXES)


class VggSoundVideos:
    """The clips that a list names and a video holds, in the order of the list.

    Ids are those of the list. `passed_over` tells, as `selection.name_left_out` does, which clips
    have no video, which videos are in no list, and which hold a clip that another holds. Clips that
    are short, silent or still are clips like any other; `remarks` names them once they were read.

    Raises:
        HearsightError: the folder cannot be read, or no named clip has a video.
    """

    def __init__(
        self, folder: Path, named: list[ListedClip], boxes: VggSsBoxes | None, listed: str
    ) -> None:
        self._folder = folder
        self._truth = boxes
        self._flaws: dict[int, frozenset[str]] = {}
        found = _match(folder, [one.id for one in named])
        if not found.paths:
            raise HearsightError(
                f"None of the {len(named):,} clips of '{listed}' has a video in '{folder}': they "
                f"are called like '{named[0].id}.mp4'{found.example()}."
            )
        self.ids = list(found.paths)
        labels = {one.id: one.label for one in named}
        self._labels = [labels[id] for id in self.ids]
        self._paths = list(found.paths.values())
        self.passed_over = found.sentences(listed)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        read = self._read(index)
        return DecodedClip(
            id=self.ids[index],
            frame=fit_frame(read.frame, SIDE),
            sound=read.sound,
            label=self._labels[index],
            boxes=self._boxes(index),
            source=self._paths[index],
            time=read.time,
        )

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        return self._labels[index], self._boxes(index)

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        path = self._folder / self._paths[index]
        try:
            with VideoReader(path, threaded=False) as video:
                _, start = video.around(None, AROUND, latest=MIDDLE)
                samples = to_samples(video.sound(start, AROUND, RATE))
        except MediaError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error
        if not len(samples):
            raise UnreadableClip(self.ids[index], f"'{path}' has no sound at its middle")
        return samples

    def fingerprint(self, index: int) -> str:
        """The fingerprint of the video file."""
        return file_fingerprint(self._folder / self._paths[index])

    def runs(self, indices: Sequence[int]) -> list[list[int]]:
        return [[*indices[start : start + RUN]] for start in range(0, len(indices), RUN)]

    def film_order(self, index: int) -> tuple[str, int]:
        return self._paths[index], 0  # a video holds one clip

    def flaws(self, index: int) -> frozenset[str]:
        return self._flaws.get(index, frozenset())

    def note_flaws(self, index: int, flaws: frozenset[str]) -> None:
        if flaws:
            self._flaws[index] = flaws

    def remarks(self) -> list[str]:
        """Sentences that count and name the clips read so far that are short, silent or still."""
        found = sorted(self._flaws.items())
        kinds = {
            flaw: [self.ids[index] for index, flaws in found if flaw in flaws]
            for flaw in (SHORT, SILENT, STILL)
        }
        return [
            said
            for flaw, ids in kinds.items()
            for said in count_and_name(ids, f"clip is {flaw}", f"clips are {flaw}")
        ]

    def _read(self, index: int) -> Reading:
        try:
            read = read_clip(self._folder / self._paths[index])
        except MediaError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error
        self.note_flaws(index, read.flaws())
        return read

    def _boxes(self, index: int) -> tuple[Box, ...] | None:
        return None if self._truth is None else self._truth.boxes(self.ids[index])


class _Matched(NamedTuple):
    """Which clip lies in which video: `paths` by id, and what was left over."""

    paths: dict[str, str]
    missing: list[str]  # ids without a video
    unlisted: list[str]  # videos that no list names
    again: list[str]  # videos of a clip that another video holds

    def example(self) -> str:
        """How the videos there are called, for an error; nothing if there is none."""
        if not self.unlisted:
            return ""
        return f", and the videos there like '{one_line(self.unlisted[0])}'"

    def sentences(self, listed: str) -> list[str]:
        """What was left over, a sentence each."""
        return [
            *count_and_name(
                self.missing,
                f"clips of '{listed}' has no video",
                f"clips of '{listed}' have no video",
                total=len(self.paths) + len(self.missing),
            ),
            *count_and_name(self.unlisted, "video is in no list", "videos are in no list"),
            *count_and_name(
                self.again,
                "video holds a clip that another video holds",
                "videos hold a clip that another video holds",
            ),
        ]


def _match(folder: Path, ids: list[str]) -> _Matched:
    """Find the video of each clip; of several the first by its path."""
    files = sorted(video_files(folder))
    held: dict[ClipName, str] = {}
    again: dict[ClipName, list[str]] = {}
    for name, path in zip(clip_names(files), files, strict=True):
        if held.setdefault(name, path) != path:
            again.setdefault(name, []).append(path)
    wanted = clip_names(ids)
    single = {name.video: name for name in wanted}
    for name in wanted:  # a video of several clips cannot tell which one it holds
        if single[name.video] != name:
            single[name.video] = ClipName("other", "")
    paths: dict[str, str] = {}
    missing, used = [], set()
    for id, name in zip(ids, wanted, strict=True):
        whole = name._replace(start=None) if single[name.video] == name else name
        known = name if name in held else whole
        if known in held:
            paths[id] = held[known]
            used.add(known)
        else:
            missing.append(id)
    return _Matched(
        paths=paths,
        missing=missing,
        unlisted=[path for name, path in held.items() if name not in used],
        again=[path for name in used for path in again.get(name, ())],
    )


def open_vggsound_videos(
    folder: Path, *, listed: Path | None = None, split: str | None = None
) -> VggSoundVideos:
    """The clips of a folder of videos.

    Args:
        folder: with the videos; `vggsound.csv` and `vggss.json` in it or above it.
        listed: a list of the clips to use, in order. By default, for test, the clips of
            `vggss.json`; without it, and for train, those of `vggsound.csv`; without that one too
            the clips of `vggss.json`.
        split: train or test, of a list with a split column; None for both.

    Raises:
        HearsightError: a list cannot be read, or as `VggSoundVideos`.
    """
    table, annotated = find_lists(folder)
    if listed is not None and listed.suffix.lower() == ".json":
        annotated = listed
    boxes = None if annotated is None else VggSsBoxes(annotated)
    chosen = listed or (annotated if split == "test" and annotated is not None else table)
    if chosen is None or chosen == annotated:
        assert boxes is not None
        assert annotated is not None
        named = [ListedClip(id=id, label=label) for id, label in boxes.labels.items()]
        return VggSoundVideos(folder, unique(iter(named)), boxes, str(annotated))
    rows = read_vggsound_list(chosen, split)
    labels = {} if boxes is None else boxes.labels
    named = [ListedClip(id=one.id, label=one.label or labels.get(one.id)) for one in rows]
    return VggSoundVideos(folder, named, boxes, str(chosen))


def has_splits(folder: Path) -> bool:
    """Whether the lists of a folder of videos tell train from test.

    Raises:
        HearsightError: `vggsound.csv` cannot be read.
    """
    table, _ = find_lists(folder)
    return table is not None and lists_splits(table)
