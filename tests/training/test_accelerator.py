"""The accelerator of a run: what it may not do to the caller's process."""

import os
from typing import Any

import pytest
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from hearsight.errors import HearsightError
from hearsight.training.accelerator import make_accelerator


def test_no_variable_of_the_environment_is_taken_away_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []
    remove = type(os.environ).__delitem__

    def watched(self: Any, key: str) -> None:
        taken.append(key)
        remove(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(type(os.environ), "__delitem__", watched)
        accelerator = make_accelerator("cpu")
    assert taken == []
    assert accelerator.gradient_accumulation_steps == 1


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(HearsightError, match="no device 'tpu'"):
        make_accelerator("tpu")


def test_another_set_up_of_the_caller_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    make_accelerator("cpu")
    monkeypatch.setitem(AcceleratorState._shared_state, "_mixed_precision", "fp16")
    with pytest.raises(HearsightError, match="accelerate was set up before"):
        make_accelerator("cpu")
