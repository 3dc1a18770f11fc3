"""The checks of types and shapes that every test runs with are at work."""

from typing import Any

import numpy as np
import pytest
import torch
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import Float, TypeCheckError
from made_checks import is_plain

from hearsight.model.response import response
from hearsight.pages.curves import BarSeries, Curve
from hearsight.training import report


def test_a_wrong_type_is_refused_where_no_shape_is_named() -> None:
    wrong: Any = "2"
    with pytest.raises(BeartypeCallHintParamViolation):
        report.duration(wrong)
    with pytest.raises(BeartypeCallHintParamViolation):
        BarSeries(name=wrong, values=3)  # type: ignore[arg-type]
    assert report.duration(2.0) == "2 s"


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        response(torch.zeros(2, 4, 3, 3), torch.zeros(2, 5))
    with pytest.raises(TypeCheckError):
        Curve(name="a", steps=np.zeros(3), values=np.zeros(4))


def test_what_names_a_shape_or_is_quoted_is_left_to_jaxtyping() -> None:
    def plain(one: int, *others: "int") -> int:
        return one

    def shaped(ones: list[Float[np.ndarray, " n"]]) -> None: ...

    plain.__annotations__["others"] = float
    assert is_plain(plain)
    assert not is_plain(shaped)
    plain.__annotations__["others"] = "float"
    assert not is_plain(plain)
