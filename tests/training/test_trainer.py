"""The loop: it learns, logs, survives being killed, and says plainly when it cannot go on."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_runs import QUIET, few_scenes, same, tiny_recipe, weights_of

from hearsight.checkpoints.checkpoint import BEST, LAST, load_checkpoint
from hearsight.clips.clip import DecodedClip, UnreadableClip
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.training.batches import Batches
from hearsight.training.run import Run
from hearsight.training.run_folder import LOG, read_log, step_seed
from hearsight.training.trainer import train


@pytest.fixture
def tiny() -> Recipe:
    return tiny_recipe()


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return few_scenes()


def test_a_run_leaves_a_log_and_checkpoints_that_hold_recipe_and_facts(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    validation = open_clips("toys", split="val", size=32, count=8)
    facts = {"data": "toys"}
    options = replace(QUIET, facts=facts)
    result = train(tiny, scenes, tmp_path / "run", validation=validation, options=options)
    assert result.steps == 9
    assert result.finished
    entries = read_log(result.folder)
    trained = [entry for entry in entries if entry["kind"] == "train"]
    assert [entry["step"] for entry in trained] == list(range(1, 10))
    for entry in trained:
        assert {"contrast", "equivariance", "learning_rate", "samples_per_second"} <= set(entry)
        assert entry["loss"] == pytest.approx(entry["contrast"] + entry["equivariance"])
    assert [entry["epoch"] for entry in entries if entry["kind"] == "validation"] == [1, 2, 3]
    for name in (LAST, BEST):
        checkpoint = load_checkpoint(result.folder / name)
        assert checkpoint.recipe == tiny
        assert checkpoint.facts["data"] == "toys"
        assert -1 <= checkpoint.facts["threshold"] <= 1
    assert facts == {"data": "toys"}
    assert any((result.folder / "tensorboard").iterdir())


def test_one_seed_one_result(tiny: Recipe, scenes: Scenes, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(tiny, scenes, tmp_path / name, options=QUIET)
    train(replace(tiny, seed=5), scenes, tmp_path / "other", options=QUIET)
    assert same(weights_of(tmp_path / "one"), weights_of(tmp_path / "two"))
    assert not same(weights_of(tmp_path / "one"), weights_of(tmp_path / "other"))


KILLED = """
import os, sys, torch
import torch._dynamo, torch.utils.tensorboard  # by training too, then by each process anew
from pathlib import Path
torch.set_num_threads(1)
from hearsight.checkpoints.checkpoint import load_checkpoint
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.trainer import train
recipe = load_checkpoint(Path(sys.argv[2])).recipe
scenes = Scenes(load_pack("toys", split="train", classes=4), 12, size=40, endless=True)
folder = Path(sys.argv[1])
for _ in sys.stdin:  # a line asks for a process that trains, which is cheap to fork from here
    process = os.fork()
    if not process:
        options = TrainingOptions(
            device="cpu", workers=0, log_every=1, save_every=2, resume=folder.exists()
        )
        train(recipe, scenes, folder, options=options)
        os._exit(0)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.mark.timeout(600)
def test_a_run_killed_again_and_again_ends_with_the_weights_of_an_undisturbed_one(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tiny.epochs = 5
    whole = train(tiny, scenes, tmp_path / "whole", options=QUIET).folder
    torch.set_num_threads(threads)
    folder = tmp_path / "killed"
    kills, code = 0, -1
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(whole / LAST)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        while code:
            print(file=server.stdin)
            process = int(server.stdout.readline())
            wanted = 5 * (kills + 1)  # steps after which this attempt is killed
            with suppress(ProcessLookupError):  # it has ended
                while kills < 2:
                    os.kill(process, 0)
                    if any(entry["step"] >= wanted for entry in read_log(folder)):
                        os.kill(process, signal.SIGKILL)
                        break
                    time.sleep(0.01)
            code = int(server.stdout.readline())
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
    assert kills >= 1
    assert same(weights_of(whole), weights_of(folder))
    steps = [entry["step"] for entry in read_log(folder) if entry["kind"] == "train"]
    assert steps == list(range(1, 16))


def test_a_run_stopped_by_its_minutes_can_be_resumed_to_the_same_end(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    train(tiny, scenes, tmp_path / "whole", options=QUIET)
    stopped = train(tiny, scenes, tmp_path / "parts", options=replace(QUIET, minutes=1e-9))
    assert not stopped.finished
    assert stopped.steps == 1
    rest = train(tiny, scenes, tmp_path / "parts", options=replace(QUIET, resume=True))
    assert rest.steps == 9
    assert same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_weights(
    tiny: Recipe, scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are kept after step 2; the third step ruins them, the fourth shows it."""
    folder, kept = tmp_path / "run", []

    def read(stage: str, done: int, total: int | None) -> None:
        if stage == "training" and done > 2:
            kept.append((folder / LAST).read_bytes())

    monkeypatch.setattr(Run, "learning_rate", lambda run: 1e30 if run.position.step == 2 else 1e-4)
    options = replace(QUIET, save_every=2, progress=read)
    with pytest.raises(
        HearsightError,
        match=r"The loss is not a number at step 4\. The last good weights are in .*run/last\.saf",
    ):
        train(replace(tiny, batch_size=2), scenes, folder, options=options)
    assert load_checkpoint(folder / LAST).facts["position"]["step"] == 2
    assert [(folder / LAST).read_bytes(), *kept] == [kept[0]] * 3
    assert [entry["step"] for entry in read_log(folder)] == [1, 2, 3]


def test_the_last_checkpoint_is_written_once_at_the_end(
    tiny: Recipe, scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = Run.save, list[tuple[int, str]]()

    def counted(run: Run, name: str, threshold: float | None = None) -> None:
        saved.append((run.position.step, name))
        save(run, name, threshold)

    monkeypatch.setattr(Run, "save", counted)
    recipe = replace(tiny, epochs=1)
    train(recipe, scenes, tmp_path / "often", options=replace(QUIET, save_every=1))
    assert saved == [(1, LAST), (2, LAST), (3, LAST), (3, BEST)]
    train(recipe, scenes, tmp_path / "once", options=QUIET)
    for name in (LAST, BEST):
        often, once = (load_checkpoint(tmp_path / run / name) for run in ("often", "once"))
        assert same(often.weights, once.weights)
        assert often.facts == once.facts


@pytest.mark.parametrize("save_every", [1, 500])
def test_weights_that_the_last_step_made_useless_are_not_kept(
    tiny: Recipe, scenes: Scenes, tmp_path: Path, save_every: int
) -> None:
    """The loss of the only step is sound, and its weights are finite: no map of theirs is."""
    wild = replace(tiny, epochs=1, batch_size=12, learning_rate=1e30)
    folder = tmp_path / "wild"
    with pytest.raises(HearsightError, match=r"response maps are not numbers after step 1\."):
        train(wild, scenes, folder, options=replace(QUIET, save_every=save_every))
    assert not (folder / LAST).exists()
    assert not (folder / BEST).exists()


def spoil(encoders: Encoders) -> None:
    """What a step that overflows leaves in the running statistics, which no training loss sees."""
    encoders.frames.stem_norm.running_var.fill_(torch.inf)


def test_the_last_good_weights_stay_when_a_later_step_makes_useless_ones(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    train(replace(tiny, epochs=1), scenes, folder, options=QUIET)
    good = weights_of(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoders, "update_ema", spoil)
        with pytest.raises(HearsightError, match=r"after step 4\. The last good weights are in"):
            train(tiny, scenes, folder, options=replace(QUIET, resume=True, save_every=1))
    assert same(good, weights_of(folder))


def test_a_used_folder_is_refused_and_another_recipe_not_resumed(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(replace(tiny, epochs=1), scenes, run, options=QUIET)
    with pytest.raises(HearsightError, match="already holds a run: add `resume`"):
        train(tiny, scenes, run, options=QUIET)
    with pytest.raises(HearsightError, match="differs in learning_rate"):
        train(replace(tiny, learning_rate=0.5), scenes, run, options=replace(QUIET, resume=True))
    with pytest.raises(HearsightError, match="no run to resume"):
        train(tiny, scenes, tmp_path / "none", options=replace(QUIET, resume=True))


def test_more_epochs_go_on_from_where_the_run_ended(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(replace(tiny, epochs=1), scenes, run, options=QUIET)
    longer = train(replace(tiny, epochs=2), scenes, run, options=replace(QUIET, resume=True))
    assert longer.steps == 6


def test_a_log_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    whole = {"kind": "train", "step": 1, "epoch": 0}
    (tmp_path / LOG).write_text(json.dumps(whole) + '\n{"kind": "tra')
    assert read_log(tmp_path) == [whole]


@pytest.mark.parametrize(
    "line", [b'{"kind": "train", "step": 2, "\xff": 0}', b"[1, 2]", b"7", b"null", b'{"loss": 1}']
)
def test_a_log_line_that_is_no_entry_is_left_out(tmp_path: Path, line: bytes) -> None:
    whole = {"kind": "train", "step": 1, "epoch": 0}
    entry = json.dumps(whole).encode()
    (tmp_path / LOG).write_bytes(b"\n".join([entry, line, entry, b""]))
    assert read_log(tmp_path) == [whole, whole]


def test_the_logged_learning_rate_is_that_of_its_step(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    train(replace(tiny, epochs=1, decay=True), scenes, tmp_path / "run", options=QUIET)
    rates = [entry["learning_rate"] for entry in read_log(tmp_path / "run")]
    wanted = [tiny.learning_rate * 0.5 * (1 + math.cos(math.pi * done / 3)) for done in range(3)]
    assert rates == pytest.approx(wanted)


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_another_process_wrote_meanwhile_is_not_overwritten(
    tiny: Recipe, scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    """The other one starts and ends between the look at the folder and the lock."""
    short, folder = replace(tiny, epochs=1), tmp_path / "run"
    if resume:
        train(short, scenes, folder, options=QUIET)

    def late(self: Batches, *arguments: object, **options: object) -> None:
        monkeypatch.undo()
        other = replace(tiny, epochs=2)
        train(other, scenes, folder, options=replace(QUIET, resume=resume))
        Batches.__init__(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Batches, "__init__", late)
    with pytest.raises(HearsightError, match=r"Another process has just written a run to .*run:"):
        train(short, scenes, folder, options=replace(QUIET, resume=resume))
    assert load_checkpoint(folder / LAST).facts["position"]["epoch"] == 2
    assert [entry["step"] for entry in read_log(folder)] == [1, 2, 3, 4, 5, 6]
    assert not (folder / LOCK).exists()


def test_scores_of_other_validation_clips_are_not_compared(
    tiny: Recipe, scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first clips are easy; on the others every score is lower, and yet the best of theirs."""
    easy, hard = (open_clips("toys", split="val", size=32, count=count) for count in (4, 5))
    score = 0.9

    def scored(*arguments: object, **options: object) -> SimpleNamespace:
        return SimpleNamespace(success_rate=score, numbers=dict)

    monkeypatch.setattr("hearsight.training.trainer.evaluate", scored)
    options, folder = replace(QUIET, resume=True), tmp_path / "run"

    def best() -> tuple[int, float]:
        position = load_checkpoint(folder / BEST).facts["position"]
        assert load_checkpoint(folder / LAST).facts["position"]["best"] == position["best"]
        return position["step"], position["best"]

    train(replace(tiny, epochs=1), scenes, folder, validation=easy, options=QUIET)
    assert best() == (3, 0.9)
    score = 0.2
    train(replace(tiny, epochs=2), scenes, folder, validation=easy, options=options)
    assert best() == (3, 0.9)
    train(replace(tiny, epochs=3), scenes, folder, validation=hard, options=options)
    assert best() == (9, 0.2)
    score = 0.1
    train(replace(tiny, epochs=4), scenes, folder, options=options)  # without any: nothing changes
    assert best() == (9, 0.2)
    other = replace(options, protocol="lvs")
    train(replace(tiny, epochs=5), scenes, folder, validation=hard, options=other)
    assert best() == (15, 0.1)


class Broken:
    """Scenes of which one cannot be read."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes, self.ids = scenes, scenes.ids

    def __len__(self) -> int:
        return len(self.scenes)

    def sound(self, index: int) -> np.ndarray:
        return self.scenes.sound(index)

    def __getitem__(self, index: int) -> DecodedClip:
        if index == 3:
            raise UnreadableClip(self.ids[3], "its frame is cut short")
        return self.scenes[index]


def test_an_unreadable_clip_is_named_in_the_result(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    clips = Broken(scenes)
    result = train(replace(tiny, epochs=1), clips, tmp_path / "run", options=QUIET)
    assert result.unreadable == {clips.ids[3]: "its frame is cut short"}


class Lonely(Broken):
    """Scenes of which one alone can be read."""

    def __getitem__(self, index: int) -> DecodedClip:
        if index != 3:
            raise UnreadableClip(self.ids[index], "its frame is cut short")
        return self.scenes[index]


def test_a_clip_that_is_left_alone_in_its_batch_teaches_nothing(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    with pytest.raises(HearsightError, match="No batch holds enough clips that can be read"):
        train(tiny, Lonely(scenes), tmp_path / "run", options=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_layout_that_would_damage_memory_is_refused(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    with pytest.raises(HearsightError, match="multiples of 8"):
        train(replace(tiny, channels_last=True), scenes, tmp_path / "run", options=QUIET)


def test_step_seeds_do_not_meet() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000


def test_the_best_weights_of_a_run_that_is_resumed_without_validation_are_its_last(
    tiny: Recipe, scenes: Scenes, tmp_path: Path
) -> None:
    train(replace(tiny, epochs=1), scenes, tmp_path / "run", options=QUIET)
    train(tiny, scenes, tmp_path / "run", options=replace(QUIET, resume=True))
    best, last = (load_checkpoint(tmp_path / "run" / name) for name in (BEST, LAST))
    assert best.facts["position"]["epoch"] == 3
    assert same(best.weights, last.weights)


def test_a_run_is_not_resumed_on_other_clips(tiny: Recipe, scenes: Scenes, tmp_path: Path) -> None:
    train(replace(tiny, epochs=1), scenes, tmp_path / "run", options=QUIET)
    others = Scenes(load_pack("toys", split="train", classes=3), 12, size=40, endless=True)
    with pytest.raises(HearsightError, match="was made on other clips"):
        train(tiny, others, tmp_path / "run", options=replace(QUIET, resume=True))
