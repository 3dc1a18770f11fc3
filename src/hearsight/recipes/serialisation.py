"""A recipe as JSON and back, every key and type checked; and fields changed by their path."""

import json
import math
import types
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hearsight.errors import HearsightError, nearest
from hearsight.recipes.recipe import Recipe

KIND = "kind"  # in JSON: which dataclass a part is


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
