"""`hearsight compare`, `ablate` and `demo`: methods trained and scored alike, in one page."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import Bars, tell
from hearsight.commands.options import (
    Data,
    Device,
    RecipeChanges,
    Threads,
    Workers,
    above_zero,
    command_line,
    parse_folder,
    parse_seeds,
)
from hearsight.commands.train import check_data
from hearsight.errors import HearsightError
from hearsight.version import __version__

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
    changes: RecipeChanges = [],  # noqa: B006 typer reads the default, nobody changes it
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

    from hearsight.datasets.open import is_composed, open_clips
    from hearsight.pages.report import write_report
    from hearsight.scoring.evaluation import check_truths
    from hearsight.studies import comparison_page as contest_page
    from hearsight.studies import comparison_table as contest_table
    from hearsight.studies.campaign import reference_scores
    from hearsight.studies.comparison import (
        SCENE_SIZE,
        ComparedMethod,
        Comparison,
        check,
        open_data,
        scene_size,
    )
    from hearsight.studies.comparison import compare_methods as run_comparison
    from hearsight.training.run_folder import TrainingOptions

    torch.set_num_threads(threads)
    settings = [*changes, *([] if epochs is None else [f"epochs={epochs}"])]
    comparison = Comparison(
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
    size, sized = check(comparison), dict[str, int]()
    if any(map(is_composed, [*data, test or "", validation or ""])):
        size = scene_size(out, size)
        sized[SCENE_SIZE] = size
    clips, held_out, scenes = open_data(
        data, test, size=size, epoch=epoch, count=count, classes=classes
    )
    tell(check_truths(held_out, test or data[0]))
    comparison = replace(comparison, plan={**comparison.plan, **scenes, **sized})
    chosen_by, known = check_data(
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
        options = TrainingOptions(
            device=device,
            workers=workers,
            facts={"command": command_line(), "data": data, "version": __version__, **known},
            progress=bars,
        )

        def write(methods: list[ComparedMethod]) -> None:
            references = {
                protocol: found
                for protocol in comparison.protocols
                if (found := reference_scores(out, held_out, protocol, options))
            }
            contest_table.write_table(methods, comparison.protocols, out / "table.csv")
            page = contest_page.describe(
                comparison, methods, held_out, references, command=command_line()
            )
            write_report(page, out / "report.html")

        methods = run_comparison(
            comparison, clips, held_out, options, validation=chosen_by, finish=write
        )
    print(contest_table.table_text(methods, comparison.protocols))
    print(f"Report: {out / 'report.html'}", file=sys.stderr)


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
    changes: RecipeChanges = [],  # noqa: B006 typer reads the default, nobody changes it
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

    from hearsight.scoring.evaluation import check_truths
    from hearsight.studies.ablation import ablate_in, rung_recipe
    from hearsight.studies.comparison import open_data
    from hearsight.training.run_folder import TrainingOptions

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
    _, known = check_data(
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
            options=TrainingOptions(
                device=device,
                workers=workers,
                facts={"command": command_line(), "data": data, "version": __version__, **known},
                progress=bars,
            ),
            command=command_line(),
        )
    print(table)


def demo(
    out: Annotated[
        Path, typer.Option(help="Where everything goes.", metavar="PATH", parser=parse_folder)
    ] = Path("demo"),
    minutes: Annotated[
        float,
        typer.Option(help="Of training; the rest takes one or two.", callback=above_zero),
    ] = 6.5,
    pack: Annotated[
        str | None,
        typer.Option(help="`menagerie`, `menagerie:FOLDER` or `toys`; else the best to be had."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 4,
    looks: Annotated[
        int, typer.Option(help="Of each training cut-out; 8 are for an hour, not minutes.", min=1)
    ] = 1,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Compose scenes, train SSL-TIE on them, score it, localise in a video, write report.html.

    Example: hearsight demo --out demo --minutes 6.5
    """
    import torch

    from hearsight.scoring.evaluation import table_text
    from hearsight.studies.demo import DemoOptions as DemoSettings
    from hearsight.studies.demo import run_demo
    from hearsight.studies.demo_report import sentence

    torch.set_num_threads(threads)
    with Bars() as bars:
        made = run_demo(
            out,
            DemoSettings(
                minutes=minutes,
                pack=pack,
                seed=seed,
                looks=looks,
                device=device,
                workers=workers,
                command=command_line(),
                progress=bars,
            ),
        )
    print(f"Made of {made.pack}.")
    for title, evaluation in made.scores.items():
        print(table_text(evaluation))
        print(sentence(title, evaluation))
    print(f"In the video {made.hits[0]} of {made.hits[1]} sounding moments are found.")
    print(f"Model: {made.model}")
    print(f"Report: {made.report.resolve()}")
    print(f"Took {made.seconds / 60:.1f} minutes.")
