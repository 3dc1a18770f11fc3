"""The toys: shape and sound tell the class, colour or pitch alone do not."""

import numpy as np
import pytest
from jaxtyping import Float64

from hearsight.clips.truth import bounds
from hearsight.media.samples import RATE
from hearsight.scenes.pack import Pack
from hearsight.scenes.toys import BACKGROUNDS, INSTANCES, SHAPES, make_toys


@pytest.fixture(scope="module")
def packs() -> tuple[Pack, Pack]:
    return make_toys(split="train"), make_toys(split="val")


def test_there_are_twelve_classes_with_many_instances(packs: tuple[Pack, Pack]) -> None:
    for pack in packs:
        assert pack.labels == tuple(sorted(SHAPES))
        assert len(pack.labels) == 12
        assert len(pack.cutouts) == len(pack.recordings) == 12 * INSTANCES[pack.split]
        assert len(pack.backgrounds) == BACKGROUNDS[pack.split]
        for cutout in pack.cutouts:
            height, width, _ = cutout.pixels.shape
            assert bounds(cutout.pixels[..., 3] >= 128) == (0, 0, width, height)
            assert min(height, width) > 60
        for recording in pack.recordings:
            assert 2 * RATE <= len(recording.samples) <= 3 * RATE
            assert np.abs(recording.samples).max() == 28_000


def test_toys_are_the_same_every_time(packs: tuple[Pack, Pack]) -> None:
    again = make_toys(split="val", classes=["star", "gear"])
    assert again.labels == ("gear", "star")
    kept = {one.id: one for one in packs[1].cutouts}
    for cutout in again.cutouts:
        assert (cutout.pixels == kept[cutout.id].pixels).all()
    sounds = {one.id: one for one in packs[1].recordings}
    for recording in again.recordings:
        assert (recording.samples == sounds[recording.id].samples).all()
    assert (again.backgrounds[3] == packs[1].backgrounds[3]).all()


def nearest_class(
    features: tuple[Float64[np.ndarray, "train size"], Float64[np.ndarray, "val size"]],
    packs: tuple[Pack, Pack],
    part: str,
) -> float:
    """The share of val whose nearest neighbour in train has its class."""
    labels = [[one.label for one in getattr(pack, part)] for pack in packs]
    far = ((features[1][:, None] - features[0][None]) ** 2).sum(2)
    found = [labels[0][at] for at in far.argmin(1)]
    return float(np.mean([a == b for a, b in zip(found, labels[1], strict=True)]))


def test_colour_does_not_tell_the_class(packs: tuple[Pack, Pack]) -> None:
    train, val = (
        np.array([c.pixels[c.pixels[..., 3] > 128][:, :3].mean(0) for c in pack.cutouts])
        for pack in packs
    )
    assert nearest_class((train, val), packs, "cutouts") < 0.25


def test_shape_tells_the_class(packs: tuple[Pack, Pack]) -> None:
    def outline(pixels: np.ndarray) -> Float64[np.ndarray, " cells"]:
        rows, columns = (np.linspace(0, n - 1, 16).astype(int) for n in pixels.shape[:2])
        return (pixels[np.ix_(rows, columns)][..., 3] / 255.0).ravel()

    train, val = (np.array([outline(c.pixels) for c in pack.cutouts]) for pack in packs)
    assert nearest_class((train, val), packs, "cutouts") > 0.7


def test_pitch_alone_does_not_tell_the_class_but_the_voice_does(packs: tuple[Pack, Pack]) -> None:
    def voice(samples: np.ndarray) -> Float64[np.ndarray, " bins"]:
        windows = samples[: 2 * RATE].reshape(-1, 400) * np.hanning(400)
        power = np.log(np.abs(np.fft.rfft(windows))[:, :90] + 100)
        return np.concatenate([power.mean(0), power.std(0), np.abs(np.diff(power, axis=0)).mean(0)])

    def peak(samples: np.ndarray) -> Float64[np.ndarray, " one"]:
        return np.log([1.0 + np.abs(np.fft.rfft(samples[: 2 * RATE])).argmax()])

    heard = tuple(np.array([voice(r.samples) for r in pack.recordings]) for pack in packs)
    pitch = tuple(np.array([peak(r.samples) for r in pack.recordings]) for pack in packs)
    assert nearest_class((heard[0], heard[1]), packs, "recordings") > 0.8
    assert nearest_class((pitch[0], pitch[1]), packs, "recordings") < 0.6
