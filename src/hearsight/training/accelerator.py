"""The device of a training run, its precision and its processes: accelerate's `Accelerator`."""

from typing import Any

from hearsight.errors import needs
from hearsight.model.device import on_cpu
from hearsight.recipes.recipe import Recipe

with needs("train", "Training"):
    from accelerate import Accelerator  # type: ignore[import-untyped]
    from accelerate.utils import GradientAccumulationPlugin  # type: ignore[import-untyped]


class EveryStep(GradientAccumulationPlugin):  # type: ignore[misc]
    """Gradients are applied at every step; its arguments are told without touching `os.environ`.

    accelerate finds out which arguments differ from the defaults by emptying the environment of
    the whole process for a moment, which other threads of the caller would see.
    """

    def to_kwargs(self) -> dict[str, Any]:
        """The arguments that are not the defaults."""
        return {"num_steps": self.num_steps}


def make_accelerator(recipe: Recipe, device: str | None) -> Any:
    """An `Accelerator` for the precision of a recipe.

    device: as of `TrainingOptions`; anything but "cpu" leaves the choice to accelerate.

    Raises:
        HearsightError: a device that is not there.
    """
    return Accelerator(
        mixed_precision="bf16" if recipe.precision == "bf16" else "no",
        cpu=on_cpu(device),
        gradient_accumulation_plugin=EveryStep(num_steps=1),
    )
