"""Writing stores: shards of clips that are complete on disk, or not there at all."""

import logging
import os
import re
import tarfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Int64

from hearsight.clips.clip import Clip, Clips, FilmedClips, RemarkedClips, UnreadableClip, encoded
from hearsight.clips.fingerprint import fingerprint, fingerprints_differ
from hearsight.clips.read_ahead import read_ahead, read_apart
from hearsight.clips.shards import (
    COLUMNS,
    FACTS,
    FRAME,
    MASK,
    SOUND,
    TRUTH,
    ShardIndex,
    Store,
    encode_facts,
    read_index,
    shard_key,
    write_index,
)
from hearsight.errors import HearsightError
from hearsight.files.locks import sole_writer
from hearsight.files.output import PartFile
from hearsight.files.text import counted
from hearsight.media.picture import picture_suffix
from hearsight.media.sound_file import sound_suffix
from hearsight.progress import Progress, no_progress

LOGGER = logging.getLogger(__name__)
SHARD_NAME = re.compile(r"clips-(\d+)\.tar")
HELD = 1000  # clips of films that wait for their turn, at most: some hundred megabytes


class StoreWriter:
    """Adds clips to a store; a clip whose id is already there is not replaced.

    A shard gets its name once it is complete and synced to disk, so a store never holds a partial
    shard; clips of an unfinished one are lost if the process is killed, and may be added again.
    Leaving the `with` block finishes the last shard, also after an error; a new folder that is
    still empty is removed.

    Raises:
        HearsightError: the folder cannot be written, the disk is full, or another process
            is writing to the store.
    """

    def __init__(self, folder: Path | str, clips_per_shard: int = 1000) -> None:
        self.folder = Path(folder)
        self.clips_per_shard = clips_per_shard
        self._ids: set[str] = set()
        self._number = 0
        self._shard: _ShardInWriting | None = None
        with ExitStack() as locked:
            locked.enter_context(sole_writer(self.folder))
            self._continue()
            self._lock = locked.pop_all()

    def _continue(self) -> None:
        """Read the ids that are there; delete part files that a killed writer left."""
        for part in self.folder.glob(".*.part"):
            part.unlink()
        for shard in self.folder.glob("*.tar"):
            self._ids.update(read_index(shard).ids)
            if number := SHARD_NAME.fullmatch(shard.name):
                self._number = max(self._number, int(number[1]) + 1)

    def __contains__(self, id: str) -> bool:
        return id in self._ids

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, clip: Clip, fingerprint: str = "") -> bool:
        """Add a clip; False if the store has one of that id.

        fingerprint: of the files it was taken from, as `fingerprint.fingerprint` gives it.

        Raises:
            UnreadableClip: its frame is not JPEG, PNG or WebP, or its sound not FLAC or WAV.
            HearsightError: the disk is full or the folder cannot be written.
        """
        if clip.id in self._ids:
            return False
        files = _clip_files(clip, fingerprint)
        with self._whole_or_not():
            if self._shard is None:
                self._shard = _ShardInWriting(self.folder / f"clips-{self._number:06d}.tar")
            self._shard.add(clip.id, files)
            self._ids.add(clip.id)
            if len(self._shard.ids) >= self.clips_per_shard:
                self._finish()
        return True

    def close(self) -> None:
        """Finish the last shard and release the lock."""
        try:
            with self._whole_or_not():
                self._finish()
        finally:
            self._lock.close()

    @contextmanager
    def _whole_or_not(self) -> Iterator[None]:
        """Discard the unfinished shard at any error: its last clip may be incomplete."""
        try:
            yield
        except OSError as error:
            self._drop()
            raise HearsightError(f"Cannot write to '{self.folder}': {error.strerror}.") from error
        except BaseException:
            self._drop()
            raise

    def _finish(self) -> None:
        if self._shard is not None:
            self._shard.finish()
            self._shard = None
            self._number += 1

    def _drop(self) -> None:
        if self._shard is not None:
            self._ids.difference_update(self._shard.ids)
            self._shard.drop()
            self._shard = None


def _clip_files(clip: Clip, fingerprint: str = "") -> list[tuple[int, str, bytes]]:
    """Index column, suffix and content of each file of a clip."""
    if not clip.id:
        raise UnreadableClip(clip.id, "it has no id")
    frame, sound = picture_suffix(clip.frame), sound_suffix(clip.sound)
    if frame is None:
        raise UnreadableClip(clip.id, "its frame is neither JPEG, PNG nor WebP")
    if sound is None:
        raise UnreadableClip(clip.id, "its sound is neither FLAC nor WAV")
    files = [(FRAME, frame, clip.frame), (SOUND, sound, clip.sound)]
    files.append((FACTS, "json", encode_facts(clip, fingerprint)))
    if clip.mask is not None:
        files.append((MASK, "mask.png", clip.mask))
    if clip.truth is not None:
        files.append((TRUTH, "truth.json", clip.truth))
    return files


class _ShardInWriting:
    """A shard that is being written, under the name of a part file."""

    def __init__(self, path: Path) -> None:
        self.ids: list[str] = []
        self._places: list[Int64[np.ndarray, "5 2"]] = []
        self._output = PartFile(path)
        self._file = self._output.part.open("wb")
        self._tar = tarfile.TarFile(path, "w", self._file, format=tarfile.USTAR_FORMAT)

    def add(self, id: str, files: list[tuple[int, str, bytes]]) -> None:
        places = np.zeros((COLUMNS, 2), dtype=np.int64)
        key = shard_key(id)
        for column, suffix, content in files:
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(content)
            places[column] = (self._tar.offset + tarfile.BLOCKSIZE, len(content))
            self._tar.addfile(member, BytesIO(content))
        self.ids.append(id)
        self._places.append(places)

    def finish(self) -> None:
        """Sync the shard to disk, give it its name and write its index."""
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self._output.commit()
        index = ShardIndex(ids=self.ids, places=np.stack(self._places))
        write_index(self._output.path.with_suffix(".index"), index, size)

    def drop(self) -> None:
        with suppress(OSError):  # it fails once more to write what the disk had no room for
            self._file.close()
        self._output.discard()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSummary:
    """What `write_store` did: clips added, already present, and left out.

    others: ids under which the store already holds a different clip.
    """

    added: int = 0
    present: int = 0
    others: tuple[str, ...] = ()
    unreadable: tuple[UnreadableClip, ...] = ()


def write_store(
    clips: Clips,
    folder: Path | str,
    *,
    clips_per_shard: int = 1000,
    workers: int = 1,
    progress: Progress = no_progress,
    stage: str = "importing",
) -> StoreSummary:
    """Write every readable clip to a store, except those that it already has.

    They are written in the order of `clips`. Encoded clips keep their bytes; composed ones are
    encoded here. Each that does not come from a film is decoded once, to be sure that it can be; of
    a clip whose id is already there only the fingerprint is compared. Clips of films, in whatever
    order a list names them, are read film by film, `HELD` of them at a time.

    Args:
        clips: what to write.
        folder: the store.
        clips_per_shard: fewer only in the last shard.
        workers: threads that read ahead; processes for `FilmedClips`, for more than one of which a
            script must call this under `if __name__ == "__main__":`, since they import it.
        progress: called after each clip that was read with (`stage`, done, total).
        stage: its name in `progress`.

    Raises:
        HearsightError: no clip can be read; or as `StoreWriter`.
    """
    added = 0
    unreadable: list[UnreadableClip] = []
    with StoreWriter(folder, clips_per_shard) as writer:
        wanted = [index for index, id in enumerate(clips.ids) if id not in writer]
        present = len(clips) - len(wanted)
        others = _others(clips, Store(folder)) if present else ()
        with closing(_read_all(clips, wanted, workers)) as read:
            for done, ready in enumerate(_in_turn(wanted, read), start=present + 1):
                for index, clip in ready:
                    if isinstance(clip, UnreadableClip):
                        unreadable.append(clip)
                    else:
                        added += writer.add(clip, fingerprint(clips, index))
                progress(stage, done, len(clips))
    if unreadable and not added + present:
        raise HearsightError(
            f"None of the {len(clips):,} clips can be read, so '{folder}' is not written: the "
            f"first, '{unreadable[0].id}', because {unreadable[0].reason.rstrip('.')}."
        )
    LOGGER.info("wrote %s to %s", counted(added, "clip"), folder)
    return StoreSummary(
        added=added,
        present=present - len(others),
        others=others,
        unreadable=tuple(unreadable),
    )


def _others(clips: Clips, store: Store) -> tuple[str, ...]:
    """The ids under which a store holds a different clip, by their fingerprints."""
    places = {id: place for place, id in enumerate(store.ids)}
    return tuple(
        id
        for index, id in enumerate(clips.ids)
        if id in places
        and fingerprints_differ(fingerprint(clips, index), fingerprint(store, places[id]))
    )


def _in_turn(
    wanted: Sequence[int], read: Iterable[tuple[int, Clip | UnreadableClip]]
) -> Iterator[list[tuple[int, Clip | UnreadableClip]]]:
    """For each clip that was read those whose turn has come with it, in the order of `wanted`."""
    turns, waiting = deque(wanted), dict[int, Clip | UnreadableClip]()
    for index, clip in read:
        waiting[index] = clip
        ready = []
        while turns and turns[0] in waiting:
            turn = turns.popleft()
            ready.append((turn, waiting.pop(turn)))
        yield ready


def _film_by_film(clips: FilmedClips, wanted: Sequence[int]) -> list[int]:
    """The same indices, each `HELD` of them film by film, and each film from its start.

    Films come in the order in which they are first wanted, so that clips wait as shortly as may be.
    """
    ordered: list[int] = []
    for start in range(0, len(wanted), HELD):
        films: dict[str, list[tuple[int, int]]] = {}
        for index in wanted[start : start + HELD]:
            film, place = clips.film_order(index)
            films.setdefault(film, []).append((place, index))
        ordered += [index for own in films.values() for _, index in sorted(own)]
    return ordered


def _read_all(
    clips: Clips, wanted: Sequence[int], workers: int
) -> Generator[tuple[int, Clip | UnreadableClip], None, None]:
    """The clips at some indices, encoded and checked, in the order in which they are read."""
    ahead = 2 * workers
    films = clips if isinstance(clips, FilmedClips) else None
    order = wanted if films is None else _film_by_film(films, wanted)
    if workers < 2 or films is None:
        read = partial(_read_checked, clips)
        yield from zip(order, read_ahead(read, order, workers=workers, ahead=ahead), strict=True)
        return
    found = read_apart(_read_remarked, films, films.runs(order), workers=workers, ahead=ahead)
    for index, (clip, flaws) in zip(order, found, strict=True):
        if isinstance(clips, RemarkedClips):
            clips.note_flaws(index, flaws)
        yield index, clip


def _read_remarked(clips: FilmedClips, index: int) -> tuple[Clip | UnreadableClip, frozenset[str]]:
    """The clip at an index, and what is unusual about it."""
    clip = _read_checked(clips, index)
    return clip, clips.flaws(index) if isinstance(clips, RemarkedClips) else frozenset()


def _read_checked(clips: Clips, index: int) -> Clip | UnreadableClip:
    try:
        clip = encoded(clips, index)
        if not isinstance(clips, FilmedClips):  # which were encoded here, from what was decoded
            clip.decode()
        _clip_files(clip)
        return clip
    except UnreadableClip as error:
        return error
