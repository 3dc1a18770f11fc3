"""Embeddings of other models, read from a file: CLAP, BEATs, PANNs, ImageBind or any other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import HearsightError, needs
from hearsight.model.nearest import unit

FORMS = ".parquet or .npz with id and sound or image, or .npy with a .txt of ids beside it"
KINDS = ("sound", "image")


def read_embeddings(path: Path, ids: Sequence[str]) -> dict[str, Float[Tensor, "n c"]]:
    """The unit vectors of some clips, in the order of `ids`, by `sound` and `image`.

    A parquet file has the columns `id` (text) and `sound` or `image` or both (lists of numbers);
    an npz file has arrays of these names; an npy file holds an array (clips, channels) of sounds,
    and the file of the same name with the ending .txt their ids, one on a line. Other clips in the
    file are ignored.

    Raises:
        HearsightError: no such file, another form, a clip that is missing or listed twice, vectors
            of different lengths or that are not finite.
    """
    if not path.is_file():
        raise HearsightError(f"There is no file '{path}' of embeddings.")
    readers = {".parquet": _read_parquet, ".npz": _read_npz, ".npy": _read_npy}
    if path.suffix not in readers:
        raise HearsightError(f"Embeddings are read from {FORMS}, not from '{path.name}'.")
    try:
        named, arrays = readers[path.suffix](path)
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise HearsightError(f"'{path}' is no file of embeddings, or is damaged.") from error
    if not arrays:
        raise HearsightError(f"'{path}' has neither an array 'sound' nor one 'image'.")
    places = _places(path, named, ids)
    return {kind: _checked(path, kind, held, named, places) for kind, held in arrays.items()}


Read = tuple[list[str], dict[str, Any]]


def _read_parquet(path: Path) -> Read:
    with needs("report", "A .parquet file"):
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise ValueError("not parquet") from error
    if "id" not in table.column_names:
        raise HearsightError(f"'{path}' has no column 'id' with the ids of the clips.")
    arrays = {}
    for kind in KINDS:
        if kind in table.column_names:
            lists = table[kind].combine_chunks()
            listed = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
            if not any(kind_of(lists.type) for kind_of in listed):
                raise HearsightError(f"The column '{kind}' of '{path}' does not hold lists.")
            lengths = set(np.asarray(lists.value_lengths()).tolist())
            if lists.null_count or len(lengths) > 1:
                raise HearsightError(f"The vectors '{kind}' in '{path}' differ in length.")
            flat = np.asarray(lists.flatten())
            arrays[kind] = flat.reshape(len(lists), -1) if len(lists) else flat.reshape(0, 1)
    return [str(id) for id in table["id"].to_pylist()], arrays


def _read_npz(path: Path) -> Read:
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        raise ValueError("one array, not several by name")
    with found as held:
        if "id" not in held:
            raise HearsightError(f"'{path}' has no array 'id' with the ids of the clips.")
        names = np.atleast_1d(held["id"])
        return [str(id) for id in names], {kind: held[kind] for kind in KINDS if kind in held}


def _read_npy(path: Path) -> Read:
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        raise HearsightError(
            f"'{path}' needs a file '{beside.name}' beside it, with the id of one clip a line."
        )
    lines = [line.strip() for line in beside.read_text(encoding="utf-8").splitlines()]
    found = np.load(path, allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise ValueError("several arrays, not one")
    return [line for line in lines if line], {"sound": found}


def _places(path: Path, named: list[str], ids: Sequence[str]) -> list[int]:
    """The row of each wanted clip in the file."""
    where: dict[str, int] = {}
    for place, id in enumerate(named):
        if id in where:
            raise HearsightError(f"'{path}' holds the clip '{id}' twice.")
        where[id] = place
    missing = [id for id in ids if id not in where]
    if missing:
        raise HearsightError(
            f"'{path}' lacks {len(missing):,} of {len(ids):,} clips, the first of them "
            f"'{missing[0]}'."
        )
    return [where[id] for id in ids]


def _checked(
    path: Path, kind: str, held: Any, named: list[str], places: list[int]
) -> Float[Tensor, "n c"]:
    """The wanted rows of an array as unit vectors, once its shape and values are checked."""
    if (
        held.ndim != 2
        or not held.shape[1]
        or len(held) != len(named)
        or held.dtype.kind not in "fiu"
    ):
        raise HearsightError(
            f"The array '{kind}' in '{path}' has the shape {held.shape} of {held.dtype}, not "
            f"({len(named)}, channels) of numbers."
        )
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        vectors = torch.from_numpy(held[places].astype(np.float32))
    broken = (~vectors.isfinite().all(1)).nonzero()[:, 0].tolist()
    if broken:
        raise HearsightError(
            f"The vector '{kind}' of clip '{named[places[broken[0]]]}' in '{path}' is not finite."
        )
    return unit(vectors)
