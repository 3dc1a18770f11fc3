"""SLAVC. Mo and Morgado, A Closer Look at Weakly-Supervised Audio-Visual Source Localization,
NeurIPS 2022 (arXiv 2209.09634).

Hyperparameters are those of the released training script. Its frame network starts from ImageNet:
set `encoder.weights`, else it starts from scratch.
"""

from hearsight.objectives.momentum_contrast import MomentumContrast
from hearsight.recipes.papers import ez_vsl
from hearsight.recipes.papers.ssl_tie import on_pretrained
from hearsight.recipes.recipe import Recipe


def slavc() -> Recipe:
    """SLAVC, NeurIPS 2022: correspondence and localisation heads, momentum-encoder targets.

    The momentum encoder is evaluated, as by the released script (`--use_mom_eval`).
    """
    recipe = ez_vsl.ez_vsl()
    recipe.encoder.heads, recipe.encoder.ema, recipe.encoder.dropout = 2, 0.999, 0.9
    recipe.encoder.ema_eval = True
    recipe.contrast = MomentumContrast(temperature=0.03)
    return recipe


def small() -> Recipe:
    """SLAVC for minutes on a CPU, with a faster momentum encoder (0.99).

    There are too few steps for 0.999. There is no dropout: a small network from scratch does not
    overfit in minutes.
    """
    recipe = ez_vsl.shrink_projected(slavc())
    recipe.encoder.ema, recipe.encoder.ema_eval, recipe.encoder.dropout = 0.99, True, 0.0
    return recipe


def pretrained() -> Recipe:
    """SLAVC on frozen pretrained trunks (`ssl_tie.on_pretrained`)."""
    return on_pretrained(slavc())
