"""Composed: supervised by composed scenes, whose composer knows where the sounding object lies.

No paper's method and NOT self-supervised: exact boxes of composed scenes are its truth. No class is
used. It is what the default model of the package learns by.
"""

from dataclasses import replace

from hearsight.objectives.composed_truth import ComposedTruth
from hearsight.recipes.papers.ssl_tie import on_pretrained
from hearsight.recipes.recipe import Recipe


def composed() -> Recipe:
    """Composed scenes with exact boxes, on frozen pretrained trunks; NOT self-supervised."""
    recipe = on_pretrained(Recipe(contrast=ComposedTruth(), epochs=20, fresh_epochs=4))
    encoder = recipe.encoder
    recipe.encoder = replace(
        encoder,
        dropout=0.0,
        noise=1.0,
        projection=64,
        hidden=384,
        heads=6,
        linear_heads=2,
        prototypes=512,
    )
    return recipe


def random_trunks() -> Recipe:
    """Composed, a control: its trunks keep random weights."""
    recipe = composed()
    recipe.encoder = replace(recipe.encoder, pretrained=False)
    return recipe


def statistics() -> Recipe:
    """Composed, a control: it hears the mean and deviation of each spectrogram band alone."""
    recipe = composed()
    recipe.encoder = replace(recipe.encoder, sound_trunk="statistics")
    return recipe


def object_map() -> Recipe:
    """Composed, a control: it hears nothing, so that its maps show objects of any kind."""
    recipe = composed()
    recipe.contrast = ComposedTruth(absent=0.0)  # with it every cell would have both truths
    recipe.encoder = replace(recipe.encoder, sound_trunk="deaf", prototypes=0)
    return recipe
