"""Response maps that other code wrote, by name: an .npz, or a folder of .npy, .npz and pictures.

A file is opened when its map is read. Nothing in it is run: arrays of Python objects are refused.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.files.text import count_and_name
from hearsight.files.walk import walk
from hearsight.media.picture import open_picture

ARRAYS, PICTURES = (".npy", ".npz"), (".png",)
NO_MAPS = "it may be an .npz with one array per clip id, or a folder of .npy, .npz or .png by id"
GREYS = {"1": 1, "L": 255, "I;16": 65_535, "I;16B": 65_535, "I": 65_535}  # modes and their white
UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""What a damaged, encrypted or otherwise compressed file raises."""

COLOURS = ("RGB", "RGBA", "LA")  # modes of pictures that may be grey all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a map is. key: its name in an .npz; None in a file of its own."""

    path: Path
    key: str | None = None

    def __str__(self) -> str:
        return f"'{self.path}'" if self.key is None else f"'{self.key}' in '{self.path}'"

    @property
    def is_picture(self) -> bool:
        """Whether its values are shades of grey, which were scaled to 0 to 1."""
        return self.path.suffix.lower() in PICTURES


class MapFiles:
    """Maps by name: the key in an .npz, or the path in a folder without its ending.

    names: of all maps. passed_over: sentences on files that are not read. Files stay open between
    reads; use it as a context to close them.

    Raises:
        HearsightError: there is no such file or folder, it holds no maps, or two of one name.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = Path(source)
        self.passed_over: list[str] = []
        self.places: dict[str, Place] = {}
        self._open: dict[Path, Any] = {}
        self._files = ExitStack()
        for name, place in self._found():
            if name in self.places:
                raise HearsightError(
                    f"Two maps have the name '{name}': {self.places[name]} and {place}."
                )
            self.places[name] = place
        if not self.places:
            said = "".join(f" {one}" for one in self.passed_over)
            raise HearsightError(f"'{source}' holds no maps: {NO_MAPS}.{said}")

    def __enter__(self) -> "MapFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def names(self) -> list[str]:
        """The names of all maps, in order."""
        return list(self.places)

    def are_pictures(self, name: str) -> bool:
        """Whether a map is a picture, whose values were scaled to 0 to 1."""
        return self.places[name].is_picture

    def said(self, name: str) -> str:
        """How a map is called in errors: by its file."""
        return str(self.places[name])

    def read(self, name: str) -> Float32[np.ndarray, "h w"]:
        """A map by its name.

        Raises:
            HearsightError: its file is damaged, or it is no single map of finite numbers.
        """
        place = self.places[name]
        try:
            held = _grey(place.path) if place.is_picture else self._array(place)
        except UNREADABLE as error:
            reason = str(error).split("\n")[0].rstrip(".")
            raise HearsightError(f"The map {place} cannot be read: {reason}.") from error
        return as_map(held, str(place))

    def _found(self) -> Iterator[tuple[str, Place]]:
        source = self.source
        if source.is_dir():
            yield from self._in_folder()
        elif not source.is_file():
            raise HearsightError(f"There are no maps '{source}': {NO_MAPS}.")
        elif source.suffix.lower() == ".npz":
            for key in _keys(source):
                yield key, Place(path=source, key=key)
        else:
            raise HearsightError(f"'{source}' does not tell which clip a map is of: {NO_MAPS}.")

    def _in_folder(self) -> Iterator[tuple[str, Place]]:
        others, links = [], list[str]()
        for file in sorted(self._files_below(links)):
            ending = PurePath(file).suffix.lower()
            if ending not in (*ARRAYS, *PICTURES):
                others.append(file)
                continue
            path, name = self.source / file, file[: -len(ending)]
            keys = _keys(path) if ending == ".npz" else []
            if len(keys) > 1:
                for key in keys:
                    yield key, Place(path=path, key=key)
            else:
                yield name, Place(path=path, key=keys[0] if keys else None)
        self.passed_over += count_and_name(
            links, "link to a folder leads back", "links to folders lead back"
        )
        if others:
            endings = f"in {', '.join((*ARRAYS, *PICTURES))}"
            self.passed_over += count_and_name(
                others,
                f"file in '{self.source}' is not read, since it does not end {endings}",
                f"files in '{self.source}' are not read, since they do not end {endings}",
            )

    def _files_below(self, links: list[str]) -> Iterator[str]:
        """The files of a folder without hidden ones; `links` gets the links that lead back."""

        def note(path: str) -> None:
            links.extend([] if PurePath(path).name.startswith(".") else [path.rstrip("/")])

        for below, names in walk(self.source, left_out=note):
            yield from (below + name for name in names if not name.startswith("."))

    def _array(self, place: Place) -> Any:
        if place.key is None:
            return np.load(place.path, allow_pickle=False)
        if place.path not in self._open:
            if len(self._open) >= 16:  # a folder may hold one file per clip
                self._files.close()
                self._open.clear()
            opened = np.load(place.path, allow_pickle=False)
            self._open[place.path] = self._files.enter_context(opened)
        return self._open[place.path][place.key]


class HeldMaps:
    """Maps in memory, by name: arrays of numpy or torch; its methods are those of `MapFiles`.

    Raises:
        HearsightError: there is none.
    """

    def __init__(self, maps: Mapping[str, Any]) -> None:
        self.maps = maps
        self.passed_over: list[str] = []
        if not maps:
            raise HearsightError("There are no maps: one array per clip id is needed.")

    def __enter__(self) -> "HeldMaps":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def names(self) -> list[str]:
        return list(self.maps)

    def are_pictures(self, name: str) -> bool:
        return False

    def said(self, name: str) -> str:
        return f"'{name}'"

    def read(self, name: str) -> Float32[np.ndarray, "h w"]:
        held = self.maps[name]
        if hasattr(held, "detach"):  # a tensor of torch, wherever it is
            held = held.detach().float().cpu().numpy()
        return as_map(np.asarray(held), f"'{name}'")


def _keys(path: Path) -> list[str]:
    """The arrays of an .npz in order; one that stands there twice is named twice."""
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise HearsightError(f"'{path}' is not an .npz: {error}.") from error


def _grey(path: Path) -> Float32[np.ndarray, "h w"]:
    """The shades of a grey picture, from black as 0 to white as 1."""
    image: Image.Image = open_picture(read_content(path))
    if image.mode == "P":
        raise ValueError("it is a picture with a palette, whose numbers are those of colours")
    if image.mode in COLOURS:
        shades = np.asarray(image.convert("RGB"))
        if (shades != shades[..., :1]).any():
            raise ValueError("it is a coloured picture, and colours tell no values: save the map")
        return shades[..., 0].astype(np.float32) / np.float32(255)
    if image.mode not in GREYS:
        raise ValueError(f"it is a picture of the kind {image.mode}, not grey of 8 or 16 bits")
    return np.asarray(image).astype(np.float32) / np.float32(GREYS[image.mode])


def as_map(held: Any, said: str) -> Float32[np.ndarray, "h w"]:
    """An array as a map: axes of one entry are dropped, values become floats of 32 bits.

    said: how the map is called in errors.

    Raises:
        HearsightError: it has not two axes, or values that are not finite numbers.
    """
    if not isinstance(held, np.ndarray) or held.dtype.kind not in "fiub":
        kind = getattr(held, "dtype", type(held).__name__)
        raise HearsightError(f"The map {said} is of {kind}, not of real numbers.")
    shape, axes = held.shape, list(held.shape)
    while len(axes) > 2 and 1 in axes:
        axes.remove(1)
    if len(axes) != 2 or 0 in axes:
        size = " x ".join(map(str, shape)) or "a single number"
        colours = len(axes) == 3 and axes[-1] in (3, 4)
        hint = "colours tell no values" if colours else "a map has a height and a width"
        raise HearsightError(f"The map {said} is of the shape {size}, but {hint}.")
    with np.errstate(over="ignore"):
        values: Float32[np.ndarray, "h w"] = held.reshape(axes).astype(np.float32)
    if not np.isfinite(values).all():
        raise HearsightError(f"The map {said} has values that are not finite numbers.")
    return values
