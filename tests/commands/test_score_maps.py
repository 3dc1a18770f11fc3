"""`hearsight score` at the command line: the tables of `evaluate`, and bad input in a sentence."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from made_commands import Hearsight, refused
from made_models import make_pairs
from PIL import Image

from hearsight.clips.clip import encode_clip
from hearsight.clips.shard_writer import StoreWriter

MAPS = {
    id: np.random.default_rng(number).standard_normal((7, 7))
    for number, id in enumerate(make_pairs(3).ids)
}


@pytest.fixture
def hearsight(hearsight: Hearsight) -> Hearsight:
    """The command line beside a store and two files of maps."""
    with StoreWriter(Path("store")) as writer:
        for clip in make_pairs(3).clips:
            kept = {"label": clip.label, "boxes": clip.boxes, "mask": clip.mask}
            assert writer.add(encode_clip(clip.id, clip.frame, clip.sound, **kept))
    np.savez("first.npz", **MAPS)
    np.savez("second.npz", **{id: -one for id, one in MAPS.items()})
    return hearsight


def test_several_maps_and_protocols_in_the_tables_of_evaluate(hearsight: Hearsight) -> None:
    line = "score first.npz second.npz --data store --protocols lvs,masks,interactive"
    code, out, err = hearsight(f"{line} --out t.csv --scores s.csv")
    assert code == 0, err
    assert [one.split(":")[0] for one in out.splitlines() if one.startswith("protocol")] == [
        "protocol lvs",
        "protocol masks",
        "protocol interactive",
    ]
    with Path("t.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] == "lvs"]
    assert [row["name"] for row in rows[:3]] == ["first", "second", "blind: centred disc"]
    assert float(rows[0]["cIoU@0.5 low"]) <= float(rows[0]["cIoU@0.5"])
    assert ("second", "first") in {(row["name"], row["against"]) for row in rows}
    assert len(Path("s.csv").read_text().splitlines()) == 1 + 2 * 3 * 6
    Path("ids.txt").write_text("scene 0_0\nscene 9_9\n")
    code, out, err = hearsight("score first.npz --data store --ids ids.txt --json")
    assert code == 0
    row = json.loads(out.splitlines()[0])
    assert (row["clips"], row["list"]) == (1, "ids")
    assert "1 id in 'ids.txt' is not among the clips: scene 9_9" in err
    assert "5 maps of 'first' are of none of the clips" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gone.npz --data store", "There are no maps 'gone.npz': it may be an .npz"),
        ("first.npz --data store --protocol negatives", "'negatives' needs a model"),
        ("first.npz --data store --protocol lvz", "no protocol 'lvz'"),
        ("first.npz --data store --protocol slavc", "before a temperature divides them"),
        ("first.npz --data store --values volts", "'volts' is not one of"),
        ("first.npz --data store --protocol slavc-extended --confidence gone.csv", "gone.csv"),
        (
            "first.npz --data store --protocol ez-vsl --confidence sure.csv",
            "given, but 'ez-vsl' does not use it",
        ),
        (
            "first.npz --data store --protocols ez-vsl,lvs --confidence sure.csv",
            "given, but neither 'ez-vsl' nor 'lvs' uses it",
        ),
        ("first.npz --data store --protocol acl", "The map 'scene 0_0' in 'first.npz' of clip"),
        ("first.npz --data store --out first.npz", "must end in"),
        ("store --data store", "'store' holds no maps"),
    ],
)
def test_bad_input_ends_in_one_sentence(hearsight: Hearsight, line: str, said: str) -> None:
    Path("sure.csv").write_text("id,confidence\n" + "".join(f"{id},0.5\n" for id in MAPS))
    refused(hearsight, f"score {line}", said)


def test_rows_of_different_clips_are_told_apart_beneath_the_table(hearsight: Hearsight) -> None:
    fewer = dict(list(MAPS.items())[:4])
    np.savez("fewer.npz", **fewer)
    code, out, err = hearsight("score first.npz fewer.npz --data store --protocols lvs,masks")
    assert code == 0, err
    for name in ("lvs", "masks"):
        assert f"Rows under {name} are of different clips (first 6, fewer 4)" in out
    assert "are of different clips" not in hearsight("score first.npz second.npz --data store")[1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("first.npz gone.npz --data store", "There are no maps 'gone.npz'"),
        ("first.npz other.npz --data store", "None of the 1 maps is of one of the 6 clips"),
        ("first.npz --data store --protocols lvs,slavc", "before a temperature divides them"),
        ("first.npz grey --data store --protocols lvs,slavc --values cosine", "is a picture"),
    ],
)
def test_maps_that_cannot_be_scored_are_refused_before_the_first_are(
    hearsight: Hearsight, line: str, said: str
) -> None:
    np.savez("other.npz", elsewhere=np.eye(7))
    Path("grey").mkdir()
    Image.fromarray(np.eye(7, dtype=np.uint8)).save("grey/scene 0_0.png")
    if "grey" in line:
        np.savez("first.npz", **{id: one / 100 for id, one in MAPS.items()})
    code, _, err = hearsight(f"score {line}")
    assert code == 2
    assert said in err
    assert "scoring" not in err


@pytest.mark.parametrize("command", ["score first.npz", "evaluate ssl_tie:small"])
@pytest.mark.parametrize(
    ("data", "protocols", "said"),
    [
        ("plain", "lvs,masks", "has no mask"),
        ("plain", "lvs,interactive", "No two clips share a frame"),
        ("bare", "masks,lvs", "None of the 6 clips has boxes"),
    ],
)
def test_clips_that_the_last_protocol_cannot_score_are_refused_before_the_first_does(
    hearsight: Hearsight, command: str, data: str, protocols: str, said: str
) -> None:
    with StoreWriter(Path("plain")) as plain, StoreWriter(Path("bare")) as bare:
        for clip in make_pairs(3).clips:
            kept = {"frame": clip.frame, "sound": clip.sound}
            plain.add(encode_clip(clip.id.replace("_", ""), **kept, boxes=clip.boxes))
            bare.add(encode_clip(clip.id, **kept, mask=clip.mask))
    np.savez("first.npz", **MAPS, **{id.replace("_", ""): one for id, one in MAPS.items()})
    code, _, err = hearsight(f"{command} --data {data} --protocols {protocols}")
    assert code == 2
    assert said in err.splitlines()[-1]
    assert "scoring" not in err
