"""`hearsight recipes` lists methods; `hearsight import-weights` converts released weights."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError

if TYPE_CHECKING:
    from hearsight.recipes.recipe import Recipe


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Print all fields of this one (JSON): a recipe, a run folder, a checkpoint or a "
            "model folder.",
            metavar="NAME|RUN",
        ),
    ] = None,
) -> None:
    """List the recipes (methods and their variants), or print every field of one or of a run's.

    Example: hearsight recipes ssl_tie:small
    """
    from hearsight.recipes.catalogue import describe_recipes

    if name is not None:
        from hearsight.recipes.recipe_file import recipe_text

        print(recipe_text(find_recipe(name)), end="")
        return
    described = describe_recipes()
    width = max(map(len, described))
    for each, description in described.items():
        print(f"{each:{width}} {description}")


def find_recipe(name: str) -> "Recipe":
    """A recipe of the catalogue, of a run folder or of a model, in this order.

    Raises:
        HearsightError: none of these.
    """
    from hearsight.checkpoints.checkpoint import find_model, load_checkpoint
    from hearsight.checkpoints.hub import is_hub_name
    from hearsight.checkpoints.model_folder import is_model_folder
    from hearsight.recipes.catalogue import load_recipe, recipe_names
    from hearsight.training.run_folder import run_recipe

    path = Path(name)
    if name in recipe_names() or not (path.exists() or is_hub_name(name)):
        return load_recipe(name)
    if not path.is_dir() or is_model_folder(path):
        return load_checkpoint(find_model(name), with_state=False).recipe
    found = run_recipe(path)
    if found is None:
        raise HearsightError(f"'{name}' holds no run.")
    return found


def import_weights(
    file: Annotated[Path, typer.Argument(help="The authors' *.pth.tar.")],
    method: Annotated[
        str,
        typer.Option(
            help="Whose weights: `ssl-tie`, `lvs`, `ez-vsl`, `margin-nce`, `fnac`, `slavc` or "
            "`ssl-align`."
        ),
    ] = "ssl-tie",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="By default FILE with .safetensors.")
    ] = None,
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
