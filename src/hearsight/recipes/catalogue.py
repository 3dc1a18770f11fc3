"""Recipes by name: `ssl_tie` for a paper's method, `ssl_tie:b` for a variant in the same file."""

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module

from hearsight.errors import HearsightError, nearest
from hearsight.recipes import papers
from hearsight.recipes.recipe import Recipe

LIGHT = ("small", "pretrained")  # how the names of variants for a CPU begin


def _makers() -> dict[str, Callable[[], Recipe]]:
    """Recipe functions by name: `file:function`, or `file` for the one named like its file."""
    makers: dict[str, Callable[[], Recipe]] = {}
    for module in pkgutil.iter_modules(papers.__path__):
        found = vars(import_module(f"{papers.__name__}.{module.name}"))
        for name, make in found.items():
            if not inspect.isfunction(make) or name.startswith("_"):
                continue
            signature = inspect.signature(make)
            if signature.return_annotation is Recipe and not signature.parameters:
                makers[module.name if name == module.name else f"{module.name}:{name}"] = make
    return makers


def recipe_names() -> list[str]:
    """The names of all recipes, as `load_recipe` takes them."""
    return sorted(_makers())


def describe_recipes() -> dict[str, str]:
    """The names of all recipes, each with the first line of its docstring."""
    return {name: (make.__doc__ or "").split("\n")[0] for name, make in sorted(_makers().items())}


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


def load_recipe(name: str) -> Recipe:
    """A new recipe by its name, such as `ssl_tie` or `ssl_tie:b`; changing it changes no other.

    Raises:
        HearsightError: no recipe of that name; the nearest is suggested.
    """
    makers = _makers()
    if name not in makers:
        raise HearsightError(f"There is no recipe '{name}'.{nearest(name, makers)}")
    recipe = makers[name]()
    recipe.name = name
    return recipe
