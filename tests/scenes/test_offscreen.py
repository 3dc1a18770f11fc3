"""Scenes without a visible source: the same frames, silence or the sound of another class."""

from dataclasses import replace

import numpy as np
import pytest
from made_models import Follower, make_model
from made_packs import cast_of, make_pack

from hearsight.clips.clip import Clips, encoded
from hearsight.datasets.open import open_clips, open_joined
from hearsight.errors import HearsightError
from hearsight.scenes.offscreen import Offscreen
from hearsight.scenes.scenes import Scenes
from hearsight.scoring.protocol_registry import evaluate_protocol


def test_the_pictures_stay_and_the_sounds_do_not() -> None:
    pack = make_pack()
    scenes, others = (
        kind(pack, 12, size=48, silent=(0, 2), seed=2, seconds=0.5) for kind in (Scenes, Offscreen)
    )
    assert isinstance(others, Clips)
    for number in range(12):
        scene, other = scenes[number], others[number]
        assert np.array_equal(scene.frame, other.frame)
        assert np.array_equal(other.sound, others.sound(number))
        assert (other.boxes, other.label) == ((), None)
        assert other.mask is not None
        assert not other.mask.any()
        assert other.id == f"offscreen-{scene.id}"
        if number % 2:
            assert not other.sound.any()
        else:
            seen = {name.removeprefix("cutout ") for name in cast_of(scenes, number)[2]}
            assert other.source.rpartition(" ")[0] not in seen
            assert other.sound.any()
            assert not np.array_equal(other.sound, scene.sound)
    assert encoded(others, 1).decode().boxes == ()


def test_what_may_be_heard_of_something_shown_does_not_sound() -> None:
    pack = replace(make_pack(), ambiguous=(frozenset({"bell", "drum"}),))
    others = Offscreen(pack, 120, size=32, silent=(0, 1), seconds=0.1)
    heard = set()
    for number in range(0, 120, 2):
        seen = {name.removeprefix("cutout ") for name in cast_of(others, number)[2]}
        label = others[number].source.rpartition(" ")[0]
        assert label not in seen
        assert label not in ("bell", "drum") or not seen & {"bell", "drum"}
        heard.add(label)
    assert heard == {"bell", "cow", "dog", "drum"}
    every = replace(pack, ambiguous=(frozenset(pack.labels),))
    alone = Offscreen(every, 2, size=32, silent=(0, 1), seconds=0.1)[0]
    assert not alone.sound.any()


def test_a_class_must_be_left() -> None:
    with pytest.raises(HearsightError, match="4 classes: a picture may show all of them"):
        Offscreen(make_pack(), 1, silent=(0, 3))


def test_they_make_an_extended_test_set_of_composed_scenes() -> None:
    clips = open_joined(["toys", "offscreen:toys"], split="val", size=64, count=4)
    row = evaluate_protocol(make_model(Follower), clips, "slavc-relative-extended").rows[0]
    assert (row["clips"], row["sounding"]) == (8, 4)
    with pytest.raises(HearsightError, match="Unknown pack 'zoo'"):
        open_clips("offscreen:zoo")
