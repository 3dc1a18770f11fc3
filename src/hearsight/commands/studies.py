"""`hearsight compare`, `hearsight ablate` and `hearsight demo`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearsight.commands.console import Bars, note, table_width, tell
from hearsight.commands.options import (
    Classes,
    Data,
    Device,
    Epochs,
    Looks,
    Protocols,
    RecipeChanges,
    Scenes,
    Threads,
    Wide,
    Workers,
    above_zero,
    add_epochs,
    command_line,
    parse_folder,
    parse_protocols,
    parse_seeds,
)
from hearsight.commands.outputs import tell_written
from hearsight.commands.train import check_data
from hearsight.errors import HearsightError
from hearsight.progress import Progress
from hearsight.version import __version__

if TYPE_CHECKING:
    from hearsight.clips.clip import Clips
    from hearsight.scoring.score_table import ScoreTable
    from hearsight.studies.comparison import ComparedMethod, Comparison, HeldOutClips

    Writer = Callable[[Comparison, list[ComparedMethod], HeldOutClips, Progress], None]

FIRST_SEED = 4  # of recipes

Test = Annotated[
    str | None,
    typer.Option(
        "--test", help="Annotated clips to score; by default the held-out ones of a pack."
    ),
]
HeldOutScenes = Annotated[
    int | None,
    typer.Option("--count", help="Held-out scenes, if composed; by default 600.", min=1),
]
Seeds = Annotated[
    str,
    typer.Option("--seeds", help="Number of seeds, counted from 4; or a list: `4,9`, `7,`."),
]


def choose_seeds(text: str) -> tuple[int, ...]:
    """Seeds from --seeds: a number counts them from `FIRST_SEED` on, commas list them.

    Raises:
        HearsightError: no number from 1 to 100, and no list of seeds.
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
    test: Test = None,
    protocols: Protocols = "adaptive",
    seeds: Seeds = "3",
    out: Annotated[
        Path,
        typer.Option(
            *("-o", "--out"),
            help="Folder of runs, table.csv and report.html.",
            metavar="PATH",
            parser=parse_folder,
        ),
    ] = Path("comparison"),
    changes: RecipeChanges = [],  # noqa: B006 typer reads the default, nobody changes it
    epochs: Epochs = None,
    scenes: Scenes = None,
    count: HeldOutScenes = None,
    classes: Classes = None,
    looks: Looks = 1,
    validation: Annotated[
        str | None, typer.Option(help="Clips with boxes that choose the epoch.")
    ] = None,
    select_on_test: Annotated[
        bool,
        typer.Option("--select-on-test", help="Let the test set choose the epoch; tables mark it."),
    ] = False,
    wide: Wide = False,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Train methods on the same clips, score them on others; write table.csv and report.html.

    Finished runs in OUT are not repeated, an interrupted one is resumed. Methods, seeds and
    protocols may be added later.

    Example: hearsight compare ssl_tie:small lvs:small random:small --data toys --protocols lvs
    """
    import torch

    from hearsight.scoring.score_table import ScoreTable
    from hearsight.studies.comparison import Comparison
    from hearsight.studies.comparison_table import table_text

    torch.set_num_threads(threads)
    tables = list[ScoreTable]()
    comparison = Comparison(
        recipes=tuple(dict.fromkeys(recipes)),
        seeds=choose_seeds(seeds),
        protocols=tuple(parse_protocols(protocols)),
        changes=tuple(add_epochs(changes, epochs)),
        folder=out,
        plan={},
    )
    methods = run_comparison(
        comparison,
        data,
        test,
        partial(write_comparison, tables=tables, command=command_line()),
        counts={"epoch": scenes, "count": count, "classes": classes},
        looks=looks,
        validation=validation,
        select_on_test=select_on_test,
        device=device,
        workers=workers,
    )
    print(table_text(methods, tables, wide=wide, width=table_width()))
    tell_written(out / "table.csv", out / "report.html")


def write_comparison(
    comparison: "Comparison",
    methods: list["ComparedMethod"],
    held_out: "HeldOutClips",
    progress: Progress,
    *,
    tables: list["ScoreTable"],
    command: str,
) -> None:
    """Write table.csv and report.html into the folder of a comparison.

    tables: filled with those of the methods. command: that made the comparison.
    """
    from hearsight.pages.report import write_report
    from hearsight.studies import comparison_page, comparison_table
    from hearsight.studies.comparison import reference_scores

    out, protocols = comparison.folder, comparison.protocols
    references = reference_scores(out, methods, held_out, protocols, progress)
    tables[:] = comparison_table.tabulate_methods(methods, protocols)
    comparison_table.write_table(tables, out / "table.csv")
    page = comparison_page.describe(
        comparison, methods, held_out.clips, references, tables, command=command
    )
    write_report(page, out / "report.html")


def check_choosers(
    comparison: "Comparison", *, validation: str | None, select_on_test: bool
) -> None:
    """Refuse what chooses the epoch where nothing is trained.

    Raises:
        HearsightError: it would have no effect.
    """
    from hearsight.studies.comparison import trains

    for chooser, given in (
        ("--validation", validation is not None),
        ("--select-on-test", select_on_test),
    ):
        if given and not trains(comparison):
            raise HearsightError(f"{chooser} has no effect: none of these methods is trained.")


def run_comparison(
    comparison: "Comparison",
    data: list[str],
    test: str | None,
    write: "Writer",
    *,
    counts: dict[str, int | None],
    looks: int = 1,
    validation: str | None = None,
    select_on_test: bool = False,
    device: str | None,
    workers: int,
) -> list["ComparedMethod"]:
    """Open and check the clips of a comparison, complete its plan, train and score its methods.

    Args:
        comparison: without what the plan says of clips.
        data: names of clips to train on.
        test: name of clips to score; None for the held-out scenes of a pack.
        write: writes tables and pages into the folder, given the comparison with its whole plan.
        counts: `epoch`, `count` and `classes` of `open_data`.
        looks: of cut-outs, as `open_data` takes them.
        validation: name of clips that choose the epoch.
        select_on_test: whether the scored clips may choose the epoch.
        device: of training and scoring.
        workers: processes that load data.

    Raises:
        HearsightError: what opening and checking clips, and `compare_methods` raise.
    """
    from hearsight.datasets.open import is_composed
    from hearsight.scoring.evaluation import check_truths
    from hearsight.studies.comparison import check, compare_methods, open_data, read_held_out
    from hearsight.studies.comparison_folder import SCENE_SIZE, scene_size
    from hearsight.training.run_folder import TrainingOptions

    size, scenes = check(comparison), dict[str, int]()
    check_choosers(comparison, validation=validation, select_on_test=select_on_test)
    if any(map(is_composed, [*data, test or "", validation or ""])):
        size = scene_size(comparison.folder, size)
        scenes[SCENE_SIZE] = size
    clips, scored, composed = open_data(
        data, test, size=size, looks=looks, validation=validation, **counts
    )
    held_out = read_held_out(scored)
    tell(check_truths(scored, test or data[0], held_out.annotations))
    plan = {
        "data": data,
        "test": test,
        "settings": list(comparison.changes),
        "validation": validation,
        "select_on_test": select_on_test,
    }
    comparison = replace(comparison, plan={**comparison.plan, **plan, **composed, **scenes})
    validated, facts = open_validation(
        validation,
        (" ".join(data), clips),
        (test or f"{data[0]}, held out", held_out),
        size=size,
        classes=counts["classes"],
        select_on_test=select_on_test,
    )
    facts = {"command": command_line(), "data": data, "version": __version__, **facts}
    with Bars() as bars:
        return compare_methods(
            comparison,
            clips,
            held_out,
            TrainingOptions(
                device=device,
                workers=workers,
                facts=facts,
                progress=bars,
                notice=note,
                report=bars.report,
            ),
            validation=validated,
            finish=lambda methods: write(comparison, methods, held_out, bars),
        )


def open_validation(
    name: str | None,
    training: tuple[str, "Clips"],
    test: tuple[str, "HeldOutClips"],
    *,
    size: int,
    classes: int | None,
    select_on_test: bool,
) -> tuple["HeldOutClips | None", dict[str, Any]]:
    """The clips that choose the epoch, if any, and facts on leaks; warns of leaks on stderr.

    Args:
        name: of the validation clips.
        training: name and clips.
        test: name and clips.
        size: of the frames of composed scenes, pixels.
        classes: of composed scenes; None for all.
        select_on_test: whether the test set may choose the epoch.

    Raises:
        HearsightError: what `check_data` and `check_truths` raise.
    """
    from hearsight.datasets.open import open_joined
    from hearsight.scoring.evaluation import check_truths
    from hearsight.studies.comparison import read_held_out

    named = None
    if name is not None:
        named = name, open_joined([name], split="val", size=size, classes=classes)
    chosen, facts = check_data(
        training, named, (test[0], test[1].clips), select_on_test=select_on_test
    )
    if named is None:
        return (None if chosen is None else test[1]), facts
    validation = read_held_out(named[1])
    tell(check_truths(named[1], named[0], validation.annotations))
    return validation, facts


def ablate(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="`ssl_tie` or `ssl_tie:small`.")],
    data: Data,
    test: Test = None,
    out: Annotated[
        Path,
        typer.Option(
            *("-o", "--out"),
            help="Folder of runs, table.md and ladder.png.",
            metavar="PATH",
            parser=parse_folder,
        ),
    ] = Path("ablation"),
    seeds: Seeds = "3",
    changes: RecipeChanges = [],  # noqa: B006 typer reads the default, nobody changes it
    epochs: Epochs = None,
    scenes: Scenes = None,
    count: HeldOutScenes = None,
    classes: Classes = None,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Compare rungs A to F of SSL-TIE's Table 1, trained with the same seeds; print that table.

    Finished runs in OUT are not repeated, an interrupted one is resumed.

    Example: hearsight ablate ssl_tie:small --data menagerie --epochs 12
    """
    import torch

    from hearsight.studies.ablation import make_ablation, write_ladder

    torch.set_num_threads(threads)
    run_comparison(
        make_ablation(
            recipe, seeds=choose_seeds(seeds), changes=add_epochs(changes, epochs), folder=out
        ),
        data,
        test,
        partial(write_ladder, command=command_line()),
        counts={"epoch": scenes, "count": count, "classes": classes},
        device=device,
        workers=workers,
    )
    print((out / "table.md").read_text(encoding="utf-8"), end="")
    tell_written(out / "table.md", out / "ladder.png")


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="Folder of all files.", metavar="PATH", parser=parse_folder
        ),
    ] = Path("demo"),
    minutes: Annotated[
        float,
        typer.Option(help="Minutes of training; the rest takes 1 to 3 more.", callback=above_zero),
    ] = 6.5,
    pack: Annotated[
        str | None,
        typer.Option(
            help="`menagerie`, `menagerie:FOLDER` or `toys`; by default menagerie if there."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of scenes, weights and order.", min=0)] = 4,
    looks: Looks = 1,
    trunks: Annotated[
        bool, typer.Option(help="Pretrained trunks where they can be had, or small networks.")
    ] = True,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Compose scenes, train SSL-TIE on them, score it, localise in a video, write report.html.

    Example: hearsight demo --out demo --minutes 6.5
    """
    import torch

    from hearsight.scoring.evaluation import table_text
    from hearsight.studies.demo import run_demo, summarise
    from hearsight.studies.demo_plan import DemoOptions

    torch.set_num_threads(threads)
    with Bars() as bars:
        made = run_demo(
            out,
            DemoOptions(
                minutes=minutes,
                pack=pack,
                seed=seed,
                looks=looks,
                trunks=trunks,
                device=device,
                workers=workers,
                command=command_line(),
                progress=bars,
                notice=note,
                report=bars.report,
            ),
        )
    print(f"Made of {made.pack}.")
    for title, evaluation in made.scores.items():
        print(table_text(evaluation))
        print(summarise(title, evaluation))
    print(f"In the video {made.found[0]} of {made.found[1]} sounding moments are found.")
    print(f"Model: {made.model}")
    print(f"Report: {made.report.resolve()}")
    print(f"Took {made.seconds / 60:.1f} minutes.")
