"""Every protocol: the same numbers for any batch size and number of workers, threads, processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from made_commands import Hearsight
from made_models import MadeClips
from made_networks import resnet_18

from hearsight.checkpoints.checkpoint import Model, load_model
from hearsight.clips.clip import DecodedClip, UnreadableClip, encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.datasets.open import open_joined
from hearsight.scoring.inference import Inference, PreparedClip, prepare_clip
from hearsight.scoring.negatives import NegativeSounds
from hearsight.scoring.object_guidance import ObjectGuide, load_guide
from hearsight.scoring.protocol_registry import evaluate_protocol, protocol_table
from hearsight.scoring.protocols import load_protocol

NAMES = [row["protocol"] for row in protocol_table()]
SETTINGS = [(32, 2, 1), (1, 3, 3), (7, 1, 2)]  # batch size, workers, threads
EVERY_SETTING = ("ssl-tie", "negatives", "duets", "interactive", "masks", "avatar")
"""One protocol of each way to read clips and to score; the others are tried with two settings."""
MODEL = "ssl_tie:small"


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@cache
def loaded() -> Model:
    """The model, which no evaluation changes."""
    return load_model(MODEL)


@cache
def clips_for(kind: str) -> MadeClips:
    """Composed scenes, decoded once; one of them cannot be read, and ends no full batch."""
    specs = {"pairs": ["pairs:toys"], "extended": ["toys", "offscreen:toys"], "boxes": ["toys"]}
    count = {"pairs": 6, "extended": 6, "boxes": 11}[kind]
    opened = open_joined(specs[kind], split="val", size=112, count=count)
    found = MadeClips([opened[index] for index in range(len(opened))])
    found.clips[4] = UnreadableClip(found.ids[4], "its frame is damaged")
    return found


def kind_of(name: str) -> str:
    if name in ("interactive", "duets"):
        return "pairs"
    return "extended" if "extended" in name else "boxes"


def scored(
    name: str, batch: int, workers: int, threads: int, guide: ObjectGuide | None = None
) -> Any:
    """All that an evaluation gives, floats by their exact digits."""
    torch.set_num_threads(threads)
    encoders, recipe, _ = loaded()
    model = Inference(
        encoders=encoders,
        recipe=recipe,
        device=torch.device("cpu"),
        batch_size=batch,
        workers=workers,
        guide=guide,
    )
    found = evaluate_protocol(model, clips_for(kind_of(name)), name)
    assert torch.get_num_threads() == threads
    return json.dumps([found.rows, found.notes, found.clips])


def test_protocols_that_are_tried_with_every_setting_are_there() -> None:
    assert {*EVERY_SETTING} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_batches_workers_and_threads_change_no_digit(name: str) -> None:
    settings = SETTINGS if name in EVERY_SETTING else SETTINGS[:2]
    first, *others = (scored(name, *setting) for setting in settings)
    for setting, other in zip(settings[1:], others, strict=True):
        assert other == first, f"{setting} and {SETTINGS[0]} differ"


@pytest.mark.parametrize("name", ["ez-vsl", "slavc", "masks"])
def test_nor_where_an_object_network_is_mixed_in(name: str, tmp_path: Path) -> None:
    torch.save(resnet_18(), tmp_path / "resnet18.pth")
    guide = load_guide(tmp_path / "resnet18.pth")
    first, other = (scored(name, *setting, guide=guide) for setting in SETTINGS[:2])
    assert other == first


def test_the_order_of_the_clips_changes_no_negative_sound() -> None:
    encoders, recipe, _ = loaded()
    model = Inference(encoders=encoders, recipe=recipe, device=torch.device("cpu"))
    heard = []
    for clips in (clips_for("boxes"), MadeClips(clips_for("boxes").clips[::-1])):
        prepared = [
            prepare_clip(clips, at, model, load_protocol("ssl-tie"), "boxes")
            for at in range(len(clips))
        ]
        items = [item for item in prepared if isinstance(item, PreparedClip)]
        sounds = NegativeSounds(model, clips, draws=2, seed=0)(items)
        heard.append({item.id: [one[at] for one in sounds] for at, item in enumerate(items)})
    assert heard[0].keys() == heard[1].keys()
    for id, own in heard[0].items():
        assert all(map(torch.equal, own, heard[1][id]))


def test_processes_print_and_write_the_same(hearsight: Hearsight, tmp_path: Path) -> None:
    """This process, and one of another order of sets, with other threads and batches."""
    with StoreWriter(tmp_path / "store") as writer:
        for clip in clips_for("boxes").clips:
            if isinstance(clip, DecodedClip):
                kept = {"label": clip.label, "boxes": clip.boxes}
                assert writer.add(encode_clip(clip.id, clip.frame, clip.sound, **kept))
    words = ["evaluate", MODEL, "--data", "store", "--device", "cpu", "--json"]
    words += ["--protocol", "negatives"]
    code, here, _ = hearsight(f"{' '.join(words)} --threads 1 --batch-size 1 --scores 1.csv")
    assert code == 0
    options = ["--threads", "2", "--batch-size", "2", "--scores", "2.csv"]
    there = subprocess.run(
        [sys.executable, "-m", "hearsight", *words, *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert here == there.stdout
    assert (tmp_path / "1.csv").read_text() == (tmp_path / "2.csv").read_text()
