"""How well a model tells the own sound of moments from sounds of other videos, without labels.

A frame is paired with its own sound and with the sounds of all moments of other videos, as
`localise_video` would hear and see them. Nobody has checked that the source of a moment's own
sound is in its picture, nor that other sounds do not fit it: of real videos 100 % cannot be
expected. Chance is 50 %.

Letters: `m` moments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.clip import DecodedClip
from hearsight.localising.localise import (
    SOUND_SECONDS,
    load_localiser,
    normalised,
    prepare_whole_frame,
    stacked,
)
from hearsight.media.samples import RATE, fit_sound
from hearsight.model.device import device_of
from hearsight.progress import Progress, no_progress, renamed
from hearsight.scoring.bootstrap import DRAWS, draw_counts, interval, mean
from hearsight.scoring.inference import spectrograms_of

Interval = tuple[float, float] | tuple[None, None]
Peaks = Float32[np.ndarray, "m m"]
"""The peak response (a cosine) of the frame of each moment, a row, to the sound of each."""

SOUNDS = 16  # embedded together


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSoundScore:
    """The score of one model; shares from 0 to 1.

    told: of the sounds of other videos, those that a frame fits less than its own sound; the mean
    over moments. found: of moments with their own sound, those with a source at the model's
    threshold. dark: of frames with sounds of other videos, those without one.
    """

    told: float
    interval: Interval  # of `told`, if other videos of the same kind had been held out
    found: float
    dark: float
    threshold: float  # cosine


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models on the same held-out moments."""

    before: OwnSoundScore
    after: OwnSoundScore
    difference: Interval  # of `told`, after less before
    moments: int
    videos: int

    @property
    def is_worse(self) -> bool:
        """Whether the second model tells the own sound from others less well."""
        return self.after.told < self.before.told


@torch.inference_mode()
def own_sound_peaks(
    model: Model, clips: Sequence[DecodedClip], progress: Progress = no_progress
) -> Peaks:
    """The peaks of every frame with every sound, computed where the model is."""
    encoders, recipe, _ = model
    device = device_of(encoders)
    samples = round(min(SOUND_SECONDS, recipe.spectrogram.seconds) * RATE)
    sounds = [fit_sound(clip.sound, samples) for clip in clips]
    parts = [sounds[begin : begin + SOUNDS] for begin in range(0, len(sounds), SOUNDS)]
    spectrograms = (spectrograms_of(recipe.spectrogram, part, device) for part in parts)
    heard = torch.cat([encoders.embed_sounds(part) for part in spectrograms])
    peaks = np.empty((len(clips), len(clips)), np.float32)
    for row, clip in enumerate(clips):
        frame = normalised(stacked([prepare_whole_frame(clip.frame, recipe.frame_size)])).to(device)
        maps = encoders.respond(encoders.embed_frames(frame), heard)[0]
        peaks[row] = maps.amax((1, 2)).float().cpu().numpy()
        progress("comparing", row + 1, len(clips))
    return peaks


def told_apart(peaks: Peaks, others: Bool[np.ndarray, "m m"]) -> Float64[np.ndarray, " m"]:
    """For each frame the share of other sounds that it fits less than its own; ties count half.

    others: which sounds are of other videos than a frame; some for every frame.
    """
    own = np.diag(peaks)[:, None]
    less = (own > peaks) + 0.5 * (own == peaks)
    shares: Float64[np.ndarray, " m"] = (less * others).sum(1) / others.sum(1)
    return shares


def compare_on(
    before: Model,
    after: Model,
    clips: Sequence[DecodedClip],
    videos: Sequence[str],
    *,
    device: str | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare two models on held-out moments.

    Args:
        before: a model.
        after: another one.
        clips: moments.
        videos: the video of each; at least two different ones.
        device: where to compute.
        seed: of the intervals' draws of videos.
        progress: stage "comparing", with "before" or "after" behind it.
    """
    names = np.array(videos)
    others = names[:, None] != names[None]
    peaks, thresholds = [], []
    for model, title in ((before, "before"), (after, "after")):
        localiser = load_localiser(model, threshold=None, maps=False, device=device, batch_size=1)
        peaks.append(own_sound_peaks(model, clips, renamed(progress, after=f", {title}")))
        thresholds.append(localiser.threshold)
    told = [told_apart(one, others) for one in peaks]
    ends = _intervals([*told, told[1] - told[0]], names, seed)
    scores = [
        OwnSoundScore(
            told=float(shares.mean()),
            interval=end,
            found=float((np.diag(one) >= threshold).mean()),
            dark=float((one[others] < threshold).mean()),
            threshold=threshold,
        )
        for shares, end, one, threshold in zip(told, ends, peaks, thresholds, strict=False)
    ]
    return Comparison(
        before=scores[0],
        after=scores[1],
        difference=ends[2],
        moments=len(clips),
        videos=len(set(videos)),
    )


def _intervals(
    values: Iterable[Float64[np.ndarray, " m"]], names: np.ndarray, seed: int
) -> list[Interval]:
    """The interval of the mean of each kind of values, for other draws of the videos."""
    videos = np.unique(names)
    most = max(int((names == video).sum()) for video in videos)
    drawn = list(draw_counts(len(videos), DRAWS, seed))
    found = []
    for one in values:
        table = np.full((len(videos), most), np.nan)
        for row, video in enumerate(videos):
            own = one[names == video]
            table[row, : len(own)] = own
        found.append(interval(np.concatenate([mean(table, counts) for counts in drawn])))
    return found
