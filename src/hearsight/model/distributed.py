"""Training in several processes: gather with gradients, and batch normalisation over all."""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from hearsight.model.activation_checkpointing import is_recomputing


class _Gather(torch.autograd.Function):
    """All-gather whose gradient is the sum of all processes' gradients of the own values."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[dist.get_rank()]


def process_count() -> int:
    """The number of processes that train together; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(values: Float[Tensor, "n c"]) -> Float[Tensor, "processes n c"]:
    """The values of all processes in order of rank, with gradients back to each of them.

    Every process must give the same shape. The gradient that arrives in a process is that of the
    SUM of all processes' losses, so averaging gradients (as DistributedDataParallel does) gives
    that of their mean.
    """
    if process_count() == 1:
        return values[None]
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]
    return gathered


class BatchNorm(nn.Module):
    """Batch normalisation over all processes, on CPU and GPU alike.

    In training with several processes (each with an equally large part of the batch) mean and
    variance are those of the joined batch, with gradients through both; torch's SyncBatchNorm
    does the same on GPUs only.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        *,
        momentum: float,
        synchronised: bool,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, device=device))
        self.bias = nn.Parameter(torch.zeros(channels, device=device))
        self.register_buffer("running_mean", torch.zeros(channels, device=device))
        self.register_buffer("running_var", torch.ones(channels, device=device))
        self.momentum = momentum
        self.synchronised = synchronised
        self.epsilon = 1e-5

    @torch.no_grad()
    def reset(self) -> None:
        """Set gains and variances to 1, biases and means to 0."""
        for values in (self.weight, self.running_var):
            values.fill_(1.0)
        for values in (self.bias, self.running_mean):
            values.fill_(0.0)

    def forward(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if self.training and self.synchronised and process_count() > 1:
            return self._joined(values)
        running = self.running_mean, self.running_var
        if is_recomputing():  # else updated twice
            running = running[0].clone(), running[1].clone()
        return batch_norm(
            values,
            *running,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.epsilon,
        )

    def _joined(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        exact = values.to(self.weight.dtype)
        moments = torch.var_mean(exact, dim=(0, 2, 3), correction=0)
        variances, means = gather(torch.stack(moments)).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        if not is_recomputing():  # else updated twice
            with torch.no_grad():
                count = values.numel() // values.shape[1] * process_count()
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        gain = (self.weight * (variance + self.epsilon).rsqrt())[:, None, None]
        return ((exact - mean[:, None, None]) * gain + self.bias[:, None, None]).to(values.dtype)
