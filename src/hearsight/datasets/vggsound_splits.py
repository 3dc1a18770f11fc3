"""The class splits of VGGSound for retrieval and open-set training, built from its csv.

Source: SSL-TIE, Liu et al., ACM MM 2022, retrieves sounds of 35 classes that its training never
saw, among clips of the other 274.
Not certain: the paper does not print the 35 classes. `UNSEEN_35` are the classes without a clip in
the released list of 144,000 training clips. `HEARD_110` are the classes of the VGG-SS clips in the
released list of heard open-set test clips; that the paper's retrieval with 110 classes trains on
these is a guess, and 15 of them are among `UNSEEN_35`.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearsight.datasets.folders import read_entries
from hearsight.errors import HearsightError
from hearsight.files.output import written_whole

TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class VGGSoundRow:
    """One row of VGGSound's csv."""

    id: str  # YouTube id and second, as `zpWuikVorYg_000032`
    label: str
    test: bool  # whether it is in VGGSound's own test split

    @property
    def video(self) -> str:
        """The YouTube id."""
        return self.id[:11]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The rows of each list.

    Differs from the released lists: those are random subsets (144,000 and 70,000 clips) of such
    rows, drawn from VGGSound's training and test clips alike. `train_110` has training clips
    only; `trainval_274` has both, so it contains clips of VGG-SS, which `clips.leaks` finds.
    """

    unseen_35: tuple[VGGSoundRow, ...]  # every clip of the unseen classes: queries and gallery
    trainval_274: tuple[VGGSoundRow, ...]  # every clip of all other classes
    train_110: tuple[VGGSoundRow, ...]  # training clips of the heard classes

    @property
    def shared_videos(self) -> int:
        """The number of videos with clips both in `unseen_35` and in `trainval_274`."""
        return len({one.video for one in self.unseen_35} & {one.video for one in self.trainval_274})


def read_vggsound_csv(path: Path) -> list[VGGSoundRow]:
    """The rows of VGGSound's csv: YouTube id, second, label, train or test.

    Raises:
        HearsightError: no such file, or a row of another form.
    """
    rows = []
    for number, one in enumerate(read_entries(path), 1):
        if one.label is None or one.split not in ("train", TEST):
            raise HearsightError(
                f"Row {number} of '{path}' is not one of VGGSound's csv: YouTube id, second, "
                "label, train or test."
            )
        rows.append(VGGSoundRow(id=one.ids[0], label=one.label, test=one.split == TEST))
    return rows


def split_vggsound(rows: Sequence[VGGSoundRow]) -> Splits:
    """Divide the rows of the csv into the lists, keeping their order.

    Raises:
        HearsightError: no row has one of the unseen classes.
    """
    unseen, heard = frozenset(UNSEEN_35), frozenset(HEARD_110)
    splits = Splits(
        unseen_35=tuple(row for row in rows if row.label in unseen),
        trainval_274=tuple(row for row in rows if row.label not in unseen),
        train_110=tuple(row for row in rows if row.label in heard and not row.test),
    )
    if not splits.unseen_35:
        raise HearsightError(
            f"None of the {len(rows):,} rows has one of the 35 unseen classes, such as "
            f"'{UNSEEN_35[0]}': these are not VGGSound's labels."
        )
    return splits


def write_list(rows: Sequence[VGGSoundRow], path: Path) -> None:
    """Write rows as `ID,LABEL`, the form that `--data FOLDER@LIST` reads.

    Raises:
        HearsightError: it cannot be written.
    """
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows((row.id, row.label) for row in rows)


UNSEEN_35 = (
    "alarm clock ringing",
    "alligators, crocodiles hissing",
    "bull bellowing",
    "car engine starting",
    "cat caterwauling",
    "cheetah chirrup",
    "cuckoo bird calling",
    "dog howling",
    "electric grinder grinding",
    "elephant trumpeting",
    "fireworks banging",
    "firing muskets",
    "foghorn",
    "helicopter",
    "ice cream truck, ice cream van",
    "lawn mowing",
    "lions growling",
    "people belly laughing",
    "people burping",
    "people eating noodle",
    "people screaming",
    "plastic bottle crushing",
    "playing accordion",
    "playing didgeridoo",
    "playing sitar",
    "playing theremin",
    "playing trumpet",
    "raining",
    "reversing beeps",
    "sharpen knife",
    "sloshing water",
    "squishing water",
    "tap dancing",
    "train wheels squealing",
    "train whistling",
)

HEARD_110 = (
    "air conditioning noise",
    "airplane",
    "airplane flyby",
    "black capped chickadee calling",
    "blowtorch igniting",
    "bull bellowing",
    "canary calling",
    "car engine idling",
    "car engine knocking",
    "car passing by",
    "cat caterwauling",
    "cat meowing",
    "cattle mooing",
    "chainsawing trees",
    "cheetah chirrup",
    "chicken crowing",
    "children shouting",
    "chimpanzee pant-hooting",
    "church bell ringing",
    "civil defense siren",
    "coyote howling",
    "cricket chirping",
    "crow cawing",
    "dinosaurs bellowing",
    "disc scratching",
    "dog bow-wow",
    "dog growling",
    "dog howling",
    "dog whimpering",
    "donkey, ass braying",
    "driving motorcycle",
    "eagle screaming",
    "electric grinder grinding",
    "elephant trumpeting",
    "elk bugling",
    "female speech, woman speaking",
    "fire truck siren",
    "fireworks banging",
    "gibbon howling",
    "hair dryer drying",
    "hedge trimmer running",
    "ice cream truck, ice cream van",
    "lathe spinning",
    "lighting firecrackers",
    "lions growling",
    "machine gun shooting",
    "male singing",
    "male speech, man speaking",
    "missile launch",
    "mouse squeaking",
    "mynah bird singing",
    "opening or closing car electric windows",
    "orchestra",
    "otter growling",
    "penguins braying",
    "people belly laughing",
    "people cheering",
    "people crowd",
    "people eating apple",
    "people eating crisps",
    "people finger snapping",
    "people hiccup",
    "people screaming",
    "people slurping",
    "people sobbing",
    "people whispering",
    "people whistling",
    "pheasant crowing",
    "pigeon, dove cooing",
    "playing accordion",
    "playing acoustic guitar",
    "playing bass guitar",
    "playing bugle",
    "playing cornet",
    "playing didgeridoo",
    "playing electronic organ",
    "playing flute",
    "playing guiro",
    "playing hammond organ",
    "playing harmonica",
    "playing harp",
    "playing mandolin",
    "playing saxophone",
    "playing shofar",
    "playing snare drum",
    "playing steel guitar, slide guitar",
    "playing tambourine",
    "playing timbales",
    "playing washboard",
    "playing zither",
    "police car (siren)",
    "race car, auto racing",
    "railroad car, train wagon",
    "sharpen knife",
    "sheep bleating",
    "singing choir",
    "slot machine",
    "squishing water",
    "subway, metro, underground",
    "tapping guitar",
    "telephone bell ringing",
    "toilet flushing",
    "tractor digging",
    "train horning",
    "turkey gobbling",
    "typing on typewriter",
    "using sewing machines",
    "vacuum cleaner cleaning floors",
    "warbler chirping",
    "yodelling",
)
