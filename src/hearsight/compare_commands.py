"""`hearsight compare`: several methods trained and scored alike, in one table and one page."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hearsight import __version__
from hearsight.arguments import (
    Data,
    Device,
    Settings,
    Threads,
    Workers,
    command_line,
    parse_folder,
    parse_seeds,
)
from hearsight.console import Bars, tell
from hearsight.errors import HearsightError

FIRST_SEED = 4  # of recipes


def choose_seeds(text: str) -> tuple[int, ...]:
    """So many seeds from `FIRST_SEED` on where one number is given, else those with commas.

    Raises:
        HearsightError: neither.
    """
    if text.strip().isdecimal() and len(text.strip()) < 19:
        count = int(text)
        if not 1 <= count <= 100:
            raise HearsightError(f"--seeds takes 1 to 100 runs of each method, not {count}.")
        return tuple(range(FIRST_SEED, FIRST_SEED + count))
    return tuple(parse_seeds(text.rstrip(", ")))


def compare(
    recipes: Annotated[list[str], typer.Argument(help="Names of recipes.")],
    data: Data,
    test: Annotated[
        str | None,
        typer.Option(help="Annotated clips to score; by itself the held-out ones of a pack."),
    ] = None,
    protocols: Annotated[str, typer.Option(help="With commas.")] = "adaptive",
    seeds: Annotated[
        str, typer.Option(help="How many, from 4 on; or which, with commas: `7,` is one.")
    ] = "3",
    out: Annotated[
        Path,
        typer.Option(help="Runs, table.csv, report.html.", metavar="PATH", parser=parse_folder),
    ] = Path("comparison"),
    changes: Settings = [],  # noqa: B006 typer reads the default, nobody changes it
    epochs: Annotated[
        int | None, typer.Option(help="Of every method that trains; else its recipe's.", min=1)
    ] = None,
    epoch: Annotated[
        int | None, typer.Option(help="Scenes in an epoch, if scenes are composed.", min=1)
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Held-out scenes, if so; by itself 600.", min=1)
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes of composed scenes; by itself all there are.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="Clips with boxes that choose the epoch.")
    ] = None,
    select_on_test: Annotated[
        bool,
        typer.Option("--select-on-test", help="Let the test set choose the epoch; tables tell."),
    ] = False,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Train methods alike, score them alike; print one table, write table.csv and report.html.

    Finished runs in OUT are not repeated, an interrupted one goes on. Methods, seeds and
    protocols may be added later.

    Example: hearsight compare ssl_tie:small lvs:small random:small --data toys --protocols lvs
    """
    import torch

    from hearsight import contest_page, contest_table
    from hearsight.campaign import reference_scores
    from hearsight.contest import SCENE_SIZE, Contest, Entrant, check, open_data, scene_size
    from hearsight.contest import compare as run_comparison
    from hearsight.datasets import is_composed, open_clips
    from hearsight.evaluate import check_truths
    from hearsight.report import write_report
    from hearsight.runs import Options
    from hearsight.train_commands import know_data

    torch.set_num_threads(threads)
    settings = [*changes, *([] if epochs is None else [f"epochs={epochs}"])]
    contest = Contest(
        recipes=tuple(dict.fromkeys(recipes)),
        seeds=choose_seeds(seeds),
        protocols=tuple(dict.fromkeys(one.strip() for one in protocols.split(","))),
        settings=tuple(settings),
        folder=out,
        plan={
            "data": data,
            "test": test,
            "settings": settings,
            "validation": validation,
            "select_on_test": select_on_test,
        },
    )
    size, sized = check(contest), dict[str, int]()
    if any(map(is_composed, [*data, test or "", validation or ""])):
        size = scene_size(out, size)
        sized[SCENE_SIZE] = size
    clips, held_out, scenes = open_data(
        data, test, size=size, epoch=epoch, count=count, classes=classes
    )
    tell(check_truths(held_out, test or data[0]))
    contest = replace(contest, plan={**contest.plan, **scenes, **sized})
    chosen_by, known = know_data(
        (" ".join(data), clips),
        None
        if validation is None
        else (validation, open_clips(validation, split="val", size=size)),
        (test or f"{data[0]}, held out", held_out),
        select_on_test=select_on_test,
    )
    if chosen_by is not None and validation is not None:
        tell(check_truths(chosen_by, validation))
    with Bars() as bars:
        options = Options(
            device=device,
            workers=workers,
            facts={"command": command_line(), "data": data, "version": __version__, **known},
            progress=bars,
        )

        def write(entrants: list[Entrant]) -> None:
            references = {
                protocol: found
                for protocol in contest.protocols
                if (found := reference_scores(out, held_out, protocol, options))
            }
            contest_table.write_table(entrants, contest.protocols, out / "table.csv")
            page = contest_page.describe(
                contest, entrants, held_out, references, command=command_line()
            )
            write_report(page, out / "report.html")

        entrants = run_comparison(
            contest, clips, held_out, options, validation=chosen_by, finish=write
        )
    print(contest_table.table_text(entrants, contest.protocols))
    print(f"Report: {out / 'report.html'}", file=sys.stderr)
