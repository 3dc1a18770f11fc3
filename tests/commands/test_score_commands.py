"""`hearsight evaluate` at the command line: what is printed where, and nothing found is lost."""

import csv
import json
from pathlib import Path

import pytest
from made_clips import picture, tone
from made_commands import Hearsight, refused
from made_layouts import VGGSOUND_IDS, scoring_layout, xml
from made_models import make_checkpoint
from made_runs import tiny_recipe

from hearsight.checkpoints.checkpoint import save_checkpoint
from hearsight.clips.clip import Box, Clip, encode_clip
from hearsight.clips.leaks import MARKS
from hearsight.clips.shard_writer import StoreWriter
from hearsight.datasets.folders import FolderClips
from hearsight.model.encoders import Encoders

EVALUATE = "evaluate good.safetensors --device cpu --threads 1"
BOX = (0.1, 0.2, 0.6, 0.9)


def make_store(folder: str, boxes: dict[str, tuple[Box, ...] | None], *, torn: str = "") -> None:
    """A store of clips with these boxes; the frame of one may be torn."""
    with StoreWriter(Path(folder)) as writer:
        for number, (id, own) in enumerate(boxes.items()):
            clip = encode_clip(id, picture(number), tone(seed=number), boxes=own)
            frame = clip.frame[:200] if id == torn else clip.frame
            assert writer.add(Clip(id=id, frame=frame, sound=clip.sound, boxes=own))


@pytest.fixture
def hearsight(hearsight: Hearsight) -> Hearsight:
    """The command line beside a checkpoint and a store of which one clip is damaged."""
    make_checkpoint(Path("good.safetensors"))
    make_store("store", dict.fromkeys("abc", (BOX,)), torn="b")
    return hearsight


@pytest.mark.parametrize("scores", ["/proc/x.csv", "folder.csv", "none/x.csv", "x.txt", "ids.csv"])
def test_scores_that_cannot_be_written_are_refused_before_the_scoring(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch, scores: str
) -> None:
    Path("folder.csv").mkdir()
    Path("ids.csv").write_text("a\n")

    def scored(*_: object, **__: object) -> None:
        pytest.fail("clips were scored")

    monkeypatch.setattr("hearsight.scoring.checkpoint_scores.evaluate_protocol", scored)
    refused(hearsight, f"{EVALUATE} --data store --ids ids.csv --scores {scores}", scores)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--draws 2", "The protocol 'adaptive' draws no sounds: --draws is for 'negatives'."),
        ("--protocol duets --draws 3", "The protocol 'duets' draws no sounds"),
        ("--protocol negatives --draws 0", "--draws"),
        ("--ogl-share 0.5", "--ogl-share needs the object network of --ogl."),
        ("--protocol negatives --ogl none.pth", "'negatives' scores responses alone"),
        ("--protocol mask", "no protocol 'mask'"),
        ("--protocols lvs,mask", "no protocol 'mask'"),
        ("--protocols negatives,lvs --ogl none.pth", "'negatives' scores responses alone"),
        ("--scores x.csv --out x.csv", "'x.csv' is named twice"),
        ("--out none/x.csv", "none"),
        ("--batch-size 0", "--batch-size"),
    ],
)
def test_options_that_would_be_ignored_are_refused_before_a_model_is_loaded(
    hearsight: Hearsight, options: str, said: str
) -> None:
    refused(hearsight, f"{EVALUATE.replace('good', 'gone')} --data store {options}", said)


def test_what_was_found_is_printed_though_the_scores_cannot_be_written(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_room)
    code, out, err = hearsight(f"{EVALUATE} --data store --scores x.csv")
    assert code == 2
    assert "ceiling" in out
    assert err.splitlines()[-1].startswith("hearsight: 'x.csv' cannot be written: No space")
    assert not list(Path().glob("*x.csv*"))


@pytest.mark.parametrize("form", ["", "--json"])
def test_the_table_goes_to_stdout_and_what_was_skipped_to_stderr(
    hearsight: Hearsight, form: str
) -> None:
    Path("ids.txt").write_text("a\nb\nc\nd\n")
    code, out, err = hearsight(f"{EVALUATE} --data store --ids ids.txt {form}")
    assert code == 0
    assert "1 of 3 clips was left out:\n  b: the picture" in err
    assert "1 id in 'ids.txt' is not among the clips: d" in err
    assert "left out" not in out
    assert "not among" not in out
    if form:
        assert all("name" in json.loads(line) for line in out.splitlines())
    else:
        assert out.startswith("protocol adaptive: ")
        assert "list: ids" in out


def test_a_clip_without_boxes_is_skipped_and_named_as_one_with_damaged_ones(
    hearsight: Hearsight,
) -> None:
    folder = scoring_layout(Path("layout"))
    (folder / "anno").mkdir()
    whole, damaged, missing = VGGSOUND_IDS
    (folder / "anno" / f"{whole}.xml").write_text(xml(BOX))
    (folder / "anno" / f"{damaged}.xml").write_text("<annotation>")
    for protocol in ("ssl-tie", "negatives --draws 1"):
        code, out, err = hearsight(f"{EVALUATE} --data layout --protocol {protocol} --json")
        assert code == 0, err
        assert json.loads(out.splitlines()[0])["clips"] == 1
        assert "2 of 3 clips were left out:" in err
        assert f"  {damaged}: its boxes are damaged" in err
        assert f"  {missing}: it has no boxes" in err


def test_clips_of_which_none_has_boxes_are_refused_before_one_is_read(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scoring_layout(Path("layout"))
    (folder / "anno").mkdir()
    (folder / "anno" / f"{VGGSOUND_IDS[0]}.xml").write_text("<annotation>")
    make_store("bare", {"d": None, "e": None})
    monkeypatch.setattr(FolderClips, "__getitem__", lambda *_: pytest.fail("a clip was read"))
    refused(hearsight, f"{EVALUATE} --data layout", "None of the 3 clips has boxes")
    refused(hearsight, f"{EVALUATE} --data bare --data bare", "None of the 2 clips has boxes")


def test_silent_clips_are_scored_beside_one_that_nobody_annotated(hearsight: Hearsight) -> None:
    make_store("extended", {"a": (BOX,), "b": (), "c": None})
    line = f"{EVALUATE} --data extended --protocol slavc-extended --json"
    code, out, err = hearsight(line)
    assert code == 0, err
    row = json.loads(out.splitlines()[0])
    assert (row["clips"], row["sounding"]) == (2, 1)
    assert "  c: it has no boxes" in err


def test_clips_of_one_id_in_two_sources_are_counted_and_named_once(hearsight: Hearsight) -> None:
    make_store("other", {"c": (BOX,), "d": (BOX,)})
    code, _, err = hearsight(f"{EVALUATE} --data store --data other")
    assert code == 0
    told = "1 of 5 clips of 'store other' was left out because its id stands in an earlier"
    assert err.count(f"{told} source or shard too: c.\n") == err.count("earlier") == 1


def test_several_checkpoints_and_protocols_in_tables_and_files(hearsight: Hearsight) -> None:
    make_store("more", dict.fromkeys("defghi", (BOX,)))
    for run in ("first", "second"):
        Path(f"runs/{run}").mkdir(parents=True)
        make_checkpoint(Path(f"runs/{run}/best.safetensors"))
    line = "evaluate runs/first runs/second/best.safetensors good.safetensors --data more"
    line += " --protocols lvs,adaptive --device cpu --threads 1 --out t.csv --scores s.csv"
    code, out, err = hearsight(line)
    assert code == 0, err
    assert [one.split(":")[0] for one in out.splitlines() if one.startswith("protocol")] == [
        "protocol lvs",
        "protocol adaptive",
    ]
    assert max(map(len, out.splitlines())) <= 80
    with Path("t.csv").open() as file:
        rows = list(csv.DictReader(file))
    scored = [row for row in rows if not row["against"]]
    names = ["first", "second", "good"]
    assert [row["name"] for row in scored if row["protocol"] == "lvs"][:4] == [
        *names,
        "blind: centred disc",
    ]
    for row in scored:  # the table shows what the file holds
        if row["protocol"] == "lvs":
            low, score, high = (float(row[f"cIoU@0.5{end}"]) for end in (" low", "", " high"))
            assert low <= score <= high
            assert f"{100 * float(row['AUC']):.2f}" in out
    against = [(row["name"], row["against"]) for row in rows if row["against"] in names]
    assert against == 2 * [("second", "first"), ("good", "first")]
    with Path("s.csv").open() as file:
        lines = list(csv.DictReader(file))
    found = {(one["name"], one["protocol"], one["id"]) for one in lines}
    assert len(found) == len(lines) == 3 * 2 * 6
    code, out, _ = hearsight(f"{line} --json --force")
    printed = [json.loads(one) for one in out.splitlines()]
    assert len(printed) == len(rows)
    for one, row in zip(printed, rows, strict=True):
        assert {name: str(value) for name, value in one.items()} == {
            name: value for name, value in row.items() if name in one
        }


def test_marks_stand_beside_plain_names_wherever_a_machine_reads(hearsight: Hearsight) -> None:
    make_store("more", dict.fromkeys("defghi", (BOX,)))
    recipe, facts = tiny_recipe(), {"selected_on_test": True}
    save_checkpoint(Path("kept.safetensors"), Encoders(recipe.encoder), recipe, facts=facts)
    line = "evaluate kept.safetensors good.safetensors --data more --protocols lvs --device cpu"
    code, out, err = hearsight(f"{line} --threads 1 --out t.csv")
    assert code == 0, err
    assert "kept *" in out.partition("Differences")[0]
    assert "kept *" in out.partition("Differences")[2]
    assert "* the epoch was chosen on the test set" in out
    with Path("t.csv").open() as file:
        marks = {row["name"]: row["marks"] for row in csv.DictReader(file) if not row["against"]}
    assert {name: marks[name] for name in ("kept", "good")} == {"kept": "*", "good": ""}
    printed = [json.loads(one) for one in hearsight(f"{line} --threads 1 --json")[1].splitlines()]
    names = {row[column] for row in printed for column in ("name", "against") if column in row}
    assert not [name for name in names if set(name) & set(MARKS)]
    board = hearsight("results --table t.csv --out b.csv")[1].partition("scored: t.csv")[2]
    assert "kept *" in board
    assert "* the epoch was chosen on the test set." in board
    with Path("b.csv").open() as file:
        own = [row for row in csv.DictReader(file) if row["method"] == "kept"]
    assert {(row["marks"], row["selected on test"]) for row in own} == {("*", "yes")}


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_fits_the_terminal(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    for wide in ("", "--wide"):
        code, out, _ = hearsight(f"{EVALUATE} --data store --protocol lvs {wide}")
        assert code == 0
        assert max(map(len, out.splitlines())) <= columns
        assert "adaptive" in out
