"""Types of calls are checked by jaxtyping where they name shapes, elsewhere by beartype alone.

jaxtyping binds the arguments of every call and checks them twice, so that shapes agree among them
and with the result. Functions without shapes, most of the package, gain nothing by it: the same
annotations are checked by the same checker, in a twentieth of the time.
"""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, ForwardRef, TypeVar, get_args

import jaxtyping


def names_shapes(annotation: Any) -> bool:
    """Whether an annotation has the shape of an array in it, or may have."""
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    if isinstance(annotation, list | tuple):  # the arguments of a Callable
        return any(map(names_shapes, annotation))
    # jaxtyping alone passes over names in quotes that are imported for type checkers only
    return isinstance(annotation, str | ForwardRef | TypeVar) or any(
        map(names_shapes, get_args(annotation))
    )


def is_plain(function: Any) -> bool:
    """Whether it is a function of Python none of whose annotations names a shape."""
    return isinstance(function, FunctionType) and not any(
        map(names_shapes, function.__annotations__.values())
    )


def check_shapes_alone() -> None:
    """Let jaxtyping's import hook leave what names no shape to the type checker."""
    whole = jaxtyping.jaxtyped

    def jaxtyped(checked: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
        if checked is None:
            return partial(jaxtyped, typechecker=typechecker)
        if is_plain(checked):
            return typechecker(checked)
        if dataclasses.is_dataclass(checked) and is_plain(vars(checked).get("__init__")):
            checked.__init__ = typechecker(checked.__init__)  # type: ignore[misc]
            return checked
        return whole(checked, typechecker=typechecker)

    jaxtyping.jaxtyped = jaxtyped
