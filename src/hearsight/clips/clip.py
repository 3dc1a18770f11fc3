"""A clip: one frame and the sound around it, with what is known of their source.

`Clip` holds encoded files, as a shard does; `DecodedClip` holds arrays, as training and scoring
use them. Every source that gives `DecodedClip`s by index is a `Clips`: a store of shards, a
folder in an official layout, composed scenes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int16, UInt8
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.media.picture import decode_mask, decode_picture
from hearsight.media.samples import RATE
from hearsight.media.sound_file import decode_sound_file

Box = tuple[float, float, float, float]
"""[x0, y0, x1, y1] as fractions of the frame's width and height, unclamped: may exceed 0..1."""

LISTED = 20  # skipped clips that are named, of however many


class UnreadableClip(HearsightError):
    """A clip that cannot be read: skip it and name it in the summary, never substitute another."""

    def __init__(self, id: str, reason: str = "") -> None:
        super().__init__(id, reason)
        self.id = id
        self.reason = reason

    def __str__(self) -> str:
        return f"clip '{self.id}' cannot be read: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedClip:
    """A clip as arrays.

    frame: RGB, 0..255. sound: 16-bit mono samples at `RATE`. boxes: fractions of the frame,
    unclamped; None if not annotated, () if annotated as having no visible source. mask: True on
    the sounding object, the size of the frame. source: file or pack it was taken from. time:
    seconds into the source.
    """

    id: str
    frame: UInt8[np.ndarray, "height width 3"]
    sound: Int16[np.ndarray, " samples"]
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    mask: Bool[np.ndarray, "height width"] | None = None
    source: str = ""
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip as encoded files, as it is stored.

    frame: JPEG, WebP or PNG. sound: FLAC or WAV, mono at `RATE`, decoded to 16 bits. mask: PNG of
    one channel, 255 on the sounding object. truth: of a frame with exact masks, as
    `masked_store.encode_truth` writes it. The rest as in `DecodedClip`.
    """

    id: str
    frame: bytes
    sound: bytes
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    mask: bytes | None = None
    truth: bytes | None = None
    source: str = ""
    time: float | None = None

    def decode(self) -> DecodedClip:
        """The same clip as arrays.

        Raises:
            UnreadableClip: the frame, sound or mask is damaged, or the sound is not mono at `RATE`.
        """
        try:
            frame = decode_picture(self.frame)
            mask = None if self.mask is None else _decode_mask(self.mask, frame.shape[:2])
            sound = decode_sound_file(self.sound, stored=True)
        except ValueError as error:
            raise UnreadableClip(self.id, str(error)) from error
        return DecodedClip(
            id=self.id,
            frame=frame,
            sound=sound,
            label=self.label,
            boxes=self.boxes,
            mask=mask,
            source=self.source,
            time=self.time,
        )


@runtime_checkable
class Clips(Protocol):
    """Random access to clips by index, from any process or thread."""

    @property
    def ids(self) -> Sequence[str]:
        """The id of every clip, each unique."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> DecodedClip:
        """The clip at `index`; raises `UnreadableClip` if its files are damaged or missing."""

    def sound(self, index: int, /) -> Int16[np.ndarray, " samples"]:
        """The sound alone, without decoding the frame; raises `UnreadableClip`."""


@runtime_checkable
class AnnotatedClips(Clips, Protocol):
    """Clips whose annotation can be read without decoding frame and sound."""

    def annotation(self, index: int, /) -> tuple[str | None, tuple[Box, ...] | None]:
        """The label and the boxes of the clip at `index`; raises `UnreadableClip`."""


@runtime_checkable
class StoredClips(Clips, Protocol):
    """Clips that are stored in encoded form."""

    def clip(self, index: int, /) -> Clip:
        """The clip at `index`, still encoded; raises `UnreadableClip`."""


@runtime_checkable
class RemarkedClips(Clips, Protocol):
    """Clips of which reading tells what is unusual, though they can be used."""

    def flaws(self, index: int, /) -> frozenset[str]:
        """What was unusual when the clip at `index` was read; nothing before."""

    def note_flaws(self, index: int, flaws: frozenset[str], /) -> None:
        """Take over what another copy found."""

    def remarks(self) -> list[str]:
        """Sentences that count and name the clips of each flaw."""


@runtime_checkable
class FilmedClips(Clips, Protocol):
    """Clips that are decoded from films; in bulk by several processes, each of which has a copy."""

    def runs(self, indices: Sequence[int], /) -> list[list[int]]:
        """The indices in the same order, in runs of which each is best read by one process."""

    def film_order(self, index: int, /) -> tuple[str, int]:
        """The film of a clip, and a number by which its clips are sorted from its start."""


@runtime_checkable
class EndlessClips(Clips, Protocol):
    """Clips that are generated anew for every epoch, under the same ids."""

    def set_epoch(self, epoch: int, /) -> None:
        """Switch to the clips of an epoch, counted from 0."""


def annotation(clips: Clips, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
    """The label and the boxes of the clip at `index`, without decoding it where possible.

    Raises:
        UnreadableClip: the clip or its annotation is damaged.
    """
    if isinstance(clips, AnnotatedClips):
        return clips.annotation(index)
    clip = clips[index]
    return clip.label, clip.boxes


def encoded(clips: Clips, index: int) -> Clip:
    """The clip at `index` encoded, in its stored bytes if there are any; raises UnreadableClip."""
    if isinstance(clips, StoredClips):
        return clips.clip(index)
    clip = clips[index]
    return encode_clip(
        clip.id,
        clip.frame,
        clip.sound,
        label=clip.label,
        boxes=clip.boxes,
        mask=clip.mask,
        source=clip.source,
        time=clip.time,
    )


def list_unreadable(unreadable: Sequence[UnreadableClip], total: int) -> str:
    """The number of skipped clips and, a line each, the ids and reasons of the first `LISTED`."""
    if not unreadable:
        return ""
    were = "was" if len(unreadable) == 1 else "were"
    lines = [f"{len(unreadable):,} of {total:,} clips {were} left out:"]
    lines += [f"  {one.id}: {one.reason}" for one in unreadable[:LISTED]]
    if len(unreadable) > LISTED:
        lines.append(f"  ... and {len(unreadable) - LISTED:,} more")
    return "\n".join(lines)


def encode_clip(
    id: str,
    frame: UInt8[np.ndarray, "height width 3"],
    sound: Int16[np.ndarray, " samples"],
    *,
    quality: int = 90,
    picture: str = "JPEG",
    label: str | None = None,
    boxes: tuple[Box, ...] | None = None,
    mask: Bool[np.ndarray, "height width"] | None = None,
    source: str = "",
    time: float | None = None,
) -> Clip:
    """Encode a clip: the sound as FLAC, the frame as JPEG (`picture`: JPEG, WEBP or PNG).

    quality: of JPEG and WebP, 1..100; PNG is lossless. The same arrays give the same bytes.
    """
    return Clip(
        id=id,
        frame=encode_picture(frame, picture, quality),
        sound=encode_sound(sound),
        label=label,
        boxes=boxes,
        mask=None if mask is None else encode_picture(mask.astype(np.uint8) * 255, "PNG"),
        source=source,
        time=time,
    )


def encode_picture(
    pixels: UInt8[np.ndarray, "height width *colours"], picture: str = "JPEG", quality: int = 90
) -> bytes:
    """8-bit pixels as a picture file: JPEG, WEBP or PNG."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, picture, quality=quality)
    return file.getvalue()


def encode_sound(sound: Int16[np.ndarray, " samples"]) -> bytes:
    """Samples as a FLAC file at `RATE`: lossless, about half the bytes of WAV."""
    import soundfile  # type: ignore[import-untyped]

    file = BytesIO()
    soundfile.write(file, sound, RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _decode_mask(file: bytes, size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    mask = decode_mask(file) > 127
    if mask.shape != size:
        raise ValueError(f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels, the frame is not")
    return mask


def fit_frame(frame: UInt8[np.ndarray, "height width 3"], side: int) -> UInt8[np.ndarray, "h w 3"]:
    """Reduce a frame, with antialiasing, until its shorter side is at most `side` pixels."""
    height, width = frame.shape[:2]
    if min(height, width) <= side:
        return frame
    target = fitted_size(height, width, side)
    return np.asarray(
        Image.fromarray(frame).resize(target, Image.Resampling.BILINEAR, reducing_gap=2.0)
    )


def fitted_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Width and height of a frame that is scaled until its shorter side is `side` pixels."""
    scale = side / min(height, width)
    return max(side, round(width * scale)), max(side, round(height * scale))


def as_box(values: Sequence[float | int]) -> Box:
    """Four finite numbers as a box, unclamped; raises ValueError or OverflowError otherwise."""
    if len(values) != 4 or not all(map(isfinite, values)):
        raise ValueError(f"{list(values)} is not four numbers")
    x0, y0, x1, y1 = map(float, values)
    return (x0, y0, x1, y1)
