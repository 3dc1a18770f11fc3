"""The model that `hearsight train` starts from: named, noted by a run, or the default one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hearsight.commands.console import note
from hearsight.errors import HearsightError

if TYPE_CHECKING:
    from hearsight.checkpoints.start import Start
    from hearsight.recipes.recipe import Recipe

NONE = "none"


def choose_start(
    given: str | None, recipe: "Recipe", *, own_videos: bool, resumed: Path | None
) -> "Start | None":
    """The model that training starts from, told on stderr; None to begin anew.

    Args:
        given: a model, `none`, or None for what the run that is resumed started from, or the
            default.
        recipe: that is trained.
        own_videos: whether it is trained on one's own videos, which start from the default model
            where it has the recipe's network.
        resumed: folder of the run that is resumed, if one is.

    Raises:
        HearsightError: no such model, one with another network, or another one than the resumed
            run started from.
    """
    from hearsight.checkpoints.start import (
        adopt_projections,
        check_network,
        load_start,
        read_start,
        start_of_run,
    )
    from hearsight.training.run_folder import has_begun

    if resumed is not None and has_begun(resumed):
        held = read_start(resumed)
        if given == NONE and held is not None:
            raise HearsightError(
                f"The run in {resumed} started from '{held['model']}': leave --start out."
            )
        named = load_start(given) if given not in (None, NONE) else None
        begun = start_of_run(resumed, named, needed=own_videos)
        if begun is not None:
            adopt_projections(recipe, begun.checkpoint.recipe)
        return begun
    if given == NONE:
        return None
    start = load_start(given) if given is not None else _default(recipe) if own_videos else None
    if start is not None:
        changed = adopt_projections(recipe, start.checkpoint.recipe)
        if changed is not None:
            note(changed)
        check_network(recipe, start)
        note(start.sentence(recipe))
    return start


def _default(recipe: "Recipe") -> "Start | None":
    """The default model, if a recipe can start from it."""
    from hearsight.checkpoints.checkpoint import shipped_models
    from hearsight.checkpoints.start import adopt_projections, load_start, other_network
    from hearsight.localising.localise import MODEL

    if MODEL not in shipped_models() or recipe.encoder.weights is not None or not recipe.epochs:
        return None
    start = load_start(MODEL)
    likely = replace(recipe)  # as it would be with the model's projections
    adopt_projections(likely, start.checkpoint.recipe)
    if other_network(likely, start.checkpoint.recipe):
        note(
            f"Training begins anew: the default model, {MODEL}, has another network than "
            f"{recipe.name}."
        )
        return None
    return start
