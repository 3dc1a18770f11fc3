"""Chooses the sound prototypes of a model: centres of the sounds that it was trained on."""

import torch

from hearsight.clips.clip import Clips
from hearsight.clips.selection import spread_evenly
from hearsight.media.samples import RATE
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import unit
from hearsight.objectives.clustering import soft_kmeans
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import evaluation_mode
from hearsight.training.mixing_partners import embed_sounds

COUNT = 1024  # sounds that they are chosen from
ROUNDS, ASSIGNMENT = 10, 300.0  # of k-means, nearly hard: per unit of distance


@torch.no_grad()
def choose_prototypes(
    encoders: Encoders, recipe: Recipe, clips: Clips, *, device: torch.device, count: int = COUNT
) -> None:
    """Set the prototypes, if the encoders have any, to centres of the training sounds and silence.

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
    places = spread_evenly(len(clips), count)
    sounds, _ = embed_sounds(
        recipe, encoders, clips, epoch=0, wanted=places, device=device, workers=0
    )
    if not len(sounds):
        return  # none could be read, which training has reported
    count = len(prototypes) - 1  # the last is silence's
    length = encoders.heads**0.5  # so that each head has length 1
    points = unit(sounds.float(), encoders.heads) * length
    points = points.repeat(-(-count // len(sounds)), 1)
    centres = soft_kmeans(points[None], count, rounds=ROUNDS, sharpness=ASSIGNMENT)[0]
    silence = torch.zeros(1, round(recipe.spectrogram.seconds * RATE), dtype=torch.int16)
    with evaluation_mode(encoders):
        heard = encoders.embed_sounds(recipe.spectrogram(silence.to(device)))
    both = torch.cat([centres, heard.to(centres.dtype)])
    prototypes.copy_(unit(both, encoders.heads) * length)
