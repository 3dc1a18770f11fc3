"""One's own videos as a library: moments found by a sound, a picture, or another moment.

    library = Library.open("holidays.library")
    for found in library.search(sound="surf.wav", k=10):
        print(found.file, found.time, found.score)

`indexing` fills a library. Comparing sounds with pictures works because the model gives both in one
space; a score is the cosine of two vectors, from -1 to 1.
"""

import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from hearsight.errors import HearsightError, nearest
from hearsight.library.moment_table import SIDES, MomentTable, Side, absolute
from hearsight.localising.localise import QUIET, prepare_whole_frame
from hearsight.media.read import frames_at, probe, read_picture, read_sound, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import SoundWindow, loudest_window, sound_windows
from hearsight.retrieval.embeddings import Embedder, load_embedder

MOST = 10_000  # moments that are looked for at once
NAMES = 1000  # of files that are searched for a misspelt one


class SilenceWarning(UserWarning):
    """A question that is silent: what it finds is silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A moment of a library that answers a question."""

    file: Path
    time: float  # seconds from the start of the video
    score: float  # cosine
    level: float | None  # dBFS of the second around the moment; None where nothing sounds
    thumbnail: bytes  # JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for, embedded."""

    vector: Float32[np.ndarray, " c"]  # of length 1
    to: Side  # what it is compared with
    silent: str | None = None  # the name of a silent sound
    moment: tuple[str, float] | None = None  # file and time, if it is a moment of the library


class Library:
    """Videos that are indexed; `Library.open` gives one.

    The model is loaded when the first question has to be embedded.
    """

    def __init__(self, table: MomentTable, *, model: str | Path | None, device: str | None) -> None:
        self.table = table
        self._model = model
        self._device = device
        self._embedder: Embedder | None = None

    @classmethod
    def open(
        cls, path: str | Path, *, model: str | Path | None = None, device: str | None = None
    ) -> "Library":
        """Open a library to search it.

        Args:
            path: its folder, or its URL on an object store.
            model: its model, where that is no longer where it was.
            device: such as `cpu` or `cuda`; by default a GPU if there is one.

        Raises:
            HearsightError: there is none, or it is damaged.
        """
        table = MomentTable.open(os.fspath(path))
        if table is None:
            raise HearsightError(
                f"There is no library '{path}': `hearsight index {path} VIDEOS` makes one."
            )
        return cls(table, model=model, device=device)

    def __len__(self) -> int:
        """How many moments there are."""
        return len(self.table)

    @property
    def embedder(self) -> Embedder:
        """The model that made the library.

        Raises:
            HearsightError: it cannot be found, or another one is there.
        """
        if self._embedder is None:
            model = self.table.binding.model if self._model is None else self._model
            embedder = load_embedder(model, self._device)
            check_model(self.table, embedder)
            self._embedder = embedder
        return self._embedder

    def search(
        self,
        *,
        sound: Path | str | None = None,
        image: Path | str | None = None,
        video: Path | str | None = None,
        at: float | None = None,
        to: str | None = None,
        k: int = 10,
        exact: bool = False,
    ) -> list[SearchResult]:
        """The k moments nearest to a sound, a picture, or a moment of a video; best first.

        Options as in `query`; `exact` does without the index that large libraries have.

        Raises:
            HearsightError: none or several of the three are given, a file cannot be read, or an
                option is wrong.

        Warns:
            SilenceWarning: the sound stays under -60 dBFS.
        """
        query = self.query(sound=sound, image=image, video=video, at=at, to=to)
        if query.silent is not None:
            warnings.warn(silence(query.silent), SilenceWarning, stacklevel=2)
        return self.nearest(query, k, exact=exact)

    def query(
        self,
        *,
        sound: Path | str | None = None,
        image: Path | str | None = None,
        video: Path | str | None = None,
        at: float | None = None,
        to: str | None = None,
    ) -> Query:
        """Embed a question.

        Args:
            sound: a sound file, or a video of which only the sound is used. Of a long one the
                loudest window of the length that the model hears.
            image: a picture file.
            video: a video, of which the moment `at` seconds is meant.
            at: seconds from the start of the video.
            to: what of the library's moments is compared. A sound and a picture can be compared
                with either, and are with their own kind unless told. A moment of a video is
                compared by its sound with sounds (unless told), or by its frame with frames.

        Raises:
            HearsightError: none or several of the three are given, a file cannot be read, or an
                option is wrong.
        """
        if [sound, image, video].count(None) != 2:
            raise HearsightError("Give one thing to search by: a sound, an image or a video.")
        if (video is None) != (at is None):
            raise HearsightError("A video and the time `at` in it are given together.")
        side = check_side(("sound" if image is None else "image") if to is None else to)
        if image is not None:
            return Query(vector=self._see(read_picture(image)), to=side)
        if video is not None and at is not None:
            return self._query_moment(Path(video), at, side)
        assert sound is not None
        if not probe(sound).has_sound:
            raise HearsightError(f"'{sound}' has no sound track.")
        heard = loudest_window(stream_sound(sound, rate=RATE), self.table.binding.seconds)
        return self._hear(heard, side, Path(sound).name)

    def similar(
        self,
        file: Path | str,
        at: float,
        *,
        to: str = "sound",
        k: int = 10,
        same_video: str = "keep",
        exact: bool = False,
    ) -> list[SearchResult]:
        """The moments most like the moment of an indexed `file` that is nearest to `at` seconds.

        That moment itself is left out, with `same_video="drop"` all of its file. Options as in
        `moment` and `nearest`.

        Raises:
            HearsightError: the file is not in the library, has no moment near that time, or an
                option is wrong.

        Warns:
            SilenceWarning: silent moments are compared by sound.
        """
        query = self.moment(file, at, to)
        if query.silent is not None:
            warnings.warn(silence(query.silent), SilenceWarning, stacklevel=2)
        return self.nearest(query, k, same_video=same_video, exact=exact)

    def moment(self, file: Path | str, at: float, to: str = "sound") -> Query:
        """The moment of an indexed file nearest to `at` seconds, to look for others by `to`.

        Raises:
            HearsightError: the file is not in the library, has no moment near that time, or there
                is no such side.
        """
        side = check_side(to)
        name = str(absolute(file))
        rows = self.table.moments(name, ["time", "level", side])
        if not len(rows):
            known = list(self.table.seen())[:NAMES]
            raise HearsightError(
                f"'{file}' is not in the library '{self.table.library}'.{nearest(name, known)}"
            )
        times = rows["time"].to_numpy()
        row = int(np.abs(times - at).argmin()) if math.isfinite(at) else 0
        if not (at >= 0 and abs(times[row] - at) <= self.table.binding.every):
            raise HearsightError(
                f"'{file}' has moments from {times[0]:.1f} to {times[-1]:.1f} s,"
                f" none near {at:g} s."
            )
        level = rows["level"][row].as_py()
        quiet = side == "sound" and (level is None or level < QUIET)
        return Query(
            vector=np.array(rows[side][row].as_py(), np.float32),
            to=side,
            silent=f"{Path(name).name} at {times[row]:g} s" if quiet else None,
            moment=(name, float(times[row])),
        )

    def nearest(
        self, query: Query, k: int = 10, *, same_video: str = "keep", exact: bool = False
    ) -> list[SearchResult]:
        """The k moments nearest to an embedded question, best first, itself left out.

        Raises:
            HearsightError: `k` is below 1 or above `MOST`, or `same_video` is neither `keep` nor
                `drop`.
        """
        check_count(k)
        if same_video not in ("keep", "drop"):
            raise HearsightError(f"`same_video` is keep or drop, not '{same_video}'.")
        file, _ = query.moment or (None, None)
        rows = self.table.nearest(
            query.vector,
            query.to,
            k + (query.moment is not None),
            exact=exact,
            without=file if same_video == "drop" else None,
        )
        others = [
            SearchResult(
                file=Path(row["file"]),
                time=row["time"],
                score=min(1.0, max(-1.0, row["score"])),
                level=row["level"],
                thumbnail=row["thumbnail"],
            )
            for row in rows.to_pylist()
            if (row["file"], row["time"]) != query.moment
        ]
        return others[:k]

    def _query_moment(self, video: Path, at: float, to: Side) -> Query:
        info = probe(video)
        if not 0 <= at <= info.duration:
            raise HearsightError(f"'{video}' lasts {info.duration:.1f} s: there is no {at:g} s.")
        if to == "image":
            if not info.has_picture:
                raise HearsightError(f"'{video}' has no moving pictures.")
            return Query(vector=self._see(next(frames_at(video, [at])).pixels), to=to)
        if not info.has_sound:
            raise HearsightError(f"'{video}' has no sound track.")
        heard = _heard_at(video, at, self.table.binding.seconds)
        return self._hear(heard, to, f"{video.name} at {at:g} s")

    def _see(self, pixels: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, " c"]:
        vector: Float32[np.ndarray, " c"] = self.embedder.frames(
            [prepare_whole_frame(pixels, self.embedder.side)]
        )[0]
        return vector

    def _hear(self, heard: SoundWindow, to: Side, name: str) -> Query:
        vector = self.embedder.sounds([heard.samples])[0]
        return Query(vector=vector, to=to, silent=name if heard.level < QUIET else None)


def _heard_at(video: Path, at: float, seconds: float) -> SoundWindow:
    """The window around a time, as `sound_windows` cuts it from the whole sound."""
    length = round(seconds * RATE)
    first = max(round(at * RATE) - length // 2, 0)
    held = read_sound(video, rate=RATE, start=first / RATE, seconds=seconds)
    begin = max(0, first - (length - len(held)))
    if begin < first:  # the sound ends within the window, which is moved inwards
        held = read_sound(video, rate=RATE, start=begin / RATE, seconds=seconds)
    heard = next(sound_windows([held], [at - begin / RATE], seconds))
    return SoundWindow(time=at, samples=heard.samples, level=heard.level)


def silence(name: str) -> str:
    """What is to be said of a silent question."""
    return f"'{name}' is silent, and silence finds silence."


def check_side(side: str) -> Side:
    """One of a moment's sides, by its name.

    Raises:
        HearsightError: there is no such side.
    """
    for known in SIDES:
        if side == known:
            return known
    raise HearsightError(f"`to` is sound or image, not '{side}'.{nearest(side, SIDES)}")


def check_count(k: int) -> None:
    """Refuse to look for none, or for more moments than anybody looks at.

    Raises:
        HearsightError: `k` is below 1 or above `MOST`.
    """
    if not 1 <= k <= MOST:
        raise HearsightError(f"`k` must be from 1 to {MOST:,}, not {k:,}.")


def check_model(table: MomentTable, embedder: Embedder) -> None:
    """Refuse a model other than the library's.

    Raises:
        HearsightError: the weights differ.
    """
    binding, fingerprint = table.binding, embedder.fingerprint()
    if fingerprint != binding.fingerprint:
        raise HearsightError(
            f"The library '{table.library}' was made with '{binding.model}'"
            f" ({binding.recipe}, {binding.fingerprint[:8]}), not with '{embedder.source}'"
            f" ({embedder.recipe.name}, {fingerprint[:8]}), and vectors of two models cannot be"
            " compared: name the first with --model, or index the videos into a new library."
        )
