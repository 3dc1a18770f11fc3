"""The model that training starts from: what of its weights is taken over, and by which recipes.

Taken over are the networks that give response maps: both trunks and both projections, running
statistics included. Predictor, projector and classifier of a method begin anew, as do optimiser
and confidence threshold. Where the model computes with its momentum encoder, that is what is taken
over; the momentum encoder of a recipe begins as a copy.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from hearsight.checkpoints.card import card_of, log_card
from hearsight.checkpoints.checkpoint import Checkpoint, find_model, load_checkpoint
from hearsight.checkpoints.tensors import weights_digest
from hearsight.errors import HearsightError
from hearsight.files.output import write_text
from hearsight.files.text import parse_json
from hearsight.model.encoders import EMA_NETWORKS, Encoder, Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import to_json

START = "start.json"  # in a run folder
PROJECTIONS = ("projection", "hidden", "heads", "linear_heads", "prototypes")  # fields of `Encoder`
SHAPING = (  # fields of `Encoder` on which the response maps of given weights depend
    *("frame_trunk", "sound_trunk", "widths", "blocks", "strides", "sound_strides"),
    *("stem_kernel", "stem_stride", "stem_pool", *PROJECTIONS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A model that training starts from.

    name: as it was named: a model that comes with the package, a checkpoint, or a run folder.
    """

    name: str
    path: Path  # of its checkpoint
    checkpoint: Checkpoint

    @property
    def digest(self) -> str:
        """A digest of the weights: 16 hexadecimal digits."""
        return weights_digest(self.checkpoint.weights, 8)

    @property
    def fact(self) -> dict[str, str]:
        """What a run and its checkpoints tell of it."""
        return {"model": self.name, "recipe": self.checkpoint.recipe.name, "digest": self.digest}

    def sentence(self, recipe: Recipe) -> str:
        """What a recipe takes over from it and what not."""
        began = _begun_anew(recipe.encoder)
        heads = f" The {' and '.join(began)} of its own begin{'s' * (len(began) == 1)} anew."
        return (
            f"Training starts from '{self.name}': {recipe.name} takes over the weights of its "
            "trunks and projections, and neither its objective nor its augmentation, optimiser "
            f"and confidence threshold.{heads if began else ''}"
        )


def load_start(source: str | Path) -> Start:
    """The model that training starts from; what its card says in short is logged.

    source: as in `load_model`.

    Raises:
        HearsightError: as `load_model`.
    """
    path = find_model(source)
    log_card(card_of(path))
    return Start(name=str(source), path=path, checkpoint=load_checkpoint(path, with_state=False))


def adopt_projections(recipe: Recipe, start: Recipe) -> str | None:
    """Give a recipe the projections of a model that it starts from, if nothing else differs.

    A recipe with several heads keeps its own: its objective means them.

    Returns:
        A sentence that says so; None if nothing was changed.
    """
    ours, theirs = recipe.encoder, start.encoder
    shape = {name: getattr(theirs, name) for name in PROJECTIONS}
    adopted = replace(recipe, encoder=replace(ours, **shape))
    if ours.heads > 1 or adopted == recipe or other_network(adopted, start):
        return None
    recipe.encoder = adopted.encoder
    heads = f", {theirs.heads} heads of {theirs.projection} channels" if theirs.heads > 1 else ""
    return f"The projections of {recipe.name} take the shape of the model's{heads}."


def other_network(recipe: Recipe, start: Recipe) -> list[str]:
    """The fields in which the network of a recipe differs from that of `start`, with the values."""
    ours, theirs = to_json(recipe), to_json(start)
    pairs = [
        (f"encoder.{name}", ours["encoder"][name], theirs["encoder"][name]) for name in SHAPING
    ]
    if ours["spectrogram"]["kind"] == theirs["spectrogram"]["kind"]:
        pairs += [
            (f"spectrogram.{name}", value, theirs["spectrogram"][name])
            for name, value in ours["spectrogram"].items()
        ]
    else:
        pairs += [
            ("spectrogram", ours["spectrogram"]["kind"], theirs["spectrogram"]["kind"]),
        ]
    return [f"{path} ({one}, there {other})" for path, one, other in pairs if one != other]


def check_network(recipe: Recipe, start: Start) -> None:
    """Refuse a recipe that cannot take over the weights of a model.

    Raises:
        HearsightError: its network is another, or its `encoder.weights` name a file for them too.
    """
    different = other_network(recipe, start.checkpoint.recipe)
    if different:
        raise HearsightError(
            f"{recipe.name or 'The recipe'} cannot start from '{start.name}', whose network is "
            f"another: it differs in {', '.join(different)}."
        )
    if recipe.encoder.weights is not None:
        raise HearsightError(
            f"encoder.weights and the model '{start.name}' to start from both give the weights of "
            "the frame encoder: name one of them."
        )


def begin_from(encoders: Encoders, recipe: Recipe, start: Start) -> None:
    """Give encoders the weights that their recipe takes over.

    Raises:
        HearsightError: as `check_network`.
    """
    check_network(recipe, start)
    held = start.checkpoint
    used, ahead = _networks(held.weights, "ema."), _networks(held.weights, "")
    main = used if held.recipe.encoder.ema_eval and encoders.ema is None else ahead
    taken = dict(main)
    if encoders.ema is not None:
        taken |= {f"ema.{name}": value for name, value in (used or ahead).items()}
    encoders.load_state_dict(taken, strict=False)


def _networks(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights of the networks that give response maps, without a prefix of their names."""
    begins = tuple(f"{prefix}{name}." for name in EMA_NETWORKS)
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(begins)
    }


def _begun_anew(encoder: Encoder) -> list[str]:
    """The networks of an encoder that give no response maps."""
    found = [] if encoder.predictor is None else ["projector", "predictor"]
    return found + ["classifier"] * bool(encoder.classes)


def write_start(folder: Path, start: Start) -> None:
    """Note in a run folder what the run starts from.

    Raises:
        HearsightError: it cannot be written.
    """
    write_text(folder / START, json.dumps(start.fact, indent=2) + "\n")


def read_start(folder: Path) -> Mapping[str, Any] | None:
    """What the run in a folder started from, as `Start.fact`; None if from no model.

    Raises:
        HearsightError: the note cannot be read.
    """
    path = folder / START
    if not path.exists():
        return None
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HearsightError(f"'{path}' cannot be read: {error}.") from error
    if not isinstance(found, dict) or not all(
        isinstance(found.get(name), str) for name in ("model", "digest")
    ):
        raise HearsightError(f"'{path}' does not say what the run started from.")
    return found


def start_of_run(folder: Path, given: Start | None, *, needed: bool) -> Start | None:
    """The model that a resumed run in a folder started from.

    Args:
        folder: of the run.
        given: the model that the user named, if any.
        needed: load the one that the run notes where none is given.

    Raises:
        HearsightError: the run started from another model, or from none; or its model is needed
            and is no longer there.
    """
    held = read_start(folder)
    if given is None and (held is None or not needed):
        return None
    if held is None:
        assert given is not None
        raise HearsightError(
            f"The run in {folder} started from no model, so it cannot go on from '{given.name}'."
        )
    start = load_start(held["model"]) if given is None else given
    if start.digest != held["digest"]:
        raise HearsightError(
            f"The run in {folder} started from '{held['model']}' with other weights than those of "
            f"'{start.name}': name the model it started from by `start`."
        )
    return start
