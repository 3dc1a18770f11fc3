"""Frames with exact masks, each with the sound of its clip: what data sets of segmentation hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int16, UInt8

from hearsight.clips.clip import (
    Box,
    Clip,
    DecodedClip,
    UnreadableClip,
    encode_picture,
    encode_sound,
)
from hearsight.clips.fingerprint import file_fingerprint
from hearsight.clips.frame_truth import FrameTruth, SourceMask
from hearsight.clips.masked_store import encode_truth
from hearsight.clips.truth import nearest_pixels
from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.media.picture import decode_picture, open_picture, picture_suffix
from hearsight.media.read import VideoReader
from hearsight.media.samples import RATE, mix, to_samples
from hearsight.media.sound_file import decode_sound_file
from hearsight.media.source import MediaError

HALF = 127  # grey levels above this are inside a mask with soft or noisy edges
ALIKE = 0.02  # by which the shapes of a mask and its frame may differ: they are scaled alike
AROUND = 3.0  # seconds of sound
VIDEOS = (".mp4", ".mkv", ".webm")

Labels = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFrame:
    """One frame of a clip, and where its picture, sound and masks lie.

    id, clip, number, null, kind and subset are as in `FrameTruth`. sounds: heard together. masks:
    the files that tell its sources, or () where nobody masked it. label: of the clip's source,
    where it has one. boxes: as in `Clip`. at_frame: the frame's number in its video, from which
    the sound around it is used; of a sound file, and where it is None, all of the sound is.
    origins: as of `MaskedClips`; None for the clip's own id.
    """

    id: str
    clip: str
    number: int
    picture: Path
    sounds: tuple[Path, ...]
    masks: tuple[Path, ...] = ()
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    null: bool = False
    kind: str | None = None
    subset: str | None = None
    at_frame: int | None = None
    origins: tuple[str, ...] | None = None


Sources = tuple[tuple[int, int], tuple[SourceMask, ...]]
"""The size (height, width) of a frame's masks, and its sources."""

ReadSources = Callable[[MaskedFrame], Sources]
"""Reads the masks of a frame; raises ValueError where they are damaged, OSError if not there."""


class MaskedFrames:
    """Frames with masks, by index: `MaskedClips`.

    read_sources: reads the masks of a frame that has some. passed_over: what was left out, a
    sentence each. repeated: ids of frames that were left out because one before has the same.
    """

    def __init__(
        self,
        frames: Sequence[MaskedFrame],
        read_sources: ReadSources,
        *,
        passed_over: Sequence[str] = (),
    ) -> None:
        first: dict[str, MaskedFrame] = {}
        self.repeated: list[str] = []
        for one in frames:
            if first.setdefault(one.id, one) is not one:
                self.repeated.append(one.id)
        self._frames = list(first.values())
        self.ids = list(first)
        self._read_sources = read_sources
        self.passed_over = list(passed_over)

    @property
    def subsets(self) -> set[str | None]:
        """The parts of the data set that the frames belong to."""
        return {one.subset for one in self._frames}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        one = self._frames[index]
        try:
            picture = decode_picture(read_content(one.picture))
            truth = self.frame_truth(index)
            mask = None if truth is None else fitted(truth.mask(), *picture.shape[:2])
        except OSError as error:
            raise UnreadableClip(one.id, f"'{one.picture}': {error.strerror}") from error
        except ValueError as error:
            raise UnreadableClip(one.id, str(error)) from error
        return DecodedClip(
            id=one.id,
            frame=picture,
            sound=self.sound(index),
            label=one.label,
            boxes=one.boxes,
            mask=mask,
            source=one.clip,
        )

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        return self._frames[index].label, self._frames[index].boxes

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        one = self._frames[index]
        try:
            return mix([read_heard(path, one.at_frame) for path in one.sounds])
        except OSError as error:
            named = error.filename or one.sounds[0]
            raise UnreadableClip(one.id, f"'{named}': {error.strerror}") from error
        except (ValueError, MediaError) as error:
            raise UnreadableClip(one.id, str(error)) from error

    def clip(self, index: int) -> Clip:
        """The clip encoded for a store: the picture's own bytes, FLAC, its masks and truth."""
        one, clip = self._frames[index], self[index]
        picture = read_content(one.picture)
        return Clip(
            id=one.id,
            frame=picture if picture_suffix(picture) else encode_picture(clip.frame, "PNG"),
            sound=encode_sound(clip.sound),
            label=one.label,
            boxes=one.boxes,
            mask=None
            if clip.mask is None
            else encode_picture(clip.mask.astype(np.uint8) * 255, "PNG"),
            truth=encode_truth(one.clip, self.origins_of(index), self.frame_truth(index)),
            source=one.clip,
        )

    def fingerprint(self, index: int) -> str:
        """The fingerprint of its files."""
        one = self._frames[index]
        return file_fingerprint(one.picture, *one.sounds, *one.masks)

    def frame_truth(self, index: int) -> FrameTruth | None:
        one = self._frames[index]
        if not one.masks:
            return None
        try:
            size, sources = self._read_sources(one)
        except OSError as error:
            named = error.filename or one.masks[0]
            raise UnreadableClip(one.id, f"'{named}': {error.strerror}") from error
        except ValueError as error:
            raise UnreadableClip(one.id, f"its mask is not used: {error}") from error
        return FrameTruth(
            id=one.id,
            clip=one.clip,
            number=one.number,
            size=size,
            sources=sources,
            null=one.null,
            kind=one.kind,
            subset=one.subset,
        )

    def clip_of(self, index: int) -> str:
        return self._frames[index].clip

    def origins_of(self, index: int) -> tuple[str, ...]:
        one = self._frames[index]
        return (one.clip,) if one.origins is None else one.origins


def read_heard(path: Path, at_frame: int | None) -> Int16[np.ndarray, " samples"]:
    """All of a sound file or of a video's sound, mono at `RATE`; or 3 s of it.

    at_frame: a frame of the video; the sound around it is used.

    Raises:
        OSError, ValueError, MediaError: it is missing, damaged or empty.
    """
    if path.suffix.lower() not in VIDEOS:
        return decode_sound_file(read_content(path), path)
    with VideoReader(path, threaded=False) as video:
        rate = video.info().frame_rate
        seconds, start = video.duration, 0.0
        if at_frame is not None and rate:
            seconds = AROUND
            _, start = video.around(min(float(at_frame / rate), video.duration), AROUND)
        sound = to_samples(video.sound(start, seconds, RATE, moved=True))
    if not len(sound):
        raise ValueError(f"'{path}' has no sound at {start:.2f} s")
    return sound


def fitted(
    mask: Bool[np.ndarray, "h w"], height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    """A mask at its frame's size: the nearest pixel of one of the same shape but another size.

    Raises:
        ValueError: its shape is another.
    """
    rows, columns = mask.shape
    if (rows, columns) == (height, width):
        return mask
    if abs(rows * width - columns * height) > ALIKE * rows * width:
        raise ValueError(
            f"its mask is {columns} x {rows} pixels, its frame {width} x {height}: of another shape"
        )
    return nearest_pixels(mask, height, width)


def read_mask(path: Path) -> Bool[np.ndarray, "height width"]:
    """A mask of one source: what is not black, whatever the kind of file.

    Of a palette the colours count, not their numbers, so that the first need not be black. A grey
    mask of two levels is inside at the higher one, be it 1 or 255; one of more levels, as a resized
    one has, above half of its range, and so is every JPEG. Floats are levels from 0 to 1.

    Raises:
        ValueError: no picture, damaged, or with values that are no numbers. OSError: it cannot be
            read.
    """
    file = read_content(path)
    image = open_picture(file)
    if picture_suffix(file) == "jpg":
        within: Bool[np.ndarray, "height width"] = np.asarray(image.convert("L")) > HALF
        return within
    if image.mode not in ("1", "L", "F") and not image.mode.startswith("I"):
        has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
        colours = np.asarray(image)
        grey = colours[..., :3].max(-1)
        if has_alpha:
            grey = np.where(colours[..., 3] > HALF, grey, 0)
    else:
        grey = np.asarray(image)
    return inside(grey.astype(np.float32))


def inside(grey: np.ndarray) -> Bool[np.ndarray, "height width"]:
    """The pixels inside a grey mask, as `read_mask` says; ValueError where one is not finite."""
    low, high = float(grey.min()), float(grey.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has values that are no numbers")
    if high <= 0:
        return np.zeros(grey.shape, np.bool_)
    if ((grey == low) | (grey == high)).all():  # two levels, or one
        level = high
    else:
        level = next((top for top in (1.0, 255.0, 65535.0) if high <= top), high) / 2
    marked: Bool[np.ndarray, "height width"] = grey >= level
    return marked


def read_numbers(path: Path) -> Labels:
    """The numbers of classes in a mask: of a palette its indices, of a grey picture its levels.

    Raises:
        ValueError: no picture, damaged, or neither palette nor grey. OSError: it cannot be read.
    """
    image = open_picture(read_content(path))
    if image.mode not in ("P", "L", "1"):
        raise ValueError(f"'{path.name}' holds colours ({image.mode}), not numbers of classes")
    return np.asarray(image.convert("L") if image.mode == "1" else image)


def check_any(frames: Sequence[MaskedFrame], folder: Path, why: Sequence[str]) -> None:
    """Refuse a folder of which no frame can be used.

    why: sentences on what is not there.

    Raises:
        HearsightError: there is no frame.
    """
    if not frames:
        raise HearsightError(" ".join([f"No frame of '{folder}' can be used.", *why]))
