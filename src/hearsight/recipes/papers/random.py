"""Random: networks that learned nothing, to compare with those that did."""

from hearsight.recipes.papers import ssl_tie
from hearsight.recipes.recipe import Recipe


def random() -> Recipe:
    """The first weights of SSL-TIE's networks, as they are drawn."""
    recipe = ssl_tie.a()
    recipe.epochs = 0
    return recipe


def small() -> Recipe:
    """The first weights of the small networks."""
    return ssl_tie.shrink(random())
