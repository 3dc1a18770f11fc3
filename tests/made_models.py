"""Stub encoders that know where to look, and clips made for them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from hearsight.checkpoints.checkpoint import save_checkpoint
from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.scoring.inference import Inference

SMALL = Encoder(widths=(4, 8), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2), stem_kernel=3)
QUIET, LOUD = 300, 9_000  # of the sounds that belong to red and to green
BETWEEN = -30.0  # dB, mean of a spectrogram; silence lies at -100


class Follower(Encoders):
    """Red is quiet, green is loud, silence is nowhere: responses of -1 to 1."""

    def forward(self, frames: Tensor, spectrograms: Tensor) -> Tensor:
        maps = avg_pool2d(frames, 4).tanh()[:, :2]  # of red, of green
        level = spectrograms.mean((1, 2, 3))
        loud = (level > BETWEEN)[None, :, None, None]
        chosen = torch.where(loud, maps[:, 1:], maps[:, :1])
        return torch.where((level < -90)[None, :, None, None], -torch.ones_like(chosen), chosen)


class Deaf(Encoders):
    """Looks at red, whatever sounds."""

    def forward(self, frames: Tensor, spectrograms: Tensor) -> Tensor:
        maps = avg_pool2d(frames, 4).tanh()[:, :1]
        return maps.expand(-1, len(spectrograms), -1, -1)


def make_model(kind: type[Encoders]) -> Inference:
    torch.manual_seed(0)
    front = MelSpectrogram(seconds=0.5, bins=32, fft=256, hop=160)
    return Inference(
        encoders=kind(SMALL),
        recipe=Recipe(frame_size=64, encoder=SMALL, spectrogram=front),
        device=torch.device("cpu"),
        batch_size=3,
    )


class MadeClips:
    """Clips in memory; what is an `UnreadableClip` raises itself."""

    def __init__(self, clips: Sequence[DecodedClip | UnreadableClip]) -> None:
        self.clips = list(clips)
        self.ids = [clip.id for clip in self.clips]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        clip = self.clips[index]
        if isinstance(clip, UnreadableClip):
            raise clip
        return clip

    def sound(self, index: int) -> np.ndarray:
        return self[index].sound

    def change(self, index: int, **fields: object) -> "MadeClips":
        self.clips[index] = replace(self[index], **fields)
        return self


def noise(level: int, seed: int, samples: int = 8_000) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.rint(generator.standard_normal(samples) * level / 3).astype(np.int16)


def make_pairs(count: int) -> MadeClips:
    """Frames with a red and a green square; `_0` is the red's clip, `_1` the green's."""
    clips = []
    for number in range(count):
        frame = np.zeros((64, 64, 3), np.uint8)
        y = 8 * (number % 5)
        frame[y : y + 24, :24, 0] = 255
        frame[32 : 32 + 24, 40:, 1] = 255
        boxes = ((0.0, y / 64, 24 / 64, (y + 24) / 64), (40 / 64, 0.5, 1.0, 56 / 64))
        for member, (label, level) in enumerate((("red", QUIET), ("green", LOUD))):
            x0, y0, x1, y1 = (round(64 * edge) for edge in boxes[member])
            mask = np.zeros((64, 64), np.bool_)
            mask[y0:y1, x0:x1] = True
            clips.append(
                DecodedClip(
                    id=f"scene {number}_{member}",
                    frame=frame,
                    sound=noise(level, 2 * number + member),
                    label=label,
                    boxes=(boxes[member],),
                    mask=mask,
                )
            )
    return MadeClips(clips)


def make_checkpoint(path: Path) -> None:
    recipe = load_recipe("ssl_tie:small_a")
    for change in ("encoder.widths=[8,8,8,8]", "frame_size=48"):
        assign(recipe, change)
    save_checkpoint(path, Encoders(recipe.encoder), recipe)
