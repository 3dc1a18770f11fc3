"""Tensors in a .safetensors file: written whole, read without running code, checked to fit."""

import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.files.output import temporary_beside
from hearsight.model.encoders import Encoder, Encoders


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file, whole or not at all, and flush it to the disk.

    Raises:
        HearsightError: it cannot be written; a file already there is kept.
    """
    ready = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    packed = save(ready, dict(metadata))
    try:
        with temporary_beside(path) as part, part.open("wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise HearsightError(f"Cannot write {path}: {error.strerror}.") from error


def read_tensors(
    path: Path, prefixes: tuple[str, ...] = ("",)
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors whose names begin with one of the prefixes, on the CPU, and the metadata.

    Raises:
        HearsightError: the file is of another format, cut short, or cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - it cannot be iterated
                if name.startswith(prefixes)
            }
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise HearsightError(f"{path} is not a checkpoint, or is cut short: {error}.") from error


def weights_digest(weights: Mapping[str, Tensor], size: int, *, begin: str = "") -> str:
    """A digest of names and values of weights, on any device, as 2 * `size` hexadecimal digits.

    begin: a text that the digest begins with, so that equal weights of other things differ.
    """
    digest = blake2b(begin.encode(), digest_size=size)
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def halve(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision, for a file of half the size."""
    return {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}


def as_single(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of half precision in single precision, as they are computed with."""
    return {name: t.float() if t.dtype == torch.float16 else t for name, t in weights.items()}


def layout(encoder: Encoder) -> dict[str, torch.Size]:
    """The names and shapes of the state dict of these encoders."""
    bare = Encoders(encoder, bare=True)
    return {name: value.shape for name, value in bare.state_dict().items()}


def check_fit(weights: Mapping[str, Tensor], encoder: Encoder, path: Path) -> None:
    """Refuse weights of other names or shapes than the encoders have; `path` is named in errors.

    Raises:
        HearsightError: one is missing, is not known, or has another shape.
    """
    wanted = layout(encoder)
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights:
            raise HearsightError(f"{path} lacks {name}, which its recipe has.")
        if name not in wanted:
            raise HearsightError(f"{path} holds {name}, which its recipe has not.")
        if weights[name].shape != wanted[name]:
            raise HearsightError(
                f"{name} in {path} has shape {tuple(weights[name].shape)}, "
                f"but its recipe makes {tuple(wanted[name])}."
            )
