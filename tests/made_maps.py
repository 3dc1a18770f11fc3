"""Response maps as other code would save them: a small loop over clips, without the scoring."""

import numpy as np
import torch

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.scoring.inference import Inference, prepare_frame, spectrograms_of
from hearsight.scoring.protocols import Protocol


@torch.no_grad()
def dumped_maps(model: Inference, clips: Clips, protocol: Protocol) -> dict[str, np.ndarray]:
    """The map of each clip that can be read, one clip at a time."""
    model.encoders.eval()
    found = {}
    for index, id in enumerate(clips.ids):
        try:
            clip = clips[index]
        except UnreadableClip:
            continue
        frame = prepare_frame(clip.frame, model.recipe.frame_size, protocol.frame)
        heard = spectrograms_of(model.recipe.spectrogram, [clip.sound], model.device)
        found[id] = model.encoders(frame[None], heard)[0, 0].numpy()
    return found
