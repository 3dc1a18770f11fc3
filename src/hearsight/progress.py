"""Progress of long work: one form of callable for every stage, whoever shows it."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Is told the stage, what is done of it, and of how much where that is known."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """Show nothing."""


def of_stage(progress: Progress, stage: str) -> Callable[[int, int | None], None]:
    """The progress of one stage, told what is done and of how much."""
    return lambda done, total: progress(stage, done, total)
