"""Response maps: the cosine similarity of every place of a frame with a sound.

Letters of the whole package:
    b  frames in the batch      c     embedding channels
    a  sounds in the batch      h, w  response grid (14 x 14 for a 224-pixel frame)
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize, softmax


def response(
    visual: Float[Tensor, "b c h w"], audio: Float[Tensor, "a c"], heads: int = 1
) -> Float[Tensor, "b a h w"]:
    """Cosine similarity of every place of every frame with every sound, in [-1, 1].

    Of several heads, whose channels are concatenated, the mean cosine.

    Always at least single precision, also under autocast: the masks of the contrast divide
    these cosines by 0.03, which would magnify the rounding of bfloat16.

    Source: SSL-TIE, Liu et al., ACM MM 2022, Eq. 3; two heads: SLAVC, Mo and Morgado,
    NeurIPS 2022.
    """
    with torch.autocast(visual.device.type, enabled=False):
        if visual.dtype in (torch.float16, torch.bfloat16):
            visual, audio = visual.float(), audio.float()
        audio = audio.to(visual.dtype)
        parts = [
            torch.einsum("bchw,ac->bahw", normalize(one, dim=1), normalize(other, dim=1))
            for one, other in zip(visual.chunk(heads, 1), audio.chunk(heads, 1), strict=True)
        ]
        return parts[0] if heads == 1 else torch.stack(parts).mean(0)


def matched(responses: Float[Tensor, "b a h w"], first: int = 0) -> Float[Tensor, "b h w"]:
    """The response map of each frame to its own sound: sound `first` + i for frame i."""
    return responses.diagonal(first).movedim(-1, 0)


def region_mean(
    values: Float[Tensor, "*batch h w"], inside: Float[Tensor, "*batch h w"]
) -> Float[Tensor, "*batch"]:
    """Mean of `values` over a soft region; `inside` is its logit, positive within.

    Equals sum(sigmoid(inside) * values) / sum(sigmoid(inside)), computed in the log domain:
    early in training every weight is near 1e-10, which half precision rounds to 0 / 0.
    """
    weights = softmax(logsigmoid(inside).flatten(-2), dim=-1)
    return (values.flatten(-2) * weights).sum(-1)
