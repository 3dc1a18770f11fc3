"""`hearsight compare` called again: what may differ, and what is refused."""

import csv
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_clips import store
from made_commands import Hearsight

from hearsight.clips.clip import Box, Clips
from hearsight.datasets.open import COUNTS, open_clips
from hearsight.files.locks import LOCK
from hearsight.pages import report
from hearsight.studies import comparison, comparison_table

FEW = "--seeds 4, --device cpu --workers 0 --threads 1 --out out"
TOYS = f"compare --data toys --scenes 64 --count 2 --set batch_size=2 --classes 2 {FEW}"
STORES = f"compare random:small --set batch_size=2 --data train --test test {FEW}"
BOX = (0.1, 0.2, 0.6, 0.9)


@pytest.fixture
def hearsight(hearsight: Hearsight) -> Hearsight:
    """The command line beside two stores."""
    store("train", range(4))
    store("test", range(10, 13))
    return hearsight


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `compared` keeps its comparison."""
    return tmp_path_factory.mktemp("kept") / "out"


@pytest.fixture
def compared(hearsight: Hearsight, kept: Path) -> Hearsight:
    """The same beside the comparison of both stores, which is made once, and gone on with once."""
    if kept.exists():
        shutil.copytree(kept, "out")
        return hearsight
    assert hearsight(STORES)[0] == 0
    assert hearsight(STORES)[0] == 0
    shutil.copytree("out", kept)
    return hearsight


def told(found: tuple[int, str, str]) -> str:
    """The sentence of a refusal, which leaves the table as it was."""
    code, out, err = found
    assert (code, out) == (2, "")
    return err.splitlines()[-1]


def plan() -> dict[str, object]:
    held = json.loads(Path("out/plan.json").read_text())
    assert isinstance(held, dict)
    return held


def test_what_is_added_is_scored_on_the_same_scenes(hearsight: Hearsight) -> None:
    assert hearsight(f"{TOYS} random:small")[0] == 0
    small = plan()["size of scenes"]
    before = Path("out/table.csv").read_bytes()
    said = told(hearsight(f"{TOYS} random:small random"))
    assert f"'out' compares on scenes of {small} pixels and these methods need 224" in said
    assert "name another folder" in said
    assert Path("out/table.csv").read_bytes() == before
    assert not Path("out/random-seed4").exists()


def test_smaller_methods_are_scored_on_the_scenes_of_the_largest(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    Path("out/plan.json").write_text('{"size of scenes": 130}')  # as of a larger method
    sizes = []

    def opened(spec: str, *, size: int, **others: Any) -> Clips:
        if others["split"] == "val":
            sizes.append(size)
        return open_clips(spec, size=size, **others)

    monkeypatch.setattr("hearsight.datasets.open.open_clips", opened)
    assert hearsight(f"{TOYS} random:small")[0] == 0
    assert plan()["size of scenes"] == 130
    assert sizes == [130]


@pytest.mark.parametrize(
    ("folder", "numbers", "box", "said"),
    [
        ("train", range(5), BOX, "training clips"),
        ("test", range(10, 14), BOX, "held-out clips"),
        ("test", range(10, 13), (0.1, 0.2, 0.6, 0.8), "held-out clips"),
    ],
)
def test_other_clips_of_the_same_name_are_refused(
    compared: Hearsight, folder: str, numbers: range, box: Box, said: str
) -> None:
    store(folder, numbers, box)
    line = told(compared(f"{STORES} --protocols adaptive,lvs"))
    assert f"'out' holds another comparison, which differs in {said}: name another folder" in line
    assert not Path("out/scores-lvs.json").exists()


def test_a_folder_of_an_earlier_version_is_gone_on_with(compared: Hearsight) -> None:
    held = plan()
    assert "count" not in held
    old = {key: value for key, value in held.items() if " " not in key}
    Path("out/plan.json").write_text(json.dumps({**old, "count": 600}))
    assert compared(STORES)[0] == 0


def test_what_was_never_trained_is_not_marked_as_leaked(hearsight: Hearsight) -> None:
    tiny = "--set encoder.widths=[8,8,8,8] --set frame_size=32 --epochs 1"
    store("test", range(2, 6))
    code, out, err = hearsight(f"{STORES} lvs:small {tiny}")
    assert code == 0
    assert "2 of the 4 clips of 'test' (50.0 %) are in 'train'" in err
    with Path("out/table.csv").open() as file:
        rows = [(row["name"], row["marks"]) for row in csv.DictReader(file)]
    assert rows[:2] == [("random:small", ""), ("lvs:small", "†")]
    assert "lvs:small †" in out
    assert out.count("† trained on clips or videos of the test set") == 1


def test_everything_is_written_while_others_are_kept_out(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {}

    def watch(module: ModuleType, name: str) -> None:
        write = getattr(module, name)

        def watched(*arguments: object) -> object:
            target = next(one for one in arguments if isinstance(one, Path))
            held[target.name] = Path("out", LOCK).exists()
            return write(*arguments)

        monkeypatch.setattr(module, name, watched)

    watch(comparison_table, "write_table")
    watch(report, "write_report")
    watch(comparison, "read_or_make")
    assert hearsight(STORES)[0] == 0
    assert {"table.csv", "report.html", "references-adaptive.json"} <= held.keys()
    assert all(held.values())
    assert not Path("out", LOCK).exists()


def test_classes_hold_for_validation_scenes_too(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def counted(spec: str, **others: Any) -> Clips:
        clips = open_clips(spec, **others)
        opened.append(clips)
        return clips

    monkeypatch.setattr("hearsight.datasets.open.open_clips", counted)
    monkeypatch.setitem(COUNTS, "val", 8)
    tiny = "--set encoder.widths=[8,8,8,8] --set frame_size=32 --epochs 1"
    line = "compare random:small lvs:small --data train --test test --validation toys --classes 3"
    code, _, err = hearsight(f"{line} {FEW} --set batch_size=2 {tiny}")
    assert code == 0, err
    scenes = [each for each in opened if hasattr(each, "labels")]
    assert [len(each.labels) for each in scenes] == [3]
    assert plan()["classes"] == 3


@pytest.mark.parametrize("option", ["--validation toys", "--select-on-test"])
def test_no_epoch_is_chosen_where_nothing_is_trained(hearsight: Hearsight, option: str) -> None:
    said = told(hearsight(f"{STORES} {option}"))
    assert f"{option.split()[0]} has no effect: none of these methods is trained." in said
    assert not Path("out").exists()
