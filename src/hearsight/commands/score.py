"""`hearsight evaluate` and `hearsight protocols`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import Bars, tell
from hearsight.commands.options import Data, Device, Threads
from hearsight.errors import HearsightError


def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint, a run folder, or a model name.")],
    data: Data,
    protocol: Annotated[str, typer.Option(help="See `hearsight protocols`.")] = "ssl-tie",
    ids: Annotated[
        Path | None, typer.Option(help="Score only the clips that this list names.")
    ] = None,
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
    scores: Annotated[
        Path | None, typer.Option(help="Write the score of each clip: .parquet or .csv.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows as JSON lines.")] = False,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Score a checkpoint on annotated clips, beside the blind rows and the ceiling.

    Example: hearsight evaluate runs/first --data menagerie --protocol adaptive
    """
    import torch

    from hearsight.checkpoints.checkpoint import load_model
    from hearsight.clips.leaks import footnotes, marks
    from hearsight.clips.selection import name_left_out, restrict
    from hearsight.datasets.open import open_joined
    from hearsight.files.output import check_output
    from hearsight.files.tables import ROW_FILES, text_table, write_rows
    from hearsight.model.device import move
    from hearsight.scoring.inference import Inference
    from hearsight.scoring.object_guidance import load_guide
    from hearsight.scoring.protocol_registry import check_options, evaluate_protocol
    from hearsight.scoring.results import name_ids

    torch.set_num_threads(threads)
    if scores is not None:
        check_output(scores, ROW_FILES, *([] if ids is None else [ids]))
    if ogl is None and ogl_share is not None:
        raise HearsightError("--ogl-share needs the object network of --ogl.")
    check_options(protocol, guided=ogl is not None, draws=draws)
    encoders, recipe, facts = load_model(checkpoint)
    signs = marks(facts, epochs=recipe.epochs)
    clips, unknown = open_joined(data, split="val", size=recipe.frame_size), list[str]()
    left_out = name_left_out(clips, " ".join(data))
    if ids is not None:
        clips, unknown = restrict(clips, ids)
    guide = None if ogl is None else load_guide(ogl, ogl_share)
    place = move(encoders, device)
    if guide is not None:
        guide.network.to(place)
    with Bars() as bars:
        model = Inference(
            encoders=encoders,
            recipe=recipe,
            device=place,
            name="model" + "".join(signs) + ("" if ids is None else f" on {ids.stem}"),
            guide=guide,
            batch_size=batch_size,
            progress=bars,
        )
        found = evaluate_protocol(model, clips, protocol, draws=draws)
    notes = [*left_out, *found.notes]
    notes += name_ids(f"ids in '{ids}' are not among the clips", unknown)
    if as_json:
        for row in found.rows:
            print(json.dumps(row))
        notes += footnotes(signs)
    else:
        print(text_table(found.rows, caption=found.caption, footnotes=footnotes(signs)))
    tell(notes)
    if scores is not None:  # after the table is printed, which a full disk must not prevent
        write_rows(found.clips, scores)


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
