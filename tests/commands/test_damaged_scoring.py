"""Damaged, halved and mixed data sets as `evaluate` and `retrieve` meet them.

What is not there is named and counted, and what is there keeps its scores to the last digit; what
cannot be scored at all ends in one sentence.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import made_masked
import pytest
from made_commands import Hearsight, refused
from made_damage import READERS, Reader
from made_layouts import VGGSOUND_IDS, scoring_layout, vggss
from made_models import make_checkpoint

KINDS = ("pictures", "sounds", "masks", "annotations")
RUN = "good.safetensors --threads 1 --device cpu"


@pytest.fixture(autouse=True)
def _at_hand(hearsight: Hearsight) -> None:
    make_checkpoint(Path("good.safetensors"))


def protocol_of(reader: Reader) -> str:
    return "masks" if reader.masks or reader.table == "metadata.csv" else "adaptive"


def scored(hearsight: Hearsight, line: str) -> tuple[dict[str, tuple[str, ...]], str]:
    """What `--scores` holds of each clip, and what was said; nothing where it was refused."""
    Path("scores.csv").unlink(missing_ok=True)
    code, _, err = hearsight(f"{line} --scores scores.csv")
    if code:
        assert code == 2
        assert err.splitlines()[-1].startswith("hearsight: "), err
        return {}, err
    with Path("scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    own = [row for row in rows if row.get("model", "good") == rows[0].get("model", "good")]
    return {row["id"]: tuple(row.values()) for row in own}, err


@pytest.mark.parametrize("name", READERS)
def test_half_of_a_data_set_is_scored_as_before_and_the_rest_named(
    hearsight: Hearsight, name: str
) -> None:
    reader = READERS[name]
    opened = reader.write(Path("set"))
    spec = f"{opened}{reader.part}"
    line = f"evaluate {RUN} --data '{spec}' --protocol {protocol_of(reader)}"
    whole, _ = scored(hearsight, line)
    broken: list[tuple[str, Callable[[Path], object]]] = [
        ("pictures", lambda path: path.write_bytes(path.read_bytes()[:40])),
        ("sounds", os.unlink),
        ("masks", lambda path: path.write_bytes(b"")),
        ("annotations", lambda path: path.write_text("<a>")),
    ]
    for kind, harm in broken:
        if not getattr(reader, kind):
            continue
        paths = sorted(opened.glob(getattr(reader, kind)))
        assert paths
        kept = {path: path.read_bytes() for path in paths}
        for path in paths:
            harm(path)
        half, said = scored(hearsight, line)
        assert half.items() <= whole.items()
        lost = set(whole) - set(half)
        assert all(map(reader.is_second, lost)) or not half
        if lost and half:
            assert reader.is_second(said)
        if half:
            assert lost or kind in ("masks", "annotations")
        for path, content in kept.items():
            path.write_bytes(content)
    assert scored(hearsight, line)[0] == whole


@pytest.mark.parametrize("name", [name for name in READERS if " boxes" not in name])
def test_retrieval_names_what_is_not_there(hearsight: Hearsight, name: str) -> None:
    reader = READERS[name]
    opened = reader.write(Path("set"))
    line = f"retrieve {RUN} --data '{opened}{reader.part}' --json"
    code, out, _ = hearsight(line)
    queries = json.loads(out.splitlines()[0])["queries"] if code == 0 else 0
    for kind in ("pictures", "sounds"):
        for path in sorted(opened.glob(getattr(reader, kind))) if getattr(reader, kind) else []:
            path.unlink()
    code, out, err = hearsight(line)
    if code == 0:
        assert json.loads(out.splitlines()[0])["queries"] < queries
        assert reader.is_second(err)
    else:
        assert code == 2
        assert err.splitlines()[-1].startswith("hearsight: ")
        assert "Traceback" not in err


def boxed(folder: Path, box: object) -> Path:
    scoring_layout(folder)
    return vggss(
        folder / "vggss.json", [{"file": id, "class": "dog", "bbox": [box]} for id in VGGSOUND_IDS]
    ).parent


@pytest.mark.parametrize("command", ["evaluate", "retrieve"])
def test_what_cannot_be_read_at_all_ends_in_one_sentence(
    hearsight: Hearsight, command: str
) -> None:
    ends = " --protocol adaptive" if command == "evaluate" else ""
    line = f"{command} {RUN} --data {{}}{ends}"
    for text in ("", "[", "[]", "{}", "[1]", '[{"file": "a", "class": "b"}]', "\0\0"):
        folder = boxed(Path("set"), [0.1, 0.2, 0.5, 0.9])
        (folder / "vggss.json").write_text(text)
        refused(hearsight, line.format(folder), "vggss.json")
        shutil.rmtree("set")
    # the same clip twice, with other boxes
    folder = boxed(Path("set"), [0.1, 0.2, 0.5, 0.9])
    held = json.loads((folder / "vggss.json").read_text())
    vggss(folder / "vggss.json", [*held, held[0] | {"bbox": [[0.2, 0.2, 0.3, 0.3]]}])
    refused(hearsight, line.format(folder), VGGSOUND_IDS[0], "twice")
    # two layouts, and one that is misspelt
    shutil.copytree(made_masked.s4(Path("s4")) / "s4_data", folder, dirs_exist_ok=True)
    refused(hearsight, line.format(folder))
    shutil.rmtree("set")
    folder = boxed(Path("set"), [0.1, 0.2, 0.5, 0.9])
    (folder / "audio").rename(folder / "Audio")
    refused(hearsight, line.format(folder), "'Audio' as 'audio'")


def test_boxes_of_another_size_are_told(hearsight: Hearsight) -> None:
    line = f"evaluate {RUN} --data {{}} --protocol adaptive"
    folder = boxed(Path("pixels"), [22, 45, 112, 200])
    refused(hearsight, line.format(folder), "vggss.json", "in pixels, where fractions")
    held = json.loads((folder / "vggss.json").read_text())
    for one in held[1:]:
        one["bbox"] = [[0.1, 0.2, 0.5, 0.9]]
    vggss(folder / "vggss.json", held)
    code, _, err = hearsight(line.format(folder))
    assert (code, "outside" in err) == (0, True), err
    opened = made_masked.is3(Path("is3"))
    items = json.loads((opened / "IS3_annotation.json").read_text())
    for item in items:
        item["gt_box"] = [10, 20, 500, 400]
    (opened / "IS3_annotation.json").write_text(json.dumps(items))
    refused(hearsight, line.format(opened), "another size")


def test_masks_that_do_not_fit_are_named(hearsight: Hearsight) -> None:
    opened = made_masked.is3(Path("is3"))
    odd = opened / "gt_segmentation" / "fox_train_fox.jpg"
    made_masked.save_mask(odd, made_masked.square()[:, :20], "jpeg")
    code, _, err = hearsight(f"evaluate {RUN} --data {opened} --protocol masks")
    assert code == 0, err
    assert "fox_train_fox" in err
    for path in (opened / "gt_segmentation").iterdir():
        made_masked.save_mask(path, made_masked.square()[:, :20], "jpeg")
    refused(hearsight, f"evaluate {RUN} --data {opened} --protocol masks")
