"""Progress of long work: the callables that it reports to, by stage and in sentences."""

import warnings
from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, what is done of it, and the total where it is known."""


Notice = Callable[[str], None]
"""Called with a sentence that whoever started the work should read."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """Show nothing."""


def renamed(progress: Progress, *, before: str = "", after: str = "") -> Progress:
    """Progress whose stages get words before or after their names."""
    return lambda stage, done, total: progress(f"{before}{stage}{after}", done, total)


def no_notice(sentence: str) -> None:
    """Show nothing."""


def of_stage(progress: Progress, stage: str) -> Callable[[int, int | None], None]:
    """A callable (done, total) that reports to one stage."""
    return lambda done, total: progress(stage, done, total)


def warn(sentence: str) -> None:
    """The `Notice` of a caller who names none: a Python warning."""
    warnings.warn(sentence, stacklevel=3)
