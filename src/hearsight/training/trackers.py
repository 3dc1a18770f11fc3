"""Where the numbers of a run are shown: TensorBoard, and other trackers through accelerate."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from hearsight.errors import HearsightError, install_command, nearest, needs
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.recipe_file import recipe_text
from hearsight.recipes.serialisation import KIND, to_json

with needs("train", "Training"):
    from accelerate.tracking import (  # type: ignore[import-untyped]
        LOGGER_TYPE_TO_CLASS,
        GeneralTracker,
        get_available_trackers,
    )

BOARD = "tensorboard"  # the tracker, its extra, and its folder in a run
PROJECT = "hearsight"  # where a tracker files runs
EXTRAS = (BOARD, "wandb", "mlflow")  # trackers that are extras of this package
TITLES = {"wandb": "name", "mlflow": "run_name"}  # what trackers call the title of a run
METRICS = ("train/loss", "validation/success_rate")  # beside hyperparameters

Pictures = Mapping[str, UInt8[np.ndarray, "height width 3"]]
"""Painted frames by the ids of their clips."""


@runtime_checkable
class Tracker(Protocol):
    """Shows a run somewhere."""

    def begin(self, recipe: Recipe, command: str) -> None:
        """Show the recipe, and the command that began the run, if it is known."""

    def numbers(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        """Show numbers of a kind, such as `train`, after so many steps."""

    def pictures(self, step: int, pictures: Pictures) -> None:
        """Show painted frames after so many steps."""

    def close(self) -> None:
        """Show no more."""


def hyperparameters(recipe: Recipe) -> dict[str, int | float | str | bool]:
    """Every field of a recipe by its path; lists, and what is left out, as text."""

    def flat(part: Mapping[str, Any], prefix: str) -> dict[str, int | float | str | bool]:
        found: dict[str, int | float | str | bool] = {}
        for name, value in part.items():
            if isinstance(value, dict):
                found[prefix + name] = value[KIND]
                found |= flat(value, f"{prefix}{name}.")
            elif name != KIND:
                plain = isinstance(value, int | float | str)
                found[prefix + name] = value if plain else json.dumps(value)
        return found

    return flat(to_json(recipe), "")


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that accelerate does not know, or that are not installed.

    Raises:
        HearsightError: one of them is such a tracker, or one name is given alone.
    """
    if isinstance(names, str):
        raise HearsightError(f"`trackers` must be several, such as a tuple: '{names}' is one.")
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            raise HearsightError(
                f"There is no tracker '{name}': it may be {known}."
                f"{nearest(name, LOGGER_TYPE_TO_CLASS)}"
            )
        if name not in {str(one) for one in get_available_trackers()}:
            install = install_command(name) if name in EXTRAS else f"pip install {name}"
            raise HearsightError(
                f"The tracker '{name}' needs {name}, which is not installed: {install}"
            )


def open_trackers(names: Sequence[str], folder: Path, step: int) -> list[Tracker]:
    """TensorBoard where it is installed, and the named trackers.

    Args:
        names: checked by `check_trackers`.
        folder: of the run.
        step: of the checkpoint that the run goes on from.

    Raises:
        HearsightError: a tracker cannot begin.
    """
    found: list[Tracker] = []
    with suppress(ImportError):  # not installed, and not named: the log holds all of it
        found.append(Board(folder / BOARD, step))
    try:
        for name in dict.fromkeys(names):
            if name != BOARD:
                found.append(AcceleratedTracker(name, folder))
    except BaseException:
        for tracker in found:
            tracker.close()
        raise
    return found


class Board:
    """TensorBoard: numbers, the recipe as text and as hyperparameters, painted frames."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # purging begins with the step that is named, and the log keeps the entry of the last one
        self.writer: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def begin(self, recipe: Recipe, command: str) -> None:
        from torch.utils.tensorboard.summary import hparams

        self.writer.add_text("recipe", f"```json\n{recipe_text(recipe)}```")
        if command:
            self.writer.add_text("command", f"```\n{command}\n```")
        # `add_hparams` of torch would write them into a run of its own, without the curves
        found = hparams(hyperparameters(recipe), dict.fromkeys(METRICS, 0.0))  # type: ignore[no-untyped-call]
        for summary in found:
            self.writer.file_writer.add_summary(summary)

    def numbers(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self.writer.add_scalar(f"{kind}/{name}", number, step)

    def pictures(self, step: int, pictures: Pictures) -> None:
        for id, pixels in pictures.items():
            self.writer.add_image(f"validation/{id}", pixels, step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


class AcceleratedTracker:
    """A tracker of accelerate; its runs are filed under `PROJECT`, by the name of the run folder.

    Raises:
        HearsightError: it cannot begin, for example because it is not logged in.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        kind = LOGGER_TYPE_TO_CLASS[name]
        where = [str(folder)] if kind.requires_logging_directory else []
        title = {TITLES[name]: folder.name} if name in TITLES else {}
        try:
            self.tracker: GeneralTracker = kind(PROJECT, *where, **title)
            self.tracker.start()
        except Exception as error:  # each tracker has errors of its own
            said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise HearsightError(f"The tracker '{name}' cannot begin: {said}.") from error

    def begin(self, recipe: Recipe, command: str) -> None:
        self.tracker.store_init_configuration({**hyperparameters(recipe), "command": command})

    def numbers(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        self.tracker.log({f"{kind}/{name}": value for name, value in numbers.items()}, step=step)

    def pictures(self, step: int, pictures: Pictures) -> None:
        if hasattr(self.tracker, "log_images"):  # not of every one
            self.tracker.log_images({"validation": list(pictures.values())}, step=step)

    def close(self) -> None:
        self.tracker.finish()
