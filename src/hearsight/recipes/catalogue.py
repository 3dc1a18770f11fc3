"""Recipes by name: `ssl_tie` for a paper's method, `ssl_tie:b` for a variant in the same file."""

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module

from hearsight.errors import HearsightError, nearest
from hearsight.recipes import papers
from hearsight.recipes.recipe import Recipe


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
