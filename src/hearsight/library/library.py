"""A library of one's own videos, searched for moments by a sound, a picture or another moment.

    library = Library.open("holidays.library")
    for result in library.search(sound="surf.wav", k=10):
        print(result.file, result.time, result.score)

`indexing` fills a library. Sounds can be compared with pictures because the model embeds both in
one space; a score is the cosine of two embeddings, from -1 to 1.
"""

import math
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8

from hearsight.checkpoints.card import ModelCard, card_of
from hearsight.errors import HearsightError, nearest
from hearsight.library.lance_table import MODALITIES, Modality, MomentTable, absolute_path
from hearsight.media.picture import read_picture
from hearsight.media.read import frames_at, probe, read_sound, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import QUIET, SoundWindow, loudest_window, sound_windows

if TYPE_CHECKING:  # it imports torch, which a search by a moment of the library does not need
    from hearsight.retrieval.embeddings import Embedder

MOST_RESULTS = 10_000  # of one search
MOST_COMPARED = 1000  # file names among which a misspelt one is looked for


class SilenceWarning(UserWarning):
    """The sound of a query is silent, so its nearest moments are silent ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A moment found by a query."""

    file: Path
    time: float  # seconds from the start of the video
    score: float  # cosine
    level: float | None  # dBFS of the second around the moment; None where there is no sound
    thumbnail: bytes = field(repr=False)  # JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An embedding to search by."""

    vector: Float32[np.ndarray, " c"]  # of length 1
    to: Modality  # of the moments it is compared with
    silent: str | None = None  # the name of the sound, if it is silent
    moment: tuple[str, float] | None = None  # file and time, if it is a moment of the library


class Library:
    """An open library; `Library.open` gives one.

    The model is loaded when a query is first embedded.
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
            model: its model, if the checkpoint has been moved.
            device: such as `cpu` or `cuda`; by default a GPU if there is one.

        Raises:
            HearsightError: there is no such library, or it is damaged.
        """
        table = MomentTable.open(os.fspath(path))
        if table is None:
            raise HearsightError(
                f"There is no library '{path}': `hearsight index {path} VIDEOS` makes one."
            )
        return cls(table, model=model, device=device)

    def __len__(self) -> int:
        """The number of moments."""
        return len(self.table)

    @property
    def card(self) -> ModelCard | None:
        """The card of its model, if there is one; the model is not loaded."""
        return card_of(self.table.info.model if self._model is None else self._model)

    @property
    def embedder(self) -> "Embedder":
        """The model that made the library.

        Raises:
            HearsightError: it is not found, or another model has taken its place.
        """
        from hearsight.retrieval.embeddings import load_embedder

        if self._embedder is None:
            model = self.table.info.model if self._model is None else self._model
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

        Options as in `query`; `exact`: do not use the vector index that large libraries have.

        Raises:
            HearsightError: not exactly one of the three is given, a file cannot be read, or an
                option is wrong.

        Warns:
            SilenceWarning: the sound stays under -60 dBFS.
        """
        query = self.query(sound=sound, image=image, video=video, at=at, to=to)
        if query.silent is not None:
            warnings.warn(silence_warning(query.silent), SilenceWarning, stacklevel=2)
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
        """Embed a sound, a picture, or a moment of a video.

        Args:
            sound: a sound file, or a video of which only the sound is used. Of a longer sound the
                loudest window of the length that the model embeds.
            image: a picture file.
            video: a video; its moment at `at` is embedded.
            at: seconds from the start of the video.
            to: `sound` or `image`: which embeddings of the library's moments are compared. By
                default sounds for a sound or a video, frames for a picture. A moment of a video is
                embedded by its sound to be compared with sounds, by its frame with frames.

        Raises:
            HearsightError: not exactly one of the three is given, a file cannot be read, or an
                option is wrong.
        """
        if [sound, image, video].count(None) != 2:
            raise HearsightError("Give one thing to search by: a sound, an image or a video.")
        if (video is None) != (at is None):
            raise HearsightError("A video and the time `at` in it are given together.")
        modality = check_modality(("sound" if image is None else "image") if to is None else to)
        if image is not None:
            return Query(vector=self._embed_frame(read_picture(image)), to=modality)
        if video is not None and at is not None:
            return self._query_by_video(Path(video), at, modality)
        assert sound is not None
        if not probe(sound).has_sound:
            raise HearsightError(f"'{sound}' has no sound track.")
        loudest = loudest_window(stream_sound(sound, rate=RATE), self.table.info.seconds)
        return self._query_by_sound(loudest, modality, Path(sound).name)

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
        """The moments nearest to the moment of an indexed `file` that is closest to `at` seconds.

        That moment itself is left out, with `same_video="drop"` all of its file. Options as in
        `query_by_moment` and `nearest`.

        Raises:
            HearsightError: the file is not in the library, has no moment near that time, or an
                option is wrong.

        Warns:
            SilenceWarning: the moment is silent and compared by sound.
        """
        query = self.query_by_moment(file, at, to)
        if query.silent is not None:
            warnings.warn(silence_warning(query.silent), SilenceWarning, stacklevel=2)
        return self.nearest(query, k, same_video=same_video, exact=exact)

    def query_by_moment(self, file: Path | str, at: float, to: str = "sound") -> Query:
        """The query by that moment of an indexed file which is closest to `at` seconds.

        to: `sound` or `image`, whose embeddings are compared.

        Raises:
            HearsightError: the file is not in the library, has no moment near that time, or `to`
                is neither.
        """
        modality = check_modality(to)
        name = str(absolute_path(file))
        rows = self.table.moments(name, ["time", "level", modality])
        if not len(rows):
            known = list(self.table.files())[:MOST_COMPARED]
            raise HearsightError(
                f"'{file}' is not in the library '{self.table.library}'.{nearest(name, known)}"
            )
        times = rows["time"].to_numpy()
        row = int(np.abs(times - at).argmin()) if math.isfinite(at) else 0
        if not (at >= 0 and abs(times[row] - at) <= self.table.info.every):
            raise HearsightError(
                f"'{file}' has moments from {times[0]:.1f} to {times[-1]:.1f} s,"
                f" none near {at:g} s."
            )
        level = rows["level"][row].as_py()
        quiet = modality == "sound" and (level is None or level < QUIET)
        return Query(
            vector=np.array(rows[modality][row].as_py(), np.float32),
            to=modality,
            silent=f"{Path(name).name} at {times[row]:g} s" if quiet else None,
            moment=(name, float(times[row])),
        )

    def nearest(
        self, query: Query, k: int = 10, *, same_video: str = "keep", exact: bool = False
    ) -> list[SearchResult]:
        """The k moments nearest to a query, best first; the query's own moment is left out.

        Raises:
            HearsightError: `k` is below 1 or above `MOST_RESULTS`, or `same_video` is neither
                `keep` nor `drop`.
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

    def _query_by_video(self, video: Path, at: float, to: Modality) -> Query:
        info = probe(video)
        if not 0 <= at <= info.duration:
            raise HearsightError(f"'{video}' lasts {info.duration:.1f} s: there is no {at:g} s.")
        if to == "image":
            if not info.has_picture:
                raise HearsightError(f"'{video}' has no moving pictures.")
            return Query(vector=self._embed_frame(next(frames_at(video, [at])).pixels), to=to)
        if not info.has_sound:
            raise HearsightError(f"'{video}' has no sound track.")
        window = _window_at(video, at, self.table.info.seconds)
        return self._query_by_sound(window, to, f"{video.name} at {at:g} s")

    def _query_by_sound(self, window: SoundWindow, to: Modality, name: str) -> Query:
        vector = self.embedder.sounds([window.samples])[0]
        return Query(vector=vector, to=to, silent=name if window.level < QUIET else None)

    def _embed_frame(
        self, pixels: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, " c"]:
        from hearsight.localising.localise import prepare_whole_frame

        frame = prepare_whole_frame(pixels, self.embedder.side)
        vector: Float32[np.ndarray, " c"] = self.embedder.frames([frame])[0]
        return vector


def _window_at(video: Path, at: float, seconds: float) -> SoundWindow:
    """The window around a time, the same as `sound_windows` cuts from the whole sound."""
    length = round(seconds * RATE)
    first = max(round(at * RATE) - length // 2, 0)
    samples = read_sound(video, rate=RATE, start=first / RATE, seconds=seconds)
    begin = max(0, first - (length - len(samples)))
    if begin < first:  # the sound ends within the window, which is moved inwards
        samples = read_sound(video, rate=RATE, start=begin / RATE, seconds=seconds)
    window = next(sound_windows([samples], [at - begin / RATE], seconds))
    return SoundWindow(time=at, samples=window.samples, level=window.level)


def silence_warning(name: str) -> str:
    """The warning about a query whose sound is silent."""
    return f"'{name}' is silent: its nearest moments are silent ones, too."


def check_modality(name: str) -> Modality:
    """The modality of that name.

    Raises:
        HearsightError: there is none.
    """
    for modality in MODALITIES:
        if name == modality:
            return modality
    raise HearsightError(f"`to` is sound or image, not '{name}'.{nearest(name, MODALITIES)}")


def check_count(k: int) -> None:
    """Check the number of results asked for.

    Raises:
        HearsightError: `k` is below 1 or above `MOST_RESULTS`.
    """
    if not 1 <= k <= MOST_RESULTS:
        raise HearsightError(f"`k` must be from 1 to {MOST_RESULTS:,}, not {k:,}.")


def check_model(table: MomentTable, embedder: "Embedder") -> None:
    """Check that a model is the one the library was made with.

    Raises:
        HearsightError: the weights differ.
    """
    info, digest = table.info, embedder.digest()
    if digest != info.fingerprint:
        raise HearsightError(
            f"The library '{table.library}' was made with '{info.model}'"
            f" ({info.recipe}, {info.fingerprint[:8]}), not with '{embedder.source}'"
            f" ({embedder.recipe.name}, {digest[:8]}), and vectors of two models cannot be"
            " compared: name the first with --model, or index the videos into a new library."
        )
