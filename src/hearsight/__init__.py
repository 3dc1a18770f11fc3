"""Where in a picture does its sound come from?

The names below are the package's public face: each is found when it is first used, so that
`import hearsight` loads neither torch nor numpy.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hearsight.errors import HearsightError
from hearsight.version import __version__

if TYPE_CHECKING:
    from hearsight.datasets.open import open_clips
    from hearsight.exports.export import write_export
    from hearsight.library.library import Library
    from hearsight.loaded_model import LoadedModel, load_model
    from hearsight.localising.frames import localise_frames
    from hearsight.localising.localise import localise_image, localise_video
    from hearsight.localising.many import localise_many
    from hearsight.localising.moments import Moment
    from hearsight.recipes.catalogue import load_recipe
    from hearsight.recipes.recipe import Recipe
    from hearsight.scoring.evaluation import evaluate
    from hearsight.scoring.saved_map_scores import evaluate_maps
    from hearsight.training.trainer import train

logging.getLogger(__name__).addHandler(logging.NullHandler())  # else warnings went to stderr

__all__ = [
    "HearsightError",
    "Library",
    "LoadedModel",
    "Moment",
    "Recipe",
    "__version__",
    "evaluate",
    "evaluate_maps",
    "load_model",
    "load_recipe",
    "localise_frames",
    "localise_image",
    "localise_many",
    "localise_video",
    "open_clips",
    "train",
    "write_export",
]

_HOMES = {
    "Library": "hearsight.library.library",
    "LoadedModel": "hearsight.loaded_model",
    "Moment": "hearsight.localising.moments",
    "Recipe": "hearsight.recipes.recipe",
    "evaluate": "hearsight.scoring.evaluation",
    "evaluate_maps": "hearsight.scoring.saved_map_scores",
    "load_model": "hearsight.loaded_model",
    "load_recipe": "hearsight.recipes.catalogue",
    "localise_frames": "hearsight.localising.frames",
    "localise_image": "hearsight.localising.localise",
    "localise_many": "hearsight.localising.many",
    "localise_video": "hearsight.localising.localise",
    "open_clips": "hearsight.datasets.open",
    "train": "hearsight.training.trainer",
    "write_export": "hearsight.exports.export",
}
"""Where each name that is not loaded at once is found; `TYPE_CHECKING` above says the same."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hearsight' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
