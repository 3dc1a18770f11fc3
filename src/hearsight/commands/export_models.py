"""`hearsight export-model` and `export-onnx`: a model in the forms in which others carry it."""

import json
import logging
import warnings
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import Bars, note
from hearsight.commands.options import parse_folder
from hearsight.commands.outputs import tell_written

Source = Annotated[
    str, typer.Argument(metavar="MODEL", help="Checkpoint, run folder, model folder or name.")
]
Target = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="To write to; new or empty.", parser=parse_folder),
]
Into = Annotated[
    bool,
    typer.Option("--force", help="Write into a folder that is not empty, over files it holds."),
]


def export_model(
    model: Source,
    folder: Target,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", metavar="SPDX", help="Of the weights, where no notice beside them says it."
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Weights in half precision: half the size.")
    ] = False,
    force: Into = False,
) -> None:
    """Write a model as a folder that hubs and `--model` take: weights, config, card, notices.

    Example: hearsight export-model runs/first first_model --license CC-BY-4.0
    """
    from hearsight.checkpoints.export_model import export_model as export

    written = export(model, folder, licence=licence, half=half, force=force)
    tell_written(*written)
    note("config.json tells the command and the data of the training: read it before you publish.")
    print(json.dumps({"model": str(folder)}))


def export_onnx(model: Source, folder: Target, force: Into = False) -> None:
    """Write a model as ONNX files for onnxruntime: frames, sounds, response, and their numbers.

    Example: hearsight export-onnx ssl_tie:small small_onnx
    """
    from hearsight.localising.onnx_export import export_onnx as export

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it names operators nobody asked for
    with warnings.catch_warnings(), Bars() as bars:
        warnings.simplefilter("ignore", FutureWarning)  # of torch to itself
        written = export(model, folder, force=force, progress=bars)
    tell_written(*written)
    print(json.dumps({"onnx": str(folder)}))
