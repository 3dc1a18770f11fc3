"""How types are checked on every test run: shapes of arrays by jaxtyping, all else by beartype.

jaxtyping binds the arguments of every call, opens a scope for the letters of its shapes and checks
them twice, for better words, which costs far more than the check. A function that names no array
has no shapes: beartype alone checks its types. In the others, beartype checks once in such a scope.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ForwardRef, Literal, TypeVar, get_args, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError

JAXTYPED = jaxtyping.jaxtyped
CHECK = beartype(conf=BeartypeConf(violation_type=TypeCheckError))  # raises what jaxtyping does


def parts_of(hint: object) -> Iterator[object]:
    """A type and all that stand in its brackets, or that it stands for."""
    yield hint
    if get_origin(hint) is Literal:  # whose strings are values
        return
    inside = hint if isinstance(hint, list) else get_args(hint)  # a list: of a callable
    if isinstance(hint, TypeVar):
        inside = (*hint.__constraints__, hint.__bound__)
    for part in inside:
        yield from parts_of(part)


def is_array(hint: object) -> bool:
    return inspect.isclass(hint) and issubclass(hint, AbstractArray)


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
    hints = [part for hint in thing.__annotations__.values() for part in parts_of(hint)]
    if any(isinstance(hint, str | ForwardRef) for hint in hints):  # jaxtyping finds what is there
        return jaxtyped(thing)
    if any(map(is_array, hints)):
        return JAXTYPED(CHECK(thing), typechecker=None)
    return CHECK(thing)


def check_types(*, typechecker: Any) -> Callable[[Any], Any]:
    """The decorator that the import hook of jaxtyping writes before functions and classes."""
    jaxtyped = JAXTYPED(typechecker=typechecker)
    return lambda thing: checked(thing, jaxtyped)


jaxtyping.jaxtyped = check_types  # for modules that are imported from here on
