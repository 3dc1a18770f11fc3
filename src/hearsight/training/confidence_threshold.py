"""Chooses the confidence threshold of a model, without labels: the least peak of a source."""

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.clips.selection import spread_evenly
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import evaluation_mode
from hearsight.training.batches import fitted_sound, set_epoch

MIN_RECALL = 0.9  # of clips with their own sound that the threshold must leave a source
COUNT = 256  # clips that the threshold is chosen on
BLOCK = 32  # clips whose frames are paired with one another's sounds


@torch.inference_mode()
def choose_threshold(
    encoders: Encoders,
    recipe: Recipe,
    clips: Clips,
    *,
    device: torch.device,
    count: int = COUNT,
) -> float | None:
    """The peak response that best separates frames with their own sound from frames with another.

    Each frame of a block of clips is paired with every sound of the block. The threshold is the
    one with the highest balanced accuracy among those that leave at least `MIN_RECALL` of the
    clips a source (a weak model would lose most of them otherwise), midway between two peaks. No
    labels are used, so some of the other sounds may fit the frame too.

    Args:
        encoders: on `device`; their mode is restored.
        recipe: of the encoders.
        clips: what the encoders were trained on; of endless clips those of the first epoch are
            used, whichever epoch they are at.
        device: where to compute.
        count: clips used, spread evenly over all.

    Returns:
        A cosine; None if fewer than two clips could be read.
    """
    set_epoch(clips, 0)  # training leaves them at an epoch that depends on who loads them
    own, others = [], []
    places = spread_evenly(len(clips), count)
    with evaluation_mode(encoders):
        for start in range(0, len(places), BLOCK):
            frames, sounds = read_block(recipe, clips, places[start : start + BLOCK])
            if len(frames) < 2:
                continue
            spectrograms = recipe.spectrogram(torch.stack(sounds).to(device))
            responses = encoders(torch.stack(frames).to(device), spectrograms)
            peaks = responses.float().amax((2, 3)).cpu()
            true = torch.eye(len(frames), dtype=torch.bool)
            own.append(peaks[true].double().numpy())
            others.append(peaks[~true].double().numpy())
    return best_threshold(np.concatenate(own), np.concatenate(others)) if own else None


def read_block(
    recipe: Recipe, clips: Clips, places: list[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Evaluation frames and sounds of the clips that can be read."""
    frames, sounds = [], []
    for place in places:
        try:
            clip = clips[place]
        except UnreadableClip:
            continue  # training has reported it
        frames.append(evaluation_frame(clip.frame, recipe.frame_size))
        sounds.append(fitted_sound(clip.sound, recipe.spectrogram.seconds))
    return frames, sounds


def best_threshold(
    positives: Float64[np.ndarray, " n"], negatives: Float64[np.ndarray, " m"]
) -> float:
    """The threshold of the highest balanced accuracy with a recall of at least `MIN_RECALL`."""
    values = np.unique(np.concatenate([positives, negatives]))
    thresholds = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2])
    recall = 1 - np.searchsorted(np.sort(positives), thresholds) / len(positives)
    specificity = np.searchsorted(np.sort(negatives), thresholds) / len(negatives)
    accuracy = np.where(recall >= MIN_RECALL, recall + specificity, -1.0)
    return float(thresholds[np.argmax(accuracy)])
