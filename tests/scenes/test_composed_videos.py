"""Composed videos: the truth is where the object is, and silence is silent."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from made_packs import LABELS, make_pack

from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.scenes.composed_videos import ComposedVideo, compose_video
from hearsight.scenes.pack import Pack


@pytest.fixture(scope="module")
def pack() -> Pack:
    return make_pack()


@pytest.fixture(scope="module")
def video(pack: Pack) -> ComposedVideo:
    return compose_video(pack, seconds=20, size=(96, 64), frame_rate=Fraction(5), seed=4)


def test_a_seed_gives_the_same_video(pack: Pack, video: ComposedVideo) -> None:
    again = compose_video(pack, seconds=20, size=(96, 64), frame_rate=Fraction(5), seed=4)
    assert (again.sound == video.sound).all()
    assert again.truth == video.truth
    for one, other in zip(again.frames(), video.frames(), strict=True):
        assert (one == other).all()
    assert compose_video(pack, seconds=20, size=(96, 64), seed=5).truth != video.truth


def test_frames_and_samples_have_the_length(pack: Pack, video: ComposedVideo) -> None:
    frames = list(video.frames())
    assert len(frames) == 100
    assert {frame.shape for frame in frames} == {(64, 96, 3)}
    assert len(video.sound) == 20 * RATE
    film = compose_video(pack, seconds=2, size=(64, 64), frame_rate=Fraction(30_000, 1001))
    assert len(list(film.frames())) == 60


def test_objects_move_and_take_turns(video: ComposedVideo) -> None:
    assert len(video.truth) == 20
    sounding = [truth for truth in video.truth if truth.label is not None]
    assert {truth.label for truth in sounding} == {one.label for one in video.objects}
    assert {truth.label for truth in sounding} <= set(LABELS)
    assert len({truth.box for truth in sounding}) > len(sounding) / 2
    frames = list(video.frames())
    assert all((one != other).any() for one, other in pairwise(frames))
    for second, truth in enumerate(video.truth):
        assert truth == video.truth_at(second + 0.5)


def test_silence_is_true_silence(pack: Pack) -> None:
    video = compose_video(pack, seconds=30, size=(64, 64), silence=1.0, seed=1)
    assert None in video.turns
    for second, turn in enumerate(video.turns):
        sound = video.sound[second * RATE : (second + 1) * RATE] / 32767
        level = float(np.sqrt(np.mean(sound**2)))
        truth = video.truth[second]
        assert (truth.label is None) == (truth.box is None) == (turn is None)
        assert level < 0.002 if turn is None else level > 0.03
    without = compose_video(pack, seconds=30, size=(64, 64), silence=0.0, seed=1)
    assert None not in without.turns


def test_the_box_is_where_the_object_is_in_the_frame(pack: Pack) -> None:
    """Recoloured, an object changes the frame inside its box only, and up to its borders."""
    greys = dict.fromkeys(LABELS, (90, 120, 60))

    def film(pack: Pack) -> ComposedVideo:
        return compose_video(
            pack, seconds=9, size=(96, 64), frame_rate=Fraction(4), silence=0.0, seed=2
        )

    plain = film(make_pack(greys))
    frames = list(plain.frames())
    for label in {one.label for one in plain.objects}:
        changed = list(film(make_pack(greys | {label: (255, 0, 255)})).frames())
        for truth in plain.truth:
            if truth.label != label or truth.box is None:
                continue
            at = int(truth.time * 4)
            change = np.abs(changed[at].astype(int) - frames[at]).max(2)
            rows, columns = np.nonzero(change >= change.max() * 0.5)
            found = (
                columns.min() / 96,
                rows.min() / 64,
                (columns.max() + 1) / 96,
                (rows.max() + 1) / 64,
            )
            assert truth.box == pytest.approx(found, abs=0.02)


def test_videos_that_cannot_be_are_refused(pack: Pack) -> None:
    with pytest.raises(HearsightError, match="4 classes, too few for 5 objects"):
        compose_video(pack, objects=5)
    for wrong in ({"seconds": 0}, {"size": (10, 90)}, {"objects": 0}, {"silence": 2.0}):
        with pytest.raises(HearsightError, match="Cannot compose a video"):
            compose_video(pack, **wrong)  # type: ignore[arg-type]
