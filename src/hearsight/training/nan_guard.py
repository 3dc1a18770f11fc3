"""Numbers that are none: a run stops at them before it keeps the weights that make them."""

from pathlib import Path

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from jaxtyping import Bool, Float
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.model.augmentation import centre_crop
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe import Recipe
from hearsight.training.batches import Batch

PROBED = 4  # clips whose maps are looked at before weights are kept
ADVICE = "A lower learning_rate, or precision fp32, often helps."


def all_finite(values: dict[str, Tensor]) -> bool:
    """Whether there is no infinity and no NaN among them."""
    return all(bool(value.isfinite().all()) for value in values.values())


@torch.no_grad()
def usable(encoders: Encoders, recipe: Recipe, batch: Batch) -> bool:
    """Whether weights, running statistics and the response maps that they make are finite.

    Weights may be finite and yet so large that no map is: therefore the maps of the clips are
    computed as in evaluation, by the networks and, if there is one, by their momentum encoder.
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
    training, ema_eval = encoders.training, encoders.ema_eval
    encoders.eval()
    try:
        for slowly in (False, True)[: 1 if encoders.ema is None else 2]:
            encoders.ema_eval = slowly
            if not encoders(frames, spectrograms).isfinite().all():
                return False
    finally:
        encoders.ema_eval = ema_eval
        encoders.train(training)
    return True


class NanGuard:
    """Looks at the losses of a run, and at what its weights have become.

    kept: the checkpoint that is named as the last good one, if it is there.
    """

    def __init__(
        self, encoders: Encoders, recipe: Recipe, accelerator: Accelerator, kept: Path
    ) -> None:
        self.encoders, self.recipe, self.accelerator = encoders, recipe, accelerator
        self.kept = kept
        self.first_bad = torch.tensor(-1, device=accelerator.device)  # step, counted from 1
        self.seen: Batch | None = None  # a few clips of the last step

    def note(self, loss: Float[Tensor, ""], batch: Batch, step: int) -> None:
        """Remember the first loss that is no number, without waiting for the device."""
        bad: Bool[Tensor, ""] = ~torch.isfinite(loss.detach()) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, step, self.first_bad)
        self.seen = batch.first(PROBED)

    def check_loss(self) -> None:
        """Stop at a loss that is not a number, naming the step it came from.

        Raises:
            HearsightError: some loss since the last check was not finite, in any process.
        """
        bad = self.accelerator.gather(self.first_bad.reshape(1)).max().item()
        if bad >= 0:
            raise HearsightError(f"The loss is not a number at step {int(bad)}.{self._rest()}")

    def check_weights(self, step: int) -> None:
        """Look at all there is before the weights after `step` steps are kept or scored.

        Raises:
            HearsightError: as `check_loss`, or what the last step made is not `usable`.
        """
        self.check_loss()
        if self.seen is None:  # no step since the run began: nothing has changed
            return
        device = self.accelerator.device
        good = usable(self.encoders, self.recipe, self.seen.to(device))
        bad = torch.tensor([0 if good else 1], device=device)
        if self.accelerator.gather(bad).max().item():
            raise HearsightError(
                f"Weights or response maps are not numbers after step {step}.{self._rest()}"
            )

    def _rest(self) -> str:
        kept = f" The last good weights are in {self.kept}." if self.kept.exists() else ""
        return f"{kept} {ADVICE}"
