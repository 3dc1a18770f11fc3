"""The device of a training run and its processes: accelerate's `Accelerator`."""

from typing import Any

from hearsight.errors import HearsightError, needs
from hearsight.model.device import on_cpu

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


def make_accelerator(device: str | None) -> Any:
    """The `Accelerator` of a run, in single precision: steps themselves compute in less.

    accelerate holds one precision for a whole process, and a process may train several recipes.

    device: as of `TrainingOptions`; anything but "cpu" leaves the choice to accelerate.

    Raises:
        HearsightError: a device that is not there; accelerate was set up otherwise in this process.
    """
    cpu = on_cpu(device)
    try:
        return Accelerator(
            mixed_precision="no", cpu=cpu, gradient_accumulation_plugin=EveryStep(num_steps=1)
        )
    except ValueError as error:
        raise HearsightError(
            "Training is not possible in this process, in which accelerate was set up before, for "
            f"another precision or device: {error}"
        ) from error
