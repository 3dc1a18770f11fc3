"""How types are checked on every test run: shapes of arrays by jaxtyping, all else by beartype.

jaxtyping binds the arguments of every call, opens a scope for the letters of its shapes and checks
them twice, for better words, which costs far more than the check. A function that names no array
has no shapes: beartype alone checks its types. In the others, beartype checks once in such a scope.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import beartype
from jaxtyping import AbstractArray

JAXTYPED = jaxtyping.jaxtyped


def names_array(hint: object) -> bool:
    """Whether a type is one of arrays or holds one; one that is written as a string may be."""
    if isinstance(hint, str):
        return True
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    parts = hint if isinstance(hint, list) else get_args(hint)  # a list: arguments of a callable
    return any(names_array(part) for part in parts)


def is_called_whole(thing: object) -> bool:
    """Whether a thing is a function that returns what it states, not an iterator over it."""
    return inspect.isfunction(thing) and not (
        inspect.isgeneratorfunction(thing)
        or inspect.iscoroutinefunction(thing)
        or inspect.isasyncgenfunction(thing)
    )


def checked(thing: Any, jaxtyped: Callable[[Any], Any]) -> Any:
    """A function or class with its types checked; `jaxtyped` is jaxtyping's own decorator."""
    if inspect.isclass(thing) and dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
        thing.__init__ = checked(thing.__init__, jaxtyped)  # type: ignore[misc]
        return thing
    if not is_called_whole(thing):
        return jaxtyped(thing)
    if any(names_array(hint) for hint in thing.__annotations__.values()):
        return JAXTYPED(beartype(thing), typechecker=None)
    return beartype(thing)


def check_types(*, typechecker: Any) -> Callable[[Any], Any]:
    """The decorator that the import hook of jaxtyping writes before functions and classes."""
    jaxtyped = JAXTYPED(typechecker=typechecker)
    return lambda thing: checked(thing, jaxtyped)


jaxtyping.jaxtyped = check_types  # for modules that are imported from here on
