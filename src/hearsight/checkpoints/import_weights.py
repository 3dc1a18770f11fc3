"""Weights that authors released, converted to our networks; reading them runs no code."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hearsight.checkpoints.checkpoint import find_model, load_checkpoint, save_weights
from hearsight.checkpoints.hub import is_hub_name
from hearsight.checkpoints.tensors import layout
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import first_names
from hearsight.model.encoders import Encoder, Encoders, Trunk
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe

METHODS = {
    "ssl-tie": ("ssl_tie", "SSL-TIE"),
    "lvs": ("lvs", "LVS"),
    "ez-vsl": ("ez_vsl", "EZ-VSL"),
    "slavc": ("slavc", "SLAVC"),
}
"""Methods whose released weights can be converted: the recipe, and the title of the method."""

NUMPY_NUMBERS: list[Any] = [  # safe to unpickle; released files often hold scores as numpy numbers
    *(
        (np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar")
        for core in ("core", "_core")
    ),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64")),
]

UNUSED = re.compile(  # weights of released modules that their response map does not use
    r"(momentum_)?(imgnet|audnet)\.(fc\.|conv1_flow\.)|imgnet\.conv1_a\.|audnet\.conv1\."
    r"|.*\.num_batches_tracked$|(vision_fc1|conv3|norm3)\."
)

ENDINGS = re.compile(r"(?<=.)(\.(pth|pt|tar|ckpt|bin|pkl))+$", re.IGNORECASE)

HOLDERS = ("model_state_dict", "state_dict", "model")  # of the weights, in files with more
# what DataParallel, torch.compile and Lightning write before the names, in any order
WRAPPED = re.compile(r"^(?:(?:module|_orig_mod|model)\.)+")
INSIDE = re.compile(r"(?<=\.)(?:(?:module|_orig_mod)\.)+")  # the same around a part of the model

NETWORKS = {"frames": "imgnet", "sounds": "audnet"}
PROJECTIONS = {"frame_projection": "img_proj", "sound_projection": "aud_proj"}


def torchvision_name(name: str) -> str:
    """The name in torchvision's ResNet of a weight of `Trunk`.

    `stages.1.0.shortcut.1.bias` is `layer2.0.downsample.1.bias` there.
    """
    name = re.sub(r"^stem_norm\.", "bn1.", name)
    name = re.sub(r"^stem\.", "conv1.", name)
    name = re.sub(r"^stages\.(\d+)", lambda found: f"layer{int(found[1]) + 1}", name)
    for ours, theirs in (("first_norm", "bn1"), ("second_norm", "bn2"), ("shortcut", "downsample")):
        name = name.replace(f".{ours}.", f".{theirs}.")
    return name.replace(".first.", ".conv1.").replace(".second.", ".conv2.")


def released_names(name: str, heads: int = 1) -> list[tuple[str, ...]]:
    """The names that released modules may give a weight of `Encoders`; each a name per head.

    `frames.stages.1.0.shortcut.1.bias` is `imgnet.layer2.0.downsample.1.bias`,
    `ema.sounds.stem.weight` is `momentum_audnet.conv1.weight`. Where modules differ (the first
    layer for sounds is `conv1_a` in some) the most specific name comes first.
    """
    prefix = ""
    if name.startswith("ema."):
        prefix, name = "momentum_", name.removeprefix("ema.")
    part, rest = name.split(".", 1)
    if part in PROJECTIONS:
        numbers = range(1, heads + 1) if heads > 1 else ("",)
        return [tuple(f"{prefix}{PROJECTIONS[part]}{number}.{rest}" for number in numbers)]
    theirs = f"{prefix}{NETWORKS[part]}.{torchvision_name(rest)}"
    plain = (theirs,)
    if part == "sounds" and rest == "stem.weight":
        return [(theirs.replace(".conv1.", ".conv1_a."),), plain]
    return [plain]


def is_pickled(file: Path) -> bool:
    """Whether a file begins as `torch.save` begins: a zip archive, or a pickle of protocol 2+."""
    with file.open("rb") as opened:
        return opened.read(4).startswith(
            (b"PK\x03\x04", b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")
        )


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save`, read with `weights_only=True`.

    Raises:
        HearsightError: no such file, one that would run code, or one that holds no state dict.
    """
    if not file.is_file():
        raise HearsightError(f"There is no file {file}.")
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


def target_of(file: Path) -> Path:
    """The default file for converted weights: beside the released ones, ending in .safetensors.

    `a.v1.2.pth.tar` becomes `a.v1.2.safetensors`.
    """
    return file.parent / f"{ENDINGS.sub('', file.name)}.safetensors"


def import_weights(file: str | Path, target: str | Path, method: str = "ssl-tie") -> Recipe:
    """Convert released weights into a checkpoint of that method's recipe.

    Args:
        file: the released file, with or without what DataParallel, torch.compile and Lightning
            write before the names; only tensors, numbers and text are read from it, and no code
            in it is run.
        target: the checkpoint to write.
        method: one of `METHODS`.

    Returns:
        The recipe in the checkpoint.

    Raises:
        HearsightError: no such method or file, one that would run code, other names or shapes.
    """
    if method not in METHODS:
        raise HearsightError(
            f"There is no method '{method}' whose released weights are known: it may be "
            f"{', '.join(METHODS)}.{nearest(method, METHODS)}"
        )
    file, (name, title) = Path(file), METHODS[method]
    recipe = load_recipe(name)
    recipe.encoder.weights = None  # they are in the file
    theirs = read_weights(file)
    wanted = layout(recipe.encoder)
    sources = {
        ours: next(
            (keys for keys in candidates if keys[0] in theirs and fits(theirs[keys[0]], shape)),
            candidates[0],
        )
        for ours, shape in wanted.items()
        for candidates in [released_names(ours, recipe.encoder.heads)]
    }
    used = {key for keys in sources.values() for key in keys}
    _check_keys(file, title, used, theirs)
    weights = {}
    for ours, keys in sources.items():
        found = [theirs[key] for key in keys]
        parts = [one.reshape(one.shape[0] if one.dim() else 1, -1) for one in found]
        if len({part.shape[1] for part in parts}) > 1:
            raise HearsightError(f"{' and '.join(keys)} in {file} do not fit each other.")
        joined = torch.cat(parts)
        if not joined.isfinite().all():
            raise HearsightError(f"{keys[0]} in {file} holds values that are no numbers.")
        if joined.numel() != wanted[ours].numel() or joined.shape[:1] != wanted[ours][:1]:
            raise HearsightError(
                f"{keys[0]} in {file} has shape {tuple(theirs[keys[0]].shape)}, "
                f"which does not make {tuple(wanted[ours])}."
            )
        weights[ours] = joined.reshape(wanted[ours]).float()
    save_weights(Path(target), weights, recipe, {"imported_from": file.name})
    return recipe


def fits(value: Tensor, shape: torch.Size) -> bool:
    """Whether a convolution has as many input channels as `shape`; other tensors always fit."""
    return value.dim() != 4 or value.shape[1] == shape[1]


def _check_keys(file: Path, title: str, used: set[str], theirs: Mapping[str, Tensor]) -> None:
    missing = sorted(used - theirs.keys())
    unexpected = sorted(key for key in theirs.keys() - used if not UNUSED.match(key))
    for kind, keys in (("lacks", missing), ("holds the unexpected", unexpected)):
        if keys:
            raise HearsightError(
                f"{file} is not a released {title} model: it {kind} {first_names(keys, 3)}."
            )


def load_resnet18(trunk: Trunk, file: Path) -> None:
    """Load a file of torchvision's ResNet-18 weights into a trunk; its classifier is not used.

    Raises:
        HearsightError: no such file, one that would run code, other names or shapes.
    """
    theirs = read_weights(file)
    names = {name: torchvision_name(name) for name in trunk.state_dict()}
    for name, value in trunk.state_dict().items():
        key = names[name]
        if key not in theirs or theirs[key].shape != value.shape:
            found = tuple(theirs[key].shape) if key in theirs else "nothing"
            raise HearsightError(
                f"{file} does not fit the network, a ResNet-18 by torchvision's names: "
                f"{key} should have shape {tuple(value.shape)}, the file holds {found}."
            )
    trunk.load_state_dict({name: theirs[key] for name, key in names.items()})


def load_frame_network(trunk: Trunk, source: str) -> None:
    """Load the frame network of a model of ours into a trunk.

    Raises:
        HearsightError: as `find_model` and `load_checkpoint`, or the networks differ.
    """
    path = find_model(source)
    weights = load_checkpoint(path, with_state=False).weights
    theirs = {
        name.removeprefix("frames."): value
        for name, value in weights.items()
        if name.startswith("frames.")
    }
    ours = trunk.state_dict()
    other = [
        name
        for name in sorted(ours.keys() | theirs.keys())
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    ]
    if other:
        raise HearsightError(
            f"The frame network in {path} is another than the recipe's: it differs in "
            f"{first_names(other, 3)}."
        )
    trunk.load_state_dict(theirs)


def load_trunk(encoders: Encoders, encoder: Encoder) -> None:
    """Start the frame network, and its momentum encoder, from what `encoder.weights` names.

    That is a model of ours, or a file of torchvision's ResNet-18.

    Raises:
        HearsightError: as `load_frame_network` or `load_resnet18`.
    """
    source = encoder.weights
    assert source is not None
    assert isinstance(encoders.frames, Trunk)
    path = Path(source)
    if path.is_dir() or path.suffix == ".safetensors" or is_hub_name(source):
        load_frame_network(encoders.frames, source)
    else:
        load_resnet18(encoders.frames, path)
    if encoders.ema is not None:
        encoders.ema["frames"].load_state_dict(encoders.frames.state_dict())
