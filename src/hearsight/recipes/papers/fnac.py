"""FNAC. Sun et al., Learning Audio-Visual Source Localization via False Negative Aware Contrastive
Learning, CVPR 2023 (arXiv 2303.11302).

Hyperparameters are those of the released training scripts. Their frame network starts from
ImageNet: set `encoder.weights`, else it starts from scratch.
"""

from hearsight.objectives.false_negatives import FalseNegativeContrast
from hearsight.recipes.papers import ez_vsl
from hearsight.recipes.papers.ssl_tie import on_pretrained
from hearsight.recipes.recipe import Recipe


def fnac() -> Recipe:
    """FNAC, CVPR 2023: EZ-VSL + false negatives suppression and true negatives enhancement."""
    recipe = ez_vsl.ez_vsl()
    recipe.contrast = FalseNegativeContrast(temperature=0.03, weight=100.0, warm_up=5)
    recipe.encoder.dropout = 0.9
    recipe.weight_decay = 1e-4
    recipe.batch_size, recipe.epochs, recipe.seed = 256, 30, 42
    return recipe


def small() -> Recipe:
    """FNAC for minutes on a CPU; its regularisers are rescaled to the smaller batch.

    They are means over pairs and shrink with the batch. Max-pooling is soft (`ssl_tie.shrink`).
    There is no dropout: a small network from scratch does not overfit in minutes.
    """
    recipe = ez_vsl.shrink_projected(fnac())
    recipe.encoder.dropout = 0.0
    weight = 100.0 * recipe.batch_size / 256
    recipe.contrast = FalseNegativeContrast(weight=weight, softness=0.1)
    return recipe


def pretrained() -> Recipe:
    """FNAC on frozen pretrained trunks (`ssl_tie.on_pretrained`), rescaled as `small`.

    Its regularisers begin after one epoch instead of five, for runs of a few epochs.
    """
    recipe = on_pretrained(fnac())
    recipe.contrast = FalseNegativeContrast(weight=100.0 * recipe.batch_size / 256, warm_up=1)
    return recipe
