"""Object maps for object-guided localisation (OGL), from a ResNet-18 trained on ImageNet.

`box_scores.mix_object_map` mixes them into response maps.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.checkpoints.frame_network import load_imagenet
from hearsight.errors import HearsightError
from hearsight.model.distributed import BatchNorm
from hearsight.model.encoders import Encoder, residual_trunk
from hearsight.model.resnet import Trunk

SIDE = 224  # pixels: side of the frames, as in its training on ImageNet
RESNET_18 = Encoder(strides=(1, 2, 2, 2))  # a frame of 224 pixels becomes 7 x 7 cells


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectGuide:
    """An object network and how much it counts.

    share: of the response map in the mixture, 0 to 1; None for the protocol's own.

    Raises:
        HearsightError: the share lies outside 0 to 1.
    """

    network: Trunk
    share: float | None = None

    def __post_init__(self) -> None:
        if self.share is not None and not 0 <= self.share <= 1:
            raise HearsightError(f"The share of the response map must lie in 0..1: {self.share}.")


def load_guide(file: Path, share: float | None = None) -> ObjectGuide:
    """An object network from a file of torchvision's ResNet-18, trained on ImageNet.

    Only tensors are read from the file, no code in it is run; the classifier is not used.

    Raises:
        HearsightError: no such file, one that would run code, or one with other names or shapes; a
            share outside 0 to 1.
    """
    network = residual_trunk(
        RESNET_18, "frames", lambda channels: BatchNorm(channels, momentum=0.1, synchronised=False)
    )
    network.to_empty(device="cpu")  # a trunk is made without values
    load_imagenet(network, file)
    return ObjectGuide(network=network.eval(), share=share)


@torch.inference_mode()
def object_maps(network: Trunk, frames: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b h w"]:
    """The mean absolute value of the last stage's channels in every cell: 0 and above.

    Source: EZ-VSL, Mo and Morgado, ECCV 2022 (object-guided localisation), as released.
    """
    grid: Tensor = network(frames)
    return grid.float().abs().mean(1)
