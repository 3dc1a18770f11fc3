"""FNAC. Sun et al., Learning Audio-Visual Source Localization via False Negative Aware Contrastive
Learning, CVPR 2023 (arXiv 2303.11302).

The numbers are those of the released training scripts. The frame network starts from ImageNet
there: set `encoder.weights`, else it starts from scratch.
"""

from hearsight.objectives.false_negatives import FalseNegativeContrast
from hearsight.recipes.papers import ez_vsl
from hearsight.recipes.recipe import Recipe


def fnac() -> Recipe:
    """EZ-VSL, and clips alike in sound or look should respond alike."""
    recipe = ez_vsl.ez_vsl()
    recipe.contrast = FalseNegativeContrast(temperature=0.03, weight=100.0, warm_up=5)
    recipe.encoder.dropout = 0.9
    recipe.weight_decay = 1e-4
    recipe.batch_size, recipe.epochs, recipe.seed = 256, 30, 42
    return recipe


def small() -> Recipe:
    """The same for minutes on a CPU; the gaps, which shrink with the batch, weigh as much.

    Peaks are soft (`ssl_tie.shrink`). Nothing is dropped: a network from scratch has nothing yet to
    be kept from overfitting.
    """
    recipe = ez_vsl.shrink_projected(fnac())
    recipe.encoder.dropout = 0.0
    weight = 100.0 * recipe.batch_size / 256
    recipe.contrast = FalseNegativeContrast(weight=weight, softness=0.1)
    return recipe
