"""Weights that authors released, converted to our networks; reading them runs no code."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hearsight.checkpoints.checkpoint import save_weights
from hearsight.checkpoints.frame_network import torchvision_name
from hearsight.checkpoints.released_file import read_weights
from hearsight.checkpoints.tensors import layout
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import counted, first_names
from hearsight.model.spectrogram import LogSpectrogram
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe

LOGGER = logging.getLogger(__name__)


class Released(NamedTuple):
    """What is known of a method's released weights.

    recipe: whose networks they are. others: whether the file may hold further networks beside those
    of the response map, as its authors' own evaluation takes it.
    """

    title: str
    recipe: str
    others: bool = False


METHODS = {
    "ssl-tie": Released("SSL-TIE", "ssl_tie"),
    "lvs": Released("LVS", "lvs"),
    "ez-vsl": Released("EZ-VSL", "ez_vsl"),
    "margin-nce": Released("MarginNCE", "margin_nce"),
    "fnac": Released("FNAC", "fnac"),
    "slavc": Released("SLAVC", "slavc"),
    "ssl-align": Released("SSL-Align", "lvs", others=True),
}
"""Methods whose released weights can be converted."""

UNUSED = re.compile(  # weights of released modules that their response map does not use
    r"(momentum_)?(imgnet|audnet)\.(fc\.|conv1_flow\.)|imgnet\.conv1_a\.|audnet\.conv1\."
    r"|.*\.num_batches_tracked$|(vision_fc1|conv3|norm3)\."
)

ENDINGS = re.compile(r"(?<=.)(\.(pth|pt|tar|ckpt|bin|pkl))+$", re.IGNORECASE)

NETWORKS = {"frames": "imgnet", "sounds": "audnet"}
PROJECTIONS = {"frame_projection": "img_proj", "sound_projection": "aud_proj"}


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


def target_of(file: Path) -> Path:
    """The default file for converted weights: beside the released ones, ending in .safetensors.

    `a.v1.2.pth.tar` becomes `a.v1.2.safetensors`.
    """
    return file.parent / f"{ENDINGS.sub('', file.name)}.safetensors"


def released_recipe(method: str) -> Recipe:
    """The recipe of a method's released weights: its networks and spectrogram.

    Those of SSL-Align (Senocak et al., ICCV 2023) are LVS's with the middle 3 s of sound in 299
    columns, as its released test.py has them; how it was trained is not in it.

    Raises:
        HearsightError: no such method.
    """
    if method not in METHODS:
        raise HearsightError(
            f"There is no method '{method}' whose released weights are known: it may be "
            f"{', '.join(METHODS)}.{nearest(method, METHODS)}"
        )
    recipe = load_recipe(METHODS[method].recipe)
    if method == "ssl-align":
        recipe.spectrogram = LogSpectrogram(seconds=3.0, overlap=353)
    recipe.encoder.weights = None  # they are in the file
    return recipe


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
    file, recipe = Path(file), released_recipe(method)
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
    _check_keys(file, METHODS[method], used, theirs)
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
    LOGGER.info("imported %s as %s: %s", file, recipe.name, counted(len(weights), "tensor"))
    return recipe


def fits(value: Tensor, shape: torch.Size) -> bool:
    """Whether a convolution has as many input channels as `shape`; other tensors always fit."""
    return value.dim() != 4 or value.shape[1] == shape[1]


def _check_keys(
    file: Path, released: Released, used: set[str], theirs: Mapping[str, Tensor]
) -> None:
    missing = sorted(used - theirs.keys())
    unexpected = sorted(
        key
        for key in theirs.keys() - used
        if not UNUSED.match(key)
        and not (released.others and key.partition(".")[0] not in NETWORKS.values())
    )
    for kind, keys in (("lacks", missing), ("holds the unexpected", unexpected)):
        if keys:
            raise HearsightError(
                f"{file} is not a released {released.title} model: it {kind} "
                f"{first_names(keys, 3)}."
            )
