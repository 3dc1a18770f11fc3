"""How types are checked on every test run: shapes of arrays by jaxtyping, all else by beartype.

jaxtyping binds the arguments of every call and opens a scope for the letters of its shapes, which
costs far more than the check. A function that names no array has no shape to check: beartype alone
checks its types, as jaxtyping would have it do.
"""

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


def is_plain(thing: object) -> bool:
    """Whether a thing is a function whose types beartype checks like jaxtyping: at its call."""
    if not inspect.isfunction(thing) or inspect.isgeneratorfunction(thing):
        return False
    if inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing):
        return False
    return not any(names_array(hint) for hint in thing.__annotations__.values())


def check_types(thing: Any = inspect.Parameter.empty, /, **how: Any) -> Any:
    """The decorator that the import hook of jaxtyping writes before functions and classes."""
    if thing is inspect.Parameter.empty:
        jaxtyped: Callable[[Any], Any] = JAXTYPED(**how)
        return lambda each: beartype(each) if is_plain(each) else jaxtyped(each)
    return JAXTYPED(thing, **how)


jaxtyping.jaxtyped = check_types  # for modules that are imported from here on
