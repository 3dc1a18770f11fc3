"""Batches made for steps, the loss of their terms, and steps in double precision.

Single precision tells little of two ways to compute the same step: rounding turns decisions of ReLU
and pooling, and Adam makes a whole learning rate of each. In double precision they agree.
"""

import torch
import torch.multiprocessing
from torch import Tensor

from hearsight.model.device import place
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.training.batches import Batch
from hearsight.training.step import compile_networks, draw, losses, prepare_frames, prepare_sounds


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


def exact_training(
    recipe: Recipe, steps: int = 3, *, compiled: bool = False
) -> tuple[list[float], dict[str, Tensor]]:
    """Steps of Adam in double precision: the loss of each, and the state they end with."""
    torch.manual_seed(recipe.seed)
    encoders = Encoders(recipe.encoder).double()
    place(encoders, torch.device("cpu"), channels_last=recipe.channels_last)
    if compiled:
        compile_networks(encoders)
    optimiser = torch.optim.Adam(encoders.parameters(), recipe.learning_rate, recipe.betas)
    batch, found = clips(recipe.batch_size), []
    for step in range(steps):
        draws = draw(recipe, len(batch), 1, torch.Generator().manual_seed(step))
        frames = prepare_frames(recipe, batch, draws.appearance).double()
        spectrograms = prepare_sounds(recipe, batch, draws).double()
        loss = loss_of(losses(recipe, encoders, [frames], spectrograms, draws.warp))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found, encoders.state_dict()
