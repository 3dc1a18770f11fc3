"""Chooses the sound prototypes of a model: centres of the sounds that it was trained on."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from hearsight.clips.clip import Clips
from hearsight.model.encoders import Encoders
from hearsight.objectives.clustering import soft_kmeans
from hearsight.recipes.recipe import Recipe
from hearsight.training.mixing_partners import embed_sounds

COUNT = 1024  # sounds that they are chosen from
ROUNDS, ASSIGNMENT = 10, 300.0  # of k-means, nearly hard: per unit of distance


@torch.no_grad()
def choose_prototypes(
    encoders: Encoders, recipe: Recipe, clips: Clips, *, device: torch.device, count: int = COUNT
) -> None:
    """Set the prototypes, if the encoders have any, to the centres of the training sounds.

    k-means of unit embeddings; of several heads each has length 1. Where there are fewer
    sounds than prototypes, sounds are repeated. No class is used.

    Args:
        encoders: on `device`; their mode is restored.
        recipe: of the encoders.
        clips: what they were trained on; of endless clips those of the first epoch.
        device: where to compute.
        count: sounds used, spread evenly over all.
    """
    prototypes = encoders.sound_prototypes
    if prototypes is None:
        return
    places = np.unique(np.linspace(0, len(clips) - 1, min(count, len(clips))).astype(int)).tolist()
    sounds, _ = embed_sounds(
        recipe, encoders, clips, epoch=0, wanted=places, device=device, workers=0
    )
    if not len(sounds):
        return  # none could be read, which training has reported
    parts = [normalize(part, dim=1) for part in sounds.float().chunk(encoders.heads, 1)]
    points = _repeated(torch.cat(parts, 1), len(prototypes))
    centres = soft_kmeans(points[None], len(prototypes), rounds=ROUNDS, sharpness=ASSIGNMENT)[0]
    prototypes.copy_(torch.cat([normalize(p, dim=1) for p in centres.chunk(encoders.heads, 1)], 1))


def _repeated(points: Tensor, least: int) -> Tensor:
    """The points, all of them as often as it takes to be at least so many."""
    return points.repeat(-(-least // len(points)), 1)
