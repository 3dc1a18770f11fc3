"""Progress bars and messages of the commands, on stderr."""

import io
import logging
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from hearsight.files.text import one_line

if TYPE_CHECKING:  # every command imports this module, and only some draw bars
    from rich.console import Console
    from rich.progress import TaskID

    from hearsight.training.report import TrainingReport

    LineHandler = logging.StreamHandler[TextIO]  # generic only there
else:
    LineHandler = logging.StreamHandler

LOGGER = logging.getLogger("hearsight")
CARDS = logging.getLogger("hearsight.checkpoints.card")
QUIET_TRACKERS = {"WANDB_SILENT": "true", "MLFLOW_LOGGING_LEVEL": "ERROR"}  # read when imported
LEVELS = (logging.ERROR, logging.INFO, logging.DEBUG)  # without -v, with one, with two
OPTIONS: dict[str, str] = {}  # of the command that runs, by the names of its arguments
ARGUMENT = re.compile(r"`([a-z_.]+)(?:=([^`]*))?`")
BAR = 24  # characters: with its numbers it fits 80
STILL = 60.0  # seconds after which a run without a terminal says how it stands
SPEED_PERIOD = 600.0  # seconds; of slow steps, half a minute would hold one


def table_width() -> int | None:
    """Characters in a line of the terminal; None in a file or a pipe, where lines do not end."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def results_apart() -> "redirect_stdout[TextIO]":
    """Keep what others print off stdout, which is for results: on stderr, or if quiet away.

    MLflow prints the addresses of a run that ends.
    """
    return redirect_stdout(io.StringIO() if is_quiet() else sys.stderr)


class Lines(LineHandler):
    """Prints what the package logs to stderr, a line each."""


class OnceEach(logging.Filter):
    """Lets each message pass once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        fresh = message not in self.seen
        self.seen.add(message)
        return fresh


def log_to_stderr(verbose: int = 0) -> None:
    """Print what the package logs to stderr: `verbose` 0 nothing, 1 each step once, 2 all of it.

    What the card of a model says is printed at all of them, once.
    """
    logging.disable(logging.NOTSET)
    _log(LOGGER, LEVELS[min(verbose, len(LEVELS) - 1)])
    _log(CARDS, logging.INFO)
    if verbose:
        handler = Lines(sys.stderr)
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        handler.addFilter(lambda record: record.name != CARDS.name)
        if verbose == 1:  # the commands name what was skipped themselves
            handler.addFilter(lambda record: record.levelno != logging.WARNING)
            handler.addFilter(OnceEach())  # comparisons load a model for each of their parts
        LOGGER.addHandler(handler)
    cards = Lines(sys.stderr)
    cards.addFilter(OnceEach())
    CARDS.addHandler(cards)


def keep_quiet() -> None:
    """Show neither progress, notes nor warnings, only results and errors."""
    _log(LOGGER, logging.CRITICAL)
    _log(CARDS, logging.CRITICAL)
    logging.disable(logging.WARNING)  # of other libraries, as below
    warnings.simplefilter("ignore")
    os.environ.update(QUIET_TRACKERS)


def _log(logger: logging.Logger, level: int) -> None:
    """Log from a level on, without the handlers of an earlier command."""
    for handler in [one for one in logger.handlers if isinstance(one, Lines)]:
        logger.removeHandler(handler)
    logger.setLevel(level)


def is_quiet() -> bool:
    """Whether only results and errors are shown."""
    return not LOGGER.isEnabledFor(logging.ERROR)


def tell(notes: Iterable[str]) -> None:
    """Print notes to stderr, a line each, unless `--quiet` is given."""
    for each in () if is_quiet() else notes:
        print(as_typed(each), file=sys.stderr)


def tell_skipped(reasons: Mapping[str, str]) -> None:
    """Name on stderr each clip or file that was skipped, with the reason."""
    tell(one_line(f"skipped {name}: {reason}") for name, reason in reasons.items())


def as_typed(sentence: str) -> str:
    """A sentence of the package, its arguments in backticks named as a user types them.

    An option of the command that runs becomes `--option`, with its value if there is one; other
    fields, which have a value, are set by `--set` where the command takes it.
    """

    def typed(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name in OPTIONS:
            return OPTIONS[name] if value is None else f"{OPTIONS[name]} {value}"
        return f"--set {name}={value}" if value is not None and "set" in OPTIONS else found[0]

    return ARGUMENT.sub(typed, sentence)


def note(sentence: str) -> None:
    """Print one note, which may hold names of files, as `tell` does."""
    tell([one_line(sentence)])


class Bars:
    """A `Progress` with one bar per stage, an estimate of the time left included. Use as a context.

    `report` shows how a training run stands, below its bar. Without a terminal each stage is one
    line when it begins, and each epoch one when it ends; in a long epoch there is one a minute at
    most, so that a log file stays readable, and one before a long first step.
    """

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        self.console = console or Console(stderr=True)
        self.quiet = is_quiet()
        self.live = self.console.is_terminal and not self.quiet
        self.stages: dict[str, TaskID] = {}
        self.said = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            speed_estimate_period=SPEED_PERIOD,
        )
        self.numbers = ""  # of a training run
        self.display = Live(
            get_renderable=lambda: Group(self.progress, Text(self.numbers)),
            console=self.console,
            # with stdout in a file, results must not be drawn beside the bars on the terminal
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> "Bars":
        if self.live:
            self.display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.display.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self.stages:
            if not (self.live or self.quiet):
                print(f"{stage} ...", file=sys.stderr, flush=True)
            self.stages[stage] = self.progress.add_task(stage, total=total)
        self.progress.update(self.stages[stage], completed=done, total=total)

    def report(self, report: "TrainingReport") -> None:
        """Show how a run stands: below the bars, or as a line at times."""
        if self.live:
            self.numbers = f"epoch {report.epoch} of {report.epochs}: {report.numbers()}"
            return
        long = report.loss is None and report.step_seconds is not None  # first step
        if not self.quiet and (report.ended or long or time.monotonic() - self.said >= STILL):
            self.said = time.monotonic()
            print(report.line(), file=sys.stderr, flush=True)
