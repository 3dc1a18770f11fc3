"""Checkpoints: weights and the recipe that made them, in one file that cannot hold code.

A checkpoint is a .safetensors file: tensors `weights/NAME`, and `state/NAME` for the optimiser
state that a resumed run needs; recipe and facts are JSON in its metadata.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hearsight.checkpoints.card import card_of, log_card, shipped_file
from hearsight.errors import HearsightError, nearest
from hearsight.files.output import temporary_beside
from hearsight.files.text import parse_json
from hearsight.model.encoders import Encoder, Encoders
from hearsight.recipes.catalogue import recipe_names
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import from_json, to_json

LOGGER = logging.getLogger(__name__)

WEIGHTS = "weights/"
STATE = "state/"
LAST, BEST = "last.safetensors", "best.safetensors"  # in a run folder


def is_count(fact: object) -> bool:
    """Whether a JSON value is a whole number from 0 to 2^63 - 1."""
    return type(fact) is int and 0 <= fact < 2**63


def is_number(fact: object) -> bool:
    """Whether a JSON value is a finite number."""
    return type(fact) in (int, float) and abs(fact) <= sys.float_info.max  # type: ignore[arg-type]


def is_position(fact: object) -> bool:
    """Whether a JSON value is a training position; `judge` is missing in the shipped weights."""
    match fact:
        case {"epoch": epoch, "batch": batch, "step": step, "best": best, **rest}:
            counted = all(is_count(number) for number in (epoch, batch, step))
            judged = rest.keys() <= {"judge"} and isinstance(rest.get("judge"), str | None)
            return counted and is_number(best) and judged
    return False


def is_leak_check(fact: object) -> bool:
    """Whether a JSON value is a list of counts of clips and videos shared by two data sets."""
    return isinstance(fact, list) and all(is_leak(one) for one in fact)


def is_leak(fact: object) -> bool:
    """Whether a JSON value counts what training and one other data set share."""
    match fact:
        case {"role": str(), "test": str(), "clips_in_both": clips, "videos_in_both": videos}:
            return is_count(clips) and is_count(videos)
    return False


def is_thread_count(fact: object) -> bool:
    """Whether a JSON value is a whole number from 1 to 2^63 - 1."""
    return is_count(fact) and fact != 0


FACTS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "threshold": (is_number, "a number"),
    "selected_on_test": (lambda fact: isinstance(fact, bool), "true or false"),
    "leak_check": (
        is_leak_check,
        "a list of objects with role, test, clips_in_both and videos_in_both",
    ),
    "threads": (is_thread_count, "a whole number from 1 on"),
    "position": (is_position, "an object with epoch, batch and step from 0 on, best and judge"),
}
"""The facts that hearsight reads back, each with its check and its form in words."""


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
    tensors = {
        WEIGHTS + name: value.half() if half and value.is_floating_point() else value
        for name, value in weights.items()
    }
    tensors |= {STATE + name: value for name, value in (state or {}).items()}
    _write(Path(path), tensors, recipe, facts or {})


def save_weights(
    path: Path, weights: Mapping[str, Tensor], recipe: Recipe, facts: Mapping[str, Any]
) -> None:
    """`save_checkpoint` for a state dict.

    Raises:
        HearsightError: as `save_checkpoint`, or names or shapes are not those of the recipe.
    """
    _check_fit(weights, recipe.encoder, path)
    _write(path, {WEIGHTS + name: value for name, value in weights.items()}, recipe, facts)


def _write(
    path: Path, tensors: Mapping[str, Tensor], recipe: Recipe, facts: Mapping[str, Any]
) -> None:
    metadata = {"recipe": json.dumps(to_json(recipe)), "facts": json.dumps(dict(facts))}
    packed = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, metadata)
    try:
        with temporary_beside(path) as part, part.open("wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise HearsightError(f"Cannot write {path}: {error.strerror}.") from error


def load_checkpoint(path: str | Path, *, with_state: bool = True) -> Checkpoint:
    """Read a checkpoint to the CPU. Nothing in the file is executed.

    Args:
        path: a file that `save_checkpoint` wrote.
        with_state: also read the state of a resumed run, where there is one.

    Raises:
        HearsightError: no such file, not a checkpoint, truncated, weights that do not fit the
            recipe, or one of `FACTS` in another form.
    """
    path = Path(path)
    if not path.is_file():
        raise HearsightError(f"There is no checkpoint {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            wanted = (WEIGHTS, STATE) if with_state else (WEIGHTS,)
            tensors = {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - it cannot be iterated
                if name.startswith(wanted)
            }
    except (SafetensorError, OSError) as error:
        raise HearsightError(f"{path} is not a checkpoint, or is cut short: {error}.") from error
    if not {"recipe", "facts"} <= metadata.keys():
        raise HearsightError(f"{path} holds tensors but no recipe: hearsight did not write it.")
    try:
        recipe = from_json(parse_json(metadata["recipe"]))
    except (HearsightError, ValueError) as error:
        raise HearsightError(f"The recipe in {path} cannot be read: {error}") from error
    facts = _read_facts(metadata["facts"], path)
    weights = {
        name: value.float() if value.dtype == torch.float16 else value
        for name, value in _under(WEIGHTS, tensors).items()
    }
    _check_fit(weights, recipe.encoder, path)
    return Checkpoint(
        recipe=recipe, weights=weights, facts=facts, state=_under(STATE, tensors) or None
    )


def _read_facts(text: str, path: Path) -> dict[str, Any]:
    try:
        facts = parse_json(text)
    except ValueError as error:
        raise HearsightError(f"The facts in {path} cannot be read: {error}.") from error
    if not isinstance(facts, dict):
        raise HearsightError(f"The facts in {path} are no JSON object.")
    for name, (fits, wanted) in FACTS.items():
        if name in facts and not fits(facts[name]):
            raise HearsightError(f"The fact '{name}' in {path} must be {wanted}.")
    return facts


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def layout(encoder: Encoder) -> dict[str, torch.Size]:
    """The names and shapes of the state dict of these encoders."""
    bare = Encoders(encoder, bare=True)
    return {name: value.shape for name, value in bare.state_dict().items()}


def _check_fit(weights: Mapping[str, Tensor], encoder: Encoder, path: Path) -> None:
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


def shipped_models() -> dict[str, Path]:
    """The checkpoints in the package, by the name of their recipe."""
    files = {name: shipped_file(name) for name in recipe_names()}
    return {name: path for name, path in files.items() if path.exists()}


class Model(NamedTuple):
    """Encoders, the recipe that made them, and the facts of their checkpoint."""

    encoders: Encoders
    recipe: Recipe
    facts: Mapping[str, Any] = MappingProxyType({})  # as `Checkpoint.facts`


def checkpoint_path(source: str | Path) -> Path:
    """The file of a model: a checkpoint, a run folder's best or last, or one of the package.

    Raises:
        HearsightError: none of these.
    """
    path, shipped = Path(source), shipped_models()
    if path.is_dir():
        return path / (BEST if (path / BEST).exists() else LAST)
    if not path.exists() and str(source) in shipped:
        return shipped[str(source)]
    if not path.exists() and path.suffix != ".safetensors":
        known = ", ".join(sorted(shipped)) or "none in this installation"
        raise HearsightError(
            f"'{source}' is neither a checkpoint file nor a model that comes with the package "
            f"({known}).{nearest(str(source), shipped)}"
        )
    return path


def ready(checkpoint: Checkpoint) -> Model:
    """The model of a checkpoint: on the CPU, in evaluation mode."""
    encoders = Encoders(checkpoint.recipe.encoder, bare=True).to_empty(device="cpu")
    encoders.load_state_dict(checkpoint.weights)
    return Model(encoders.eval(), checkpoint.recipe, checkpoint.facts)


def load_model(source: str | Path) -> Model:
    """A model ready to use: on the CPU, in evaluation mode. What its card says in short is logged.

    Args:
        source: a checkpoint file, a run folder (its best weights, else its last), or the name of a
            model that comes with the package.

    Raises:
        HearsightError: none of these, or as `load_checkpoint`.
    """
    path = checkpoint_path(source)
    checkpoint = load_checkpoint(path, with_state=False)
    LOGGER.info("loaded %s, %s", path, checkpoint.recipe.name)
    log_card(card_of(path))
    return ready(checkpoint)
