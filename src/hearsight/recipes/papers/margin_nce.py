"""MarginNCE. Park et al., MarginNCE: Robust Sound Localization with a Negative Margin, ICASSP 2023
(arXiv 2211.01966).

EZ-VSL with a negative margin. No code is public: that the networks are EZ-VSL's is known from
released evaluation code of a later paper; margin and temperature are not certain. Margins to try:
0.2, 0, -0.2, -0.4, -0.6.
"""

from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.papers import ez_vsl
from hearsight.recipes.recipe import Recipe


def margin_nce() -> Recipe:
    """EZ-VSL with a true pair that may score 0.2 below the others."""
    recipe = ez_vsl.ez_vsl()
    recipe.contrast = MaxContrast(temperature=0.07, margin=-0.2)
    return recipe


def small() -> Recipe:
    """The same for minutes on a CPU."""
    return ez_vsl.shrink_projected(margin_nce())
