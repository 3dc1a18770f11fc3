"""Recipes by name: `ssl_tie` for a paper's method, `ssl_tie:b` for a variant in the same file."""

import ast
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hearsight.errors import HearsightError, nearest
from hearsight.recipes import papers

if TYPE_CHECKING:
    from hearsight.recipes.recipe import Recipe

LIGHT = ("small", "pretrained")  # how the names of variants for a CPU begin


def describe_recipes() -> dict[str, str]:
    """The names of all recipes, each with the first line of its docstring.

    A recipe is a public function of a paper's file that needs no arguments and returns a `Recipe`.
    The files are read, not run: a list of methods needs no torch.
    """
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(papers.__path__):
        source = Path(papers.__path__[0], f"{module.name}.py").read_text(encoding="utf-8")
        for made in ast.parse(source).body:
            if isinstance(made, ast.FunctionDef) and _is_recipe(made):
                name = f"{module.name}:{made.name}".removesuffix(f":{module.name}")
                found[name] = (ast.get_docstring(made) or "").split("\n")[0]
    return dict(sorted(found.items()))


def _is_recipe(made: ast.FunctionDef) -> bool:
    returned = made.returns
    return (
        isinstance(returned, ast.Name)
        and returned.id == "Recipe"
        and not made.name.startswith("_")
        and ast.unparse(made.args) == ""
    )


def recipe_names() -> list[str]:
    """The names of all recipes, as `load_recipe` takes them."""
    return list(describe_recipes())


def lighter_recipes(name: str) -> dict[str, str]:
    """The variants of a recipe that are made for a CPU, each with what its docstring says of it.

    Those of the same method whose name begins with `small` or `pretrained`: of `ssl_tie:b` the
    variant `small_b`, where there is one, else `small`. None of a recipe that is one itself.
    """
    method, _, variant = name.partition(":")
    if variant.startswith(LIGHT):
        return {}
    described = describe_recipes()
    found: dict[str, str] = {}
    for light in LIGHT:
        twins = (f"{method}:{light}_{variant}", f"{method}:{light}")
        there = [each for each in twins if each in described]
        found |= {each: described[each].rstrip(".") for each in there[:1]}
    return found


def load_recipe(name: str) -> "Recipe":
    """A new recipe by its name, such as `ssl_tie` or `ssl_tie:b`; changing it changes no other.

    Raises:
        HearsightError: no recipe of that name; the nearest is suggested.
    """
    if not isinstance(name, str):
        raise HearsightError(f"A recipe is found by its name, not by {type(name).__name__}.")
    names = recipe_names()
    if name not in names:
        raise HearsightError(f"There is no recipe '{name}'.{nearest(name, names)}")
    method, _, variant = name.partition(":")
    made = getattr(import_module(f"{papers.__name__}.{method}"), variant or method)
    recipe: Recipe = made()
    recipe.name = name
    return recipe
