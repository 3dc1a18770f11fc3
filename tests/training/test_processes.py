"""A whole training by torch's launcher: two processes leave what one leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hearsight.checkpoints.checkpoint import LAST, load_checkpoint
from hearsight.clips.clip import encoded
from hearsight.clips.shard_writer import StoreWriter
from hearsight.model.encoders import Encoders
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.training.run_folder import read_log

SETTINGS = (
    *("batch_size=8", "epochs=2", "frame_size=32", "channels_last=false"),
    *("encoder.widths=8,16", "encoder.blocks=1,1", "encoder.strides=1,2"),
    *("encoder.sound_strides=2,2", "learning_rate=1e-4"),
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    scenes = Scenes(load_pack("toys", split="train", classes=4), 24, size=40)
    with StoreWriter(tmp_path / "store") as writer:
        for index in range(len(scenes)):
            writer.add(encoded(scenes, index))
    return tmp_path / "store"


def launch(
    store: Path,
    run: Path,
    processes: int,
    recipe: str = "ssl_tie:small",
    settings: tuple[str, ...] = SETTINGS,
) -> subprocess.CompletedProcess[str]:
    """`hearsight train` in so many processes."""
    launcher = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(processes), "-m", "hearsight"),
    ]
    changes = [word for one in settings for word in ("--set", one)]
    return subprocess.run(
        [
            *(*launcher, "train", recipe, "--data", str(store), "--out", str(run)),
            *(*changes, "--device", "cpu", "--workers", "0", "--threads", "1"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        timeout=280,
    )


@pytest.mark.slow
def test_two_launched_processes_train_what_one_trains(store: Path, tmp_path: Path) -> None:
    found = {}
    for processes in (1, 2):
        run = tmp_path / f"by{processes}"
        done = launch(store, run, processes)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count('"finished": true') == 1  # only the first process speaks
        found[processes] = load_checkpoint(run / LAST)
        assert found[processes].facts["position"]["step"] == 6
        assert [entry["kind"] for entry in read_log(run)].count("train") <= 6
    torch.manual_seed(found[1].recipe.seed)
    moved = gap = 0.0
    start = Encoders(found[1].recipe.encoder)
    for name, value in start.named_parameters():
        moved += float((found[1].weights[name] - value.detach()).abs().sum())
        gap += float((found[1].weights[name] - found[2].weights[name]).abs().sum())
    assert moved > 0
    # Adam divides by the gradient's size, so rounding may turn a step that is nearly nought
    assert gap < 0.02 * moved


@pytest.mark.slow
def test_the_launcher_begins_as_many_processes_as_it_is_told(store: Path, tmp_path: Path) -> None:
    odd = (*SETTINGS, "batch_size=7")
    assert "cannot be shared by 2 processes" in launch(store, tmp_path, 2, settings=odd).stderr


@pytest.mark.slow
def test_a_recipe_that_teaches_no_frames_trains_in_two_processes(
    store: Path, tmp_path: Path
) -> None:
    done = launch(store, tmp_path / "run", 2, "vgg_h:small")
    assert done.returncode == 0, done.stderr[-2000:]
    assert load_checkpoint(tmp_path / "run" / LAST).facts["position"]["step"] == 6
