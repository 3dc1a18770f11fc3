"""What a run tells of itself while it trains: loss, speed, validation score, time left."""

from collections.abc import Callable
from dataclasses import dataclass

UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))  # seconds in each


def duration(seconds: float) -> str:
    """A time in words, to two digits: `45 s`, `12 minutes`, `3.1 hours`, `6.4 days`."""
    for size, unit in UNITS:
        if seconds >= 1.95 * size:
            count = seconds / size
            return f"{count:.1f} {unit}" if count < 9.95 else f"{count:,.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.2g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """How a run stands.

    stage: as progress calls it. epoch: the one that is trained or has just ended, counted from 1.
    loss: of the last step; at the end of an epoch the mean of its steps in this process; None while
    the first one is computed. step_seconds: that this takes, judged by a few clips, if known.
    samples_per_second: of this epoch, of all processes. score: of the last validation, 0 to 1.
    seconds_left: as measured so far; None before the second step.
    """

    stage: str = "training"
    epoch: int
    epochs: int
    ended: bool  # whether the epoch has
    loss: float | None
    samples_per_second: float
    score: float | None = None
    protocol: str = ""  # of the score
    seconds_left: float | None = None
    step_seconds: float | None = None

    def numbers(self) -> str:
        """Loss, speed and score in a few words; before the first step, that it is computed."""
        if self.loss is None:
            took = f", about {duration(self.step_seconds)}" if self.step_seconds else ""
            return f"the first step is computed{took}"
        speed = self.samples_per_second
        said = [f"loss {self.loss:.3f}", f"{speed:.{0 if speed >= 9.5 else 2}f} samples/s"]
        if self.score is not None:
            said.append(f"{self.protocol} {100 * self.score:.1f} %")
        return ", ".join(said)

    def line(self) -> str:
        """The report in one line, for a log without a terminal."""
        seconds = self.seconds_left or 0.0
        left = f", {duration(seconds)} left" if seconds >= 1 else ""
        return f"{self.stage}, epoch {self.epoch} of {self.epochs}: {self.numbers()}{left}"


Report = Callable[[TrainingReport], None]
"""Called before a long first step, then about once a second, and at the end of each epoch."""


def no_report(report: TrainingReport) -> None:
    """Show nothing."""
