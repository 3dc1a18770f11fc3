"""The pace of a run by a clock of the test: what is left, what is said of it, and what fits."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_runs import QUIET, few_scenes, same, tiny_recipe, weights_of

from hearsight.checkpoints.checkpoint import BEST, LAST, load_checkpoint
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.recipes.catalogue import lighter_recipes, load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.training import pace as pace_module
from hearsight.training import run as run_module
from hearsight.training import trainer
from hearsight.training.pace import Pace, Work, sampled_seconds, work_left
from hearsight.training.report import TrainingReport, duration
from hearsight.training.run import Run
from hearsight.training.run_folder import read_log
from hearsight.training.trainer import train


class Clock:
    """Goes on when it is told to, and by `tick` at each look; one for all modules of training."""

    def __init__(self) -> None:
        self.now, self.tick = 1000.0, 0.0

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (pace_module, run_module, trainer):
        monkeypatch.setattr(module, "time", clock)
    return clock


def test_steps_are_measured_anew_where_features_are_read(clock: Clock) -> None:
    pace = Pace(minutes=None)
    for seconds in (10.0, 1.0):
        pace.begin_epoch()
        for _ in range(3):
            clock.now += seconds
            pace.add_step(torch.tensor(0.0), 1)
        pace.end_epoch()
        assert pace.step() == pytest.approx(seconds)
        pace.forget_steps()


def counted(recipe: Recipe, epoch: int, batch: int) -> Work:
    """The work left, by walking through it."""
    work = Work(steps=0, searches=0, validations=0)
    for each in range(epoch, recipe.epochs):
        assert recipe.mixing is not None
        first = batch if each == epoch else 0
        if first == 0 and recipe.mixing.strength(each, recipe.epochs)[1] > 0:
            work.searches += 1
        for _ in range(first, 7):
            work.steps += 1
        if (each + 1) % recipe.validate_every == 0 or each + 1 == recipe.epochs:
            work.validations += 1
    return work


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("epoch", [0, 1, 4, 5])
@pytest.mark.parametrize("batch", [0, 2])
def test_the_work_left_is_what_a_walk_through_it_counts(every: int, epoch: int, batch: int) -> None:
    recipe = replace(load_recipe("ssl_tie:small"), epochs=5, validate_every=every)
    if epoch == 5:
        batch = 0
    partners = batch > 0 and epoch > 0  # then they were found when the epoch began
    found = work_left(recipe, 7, epoch=epoch, batch=batch, validated=True, partners=partners)
    assert found == counted(recipe, epoch, batch)
    unjudged = work_left(recipe, 7, epoch=epoch, batch=batch, validated=False, partners=partners)
    assert unjudged == replace(found, validations=0)


def steps(pace: Pace, clock: Clock, seconds: list[float]) -> None:
    for each in seconds:
        clock.now += each
        pace.add_step(torch.tensor(each), 4)


def test_a_step_is_measured_without_the_first_and_without_what_lies_between_epochs(
    clock: Clock,
) -> None:
    pace = Pace(minutes=None)
    assert pace.step() is None
    assert pace.seconds(Work(steps=3, searches=0, validations=0)) is None
    pace.begin_epoch()
    steps(pace, clock, [8.0])
    assert pace.step() == 8.0
    steps(pace, clock, [1.0, 2.0])
    assert pace.step() == 1.5
    assert pace.samples_per_second() == pytest.approx(12 / 11)
    assert pace.mean_loss() == pytest.approx(11 / 3)
    assert not pace.is_known()
    pace.end_epoch()
    clock.now += 100  # a validation
    assert pace.step() == 1.5
    assert pace.samples_per_second() == pytest.approx(12 / 11)
    pace.begin_epoch()
    steps(pace, clock, [3.0])
    assert pace.step() == 2.0
    assert pace.is_known()
    assert pace.mean_loss() == 3.0
    pace.search, pace.validation, pace.threshold = 10.0, 20.0, 5.0
    assert pace.seconds(Work(steps=6, searches=2, validations=3)) == 6 * 2 + 20 + 60 + 5


def test_a_long_first_step_is_enough_to_tell(clock: Clock) -> None:
    pace = Pace(minutes=None)
    pace.begin_epoch()
    steps(pace, clock, [35.0])
    assert pace.is_known()
    recipe = load_recipe("ssl_tie")
    work = work_left(recipe, 4500, epoch=0, batch=1, validated=False, partners=False)
    said = pace.describe(recipe, work, batches=4500, device="cpu")
    assert said is not None
    assert said.startswith("Training takes about 146 days on this CPU: 359,999 steps of 35 s, 79 ")
    for name, words in lighter_recipes("ssl_tie").items():
        assert f"{name} ({words})" in said
    assert "ssl_tie:small (" in said
    assert "Lighter" not in (pace.describe(recipe, work, batches=4500, device="cuda") or "Lighter")
    short = Work(steps=1, searches=0, validations=1)
    assert pace.describe(recipe, short, batches=4500, device="cpu") is None
    assert "1 validation of" in (
        pace.describe(recipe, replace(short, steps=9), batches=4500, device="cpu") or ""
    )


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (30.0, "`minutes=30` allows about 2.5 epochs of it, with 90 s kept to validate and save."),
        (5.0, "`minutes=5` allows about 20 steps of it, with"),
        (0.1, "`minutes=0.1` allows about 1 step of it, with"),
        (900.0, None),
    ],
)
def test_what_fits_into_the_minutes_is_said(clock: Clock, minutes: float, said: str | None) -> None:
    pace = Pace(minutes=minutes, validation=60.0, threshold=30.0)
    pace.begin_epoch()
    steps(pace, clock, [10.0])
    recipe = load_recipe("ez_vsl:small")
    work = Work(steps=500, searches=0, validations=8)
    found = pace.describe(recipe, work, batches=63, device="cpu")
    assert found is not None
    assert (said in found) if said else ("`minutes" not in found)


def test_lighter_recipes_are_those_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert next(iter(lighter_recipes("ssl_tie:b"))) == "ssl_tie:small_b"
    assert lighter_recipes("ssl_tie:small") == {}
    assert lighter_recipes("ssl_tie:small_b") == {}
    assert lighter_recipes("mine") == {}
    made = {"lvs": "Whole.", "lvs:small": "Less.", "lvs:pretrained": "Begun.", "lvs:b": "B."}
    monkeypatch.setattr("hearsight.recipes.catalogue.describe_recipes", lambda: made)
    assert lighter_recipes("lvs") == {"lvs:small": "Less", "lvs:pretrained": "Begun"}
    assert lighter_recipes("lvs:b") == {"lvs:small": "Less", "lvs:pretrained": "Begun"}


def test_samples_are_few_and_count_for_all(clock: Clock) -> None:
    asked: list[int] = []

    def work(each: float) -> Callable[[list[int]], None]:
        def done(places: list[int]) -> None:
            asked.append(len(places))
            clock.now += each * len(places)

        return done

    assert sampled_seconds(1000, work(0.1)) == pytest.approx(100)
    assert sampled_seconds(1000, work(3.0)) == pytest.approx(3000)
    assert sampled_seconds(5, work(0.1)) == pytest.approx(0.5)
    assert asked == [2, 16, 2, 2, 5]

    def refuse(places: list[int]) -> None:
        raise HearsightError("None of the clips can be read.")

    assert sampled_seconds(1000, refuse) == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0412, "0.041 s"),
        (9.4, "9.4 s"),
        (116.0, "116 s"),
        (118.0, "2.0 minutes"),
        (754.0, "13 minutes"),
        (2 * 3600.0, "2.0 hours"),
        (40 * 3600.0, "40 hours"),
        (6.44 * 86400, "6.4 days"),
        (2000.4 * 86400, "2,000 days"),
    ],
)
def test_a_duration_is_said_to_two_digits(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def slow(monkeypatch: pytest.MonkeyPatch, clock: Clock, step: float, validation: float) -> None:
    """Let each step and each whole validation take so many seconds by the clock."""
    clock.tick = 1e-6
    train_step, evaluate = Run.train_step, trainer.evaluate

    def stepped(run: Run, batch: object) -> object:
        clock.now += step
        return train_step(run, batch)  # type: ignore[arg-type]

    def evaluated(model: object, clips: object, *arguments: object, **options: object) -> object:
        clock.now += validation * len(clips) / 8  # type: ignore[arg-type]
        return evaluate(model, clips, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "train_step", stepped)
    monkeypatch.setattr(trainer, "evaluate", evaluated)
    monkeypatch.setattr(pace_module, "evaluate", evaluated)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("minutes", "wanted"),
    [
        (1.6, 4),  # 96 s: 10 to measure the validation by 2 clips, 4 steps of 10, 40 to validate
        (0.01, 1),  # not even one step fits: one is taken
        (2.0, 6),  # an epoch, after which no validation is due
        (3.5, 15),
    ],
)
def test_minutes_end_with_a_validated_checkpoint_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, minutes: float, wanted: int
) -> None:
    slow(monkeypatch, clock, step=10.0, validation=40.0)
    validation = open_clips("toys", split="val", size=32, count=8)
    recipe = replace(tiny_recipe(), validate_every=4, batch_size=2)  # 6 steps in an epoch
    told: list[str] = []
    options = replace(QUIET, minutes=minutes, tell_time=True, notice=told.append)
    begin = clock.now
    result = train(recipe, few_scenes(), tmp_path / "run", validation=validation, options=options)
    assert (result.finished, result.steps) == (False, wanted)
    if wanted > 1:
        assert 60 * minutes - 20 <= clock.now - begin <= 60 * minutes
    judged = [one for one in read_log(tmp_path / "run") if one["kind"] == "validation"]
    assert [one["step"] for one in judged] == [wanted]
    assert result.best == judged[0]["adaptive_success_rate"]
    for name in (BEST, LAST):
        facts = load_checkpoint(tmp_path / "run" / name).facts
        assert -1 <= facts["threshold"] <= 1
        assert facts["position"]["step"] == wanted
    assert len(told) == 1
    assert f"`minutes={minutes:g}` allows about" in told[0]


@pytest.mark.slow
def test_a_validation_within_an_epoch_changes_no_weight_that_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    validation = open_clips("toys", split="val", size=32, count=8)
    slow(monkeypatch, clock, step=10.0, validation=1.0)
    train(tiny_recipe(), few_scenes(), tmp_path / "whole", options=QUIET)
    run = tmp_path / "parts"
    for minutes in (0.3, None):
        options = replace(QUIET, minutes=minutes, resume=minutes is None)
        train(tiny_recipe(), few_scenes(), run, validation=validation, options=options)
    assert same(weights_of(tmp_path / "whole"), weights_of(run))
    steps = [one["step"] for one in read_log(run) if one["kind"] == "validation"]
    assert steps[0] < 3
    assert steps[-1] == 9


def test_a_step_tried_before_the_first_changes_no_weight(tmp_path: Path) -> None:
    guesses = []

    def guess(run: Run) -> None:
        Run.guess_step(run)
        guesses.append(run.pace.guess)

    dropout = assign(tiny_recipe(), "encoder.dropout=0.2")
    for name, tells in (("told", True), ("plain", False)):
        options = replace(QUIET, tell_time=tells)
        train(dropout, few_scenes(), tmp_path / name, options=options)
    assert same(weights_of(tmp_path / "told"), weights_of(tmp_path / "plain"))
    run = Run(dropout, few_scenes(), tmp_path / "third", QUIET)
    before = {name: held.clone() for name, held in run.encoders.state_dict().items()}
    guess(run)
    run.kept.close()
    assert guesses[0] > 0
    assert same(before, run.encoders.state_dict())
    assert all(weights.grad is None for weights in run.encoders.parameters())


def guessed(monkeypatch: pytest.MonkeyPatch, clock: Clock, step: float) -> None:
    """Let a step be guessed at so many seconds, and the guess take 3."""
    clock.tick = 1e-6

    def guess(run: Run) -> None:
        clock.now += 3.0
        run.pace.guess = step

    monkeypatch.setattr(Run, "guess_step", guess)


def test_a_long_run_is_told_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    guessed(monkeypatch, clock, 100.0)
    told: list[str] = []
    reports: list[TrainingReport] = []

    def step(run: Run, batch: object) -> None:
        raise HearsightError("here a step would begin")

    monkeypatch.setattr(Run, "train_step", step)
    recipe = replace(tiny_recipe(), name="ssl_tie", epochs=20)
    options = replace(QUIET, tell_time=True, notice=told.append, report=reports.append)
    with pytest.raises(HearsightError, match="here a step"):
        train(recipe, few_scenes(), tmp_path / "run", options=options)
    assert len(told) == 1
    assert "on this CPU, judged by a few clips: 60 steps of 100 s" in told[0]
    assert "Lighter: ssl_tie:small" in told[0]
    assert [(one.epoch, one.loss, one.step_seconds) for one in reports] == [(1, None, 100.0)]


def test_minutes_that_hold_no_long_step_are_refused_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    guessed(monkeypatch, clock, 100.0)
    recipe = replace(tiny_recipe(), name="ssl_tie")
    options = replace(QUIET, minutes=2.0, started=clock.now - 20.0)  # 3 more for the guess
    with pytest.raises(HearsightError) as refused:
        train(recipe, few_scenes(), tmp_path / "run", options=options)
    assert str(refused.value) == (
        "`minutes=2` is too short for a single step of ssl_tie, which takes about 100 s here, "
        "beside 23 s to begin: give 4 or more, or take ssl_tie:small or ssl_tie:pretrained."
    )
    assert not (tmp_path / "run" / "log.jsonl").exists()
    enough = replace(options, started=None)  # 120 - 3 s
    assert train(recipe, few_scenes(), tmp_path / "run", options=enough).steps > 0


@pytest.mark.parametrize(("slower", "scored"), [(1.0, 48), (4.0, 16)])
def test_a_validation_that_does_not_fit_is_on_fewer_clips(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    slower: float,
    scored: int,
) -> None:
    slow(monkeypatch, clock, step=10.0, validation=8.0)  # 1 s a clip
    fast = trainer.evaluate

    def evaluated(model: object, clips: object, *arguments: object, **options: object) -> object:
        clock.now += (slower - 1) * len(clips)  # type: ignore[arg-type]
        return fast(model, clips, *arguments, **options)  # type: ignore[arg-type]

    validation = open_clips("toys", split="val", size=32, count=48)
    train_step = Run.train_step

    def stepped(run: Run, batch: object) -> object:
        monkeypatch.setattr(trainer, "evaluate", evaluated)  # slower from the first step on
        monkeypatch.setattr(pace_module, "evaluate", evaluated)
        return train_step(run, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "train_step", stepped)
    told: list[str] = []
    options = replace(QUIET, minutes=1.8, notice=told.append)
    begin = clock.now
    folder = tmp_path / "run"
    recipe = replace(tiny_recipe(), batch_size=2)
    result = train(recipe, few_scenes(), folder, validation=validation, options=options)
    assert clock.now - begin <= 108 + 20 * (slower > 1)
    cut = {} if scored == 48 else {"validation": scored}
    assert {key: value for key, value in result.shortened.items() if key == "validation"} == cut
    assert [each for each in told if "validated" in each] == (
        [
            f"The last weights are validated on {scored} of 48 clips: `minutes` leaves no time for "
            "more."
        ]
        if cut
        else []
    )
    assert result.best == read_log(folder)[-1]["adaptive_success_rate"]
    assert load_checkpoint(folder / BEST).facts["threshold"] is not None


def test_a_score_on_fewer_clips_replaces_none_on_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    validation = open_clips("toys", split="val", size=32, count=48)
    slow(monkeypatch, clock, step=1.0, validation=0.0)
    first = train(
        replace(tiny_recipe(), epochs=1),
        few_scenes(),
        tmp_path / "run",
        validation=validation,
        options=QUIET,
    )
    slow(monkeypatch, clock, step=1.0, validation=800.0)
    told: list[str] = []
    options = replace(QUIET, resume=True, minutes=0.01, notice=told.append)
    second = train(
        tiny_recipe(), few_scenes(), tmp_path / "run", validation=validation, options=options
    )
    assert (second.steps, second.best) == (first.steps + 1, first.best)
    assert any(each.startswith("The last weights are not validated") for each in told)
    assert load_checkpoint(tmp_path / "run" / BEST).facts["position"]["step"] == first.steps


def test_a_search_that_does_not_fit_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    def search(*arguments: object, **options: object) -> None:
        raise AssertionError("there is no time for it")

    monkeypatch.setattr(run_module, "find_mixing_partners", search)
    slow(monkeypatch, clock, step=10.0, validation=0.0)
    measure = Run.measure

    def measured(run: Run, validation: object) -> None:
        measure(run, validation)  # type: ignore[arg-type]
        run.pace.search = 1000.0

    monkeypatch.setattr(Run, "measure", measured)
    options = replace(QUIET, minutes=10.0)
    result = train(tiny_recipe(), few_scenes(), tmp_path / "run", options=options)
    assert (result.steps, result.finished) == (3, False)  # the first epoch mixes nothing


def test_a_slow_run_keeps_its_weights_every_few_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    slow(monkeypatch, clock, step=250.0, validation=0.0)
    save, saved = Run.save, list[tuple[int, str]]()

    def noted(run: Run, name: str, threshold: float | None = None) -> None:
        saved.append((run.position.step, name))
        save(run, name, threshold)

    monkeypatch.setattr(Run, "save", noted)
    recipe = replace(tiny_recipe(), epochs=1, batch_size=2)
    train(recipe, few_scenes(), tmp_path / "run", options=replace(QUIET, save_minutes=10.0))
    assert saved == [(3, LAST), (6, LAST), (6, BEST)]


def test_reports_say_how_the_run_stands(tmp_path: Path) -> None:
    validation = open_clips("toys", split="val", size=32, count=8)
    told: list[TrainingReport] = []
    options = replace(QUIET, report=told.append)
    train(tiny_recipe(), few_scenes(), tmp_path / "run", validation=validation, options=options)
    ended = [one for one in told if one.ended]
    assert [(one.epoch, one.epochs) for one in ended] == [(1, 3), (2, 3), (3, 3)]
    entries = read_log(tmp_path / "run")
    for one in ended:
        losses = [
            each["loss"]
            for each in entries
            if each["kind"] == "train" and each["epoch"] == one.epoch - 1
        ]
        assert one.loss == pytest.approx(sum(losses) / 3, rel=1e-5)
        score = next(
            each["adaptive_success_rate"]
            for each in entries
            if each["kind"] == "validation" and each["epoch"] == one.epoch
        )
        assert one.score == score
        assert one.line().startswith(f"training, epoch {one.epoch} of 3: loss {one.loss:.3f}, ")
        assert f"adaptive {100 * score:.1f} %" in one.line()
    first = told[0]
    assert (first.ended, first.epoch, first.score) == (False, 1, None)
    assert ended[-1].seconds_left is not None


def test_choosing_prototypes_is_part_of_the_closing_and_of_the_whole() -> None:
    pace = Pace(minutes=10.0, validation=1.0, prototypes=4.0, threshold=2.0, guess=0.5)
    assert pace.closing() == 7.0
    assert pace.seconds(Work(steps=10, searches=0, validations=2)) == 5.0 + 2.0 + 4.0 + 2.0
