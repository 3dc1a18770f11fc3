"""Shapes and types of every call are checked while the tests run, with and without arrays."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jaxtyping
import numpy as np
import pytest
from beartype import beartype
from jaxtyping import Float32, Float64, TypeCheckError

from hearsight.clips.lists import ClipList, clip_names, without_suffix

Values = TypeVar("Values", Float32[np.ndarray, " n"], Float64[np.ndarray, " n"])


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    decorated: Callable[..., Any] = jaxtyping.jaxtyped(typechecker=beartype)(function)
    return decorated


def test_types_of_the_package_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        without_suffix(7)  # type: ignore[arg-type]
    with pytest.raises(TypeCheckError):
        clip_names([7])  # type: ignore[list-item]


def test_letters_of_shapes_mean_one_number_in_a_call() -> None:
    @checked
    def both(first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " n"]) -> None:
        pass

    @checked
    def within(arrays: list[Float64[np.ndarray, " n"]] | None) -> None:
        pass

    @checked
    def doubled(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        return np.concatenate([values, values])

    @checked
    def passed(size: int) -> int:
        both(np.zeros(size), np.zeros(size))
        return size

    both(np.zeros(3), np.zeros(3))
    with pytest.raises(TypeCheckError):
        both(np.zeros(3), np.zeros(4))
    with pytest.raises(TypeCheckError):
        within([np.zeros((3, 3))])
    with pytest.raises(TypeCheckError):
        doubled(np.zeros(3))
    assert [passed(3), passed(4)] == [3, 4]  # each call has letters of its own
    with pytest.raises(TypeCheckError):
        passed("3")


def test_letters_inside_of_what_a_type_variable_stands_for_are_those_of_its_own_call() -> None:
    @checked
    def same(values: Values, more: Values) -> Values:
        return values

    @checked
    def half(values: Float64[np.ndarray, " n"]) -> int:
        return len(same(values[::2], values[::2]))

    assert half(np.zeros(4)) == 2
    with pytest.raises(TypeCheckError):
        same(np.zeros(3), np.zeros(4))


def test_fields_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        ClipList(name="a", entries=(7,))  # type: ignore[arg-type]


def test_generators_are_checked_when_they_are_called() -> None:
    @checked
    def numbers(count: int) -> Iterator[int]:
        yield from range(count)

    assert list(numbers(3)) == [0, 1, 2]
    with pytest.raises(TypeCheckError):
        numbers("3")
