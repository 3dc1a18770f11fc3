"""AVObject. Afouras et al., Self-Supervised Learning of Audio-Visual Objects from Video, ECCV 2020.

Only the idea of its attention and its contrast. Networks and numbers are LVS's, not theirs; the
temperature is not certain. A clip here is one frame and one sound, so no sound is of another time
of the same video, and no optical flow gathers a map over time.
"""

from hearsight.objectives.max_contrast import MaxContrast
from hearsight.recipes.papers import lvs, ssl_tie
from hearsight.recipes.recipe import Recipe


def av_object() -> Recipe:
    """The strongest place of a frame tells its sound from those of other clips."""
    recipe = lvs.lvs()
    recipe.contrast = MaxContrast(directions="frames", temperature=0.07)
    return recipe


def small() -> Recipe:
    """The same for minutes on a CPU."""
    return ssl_tie.shrink(av_object())
