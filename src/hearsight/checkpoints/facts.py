"""Facts of a model: how its weights were made, as JSON, checked where hearsight reads them back."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError


def is_count(fact: object) -> bool:
    """Whether a JSON value is a whole number from 0 to 2^63 - 1."""
    return type(fact) is int and 0 <= fact < 2**63


def is_number(fact: object) -> bool:
    """Whether a JSON value is a finite number."""
    return type(fact) in (int, float) and abs(fact) <= sys.float_info.max  # type: ignore[arg-type]


def is_position(fact: object) -> bool:
    """Whether a JSON value is a training position; `judge` is missing in the shipped weights."""
    match fact:
        case {"epoch": epoch, "batch": batch, "step": step, "best": best, **rest}:
            counted = all(is_count(number) for number in (epoch, batch, step))
            judged = rest.keys() <= {"judge"} and isinstance(rest.get("judge"), str | None)
            return counted and is_number(best) and judged
    return False


def is_leak_check(fact: object) -> bool:
    """Whether a JSON value is a list of counts of clips and videos shared by two data sets."""
    return isinstance(fact, list) and all(is_leak(one) for one in fact)


def is_leak(fact: object) -> bool:
    """Whether a JSON value counts what training and one other data set share."""
    match fact:
        case {"role": str(), "test": str(), "clips_in_both": clips, "videos_in_both": videos}:
            return is_count(clips) and is_count(videos)
    return False


def is_thread_count(fact: object) -> bool:
    """Whether a JSON value is a whole number from 1 to 2^63 - 1."""
    return is_count(fact) and fact != 0


FACTS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "threshold": (is_number, "a number"),
    "selected_on_test": (lambda fact: isinstance(fact, bool), "true or false"),
    "leak_check": (
        is_leak_check,
        "a list of objects with role, test, clips_in_both and videos_in_both",
    ),
    "threads": (is_thread_count, "a whole number from 1 on"),
    "position": (is_position, "an object with epoch, batch and step from 0 on, best and judge"),
}
"""The facts that hearsight reads back, each with its check and its form in words."""


def check_facts(facts: object, path: Path) -> dict[str, Any]:
    """The facts that a file holds, as they are.

    Raises:
        HearsightError: no JSON object, or one of `FACTS` in another form.
    """
    if not isinstance(facts, dict):
        raise HearsightError(f"The facts in {path} are no JSON object.")
    for name, (fits, wanted) in FACTS.items():
        if name in facts and not fits(facts[name]):
            raise HearsightError(f"The fact '{name}' in {path} must be {wanted}.")
    return facts
