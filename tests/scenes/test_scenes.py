"""Composed scenes: the same every time, with truth that is exact."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Bool
from made_packs import LABELS, cast_of, make_pack

from hearsight.clips.clip import Clips
from hearsight.clips.shard_writer import write_store
from hearsight.clips.shards import Store
from hearsight.errors import HearsightError
from hearsight.scenes.pack import Pack, Recording
from hearsight.scenes.scenes import Scenes, load_pack, open_scenes


@pytest.fixture(scope="module")
def pack() -> Pack:
    return make_pack()


@pytest.fixture(scope="module")
def toys() -> Pack:
    return load_pack("toys", split="val")


def digest(scenes: Scenes, index: int) -> str:
    clip = scenes[index]
    assert clip.mask is not None
    parts = (clip.frame.tobytes(), clip.sound.tobytes(), clip.mask.tobytes(), repr(clip.boxes))
    return hashlib.sha256(
        b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    ).hexdigest()


def mask_of(scenes: Scenes, index: int) -> Bool[np.ndarray, "height width"]:
    mask = scenes[index].mask
    assert mask is not None
    return mask


def box_areas(scenes: Scenes) -> list[float]:
    boxes = [(scenes[index].boxes or ())[0] for index in range(len(scenes))]
    return [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]


def test_a_seed_gives_the_same_bytes_in_any_order_and_process(toys: Pack) -> None:
    one, twin = (Scenes(toys, 6, size=64, seed=3) for _ in range(2))
    other = pickle.loads(pickle.dumps(twin))
    forward = [digest(one, index) for index in range(6)]
    backward = [digest(other, index) for index in reversed(range(6))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 6


def test_seeds_and_epochs_give_other_scenes(pack: Pack) -> None:
    still, endless = Scenes(pack, 3, size=48), Scenes(pack, 3, size=48, endless=True)
    first = digest(still, 1)
    assert digest(endless, 1) == first
    assert digest(Scenes(pack, 3, size=48, seed=1), 1) != first
    for scenes in (still, endless):
        scenes.set_epoch(5)
    assert digest(still, 1) == first
    assert digest(endless, 1) != first
    assert endless.ids == still.ids
    endless.set_epoch(0)
    assert digest(endless, 1) == first


def test_a_shorter_run_is_the_beginning_of_a_longer_one(pack: Pack) -> None:
    assert digest(Scenes(pack, 2, size=48), 1) == digest(Scenes(pack, 20, size=48), 1)


def test_scenes_are_clips(pack: Pack) -> None:
    scenes = Scenes(pack, 5, size=48, seconds=1.5)
    assert isinstance(scenes, Clips)
    assert len(scenes) == len(set(scenes.ids)) == 5
    clip = scenes[2]
    assert clip.frame.shape == (48, 48, 3)
    assert clip.frame.flags.writeable
    assert clip.sound.shape == (24_000,)
    assert clip.id == scenes.ids[2] == scenes[-3].id
    with pytest.raises(IndexError):
        scenes[5]


def test_the_sound_alone_is_that_of_the_scene(pack: Pack) -> None:
    scenes = Scenes(pack, 5, size=48)
    for index in range(5):
        assert (scenes.sound(index) == scenes[index].sound).all()


def test_one_object_sounds_and_the_others_are_of_other_classes(pack: Pack) -> None:
    scenes = Scenes(pack, 200, size=48, silent=(1, 3))
    casts = [cast_of(scenes, index) for index in range(200)]
    assert {len(cutouts) for _, _, cutouts in casts} == {2, 3, 4}
    assert {label for label, _, _ in casts} == set(LABELS)
    for label, recording, cutouts in casts:
        assert cutouts[0] == f"cutout {label}"
        assert cutouts[0] not in cutouts[1:]
        assert recording.startswith(label)
    clip = scenes[7]
    label, recording, cutouts = casts[7]
    assert clip.label == label
    assert clip.source == f"{cutouts[0]} {recording}"


def test_the_mask_is_where_the_source_makes_up_half_of_the_pixel() -> None:
    """Recoloured from black to white, a source changes each pixel by its share in it."""
    greys = dict.fromkeys(LABELS, (90, 120, 60))
    for label in LABELS:
        dark, bright = (
            Scenes(make_pack(greys | {label: colour}), 24, size=64, silent=(1, 3))
            for colour in ((0, 0, 0), (255, 255, 255))
        )
        for index in (i for i in range(24) if cast_of(dark, i)[0] == label):
            change = bright[index].frame.astype(int) - dark[index].frame
            change = change.max(2)
            half = change.max() / 2
            mask = mask_of(dark, index)
            assert change[mask].min() >= half - 3
            assert change[~mask].max(initial=0) <= half + 3
            assert (mask == mask_of(bright, index)).all()


def test_the_box_bounds_the_mask(toys: Pack) -> None:
    scenes = Scenes(toys, 30, size=64)
    for index in range(30):
        mask = mask_of(scenes, index)
        rows, columns = np.nonzero(mask)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert scenes[index].boxes == (tuple(float(edge) / 64 for edge in box),)


def test_box_areas_follow_vgg_ss(toys: Pack) -> None:
    areas = box_areas(Scenes(toys, 600, size=64))
    tenth, half, ninth = np.percentile(areas, [10, 50, 90])
    assert tenth == pytest.approx(0.05, abs=0.012)
    assert half == pytest.approx(0.25, abs=0.03)
    assert ninth == pytest.approx(0.68, abs=0.05)


def test_every_class_of_the_menagerie_keeps_the_areas(shared: Callable[[str], Path]) -> None:
    folder = shared("menagerie")
    lines = (folder / "pack.csv").read_text().splitlines()
    everyone = sorted({line.split(",")[2] for line in lines if line.startswith("cutout,")})
    whole = load_pack("menagerie", folder, split="train", classes=everyone)
    assert len(whole.labels) == 70
    areas = box_areas(Scenes(whole, 600, size=64))
    assert min(areas) > 0
    tenth, half, ninth = np.percentile(areas, [10, 50, 90])
    assert tenth == pytest.approx(0.05, abs=0.012)
    assert half == pytest.approx(0.25, abs=0.03)
    assert ninth == pytest.approx(0.68, abs=0.05)


def test_splits_share_nothing(shared: Callable[[str], Path]) -> None:
    for name, folder in (("toys", None), ("menagerie", shared("menagerie"))):
        train, val = (load_pack(name, folder, split=split, classes=8) for split in ("train", "val"))
        assert train.labels == val.labels
        assert not {one.id for one in train.cutouts} & {one.id for one in val.cutouts}
        pictures, sounds, backgrounds = (
            [{one.tobytes() for one in part} for part in parts]
            for parts in (
                [[one.pixels for one in pack.cutouts] for pack in (train, val)],
                [[one.samples for one in pack.recordings] for pack in (train, val)],
                [pack.backgrounds for pack in (train, val)],
            )
        )
        for one, other in (pictures, sounds, backgrounds):
            assert not one & other


def test_no_class_is_told_by_its_bandwidth() -> None:
    """Recordings of white noise and of a low hum leave the same nothing above the cutoff."""
    generator = np.random.default_rng(0)
    pack = make_pack()
    hissing = generator.normal(0, 6000, 40_000).astype(np.int16)
    recordings = tuple(
        Recording(
            id=one.id, label=one.label, samples=hissing if one.label == "cow" else one.samples
        )
        for one in pack.recordings
    )
    pack = Pack(
        name="made",
        split="train",
        cutouts=pack.cutouts,
        recordings=recordings,
        backgrounds=pack.backgrounds,
    )
    scenes = Scenes(pack, 40, size=32)
    for index in range(40):
        sound = scenes.sound(index).astype(float)
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / 16_000)
        assert power[hertz > 3500].sum() < 1e-4 * power.sum()
        assert power[(hertz > 2800) & (hertz < 3000)].mean() > 100 * power[hertz > 3500].mean()


def test_scenes_survive_being_stored(pack: Pack, tmp_path: Path) -> None:
    scenes = Scenes(pack, 3, size=48)
    write_store(scenes, tmp_path / "store")
    stored = Store(tmp_path / "store")[1]
    scene = scenes[1]
    assert stored.id == scene.id
    assert stored.label == scene.label
    assert stored.boxes == scene.boxes
    assert (stored.sound == scene.sound).all()
    assert stored.mask is not None
    assert (stored.mask == scene.mask).all()
    change = np.abs(stored.frame.astype(int) - scene.frame)  # JPEG of noise: worst of all
    assert change.mean() < 30


def test_what_cannot_be_composed_is_refused(pack: Pack) -> None:
    lone = make_pack({"cow": (1, 2, 3)})
    assert Scenes(lone, 1, size=32, silent=(0, 0))[0].label == "cow"
    with pytest.raises(HearsightError, match="one class only"):
        Scenes(lone, 1, size=32)
    for wrong, said in (
        ({"size": 8}, "32 to 1024 pixels, not 8"),
        ({"size": 100_000}, "32 to 1024 pixels, not 100000"),
        ({"silent": (2, 1)}, "not 2 to 1"),
        ({"silent": (-1, 0)}, "not -1 to 0"),
        ({"seconds": 0.0}, "not 0.0"),
        ({"seconds": float("nan")}, "not nan"),
        ({"seconds": 1e9}, "up to 3600 seconds"),
        ({"seed": 2**63}, "below 2\\^63"),
        ({"seed": -1}, "below 2\\^63, not -1"),
        ({"looks": 10**9}, "1 to 100 looks"),
    ):
        with pytest.raises(HearsightError, match=said):
            Scenes(pack, 1, **wrong)  # type: ignore[arg-type]
    for count in (0, -1, 10**12):
        with pytest.raises(HearsightError, match=f"not {count:,}"):
            Scenes(pack, count)


def test_an_incomplete_pack_is_refused(pack: Pack) -> None:
    parts = {
        "cutouts": pack.cutouts,
        "recordings": pack.recordings,
        "backgrounds": pack.backgrounds,
    }
    for change, complaint in (
        ({"backgrounds": ()}, "no backgrounds"),
        ({"cutouts": pack.cutouts[1:]}, "no cut-out of 'bell'"),
        ({"recordings": pack.recordings[2:]}, "no recording of 'bell'"),
        ({"cutouts": (), "recordings": ()}, "no classes"),
    ):
        with pytest.raises(HearsightError, match=complaint):
            Pack(name="made", split="train", **(parts | change))  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(HearsightError, match=r"Unknown pack 'toy'.*'toys'"):
        open_scenes("toy")
    with pytest.raises(HearsightError, match="'toys' has the splits train and val"):
        load_pack("toys", split="test")
    with pytest.raises(HearsightError, match=r"no class 'strar'.*'star'"):
        open_scenes("toys", classes=["strar"])
    with pytest.raises(HearsightError, match="12 classes, not 13"):
        open_scenes("toys", classes=13)
