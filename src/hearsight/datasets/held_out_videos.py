"""One's own videos to train on and to score on: moments of them, some videos held out whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.clips.fingerprint import fingerprint
from hearsight.clips.selection import ChosenClips, JoinedClips
from hearsight.clips.shard_writer import StoreSummary, write_store
from hearsight.clips.shards import Store
from hearsight.datasets.open import open_clips
from hearsight.datasets.videos import video_of
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import QUIET, level_of
from hearsight.progress import Progress, no_progress

EVERY = 3.0  # seconds between moments: the sounds of two just do not overlap
HELD_OUT = 0.25  # share of the videos
LEAST_HELD_OUT, LEAST_VIDEOS = 3, 6  # videos


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitVideos:
    """Moments to train on and held-out ones, of different videos.

    training: in turn one of each video, so that neighbours are of different videos. videos: of
    each held-out clip its video, by its path. quiet: moments left out because nothing sounds.
    """

    training: ChosenClips
    held_out: ChosenClips
    videos: tuple[str, ...]
    quiet: int

    @property
    def names(self) -> list[str]:
        """The held-out videos."""
        return sorted(set(self.videos))


def open_videos(specs: Sequence[str], every: float = EVERY) -> Clips:
    """The moments of one's own videos, one every so many seconds.

    Args:
        specs: folders of videos, or `FOLDER@LIST`.
        every: seconds.

    Raises:
        HearsightError: as `open_clips`, or too few videos to hold some out.
    """
    opened = [open_clips(spec, every=every) for spec in specs]
    clips = opened[0] if len(opened) == 1 else JoinedClips(opened)
    _check_number({video_of(id) for id in clips.ids}, "There are")
    return clips


def take_moments(
    clips: Clips, folder: Path, *, workers: int = 1, progress: Progress = no_progress
) -> tuple[Store, StoreSummary]:
    """Read the moments once, in order, into a store, from which any is fast to read.

    A store that is there already is continued.

    Raises:
        HearsightError: as `write_store`, or the store holds moments of other videos of these names.
    """
    written = write_store(
        clips, folder, workers=max(1, workers), progress=progress, stage="taking moments"
    )
    if written.others:
        raise HearsightError(
            f"'{folder}' holds moments of another '{video_of(written.others[0])}': remove it."
        )
    return Store(folder), written


def split_videos(store: Store, ids: Sequence[str], *, seed: int) -> SplitVideos:
    """Split the moments by video; copies of one file are one video.

    A moment is left out if the second around it is silent, as `localise_video` finds no source
    there.

    Args:
        store: of `take_moments`.
        ids: of the moments to use.
        seed: of the choice of held-out videos.

    Raises:
        HearsightError: too few videos with moments.
    """
    wanted = set(ids)
    moments: dict[str, list[int]] = {}  # by video
    quiet = 0
    for index, id in enumerate(store.ids):
        if id not in wanted:
            continue
        if _is_quiet(store, index):
            quiet += 1
            continue
        moments.setdefault(fingerprint(store, index) or video_of(id), []).append(index)
    _check_number(moments, "With what can be read and heard there are")
    keys = sorted(moments, key=lambda key: store.ids[moments[key][0]])
    count = max(LEAST_HELD_OUT, round(HELD_OUT * len(keys)))
    chosen = set(np.random.default_rng((seed, 0x48E1D)).permutation(len(keys))[:count].tolist())
    held = [index for at, key in enumerate(keys) if at in chosen for index in moments[key]]
    others = [moments[key] for at, key in enumerate(keys) if at not in chosen]
    first = {index: store.ids[moments[key][0]] for key in keys for index in moments[key]}
    return SplitVideos(
        training=ChosenClips(store, _in_turn(others)),
        held_out=ChosenClips(store, held),
        videos=tuple(video_of(first[index]) for index in held),
        quiet=quiet,
    )


def _check_number(videos: Sequence[str] | set[str] | dict[str, list[int]], begin: str) -> None:
    if len(videos) < LEAST_VIDEOS:
        raise HearsightError(
            f"{begin} {len(videos)} different videos, and {LEAST_VIDEOS} are needed to hold "
            f"{LEAST_HELD_OUT} out, on which the model is compared with the one that training "
            "starts from: add videos, cut long ones into parts, or say --start none."
        )


def _is_quiet(store: Store, index: int) -> bool:
    """Whether the second in the middle of a sound is silent; an unreadable one is not."""
    try:
        sound = store.sound(index)
    except UnreadableClip:
        return False
    begin = max(0, (len(sound) - RATE) // 2)
    return level_of(sound[begin : begin + RATE] * np.float32(1 / 32768)) < QUIET


def _in_turn(lists: Sequence[Sequence[int]]) -> list[int]:
    """The first of each list, then the second of each, and so on."""
    longest = max(map(len, lists))
    return [each[place] for place in range(longest) for each in lists if place < len(each)]
