"""SLAVC. Mo and Morgado, A Closer Look at Weakly-Supervised Audio-Visual Source Localization,
NeurIPS 2022 (arXiv 2209.09634).

The numbers are those of the released training script. The frame network starts from ImageNet
there: set `encoder.weights`, else it starts from scratch.
"""

from hearsight.objectives.slavc import MomentumContrast
from hearsight.recipes.papers import ez_vsl
from hearsight.recipes.recipe import Recipe


def slavc() -> Recipe:
    """Two heads, one for the clip and one for the place, and targets from a momentum encoder.

    The momentum encoder is what is tested, as by the released script (`--use_mom_eval`).
    """
    recipe = ez_vsl.ez_vsl()
    recipe.encoder.heads, recipe.encoder.ema, recipe.encoder.dropout = 2, 0.999, 0.9
    recipe.encoder.ema_eval = True
    recipe.contrast = MomentumContrast(temperature=0.03)
    return recipe


def small() -> Recipe:
    """The same for minutes on a CPU.

    With so few steps the momentum encoder follows faster, by 0.99, and nothing is dropped: a
    network from scratch has nothing yet to be kept from overfitting.
    """
    recipe = ez_vsl.shrink_projected(slavc())
    recipe.encoder.ema, recipe.encoder.ema_eval, recipe.encoder.dropout = 0.99, True, 0.0
    return recipe
