"""A recipe as JSON and back, keys and types checked; `--set path=value` changes single fields."""

import json
import sys
import types
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hearsight.errors import HearsightError
from hearsight.recipes.peer_names import nearest_field
from hearsight.recipes.recipe import Recipe

KIND = "kind"  # JSON key that names the dataclass of a part


def to_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested JSON objects; each names its dataclass under `kind`."""
    plain: dict[str, Any] = _plain(recipe)
    return plain


def from_json(plain: object) -> Recipe:
    """The recipe that `to_json` wrote. No value is converted: "3" and true are not 3.

    Raises:
        HearsightError: an unknown field, a value of the wrong type or out of range; the first
            one found is named by its path.
    """
    recipe: Recipe = _structured(plain, Recipe, "")
    return recipe


def changed_field(assignment: str) -> str:
    """The PATH of PATH=VALUE."""
    return assignment.partition("=")[0].strip()


def assign(recipe: Recipe, *assignments: str) -> Recipe:
    """Change fields in place, as in `contrast.margin=-0.2`, `warp=null` or `betas=0.9,0.99`.

    The name of a dataclass replaces a part by one of that kind with its defaults:
    `contrast=PaperContrast`. The recipe is checked as a whole after the last assignment, so
    fields that must agree can be changed together.

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
            if not isinstance(owner[parent], dict):
                value = _shortened(owner[parent])
                raise HearsightError(f"{inside} is {value}, so there is no {path} to set.")
            owner = owner[parent]
            kind = _dataclasses(hint)[owner[KIND]]
        hint = _field_type(kind, name, path, recipe)
        if not text:
            raise HearsightError(
                f"'{assignment}' gives no value: {path} must be {_described(hint)}."
            )
        owner[name] = _plain(_structured(_parsed(text, hint), hint, path))
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


def _field_types(kind: Any) -> dict[str, Any]:
    """The type hints of a dataclass's fields, by name."""
    hints = get_type_hints(kind)
    return {entry.name: hints[entry.name] for entry in fields(kind)}


def _field_type(kind: Any, name: str, path: str, recipe: Recipe) -> Any:
    """The type hint of the field at the end of a path."""
    hints = _field_types(kind)
    if name not in hints:
        if name == "margin" and hasattr(kind, "no_margin"):
            raise HearsightError(kind.no_margin)
        raise HearsightError(
            f"{kind.__name__} has no field '{name}' (in '{path}')."
            f"{nearest_field(path, field_paths(recipe))}"
        )
    return hints[name]


def _plain(value: Any) -> Any:
    """Dataclasses as objects with their kind, tuples as lists."""
    if is_dataclass(value):
        parts = {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
        return {KIND: type(value).__name__, **parts}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _members(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _dataclasses(hint: Any) -> dict[str, Any]:
    """The dataclasses among the members of a type, by name."""
    return {
        member.__name__: member
        for member in _members(hint)
        if isinstance(member, type) and is_dataclass(member)
    }


def _parsed(text: str, hint: Any) -> Any:
    """The JSON value that a text on the command line stands for, in a field of type `hint`."""
    members = _members(hint)
    if type(None) in members and text.lower() in ("null", "none"):
        return None
    if any(member is str or get_origin(member) is Literal for member in members):
        return text
    if text in _dataclasses(hint):
        return {KIND: text}
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if any(get_origin(member) is tuple for member in members):
            return json.loads(f"[{text.strip('()[] ').rstrip(',')}]")
        return json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or a number of thousands of digits
        return text


def _structured(value: Any, hint: Any, path: str) -> Any:
    """A JSON value as the type `hint`; errors name `path`."""
    kinds = _dataclasses(hint)
    if kinds and isinstance(value, dict):
        return _structured_part(value, kinds, path)
    for member in _members(hint):
        if member is float:
            if type(value) in (int, float) and abs(value) <= sys.float_info.max:  # not NaN
                return float(value)
        elif type(value) is member or (get_origin(member) is Literal and value in get_args(member)):
            return value
        elif get_origin(member) is tuple and isinstance(value, list):
            return _structured_tuple(value, member, path)
    raise HearsightError(
        f"{path or 'A recipe'} must be {_described(hint)}, not {_shortened(value)}."
    )


def _structured_tuple(values: list[Any], hint: Any, path: str) -> tuple[Any, ...]:
    members = get_args(hint)
    if members[-1] is Ellipsis:
        members = (members[0],) * len(values)
    if len(members) != len(values):
        raise HearsightError(f"{path} must be {_described(hint)}, not {_shortened(values)}.")
    return tuple(
        _structured(value, member, f"{path}[{place}]")
        for place, (value, member) in enumerate(zip(values, members, strict=True))
    )


def _structured_part(plain: dict[str, Any], kinds: dict[str, Any], path: str) -> Any:
    where = path or "the recipe"
    name = plain.get(KIND, next(iter(kinds)) if len(kinds) == 1 else None)
    if not isinstance(name, str) or name not in kinds:
        raise HearsightError(f"The kind of {where} must be {' or '.join(kinds)}, not '{name}'.")
    hints = _field_types(kinds[name])
    values = {}
    for key, value in plain.items():
        if key == KIND:
            continue
        if key not in hints:
            near = nearest_field(key, hints)
            raise HearsightError(f"{name} has no field '{key}' (in {where}).{near}")
        values[key] = _structured(value, hints[key], f"{path}.{key}" if path else key)
    return kinds[name](**values)


def _described(hint: Any) -> str:
    """A type as a user reads it, such as `a list of 2 numbers or null`."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    words[type(None)] = "null"
    said = []
    for member in _members(hint):
        if get_origin(member) is Literal:
            said += [f"'{choice}'" for choice in get_args(member)]
        elif get_origin(member) is tuple:
            items = get_args(member)
            count = "" if items[-1] is Ellipsis else f"{len(items)} "
            texts = 'texts in quotes, such as ["bell", "dog, barking"]'
            said.append(f"a list of {count}{texts if items[0] is str else 'numbers'}")
        else:
            said.append(words.get(member, getattr(member, "__name__", str(member))))
    return " or ".join(said)


def _shortened(value: Any) -> str:
    """A value as JSON, its end cut off where it is long."""
    text = json.dumps(_plain(value), default=str)
    return text if len(text) < 60 else f"{text[:57]}..."
