"""`hearsight train`: trains one recipe."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearsight.commands.console import Bars, note, tell
from hearsight.commands.options import (
    Data,
    Device,
    Epochs,
    RecipeChanges,
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


def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="The run folder.", metavar="PATH", parser=parse_folder)],
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
    scenes: Annotated[
        int | None,
        typer.Option(
            "--scenes",
            "--epoch",
            help="Scenes in an epoch, if they are composed; by default 10,000.",
            min=1,
        ),
    ] = None,
    looks: Annotated[
        int, typer.Option(help="Looks in which each cut-out of composed scenes appears.", min=1)
    ] = 1,
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

    from hearsight.datasets.open import is_videos, name_as_test, open_joined
    from hearsight.scoring.evaluation import check_truths
    from hearsight.scoring.protocol_registry import check_validation
    from hearsight.scoring.protocols import DEFAULT_PROTOCOL
    from hearsight.training.batches import COMPOSED
    from hearsight.training.run_folder import TrainingOptions
    from hearsight.training.trainer import train as run_training

    torch.set_num_threads(threads)
    if protocol is not None:
        check_validation(protocol)  # a wrong name is said now, not at the end of the first epoch
        if validation is None and not select_on_test:
            raise HearsightError("--protocol needs clips to score: name them by --validation.")
    changes = add_epochs(changes, epochs)
    method = choose_recipe(recipe, config, changes, seed, resumed=out if resume else None)
    ours = all(map(is_videos, data))
    begun = choose_start(start, method, own_videos=ours, resumed=out if resume else None)
    compared = ours and begun is not None
    if compared:
        from hearsight.datasets.held_out_videos import EVERY, open_videos

        clips = open_videos(data, every or EVERY)
    else:
        size = round(method.frame_size * COMPOSED)
        clips = open_joined(
            data,
            split="train",
            size=size,
            seed=method.seed,
            count=scenes,
            looks=looks,
            every=every,
        )
    opened = [
        None
        if spec is None
        else (name_as_test(spec), open_joined([spec], split="val", size=method.frame_size))
        for spec in (validation, test)
    ]
    held_out, known = check_data((" ".join(data), clips), *opened, select_on_test=select_on_test)
    if held_out is not None:
        tell(check_truths(held_out, validation or test or ""))
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
            facts={
                "command": command_line(),
                "data": data,
                "version": __version__,
                **known,
            },
            progress=bars,
            notice=note,
            report=bars.report,
            tell_time=True,
        )
        told: dict[str, Any] = {}
        if compared:
            from hearsight.studies.own_videos import train_on_videos

            assert begun is not None
            done = train_on_videos(method, clips, out, begun, options, validation=held_out)
            result, told = done.training, done.numbers()
        else:
            result = run_training(method, clips, out, validation=held_out, options=options)
    tell(f"skipped {name}: {reason}" for name, reason in result.unreadable.items())
    if not result.main:
        return
    print(
        json.dumps(
            {
                "run": str(result.folder),
                "steps": result.steps,
                "seconds": round(result.seconds, 1),
                "curriculum_share": round(result.curriculum_seconds / result.seconds, 4),
                "skipped": len(result.unreadable),
                "finished": result.finished,
                **({} if result.best is None else {"best": round(result.best, 4)}),
                **({"shortened": result.shortened} if result.shortened else {}),
                **told,
            }
        )
    )


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
