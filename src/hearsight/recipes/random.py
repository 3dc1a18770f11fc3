"""Random: networks that learned nothing, to compare with those that did."""

from hearsight.recipe import Recipe
from hearsight.recipes import ssl_tie


def random() -> Recipe:
    """The first weights of SSL-TIE's networks, as they are drawn."""
    recipe = ssl_tie.a()
    recipe.epochs = 0
    return recipe


def small() -> Recipe:
    """The first weights of the small networks."""
    return ssl_tie.shrink(random())
