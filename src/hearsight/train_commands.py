"""`hearsight train` and `hearsight ablate`: runs of one recipe, and of a ladder of them."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearsight import __version__
from hearsight.arguments import (
    Data,
    Device,
    Settings,
    Threads,
    Workers,
    above_zero,
    command_line,
    parse_folder,
    parse_seeds,
)
from hearsight.console import Bars, tell
from hearsight.errors import HearsightError

if TYPE_CHECKING:
    from hearsight.clips import Clips


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe: see `hearsight recipes`.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="The run folder.", metavar="PATH", parser=parse_folder)],
    changes: Settings = [],  # noqa: B006 typer reads the default, nobody changes it
    validation: Annotated[
        str | None, typer.Option(help="Clips with boxes, scored while training.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="Protocol of the validation.")] = "adaptive",
    test: Annotated[
        str | None, typer.Option(help="Clips to be tested on later: none may be trained on.")
    ] = None,
    select_on_test: Annotated[
        bool,
        typer.Option("--select-on-test", help="Let the test set choose the epoch; tables tell."),
    ] = False,
    resume: Annotated[bool, typer.Option(help="Continue the run in OUT.")] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes.", callback=above_zero)
    ] = None,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Train a recipe and write a run folder: log, last and best checkpoint.

    Example: hearsight train ssl_tie:small --data menagerie --out runs/first --set epochs=20
    """
    import torch

    from hearsight.batches import COMPOSED
    from hearsight.datasets import open_clips, open_joined
    from hearsight.evaluate import check_truths
    from hearsight.leaks import merge_leaks
    from hearsight.protocols import load_protocol
    from hearsight.recipe import assign, load_recipe
    from hearsight.runs import Options
    from hearsight.trainer import train as run_training

    torch.set_num_threads(threads)
    load_protocol(protocol)  # a wrong name is said now, not at the end of the first epoch
    method = assign(load_recipe(recipe), *changes)
    size = round(method.frame_size * COMPOSED)
    clips = open_joined(data, split="train", size=size, seed=method.seed)
    opened = [
        None if spec is None else (spec, open_clips(spec, split="val", size=method.frame_size))
        for spec in (validation, test)
    ]
    held_out, known = know_data((" ".join(data), clips), *opened, select_on_test=select_on_test)
    if held_out is not None:
        tell(check_truths(held_out, validation or test or ""))
    if resume:
        before = facts_of(out)
        known["selected_on_test"] |= bool(before.get("selected_on_test"))
        known["leak_check"] = merge_leaks(before.get("leak_check", []), known["leak_check"])
    with Bars() as bars:
        result = run_training(
            method,
            clips,
            out,
            validation=held_out,
            options=Options(
                resume=resume,
                minutes=minutes,
                device=device,
                workers=workers,
                protocol=protocol,
                facts={
                    "command": command_line(),
                    "data": data,
                    "version": __version__,
                    **known,
                },
                progress=bars,
            ),
        )
    for name, reason in result.unreadable.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
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
            }
        )
    )


def know_data(
    train: tuple[str, "Clips"],
    validation: tuple[str, "Clips"] | None,
    test: tuple[str, "Clips"] | None,
    *,
    select_on_test: bool,
) -> tuple["Clips | None", dict[str, Any]]:
    """Warn on stderr of leaks and of clips left out for their ids; each set is beside its name.

    Args:
        train: clips to learn from.
        validation: clips that choose the epoch; None for the test set, if `select_on_test`.
        test: clips that nothing may be learned from.
        select_on_test: whether the test set may choose the epoch.

    Returns:
        The clips that choose the epoch, if any, and facts for the checkpoint.

    Raises:
        HearsightError: what `check_training` raises, or nothing to select on.
    """
    from hearsight.datasets.joined import name_repeated
    from hearsight.leaks import check_training

    for each in (train, validation, test):
        tell([] if each is None else name_repeated(each[1], each[0]))
    if select_on_test and validation is None:
        if test is None:
            raise HearsightError("--select-on-test needs clips to select on: name them by --test.")
        validation = test
    honesty = check_training(
        (train[0], train[1].ids),
        None if validation is None else (validation[0], validation[1].ids),
        None if test is None else (test[0], test[1].ids),
        select_on_test=select_on_test,
    )
    for warning in honesty.warnings:
        print(f"hearsight: {warning}", file=sys.stderr)
    return None if validation is None else validation[1], honesty.facts


def facts_of(folder: Path) -> dict[str, Any]:
    """What the run in a folder told of itself before it was interrupted; nothing if none is."""
    from hearsight.checkpoint import LAST, load_checkpoint

    if not (folder / LAST).exists():
        return {}
    return load_checkpoint(folder / LAST, with_state=False).facts


def ablate(
    method: Annotated[str, typer.Argument(help="`ssl_tie` or `ssl_tie:small`.")],
    data: Data,
    held_out: Annotated[
        str | None, typer.Option(help="Annotated clips to score; by itself --data's held-out ones.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Run folders, table and plot.", metavar="PATH", parser=parse_folder),
    ] = Path("ablation"),
    seeds: Annotated[str, typer.Option(help="Seeds of every rung, with commas.")] = "4,5,6",
    changes: Settings = [],  # noqa: B006 typer reads the default, nobody changes it
    epoch: Annotated[
        int | None, typer.Option(help="Scenes in an epoch, if scenes are composed.", min=1)
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Held-out scenes, if so; by itself 600.", min=1)
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes of composed scenes; by itself all there are.")
    ] = None,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Train rungs A to F of SSL-TIE's Table 1 with the same seeds and print its layout.

    Finished runs in OUT are not repeated, an interrupted one goes on.

    Example: hearsight ablate ssl_tie:small --data menagerie --set epochs=12
    """
    import torch

    from hearsight.ablation import ablate_in, rung_recipe
    from hearsight.contest import open_data
    from hearsight.evaluate import check_truths
    from hearsight.runs import Options

    torch.set_num_threads(threads)
    chosen = parse_seeds(seeds)
    clips, kept, scenes = open_data(
        data,
        held_out,
        size=rung_recipe(method, "f", changes).frame_size,
        epoch=epoch,
        count=count,
        classes=classes,
        option="--held-out",
    )
    tell(check_truths(kept, held_out or data[0]))
    _, known = know_data(
        (" ".join(data), clips),
        None,
        (held_out or f"{data[0]}, held out", kept),
        select_on_test=False,
    )
    with Bars() as bars:
        table = ablate_in(
            out,
            clips,
            kept,
            method=method,
            seeds=chosen,
            settings=changes,
            plan={
                "method": method,
                "data": data,
                "held_out": held_out,
                "settings": changes,
                **scenes,
            },
            options=Options(
                device=device,
                workers=workers,
                facts={"command": command_line(), "data": data, "version": __version__, **known},
                progress=bars,
            ),
            command=command_line(),
        )
    print(table)
