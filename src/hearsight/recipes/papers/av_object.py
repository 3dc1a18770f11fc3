"""AVObject. Afouras et al., Self-Supervised Learning of Audio-Visual Objects from Video, ECCV 2020.

Only the idea of its attention and its contrastive loss. Networks and hyperparameters are LVS's, the
temperature is not certain. A clip here is one frame and one sound, so there are no negatives from
other times of the same video, and no map is aggregated over time along optical flow.
"""

from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.papers import lvs, ssl_tie
from hearsight.recipes.recipe import Recipe


def av_object() -> Recipe:
    """AVObject, ECCV 2020, its loss alone: max-pooled InfoNCE over sounds, on LVS's networks."""
    recipe = lvs.lvs()
    recipe.contrast = MaxContrast(directions="frames", temperature=0.07)
    return recipe


def small() -> Recipe:
    """AVObject for minutes on a CPU."""
    return ssl_tie.shrink(av_object())
