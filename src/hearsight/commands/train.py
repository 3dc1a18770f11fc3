"""`hearsight train`: trains one recipe."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearsight.commands.console import Bars, note, results_apart, tell, tell_skipped
from hearsight.commands.options import (
    Data,
    Device,
    Epochs,
    Looks,
    RecipeChanges,
    Scenes,
    Threads,
    Workers,
    above_zero,
    add_epochs,
    command_line,
    parse_folder,
)
from hearsight.commands.start import choose_start
from hearsight.errors import HearsightError
from hearsight.version import __version__

if TYPE_CHECKING:
    from hearsight.clips.clip import Clips
    from hearsight.recipes.recipe import Recipe
    from hearsight.training.run_folder import TrainingOptions, TrainingResult


def train(
    data: Data,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="The run folder.", metavar="PATH", parser=parse_folder),
    ],
    recipe: Annotated[
        str | None, typer.Argument(help="Name of a recipe: see `hearsight recipes`.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A recipe as `hearsight recipes NAME` prints it, or its changes to RECIPE.",
        ),
    ] = None,
    changes: RecipeChanges = [],  # noqa: B006 typer reads the default, nobody changes it
    epochs: Epochs = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of weights, order and augmentation; by default the recipe's."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="Clips with boxes, scored while training.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Protocol of the validation; by default `adaptive`.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Clips of a later test; leaks into training are reported.")
    ] = None,
    select_on_test: Annotated[
        bool,
        typer.Option(
            "--select-on-test", help="Let the test set choose the epoch; tables will mark it."
        ),
    ] = False,
    scenes: Scenes = None,
    looks: Looks = 1,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Start from the weights of this model: a name, a checkpoint or a run folder. By "
            "default one's own videos start from the default model if it has the recipe's "
            "network; `none`: begin anew.",
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            help="One's own videos only: seconds between clips; by default one each, with a model "
            "to start from one every 3.",
            callback=above_zero,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Continue the run in OUT; RECIPE and seed may be left out.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="End within so many minutes, all that the command does included, validated and "
            "saved; refused where not one long step fits.",
            callback=above_zero,
        ),
    ] = None,
    log_every: Annotated[
        int, typer.Option(help="Steps between two entries of the log.", min=1)
    ] = 10,
    trackers: Annotated[
        list[str],
        typer.Option(
            "--tracker",
            metavar="NAME",
            help="Show the run there too: `wandb`, `mlflow`, or another that accelerate knows.",
        ),
    ] = [],  # noqa: B006 as above
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Train a recipe and write a run folder: recipe, log, last and best checkpoint.

    From one's own videos and a model to start from, also a page: before and after on some of the
    videos that are held out. The model at the start is kept if the trained one is worse.

    Example: hearsight train ssl_tie:small --data menagerie --out runs/first --epochs 20
    """
    started = time.monotonic()  # importing torch and opening the data take minutes too
    import torch

    from hearsight.datasets.open import check_composed, is_videos
    from hearsight.scoring.protocol_registry import check_validation
    from hearsight.scoring.protocols import DEFAULT_PROTOCOL
    from hearsight.training.run_folder import TrainingOptions

    torch.set_num_threads(threads)
    if protocol is not None:
        check_validation(protocol)  # a wrong name is said now, not at the end of the first epoch
        if validation is None and not select_on_test:
            raise HearsightError("--protocol needs clips to score: name them by --validation.")
    check_composed(data, {"scenes": scenes, "looks": None if looks == 1 else looks})
    changes = add_epochs(changes, epochs)
    resumed = out if resume else None
    method = choose_recipe(recipe, config, changes, seed, resumed=resumed)
    own_videos = all(map(is_videos, data))
    begun = choose_start(start, method, own_videos=own_videos, resumed=resumed)
    moments = own_videos and begun is not None  # many of each film, some of them held out
    clips = open_training(data, method, scenes=scenes, looks=looks, every=every, moments=moments)
    held_out, known = open_scored(
        validation,
        test,
        (" ".join(data), clips),
        size=method.frame_size,
        select_on_test=select_on_test,
    )
    with Bars() as bars:
        options = TrainingOptions(
            resume=resume,
            minutes=minutes,
            started=started,
            log_every=log_every,
            trackers=tuple(trackers),
            device=device,
            workers=workers,
            protocol=protocol or DEFAULT_PROTOCOL,
            start=begun,
            facts={"command": command_line(), "data": data, "version": __version__, **known},
            progress=bars,
            notice=note,
            report=bars.report,
            tell_time=True,
        )
        with results_apart():
            result, told = run_training(method, clips, out, held_out, options, moments=moments)
    tell_skipped(result.unreadable)
    if result.main:
        print(json.dumps(result_facts(result) | told))


def open_training(
    data: list[str],
    recipe: "Recipe",
    *,
    scenes: int | None,
    looks: int,
    every: float | None,
    moments: bool,
) -> "Clips":
    """The clips to train on.

    Args:
        data: their names.
        recipe: that is trained.
        scenes: composed ones in an epoch; None for the usual number.
        looks: of their cut-outs.
        every: seconds between clips of one's own videos; None for the usual number.
        moments: whether they are many moments of each of one's own videos.

    Raises:
        HearsightError: there are none such, or what is said of videos is of others.
    """
    from hearsight.datasets.held_out_videos import EVERY, open_videos
    from hearsight.datasets.open import open_joined
    from hearsight.training.batches import COMPOSED

    if moments:
        return open_videos(data, every or EVERY)
    return open_joined(
        data,
        split="train",
        size=round(recipe.frame_size * COMPOSED),
        seed=recipe.seed,
        count=scenes,
        looks=looks,
        every=every,
    )


def open_scored(
    validation: str | None,
    test: str | None,
    training: tuple[str, "Clips"],
    *,
    size: int,
    select_on_test: bool,
) -> tuple["Clips | None", dict[str, Any]]:
    """The clips that choose the epoch, if any, and facts for the checkpoint; as `check_data`.

    Args:
        validation: name of clips that choose the epoch.
        test: name of clips of a later test.
        training: name and clips.
        size: of the frames of composed scenes, pixels.
        select_on_test: whether the test set may choose the epoch.
    """
    from hearsight.datasets.open import name_as_test, open_joined
    from hearsight.scoring.evaluation import check_truths

    opened = [
        None if spec is None else (name_as_test(spec), open_joined([spec], split="val", size=size))
        for spec in (validation, test)
    ]
    held_out, known = check_data(training, *opened, select_on_test=select_on_test)
    if held_out is not None:
        tell(check_truths(held_out, validation or test or ""))
    return held_out, known


def run_training(
    recipe: "Recipe",
    clips: "Clips",
    out: Path,
    validation: "Clips | None",
    options: "TrainingOptions",
    *,
    moments: bool,
) -> tuple["TrainingResult", dict[str, Any]]:
    """Train; the outcome, and what else the command prints.

    moments: whether the clips are moments of one's own videos, some of which are held out.
    """
    if moments:
        from hearsight.studies.own_videos import train_on_videos

        assert options.start is not None
        done = train_on_videos(recipe, clips, out, options.start, options, validation=validation)
        return done.training, done.numbers()
    from hearsight.training.trainer import train

    return train(recipe, clips, out, validation=validation, options=options), {}


def result_facts(result: "TrainingResult") -> dict[str, Any]:
    """What the command prints of a run."""
    return {
        "run": str(result.folder),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "curriculum_share": round(result.curriculum_seconds / result.seconds, 4),
        "skipped": len(result.unreadable),
        "finished": result.finished,
        **({} if result.best is None else {"best": round(result.best, 4)}),
        **({"shortened": result.shortened} if result.shortened else {}),
    }


def choose_recipe(
    name: str | None,
    config: Path | None,
    changes: list[str],
    seed: int | None,
    *,
    resumed: Path | None,
) -> "Recipe":
    """The recipe to train.

    Args:
        name: of a recipe in the catalogue.
        config: a file with a recipe, or with what it changes in the one of that name.
        changes: PATH=VALUE.
        seed: of the run.
        resumed: folder of the run that is resumed, if one is. Its recipe is taken where none is
            named, and its seed where none is given.

    Raises:
        HearsightError: no recipe, a change or a file that is none, or two seeds.
    """
    from hearsight.recipes.catalogue import load_recipe
    from hearsight.recipes.recipe_file import read_recipe
    from hearsight.recipes.serialisation import assign, changed_field
    from hearsight.training.run_folder import has_begun, no_run, run_recipe

    held = None if resumed is None else run_recipe(resumed)
    method = None if name is None else load_recipe(name)
    if config is not None:
        method = read_recipe(config, method)
    method = held if method is None else method
    if method is None:
        if resumed is not None and not has_begun(resumed):
            raise no_run(resumed)
        raise HearsightError(
            "Name a recipe, such as ssl_tie:small (see `hearsight recipes`), or a file by --config."
        )
    seeds = [change for change in changes if changed_field(change) == "seed"]
    if seed is not None and seeds:
        raise HearsightError(f"--seed {seed} and --set {seeds[0]} both give the seed.")
    if seed is not None:
        changes = [*changes, f"seed={seed}"]
    elif held is not None and not seeds:
        changes = [*changes, f"seed={held.seed}"]
    return assign(method, *changes)


def check_data(
    train: tuple[str, "Clips"],
    validation: tuple[str, "Clips"] | None,
    test: tuple[str, "Clips"] | None,
    *,
    select_on_test: bool,
) -> tuple["Clips | None", dict[str, Any]]:
    """Report leaks and repeated ids on stderr; each set is given with its name.

    Args:
        train: training clips.
        validation: clips that choose the epoch; None for the test set, if `select_on_test`.
        test: clips of a later test.
        select_on_test: whether the test set may choose the epoch.

    Returns:
        The clips that choose the epoch, if any, and facts for the checkpoint.

    Raises:
        HearsightError: as `check_training`, or `select_on_test` has no test set to select on.
    """
    from hearsight.clips.frame_truth import origins
    from hearsight.clips.leaks import check_training
    from hearsight.clips.selection import name_left_out

    for each in (train, validation, test):
        tell([] if each is None else name_left_out(each[1], each[0]))
    if select_on_test and validation is None:
        if test is None:
            raise HearsightError("--select-on-test needs clips to select on: name them by --test.")
        validation = test
    honesty = check_training(
        (train[0], origins(train[1])),
        None if validation is None else (validation[0], origins(validation[1])),
        None if test is None else (test[0], origins(test[1])),
        select_on_test=select_on_test,
    )
    if select_on_test and validation is not None and not honesty.facts["selected_on_test"]:
        raise HearsightError(
            f"--select-on-test has no effect: the epoch is chosen on '{validation[0]}', which is no"
            " test set."
        )
    tell(f"hearsight: {warning}" for warning in honesty.warnings)
    return None if validation is None else validation[1], honesty.facts
