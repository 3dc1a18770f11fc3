"""Recipes in files of their own: `recipe.json` of a run, and what `train --config` takes."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError
from hearsight.files.output import write_text
from hearsight.files.text import first_names, parse_json
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import KIND, from_json, to_json

RECIPE = "recipe.json"  # in a run folder
NUMBERS = re.compile(r"\[\n\s+([-+.,\w\s]+?)\n\s+\]")  # a list without texts, over several lines
NAMED = 4  # missing fields in an error


def recipe_text(recipe: Recipe) -> str:
    """The recipe as JSON to read: a line for each field, numbers of a list in one."""
    text = json.dumps(to_json(recipe), indent=2)
    return NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe, whole or not at all.

    Raises:
        HearsightError: it cannot be written.
    """
    write_text(path, recipe_text(recipe))


def read_recipe(path: Path, base: Recipe | None = None) -> Recipe:
    """The recipe in a JSON file.

    Args:
        path: of the file.
        base: where fields come from that the file leaves out; None: it must hold every field.

    Raises:
        HearsightError: no such file, not JSON, a field that no recipe has (the nearest is
            suggested), a value of the wrong type or out of range, or without `base` a field is
            missing.
    """
    try:
        plain = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HearsightError(
            f"The recipe '{path}' cannot be read: {error.strerror or error}."
        ) from error
    except ValueError as error:
        raise HearsightError(f"The recipe '{path}' is not JSON: {error}.") from error
    if not isinstance(plain, dict):
        raise HearsightError(f"The recipe '{path}' is no JSON object.")
    names = [field.name for field in fields(Recipe)]
    if base is None and set(plain) <= {KIND, *names}:  # else a field is misspelt, and named below
        _refuse_gaps(path, [name for name in names if name not in plain])
    try:
        recipe = from_json(plain if base is None else _overlaid(to_json(base), plain))
    except HearsightError as error:
        raise HearsightError(f"The recipe '{path}': {error}") from error
    if base is None:
        _refuse_gaps(path, _missing(plain, to_json(recipe)))
    return recipe


def _refuse_gaps(path: Path, missing: list[str]) -> None:
    """Refuse a file that leaves out fields, if it does."""
    if missing:
        raise HearsightError(
            f"The recipe '{path}' leaves out {first_names(missing, NAMED)}: name the recipe "
            "that it changes beside it, or begin with what `hearsight recipes NAME` prints."
        )


def _overlaid(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The fields of `base` with those of `given`; a part of another kind replaces the part."""
    found = {**base}
    for name, value in given.items():
        held: Any = base.get(name)
        whole = isinstance(held, dict) and isinstance(value, dict)
        part = whole and value.get(KIND, held[KIND]) == held[KIND]
        found[name] = _overlaid(held, value) if part else value
    return found


def _missing(given: dict[str, Any], whole: dict[str, Any], prefix: str = "") -> list[str]:
    """Paths of fields of `whole` that are not in `given`."""
    found = []
    for name, value in whole.items():
        if name not in given:
            found += [] if name == KIND else [prefix + name]
        elif isinstance(value, dict):
            found += _missing(given[name], value, f"{prefix}{name}.")
    return found
