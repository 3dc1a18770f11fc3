"""Activation checkpointing: what is cheap to compute is computed again for gradients, not kept."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_STATE = threading.local()


def is_recomputing() -> bool:
    """Whether this thread computes again, for gradients, what a forward pass has computed."""
    return bool(getattr(_STATE, "recomputing", False))


@contextmanager
def _recomputing() -> Iterator[None]:
    _STATE.recomputing = True
    try:
        yield
    finally:
        _STATE.recomputing = False


def recomputed(function: Callable[[Tensor], Tensor], values: Tensor, *, active: bool) -> Tensor:
    """`function(values)`; where `active`, nothing but `values` is kept for gradients.

    All of `function` but its last layer, whose input is what gradients need, is then computed
    twice, with the same numbers to the last bit. It must draw no random numbers, and what it
    changes besides must stay as it is while `is_recomputing`.
    """
    if not (active and torch.is_grad_enabled()):
        return function(values)
    result: Tensor = checkpoint(
        function,
        values,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _recomputing()),
    )
    return result
