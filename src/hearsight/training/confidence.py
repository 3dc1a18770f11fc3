"""How high a response must peak before it is taken for a source: learned without labels."""

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.media.samples import RATE, fit_sound
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe

KEPT = 0.9  # of clips that show their own source at the least, however alike all responses are
BLOCK = 32  # clips whose frames and sounds are all paired with one another


@torch.inference_mode()
def choose_threshold(
    encoders: Encoders,
    recipe: Recipe,
    clips: Clips,
    *,
    device: torch.device,
    count: int = 256,
) -> float | None:
    """The peak response that best parts frames with their own sound from frames with another's.

    Each frame of a block of clips is paired with every sound of the block; the threshold halves
    the way between the peaks around the cut with the highest balanced accuracy, of those cuts
    that leave at least `KEPT` of the clips a source: a model that hears little would deny most
    otherwise. No labels are used, so some of the other sounds may fit the frame too.

    Args:
        encoders: moved to `device` already; their mode is restored.
        recipe: of the encoders.
        clips: what the encoders were trained on.
        device: where to compute.
        count: clips looked at, spread evenly over all.

    Returns:
        A cosine; None if fewer than two clips could be read.
    """
    training = encoders.training
    encoders.eval()
    own, others = [], []
    places = np.unique(np.linspace(0, len(clips) - 1, min(count, len(clips))).astype(int))
    for start in range(0, len(places), BLOCK):
        frames, sounds = read_block(recipe, clips, places[start : start + BLOCK].tolist())
        if len(frames) < 2:
            continue
        spectrograms = recipe.spectrogram(torch.stack(sounds).to(device))
        peaks = encoders(torch.stack(frames).to(device), spectrograms).float().amax((2, 3)).cpu()
        true = torch.eye(len(frames), dtype=torch.bool)
        own.append(peaks[true].double().numpy())
        others.append(peaks[~true].double().numpy())
    encoders.train(training)
    return best_cut(np.concatenate(own), np.concatenate(others)) if own else None


def read_block(
    recipe: Recipe, clips: Clips, places: list[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Test frames and sounds of the clips that can be read."""
    frames, sounds = [], []
    for place in places:
        try:
            clip = clips[place]
        except UnreadableClip:
            continue  # named already by the training that read it
        frames.append(evaluation_frame(clip.frame, recipe.frame_size))
        samples = fit_sound(clip.sound, round(recipe.spectrogram.seconds * RATE))
        sounds.append(torch.from_numpy(np.ascontiguousarray(samples)))
    return frames, sounds


def best_cut(high: Float64[np.ndarray, " n"], low: Float64[np.ndarray, " m"]) -> float:
    """The value that best parts two samples, with `KEPT` of the high one at it or above.

    Best is the highest mean of the shares on their own sides.
    """
    values = np.unique(np.concatenate([high, low]))
    cuts = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2])
    above = 1 - np.searchsorted(np.sort(high), cuts) / len(high)
    below = np.searchsorted(np.sort(low), cuts) / len(low)
    return float(cuts[np.argmax(np.where(above >= KEPT, above + below, -1.0))])
