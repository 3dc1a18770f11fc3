"""The bazaar: the large pack of cut-outs, recordings and backgrounds, for training.

People, animals, instruments, vehicles and things. Its table tells the splits of every file: `train`
to learn from, `val` to choose by, `test` to score on. What the menagerie holds out is `test` here
too, or left out.
"""

from collections.abc import Sequence
from pathlib import Path

from hearsight.errors import HearsightError, nearest
from hearsight.scenes.pack import Pack
from hearsight.scenes.pack_folder import (
    SplitShare,
    default_folder,
    find_complete,
    load_files,
    read_rows,
)

NAME = "bazaar"
SPLITS = ("train", "val", "test")
FREQUENT = (("person", 0.25), ("music", 0.08))  # as in people's videos
STILL = "still"  # the class of objects that never sound
INSTRUMENTS = "bassoon cello cymbal didgeridoo drum drumkit guitar lute trumpet violin"
GROUPS = tuple(
    frozenset(names.split())
    for names in (
        INSTRUMENTS,
        "bear badger beaver chimp fox ferret gorilla koala lion tiger",
        "bison bull camel cow deer donkey elephant goat hippopotamus horse pig sheep zebra",
        "cat dog fox lion tiger",
        "bird blackbird chicken crow cuckoo duck goose heron lark owl penguin quetzal rooster",
        "rooster rubberduck seagull toucan turkey vulture duck",
        "dolphin orca sea_lion whale",
        "ferret mouse rabbit squirrel",
        "bee frog grasshopper",
        "airplane bus car firetruck motorcycle ship train",
        "camera glass hammer kettle saw scissors toilet",
    )
)
AMBIGUOUS = tuple(
    frozenset(names.split())
    for names in (
        f"music {INSTRUMENTS}",
        "cymbal drum drumkit",
        "cow bull",
        "chicken rooster turkey",
        "bird blackbird cuckoo lark",
        "person didgeridoo music",  # players are people
        "whale orca dolphin",
        "car firetruck bus motorcycle",
    )
)


def read_bazaar(
    folder: Path | None = None, *, split: str, classes: Sequence[str] | int | None = None
) -> Pack:
    """One split of the bazaar. A class is in a split if it has cut-outs and recordings for it.

    Args:
        folder: the pack; None for `pack_folder.default_folder`.
        split: train, val or test.
        classes: names; or how many, in alphabetical order of those in all splits; None for all.

    Raises:
        HearsightError: no pack there, a damaged one, or unknown classes.
    """
    folder = folder or default_folder(NAME)
    rows = read_rows(folder / "pack.csv", NAME, SPLITS)
    shares = {name: [SplitShare(row=row) for row in rows if row.split == name] for name in SPLITS}
    complete = {name: find_complete(shares[name]) for name in SPLITS}
    chosen = complete[split]
    if isinstance(classes, int):
        everywhere = sorted(set.intersection(*complete.values()))
        if not 1 <= classes <= len(everywhere):
            raise HearsightError(
                f"The bazaar in '{folder}' has {len(everywhere)} classes in all splits,"
                f" not {classes}."
            )
        chosen = set(everywhere[:classes])
    elif classes is not None:
        for name in classes:
            if name not in chosen:
                raise HearsightError(
                    f"The bazaar in '{folder}' has no class '{name}' for {split}."
                    f"{nearest(name, chosen)}"
                )
        chosen = set(classes)
    here = [share for share in shares[split] if share.row.label in chosen]
    backgrounds = [row for row in rows if row.kind == "background" and row.split == split]
    return load_files(
        folder,
        here,
        backgrounds,
        name=NAME,
        split=split,
        mutes=[share.row for share in shares[split] if share.row.label == STILL],
        groups=GROUPS,
        ambiguous=AMBIGUOUS,
        frequent=FREQUENT,
    )
