"""Annotated clips painted: the frame under a model's response map, the true boxes dashed."""

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from hearsight.clips.clip import DecodedClip
from hearsight.localising import painting
from hearsight.localising.moments import to_heatmap
from hearsight.model.device import device_of
from hearsight.model.encoders import Encoders
from hearsight.model.response import matched
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import evaluation_mode, prepare_frame, spectrograms_of


@torch.inference_mode()
def paint_clip(
    encoders: Encoders, recipe: Recipe, clip: DecodedClip, side: int
) -> UInt8[np.ndarray, "height width 3"]:
    """A clip's frame under the response map of its own sound, the true boxes dashed.

    Args:
        encoders: computed with on their device, in evaluation mode.
        recipe: of the encoders.
        clip: with boxes or without.
        side: pixels of the longer side of the picture.
    """
    device = device_of(encoders)
    with evaluation_mode(encoders):
        frame = prepare_frame(clip.frame, recipe.frame_size, "stretch")[None].to(device)
        heard = spectrograms_of(recipe.spectrogram, [clip.sound], device)
        heatmap = to_heatmap(matched(encoders(frame, heard))[0].float().cpu().numpy())
    whole = Image.fromarray(clip.frame)
    scale = side / max(whole.size)
    size = (max(1, round(scale * whole.width)), max(1, round(scale * whole.height)))
    painted = painting.heat(np.asarray(whole.resize(size, Image.Resampling.BICUBIC)), heatmap)
    return painting.true_boxes(painted, clip.boxes or ())
