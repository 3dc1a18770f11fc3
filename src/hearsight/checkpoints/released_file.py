"""Weights files that others released: reading them runs no code."""

import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hearsight.checkpoints.tensors import read_tensors
from hearsight.errors import HearsightError

NUMPY_NUMBERS: list[Any] = [  # safe to unpickle; released files often hold scores as numpy numbers
    *(
        (np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar")
        for core in ("core", "_core")
    ),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64")),
]

HOLDERS = ("model_state_dict", "state_dict", "model")  # of the weights, in files with more
# what DataParallel, torch.compile and Lightning write before the names, in any order
WRAPPED = re.compile(r"^(?:(?:module|_orig_mod|model)\.)+")
INSIDE = re.compile(r"(?<=\.)(?:(?:module|_orig_mod)\.)+")  # the same around a part of the model


def is_pickled(file: Path) -> bool:
    """Whether a file begins as `torch.save` begins: a zip archive, or a pickle of protocol 2+."""
    with file.open("rb") as opened:
        return opened.read(4).startswith(
            (b"PK\x03\x04", b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")
        )


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file, or in one of `torch.save`, with `weights_only=True`.

    Raises:
        HearsightError: no such file, one that would run code, or one that holds no state dict.
    """
    if not file.is_file():
        raise HearsightError(f"There is no file {file}.")
    if file.suffix.lower() == ".safetensors":
        return read_tensors(file)[0]
    try:
        with torch.serialization.safe_globals(NUMPY_NUMBERS):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, UserWarning) as error:  # torch warns of some that it refuses
        if not is_pickled(file):
            raise HearsightError(f"{file} is no weights file.") from error
        raise HearsightError(
            f"{file} was refused: it holds more than weights, and reading it could run code."
        ) from error
    except Exception as error:  # a damaged file can fail in any way inside the unpickler
        raise HearsightError(f"{file} is no weights file, or is damaged.") from error
    if isinstance(found, tuple) and found:  # weights, and what was noted beside them
        found = found[0]
    for _ in HOLDERS:  # one may lie in another; a hostile file, in itself
        if isinstance(found, dict):
            found = next((found[key] for key in HOLDERS if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise HearsightError(f"{file} is not a released model: it holds no named weights.")
    named: dict[str, Tensor] = {}
    for key, value in found.items():
        name = INSIDE.sub("", WRAPPED.sub("", str(key)))
        if name in named and not torch.equal(named[name], value):
            raise HearsightError(f"{file} holds two models: {name} twice, with other values.")
        named[name] = value
    return named
