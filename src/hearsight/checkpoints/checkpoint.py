"""Checkpoints: weights and the recipe that made them, in one file that cannot hold code.

A checkpoint is a .safetensors file: tensors `weights/NAME`, and `state/NAME` for the optimiser
state that a resumed run needs; recipe and facts are JSON in its metadata. Where a model is asked
for it may also be a model folder, here or on a hub.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from hearsight.checkpoints.card import card_of, log_card, shipped_file
from hearsight.checkpoints.facts import check_facts
from hearsight.checkpoints.hub import download, is_hub_name
from hearsight.checkpoints.model_folder import is_model_folder, read_model_folder
from hearsight.checkpoints.tensors import as_single, check_fit, halve, read_tensors, write_tensors
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import parse_json
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import recipe_names
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import from_json, to_json

LOGGER = logging.getLogger(__name__)

WEIGHTS = "weights/"
STATE = "state/"
LAST, BEST = "last.safetensors", "best.safetensors"  # in a run folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The content of a checkpoint file; its weights are checked against its recipe."""

    recipe: Recipe
    weights: dict[str, Tensor]  # of `Encoders(recipe.encoder)`
    facts: dict[str, Any]  # JSON: data, command, version, threshold ...; see docs/checkpoints.md
    state: dict[str, Tensor] | None  # of a resumed run; None where absent or not asked for


def save_checkpoint(
    path: str | Path,
    encoders: Encoders,
    recipe: Recipe,
    *,
    facts: Mapping[str, Any] | None = None,
    state: Mapping[str, Tensor] | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: the file, replaced if it exists; its folder must exist.
        encoders: whose weights and running statistics are written.
        recipe: the recipe that made them.
        facts: anything JSON can hold.
        state: tensors that a resumed run needs.
        half: write weights in half precision, for a file of half the size; they are read as single
            precision again.

    Raises:
        HearsightError: no folder, no permission, full disk; a file already there is kept.
    """
    weights = encoders.state_dict()
    tensors = _over(WEIGHTS, halve(weights) if half else weights) | _over(STATE, state or {})
    _write(Path(path), tensors, recipe, facts or {})


def save_weights(
    path: Path, weights: Mapping[str, Tensor], recipe: Recipe, facts: Mapping[str, Any]
) -> None:
    """`save_checkpoint` for a state dict.

    Raises:
        HearsightError: as `save_checkpoint`, or names or shapes are not those of the recipe.
    """
    check_fit(weights, recipe.encoder, path)
    _write(path, _over(WEIGHTS, weights), recipe, facts)


def _write(
    path: Path, tensors: Mapping[str, Tensor], recipe: Recipe, facts: Mapping[str, Any]
) -> None:
    metadata = {"recipe": json.dumps(to_json(recipe)), "facts": json.dumps(dict(facts))}
    write_tensors(path, tensors, metadata)


def load_checkpoint(path: str | Path, *, with_state: bool = True) -> Checkpoint:
    """Read a checkpoint to the CPU. Nothing in the file is executed.

    Args:
        path: a file that `save_checkpoint` wrote, or a model folder, which has no state.
        with_state: also read the state of a resumed run, where there is one.

    Raises:
        HearsightError: no such file, not a checkpoint, truncated, weights that do not fit the
            recipe, or one of `FACTS` in another form.
    """
    path = Path(path)
    if is_model_folder(path):
        recipe, weights, facts = read_model_folder(path)
        return Checkpoint(recipe=recipe, weights=weights, facts=facts, state=None)
    if not path.is_file():
        raise HearsightError(f"There is no checkpoint {path}.")
    tensors, metadata = read_tensors(path, (WEIGHTS, STATE) if with_state else (WEIGHTS,))
    if not {"recipe", "facts"} <= metadata.keys():
        raise HearsightError(f"{path} holds tensors but no recipe: hearsight did not write it.")
    try:
        recipe = from_json(parse_json(metadata["recipe"]))
    except (HearsightError, ValueError) as error:
        raise HearsightError(f"The recipe in {path} cannot be read: {error}") from error
    try:
        facts = check_facts(parse_json(metadata["facts"]), path)
    except ValueError as error:
        raise HearsightError(f"The facts in {path} cannot be read: {error}.") from error
    weights = as_single(_under(WEIGHTS, tensors))
    check_fit(weights, recipe.encoder, path)
    return Checkpoint(
        recipe=recipe, weights=weights, facts=facts, state=_under(STATE, tensors) or None
    )


def _over(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def shipped_models() -> dict[str, Path]:
    """The checkpoints in the package, by the name of their recipe."""
    files = {name: shipped_file(name) for name in recipe_names()}
    return {name: path for name, path in files.items() if path.exists()}


class Model(NamedTuple):
    """Encoders, the recipe that made them, and the facts of their checkpoint."""

    encoders: Encoders
    recipe: Recipe
    facts: Mapping[str, Any] = MappingProxyType({})  # as `Checkpoint.facts`


def find_model(source: str | Path) -> Path:
    """The checkpoint file or model folder of a model; one on a hub is downloaded to its cache.

    Args:
        source: a checkpoint file, a run folder (its best weights, else its last), a model folder,
            the name of a model that comes with the package, or `owner/name` or
            `owner/name@revision` on a hub.

    Raises:
        HearsightError: none of these. A file or a run that is named and not there is found missing
            by who reads it.
    """
    path, shipped = Path(source), shipped_models()
    if path.is_dir() and not is_model_folder(path):
        return path / (BEST if (path / BEST).exists() else LAST)
    if path.exists() or path.suffix == ".safetensors":
        return path
    if str(source) in shipped:
        return shipped[str(source)]
    if is_hub_name(str(source)):
        return download(str(source))
    known = ", ".join(sorted(shipped)) or "none in this installation"
    raise HearsightError(
        f"'{source}' is neither a checkpoint file nor a model that comes with the package "
        f"({known}).{nearest(str(source), shipped)}"
    )


def ready(checkpoint: Checkpoint) -> Model:
    """The model of a checkpoint: on the CPU, in evaluation mode."""
    encoders = Encoders(checkpoint.recipe.encoder, bare=True)
    # the tensors themselves, not a copy: `to_empty` of what has no values imports sympy first
    encoders.load_state_dict(checkpoint.weights, assign=True)
    return Model(encoders.eval(), checkpoint.recipe, checkpoint.facts)


def load_model(source: str | Path) -> Model:
    """A model ready to use: on the CPU, in evaluation mode. What its card says in short is logged.

    Args:
        source: as `find_model` takes it.

    Raises:
        HearsightError: as `find_model` and `load_checkpoint`.
    """
    path = find_model(source)
    checkpoint = load_checkpoint(path, with_state=False)
    LOGGER.info("loaded %s, %s", path, checkpoint.recipe.name)
    log_card(card_of(path))
    return ready(checkpoint)
