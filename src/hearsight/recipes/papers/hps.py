"""HPS. Senocak et al., Learning Sound Localization Better From Semantically Similar Samples,
ICASSP 2022 (arXiv 2202.03007).

No code was released: everything but the idea is LVS's, or not certain.
"""

from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.recipes.papers import lvs, ssl_tie
from hearsight.recipes.recipe import Recipe


def hps() -> Recipe:
    """HPS, ICASSP 2022: LVS with hard positives, the nearest neighbours in sound and in frame."""
    recipe = lvs.lvs()
    recipe.contrast = HardPositiveContrast(neighbours=1)
    return recipe


def small() -> Recipe:
    """HPS for minutes on a CPU."""
    return ssl_tie.shrink(hps())
