"""Protocols by name: the table, the command, every one of them on data that fits it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_models import Follower, make_model, make_pairs
from made_networks import resnet_18

from hearsight.checkpoints.checkpoint import save_checkpoint
from hearsight.clips.clip import encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.commands import cli
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.serialisation import assign
from hearsight.scoring.protocol_registry import (
    CUSTOM_PROTOCOLS,
    check_name,
    evaluate_protocol,
    protocol_table,
)
from hearsight.scoring.protocols import PROTOCOLS, load_protocol

Command = Callable[..., tuple[int, str, str]]


def test_every_protocol_has_one_row() -> None:
    rows = protocol_table()
    names = [row["protocol"] for row in rows]
    assert names == [
        *(p.name for p in PROTOCOLS),
        *(custom.base.name for custom in CUSTOM_PROTOCOLS),
    ]
    assert len(set(names)) == len(names)
    assert all(all(row.values()) for row in rows), "no cell is empty"
    by_name = {row["protocol"]: row for row in rows}
    assert by_name["slavc"]["threshold"] == "fixed: 0.5"
    assert by_name["slavc"]["marked"] == ">="
    assert by_name["htf"]["up-sampling"] == "bicubic, centres"
    assert "4,670" in by_name["htf"]["sets of its authors"]
    assert "Flickr 250" in by_name["slavc"]["sets of its authors"]
    assert "Flickr 250 + 250" in by_name["slavc-extended:flickr"]["sets of its authors"]
    assert by_name["negatives"]["map"] == "cosine"
    assert by_name["masks"]["truth"] == "masks"
    assert by_name["ssl-align:flickr"]["up-sampling"] == "bilinear, corners"


@pytest.mark.parametrize("name", [p.name for p in PROTOCOLS if ":" not in p.name])
def test_maps_are_scored_by_name(name: str) -> None:
    found = evaluate_protocol(make_model(Follower), make_pairs(2), name)
    assert found.protocol == name
    assert found.rows[0]["adaptive cIoU@0.5"] == 1
    assert found.rows[-1]["name"] == "ceiling"
    assert {line["protocol"] for line in found.clips} == {name}


def test_names_that_no_protocol_has() -> None:
    with pytest.raises(HearsightError, match=r"no protocol 'mask'.*Did you mean 'masks'"):
        check_name("mask")
    with pytest.raises(HearsightError, match="'slavc-extended'"):
        evaluate_protocol(make_model(Follower), make_pairs(1), "slavc-extend")
    with pytest.raises(HearsightError, match="no protocol 'masks'"):
        load_protocol("masks")  # of maps and boxes alone


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command in an empty folder: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hearsight", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return call


def write_model(path: Path) -> None:
    recipe = load_recipe("ssl_tie:small_a")
    for change in ("encoder.widths=[8,8,8,8]", "frame_size=48"):
        assign(recipe, change)
    save_checkpoint(path, Encoders(recipe.encoder), recipe)


def write_pairs(folder: Path) -> None:
    with StoreWriter(folder) as writer:
        for clip in make_pairs(2).clips:
            kept = {"label": clip.label, "boxes": clip.boxes, "mask": clip.mask}
            assert writer.add(encode_clip(clip.id, clip.frame, clip.sound, **kept))


def test_the_command_runs_every_task(run: Command) -> None:
    write_model(Path("model.safetensors"))
    write_pairs(Path("store"))
    torch.save(resnet_18(), "resnet18.pth")
    Path("list.txt").write_text("scene 0_0\nscene 0_1\nscene 9_9\n")
    start = ("evaluate", "model.safetensors", "--data", "store", "--device", "cpu")
    for name in ("interactive", "duets", "masks"):
        code, out, _ = run(*start, "--protocol", name, "--json")
        assert code == 0
        assert json.loads(out.splitlines()[0])["protocol"] == name
    code, out, _ = run(*start, "--protocol", "sspl", "--ogl", "resnet18.pth", "--ogl-share", "0.5")
    assert code == 0
    assert "blind: objects alone" in out
    code, out, err = run(*start, "--ids", "list.txt", "--scores", "scores.csv")
    assert code == 0
    assert "list: list" in " ".join(out.split())
    assert "1 id in 'list.txt' is not among the clips: scene 9_9" in err
    assert len(Path("scores.csv").read_text().splitlines()) == 3


def test_protocols_are_listed_in_80_columns_and_shown_one_by_one(run: Command) -> None:
    rows = {row["protocol"]: row for row in protocol_table()}
    code, out, _ = run("protocols")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(rows)
    assert max(map(len, out.splitlines())) <= 80
    assert [json.loads(line) for line in run("protocols", "--json")[1].splitlines()] == [
        *rows.values()
    ]
    for name, row in rows.items():
        code, out, _ = run("protocols", name)
        assert code == 0
        assert " ".join(out.split()) == " ".join(f"{key} {text}" for key, text in row.items())
        assert max(map(len, out.splitlines())) <= 80
    assert json.loads(run("protocols", "slavc", "--json")[1]) == rows["slavc"]
    code, out, err = run("protocols", "slavcc")
    assert (code, out) == (2, "")
    assert "Did you mean 'slavc'?" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--protocol negatives", "negative sounds need clips of two classes"),
        ("--protocol slavc-extended", "Every clip has a visible source"),
        ("--protocol duet", "Did you mean 'duets'?"),
        ("--ids none.txt", "none.txt"),
        ("--ids other.txt", "None of the 1 ids in 'other.txt'"),
        ("--ogl none.pth", "none.pth"),
        ("--ogl other.txt", "other.txt"),
        ("--ogl-share 0.5", "--ogl-share needs the object network"),
        ("--protocol negatives --draws 0", "--draws"),
    ],
)
def test_mistakes_end_in_one_sentence(run: Command, words: str, said: str) -> None:
    write_model(Path("model.safetensors"))
    write_pairs(Path("store"))
    Path("other.txt").write_text("elsewhere\n")
    before = sorted(Path().rglob("*"))
    code, out, err = run("evaluate", "model.safetensors", "--data", "store", *words.split())
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err
    assert sorted(Path().rglob("*")) == before
