"""Passes: always the same number of rows and one thread, results in order."""

import pytest
import torch
from torch import Tensor

from hearsight.model.passes import PASS, in_passes, whole_passes

CPU = torch.device("cpu")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, PASS - 1, PASS, PASS + 1, 5 * PASS + 2])
def test_results_are_joined_in_order_and_every_pass_is_alike(rows: int, threads: int) -> None:
    seen: list[tuple[int, int, int, bool]] = []

    def add(one: Tensor, other: Tensor) -> Tensor:
        held = torch.get_num_threads(), torch.is_inference_mode_enabled()
        seen.append((len(one), len(other), *held))
        return one + other[:, 0]

    one, other = torch.arange(rows), 100 * torch.arange(rows)[:, None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = in_passes(add, one, other, device=CPU)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found.tolist() == [101 * row for row in range(rows)]
    assert seen == [(PASS, PASS, 1, True)] * (whole_passes(rows) // PASS)


def test_an_error_leaves_the_threads_as_they_were() -> None:
    def fail(one: Tensor) -> Tensor:
        raise ValueError("no")

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="no"):
        in_passes(fail, torch.zeros(20), device=CPU)
    assert torch.get_num_threads() == before


def test_whole_passes_are_the_least_multiple() -> None:
    assert [whole_passes(rows) for rows in (1, 8, 9, 32)] == [8, 8, 16, 32]
