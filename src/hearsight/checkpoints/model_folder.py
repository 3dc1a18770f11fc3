"""Model folders, as models lie on hubs: config.json, model.safetensors, README.md.

Written and read by this module alone: a key that is missing, not known or of another type is an
error. Weights have the names of the state dict of `Encoders`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hearsight.checkpoints.facts import check_facts
from hearsight.checkpoints.tensors import as_single, check_fit, halve, read_tensors, write_tensors
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import first_names, parse_json
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import from_json, to_json
from hearsight.version import __version__

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = 1  # raised when an older hearsight could not read what is written
KEYS = ("library_name", "format", "version", "recipe", "facts")


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a config or weights under their names in a model folder."""
    return path.is_dir() and any((path / name).exists() for name in (CONFIG, WEIGHTS))


def write_model_folder(
    folder: Path, encoders: Encoders, recipe: Recipe, facts: Mapping[str, Any], *, half: bool
) -> None:
    """Write config.json and model.safetensors into a folder.

    half: as of `save_checkpoint`.

    Raises:
        HearsightError: they cannot be written.
    """
    weights = encoders.state_dict()
    write_tensors(folder / WEIGHTS, halve(weights) if half else weights, {"format": "pt"})
    config = {
        "library_name": "hearsight",
        "format": FORMAT,
        "version": __version__,
        "recipe": to_json(recipe),
        "facts": dict(facts),
    }
    try:
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise HearsightError(f"Cannot write {folder / CONFIG}: {error.strerror}.") from error


def read_model_folder(folder: Path) -> tuple[Recipe, dict[str, Tensor], dict[str, Any]]:
    """Recipe, weights in single precision on the CPU, and facts. Nothing is executed.

    Raises:
        HearsightError: a file is missing, damaged or cut short, the config is of another format
            or has a key too few or too many, or the weights do not fit its recipe.
    """
    config = _read_config(folder / CONFIG)
    try:
        recipe = from_json(config["recipe"])
    except HearsightError as error:
        raise HearsightError(f"The recipe in {folder / CONFIG} cannot be read: {error}") from error
    facts = check_facts(config["facts"], folder / CONFIG)
    path = folder / WEIGHTS
    if not path.is_file():
        raise HearsightError(f"The model folder '{folder}' lacks {WEIGHTS}.")
    weights, _ = read_tensors(path)
    for name, value in weights.items():
        if value.dtype not in (torch.float32, torch.float16):
            kind = str(value.dtype).removeprefix("torch.")
            raise HearsightError(f"{name} in {path} is of {kind}, not of float32 or float16.")
    check_fit(weights, recipe.encoder, path)
    return recipe, as_single(weights), facts


def _read_config(path: Path) -> dict[str, Any]:
    """The config of a model folder, its keys and format checked."""
    if not path.is_file():
        raise HearsightError(
            f"'{path.parent}' lacks {CONFIG}, so it is no model folder; a checkpoint in it is "
            "named by its file."
        )
    try:
        config = parse_json(path.read_bytes())
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no JSON, or no text
        raise HearsightError(f"'{path}' is no JSON, or is cut short: {error}.") from error
    if not isinstance(config, dict) or config.get("library_name") != "hearsight":
        raise HearsightError(f"'{path}' is of no hearsight model: hearsight did not write it.")
    if config.get("format") != FORMAT or type(config["format"]) is not int:
        raise HearsightError(
            f"'{path}' is of format {json.dumps(config.get('format'))[:60]}, but hearsight "
            f"{__version__} reads format {FORMAT}."
        )
    missing = [key for key in KEYS if key not in config]
    unknown = [key for key in config if key not in KEYS]
    if missing:
        raise HearsightError(f"'{path}' lacks {first_names(missing, 3)}.")
    if unknown:
        raise HearsightError(
            f"'{path}' holds the unknown {first_names(unknown, 3)}.{nearest(unknown[0], KEYS)}"
        )
    return config
