"""`hearsight retrieve`, the retrieval benchmark, and `hearsight data splits`, its lists.

`hearsight data splits` is here because it makes the lists on which retrieval is measured.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.commands.console import Bars, table_width, tell
from hearsight.commands.data import data
from hearsight.commands.options import BatchSize, Classes, Data, Device, Threads, parse_folder
from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError
from hearsight.files.text import counted

if TYPE_CHECKING:
    from hearsight.clips.clip import Clips
    from hearsight.retrieval.benchmark import RetrievalResults

LISTS = ("unseen_35", "trainval_274", "train_110")


@data.command()
def splits(
    table: Annotated[Path, typer.Argument(help="VGGSound's csv: id, second, label, split.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="Folder of the lists.", metavar="PATH", parser=parse_folder
        ),
    ] = Path("splits"),
    force: Force = False,
) -> None:
    """Write VGGSound's lists for retrieval: 35 unseen classes, the other 274, the heard 110.

    Which classes are unseen is inferred from a released list, not printed in the paper.

    Example: hearsight data splits vggsound.csv --out splits
    """
    from hearsight.datasets.vggsound_splits import (
        UNSEEN_35,
        read_vggsound_csv,
        split_vggsound,
        write_list,
    )

    found = split_vggsound(read_vggsound_csv(table))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HearsightError(f"'{out}' cannot be made: {error.strerror}.") from error
    lists = {out / f"{name}.csv": getattr(found, name) for name in LISTS}
    with writing(*((path, (".csv",)) for path in lists), force=force, sources=[table]):
        for path, rows in lists.items():
            write_list(rows, path)
            labels = {row.label for row in rows}
            print(json.dumps({"list": str(path), "clips": len(rows), "classes": len(labels)}))
    missing = sorted(set(UNSEEN_35) - {row.label for row in found.unseen_35})
    if missing:
        have = "has" if len(missing) == 1 else "have"
        tell([f"{len(missing)} of the 35 unseen classes {have} no clip: {', '.join(missing)}"])
    tell(
        [
            "The 35 unseen classes are inferred from the released training list; "
            f"{counted(found.shared_videos, 'video has', 'videos have')} clips both in them and "
            "in the other 274."
        ]
    )


def retrieve(
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Checkpoints, run folders, model folders or names; one row each.",
        ),
    ],
    data: Data,
    task: Annotated[
        str, typer.Option(help="`sound-sound`, `sound-image` or `image-sound`.")
    ] = "sound-sound",
    pooling: Annotated[
        str | None,
        typer.Option(help="How a frame's grid is pooled: `mean` (by default) or `max`."),
    ] = None,
    same_video: Annotated[
        str, typer.Option(help="`keep` or `drop` other clips of the query's own video.")
    ] = "keep",
    embeddings: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=FILE", help="A row of another model's vectors: .parquet, .npz or .npy."
        ),
    ] = [],  # noqa: B006 typer reads the default, nobody changes it
    seed: Annotated[int, typer.Option(help="Of the untrained encoders.", min=0, max=2**63 - 1)] = 0,
    count: Annotated[int | None, typer.Option(help="Scenes, if they are composed.", min=1)] = None,
    classes: Classes = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the table: .csv.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw some queries with what the first model found.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows as JSON lines.")] = False,
    force: Force = False,
    batch_size: BatchSize = 32,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Score how well clips find clips of their class by sound and image.

    Prints A@k (whether one of the first k has the class) and P@k (share of them that has it) beside
    rows of untrained encoders, of mel statistics, of chance and of the best possible order.

    Example: hearsight retrieve runs/first --data stores/mine --task sound-image --sheet found.png
    """
    import torch

    from hearsight.clips.clip import Clips
    from hearsight.clips.selection import name_left_out
    from hearsight.datasets.open import open_joined
    from hearsight.localising.painting import PICTURES
    from hearsight.retrieval.benchmark import ENDINGS, RetrievalOptions, run_benchmark
    from hearsight.retrieval.embeddings import check_pooling

    torch.set_num_threads(threads)
    check_options(task, pooling, same_video, data, count=count, classes=classes)
    left_out: list[str] = []

    @cache  # each model asks for them, mostly at the same size
    def open_at(size: int) -> Clips:
        clips = open_joined(data, split="val", size=size, count=count, classes=classes)
        left_out[:] = name_left_out(clips, " ".join(data))  # the same whatever the size
        return clips

    with writing((out, ENDINGS), (sheet, PICTURES), force=force):
        with Bars() as bars:
            found = run_benchmark(
                checkpoints,
                open_at,
                parse_embeddings(embeddings),
                RetrievalOptions(
                    task=task,
                    pooling=check_pooling(pooling or "mean"),
                    drop_same_video=same_video == "drop",
                    seed=seed,
                    batch_size=batch_size,
                    device=device,
                    progress=bars,
                ),
            )
        write(found, open_at, out, sheet)
    show(found, left_out, as_json=as_json)


def check_options(
    task: str,
    pooling: str | None,
    same_video: str,
    data: list[str],
    *,
    count: int | None,
    classes: int | None,
) -> None:
    """Refuse options that are wrong, or of no use for the task or the clips.

    Raises:
        HearsightError: one is.
    """
    from hearsight.datasets.open import check_composed
    from hearsight.retrieval.tasks import check_task

    check_task(task)
    if pooling is not None and "image" not in task:
        raise HearsightError(f"--pooling is of frames, and '{task}' has none: leave it out.")
    if same_video not in ("keep", "drop"):
        raise HearsightError(f"--same-video may be keep or drop, not '{same_video}'.")
    check_composed(data, {"count": count, "classes": classes})


def write(
    found: "RetrievalResults",
    open_at: "Callable[[int], Clips]",
    out: Path | None,
    sheet: Path | None,
) -> None:
    """Write the table and the sheet, where they are asked for.

    open_at: opens the clips of the benchmark with frames of so many pixels.
    """
    from hearsight.files.tables import write_rows
    from hearsight.pages.retrieval_sheet import save_retrieval_sheet
    from hearsight.retrieval.benchmark import ENDINGS

    if out is not None:
        write_rows([row.row() for row in found.rows], out, ENDINGS)
    if sheet is not None:
        save_retrieval_sheet(
            found.task,
            found.neighbours.scores,
            found.neighbours.indices,
            open_at(224),
            found.places,
            sheet,
        )


def show(found: "RetrievalResults", left_out: list[str], *, as_json: bool) -> None:
    """Print the rows, and on stderr what they do not count.

    left_out: what was left out of the clips when they were opened.
    """
    from hearsight.clips.clip import list_unreadable
    from hearsight.retrieval.scores import notes, table_text

    if as_json:
        for row in found.rows:
            print(json.dumps(row.row()))
    else:
        print(table_text(found.rows, width=table_width()))
    tell([*left_out, *notes(found.task, found.unlabelled)])
    skipped = list_unreadable(found.skipped, len(found.task.ids) + len(found.skipped))
    if skipped:
        tell([skipped])


def parse_embeddings(given: list[str]) -> dict[str, Path]:
    """The files of several NAME=FILE, by name.

    Raises:
        HearsightError: one is not of that form, or a name is given twice.
    """
    files: dict[str, Path] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not (name and equals and path):
            raise HearsightError(f"--embeddings takes NAME=FILE, not '{one}'.")
        if name in files:
            raise HearsightError(f"--embeddings gives the name '{name}' twice.")
        files[name] = Path(path)
    return files
