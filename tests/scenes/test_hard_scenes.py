"""Hard scenes: what is true of them, and that each hardness does what it says."""

from dataclasses import replace

import numpy as np
import pytest
from made_packs import LABELS, flat_cutout, make_pack

from hearsight.clips.truth import box_of
from hearsight.datasets.open import is_composed, open_clips
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.scenes.hard_scenes import SMALL, Hardness, HardScenes
from hearsight.scenes.pack import Cutout, Pack
from hearsight.scenes.scenes import Scenes
from hearsight.scenes.sound_bank import CUTOFF

EASY = Hardness(duets=0.0, twins=0.0, small=0.0, alike=0.0, mutes=0.0)


@pytest.fixture(scope="module")
def pack() -> Pack:
    made = make_pack({label: (30 * at, 200, 40) for at, label in enumerate(LABELS)})
    return replace(
        made,
        mutes=(Cutout(id="cup", label="still", pixels=flat_cutout((1, 2, 3))),),
        groups=(frozenset({"cow", "dog"}),),
        ambiguous=(frozenset({"bell", "drum"}),),
    )


def class_of(cutout: str) -> str:
    return cutout.removeprefix("cutout ")


def test_every_scene_is_the_same_each_time(pack: Pack) -> None:
    one, twin = (HardScenes(pack, 8, size=64, seed=3, seconds=0.5) for _ in range(2))
    for index in reversed(range(8)):
        first, second = one[index], twin[index]
        assert (first.frame == second.frame).all()
        assert (first.sound == second.sound).all()
        assert (first.mask == second.mask).all()
        assert (one.sound(index) == first.sound).all()
    assert one.ids[0] == "hard-made-train-3-0000000"
    endless = HardScenes(pack, 2, size=64, seconds=0.5, endless=True)
    before = endless[1].frame
    endless.set_epoch(1)
    assert (endless[1].frame != before).any()


def test_the_truth_is_every_object_of_a_sounding_class(pack: Pack) -> None:
    scenes = HardScenes(pack, 200, size=64, seconds=0.2, hardness=Hardness(duets=0.5, twins=0.5))
    seen = set()
    for index in range(200):
        cast, clip = scenes.cast(index), scenes[index]
        sounding = [class_of(id) for id in cast.ids[: cast.sources]]
        silent = [class_of(id) for id in cast.ids[cast.sources :]]
        assert set(sounding) == set(cast.labels)
        assert not set(silent) & set(sounding)
        assert clip.label == " and ".join(cast.labels)
        assert clip.boxes is not None
        assert len(clip.boxes) == cast.sources == len(sounding)
        heard = {scenes.pack.recordings[number].label for number in cast.recordings}
        assert heard == set(sounding)
        assert len(cast.recordings) in (len(cast.labels), len(cast.labels) + 1)
        assert clip.mask is not None
        xs = [(box[0], box[1]) for box in clip.boxes] + [(box[2], box[3]) for box in clip.boxes]
        whole = (min(x for x, _ in xs), min(y for _, y in xs), max(x for x, _ in xs))
        assert box_of(clip.mask)[:3] == whole
        seen.add((len(cast.labels), cast.sources, len(cast.recordings)))
    assert seen == {(1, 1, 1), (1, 2, 1), (1, 2, 2), (2, 2, 2), (2, 3, 2), (2, 3, 3)}


def test_the_mask_is_where_a_source_makes_up_half_of_the_pixel() -> None:
    """Recoloured from black to white, sources change each pixel by their share in it."""
    greys = dict.fromkeys(LABELS, (90, 120, 60))
    hardness = Hardness(duets=0.0, twins=1.0, small=0.5, alike=0.0, mutes=0.0)
    for label in LABELS:
        dark, bright = (
            HardScenes(
                make_pack(greys | {label: colour}), 24, size=64, seconds=0.1, hardness=hardness
            )
            for colour in ((0, 0, 0), (255, 255, 255))
        )
        for index in (i for i in range(24) if dark.cast(i).labels == (label,)):
            one, other = dark[index], bright[index]
            assert one.mask is not None
            change = (other.frame.astype(int) - one.frame).max(2)
            strong = change > 0.6 * change.max()  # two twins may be lit differently
            assert (one.mask | ~strong).mean() > 0.985
            assert (change[one.mask] > 0).all()


def test_without_hardness_the_source_is_that_of_a_plain_scene(pack: Pack) -> None:
    plain = Scenes(replace(pack, ambiguous=()), 30, size=64, seconds=0.2)
    hard = HardScenes(
        replace(pack, ambiguous=()), 30, size=64, seconds=0.2, hardness=EASY, silent=(1, 2)
    )
    for index in range(30):
        cast = hard.cast(index)
        assert cast.sources == len(cast.labels) == len(cast.recordings) == 1
        assert cast.areas == ()
        assert cast.ids[0] == f"cutout {cast.labels[0]}"
        assert "cup" not in cast.ids
    assert {hard.cast(i).labels[0] for i in range(30)} == set(plain.labels)


def test_each_hardness_has_its_share(pack: Pack) -> None:
    def casts(hardness: Hardness) -> list:
        scenes = HardScenes(pack, 400, size=48, silent=(1, 2), seconds=0.1, hardness=hardness)
        return [scenes.cast(index) for index in range(400)]

    found = casts(replace(EASY, duets=0.5))
    assert 160 < sum(len(cast.labels) == 2 for cast in found) < 240
    found = casts(replace(EASY, twins=0.5))
    assert 160 < sum(cast.sources == 2 for cast in found) < 240
    found = casts(replace(EASY, small=0.5))
    assert 160 < sum(bool(cast.areas) for cast in found) < 240
    assert all(SMALL[0] <= area <= SMALL[1] for cast in found for area in cast.areas)
    found = casts(replace(EASY, mutes=1.0))
    assert all(set(cast.ids[1:]) == {"cup"} for cast in found)
    found = [cast for cast in casts(replace(EASY, alike=1.0)) if cast.labels == ("cow",)]
    assert all(set(cast.ids[1:]) == {"cutout dog"} for cast in found)


def test_small_sources_are_small(pack: Pack) -> None:
    scenes = HardScenes(
        pack, 40, size=128, silent=(0, 0), seconds=0.1, hardness=replace(EASY, small=1.0)
    )
    for index in range(40):
        clip = scenes[index]
        assert clip.boxes is not None
        x0, y0, x1, y1 = clip.boxes[0]
        assert 0.5 * SMALL[0] < (x1 - x0) * (y1 - y0) < 1.3 * SMALL[1]


def test_ambiguous_classes_are_never_together(pack: Pack) -> None:
    for scenes in (
        HardScenes(pack, 300, size=48, silent=(1, 3), seconds=0.1),
        Scenes(pack, 300, size=48, silent=(1, 3), seconds=0.1),
    ):
        for index in range(300):
            if isinstance(scenes, HardScenes):
                cast = scenes.cast(index)
                shown, heard = [class_of(id) for id in cast.ids], set(cast.labels)
            else:
                label, _, _ = scenes._draw_sound(index)
                cutouts, _, _ = scenes._draw_picture(index, label)
                shown = [scenes.pack.cutouts[number].label for number in cutouts]
                heard = {scenes.labels[label]}
            if heard & {"bell", "drum"}:
                assert not {"bell", "drum"} <= set(shown)


def test_frequent_classes_are_frequent(pack: Pack) -> None:
    people = replace(pack, frequent=(("dog", 0.6), ("none", 0.3)))
    scenes = HardScenes(people, 1000, size=32, seconds=0.1, hardness=EASY)
    dogs = sum(scenes.cast(index).labels == ("dog",) for index in range(1000))
    assert 650 < dogs < 750  # 0.6 and a quarter of the rest


def test_the_bandwidth_is_drawn_for_each_scene() -> None:
    generator = np.random.default_rng(0)
    made = make_pack()
    noise = generator.normal(0, 8000, 2 * RATE).astype(np.int16)
    loud = replace(made, recordings=tuple(replace(one, samples=noise) for one in made.recordings))
    scenes = HardScenes(loud, 40, size=32, seconds=1.0)
    edges = []
    for index in range(40):
        power = np.abs(np.fft.rfft(scenes.sound(index))) ** 2
        edges.append(int(np.flatnonzero(power.cumsum() > 0.999 * power.sum())[0]))
    assert 0.85 * CUTOFF < min(edges) < 4500
    assert 6500 < max(edges) < 7800


def test_hard_scenes_are_opened_by_name() -> None:
    assert is_composed("hard:toys")
    clips = open_clips("hard:toys", split="train", size=48, count=5, looks=2, classes=4)
    assert isinstance(clips, HardScenes)
    assert clips.endless
    with pytest.raises(HearsightError, match="Unknown pack 'toy'"):
        open_clips("hard:toy")


def test_a_share_out_of_range_is_refused(pack: Pack) -> None:
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(HearsightError, match="hardness 'twins' is a share from 0 to 1"):
            HardScenes(pack, 2, size=48, hardness=Hardness(twins=share))


def test_a_pack_of_two_classes_runs_out_of_silent_ones() -> None:
    made = make_pack({"cow": (1, 2, 3), "dog": (4, 5, 6)})
    scenes = HardScenes(made, 20, size=48, seconds=0.1, silent=(1, 3), hardness=Hardness(duets=1.0))
    assert all(len(scenes.cast(index).labels) == 2 for index in range(20))
    assert scenes[3].mask is not None
