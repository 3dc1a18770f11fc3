"""The run folder: what a failed run leaves in it, and what counts as a run to resume."""

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_runs import QUIET, few_scenes, tiny_recipe

from hearsight.checkpoints.checkpoint import BEST, LAST, Checkpoint, load_checkpoint
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe_file import RECIPE
from hearsight.recipes.serialisation import assign
from hearsight.studies.comparison_folder import train_once
from hearsight.training import run, run_folder
from hearsight.training.run import Run
from hearsight.training.run_folder import (
    BOARD,
    LOG,
    Log,
    TrainingOptions,
    carry_facts,
    has_begun,
    read_log,
    thread_warnings,
    warm_up_warnings,
)
from hearsight.training.trainer import train


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let the system refuse to write more bytes than so many into one file, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # tensorboard's
@pytest.mark.parametrize("size", [40, 8192])  # too little for the log, or for the checkpoint alone
def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing(
    tmp_path: Path, size: int
) -> None:
    recipe, clips, folder = replace(tiny_recipe(), epochs=1), few_scenes(), tmp_path / "run"
    with no_file_above(size), pytest.raises((HearsightError, OSError)):
        train(recipe, clips, folder, options=QUIET)
    assert not folder.exists()
    assert train(recipe, clips, folder, options=QUIET).steps == 3


def test_files_of_others_stay_when_a_run_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt at a later step, in a folder that is not the run's own."""
    done = Run.learning_rate

    def interrupted(run: Run) -> float:
        if run.position.step == 2:
            raise KeyboardInterrupt
        return done(run)

    monkeypatch.setattr(Run, "learning_rate", interrupted)
    (tmp_path / BOARD).mkdir()
    for name in ("notes.txt", f"{BOARD}/events.of.others"):
        (tmp_path / name).write_text("mine")
    before = listed(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_recipe(), few_scenes(), tmp_path, options=QUIET)
    assert listed(tmp_path) == before


def test_a_run_that_fails_after_its_first_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Run.save

    def full(run: Run, name: str, threshold: float | None = None) -> None:
        if name == BEST:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(run, name, threshold)

    monkeypatch.setattr(Run, "save", full)
    recipe, clips, folder = replace(tiny_recipe(), epochs=1), few_scenes(), tmp_path / "run"
    with pytest.raises(OSError, match="No space left"):
        train(recipe, clips, folder, options=QUIET)
    assert {LAST, LOG, BOARD} <= set(listed(folder))
    monkeypatch.undo()
    train(recipe, clips, folder, options=replace(QUIET, resume=True))
    assert (folder / BEST).exists()


def test_a_resumed_run_reads_its_last_checkpoint_once_and_ends_by_writing_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    read, write = run_folder.load_checkpoint, run.save_checkpoint

    def reading(path: Path) -> Checkpoint:
        used.append(f"read {path.name}")
        return read(path)

    def writing(path: Path, *arguments: Any, **options: Any) -> None:
        used.append(f"write {path.name}")
        write(path, *arguments, **options)

    monkeypatch.setattr(run_folder, "load_checkpoint", reading)
    monkeypatch.setattr(run, "save_checkpoint", writing)
    recipe, clips, folder = tiny_recipe(), few_scenes(), tmp_path / "run"
    train(replace(recipe, epochs=1), clips, folder, options=QUIET)
    assert used == [f"write {LAST}", f"write {BEST}"]
    used.clear()
    train(replace(recipe, epochs=2), clips, folder, options=replace(QUIET, resume=True))
    assert used == [f"read {LAST}", f"write {LAST}", f"write {BEST}"]


def test_a_resumed_run_removes_what_a_killed_one_left_half_written(tmp_path: Path) -> None:
    recipe, clips, folder = replace(tiny_recipe(), epochs=1), few_scenes(), tmp_path / "run"
    train(recipe, clips, folder, options=QUIET)
    left = [folder / f".{name}.4000000.part" for name in (LAST, BEST, LOG)]
    others = [folder / ".last.safetensors.mine.part", folder / ".painted.mp4.4000000.part"]
    for file in (*left, *others):
        file.write_text("half")
    train(replace(recipe, epochs=2), clips, folder, options=replace(QUIET, resume=True))
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in others)


def test_an_interrupt_while_the_threshold_is_chosen_does_not_cost_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "choose_threshold", interrupted)
    recipe = replace(tiny_recipe(), epochs=1)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, few_scenes(), tmp_path / "run", options=QUIET)
    facts = load_checkpoint(tmp_path / "run" / LAST).facts
    assert facts["position"]["epoch"] == 1
    assert "threshold" not in facts


def test_a_resumed_run_keeps_the_leaks_and_the_selection_of_its_earlier_part() -> None:
    leak = {"role": "test", "test": "a", "test_clips": 3, "clips_in_both": 1}
    before = {"selected_on_test": True, "leak_check": [leak, {**leak, "test": "b"}], "data": "old"}
    now = {"selected_on_test": False, "leak_check": [{**leak, "clips_in_both": 2}], "data": "new"}
    assert carry_facts(before, now) == {
        "selected_on_test": True,
        "leak_check": [{**leak, "test": "b"}, {**leak, "clips_in_both": 2}],
        "data": "new",
    }
    assert carry_facts({}, now) == now
    assert carry_facts(before, {}) == {name: before[name] for name in before if name != "data"}


@pytest.mark.parametrize("fresh", [True, False])
def test_a_log_that_cannot_begin_is_removed_if_it_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", refuse)
    with pytest.raises(OSError, match="No space left"):
        Log(tmp_path, tiny_recipe(), step=0, active=True, fresh=fresh)
    assert listed(tmp_path) == ([] if fresh else [LOG, RECIPE])


def test_without_tensorboard_the_log_is_the_same_json_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    recipe = replace(tiny_recipe(), epochs=1)
    train(recipe, few_scenes(), tmp_path / "run", options=QUIET)
    assert [entry["step"] for entry in read_log(tmp_path / "run")] == [1, 2, 3]
    assert listed(tmp_path / "run") == [BEST, LAST, LOG, RECIPE]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), False),
        (("notes.txt",), False),
        ((".hidden",), False),
        ((BEST,), False),
        ((LOCK, "scene.jpg"), False),
        ((LOCK,), True),  # what a killed start leaves: at first, then beside its unfinished log
        ((LOCK, f".{LOG}.7.part"), True),
        ((LOCK, LOG), True),
        ((LOG,), True),
        ((LAST, "notes.txt"), True),
    ],
)
def test_what_counts_as_the_beginning_of_a_run(
    tmp_path: Path, names: tuple[str, ...], found: bool
) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert has_begun(tmp_path) is found
    assert not has_begun(tmp_path / "none")


def test_nothing_is_resumed_where_no_run_began(tmp_path: Path) -> None:
    folder, options = tmp_path / "folder", replace(QUIET, resume=True)
    folder.mkdir()
    for name in (None, "notes.txt"):
        if name is not None:
            (folder / name).touch()
        with pytest.raises(HearsightError, match=r"^There is no run to resume in .*folder: begin"):
            train(tiny_recipe(), few_scenes(), folder, options=options)
    assert listed(tmp_path) == ["folder", "folder/notes.txt"]


def test_a_start_that_was_killed_can_be_resumed_and_fail_and_be_resumed_again(
    tmp_path: Path,
) -> None:
    folder, options = tmp_path / "run", replace(QUIET, resume=True)
    folder.mkdir()
    (folder / LOCK).touch()
    recipe, clips = replace(tiny_recipe(), epochs=1), few_scenes()
    with no_file_above(8192), pytest.raises(HearsightError, match=r"Cannot write .*safetensors"):
        train(recipe, clips, folder, options=options)
    assert train(recipe, clips, folder, options=options).steps == 3


@pytest.mark.parametrize(
    ("names", "resumes"), [(None, False), ((), False), (("notes.txt",), False), ((LOG,), True)]
)
def test_a_comparison_resumes_what_has_begun_and_begins_the_rest(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...] | None,
    resumes: bool,
) -> None:
    folder, asked, told = tmp_path / "run", list[bool](), list[str]()
    if names is not None:
        folder.mkdir()
    for name in names or ():
        (folder / name).touch()

    def trained(*arguments: object, options: TrainingOptions, **others: object) -> SimpleNamespace:
        asked.append(options.resume)
        folder.mkdir(exist_ok=True)
        return SimpleNamespace(finished=True, steps=0, unreadable={"torn": "it is cut off"})

    monkeypatch.setattr("hearsight.studies.comparison_folder.train", trained)
    train_once(tiny_recipe(), few_scenes(), folder, replace(QUIET, notice=told.append))
    assert asked == [resumes]
    assert told == ["skipped torn: it is cut off"]


def test_threads_are_told_of_where_their_number_is_known_and_differs() -> None:
    assert thread_warnings(Path("run"), {"threads": 4}, 4) == []
    assert thread_warnings(Path("run"), {}, 4) == []  # of a checkpoint that does not hold it
    (told,) = thread_warnings(Path("run"), {"threads": 4}, 1)
    assert "had 4 CPU threads and goes on with 1:" in told


def test_a_run_that_ends_within_the_warm_up_of_its_objective_is_told() -> None:
    """FNAC of no more epochs than its warm-up is EZ-VSL: its regularisers never count."""
    for epochs, told in ((0, 0), (1, 1), (5, 1), (6, 0)):
        recipe = assign(load_recipe("fnac:small"), f"epochs={epochs}")
        assert len(warm_up_warnings(recipe)) == told
    assert "first 5 epochs" in warm_up_warnings(assign(load_recipe("fnac:small"), "epochs=4"))[0]
    assert warm_up_warnings(assign(load_recipe("ez_vsl:small"), "epochs=1")) == []
    pretrained = load_recipe("fnac:pretrained")
    assert warm_up_warnings(assign(pretrained, "epochs=2")) == []
