"""Truths of frames: the union of what sounds, and any clip with a mask as a clip of one frame."""

import numpy as np

from hearsight.clips.frame_truth import FrameTruth, SourceMask, frame_truth, frames_by_clip
from hearsight.clips.selection import JoinedClips
from hearsight.datasets.open import open_clips


def test_the_mask_of_a_frame_is_that_of_every_source_that_sounds() -> None:
    masks = np.eye(3, dtype=np.bool_)[:, None].repeat(2, 1)  # three sources, 2 x 3 pixels each
    sources = tuple(
        SourceMask(name=str(place), mask=mask, sounds=place != 1)
        for place, mask in enumerate(masks)
    )
    truth = FrameTruth(id="a_1", clip="a", number=0, size=(2, 3), sources=sources)
    assert truth.mask().tolist() == [[True, False, True]] * 2
    assert truth.truth().pixels == 224 * (75 + 75)
    nothing = FrameTruth(id="a_2", clip="a", number=1, size=(2, 3), sources=(), null=True)
    assert not nothing.mask().any()


def test_a_clip_of_another_source_is_the_only_frame_of_its_own_clip() -> None:
    scenes = open_clips("toys", split="val", count=2, size=64)
    joined = JoinedClips([scenes])
    for clips in (scenes, joined):
        assert frames_by_clip(clips) == {id: [index] for index, id in enumerate(scenes.ids)}
        truth, clip = frame_truth(clips, 1), scenes[1]
        assert truth is not None
        assert clip.mask is not None
        assert np.array_equal(truth.mask(), clip.mask)
        assert (truth.id, truth.clip, truth.size) == (clip.id, clip.id, (64, 64))
