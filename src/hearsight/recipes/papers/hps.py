"""HPS. Senocak et al., Learning Sound Localization Better From Semantically Similar Samples,
ICASSP 2022 (arXiv 2202.03007).

There is no code. Everything but the idea is LVS's, or not certain.
"""

from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.recipes.papers import lvs, ssl_tie
from hearsight.recipes.recipe import Recipe


def hps() -> Recipe:
    """LVS, with frames and sounds of similar clips as further positives."""
    recipe = lvs.lvs()
    recipe.contrast = HardPositiveContrast(neighbours=1)
    return recipe


def small() -> Recipe:
    """The same for minutes on a CPU."""
    return ssl_tie.shrink(hps())
