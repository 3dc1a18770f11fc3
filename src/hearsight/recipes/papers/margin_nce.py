"""MarginNCE. Park et al., MarginNCE: Robust Sound Localization with a Negative Margin, ICASSP 2023
(arXiv 2211.01966).

No code is public: that the networks are EZ-VSL's is known from the released evaluation code of a
later paper; margin and temperature are not certain. Margins to try: 0.2, 0, -0.2, -0.4, -0.6.
"""

from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.papers import ez_vsl
from hearsight.recipes.papers.ssl_tie import on_pretrained
from hearsight.recipes.recipe import Recipe


def margin_nce() -> Recipe:
    """MarginNCE, ICASSP 2023: EZ-VSL with a negative margin (-0.2) on positive pairs."""
    recipe = ez_vsl.ez_vsl()
    recipe.contrast = MaxContrast(temperature=0.07, margin=-0.2)
    return recipe


def small() -> Recipe:
    """MarginNCE for minutes on a CPU."""
    return ez_vsl.shrink_projected(margin_nce())


def pretrained() -> Recipe:
    """MarginNCE on frozen pretrained trunks (`ssl_tie.on_pretrained`)."""
    return on_pretrained(margin_nce())
