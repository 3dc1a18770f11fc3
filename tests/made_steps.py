"""Batches made for steps, and the loss of their terms."""

import torch
import torch.multiprocessing
from torch import Tensor

from hearsight.training.batches import Batch


def clips(count: int, partners: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def noise(low: int, high: int, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
        return torch.randint(low, high, shape, generator=generator, dtype=kind)

    return Batch(
        ids=tuple(f"clip{n}" for n in range(count)),
        frames=noise(0, 256, (count, 3, 40, 48), torch.uint8),
        sizes=torch.tensor([[40, 48]] * count),
        sounds=noise(-9000, 9000, (count, 16_000), torch.int16),
        partners=noise(-9000, 9000, (count, 16_000), torch.int16) if partners else None,
    )


def loss_of(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()
