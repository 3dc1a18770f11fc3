"""Random weights: an untrained baseline."""

from hearsight.recipes.papers import ssl_tie
from hearsight.recipes.recipe import Recipe


def random() -> Recipe:
    """Random weights: SSL-TIE's networks as initialised, an untrained baseline."""
    recipe = ssl_tie.a()
    recipe.epochs = 0
    return recipe


def small() -> Recipe:
    """Random weights of the small networks of `ssl_tie:small`."""
    return ssl_tie.shrink(random())
