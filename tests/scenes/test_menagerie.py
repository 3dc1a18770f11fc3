"""The menagerie's folder: which file belongs to which split, and damaged folders."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_packs import BACKGROUNDS, rows_of, write_pack

from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.scenes.menagerie import (
    DEMO_CLASSES,
    TRAIN_SHARE,
    read_menagerie,
)
from hearsight.scenes.pack import Pack
from hearsight.scenes.pack_folder import default_folder, trim_silence
from hearsight.scenes.scenes import Scenes, load_pack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        *rows_of("bear", "tv", "tv"),  # both held out
        *rows_of("camel", "ttt", "tt"),  # neither: the last cut-out, the end of each sound
        *rows_of("owl", "t", "tv"),  # no cut-out can be spared
        *rows_of("whale", "tv", "t"),  # no sound held out
        *BACKGROUNDS,
    ]
    return write_pack(tmp_path_factory.mktemp("pack"), rows)


def ids(pack: Pack, label: str) -> tuple[list[str], list[str]]:
    """Cut-outs and recordings of a class."""
    return (
        [one.id for one in pack.cutouts if one.label == label],
        [one.id for one in pack.recordings if one.label == label],
    )


def test_the_table_is_obeyed_and_completed(folder: Path) -> None:
    train, val = (read_menagerie(folder, split=split) for split in ("train", "val"))
    assert train.labels == val.labels == ("bear", "camel", "whale")
    assert ids(train, "bear") == (["bear0.webp"], ["bear0.opus"])
    assert ids(val, "bear") == (["bear1.webp"], ["bear1.opus"])
    assert ids(train, "camel") == (["camel0.webp", "camel1.webp"], ["camel0.opus", "camel1.opus"])
    assert ids(val, "camel") == (["camel2.webp"], ["camel0.opus", "camel1.opus"])
    assert ids(val, "whale") == (["whale1.webp"], ["whale0.opus"])
    assert len(train.backgrounds) == len(val.backgrounds) == 1
    assert (train.backgrounds[0] != val.backgrounds[0]).any()


def test_val_plays_what_train_never_hears(folder: Path) -> None:
    whole = trim_silence(soundfile.read(folder / "whale0.opus", dtype="int16")[0])
    train, val = (read_menagerie(folder, split=split) for split in ("train", "val"))
    first, last = (
        next(one.samples for one in pack.recordings if one.label == "whale")
        for pack in (train, val)
    )
    assert len(first) == pytest.approx(TRAIN_SHARE * len(whole), abs=1)
    assert (np.concatenate([first, last]) == whole).all()


def test_a_class_without_val_can_be_trained_on_but_not_scored(folder: Path) -> None:
    owls = read_menagerie(folder, split="train", classes=["owl", "bear"])
    assert owls.labels == ("bear", "owl")
    with pytest.raises(HearsightError, match="no class 'owl' here"):
        read_menagerie(folder, split="val", classes=["owl"])


def test_so_many_classes(folder: Path) -> None:
    assert read_menagerie(folder, split="val", classes=2).labels == ("bear", "camel")
    assert read_menagerie(folder, split="val", classes=3).labels == ("bear", "camel", "whale")
    for wrong in (0, 4):
        with pytest.raises(HearsightError, match=f"has 3 classes with both splits, not {wrong}"):
            read_menagerie(folder, split="val", classes=wrong)


def test_silence_at_the_ends_goes() -> None:
    sound = np.array([0, 5, 0, 900, 0, -1000, 3, 10], np.int16)
    assert trim_silence(sound).tolist() == [900, 0, -1000]
    assert len(trim_silence(np.zeros(100, np.int16))) == 0


def test_the_usual_place_is_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder("menagerie") == tmp_path / "hearsight" / "menagerie"
    with pytest.raises(HearsightError, match="hearsight data menagerie"):
        load_pack("menagerie", split="train")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder("menagerie") == Path.home() / ".cache" / "hearsight" / "menagerie"


GOOD = [*rows_of("bear", "tv", "tv"), *rows_of("camel", "tv", "tv"), *BACKGROUNDS]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("good") / "pack", GOOD)


@pytest.fixture
def copied(good: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(good, tmp_path / "pack")


def rewrite(old: str, new: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        table = folder / "pack.csv"
        table.write_text(table.read_text().replace(old, new))

    return damage


def write_other_rate(folder: Path) -> None:
    soundfile.write(folder / "bear0.opus", np.zeros(4800), 3 * RATE, format="OGG", subtype="OPUS")


def test_a_sound_above_full_scale_is_clipped_and_keeps_its_sign(copied: Path) -> None:
    loud = 1.6 * np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)
    soundfile.write(copied / "bear0.opus", loud, RATE, format="OGG", subtype="OPUS")
    as_floats, _ = soundfile.read(copied / "bear0.opus")
    assert np.abs(as_floats).max() > 1.2
    sound = read_menagerie(copied, split="train").recordings[0].samples
    assert np.abs(sound.astype(int)).max() >= 32_767
    wanted = as_floats[: len(sound)]
    heard = np.abs(wanted) > 0.01
    assert (sound[heard] * wanted[heard] > 0).all()


def write_silence(folder: Path) -> None:
    soundfile.write(folder / "bear0.opus", np.zeros(4800), RATE, format="WAV")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "pack.csv").unlink(), "There is no menagerie in"),
        (lambda folder: (folder / "pack.csv").write_bytes(b"\xff\xfe\x00"), "not a text file"),
        (rewrite("kind,", "sort,"), "it needs the columns kind, file, class, split"),
        (rewrite("cutout,", "statue,"), "line 2: a row needs a kind"),
        (rewrite("train", "test"), "line 2: a row needs a kind"),
        (rewrite("bear0.webp", "../bear0.webp"), "line 2: '../bear0.webp' lies outside"),
        (rewrite("bear0.webp", "/etc/passwd"), "line 2: '/etc/passwd' lies outside"),
        (rewrite("back0.webp,,train", "back0.webp,,val"), "has no backgrounds for 'train'"),
        (lambda folder: (folder / "bear0.webp").unlink(), "Cannot read the picture .*bear0.webp"),
        (lambda folder: (folder / "bear0.webp").write_bytes(b"RIFF"), "Cannot read the picture"),
        (lambda folder: (folder / "bear0.opus").unlink(), "Cannot read the sound .*bear0.opus"),
        (lambda folder: (folder / "bear0.opus").write_bytes(b""), "Cannot read the sound"),
        (write_other_rate, "has 48000 samples per second, not 16000"),
        (write_silence, "too short, or silent"),
    ],
)
def test_a_folder_that_is_no_pack_is_refused(
    damage: Callable[[Path], object], complaint: str, copied: Path
) -> None:
    damage(copied)
    with pytest.raises(HearsightError, match=complaint) as caught:
        read_menagerie(copied, split="train", classes=["bear", "camel"])
    assert "\n" not in str(caught.value)


def test_a_table_cut_short_is_refused(copied: Path) -> None:
    rewrite("camel0.webp,camel,train", "camel0.webp")(copied)
    with pytest.raises(HearsightError, match="a row needs a kind"):
        read_menagerie(copied, split="train")


def test_the_real_pack(shared: Callable[[str], Path]) -> None:
    folder = shared("menagerie")
    train, val = (read_menagerie(folder, split=split, classes=12) for split in ("train", "val"))
    assert train.labels == val.labels == DEMO_CLASSES
    assert ids(val, "car")[0] == ["cutouts/car_train3.webp"]
    clip = Scenes(val, 3, size=96)[0]
    assert clip.label in DEMO_CLASSES
    everything = read_menagerie(folder, split="train")
    assert len(everything.labels) >= 20
    assert set(DEMO_CLASSES) <= set(everything.labels)
