"""Stops training at NaN or infinity before the weights are saved."""

from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hearsight.errors import HearsightError, needs
from hearsight.model.augmentation import centre_crop
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import evaluation_mode
from hearsight.training.batches import Batch

with needs("train", "Training"):
    from accelerate import Accelerator  # type: ignore[import-untyped]

PROBED = 4  # clips whose response maps are checked before weights are saved
ADVICE = "A lower learning_rate, or precision fp32, often helps."


def all_finite(values: dict[str, Tensor]) -> bool:
    """Whether no tensor holds NaN or infinity."""
    return all(bool(value.isfinite().all()) for value in values.values())


@torch.no_grad()
def finite_model(encoders: Encoders, recipe: Recipe, batch: Batch) -> bool:
    """Whether weights, running statistics and the response maps of some clips are finite.

    Finite weights can be so large that response maps overflow: therefore the maps of the clips
    are computed as in evaluation, by the networks and by their momentum encoder if there is one.
    Nothing that training depends on is changed.

    Args:
        encoders: their mode is restored.
        recipe: of the encoders.
        batch: some clips, on the encoders' device.
    """
    if not all_finite(encoders.state_dict()):
        return False
    frames = centre_crop(batch.frames, batch.sizes, recipe.frame_size)
    spectrograms = recipe.spectrogram(batch.sounds)
    ema_eval = encoders.ema_eval
    try:
        with evaluation_mode(encoders):
            for by_ema in (False, True)[: 1 if encoders.ema is None else 2]:
                encoders.ema_eval = by_ema
                if not encoders(frames, spectrograms).isfinite().all():
                    return False
    finally:
        encoders.ema_eval = ema_eval
    return True


class NanGuard:
    """Checks the losses and the weights of a run for NaN and infinity.

    checkpoint: the file that an error names as the last good weights, if it exists.
    """

    def __init__(
        self, encoders: Encoders, recipe: Recipe, accelerator: Accelerator, checkpoint: Path
    ) -> None:
        self.encoders, self.recipe, self.accelerator = encoders, recipe, accelerator
        self.checkpoint = checkpoint
        self.first_bad = torch.tensor(-1, device=accelerator.device)  # step, counted from 1
        self.probe: Batch | None = None  # a few clips of the last step

    def record(self, loss: Float[Tensor, ""], batch: Batch, step: int) -> None:
        """Record the step of the first loss that is not finite, without waiting for the device."""
        bad: Bool[Tensor, ""] = ~torch.isfinite(loss.detach()) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, step, self.first_bad)
        self.probe = batch.first(PROBED)

    def check_loss(self) -> None:
        """Stop at a loss that was not finite, naming its step.

        Raises:
            HearsightError: a loss since the last check was not finite, in any process.
        """
        bad = self.accelerator.gather(self.first_bad.reshape(1)).max().item()
        if bad >= 0:
            raise HearsightError(f"The loss is not a number at step {int(bad)}.{self._advice()}")

    def check_weights(self, step: int) -> None:
        """Check losses, weights and response maps before the weights are saved or scored.

        Raises:
            HearsightError: as `check_loss`, or the model after `step` steps is not `finite_model`.
        """
        self.check_loss()
        if self.probe is None:  # no step since the run began: the weights are those of before
            return
        device = self.accelerator.device
        good = finite_model(self.encoders, self.recipe, self.probe.to(device))
        bad = torch.tensor([0 if good else 1], device=device)
        if self.accelerator.gather(bad).max().item():
            raise HearsightError(
                f"Weights or response maps are not numbers after step {step}.{self._advice()}"
            )

    def _advice(self) -> str:
        exists = self.checkpoint.exists()
        kept = f" The last good weights are in {self.checkpoint}." if exists else ""
        return f"{kept} {ADVICE}"
