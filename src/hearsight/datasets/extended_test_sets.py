"""The extended test sets: clips without a visible source, one clip's frame with another's sound.

A list has the columns video, audio and label under that head; its rows labelled `non-sounding`
are read. Frames and sounds are in a test layout of VGGSound or Flickr-SoundNet.

Source: the extended test sets of SLAVC, Mo and Morgado, NeurIPS 2022.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from hearsight.clips.clip import Clip, DecodedClip, UnreadableClip, encode_clip
from hearsight.clips.fingerprint import file_fingerprint
from hearsight.clips.lists import BETWEEN, PAIRED, read_pairs
from hearsight.datasets.folders import find_file, is_file, subfolder
from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.media.picture import decode_picture
from hearsight.media.sound_file import decode_sound_file

LABEL = "non-sounding"
SOUNDS = ("wav", "flac", "mp3")


def is_extended(listed: Path) -> bool:
    """Whether a list has the head of an extended test set; False if it cannot be read."""
    try:
        read_pairs(listed)
    except HearsightError:
        return False
    return True


def read_extended(listed: Path) -> list[tuple[str, str]]:
    """The ids of frame and sound in each row, each pair once.

    Raises:
        HearsightError: the list cannot be read, has another head, or no non-sounding row.
    """
    rows = read_pairs(listed)
    short = next((row for row in rows if len(row) < 3 or not row[0] or not row[1]), None)
    if short is not None:
        raise HearsightError(f"The list '{listed}' has a row without {', '.join(PAIRED)}: {short}.")
    pairs = dict.fromkeys((row[0], row[1]) for row in rows if row[2] == LABEL)
    if not pairs:
        raise HearsightError(f"The list '{listed}' has no row of the label '{LABEL}'.")
    return list(pairs)


class ExtendedClips:
    """Clips `VIDEO~AUDIO`, annotated with no box, since the source of the sound is not visible.

    Raises:
        HearsightError: none of the frames, or none of the sounds, is in its folder.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], *, frames: Path, sounds: Path) -> None:
        self.ids = [f"{video}{BETWEEN}{audio}" for video, audio in pairs]
        self._pairs = list(pairs)
        self._frames, self._sounds = frames, sounds
        for names, place, kind in (
            (dict.fromkeys(video for video, _ in pairs), self._frame_path, "frame"),
            (dict.fromkeys(audio for _, audio in pairs), self._sound_path, "sound"),
        ):
            if not any(is_file(place(name)) for name in names):
                first = place(next(iter(names)))
                raise HearsightError(f"None of {len(names):,} clips has a {kind}: no '{first}'.")

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        video, _ = self._pairs[index]
        path = self._frame_path(video)
        try:
            frame = decode_picture(read_content(path))
        except OSError as error:
            raise UnreadableClip(self.ids[index], f"'{path}': {error.strerror}") from error
        except ValueError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error
        return DecodedClip(id=self.ids[index], frame=frame, sound=self.sound(index), boxes=())

    def sound(self, index: int) -> Int16[np.ndarray, " samples"]:
        path = self._sound_path(self._pairs[index][1])
        try:
            return decode_sound_file(read_content(path), path)
        except OSError as error:
            raise UnreadableClip(self.ids[index], f"'{path}': {error.strerror}") from error
        except ValueError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error

    def clip(self, index: int) -> Clip:
        """The clip encoded for a store."""
        clip = self[index]
        return encode_clip(clip.id, clip.frame, clip.sound, boxes=clip.boxes)

    def fingerprint(self, index: int) -> str:
        """The fingerprint of the frame file and the sound file."""
        video, audio = self._pairs[index]
        return file_fingerprint(self._frame_path(video), self._sound_path(audio))

    def _frame_path(self, video: str) -> Path:
        return find_file(video, [f"{self._frames}/*.jpg"])

    def _sound_path(self, audio: str) -> Path:
        return find_file(audio, [f"{self._sounds}/*.{suffix}" for suffix in SOUNDS])


def open_extended(folder: Path, listed: Path) -> ExtendedClips:
    """The clips of a list, from `frame` (or `frames`) and `audio` (or `mp3`) below `folder`.

    Raises:
        HearsightError: as `read_extended` and `ExtendedClips`, or a folder is missing.
    """
    return ExtendedClips(
        read_extended(listed),
        frames=subfolder(folder, "frame", "frames"),
        sounds=subfolder(folder, "audio", "mp3"),
    )
