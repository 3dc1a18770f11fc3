"""The device to compute on: the GPU if there is one, else the CPU, unless named."""

import torch

from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders


def move(encoders: Encoders, device: torch.device | str | None) -> torch.device:
    """Move encoders to a device, by `find_device`, and return it.

    Raises:
        HearsightError: there is no such device.
    """
    place = find_device(device)
    encoders.to(place)
    return place


def device_of(encoders: Encoders) -> torch.device:
    """The device that encoders are on; the CPU for those without weights."""
    return next((weights.device for weights in encoders.parameters()), torch.device("cpu"))


def find_device(device: torch.device | str | None) -> torch.device:
    """A usable device: the GPU if there is one, else the CPU, unless named.

    Raises:
        HearsightError: there is no such device.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).cpu()  # some, such as "meta", hold no values
    except (RuntimeError, AssertionError) as error:
        raise HearsightError(f"There is no device '{device}' here.") from error
    return place


def on_cpu(device: str | None) -> bool:
    """Whether to train on the CPU, which accelerate must be told to start several processes there.

    Raises:
        HearsightError: a device that is not there.
    """
    if device not in (None, "cpu") and not (
        device.startswith("cuda") and torch.cuda.is_available()
    ):
        raise HearsightError(f"There is no device '{device}' here to train on.")
    return device == "cpu" or not torch.cuda.is_available()


def place(encoders: Encoders, device: torch.device, *, channels_last: bool) -> Encoders:
    """Move encoders to a device, in the memory layout of their recipe.

    Raises:
        HearsightError: channels_last on a CPU with a width that is no multiple of 8. There torch's
            convolutions write past their memory (seen with torch 2.13 on AVX2 at 4 channels).
    """
    encoders.to(device)
    if not channels_last:
        return encoders
    if device.type == "cpu" and any(width % 8 for width in encoders.widths):
        raise HearsightError(
            f"On a CPU channels_last needs widths that are multiples of 8, not "
            f"{list(encoders.widths)}: use `channels_last=false`."
        )
    return encoders.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
