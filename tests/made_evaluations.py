"""Annotated clips, and encoders small enough to score them at once."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.datasets.open import open_clips
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import Inference
from hearsight.scoring.protocol_registry import evaluate_protocol
from hearsight.scoring.results import Results

SMALL = Encoder(widths=(4, 8), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2), stem_kernel=3)


class MadeClips:
    """Clips in memory: a white square on black stands where the box is."""

    def __init__(self, count: int, *, size: tuple[int, int] = (64, 64)) -> None:
        generator = np.random.default_rng(5)
        self.clips: list[DecodedClip | UnreadableClip] = []
        height, width = size
        for i in range(count):
            x0, y0 = generator.integers(0, 5, 2) / 8
            box = (float(x0), float(y0), float(x0) + 0.375, float(y0) + 0.375)
            frame = np.zeros((height, width, 3), np.uint8)
            rows = slice(int(box[1] * height), int(box[3] * height))
            frame[rows, int(box[0] * width) : int(box[2] * width)] = 255
            sound = generator.integers(-9000, 9000, 8_000 + 1_000 * (i % 3), np.int16)
            self.clips.append(
                DecodedClip(id=f"clip {i}", frame=frame, sound=sound, label="noise", boxes=(box,))
            )

    @property
    def ids(self) -> Sequence[str]:
        return [clip.id for clip in self.clips]

    def __len__(self) -> int:
        return len(self.clips)

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


def recipe() -> Recipe:
    front = MelSpectrogram(seconds=0.5, bins=32, fft=256, hop=160)
    return Recipe(frame_size=64, encoder=SMALL, spectrogram=front)


def encoders(kind: type[Encoders] = Encoders) -> Encoders:
    torch.manual_seed(0)
    return kind(SMALL)


@cache
def results_of_every_kind() -> dict[str, Results]:
    """Results of untrained encoders on a few clips, under one protocol of every kind."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hearsight.scenes.toys.INSTANCES", {"train": 1, "val": 1})
        pairs = open_clips("pairs:toys", split="val", size=64, count=8)
    extended = MadeClips(7).change(1, boxes=()).change(4, boxes=())
    model = Inference(encoders=encoders(), recipe=recipe(), device=torch.device("cpu"))
    return {
        protocol: evaluate_protocol(model, extended if "extended" in protocol else pairs, protocol)
        for protocol in (
            *("lvs", "adaptive", "slavc-extended", "masks"),
            *("interactive", "duets", "negatives", "acl"),
            *("avsbench-official", "denseav-prompted", "avatar", "ref-avs"),
        )
    }
