"""Progress bars and messages of the commands, on stderr."""

import shutil
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # every command imports this module, and only some draw bars
    from rich.console import Console
    from rich.progress import TaskID

DIGITS = 3  # printed of a time, a cosine, a share: milliseconds, and what the last two tell


def table_width() -> int | None:
    """Characters in a line of the terminal; None in a file or a pipe, where lines do not end."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def tell(notes: Iterable[str]) -> None:
    """Print notes to stderr, a line each."""
    for note in notes:
        print(note, file=sys.stderr)


class Bars:
    """A `Progress` with one bar per stage, an estimate of the time left included. Use as a context.

    Without a terminal each stage is one line when it begins, so that a log file stays readable.
    """

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.console = console or Console(stderr=True)
        self.live = self.console.is_terminal
        self.stages: dict[str, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            # with stdout in a file, results must not be drawn beside the bars on the terminal
            redirect_stdout=sys.stdout.isatty(),
            disable=not self.live,
        )

    def __enter__(self) -> "Bars":
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self.stages:
            if not self.live:
                print(f"{stage} ...", file=sys.stderr, flush=True)
            self.stages[stage] = self.progress.add_task(stage, total=total)
        self.progress.update(self.stages[stage], completed=done, total=total)
