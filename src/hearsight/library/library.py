"""A library of one's own videos, searched for moments by a sound, a picture or another moment.

    library = Library.open("holidays.library")
    for result in library.search(sound="surf.wav", k=10):
        print(result.file, result.time, result.score)

`indexing` fills a library. Sounds can be compared with pictures because the model embeds both in
one space; a score is the cosine of two embeddings, from -1 to 1.
"""

import logging
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, UInt8

from hearsight.checkpoints.card import ModelCard, card_of
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import counted
from hearsight.library.lance_table import (
    EVERY_MOMENT,
    MODALITIES,
    SHOWN,
    Kind,
    Modality,
    MomentFilter,
    MomentTable,
    absolute_path,
)
from hearsight.library.thumbnails import small_picture, waveform_picture
from hearsight.media.in_memory import check_path
from hearsight.media.picture import read_picture
from hearsight.media.read import frames_at, probe, read_sound, stream_sound
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import QUIET, SoundWindow, loudest_window, sound_windows

if TYPE_CHECKING:  # it imports torch, which a search by a moment of the library does not need
    from hearsight.retrieval.embeddings import Embedder

LOGGER = logging.getLogger(__name__)
MOST_RESULTS = 10_000  # of one search
SAME_VIDEO = ("drop", "one", "keep")  # what is done with further moments of a file
FREE = 3  # results of any files, before `one` takes effect
MOST_COMPARED = 1000  # file names among which a misspelt one is looked for


class SilenceWarning(UserWarning):
    """The sound of a query is silent, so its nearest moments are silent ones."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ShownMoment:
    """A moment of a file, as it is shown."""

    file: Path
    kind: Kind = "video"  # of the file
    time: float  # seconds from its start; 0 of a picture
    level: float | None  # dBFS of the second around the moment; None where there is no sound
    box: tuple[float, ...] | None = None  # x0, y0, x1, y1 as shares of the frame; None: no source
    heatmap: bytes | None = None  # where it sounds, as `thumbnails.decode_heatmap` reads it
    thumbnail: bytes  # JPEG

    @property
    def silent(self) -> bool:
        """Whether its sound stays under `QUIET`; a picture has none and is not silent."""
        return self.kind != "picture" and (self.level is None or self.level < QUIET)

    def __repr__(self) -> str:
        silent = ", silent" if self.silent else ""
        return f"{type(self).__name__}({self.file.name!r}, time={self.time:g}{silent})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SearchResult(ShownMoment):
    """A moment found by a query."""

    score: float  # cosine

    def __repr__(self) -> str:
        return f"{ShownMoment.__repr__(self)[:-1]}, score={self.score:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An embedding to search by."""

    vector: Float32[np.ndarray, " c"] = field(repr=False)  # of length 1
    to: Modality  # of the moments it is compared with
    shown: ShownMoment  # what was embedded
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
        LOGGER.info("opened %s: %s", path, counted(len(table), "moment"))
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

    def warm(self) -> None:
        """Load the vector index, so that the first searches take no longer than later ones.

        Libraries from 100,000 moments on have one; it takes some 300 bytes of memory a moment for
        each modality. A server does this when it starts.

        Raises:
            HearsightError: the library is damaged.
        """
        self.table.warm()

    def search(
        self,
        *,
        sound: Path | str | None = None,
        image: Path | str | None = None,
        video: Path | str | None = None,
        at: float | None = None,
        to: str | None = None,
        k: int = 10,
        same_video: str = "one",
        exact: bool = False,
    ) -> list[SearchResult]:
        """The k moments nearest to a sound, a picture, or a moment of a video; best first.

        Options as in `query` and `nearest`.

        Raises:
            HearsightError: not exactly one of the three is given, a file cannot be read, or an
                option is wrong.

        Warns:
            SilenceWarning: the sound stays under -60 dBFS.
        """
        query = self.query(sound=sound, image=image, video=video, at=at, to=to)
        if query.silent is not None:
            warnings.warn(silence_warning(query.silent), SilenceWarning, stacklevel=2)
        return self.nearest(query, k, same_video=same_video, exact=exact)

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
        if sum(each is not None for each in (sound, image, video)) != 1:
            raise HearsightError("Give one thing to search by: a sound, an image or a video.")
        if (video is None) != (at is None):
            raise HearsightError("A video and the time `at` in it are given together.")
        modality = check_modality(("sound" if image is None else "image") if to is None else to)
        for path in (sound, image, video):
            if path is not None:
                check_path(path, "A library")
        if image is not None:
            pixels = read_picture(image)
            shown = ShownMoment(
                file=absolute_path(image),
                kind="picture",
                time=0.0,
                level=None,
                thumbnail=small_picture(pixels),
            )
            return Query(vector=self._embed_frame(pixels), to=modality, shown=shown)
        if video is not None and at is not None:
            return self._query_by_video(Path(video), at, modality)
        assert sound is not None
        if not probe(sound).has_sound:
            raise HearsightError(f"'{sound}' has no sound track.")
        loudest = loudest_window(stream_sound(sound, rate=RATE), self.table.info.seconds)
        return self._query_by_sound(loudest, modality, Path(sound), "sound", Path(sound).name)

    def similar(
        self,
        file: Path | str,
        at: float | None = None,
        *,
        to: str | None = None,
        k: int = 10,
        same_video: str = "one",
        exact: bool = False,
    ) -> list[SearchResult]:
        """The moments nearest to the moment of an indexed `file` that is closest to `at` seconds.

        A picture, or another file with a single moment, needs no `at`.

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

    def query_by_moment(
        self, file: Path | str, at: float | None = None, to: str | None = None
    ) -> Query:
        """The query by that moment of an indexed file which is closest to `at` seconds.

        Args:
            file: of the library.
            at: seconds; None for its only moment.
            to: `sound` or `image`, whose embeddings are compared; by default sounds, of a picture
                frames.

        Raises:
            HearsightError: the file is not in the library, has no moment near that time or several
                where no time is given, or `to` is neither.
        """
        if to is not None:
            check_modality(to)
        name = str(absolute_path(check_path(file, "`similar`")))
        columns = [column for column in SHOWN if column in self.table.schema.names]
        rows = self.table.moments(name, [*columns, *MODALITIES])
        if not len(rows):
            known = list(self.table.files())[:MOST_COMPARED]
            raise HearsightError(
                f"'{file}' is not in the library '{self.table.library}'.{nearest(name, known)}"
            )
        times = rows["time"].to_numpy()
        if at is None and len(times) > 1:
            raise HearsightError(
                f"'{file}' has moments from {times[0]:.1f} to {times[-1]:.1f} s: say by `at` which."
            )
        at = float(times[0]) if at is None else at
        row = int(np.abs(times - at).argmin()) if math.isfinite(at) else 0
        if not (at >= 0 and abs(times[row] - at) <= self.table.info.every):
            raise HearsightError(
                f"'{file}' has moments from {times[0]:.1f} to {times[-1]:.1f} s,"
                f" none near {at:g} s."
            )
        values = rows.slice(row, 1).to_pylist()[0]
        picture = values.get("kind") == "picture"
        modality = check_modality(("image" if picture else "sound") if to is None else to)
        vector = {each: values.pop(each) for each in MODALITIES}[modality]
        if vector is None:
            raise HearsightError(
                f"'{file}' has no {modality} to compare: choose the other by `to`."
            )
        shown = ShownMoment(**_shown(values))
        return Query(
            vector=np.array(vector, np.float32),
            to=modality,
            shown=shown,
            silent=f"{shown.file.name} at {shown.time:g} s"
            if modality == "sound" and shown.silent
            else None,
            moment=(name, float(times[row])),
        )

    def nearest(
        self,
        query: Query,
        k: int = 10,
        *,
        same_video: str = "one",
        exact: bool = False,
        only: MomentFilter = EVERY_MOMENT,
    ) -> list[SearchResult]:
        """The k moments nearest to a query, best first; the query's own moment is left out.

        Silent moments come last where sounds are compared, unless the query is silent itself.

        Args:
            query: as `query` or `query_by_moment` gives it.
            k: how many.
            same_video: `keep` all moments of a file; `one` of each file beyond the first `FREE`
                results; or `drop` the moments of the query's own file.
            exact: do not use the vector index that large libraries have.
            only: files and times that are searched.

        Raises:
            HearsightError: `k` is below 1 or above `MOST_RESULTS`, or `same_video` is none of them.
        """
        check_count(k)
        check_same_video(same_video)
        found: list[dict[str, Any]] = []
        heard = query.to == "sound" and query.silent is None
        for silent in (False, True) if heard else (None,):
            if len(found) < k:
                found += self._find(query, k, same_video, exact, silent, only, found)
        return [SearchResult(**_shown(row)) for row in found]

    def _find(
        self,
        query: Query,
        k: int,
        same_video: str,
        exact: bool,
        silent: bool | None,
        only: MomentFilter,
        found: Sequence[dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """Rows of moments, silent ones or others, to follow `found` up to `k`; see `nearest`.

        Files that are shown already are left out of a further search, so that it ends. It may find
        a moment that the vector index missed before, nearer than others, so all are ranked anew.
        Moments that are left out are not kept: what is found later only moves them further back.
        """
        without = {str(query.shown.file)} if same_video == "drop" else set[str]()
        chosen: list[dict[str, Any]] = []
        while True:
            wanted = k - len(found) - len(chosen) + (query.moment is not None)
            rows = self.table.nearest(
                query.vector,
                query.to,
                wanted,
                exact=exact,
                without=without,
                silent=silent,
                only=only,
                more=same_video == "one",
            ).to_pylist()
            others = (row for row in rows if (row["file"], row["time"]) != query.moment)
            chosen = sorted([*chosen, *others], key=_rank)
            if same_video == "one":
                chosen = _unflooded(found, chosen)
            chosen = chosen[: k - len(found)]
            if len(found) + len(chosen) == k or same_video != "one" or len(rows) < wanted:
                return chosen
            without |= {row["file"] for row in (*found, *chosen)}

    def _query_by_video(self, video: Path, at: float, to: Modality) -> Query:
        info = probe(video)
        if not 0 <= at <= info.duration:
            raise HearsightError(f"'{video}' lasts {info.duration:.1f} s: there is no {at:g} s.")
        if to == "image":
            if not info.has_picture:
                raise HearsightError(f"'{video}' has no moving pictures.")
            pixels = next(frames_at(video, [at])).pixels
            level = _window_at(video, at, 1.0).level if info.has_sound else -math.inf
            shown = ShownMoment(
                file=absolute_path(video),
                time=at,
                level=finite(level),
                thumbnail=small_picture(pixels),
            )
            return Query(vector=self._embed_frame(pixels), to=to, shown=shown)
        if not info.has_sound:
            raise HearsightError(f"'{video}' has no sound track.")
        window = _window_at(video, at, self.table.info.seconds)
        kind: Kind = "video" if info.has_picture else "sound"
        return self._query_by_sound(window, to, video, kind, f"{video.name} at {at:g} s")

    def _query_by_sound(
        self, window: SoundWindow, to: Modality, file: Path, kind: Kind, name: str
    ) -> Query:
        vector = self.embedder.sounds([window.samples])[0]
        thumbnail = waveform_picture(window.samples)
        if kind == "video":
            thumbnail = small_picture(next(frames_at(file, [window.time])).pixels)
        shown = ShownMoment(
            file=absolute_path(file),
            kind=kind,
            time=window.time,
            level=finite(window.level),
            thumbnail=thumbnail,
        )
        return Query(
            vector=vector, to=to, shown=shown, silent=name if window.level < QUIET else None
        )

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
        if begin > 0 and len(samples) < length:  # it ended before, where is not known
            return next(sound_windows(stream_sound(video, rate=RATE), [at], seconds))
    window = next(sound_windows([samples], [at - begin / RATE], seconds))
    return SoundWindow(time=at, samples=window.samples, level=window.level)


def finite(level: float) -> float | None:
    """A level as a library holds it: None where there is no sound."""
    return level if math.isfinite(level) else None


def _rank(row: dict[str, Any]) -> tuple[float, str, float]:
    """By what rows of moments are sorted: best first, equal ones by file and time."""
    return -row["score"], row["file"], row["time"]


def _unflooded(
    found: Sequence[dict[str, Any]], ranked: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those of `ranked` that may follow `found` where beyond `FREE` each file is shown once."""
    files = {row["file"] for row in found}
    kept: list[dict[str, Any]] = []
    for row in ranked:
        if len(found) + len(kept) < FREE or row["file"] not in files:
            kept.append(row)
            files.add(row["file"])
    return kept


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a `ShownMoment`, or a result with its score, from a row of the table."""
    box = row.pop("box", None)
    return {**row, "file": Path(row["file"]), "box": None if box is None else tuple(box)}


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


def check_same_video(word: str) -> None:
    """Raise HearsightError unless it is one of `SAME_VIDEO`."""
    if word not in SAME_VIDEO:
        raise HearsightError(
            f"`same_video` is drop, one or keep, not '{word}'.{nearest(word, SAME_VIDEO)}"
        )


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
            " compared: name the first with `model`, or index the videos into a new library."
        )
