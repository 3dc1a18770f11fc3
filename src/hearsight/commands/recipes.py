"""`hearsight recipes` lists methods; `hearsight import-weights` converts released weights."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.outputs import Force, writing


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print all fields of this one (JSON).")] = None,
) -> None:
    """List the recipes (methods and their variants), or print every field of one.

    Example: hearsight recipes ssl_tie:small
    """
    from hearsight.recipes.catalogue import describe_recipes, load_recipe
    from hearsight.recipes.serialisation import to_json

    if name is not None:
        print(json.dumps(to_json(load_recipe(name)), indent=2))
        return
    described = describe_recipes()
    width = max(map(len, described))
    for each, description in described.items():
        print(f"{each:{width}} {description}")


def import_weights(
    file: Annotated[Path, typer.Argument(help="The authors' *.pth.tar.")],
    method: Annotated[
        str, typer.Option(help="Whose weights: `ssl-tie`, `lvs`, `ez-vsl` or `slavc`.")
    ] = "ssl-tie",
    out: Annotated[Path | None, typer.Option(help="By default FILE with .safetensors.")] = None,
    force: Force = False,
) -> None:
    """Turn weights that authors released into a checkpoint of this package.

    Example: hearsight import-weights SSL_TIE_vggss144k.pth.tar --out vggss144k.safetensors
    """
    from hearsight.checkpoints.import_weights import import_weights as convert
    from hearsight.checkpoints.import_weights import target_of

    target = target_of(file) if out is None else out
    with writing((target, ()), force=force, sources=[file]):
        convert(file, target, method)
    print(json.dumps({"checkpoint": str(target)}))
