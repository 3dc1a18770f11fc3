"""Sound prototypes: a sound is heard as a mixture of those that a model learned from.

Embeddings of recordings that a model never heard lie beside those that it learned from, and point
nowhere in particular. Drawn to the prototypes that they resemble, they point where known ones do.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.model.nearest import unit

SHARPNESS = 30.0  # of the soft assignment, per unit of cosine


def assign_softly(
    sounds: Float[Tensor, "a c"], prototypes: Float[Tensor, "k c"], heads: int = 1
) -> Float[Tensor, "a c"]:
    """Each sound as the mean of the prototypes, weighted by softmax(SHARPNESS * cosine).

    Of several heads, whose channels are concatenated, the mean cosine counts: all heads have the
    same weights. The last prototype is that of silence. In the mean the opposite of the mean of all
    others stands for it: what is silent points away from all that is seen. Prototypes that are all
    zero, as before any are chosen, leave a sound as it is.

    Source: the update of a continuous Hopfield network, Ramsauer et al., ICLR 2021, Eq. 3, with
    unit vectors as patterns.
    """
    with torch.autocast(sounds.device.type, enabled=False):
        kept = prototypes.to(torch.promote_types(sounds.dtype, torch.float32))
        keys = unit(kept, heads)
        weights = torch.softmax(SHARPNESS * unit(sounds.to(kept.dtype), heads) @ keys.T, 1)
        known = keys[:-1] * heads**0.5  # each head of length 1
        drawn = weights @ torch.cat([known, -known.mean(0, keepdim=True)])
        return torch.where(kept.any(), drawn, sounds.to(kept.dtype))
