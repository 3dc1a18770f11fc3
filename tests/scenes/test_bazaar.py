"""The bazaar's folder and its catalogue: splits that share nothing, groups that name classes."""

import itertools
from collections import defaultdict
from pathlib import Path

import pytest
from made_packs import Row, rows_of, write_pack

from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.scenes import bazaar
from hearsight.scenes.bazaar import STILL, read_bazaar
from hearsight.scenes.menagerie import split_files
from hearsight.scenes.pack_builder import CatalogueEntry, read_catalogue
from hearsight.scenes.pack_folder import PackRow, default_folder, find_complete
from hearsight.scenes.scenes import load_pack

ROWS: list[Row] = [
    *rows_of("person", "tve", "tve"),
    *rows_of("cow", "te", "te"),
    *rows_of("bull", "t", "t"),
    *rows_of("owl", "t", ""),
    *rows_of(STILL, "tv", ""),
    ("background", "back0.webp", "", "train"),
    ("background", "back1.webp", "", "val"),
    ("background", "back2.webp", "", "test"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("bazaar"), ROWS)


def test_a_class_is_in_the_splits_where_it_is_complete(folder: Path) -> None:
    train, val, test = (read_bazaar(folder, split=split) for split in bazaar.SPLITS)
    assert train.labels == ("bull", "cow", "person")
    assert val.labels == ("person",)
    assert test.labels == ("cow", "person")
    assert [one.id for one in train.mutes] == ["still0.webp"]
    assert [one.id for one in val.mutes] == ["still1.webp"]
    assert test.mutes == ()
    assert [one.id for one in test.recordings] == ["person2.opus", "cow1.opus"]
    assert frozenset({"cow", "bull"}) in train.ambiguous


def test_classes_are_chosen_by_name_or_number(folder: Path) -> None:
    assert load_pack("bazaar", folder, split="test", classes=1).labels == ("person",)
    assert load_pack("bazaar", folder, split="train", classes=["cow"]).labels == ("cow",)
    with pytest.raises(HearsightError, match="has 1 classes in all splits, not 2"):
        read_bazaar(folder, split="val", classes=2)
    with pytest.raises(HearsightError, match=r"no class 'cows' for test.*'cow'"):
        read_bazaar(folder, split="test", classes=["cows"])
    with pytest.raises(HearsightError, match="no class 'still'"):
        read_bazaar(folder, split="train", classes=[STILL])


def test_scenes_of_all_three_splits_are_opened_by_name(folder: Path) -> None:
    clips = open_clips(f"bazaar:{folder}", split="test", size=32, count=3)
    assert clips.ids[0] == "bazaar-test-0-0000000"
    with pytest.raises(HearsightError, match="'toys' has the splits train and val"):
        open_clips("toys", split="test")


def test_without_a_pack_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder("bazaar") == tmp_path / "hearsight" / "bazaar"
    with pytest.raises(HearsightError, match=r"There is no bazaar in .*'hearsight data bazaar'"):
        read_bazaar(split="train")


def sources(entries: list[CatalogueEntry]) -> dict[tuple[str, str], list[CatalogueEntry]]:
    found: dict[tuple[str, str], list[CatalogueEntry]] = defaultdict(list)
    for one in entries:
        found[one.package, one.path].append(one)
    return found


def test_the_splits_share_no_picture_and_no_stretch_of_a_sound() -> None:
    for entries in sources(read_catalogue("bazaar")).values():
        for one, other in itertools.combinations(entries, 2):
            if one.split != other.split:
                assert one.kind == other.kind == "sound"
                (a, b), (c, d) = (x.part or (0.0, 1.0) for x in (one, other))
                assert b <= c or d <= a


def test_what_the_menagerie_holds_out_is_never_learned_from() -> None:
    rows = {one.file: one for one in read_catalogue("menagerie")}
    table = [
        PackRow(kind=one.kind, file=one.file, label=one.label, split=one.split)
        for one in rows.values()
    ]
    shares = {split: list(split_files(table, split)) for split in ("train", "val")}
    scored = find_complete(shares["train"]) & find_complete(shares["val"])
    mine = sources(read_catalogue("bazaar"))
    held = 0
    for share in shares["val"]:
        row = rows[share.row.file]
        if row.label in scored or row.split == "val":
            for one in mine.get((row.package, row.path), []):
                inside = one.part or (0.0, 1.0)
                apart = share.row.kind == "sound" and inside[1] <= share.part[0]
                assert one.split == "test" or apart
                held += one.split == "test"
    assert held > 50
    for one in rows.values():
        if one.kind == "background" and one.split == "val":
            assert {x.split for x in mine[one.package, one.path]} == {"test"}


def test_the_catalogue_has_what_it_says() -> None:
    entries = read_catalogue("bazaar")
    assert len({one.file for one in entries}) == len(entries)
    kinds: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in entries:
        assert one.licence
        assert ".." not in one.path
        kinds[one.split][one.label].add(one.kind)
    complete = {
        split: {label for label, found in labels.items() if {"cutout", "sound"} <= found}
        for split, labels in kinds.items()
    }
    assert {split: len(labels) for split, labels in complete.items()} == {
        "train": 79,
        "val": 14,
        "test": 20,
    }
    assert complete["val"] | complete["test"] <= complete["train"] | {"cat"}
    known = complete["train"]
    named = itertools.chain(
        *bazaar.GROUPS, *bazaar.AMBIGUOUS, (name for name, _ in bazaar.FREQUENT)
    )
    assert set(named) <= known
    speakers = {one.path for one in entries if one.label == "person" and one.kind == "sound"}
    assert len(speakers) > 200
