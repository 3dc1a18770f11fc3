"""`hearsight evaluate`, `hearsight score` and `hearsight protocols`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.commands.console import Bars, table_width, tell
from hearsight.commands.options import (
    BatchSize,
    Data,
    Device,
    Protocols,
    Threads,
    Wide,
    parse_protocols,
)
from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError

if TYPE_CHECKING:
    from hearsight.scoring.checkpoint_scores import SideBySide

Ids = Annotated[Path | None, typer.Option(help="Score only the clips that this list names.")]
Scores = Annotated[
    Path | None, typer.Option(help="Write the score of each clip: .parquet or .csv.")
]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", help="Write the whole table: .parquet or .csv.")
]
Json = Annotated[bool, typer.Option("--json", help="Print rows as JSON lines.")]


class Kind(StrEnum):
    """What a pixel of a map is."""

    cosine = "cosine"
    probability = "probability"
    logit = "logit"


def evaluate(
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Checkpoints, run folders, model folders or names; one row each.",
        ),
    ],
    data: Data,
    protocols: Protocols = "adaptive",
    ids: Ids = None,
    ogl: Annotated[
        Path | None,
        typer.Option(help="Mix in the object map of this ImageNet ResNet-18 (torchvision's)."),
    ] = None,
    ogl_share: Annotated[
        float | None,
        typer.Option(help="Weight of the response map, 0 to 1; by default the protocol's."),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Draws of noise and of other clips per clip; `negatives` only, by default 3.",
        ),
    ] = None,
    scores: Scores = None,
    out: Out = None,
    wide: Wide = False,
    as_json: Json = False,
    force: Force = False,
    batch_size: BatchSize = 32,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Score checkpoints on annotated clips, beside the blind rows and the ceiling.

    Scores have 95 % intervals over clips; each model is compared with the first one and with the
    best blind row by a paired test.

    Example: hearsight evaluate runs/first runs/second --data menagerie --protocols adaptive,lvs
    """
    import torch

    from hearsight.files.tables import ROW_FILES
    from hearsight.scoring.checkpoint_scores import score_checkpoints
    from hearsight.scoring.object_guidance import load_guide
    from hearsight.scoring.protocol_registry import check_options

    torch.set_num_threads(threads)
    names = parse_protocols(protocols)
    if ogl is None and ogl_share is not None:
        raise HearsightError("--ogl-share needs the object network of --ogl.")
    drawing = "negatives" if "negatives" in names else names[0]
    for name in names:
        check_options(name, guided=ogl is not None, draws=draws if name == drawing else None)
    lists = [] if ids is None else [ids]
    with writing((scores, ROW_FILES), (out, ROW_FILES), force=force, sources=lists):
        with Bars() as bars:
            found = score_checkpoints(
                list(dict.fromkeys(checkpoints)),
                data,
                names,
                ids=ids,
                guide=None if ogl is None else load_guide(ogl, ogl_share),
                draws=draws,
                batch_size=batch_size,
                device=device,
                progress=bars,
            )
        show(found, out=out, scores=scores, wide=wide, as_json=as_json)


def show(
    found: "SideBySide", *, out: Path | None, scores: Path | None, wide: bool, as_json: bool
) -> None:
    """Print the tables of what was scored, and write them and the lines of each clip."""
    from hearsight.files.tables import write_rows
    from hearsight.scoring.score_table import table_text, tabulate

    tables = [tabulate(each) for each in found.results]
    rows = [row for table in tables for row in table.all_rows()]
    if as_json:
        for row in rows:
            print(json.dumps(row))
    else:
        width = table_width()
        print("\n\n".join(table_text(one, wide=wide, width=width) for one in tables))
        print("\n".join(found.footnotes), end="\n" if found.footnotes else "")
    tell([*found.notes, *(found.footnotes if as_json else [])])
    # after the tables are printed, which a full disk must not prevent
    if out is not None:
        write_rows(rows, out)
    if scores is not None:
        write_rows(found.clips, scores)


def score(
    maps: Annotated[
        list[str],
        typer.Argument(help="Files .npz or folders with one map per clip; one row each."),
    ],
    data: Data,
    protocols: Protocols = "adaptive",
    ids: Ids = None,
    values: Annotated[
        Kind | None,
        typer.Option(help="What the maps hold; by default what the protocol's authors have."),
    ] = None,
    confidence: Annotated[
        Path | None,
        typer.Option(
            help="A confidence per clip, as id,confidence or JSON; by default what the protocol "
            "computes from a map."
        ),
    ] = None,
    scores: Scores = None,
    out: Out = None,
    wide: Wide = False,
    as_json: Json = False,
    force: Force = False,
) -> None:
    """Score response maps that any other code wrote, beside the blind rows and the ceiling.

    MAPS is an .npz with one array per clip id, or a folder of .npy, .npz or grey .png files named
    by clip id; of any size, over the whole frame.

    Example: hearsight score ezvsl.npz slavc.npz --data VGG --protocols ez-vsl,adaptive
    """
    from hearsight.files.tables import ROW_FILES
    from hearsight.scoring.saved_map_scores import score_saved_maps

    given = [*([] if ids is None else [ids]), *([] if confidence is None else [confidence])]
    read = [*given, *map(Path, maps)]
    with writing((scores, ROW_FILES), (out, ROW_FILES), force=force, sources=read):
        with Bars() as bars:
            found = score_saved_maps(
                list(dict.fromkeys(maps)),
                data,
                parse_protocols(protocols),
                ids=ids,
                values=None if values is None else values.value,
                confidence=confidence,
                progress=bars,
            )
        show(found, out=out, scores=scores, wide=wide, as_json=as_json)


def protocols(
    name: Annotated[
        str | None, typer.Argument(help="Print all that this one computes and needs.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of each as JSON lines.")
    ] = False,
) -> None:
    """List the protocols, or print all of one.

    NAME:flickr is for Flickr-SoundNet, where each box of a clip is one annotator's.

    Example: hearsight protocols slavc
    """
    from hearsight.files.tables import wrapped_pairs
    from hearsight.scoring.protocol_registry import check_name, protocol_names, protocol_table

    if name is not None:
        check_name(name)
    chosen = [row for row in protocol_table() if name in (None, row["protocol"])]
    if as_json:
        for row in chosen:
            print(json.dumps(row))
    else:
        print(wrapped_pairs(protocol_names() if name is None else chosen[0]))
