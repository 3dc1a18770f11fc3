"""The truth of frames that have exact masks: of each source one, in several frames of a clip.

Data sets of audio-visual segmentation mask five or ten frames of every clip. Each frame with its
sound is a clip of its own to training and scoring (`DecodedClip`, whose mask is the union of the
sources); its `FrameTruth` tells the clip it belongs to, its place there, and the sources apart.
"""

import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from hearsight.clips.clip import Clips, DecodedClip
from hearsight.clips.truth import TruthMask, mask_truth

FRAME_OF_CLIP = re.compile(r"[_/]\d+")  # what ids of frames have behind the id of their clip
MOST_MASKED = 2**30  # pixels; of all masks of a frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMask:
    """The pixels of one source in one frame.

    name: of the source, unique in its frame. label: its class, if known. mask: True on it. sounds:
    whether it is heard at this frame; False of objects that a data set masks though they are
    silent.
    """

    name: str
    mask: Bool[np.ndarray, "height width"]
    label: str | None = None
    sounds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTruth:
    """What sounds in one frame, and which clip it is a frame of.

    id: of the frame as a clip (`Clips.ids`). clip: of the clip that the frame is taken from; the
    frames of one clip have it in common, and of Ref-AVS it is a clip with one expression. number:
    the frame's place in its clip, from 0. size: height and width of the frame's masks, pixels.
    sources: each with its mask; () where nothing is to be found. null: whether the data set says
    that nothing is (the null expressions of Ref-AVS, the off-screen sounds of AVATAR), so that a
    mask without a pixel is no accident. kind: the data set's word for what is hard in the frame.
    subset: its word for the part of the data set, as `test_u`. told: False of a clip that is a
    frame by its name, in a store that does not tell what it is a frame of.
    """

    id: str
    clip: str
    number: int
    size: tuple[int, int]
    sources: tuple[SourceMask, ...]
    null: bool = False
    kind: str | None = None
    subset: str | None = None
    told: bool = True

    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The pixels of every source that sounds."""
        union = np.zeros(self.size, np.bool_)
        for one in self.sources:
            if one.sounds:
                union |= one.mask
        return union

    def truth(self) -> TruthMask:
        """The same at 224 x 224 pixels, resized to the nearest pixel."""
        return mask_truth(self.mask())


@runtime_checkable
class MaskedClips(Clips, Protocol):
    """Clips that are single frames with exact masks; the frames of one clip follow each other."""

    def frame_truth(self, index: int, /) -> FrameTruth | None:
        """The truth of the frame at `index`, read without its picture and sound.

        None where nobody masked it, as most training frames of AVSBench S4.

        Raises:
            UnreadableClip: its masks are damaged, missing, or do not fit each other.
        """

    def clip_of(self, index: int, /) -> str:
        """The clip that the frame at `index` belongs to, without picture, sound and masks."""

    def origins_of(self, index: int, /) -> tuple[str, ...]:
        """The ids under which other data sets know its picture or its sounds."""


def frame_truth(clips: Clips, index: int) -> FrameTruth | None:
    """The truth of the clip at `index`, of any source; None if it has no mask.

    A clip of a source that is no `MaskedClips` is the only frame of a clip of its own, and its mask
    the only source.

    Raises:
        UnreadableClip: the clip or its masks cannot be read.
    """
    if isinstance(clips, MaskedClips):
        return clips.frame_truth(index)
    return truth_of(clips[index])


def truth_of(clip: DecodedClip) -> FrameTruth | None:
    """The truth of a clip that is the only frame of a clip of its own; None without a mask.

    Older stores keep frames of one clip like this, without what says so: these are not `told`.
    """
    if clip.mask is None:
        return None
    of_clip = clip.id.removeprefix(clip.source) if clip.source else ""
    height, width = clip.mask.shape
    source = SourceMask(name=clip.label or clip.id, mask=clip.mask, label=clip.label)
    sources = (source,) if clip.mask.any() else ()
    return FrameTruth(
        id=clip.id,
        clip=clip.id,
        number=0,
        size=(height, width),
        sources=sources,
        told=FRAME_OF_CLIP.fullmatch(of_clip) is None,
    )


def clip_of(clips: Clips, index: int) -> str:
    """The clip that the frame at `index` belongs to: of a source without frames its own id."""
    return clips.clip_of(index) if isinstance(clips, MaskedClips) else clips.ids[index]


def origins(clips: Clips) -> list[str]:
    """The ids by which clips are compared with those of other data sets, each once.

    Those of the clips, but of frames those of the videos and sounds that they are taken from.
    """
    if not isinstance(clips, MaskedClips):
        return list(clips.ids)
    return list(dict.fromkeys(id for index in range(len(clips)) for id in clips.origins_of(index)))


def frames_by_clip(clips: Clips) -> dict[str, list[int]]:
    """The indices of the frames of every clip, in order."""
    found: dict[str, list[int]] = {}
    for index in range(len(clips)):
        found.setdefault(clip_of(clips, index), []).append(index)
    return found
