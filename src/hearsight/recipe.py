"""What a training run is made of. `hearsight.recipes` fills it in, one file per paper."""

import inspect
import json
import math
import pkgutil
import types
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hearsight.encoders import Encoder
from hearsight.errors import HearsightError, nearest
from hearsight.objectives.attended import AttendedTriplet
from hearsight.objectives.classification import SoundClassification
from hearsight.objectives.clusters import ClusterContrast, PseudoLabelContrast
from hearsight.objectives.contrast import PaperContrast, TrimapContrast
from hearsight.objectives.false_negatives import FalseNegativeContrast
from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.objectives.siamese import SiamesePrediction
from hearsight.objectives.slavc import MomentumContrast
from hearsight.spectrogram import LogSpectrogram, MelSpectrogram
from hearsight.transforms import Appearance, Mixing, SpectrogramMask, Warp

Objective = (
    TrimapContrast
    | PaperContrast
    | MaxContrast
    | FalseNegativeContrast
    | HardPositiveContrast
    | MomentumContrast
    | SiamesePrediction
    | AttendedTriplet
    | ClusterContrast
    | PseudoLabelContrast
    | SoundClassification
)
"""The first two see responses alone, the others everything that is embedded."""

LEAST_SIDE, MOST_SIDE = 32, 4096  # pixels of a frame: what networks and transforms are made for
KIND = "kind"  # in JSON: which dataclass a part is


@dataclass(slots=True, kw_only=True)
class Recipe:
    """One method, complete: read top to bottom it follows a clip through training.

    Raises:
        HearsightError: a number outside its range.
    """

    name: str = ""  # as `load_recipe` knows it
    frame_size: int = 224  # pixels, side of the square the encoder sees
    spectrogram: MelSpectrogram | LogSpectrogram = field(default_factory=MelSpectrogram)
    appearance: Appearance | None = None
    mixing: Mixing | None = None
    mask: SpectrogramMask | None = None
    warp: Warp | None = None
    views: int = 1  # looks of each frame that are drawn; 2: the objective compares them
    encoder: Encoder = field(default_factory=Encoder)
    contrast: Objective = field(default_factory=TrimapContrast)
    equivariance: float = 0.0  # weight of the squared gap between warped map and map of the warped
    learning_rate: float = 1e-4  # of Adam
    decay: bool = False  # let the learning rate fall to 0 along half a cosine
    weight_decay: float = 1e-4  # L2, added to the gradient
    betas: tuple[float, float] = (0.9, 0.999)
    batch_size: int = 32  # clips, over all processes
    epochs: int = 80
    validate_every: int = 1  # epochs
    labels: tuple[str, ...] = ()  # classes by number, for objectives that learn them
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    seed: int = 4

    def __post_init__(self) -> None:
        if not LEAST_SIDE <= self.frame_size <= MOST_SIDE:
            raise HearsightError(
                f"frame_size must be {LEAST_SIDE} to {MOST_SIDE} pixels, not {self.frame_size}."
            )
        if self.validate_every < 1:
            raise HearsightError(f"validate_every must be at least 1, not {self.validate_every}.")
        if self.batch_size < self.least_clips:
            least = f"{self.least_clips} for {type(self.contrast).__name__}"
            raise HearsightError(f"batch_size must be at least {least}, not {self.batch_size}.")
        for name in ("equivariance", "weight_decay", "seed", "epochs"):
            if getattr(self, name) < 0:
                raise HearsightError(f"{name} must not be negative, not {getattr(self, name)}.")
        if self.seed >= 2**63:
            raise HearsightError(f"seed must be below 2^63, not {self.seed}.")
        if not 0 < self.learning_rate <= 1e30:  # beyond, Adam's step is no 32-bit number
            raise HearsightError(
                f"learning_rate must be positive, to 1e30, not {self.learning_rate}."
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise HearsightError(f"betas must lie in [0, 1), not {self.betas}.")
        if self.equivariance and self.warp is None:
            raise HearsightError("equivariance compares maps under a warp: it needs `warp`.")
        if self.views not in (1, 2) or (self.views == 2 and self.appearance is None):
            raise HearsightError("views must be 1 or 2, and 2 need `appearance` to differ.")
        if self.needs_boxes and self.appearance is not None:
            raise HearsightError("contrast learns from boxes, which `appearance` would crop away.")

    @property
    def least_clips(self) -> int:
        """How many clips a step needs: of one alone most objectives learn nothing."""
        return int(getattr(self.contrast, "least_clips", 2))

    @property
    def needs_labels(self) -> bool:
        """Whether the objective learns classes."""
        return bool(getattr(self.contrast, "needs_labels", False))

    @property
    def teaches_frames(self) -> bool:
        """Whether the frame network learns anything."""
        return bool(self.equivariance) or getattr(self.contrast, "teaches_frames", True)

    @property
    def needs_boxes(self) -> bool:
        """Whether the objective learns from boxes."""
        return bool(getattr(self.contrast, "needs_truths", False))


def _makers() -> dict[str, Callable[[], Recipe]]:
    """Recipe functions by name: `file:function`, or `file` for the one named like its file."""
    import hearsight.recipes

    makers: dict[str, Callable[[], Recipe]] = {}
    for module in pkgutil.iter_modules(hearsight.recipes.__path__):
        found = vars(import_module(f"hearsight.recipes.{module.name}"))
        for name, make in found.items():
            if not inspect.isfunction(make) or name.startswith("_"):
                continue
            signature = inspect.signature(make)
            if signature.return_annotation is Recipe and not signature.parameters:
                makers[module.name if name == module.name else f"{module.name}:{name}"] = make
    return makers


def recipe_names() -> list[str]:
    """The names of all recipes, as `load_recipe` takes them."""
    return sorted(_makers())


def describe_recipes() -> dict[str, str]:
    """The names of all recipes, each with the first line of what its function says."""
    return {name: (make.__doc__ or "").split("\n")[0] for name, make in sorted(_makers().items())}


def load_recipe(name: str) -> Recipe:
    """Make the recipe of a name: `ssl_tie`, or `ssl_tie:b` for another function of that file.

    Raises:
        HearsightError: there is none; the nearest name is suggested.
    """
    makers = _makers()
    if name not in makers:
        raise HearsightError(f"There is no recipe '{name}'.{nearest(name, makers)}")
    recipe = makers[name]()
    recipe.name = name
    return recipe


def to_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON objects; each names its dataclass under `kind`."""
    plain: dict[str, Any] = _plain(recipe)
    return plain


def from_json(plain: object) -> Recipe:
    """The recipe of `to_json`; every key and every type is checked.

    Raises:
        HearsightError: an unknown or missing key, a value of the wrong type or out of range.
    """
    recipe: Recipe = _typed(plain, Recipe, "")
    return recipe


def assign(recipe: Recipe, *assignments: str) -> Recipe:
    """Change fields in place, as in `contrast.margin=-0.2`, `warp=null` or `betas=0.9,0.99`.

    A part is switched by the name of its dataclass: `contrast=PaperContrast`, `warp=Warp`. Several
    assignments are made together, in their order: only what comes out must be a sound recipe.

    Returns:
        The same recipe.

    Raises:
        HearsightError: no such field (the nearest is suggested), a value of the wrong type or out
            of range; the recipe is then unchanged.
    """
    changed = to_json(recipe)
    for assignment in assignments:
        path, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals or not path:
            raise HearsightError(f"'{assignment}' is not of the form path=value.")
        owner, kind = changed, Recipe
        *parents, name = path.split(".")
        for depth, parent in enumerate(parents):
            inside = ".".join(parents[: depth + 1])
            hint = _field_type(kind, parent, inside, recipe)
            if parent not in owner:  # the part was switched just now, and has its defaults
                owner[parent] = _plain(getattr(kind(), parent))
            if not isinstance(owner[parent], dict):
                shown = _shown(owner[parent])
                raise HearsightError(f"{inside} is {shown}, so there is no {path} to set.")
            owner = owner[parent]
            kind = _kinds(hint)[owner[KIND]]
        hint = _field_type(kind, name, path, recipe)
        if not text:
            raise HearsightError(f"'{assignment}' gives no value: {path} must be {_wanted(hint)}.")
        owner[name] = _parsed(text, hint)
        if owner[name] is not None and not isinstance(owner[name], dict):
            _typed(owner[name], hint, path)
    checked = from_json(changed)
    for entry in fields(recipe):
        setattr(recipe, entry.name, getattr(checked, entry.name))
    return recipe


def field_paths(part: Any, prefix: str = "") -> list[str]:
    """Every path that `assign` accepts for this recipe."""
    paths = []
    for entry in fields(part):
        paths.append(prefix + entry.name)
        value = getattr(part, entry.name)
        if is_dataclass(value):
            paths += field_paths(value, f"{prefix}{entry.name}.")
    return paths


def _field_type(kind: Any, name: str, path: str, recipe: Recipe) -> Any:
    """The type of a field of a dataclass; `path` is named if there is none."""
    if name not in {entry.name for entry in fields(kind)}:
        if name == "margin" and hasattr(kind, "no_margin"):
            raise HearsightError(kind.no_margin)
        raise HearsightError(
            f"{kind.__name__} has no field '{name}' (in '{path}')."
            f"{nearest(path, field_paths(recipe))}"
        )
    return get_type_hints(kind)[name]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        parts = {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
        return {KIND: type(value).__name__, **parts}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _kinds(hint: Any) -> dict[str, Any]:
    """The dataclasses among the options, by name."""
    return {
        option.__name__: option
        for option in _options(hint)
        if isinstance(option, type) and is_dataclass(option)
    }


def _parsed(text: str, hint: Any) -> Any:
    """The plain value that a written one stands for, where a field of type `hint` is wanted."""
    options = _options(hint)
    if type(None) in options and text.lower() in ("null", "none"):
        return None
    if any(option is str or get_origin(option) is Literal for option in options):
        return text
    if text in _kinds(hint):
        return {KIND: text}
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if any(get_origin(option) is tuple for option in options):
            return json.loads(f"[{text.strip('()[] ').rstrip(',')}]")
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        return text


def _typed(value: Any, hint: Any, path: str) -> Any:
    """`value` as `hint` wants it; `path` is named where it does not fit."""
    kinds = _kinds(hint)
    if kinds and isinstance(value, dict):
        return _part(value, kinds, path)
    for option in _options(hint):
        if option in (type(None), bool, str) and isinstance(value, option):
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if option is int and number and isinstance(value, int):
            return value
        if option is float and number and math.isfinite(value):
            return float(value)
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if get_origin(option) is tuple and isinstance(value, list | tuple):
            return _row(value, option, path)
    raise HearsightError(f"{path or 'A recipe'} must be {_wanted(hint)}, not {_shown(value)}.")


def _row(values: list[Any] | tuple[Any, ...], hint: Any, path: str) -> tuple[Any, ...]:
    members = get_args(hint)
    if members[-1] is Ellipsis:
        members = (members[0],) * len(values)
    if len(members) != len(values):
        raise HearsightError(f"{path} must be {_wanted(hint)}, not {_shown(values)}.")
    return tuple(
        _typed(value, member, f"{path}[{place}]")
        for place, (value, member) in enumerate(zip(values, members, strict=True))
    )


def _part(plain: dict[str, Any], kinds: dict[str, Any], path: str) -> Any:
    """A dataclass from its JSON object."""
    where = path or "the recipe"
    name = plain.get(KIND, next(iter(kinds)) if len(kinds) == 1 else None)
    if name not in kinds:
        raise HearsightError(f"The kind of {where} must be {' or '.join(kinds)}, not '{name}'.")
    kind = kinds[name]
    hints = get_type_hints(kind)
    values = {}
    for key, value in plain.items():
        if key == KIND:
            continue
        if key not in hints:
            raise HearsightError(f"{name} has no field '{key}' (in {where}).{nearest(key, hints)}")
        values[key] = _typed(value, hints[key], f"{path}.{key}" if path else key)
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise HearsightError(f"{where} cannot be made so: {error}") from error


def _wanted(hint: Any) -> str:
    """A type in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    words[type(None)] = "null"
    said = []
    for option in _options(hint):
        if get_origin(option) is Literal:
            said += [f"'{choice}'" for choice in get_args(option)]
        elif get_origin(option) is tuple:
            members = get_args(option)
            count = "" if members[-1] is Ellipsis else f"{len(members)} "
            texts = 'texts in quotes, such as ["bell", "dog, barking"]'
            said.append(f"a list of {count}{texts if members[0] is str else 'numbers'}")
        else:
            said.append(words.get(option, getattr(option, "__name__", str(option))))
    return " or ".join(said)


def _shown(value: Any) -> str:
    """A value as it would be written, shortened."""
    text = json.dumps(_plain(value), default=str)
    return text if len(text) < 60 else f"{text[:57]}..."
