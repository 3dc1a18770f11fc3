"""Others' embeddings: what is read, in what order, and what is refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import torch

from hearsight.errors import HearsightError
from hearsight.retrieval.embedding_files import read_embeddings

IDS = ("b", "a")
HELD = {"id": ["a", "x", "b"], "sound": [[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]}
WANTED = torch.tensor([[0.0, 1.0], [0.6, 0.8]])


def write(path: Path, held: dict[str, Any]) -> Path:
    """The same content in each of the forms."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(held), path)
    elif path.suffix == ".npz":
        np.savez(path, **held)
    else:
        np.save(path, held["sound"])
        path.with_suffix(".txt").write_text("\n".join(held["id"]) + "\n")
    return path


@pytest.mark.parametrize("name", ["v.parquet", "v.npz", "v.npy"])
def test_rows_in_the_wanted_order(tmp_path: Path, name: str) -> None:
    found = read_embeddings(write(tmp_path / name, HELD), IDS)
    assert set(found) == {"sound"}
    torch.testing.assert_close(found["sound"], WANTED)


def test_both_kinds_in_half_and_double_precision(tmp_path: Path) -> None:
    vectors = np.array(HELD["sound"])
    held = {"id": HELD["id"], "sound": vectors.astype(np.float16), "image": vectors[:, ::-1]}
    found = read_embeddings(write(tmp_path / "v.npz", held), IDS)
    torch.testing.assert_close(found["image"], WANTED.flip(1))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), 2)
    pq.write_table(pa.table({"id": HELD["id"], "image": fixed}), tmp_path / "f.parquet")
    found = read_embeddings(tmp_path / "f.parquet", IDS)
    torch.testing.assert_close(found["image"], WANTED)


SOUND = HELD["sound"]
REFUSED = {
    "other ids": ({"id": ["a", "x", "y"], "sound": SOUND}, "lacks 1 of 2 clips, .* 'b'"),
    "an id twice": ({"id": ["a", "b", "a"], "sound": SOUND}, "holds the clip 'a' twice"),
    "not finite": (
        {"id": HELD["id"], "sound": [[3.0, np.nan], [1.0, 0.0], [0.0, 2.0]]},
        "'sound' of clip 'a' .* is not finite",
    ),
    "too large": (
        {"id": HELD["id"], "sound": [[3.0, 1e60], [1.0, 0.0], [0.0, 2.0]]},
        "'sound' of clip 'a' .* is not finite",
    ),
    "words": ({"id": HELD["id"], "sound": [["a"], ["b"], ["c"]]}, "not .* of numbers"),
    "neither": ({"id": HELD["id"], "vector": SOUND}, "neither an array 'sound' nor"),
    "no ids": ({"sound": SOUND}, "no (column|array) 'id'"),
}


@pytest.mark.parametrize("name", ["v.parquet", "v.npz"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str, what: str) -> None:
    held, said = REFUSED[what]
    with pytest.raises(HearsightError, match=said) as error:
        read_embeddings(write(tmp_path / name, held), IDS)
    assert name in str(error.value)


def test_wrong_shapes(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="differ in length"):
        read_embeddings(
            write(tmp_path / "v.parquet", {"id": ["a", "b"], "sound": [[1.0], [1.0, 2.0]]}), IDS
        )
    with pytest.raises(HearsightError, match="does not hold lists"):
        read_embeddings(write(tmp_path / "w.parquet", {"id": ["a", "b"], "sound": [1.0, 2.0]}), IDS)
    for shape in ((2,), (3, 4), (2, 0), (2, 3, 4)):
        held = {"id": ["a", "b"], "sound": np.ones(shape)}
        for name in ("v.npy", "v.npz"):
            with pytest.raises(HearsightError, match=r"has the shape .*, not \(2, channels\)"):
                read_embeddings(write(tmp_path / name, held), IDS)


def test_files_that_are_none(tmp_path: Path) -> None:
    for name in ("v.parquet", "v.npz", "v.npy"):
        path = tmp_path / name
        with pytest.raises(HearsightError, match="There is no file"):
            read_embeddings(path, IDS)
        path.write_bytes(b"neither this nor that")
        if name == "v.npy":
            with pytest.raises(HearsightError, match=r"needs a file 'v.txt' beside it"):
                read_embeddings(path, IDS)
            path.with_suffix(".txt").write_text("a\nb\n")
        with pytest.raises(HearsightError, match="no file of embeddings, or is damaged"):
            read_embeddings(path, IDS)
    (tmp_path / "v.csv").write_text("id,sound")
    with pytest.raises(HearsightError, match=r"read from \.parquet .* not from 'v.csv'"):
        read_embeddings(tmp_path / "v.csv", IDS)


def test_no_code_is_run(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{"a": 1}, {}], object), allow_pickle=True)
    (tmp_path / "v.txt").write_text("a\nb\n")
    with pytest.raises(HearsightError, match="no file of embeddings, or is damaged"):
        read_embeddings(tmp_path / "v.npy", IDS)


def test_the_other_form_of_numpy_file(tmp_path: Path) -> None:
    with (tmp_path / "v.npz").open("wb") as file:
        np.save(file, np.zeros((2, 3)))
    with (tmp_path / "v.npy").open("wb") as file:
        np.savez(file, id=np.array(["a", "b"]), sound=np.zeros((2, 3)))
    (tmp_path / "v.txt").write_text("a\nb\n")
    for name in ("v.npz", "v.npy"):
        with pytest.raises(HearsightError, match="no file of embeddings, or is damaged"):
            read_embeddings(tmp_path / name, IDS)
