"""The plan of a demo: what is trained, on how many scenes, and for how long on this machine."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hearsight.checkpoints.pretrained_trunks import obtain_trunks
from hearsight.errors import HearsightError
from hearsight.progress import Notice, Progress, no_notice, no_progress
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.scenes import Scenes, open_scenes
from hearsight.studies.comparison_folder import PLAN, read_or_make
from hearsight.training.batches import COMPOSED
from hearsight.training.report import Report, no_report
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.time_budget import epoch_seconds, fit_epochs

SMALL, PRETRAINED = "ssl_tie:small", "ssl_tie:pretrained_a"
CLASSES = 12
EPOCH = 24  # batches that make an epoch of the endless scenes
LEAST_BATCHES, MOST_BATCHES = 8, 48  # of an epoch with pretrained trunks
MOST_STEPS = 400  # with pretrained trunks: on so few scenes 800 steps found fewer new objects
FEATURES = 0.4  # of the minutes, for the epoch in which features are computed
MEASURED = 384  # scenes of which the speed is measured and the confidence threshold is chosen
SCORING = 2.5  # minutes, for scoring with pretrained trunks
LEAST_HELD_OUT, HELD_OUT = 150, 600  # scenes of each kind that are scored


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Options of a demo.

    minutes: of training; the rest takes one to three more. pack: `menagerie`, `menagerie:FOLDER`
    or `toys`; None is the menagerie if it is there or can be built, else toys. looks: variants of
    each training cut-out; more of them pay off in long training and slow down a short one.
    trunks: whether pretrained trunks are used, on scenes of photographs, if they can be had.
    """

    minutes: float = 6.5
    pack: str | None = None
    seed: int = 4
    looks: int = 1
    trunks: bool = True
    device: str | None = None
    workers: int = 1
    command: str = "hearsight demo"
    progress: Progress = no_progress
    notice: Notice = no_notice
    report: Report = no_report


def choose_method(pack: str, options: DemoOptions) -> str:
    """`PRETRAINED` if the trunks are at hand or can be obtained, else `SMALL`; for toys `SMALL`."""
    if pack == "toys" or not options.trunks:
        return SMALL
    try:
        obtain_trunks(progress=options.progress)
    except HearsightError as error:
        options.notice(f"Small networks are trained, as pretrained trunks cannot be had: {error}")
        return SMALL
    return PRETRAINED


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What is trained, and for how long.

    batches: in an epoch. epochs: at most. minutes: of training. scored: scenes of each kind.
    """

    method: str
    batches: int
    epochs: int
    minutes: float
    scored: int


def make_plan(method: str, pack: str, place: Path | None, options: DemoOptions) -> DemoPlan:
    """Plan a demo by the speed of a few steps.

    With pretrained trunks the first epoch computes features of new scenes, which then repeat;
    scoring takes as long per scene. A slow machine composes and scores fewer of them.
    """
    recipe = demo_recipe(method, options)
    most = EPOCH if method == SMALL else MOST_BATCHES
    scenes = open_training(pack, place, recipe, most, options)
    training = TrainingOptions(
        device=options.device, workers=options.workers, progress=options.progress
    )
    if method == SMALL:
        epochs = fit_epochs(recipe, scenes, options.minutes, training)
        return DemoPlan(
            method=method, batches=most, epochs=epochs, minutes=options.minutes, scored=HELD_OUT
        )
    seconds = epoch_seconds(recipe, scenes, training, warm=1, timed=3) / len(scenes)  # of a scene
    minutes = max(options.minutes / 2, options.minutes - MEASURED * seconds / 60)
    batches = int(FEATURES * 60 * minutes / seconds / recipe.batch_size)
    batches = min(most, max(LEAST_BATCHES, batches))
    return DemoPlan(
        method=method,
        batches=batches,
        epochs=MOST_STEPS // batches,
        minutes=minutes,
        scored=min(HELD_OUT, max(LEAST_HELD_OUT, int(60 * SCORING / seconds / 2))),
    )


def plan_demo(
    folder: Path, pack: str, place: Path | None, options: DemoOptions
) -> tuple[DemoPlan, bool]:
    """The plan of a demo, and whether one had begun here.

    It is kept in the folder, so that an interrupted demo resumes with it.

    place: of the pack, if it is not the default one.

    Raises:
        HearsightError: the folder holds a demo with other options.
    """
    path = folder / PLAN
    asked = {
        "minutes": options.minutes,
        "pack": pack + ("" if place is None else f":{place.resolve()}"),
        "seed": options.seed,
        "looks": options.looks,
        "trunks": options.trunks,
    }
    resume = path.exists()

    def make() -> dict[str, Any]:
        method = choose_method(pack, options)
        return {"asked": asked, "plan": asdict(make_plan(method, pack, place, options))}

    held = read_or_make(path, make)
    try:
        plan = DemoPlan(**held["plan"]) if held.get("asked") == asked else None
    except (KeyError, TypeError):
        plan = None
    if plan is None:
        raise HearsightError(
            f"'{folder}' holds another demo ({held.get('asked')}): name another folder."
        )
    return plan, resume


def demo_recipe(method: str, options: DemoOptions) -> Recipe:
    """The recipe of a demo; scenes repeat after the first epoch if their features are kept."""
    recipe = replace(load_recipe(method), seed=options.seed)
    return recipe if method == SMALL else replace(recipe, fresh_epochs=1)


def open_training(
    pack: str, place: Path | None, recipe: Recipe, batches: int, options: DemoOptions
) -> Scenes:
    """Endless training scenes, in epochs of some batches."""
    return open_scenes(
        pack,
        place,
        split="train",
        seed=options.seed,
        size=round(recipe.frame_size * COMPOSED),
        count=batches * recipe.batch_size,
        classes=CLASSES,
        silent=(0, 3),
        seconds=recipe.spectrogram.seconds,
        endless=True,
        looks=options.looks,
    )
