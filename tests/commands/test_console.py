"""What a training run shows: numbers below its bar, or one line for each epoch."""

import io
import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from hearsight.commands.console import Bars, keep_quiet, log_to_stderr, tell_skipped
from hearsight.training.report import TrainingReport


def report(ended: bool, **changes: object) -> TrainingReport:
    facts = {"epoch": 3, "epochs": 100, "loss": 1.23456, "samples_per_second": 0.1519, "score": 0.4}
    return TrainingReport(ended=ended, protocol="adaptive", seconds_left=7000.0, **facts | changes)


@pytest.fixture
def loud() -> Iterator[None]:
    log_to_stderr()
    yield
    log_to_stderr()


def run(bars: Bars) -> None:
    with bars:
        bars("ssl_tie:small, seed 4: training", 20_000, 25_000)
        bars.report(report(ended=False, stage="ssl_tie:small, seed 4: training"))
        bars.report(report(ended=True, stage="ssl_tie:small, seed 4: training"))


@pytest.mark.usefixtures("loud")
def test_each_clip_that_was_skipped_is_a_line_whatever_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_skipped({"one": "it is torn", "two\nlines \x1b[2J": "its sound\nis empty"})
    assert capsys.readouterr().err.splitlines() == [
        "skipped one: it is torn",
        r"skipped two lines \x1b[2J: its sound is empty",
    ]


@pytest.mark.usefixtures("loud")
def test_without_a_terminal_each_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(Bars(Console(file=io.StringIO())))
    assert capsys.readouterr().err.splitlines() == [
        "ssl_tie:small, seed 4: training ...",
        "ssl_tie:small, seed 4: training, epoch 3 of 100: loss 1.235, 0.15 samples/s, "
        "adaptive 40.0 %, 117 minutes left",
    ]


@pytest.mark.usefixtures("loud")
def test_without_a_terminal_a_long_epoch_says_how_it_stands_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("hearsight.commands.console.time.monotonic", lambda: now)
    bars = Bars(Console(file=io.StringIO()))
    for loss in range(150):  # a step a second
        now += 1
        bars.report(report(ended=False, loss=float(loss)))
    lines = capsys.readouterr().err.splitlines()
    assert [re.findall(r"loss (\d+)", line) for line in lines] == [["59"], ["119"]]


@pytest.mark.usefixtures("loud")
def test_a_long_first_step_is_told_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    first = report(ended=False, loss=None, epoch=1, step_seconds=26.4, score=None)
    unknown = report(ended=False, loss=None, epoch=1, score=None)
    bars = Bars(Console(file=io.StringIO()))
    bars.report(unknown)  # nobody knows whether it is long
    bars.report(first)
    assert capsys.readouterr().err == (
        "training, epoch 1 of 100: the first step is computed, about 26 s, 117 minutes left\n"
    )
    for one, said in ((first, "the first step is computed, about 26 s"), (unknown, "first step")):
        drawn = io.StringIO()
        with Bars(Console(file=drawn, force_terminal=True, width=80)) as bars:
            bars("training", 0, 160)
            bars.report(one)
        assert said in drawn.getvalue()


@pytest.mark.usefixtures("loud")
def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    keep_quiet()
    run(Bars(Console(file=io.StringIO())))
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_terminal_shows_the_numbers_whole(width: int) -> None:
    drawn = io.StringIO()
    run(Bars(Console(file=drawn, force_terminal=True, width=width)))
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    shown = " ".join(" ".join(lines).split())
    assert "epoch 3 of 100: loss 1.235, 0.15 samples/s, adaptive 40.0 %" in shown
    if width >= 80:
        assert "20000/25000" in shown.replace(" ", "")
