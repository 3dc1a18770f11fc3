"""The own sound told from sounds of other videos: definitions as loops, known answers."""

import numpy as np
import pytest
import torch
from made_models import SMALL
from torch import Tensor

from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.clip import DecodedClip
from hearsight.localising.localise import THRESHOLD, load_localiser, prepare_whole_frame
from hearsight.localising.own_sound import compare_on, own_sound_peaks, told_apart
from hearsight.media.samples import RATE
from hearsight.media.sound_windows import SoundWindow
from hearsight.model.encoders import Encoders
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.recipes.recipe import Recipe

RECIPE = Recipe(
    frame_size=64, encoder=SMALL, spectrogram=MelSpectrogram(seconds=0.5, bins=32, fft=256, hop=160)
)
VIDEOS = ["a", "a", "b", "b", "c", "c"]


class Hearer(Encoders):
    """Tells quiet from loud, and a dark frame from a bright one: they belong together."""

    def embed_frames(self, frames: Tensor) -> Tensor:
        bright = (frames.mean((1, 2, 3)) > 0).float()
        return torch.stack([bright, 1 - bright], 1)[..., None, None].expand(-1, -1, 2, 3)

    def embed_sounds(self, spectrograms: Tensor) -> Tensor:
        loud = (spectrograms.mean((1, 2, 3)) > self.between).float()
        return torch.stack([loud, 1 - loud], 1)

    between = -30.0


class Contrary(Hearer):
    """Takes each for the other."""

    def embed_sounds(self, spectrograms: Tensor) -> Tensor:
        return 1 - super().embed_sounds(spectrograms)


class Deaf(Hearer):
    """Sees everywhere, whatever sounds."""

    def embed_sounds(self, spectrograms: Tensor) -> Tensor:
        return torch.ones(len(spectrograms), 2)


def moments() -> list[DecodedClip]:
    """Two of each of three videos; of `a` they are bright and loud, of the others dark."""
    generator = np.random.default_rng(0)
    clips = []
    for number, video in enumerate(VIDEOS):
        level, bright = (9000, 255) if video == "a" else (300, 0)
        noise = np.rint(generator.standard_normal(RATE // 2) * level / 3).astype(np.int16)
        frame = np.full((40, 60, 3), bright, np.uint8)
        clips.append(DecodedClip(id=f"{video}{number}", frame=frame, sound=noise))
    return clips


def model(kind: type[Encoders]) -> Model:
    return Model(kind(SMALL).eval(), RECIPE, {})


def test_the_definition() -> None:
    peaks = np.random.default_rng(1).integers(0, 4, (6, 6)).astype(np.float32)
    others = np.array([[one != other for other in VIDEOS] for one in VIDEOS])
    wanted = []
    for frame in range(6):
        scores = []
        for sound in range(6):
            if VIDEOS[sound] == VIDEOS[frame]:
                continue
            own, other = peaks[frame, frame], peaks[frame, sound]
            scores.append(1.0 if own > other else 0.5 if own == other else 0.0)
        wanted.append(sum(scores) / len(scores))
    np.testing.assert_allclose(told_apart(peaks, others), wanted)


def test_peaks_are_the_confidences_of_localise() -> None:
    torch.manual_seed(0)
    mine, clips = model(Encoders), moments()
    peaks = own_sound_peaks(mine, clips)
    localiser = load_localiser(mine, threshold=-1.0, maps=False, device="cpu", batch_size=1)
    for row, seen in enumerate(clips):
        for column, heard in enumerate(clips):
            samples = heard.sound.astype(np.float32) / 32768
            window = SoundWindow(time=0.0, samples=samples, level=0.0)
            frame = prepare_whole_frame(seen.frame, RECIPE.frame_size)
            moment = localiser([frame], [window])[0].moment
            assert peaks[row, column] == pytest.approx(moment.confidence, abs=1e-5)


def test_known_answers() -> None:
    """A frame of `a` has 4 other sounds, all unlike; of `b` two of `a`, unlike, and two alike."""
    found = compare_on(model(Deaf), model(Hearer), moments(), VIDEOS, device="cpu")
    assert (found.moments, found.videos) == (6, 3)
    assert found.before.told == 0.5
    assert found.after.told == pytest.approx((2 * 1.0 + 4 * (2 + 2 * 0.5) / 4) / 6)
    assert found.after.found == 1.0
    assert found.after.dark == pytest.approx((2 * 4 + 4 * 2) / (6 * 4))
    assert found.after.threshold == THRESHOLD
    assert not found.is_worse
    low, high = found.difference
    assert low is not None
    assert high is not None
    assert 0.25 - 1e-9 <= low <= 0.5 * (5 / 6) <= high <= 0.5 + 1e-9
    assert found.before.interval == (0.5, 0.5)


def test_which_is_worse() -> None:
    clips = moments()
    better = compare_on(model(Hearer), model(Contrary), clips, VIDEOS, device="cpu")
    assert better.is_worse
    assert better.after.told < 0.5 < better.before.told
    same = compare_on(model(Hearer), model(Hearer), clips, VIDEOS, device="cpu")
    assert not same.is_worse
    assert same.difference == (0.0, 0.0)


def test_the_order_of_moments_changes_nothing() -> None:
    order = [3, 0, 5, 1, 4, 2]
    clips = moments()
    one = compare_on(model(Deaf), model(Hearer), clips, VIDEOS, device="cpu")
    mixed = [clips[place] for place in order], [VIDEOS[place] for place in order]
    assert compare_on(model(Deaf), model(Hearer), *mixed, device="cpu").after == one.after
